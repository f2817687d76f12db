//! Driving an execution whose steps a function of the program asks for.
//!
//! The function is told what has come of its calls, one result after the other, and what
//! it asks for then is written with them. Where it only waits, the
//! execution is parked as any other, and the function is dropped.

use super::interpreter::Interpreter;
use super::log::StepLog;
use super::perform::{fit, masked};
use super::{Driver, Outcome};
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::execution::control::Inner;
use crate::execution::decide::Fact;
use crate::execution::decide::native::{NativeState, NativeWork, Request};
use crate::execution::entry::Failure;
use crate::execution::labels;
use crate::execution::native::{Attempt, Fiber, Line, SharedBody};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::entity::executions;
use serde_json::Value;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a function in another language may take to go on with what it was told, before
/// it is gone on without it.
pub(super) const SETTLE: Duration = Duration::from_secs(1);
/// The same while a result waits to be written.
const EARLY: Duration = Duration::from_millis(5);

impl Driver {
    /// Lets the function go on with what is about to be written, so that what it asks for
    /// next is written along. Nothing is done outside before that: a function that is lost
    /// here is run again from its start, as one that is lost between two steps.
    pub(super) async fn advance_early(&mut self) {
        if self.fiber.is_some() {
            self.advance(EARLY).await;
        }
    }

    /// Lets the function go on with what is recorded, as far as it comes within `limit`. True
    /// where something is to be written or done then. Where there is no function, false at once.
    pub(super) async fn advance(&mut self, limit: Duration) -> bool {
        let Interpreter::Native(replay) = &self.state else { return false };
        if replay.is_paused() || replay.is_over() || self.draining {
            return false;
        }
        if self.fiber.is_none() {
            match self.fiber().await {
                Ok(fiber) => self.fiber = Some(fiber),
                Err(error) => {
                    tracing::warn!(execution = %self.row.id, %error, "the function cannot be run now");
                    self.inner.pause_before_retry().await;
                    // As at a shutdown: what runs comes to its end, then the execution is given back.
                    self.draining = true;
                    return false;
                }
            }
        }
        let (Interpreter::Native(replay), Some(fiber)) = (&mut self.state, &mut self.fiber) else { return false };
        if let Some(returned) = go_on(replay, fiber, limit).await {
            let returned = returned_masked(&self.inner, &self.row, returned).await;
            replay.returned(returned);
        }
        fiber.line.set_behind(replay.is_behind());
        self.dispatch.extend(replay.in_flight());
        replay.has_next() || !self.dispatch.is_empty()
    }

    /// The function, from its start.
    async fn fiber(&self) -> Result<Fiber> {
        let Interpreter::Native(replay) = &self.state else { return Err(Error::internal("there is no function")) };
        let plan = replay.plan();
        let native = plan.native.as_ref().ok_or_else(|| Error::internal("the blueprint names no function"))?;
        let function = self.inner.functions.get(&labels::of_native(native))?;
        let input: Value = serde_json::from_str(&self.row.input)
            .map_err(|e| Error::internal(format!("read the input of {}: {e}", self.row.id)))?;
        let redactor = self.inner.secrets.redactor(WorkspaceId(self.row.workspace_id)).await?;
        let mask = super::log::Mask { redactor, token: None };
        let log = Arc::new(StepLog { buffer: self.log.clone(), step: String::new(), mask });
        let (id, bot) = (ExecutionId(self.row.id), self.row.bot_name.clone());
        let line = Line::new(id, bot, log, replay.began(), replay.is_behind());
        Ok(Fiber::new(function, Arc::new(line), input))
    }

    /// Whether the execution may be given back: something that is written will let it go on.
    pub(super) fn rests(&self) -> bool {
        match &self.state {
            Interpreter::Blueprint(_) => true,
            Interpreter::Native(replay) => self.draining || replay.is_paused() || replay.waits(),
        }
    }

    /// What performs a call of the function; `None` for one that is only waited for.
    pub(super) fn native(
        &self,
        work: NativeWork,
        cancel: CancellationToken,
    ) -> Option<futures::future::BoxFuture<'static, Outcome>> {
        match work.request.clone() {
            Request::Step { timeout, .. } => {
                let body = self.fiber.as_ref()?.body(&work.path)?;
                let (inner, row, log) = (self.inner.clone(), self.row.clone(), self.log.clone());
                Some(Box::pin(Step { inner, row, log, work, body, timeout, cancel }.perform()))
            }
            Request::Child { bot, input, .. } => Some(Box::pin(self.calling_native(work, bot, input))),
            _ => None,
        }
    }

    /// Ends the function of an execution that is over.
    pub(super) async fn end_fiber(&mut self) {
        let Some(fiber) = self.fiber.take() else { return };
        if matches!(&self.state, Interpreter::Native(replay) if replay.is_over()) {
            let error = Error::new(Code::Cancelled, "the execution is over");
            if tokio::time::timeout(super::run::GRACE, fiber.end(error)).await.is_err() {
                tracing::warn!(execution = %self.row.id, "the function did not end when its execution did");
            }
        }
    }
}

