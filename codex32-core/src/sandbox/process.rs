//! Scripts in processes of their own.

use super::doctor::{self, Doctor};
use super::interpreter::{Interpreter, Interpreters};
use super::launch::{self, Launcher, Order};
use super::packages::{self, Asker, Packages};
use super::policy::Policy;
use super::supervise::{Watch, supervise};
use super::workdir::{RunDir, RunDirs};
use super::{Job, Runtime, script};
use crate::blueprint::{Language, Limits};
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What V8 reserves beside its heap: code, stacks of its threads, buffers.
const NODE_SLACK: u64 = 256 * 1024 * 1024;
/// What a script sees of the engine's environment: where certificates are, and the
/// zone. No proxy: its address may hold a password.
const SHARED: [&str; 6] =
    ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "TZ"];

/// Where and with what a [`ProcessRuntime`] works.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// Directory for runs and package sets, below the engine's data directory.
    pub dir: PathBuf,
    /// The engine's environment, read once by the program at its start
    /// (`std::env::vars_os()`). Interpreters are found by its `PATH`, and package
    /// managers get their settings from it; a script sees next to nothing of it.
    pub host_env: Vec<(OsString, OsString)>,
    /// Limits where a blueprint sets none.
    pub limits: Limits,
    /// How long a script that is cancelled or late may take to end by itself (it gets
    /// SIGTERM) before it is killed; 2 seconds by default.
    pub grace: Duration,
}

impl ProcessConfig {
    /// A configuration with the default limits.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, host_env: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        ProcessConfig {
            dir: dir.into(),
            host_env: host_env.into_iter().collect(),
            limits: super::default_limits(),
            grace: Duration::from_secs(2),
        }
    }
}

/// Runs Python, Node and shell scripts, each in a process tree of its own.
///
/// Dropping it ends all that it runs.
pub struct ProcessRuntime {
    clock: Arc<dyn Clock>,
    limits: Limits,
    grace: Duration,
    shared_env: Vec<(OsString, OsString)>,
    interpreters: Interpreters,
    packages: Packages,
    launcher: Launcher,
    dirs: RunDirs,
}

impl ProcessRuntime {
    /// Opens the runtime and clears away what a killed engine left in the same directory.
    ///
    /// # Errors
    /// `unavailable` when the directory cannot be written to.
    pub fn new(config: ProcessConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let dirs = RunDirs::open(&config.dir.join("run"))?;
        let installed = config.dir.join("packages");
        packages::sweep(&installed);
        let shared = config.host_env.iter().filter(|(name, _)| SHARED.iter().any(|shared| name == shared));
        Ok(ProcessRuntime {
            clock,
            limits: config.limits,
            grace: config.grace,
            shared_env: shared.cloned().collect(),
            packages: Packages::new(installed, &config.host_env),
            interpreters: Interpreters::new(config.host_env),
            launcher: Launcher::start()?,
            dirs,
        })
    }

    /// What this machine can run and what it enforces.
    pub async fn doctor(&self) -> Doctor {
        doctor::examine(&self.interpreters).await
    }

    fn policy(&self, job: &Job) -> Policy {
        let policy = Policy::of(&job.limits, &self.limits, self.grace);
        if job.language == Language::Node { policy.with_slack(NODE_SLACK) } else { policy }
    }

    /// The interpreter of a job: a shell script may name its own.
    async fn interpreter(&self, job: &Job) -> Result<Interpreter> {
        let asked = (job.language == Language::Shell).then(|| script::shell(&job.code)).filter(|name| *name != "sh");
        match asked {
            None => self.interpreters.get(job.language).await,
            Some(name) => self.interpreters.shell(name).ok_or_else(|| {
                Error::unavailable(format!("cannot run the script: there is no {name}"))
                    .hint(format!("install {name}, or begin the script with `#!/bin/sh`"))
            }),
        }
    }

    /// Lays out the run's directory and writes the order for its process.
    fn order(&self, job: &Job, run: &RunDir, plan: Plan) -> Result<Order> {
        let entry = run.lay(&job.code, &job.files, script::file_name(job.language))?;
        let mut args: Vec<OsString> =
            script::options(job.language, &plan.policy).into_iter().map(OsString::from).collect();
        let input_fd = plan.runner_input.as_raw_fd();
        let mut keep = vec![plan.runner_input];
        let mut env = self.environment(job, run, &plan.interpreter, plan.packages.as_deref())?;
        if let Some((name, text)) = script::runner(job.language) {
            args.push(run.put_runner(name, text)?.into());
            args.extend([input_fd.to_string(), plan.result.as_raw_fd().to_string()].map(OsString::from));
            args.push(entry.into());
            keep.push(plan.result);
        } else {
            // Relative, so that the shell's own messages name the script and not where it lies.
            let entry = entry.strip_prefix(run.work()).map(Path::to_owned).unwrap_or(entry);
            args.push(Path::new(".").join(entry).into());
            env.push(("INPUT".into(), format!("/proc/self/fd/{input_fd}").into()));
        }
        if job.language == Language::Node {
            prepare_node(run, plan.packages.as_deref())?;
        }
        let (program, policy, stdin) = (plan.interpreter.program, plan.policy, Some(plan.stdin));
        Ok(Order { program, args, env, cwd: run.work(), stdin, keep, policy })
    }

