//! Performing an attempt of a `use` or `run` step: its input is rendered at the last
//! moment, with the secrets that it names, and is never written anywhere.

use super::ask::addresses;
use super::log::{LogBuffer, Mask, StepLog};
use super::round::Tokens;
use super::run::GRACE;
use super::{Driver, Outcome, Running};
use crate::blueprint::{Language, Source};
use crate::clock::Millis;
use crate::connector::{ActionContext, Network};
use crate::error::{Code, Error, Result};
use crate::execution::control::Inner;
use crate::execution::decide::{Command, Fact, Work, expression_failure};
use crate::execution::entry::Failure;
use crate::execution::plan::{Kind, Needs, SharedBlueprint, Text};
use crate::execution::ports::LoadedVersion;
use crate::execution::{MAX_OUTPUT, size};
use crate::expr::Scope;
use crate::id::{BotId, ExecutionId, WorkspaceId};
use crate::sandbox::Job;
use crate::storage::entity::executions;
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

impl Driver {
    /// Starts what the last round has recorded.
    pub(super) fn perform(&mut self, mut tokens: Tokens) {
        for command in std::mem::take(&mut self.dispatch) {
            let (path, attempt) = match &command {
                Command::Run(work) | Command::StartChild(work, _) | Command::Continue(work) => {
                    (work.path.clone(), work.attempt)
                }
                Command::Native(work) => (work.path.clone(), work.attempt),
                _ => continue,
            };
            if !self.state.is_current(&path, attempt) {
                continue;
            }
            let cancel = CancellationToken::new();
            let task = match command {
                Command::Run(work) => {
                    let token = tokens.remove(&work.path);
                    let attempt = self.attempt(work, token, cancel.clone());
                    self.tasks.spawn(attempt.perform())
                }
                Command::StartChild(work, _) => self.tasks.spawn(self.calling(work)),
                Command::Continue(work) => self.tasks.spawn(self.continuing(work)),
                Command::Native(work) => match self.native(work, cancel.clone()) {
                    Some(work) => self.tasks.spawn(work),
                    None => continue,
                },
                _ => continue,
            };
            self.running.insert(task.id(), Running { path, attempt, cancel });
        }
    }

    fn attempt(&self, work: Work, token: Option<String>, cancel: CancellationToken) -> Attempt {
        Attempt {
            inner: self.inner.clone(),
            row: self.row.clone(),
            version: self.version.clone(),
            plan: self.inner_plan(),
            log: self.log.clone(),
            work,
            token,
            cancel,
            left: self.left.clone(),
        }
    }

    pub(super) fn inner_plan(&self) -> SharedBlueprint {
        self.state.plan()
    }
}

/// One attempt of one step.
struct Attempt {
    inner: Arc<Inner>,
    row: Arc<executions::Model>,
    version: Arc<LoadedVersion>,
    plan: SharedBlueprint,
    log: Arc<LogBuffer>,
    work: Work,
    /// Answers the approval that this attempt asks for.
    token: Option<String>,
    cancel: CancellationToken,
    left: CancellationToken,
}

impl Attempt {
    async fn perform(self) -> Outcome {
        let span = tracing::info_span!("step", step = %self.work.path, attempt = self.work.attempt);
        async {
            let began = self.inner.clock.now();
            let result = self.result(began).await;
            let took = self.inner.clock.now() - began;
            let ms = u64::try_from(took).unwrap_or(0);
            let (path, attempt) = (self.work.path.clone(), self.work.attempt);
            measure(result.is_ok(), took);
            Outcome::Fact(match result {
                Ok(output) => Fact::Succeeded { path, attempt, output, ms },
                Err(error) => Fact::Failed { path, attempt, error, ms },
            })
        }
        .instrument(span)
        .await
    }