/// Tells the function one result after the other, each after it has gone as far as it can.
/// Gives what it returned, where it has ended.
async fn go_on(replay: &mut NativeState, fiber: &mut Fiber, limit: Duration) -> Option<Result<Value, Failure>> {
    loop {
        fiber.go(limit).await;
        for ask in fiber.asks() {
            fiber.keep(&ask.path, ask.body, ask.answer);
            replay.ask(ask.path, ask.request);
        }
        if let Some(returned) = fiber.returned() {
            return Some(returned);
        }
        match replay.tell() {
            Some(told) => fiber.tell(told),
            None => {
                replay.settled();
                return None;
            }
        }
    }
}

/// What the function returned, secrets taken out.
async fn returned_masked(
    inner: &Inner,
    row: &executions::Model,
    returned: Result<Value, Failure>,
) -> Result<Value, Failure> {
    let redactor = inner.answered(|| inner.secrets.redactor(WorkspaceId(row.workspace_id))).await;
    // What cannot be checked is not shown.
    let redactor = redactor.map_err(|error| Failure::at("", &error))?;
    let mask = super::log::Mask { redactor, token: None };
    match returned {
        Ok(output) => Ok(mask.value(output)),
        Err(failure) => Err(masked(failure, &mask)),
    }
}

/// One attempt of a step of a function.
struct Step {
    inner: Arc<Inner>,
    row: Arc<executions::Model>,
    log: Arc<super::log::LogBuffer>,
    work: NativeWork,
    body: SharedBody,
    timeout: Option<Millis>,
    cancel: CancellationToken,
}

impl Step {
    async fn perform(self) -> Outcome {
        let began = self.inner.clock.now();
        let result = self.result(began).await;
        let took = self.inner.clock.now() - began;
        let ms = u64::try_from(took).unwrap_or(0);
        super::perform::measure(result.is_ok(), took);
        let (path, attempt) = (self.work.path, self.work.attempt);
        Outcome::Fact(match result {
            Ok(output) => Fact::Succeeded { path, attempt, output, ms },
            Err(error) => Fact::Failed { path, attempt, error, ms },
        })
    }

    /// The result, fit to be written.
    async fn result(&self, began: Millis) -> Result<Value, Failure> {
        let mask = self.mask().await.map_err(|error| self.failed(&error))?;
        let output = self.guarded(began, &mask).await;
        // Asked for again: the step may itself have learned of a new secret.
        let mask = self.mask().await.map_err(|error| self.failed(&error))?;
        let output = output.map_err(|error| masked(self.failed(&error), &mask))?;
        fit(output, &self.work.path, &mask)
    }

    async fn mask(&self) -> Result<super::log::Mask> {
        let workspace = WorkspaceId(self.row.workspace_id);
        let redactor = self.inner.answered(|| self.inner.secrets.redactor(workspace)).await?;
        Ok(super::log::Mask { redactor, token: None })
    }

    /// The body itself, held to its time. It is dropped where it is not wanted any more.
    async fn guarded(&self, began: Millis, mask: &super::log::Mask) -> Result<Value> {
        let step = self.work.path.clone();
        let log = StepLog { buffer: self.log.clone(), step: step.clone(), mask: mask.clone() };
        let attempt = Attempt {
            step,
            number: self.work.attempt,
            idempotency_key: self.work.idempotency_key.clone(),
            cancel: self.cancel.clone(),
            log: Arc::new(log),
        };
        let body = {
            let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
            body(attempt)
        };
        let time_is_up = async {
            match self.timeout {
                Some(span) => self.inner.clock.sleep_until(began.saturating_add(span)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = body => result,
            () = self.cancel.cancelled() => Err(Error::new(Code::Cancelled, "the step was not wanted any more")),
            () = time_is_up => {
                self.cancel.cancel();
                let ms = self.timeout.unwrap_or_default();
                Err(Error::new(Code::Timeout, format!("it took longer than {ms} ms")))
            }
        }
    }

    fn failed(&self, error: &Error) -> Failure {
        Failure::at(&self.work.path, error)
    }
}
