//! The functions that the program has registered.

use super::ctx::Ctx;
use crate::error::{Error, Result};
use futures::future::BoxFuture;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A function that becomes a durable workflow. Every `async` function of a [`Ctx`] and an
/// input is one.
pub trait DurableFunction: Send + Sync + 'static {
    /// Runs it from its start.
    fn run(&self, ctx: Ctx, input: Value) -> BoxFuture<'static, Result<Value>>;

    /// Returns when what the function was told has had its effect: it has asked for what it
    /// asks next. At once for a function that goes on within [`DurableFunction::run`].
    fn settle(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl<F, Fut> DurableFunction for F
where
    F: Fn(Ctx, Value) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Value>> + Send + 'static,
{
    fn run(&self, ctx: Ctx, input: Value) -> BoxFuture<'static, Result<Value>> {
        Box::pin(self(ctx, input))
    }
}

/// Functions by the label that an execution asks for them with.
#[derive(Default)]
pub(crate) struct Functions(RwLock<HashMap<String, Arc<dyn DurableFunction>>>);

impl Functions {
    pub(crate) fn insert(&self, label: String, function: Arc<dyn DurableFunction>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(label, function);
    }

    /// # Errors
    /// `unavailable`: another process, or this one later, may have it.
    pub(crate) fn get(&self, label: &str) -> Result<Arc<dyn DurableFunction>> {
        let functions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        functions.get(label).cloned().ok_or_else(|| {
            Error::unavailable(format!("this program has not registered the function \"{label}\""))
                .hint("register it before the engine is started")
        })
    }
}
