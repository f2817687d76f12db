//! The runtimes of an engine, by name.

use super::{Job, NativeActions, Runtime};
use crate::error::{Code, Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The runtimes of an engine: `process` and what the embedding program adds. Functions
/// of the embedding program are not run by a [`Runtime`] but called as actions; they are
/// kept here, too, since they are code that runs.
#[derive(Clone, Default)]
pub struct Runtimes {
    runtimes: BTreeMap<&'static str, Arc<dyn Runtime>>,
    natives: NativeActions,
}

impl Runtimes {
    /// With `process` as the runtime of scripts.
    #[must_use]
    pub fn new(process: Arc<dyn Runtime>) -> Self {
        Runtimes::default().with(process)
    }

    /// With one more, in place of an earlier one of the same name.
    #[must_use]
    pub fn with(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.runtimes.insert(runtime.name(), runtime);
        self
    }

    /// The runtime `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Runtime>> {
        self.runtimes.get(name)
    }

    /// Names of all.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.runtimes.keys().copied().collect()
    }

    /// Functions of the embedding program.
    #[must_use]
    pub fn natives(&self) -> &NativeActions {
        &self.natives
    }

    /// Runs a script in the first runtime that takes it, `process` being the last to be asked.
    ///
    /// # Errors
    /// As [`Runtime::run`]; `unsupported` in an engine without a runtime for scripts.
    pub async fn run(&self, job: Job) -> Result<Value> {
        let special = self.runtimes.values().find(|runtime| runtime.name() != "process" && runtime.takes(&job));
        match special.or_else(|| self.get("process")) {
            Some(runtime) => runtime.run(job).await,
            None => Err(Error::new(Code::Unsupported, "this engine has no runtime for scripts")),
        }
    }
}
