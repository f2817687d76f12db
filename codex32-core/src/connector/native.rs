//! Actions that are functions of the embedding program.

use super::{ActionContext, Connector};
use crate::error::{Error, Result};
use futures::future::BoxFuture;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A function that performs an action.
pub type ActionFn = Arc<dyn Fn(ActionContext, Value) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

/// A connector whose actions are functions, added one by one.
pub(super) struct Native {
    name: String,
    actions: RwLock<HashMap<String, ActionFn>>,
}

impl Native {
    pub(super) fn new(name: &str) -> Native {
        Native { name: name.to_owned(), actions: RwLock::default() }
    }

    pub(super) fn add(&self, action: &str, run: ActionFn) {
        self.actions.write().unwrap_or_else(PoisonError::into_inner).insert(action.to_owned(), run);
    }
}

#[async_trait::async_trait]
impl Connector for Native {
    fn name(&self) -> &str {
        &self.name
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        let run = self.actions.read().unwrap_or_else(PoisonError::into_inner).get(action).cloned();
        let run = run.ok_or_else(|| Error::not_found("action", format!("{}.{action}", self.name)))?;
        run(cx.clone(), input).await
    }
}
