//! Functions of the program that drive executions in place of steps.

use super::Executor;
use crate::blueprint::Native;
use crate::execution::labels;
use crate::execution::native::DurableFunction;
use std::sync::Arc;

impl Executor {
    /// From now on this executor drives the executions of bots that name this function in
    /// this revision. A function that was registered as the same takes its place for
    /// executions that are taken up from now on.
    pub async fn register(&self, native: &Native, function: Arc<dyn DurableFunction>) {
        let label = labels::of_native(native);
        self.inner.functions.insert(label.clone(), function);
        // Only then: what is claimed finds its function.
        self.inner.store.labels.add(label);
        if self.inner.is_running() {
            self.inner.beat().await;
            self.inner.ready.notify_one();
        }
    }
}
