//! `transform`: values computed by the templates of the step itself.

use crate::connector::input::no_action;
use crate::connector::{ActionContext, Connector};
use crate::error::Result;
use serde_json::Value;

pub(super) struct Transform;

#[async_trait::async_trait]
impl Connector for Transform {
    fn name(&self) -> &str {
        "transform"
    }

    async fn call(&self, action: &str, _cx: &ActionContext, input: Value) -> Result<Value> {
        self.compute(action, input)
    }

    fn computes(&self, _action: &str) -> bool {
        true
    }

    fn compute(&self, action: &str, mut input: Value) -> Result<Value> {
        match action {
            // The templates in it were computed before the step began.
            "value" => Ok(input["value"].take()),
            _ => Err(no_action("transform", action)),
        }
    }
}