    /// The result, fit to be written.
    async fn result(&self, began: Millis) -> Result<Value, Failure> {
        let mask = self.mask().await.map_err(|error| self.failed(&error))?;
        let output = self.guarded(began, &mask).await;
        // Asked for again: the step may itself have learned of a new secret.
        let mask = self.mask().await.map_err(|error| self.failed(&error))?;
        let output = output.map_err(|failure| masked(failure, &mask))?;
        fit(output, &self.work.path, &mask)
    }

    async fn mask(&self) -> Result<Mask> {
        let redactor = self.inner.answered(|| self.inner.secrets.redactor(self.workspace())).await?;
        Ok(Mask { redactor, token: self.token.clone() })
    }

    /// The call itself, held to its time.
    async fn guarded(&self, began: Millis, mask: &Mask) -> Result<Value, Failure> {
        let node = self.plan.node(self.work.node);
        let action = matches!(node.kind, Kind::Use { .. });
        let span = node.timeout.or_else(|| action.then_some(self.inner.config.action_timeout_ms));
        let deadline = span.map(|span| began.saturating_add(span));
        let mut call = Box::pin(self.call(deadline, mask));
        let time_is_up = async {
            match deadline {
                Some(deadline) => self.inner.clock.sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = &mut call => result,
            () = time_is_up => {
                self.cancel.cancel();
                // What it does now counts no more, but it may end what it has begun.
                let _ = tokio::time::timeout(GRACE, call).await;
                let ms = span.unwrap_or_default();
                Err(self.failed(&Error::new(Code::Timeout, format!("it took longer than {ms} ms"))))
            }
        }
    }

    async fn call(&self, deadline: Option<Millis>, mask: &Mask) -> Result<Value, Failure> {
        match &self.plan.node(self.work.node).kind {
            Kind::Use { action, with, connection } => {
                let scope = self.scope(&with.needs, with.place).await?;
                let input = self.render(with, &scope)?;
                let cx = self.context(connection, deadline, mask).await.map_err(|error| self.failed(&error))?;
                self.inner.actions.call(action, &cx, input).await.map_err(|error| self.failed(&error))
            }
            Kind::Run { language, source, with, env } => {
                let scope = self.scope(&with.needs, with.place).await?;
                let input = self.render(with, &scope)?;
                let mut variables = Vec::with_capacity(env.len());
                for (name, text) in env {
                    let scope = self.scope(&text.needs, text.place).await?;
                    let value = match self.render(text, &scope)? {
                        Value::String(text) => text,
                        Value::Null => String::new(),
                        other => other.to_string(),
                    };
                    variables.push((name.clone(), value));
                }
                let job = self.job(*language, source, input, variables, deadline, mask);
                let job = job.map_err(|error| self.failed(&error))?;
                self.inner.scripts.run(job).await.map_err(|error| self.failed(&error))
            }
            _ => Err(self.failed(&Error::internal("the step does nothing outside"))),
        }
    }

    /// The scope of the work with the secrets that are needed, each declared by the bot.
    async fn scope(&self, needs: &Needs, place: &str) -> Result<Scope, Failure> {
        let refused = |error: Error| expression_failure(&self.work.path, place, error);
        let mut scope = self.work.scope.clone();
        if needs.all_secrets {
            return Err(refused(Error::invalid("`secrets` is not a value").hint("name one: secrets.NAME")));
        }
        if !needs.secrets.is_empty() {
            let declared = &self.version.blueprint.permissions.secrets;
            if let Some(name) = needs.secrets.iter().find(|name| !declared.contains(name)) {
                return Err(refused(
                    Error::forbidden(format!("the bot does not declare the secret \"{name}\""))
                        .hint(format!("add it to the blueprint: permissions: {{secrets: [{name}]}}")),
                ));
            }
            let values = self.inner.secrets.resolve(self.workspace(), &needs.secrets).await.map_err(refused)?;
            let values: Map<String, Value> = values.into_iter().map(|(name, value)| (name, value.into())).collect();
            scope.set("secrets", Value::Object(values));
        }
        if let Some(token) = &self.token {
            scope.set("approval", addresses(&self.inner.config.address(), token));
        }
        Ok(scope)
    }

    fn render(&self, text: &Text, scope: &Scope) -> Result<Value, Failure> {
        text.template.render(scope).map_err(|e| expression_failure(&self.work.path, text.place, e.into()))
    }

    async fn context(&self, connection: &str, deadline: Option<Millis>, mask: &Mask) -> Result<ActionContext> {
        Ok(ActionContext {
            workspace: self.workspace(),
            bot: Some(BotId(self.row.bot_id)),
            bot_name: self.row.bot_name.clone(),
            execution: Some(ExecutionId(self.row.id)),
            step: self.work.path.clone(),
            attempt: self.work.attempt,
            idempotency_key: self.work.idempotency_key.clone(),
            deadline,
            network: Network {
                permissions: Arc::new(self.version.blueprint.permissions.clone()),
                private_allowed: self.version.private_network_allowed,
            },
            connection: self.inner.secrets.connection(self.workspace(), connection).await?,
            cancel: self.cancel.clone(),
            log: self.sink(mask),
            clock: self.inner.clock.clone(),
            services: self.inner.services.clone(),
        })
    }

    fn job(
        &self,
        language: Language,
        source: &Source,
        input: Value,
        env: Vec<(String, String)>,
        deadline: Option<Millis>,
        mask: &Mask,
    ) -> Result<Job> {
        let code = match source {
            Source::Inline(code) => code.clone(),
            Source::File(name) => {
                let file = self.version.files.get(name).cloned();
                file.ok_or_else(|| Error::not_found("file of this version", name))?
            }
        };
        let blueprint = &self.version.blueprint;
        Ok(Job {
            workspace: self.workspace(),
            bot: BotId(self.row.bot_id),
            execution: ExecutionId(self.row.id),
            step: self.work.path.clone(),
            attempt: self.work.attempt,
            idempotency_key: self.work.idempotency_key.clone(),
            language,
            code,
            files: self.version.files.clone(),
            input,
            env,
            dependencies: blueprint.dependencies.clone(),
            limits: blueprint.limits.clone(),
            runs_on: blueprint.runs_on.clone(),
            permissions: Arc::new(blueprint.permissions.clone()),
            deadline,
            cancel: self.cancel.clone(),
            left: self.left.clone(),
            log: self.sink(mask),
        })
    }

    fn sink(&self, mask: &Mask) -> Arc<StepLog> {
        Arc::new(StepLog { buffer: self.log.clone(), step: self.work.path.clone(), mask: mask.clone() })
    }

    fn workspace(&self) -> WorkspaceId {
        WorkspaceId(self.row.workspace_id)
    }

    fn failed(&self, error: &Error) -> Failure {
        Failure::at(&self.work.path, error)
    }
}

/// Counts an attempt that took so many milliseconds.
pub(super) fn measure(succeeded: bool, took: Millis) {
    let outcome = if succeeded { "succeeded" } else { "failed" };
    metrics::counter!("codex32_steps_total", "outcome" => outcome).increment(1);
    metrics::histogram!("codex32_step_seconds").record(took as f64 / 1_000.0);
}

/// The result of the step at `path`, fit to be written.
pub(super) fn fit(output: Value, path: &str, mask: &Mask) -> Result<Value, Failure> {
    let bytes = size(&output);
    if bytes > MAX_OUTPUT {
        let message = format!("the result has {bytes} bytes; the limit is {MAX_OUTPUT}");
        let error = Error::new(Code::TooLarge, message).hint("write it to a file or a table and return less");
        return Err(Failure::at(path, &error));
    }
    Ok(mask.value(output))
}

/// A failure, secrets taken out.
pub(super) fn masked(mut failure: Failure, mask: &Mask) -> Failure {
    failure.message = mask.text(&failure.message);
    failure.hint = failure.hint.map(|hint| mask.text(&hint));
    for fault in &mut failure.faults {
        fault.message = mask.text(&fault.message);
    }
    failure
}
