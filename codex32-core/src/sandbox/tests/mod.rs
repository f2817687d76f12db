//! Scripts run for real, with the interpreters of this machine.

mod engine_death;
#[cfg(feature = "kubernetes")]
pub(crate) mod kubernetes;
mod limits;
mod native;
mod node;
mod packages;
mod python;
mod shell;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::observe::Stream;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// Lines as they came, and a way to wait for one.
#[derive(Default)]
pub(super) struct Lines {
    all: Mutex<Vec<(Stream, String)>>,
    count: tokio::sync::watch::Sender<usize>,
}

impl LogSink for Lines {
    fn line(&self, stream: Stream, text: &str) {
        let mut all = self.all.lock().unwrap();
        all.push((stream, text.to_owned()));
        self.count.send_replace(all.len());
    }
}

impl Lines {
    pub(super) fn of(&self, wanted: Stream) -> Vec<String> {
        self.all.lock().unwrap().iter().filter(|(stream, _)| *stream == wanted).map(|(_, text)| text.clone()).collect()
    }

    #[cfg(feature = "kubernetes")]
    pub(super) fn all(&self) -> Vec<(Stream, String)> {
        self.all.lock().unwrap().clone()
    }

    pub(super) fn text(&self) -> String {
        self.all.lock().unwrap().iter().map(|(_, text)| format!("{text}\n")).collect()
    }

    /// The rest of the first line that begins with `prefix`, once it is there.
    pub(super) async fn wait_for(&self, prefix: &str) -> String {
        let mut count = self.count.subscribe();
        loop {
            let found =
                self.all.lock().unwrap().iter().find_map(|(_, text)| text.strip_prefix(prefix).map(str::to_owned));
            match found {
                Some(rest) => return rest,
                None => count.changed().await.unwrap(),
            }
        }
    }
}

/// The first attempt of a step.
pub(super) fn job(log: Arc<Lines>, language: Language, code: &str, input: Value) -> Job {
    Job {
        workspace: WorkspaceId::at(0),
        bot: BotId::at(0),
        execution: ExecutionId::at(0),
        step: "work".to_owned(),
        attempt: 1,
        idempotency_key: "key-1".to_owned(),
        language,
        code: code.to_owned(),
        files: Arc::default(),
        input,
        env: Vec::new(),
        dependencies: Dependencies::default(),
        limits: Limits::default(),
        runs_on: Vec::new(),
        permissions: Arc::default(),
        deadline: None,
        cancel: CancellationToken::new(),
        left: CancellationToken::new(),
        log,
    }
}

/// A runtime in a directory of its own.
pub(super) struct Rig {
    pub(super) runtime: ProcessRuntime,
    pub(super) log: Arc<Lines>,
    pub(super) dir: TempDir,
}

pub(super) fn host_env(more: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let more = more.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("CODEX32_")).chain(more).collect()
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Arc::new(SystemClock), host_env(&[]))
    }

    pub(super) fn with(clock: Arc<dyn Clock>, env: Vec<(OsString, OsString)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ProcessConfig::new(dir.path(), env);
        config.grace = Duration::from_millis(50);
        let runtime = ProcessRuntime::new(config, clock).unwrap();
        Rig { runtime, log: Arc::default(), dir }
    }

    pub(super) fn job(&self, language: Language, code: &str, input: Value) -> Job {
        job(self.log.clone(), language, code, input)
    }

    pub(super) async fn run(&self, language: Language, code: &str, input: Value) -> Result<Value> {
        self.runtime.run(self.job(language, code, input)).await
    }

    /// Nothing of any run is left on the disk.
    pub(super) fn assert_clean(&self) {
        let engines: Vec<_> = std::fs::read_dir(self.dir.path().join("run")).unwrap().flatten().collect();
        for engine in engines.iter().filter(|entry| entry.file_type().unwrap().is_dir()) {
            let left: Vec<_> = std::fs::read_dir(engine.path()).unwrap().flatten().map(|e| e.file_name()).collect();
            assert_eq!(left, ["lock"]);
        }
    }
}

/// Whether a process lives: neither gone nor a zombie.
pub(super) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z") && !rest.starts_with(" X"))
}

pub(super) fn files(pairs: &[(&str, &str)]) -> Arc<BTreeMap<String, String>> {
    Arc::new(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}
