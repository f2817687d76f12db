//! A program with a bot inside: one of its own functions is a step, and no server runs.
//!
//! `cargo run -p codex32-examples --bin hello -- Ada`

use codex32_core::engine::{Config, Engine};
use codex32_core::sandbox::NativeAction;
use codex32_core::{Error, Result};
use serde_json::{Value, json};
use std::sync::Arc;

const BLUEPRINT: &str = "
codex32: v1
name: hello
steps:
  - id: shout
    use: native.shout
    with: {text: \"hello {{ input.name }}\"}
";

#[tokio::main]
async fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "world".to_owned());
    let folder = std::env::temp_dir().join(format!("codex32-hello-{}", std::process::id()));
    let engine = Engine::open(Config::in_folder(&folder)).await?;
    engine.register_action(
        NativeAction::new("shout").summary("Says it louder"),
        Arc::new(|input, _context| {
            Box::pin(async move { Ok(Value::from(input["text"].as_str().unwrap_or_default().to_uppercase())) })
        }),
    )?;
    engine.start().await?;
    let me = engine.local_owner().await?;
    engine.call(Some(&me), "bots.create", json!({ "blueprint": BLUEPRINT })).await?;
    engine.call(Some(&me), "deployments.create", json!({ "bot": "hello" })).await?;
    let run = json!({ "bot": "hello", "input": { "name": name }, "wait": true });
    let done = engine.call(Some(&me), "executions.start", run).await?;
    println!("{}", done["output"].as_str().unwrap_or_default());
    engine.shutdown().await;
    std::fs::remove_dir_all(&folder).map_err(|e| Error::unavailable(format!("clear {}: {e}", folder.display())))
}
