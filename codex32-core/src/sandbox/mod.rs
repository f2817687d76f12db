//! Running code: the runtime seam, scripts in processes, functions of the embedding program.
//!
//! Invariants: a script runs in a session of its own, in a private working
//! directory, with limits and a deadline; when it is over, all that it started is
//! over, and so it is when the engine is killed. Its input is JSON on a file descriptor
//! or standard input, never an argument. It sees nothing of the engine's environment but
//! the search path, certificates and the zone.
//!
//! | file | is |
//! | --- | --- |
//! | `process` | [`ProcessRuntime`]: one script from its job to its result |
//! | `script` | what a script is in each language, and what its end means |
//! | `policy`, `launch` | what a process may use; how it is started and confined (all that is specific to an operating system) |
//! | `supervise`, `tree`, `lines` | its life: deadline, watchdog, output, end |
//! | `workdir`, `packages`, `interpreter` | where it runs, with which packages, by which program |
//! | `native`, `runtimes` | functions as actions; the registry |
//! | `kubernetes/` | [`KubernetesRuntime`]: a script as a Job of a cluster, with the feature `kubernetes` |
//! | `doctor` | what this machine can run and enforces |
//! | `runner/` | the guardian and the runners of each language |
//!
//! Deliberately absent: namespaces, seccomp and Landlock. They belong into `launch` and
//! change nothing elsewhere.

mod doctor;
mod interpreter;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod launch;
mod lines;
mod native;
mod packages;
mod policy;
mod process;
mod runtimes;
mod script;
mod supervise;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod workdir;

pub use doctor::{Doctor, InterpreterReport, LimitReport};
#[cfg(feature = "kubernetes")]
pub use kubernetes::{Images, KubernetesConfig, KubernetesRuntime, LABEL as KUBERNETES_LABEL, Which};
pub use native::{FAMILY, FunctionConnector, NativeAction, NativeActions, NativeFunction, function_bot};
pub use policy::default_limits;
pub use process::{ProcessConfig, ProcessRuntime};
pub use runtimes::Runtimes;

use crate::blueprint::{Dependencies, Language, Limits, Permissions};
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{BotId, ExecutionId, WorkspaceId};
use crate::observe::LogSink;
use serde_json::Value;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One run of code.
#[derive(Clone)]
pub struct Job {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The bot.
    pub bot: BotId,
    /// The execution.
    pub execution: ExecutionId,
    /// Path of the step.
    pub step: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The same for every attempt of this step.
    pub idempotency_key: String,
    /// Language.
    pub language: Language,
    /// The code itself.
    pub code: String,
    /// Other files of the version, name to text, laid beside the code.
    pub files: Arc<std::collections::BTreeMap<String, String>>,
    /// Input, handed over as JSON.
    pub input: Value,
    /// Environment variables; values may be secret and are never logged.
    pub env: Vec<(String, String)>,
    /// Packages.
    pub dependencies: Dependencies,
    /// Limits.
    pub limits: Limits,
    /// Labels that the bot asks for by `runs_on`.
    pub runs_on: Vec<String>,
    /// What it may touch.
    pub permissions: Arc<Permissions>,
    /// When it must be done, UTC milliseconds.
    pub deadline: Option<Millis>,
    /// Ends when the job is to stop.
    pub cancel: CancellationToken,
    /// Ends before `cancel` does where the job is to stop here only: another process makes the
    /// same attempt again, and what runs elsewhere is left for it.
    pub left: CancellationToken,
    /// Its stdout and stderr, line by line.
    pub log: Arc<dyn LogSink>,
}

/// Where code runs.
#[async_trait::async_trait]
pub trait Runtime: Send + Sync {
    /// `process`, `kubernetes`, ...
    fn name(&self) -> &'static str;
    /// Whether it runs this job, where the engine has several runtimes.
    fn takes(&self, _job: &Job) -> bool {
        true
    }
    /// Runs the job to its end and returns what it returned.
    ///
    /// # Errors
    /// `failed` with the script's own error (its last lines in the message), `timeout`,
    /// `cancelled`, `too_large` for output over its limit, `unavailable` where an
    /// interpreter or a package is missing.
    async fn run(&self, job: Job) -> Result<Value>;
}
