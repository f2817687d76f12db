//! `json`: JSON text and values.

use crate::connector::input::{no_action, read};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) struct Json;

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    text: String,
    #[serde(default)]
    lines: bool,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    pretty: bool,
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    default: Value,
}

#[async_trait::async_trait]
impl Connector for Json {
    fn name(&self) -> &str {
        "json"
    }

    async fn call(&self, action: &str, _cx: &ActionContext, input: Value) -> Result<Value> {
        self.compute(action, input)
    }

    fn computes(&self, _action: &str) -> bool {
        true
    }

    fn compute(&self, action: &str, input: Value) -> Result<Value> {
        let input: Input = read(input)?;
        match action {
            "parse" if input.lines => {
                let lines = input.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
                let values: Result<Vec<Value>> = lines.map(|(n, line)| parse(line, n + 1)).collect();
                Ok(json!({"value": values?}))
            }
            "parse" => Ok(json!({"value": parse(&input.text, 1)?})),
            "format" => {
                let text = if input.pretty {
                    serde_json::to_string_pretty(&input.value)
                } else {
                    serde_json::to_string(&input.value)
                };
                Ok(json!({"text": text.map_err(|e| Error::internal(format!("a value is no JSON: {e}")))?}))
            }
            "query" => {
                let found = input.value.pointer(&input.pointer);
                Ok(json!({"found": found.is_some(), "value": found.unwrap_or(&input.default)}))
            }
            _ => Err(no_action("json", action)),
        }
    }
}

fn parse(text: &str, line: usize) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| {
        let (line, column) = (line + e.line().saturating_sub(1), e.column());
        Error::new(Code::Failed, format!("the text is no JSON at line {line}, column {column}"))
    })
}