    /// The whole environment of a script.
    fn environment(
        &self,
        job: &Job,
        run: &RunDir,
        interpreter: &Interpreter,
        packages: Option<&Path>,
    ) -> Result<Vec<(OsString, OsString)>> {
        let mut path: Vec<PathBuf> = Vec::new();
        match (job.language, packages) {
            (Language::Python, Some(dir)) => path.push(dir.join("bin")),
            (Language::Node, Some(dir)) => path.push(dir.join("node_modules/.bin")),
            _ => {}
        }
        // The interpreter that runs the script is also the one that it finds by name.
        path.extend(interpreter.program.parent().map(Path::to_owned));
        path.extend(std::env::split_paths(self.interpreters.path()));
        let path = std::env::join_paths(path).map_err(|e| Error::internal(format!("join the search path: {e}")))?;
        let mut env: Vec<(OsString, OsString)> = self.shared_env.clone();
        let fixed: [(&str, OsString); 8] = [
            ("PATH", path),
            ("HOME", run.work().into()),
            ("TMPDIR", run.temp().into()),
            ("LANG", "C.UTF-8".into()),
            ("CODEX32_EXECUTION", job.execution.to_string().into()),
            ("CODEX32_STEP", job.step.clone().into()),
            ("CODEX32_ATTEMPT", job.attempt.to_string().into()),
            ("CODEX32_IDEMPOTENCY_KEY", job.idempotency_key.clone().into()),
        ];
        env.extend(fixed.map(|(name, value)| (name.into(), value)));
        if let (Language::Python, Some(dir)) = (job.language, packages) {
            env.push(("PYTHONPATH".into(), dir.into()));
        }
        for (name, value) in &job.env {
            check_variable(name, value)?;
            env.push((name.into(), value.into()));
        }
        Ok(env)
    }
}

/// What an order is made of.
struct Plan {
    policy: Policy,
    interpreter: Interpreter,
    packages: Option<PathBuf>,
    stdin: std::os::fd::OwnedFd,
    runner_input: std::os::fd::OwnedFd,
    result: std::os::fd::OwnedFd,
}

#[async_trait::async_trait]
impl Runtime for ProcessRuntime {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn run(&self, job: Job) -> Result<Value> {
        if job.cancel.is_cancelled() {
            return Err(Error::new(Code::Cancelled, "the script was cancelled before it began"));
        }
        let started = self.clock.now();
        let policy = self.policy(&job);
        let interpreter = self.interpreter(&job).await?;
        let asker = Asker {
            launcher: &self.launcher,
            clock: &self.clock,
            deadline: job.deadline,
            cancel: &job.cancel,
            log: &job.log,
        };
        let packages = self.packages.ensure(job.language, &job.dependencies, &interpreter, &asker).await?;
        let bytes = serde_json::to_vec(&job.input).map_err(|e| Error::internal(format!("write the input: {e}")))?;
        let (stdin, runner_input) = launch::input_files(&bytes)?;
        let (receiver, result) = launch::result_pipe()?;
        let run = self.dirs.create()?;
        let plan = Plan { policy: policy.clone(), interpreter, packages, stdin, runner_input, result };
        let launched = self.launcher.launch(self.order(&job, &run, plan)?).await?;
        let watch = Watch {
            policy: &policy,
            clock: &self.clock,
            deadline: job.deadline,
            cancel: &job.cancel,
            log: job.log.as_ref(),
            keep: script::keep(job.language, &policy),
            dir: run.path(),
        };
        let outcome = supervise(launched, Some(receiver), watch).await;
        // A script may leave many files: remove them off the threads that drive others.
        let _ = tokio::task::spawn_blocking(move || run.close()).await;
        let allowed = job.deadline.and_then(|deadline| u64::try_from(deadline - started).ok());
        script::verdict(job.language, &outcome, &policy, allowed, job.log.as_ref())
    }
}

/// A package.json and node_modules of the script's own: without them Node would take
/// those of some directory above.
fn prepare_node(run: &RunDir, packages: Option<&Path>) -> Result<()> {
    let failed = |e: std::io::Error| Error::unavailable(format!("prepare the script's directory: {e}"));
    let manifest = run.work().join("package.json");
    if !manifest.exists() {
        std::fs::write(&manifest, "{\"private\":true}\n").map_err(failed)?;
    }
    let modules = run.work().join("node_modules");
    match packages {
        Some(dir) if !modules.exists() => std::os::unix::fs::symlink(dir.join("node_modules"), modules).map_err(failed),
        _ => Ok(()),
    }
}

/// Whether a script can be given this environment variable.
pub(crate) fn check_variable(name: &str, value: &str) -> Result<()> {
    let word =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || !word {
        return Err(Error::invalid(format!("\"{}\" cannot name an environment variable", name.escape_debug()))
            .hint("use letters, digits and `_`"));
    }
    if name.starts_with("CODEX32_") {
        return Err(
            Error::invalid(format!("the environment variable {name} is set by the engine")).hint("choose another name")
        );
    }
    // The value may be secret: it is not shown.
    if value.contains('\0') {
        return Err(Error::invalid(format!("the value of the environment variable {name} holds a NUL character")));
    }
    Ok(())
}
