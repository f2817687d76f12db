//! Labels: what an execution asks of the worker that drives it.
//!
//! They are stored as one text, sorted, each between commas: `,eu,,gpu,`. So a database
//! can tell whether a worker has them all: nothing is left when its own are taken out.

use crate::blueprint::Native;
use std::sync::{Arc, PoisonError, RwLock};

/// The labels of a worker. They grow as the program registers functions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Arc<RwLock<Vec<String>>>);

impl Labels {
    pub(crate) fn new(labels: Vec<String>) -> Labels {
        Labels(Arc::new(RwLock::new(labels)))
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add(&self, label: String) {
        let mut labels = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !labels.contains(&label) {
            labels.push(label);
        }
    }

    /// Whether the worker can drive what asks for `stored`.
    pub(crate) fn fit(&self, stored: &str) -> bool {
        stored.is_empty() || fit(stored, &self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a worker must have that drives executions of this function: the function, in its
/// revision. No blueprint can ask for it by `runs_on`, since no label there has a colon.
pub(crate) fn of_native(native: &Native) -> String {
    match &native.revision {
        Some(revision) => format!("native:{}@{revision}", native.function),
        None => format!("native:{}", native.function),
    }
}

/// As they are stored.
pub(crate) fn stored(labels: &[String]) -> String {
    let mut sorted: Vec<&String> = labels.iter().collect();
    sorted.sort();
    sorted.dedup();
    sorted.into_iter().map(|label| wrapped(label)).collect()
}

/// One of them as it is stored.
pub(crate) fn wrapped(label: &str) -> String {
    format!(",{label},")
}

/// What is stored, one by one.
pub(crate) fn read(stored: &str) -> Vec<String> {
    stored.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

/// What of `asked` a worker with `labels` does not have.
pub(crate) fn missing(asked: &[String], labels: &[String]) -> Vec<String> {
    asked.iter().filter(|label| !labels.contains(label)).cloned().collect()
}

/// Whether a worker with `labels` can drive what asks for `stored`.
fn fit(stored: &str, labels: &[String]) -> bool {
    stored.is_empty() || missing(&read(stored), labels).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn labels_are_stored_sorted_and_read_back() {
        assert_eq!(stored(&labels("gpu eu gpu")), ",eu,,gpu,");
        assert_eq!(read(",eu,,gpu,"), labels("eu gpu"));
        assert_eq!((stored(&[]), read("")), (String::new(), Vec::new()));
    }

    #[test]
    fn a_worker_needs_all_of_them() {
        assert!(fit("", &[]) && fit("", &labels("gpu")) && fit(",eu,,gpu,", &labels("gpu eu big")));
        assert!(!fit(",eu,,gpu,", &labels("gpu")) && !fit(",gpu,", &labels("gp gpus")));
        assert_eq!(missing(&labels("eu gpu"), &labels("eu")), labels("gpu"));
    }
}
