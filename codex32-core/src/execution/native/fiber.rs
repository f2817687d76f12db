//! A function that runs for an execution, until it ends or the execution waits.

use super::ctx::{Ctx, aside};
use super::functions::DurableFunction;
use super::line::{Answer, Ask, Line, SharedBody};
use crate::error::{Code, Error, Result};
use crate::execution::decide::native::Told;
use crate::execution::entry::Failure;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// A function that runs for an execution.
pub(crate) struct Fiber {
    pub(crate) line: Arc<Line>,
    function: Arc<dyn DurableFunction>,
    /// None once it has ended. Locked by nobody; the lock lets the driver be shared.
    future: Option<Mutex<BoxFuture<'static, Result<Value>>>>,
    returned: Option<Result<Value>>,
    answers: HashMap<String, Answer>,
    bodies: HashMap<String, SharedBody>,
    /// Failures that the function was told of.
    failures: Vec<Failure>,
}

impl Fiber {
    pub(crate) fn new(function: Arc<dyn DurableFunction>, line: Arc<Line>, input: Value) -> Fiber {
        let (run, ctx) = (function.clone(), Ctx::new(line.clone()));
        // Also what the function does before its first await may panic.
        let future = AssertUnwindSafe(async move { run.run(ctx, input).await }).catch_unwind();
        let future = future.map(|result| {
            result.unwrap_or_else(|_| {
                Err(Error::new(Code::Internal, "the function panicked; the engine's log has the details"))
            })
        });
        Fiber {
            line,
            function,
            future: Some(Mutex::new(future.boxed())),
            returned: None,
            answers: HashMap::new(),
            bodies: HashMap::new(),
            failures: Vec::new(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        match future.get_mut().unwrap_or_else(PoisonError::into_inner).poll_unpin(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                self.future = None;
                self.returned = Some(result);
                Poll::Ready(())
            }
        }
    }

    /// Lets the function go on as far as it goes, one in another language no longer than `limit`.
    pub(crate) async fn go(&mut self, limit: Duration) {
        std::future::poll_fn(|cx| Poll::Ready(self.poll(cx).is_ready())).await;
        if self.future.is_some() && tokio::time::timeout(limit, self.function.settle()).await.is_ok() {
            std::future::poll_fn(|cx| Poll::Ready(self.poll(cx).is_ready())).await;
        }
    }

    /// Returns when the function has asked for something, or has ended.
    pub(crate) async fn stirs(&mut self) {
        let line = self.line.clone();
        tokio::select! {
            biased;
            () = line.bell.notified() => {}
            () = std::future::poll_fn(|cx| self.poll(cx)) => {}
        }
    }

    /// What the function has asked for since the last call.
    pub(crate) fn asks(&mut self) -> Vec<Ask> {
        self.line.take()
    }

    /// Keeps who is to be answered, and the body of a step.
    pub(crate) fn keep(&mut self, path: &str, body: Option<SharedBody>, answer: Answer) {
        self.answers.insert(path.to_owned(), answer);
        self.bodies.extend(body.map(|body| (path.to_owned(), body)));
    }

    /// The body of the step at `path`.
    pub(crate) fn body(&self, path: &str) -> Option<SharedBody> {
        self.bodies.get(path).cloned()
    }

    /// Tells the function a result.
    pub(crate) fn tell(&mut self, told: Told) {
        self.bodies.remove(&told.path);
        if let Some(at) = told.at {
            self.line.set_now(at.max(self.line.now()));
        }
        let result = match told.outcome {
            Ok(value) => Ok((*value).clone()),
            Err(failure) => {
                let error = failure.to_error();
                self.failures.push(failure);
                Err(error)
            }
        };
        if let Some(answer) = self.answers.remove(&told.path) {
            answer(result);
        }
    }

    /// What the function returned, once. An error that a call ended with names that call.
    pub(crate) fn returned(&mut self) -> Option<Result<Value, Failure>> {
        let result = self.returned.take()?;
        Some(result.map_err(|error| {
            let same = |failure: &&Failure| failure.code == error.code() && failure.message == error.message();
            let step = self.failures.iter().rev().find(same).map_or("", |failure| &failure.step);
            Failure::at(step, &error)
        }))
    }

    /// Tells the function that nothing comes of what it waits for, and lets it end.
    pub(crate) async fn end(mut self, error: Error) {
        self.line.close(error.clone());
        for (_, answer) in self.answers.drain() {
            answer(Err(error.clone()));
        }
        if self.future.is_some() {
            std::future::poll_fn(|cx| self.poll(cx)).await;
        }
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        self.line.close(aside());
    }
}
