//! A program whose own function is a durable workflow: an order is charged once, waits for
//! its parcel without costing anything, and goes on after a crash where it stood.
//!
//! `cargo run -p codex32-examples --bin order -- 42`

use codex32_core::engine::{Config, Engine};
use codex32_core::execution::{Ctx, StepOptions};
use codex32_core::{Error, Result};
use serde_json::{Value, json};
use std::time::Duration;

async fn order(ctx: Ctx, input: Value) -> Result<Value> {
    let amount = input["amount"].clone();
    let charge = move |attempt: codex32_core::execution::Attempt| {
        let amount = amount.clone();
        // The key is the same for every attempt, so that whoever is paid charges once.
        async move { Ok(json!({"charged": amount, "key": attempt.idempotency_key})) }
    };
    let options = StepOptions { retry: Some(Default::default()), ..StepOptions::default() };
    let receipt: Value = ctx.step_with("charge", options, charge).await?;
    ctx.log("charged");
    let parcel = ctx.signal("parcel").await?;
    let mail = move || async move { Ok("sent".to_owned()) };
    let sent: String = ctx.step("mail", mail).await?;
    Ok(json!({"charged": receipt["charged"], "parcel": parcel["number"], "mail": sent}))
}

#[tokio::main]
async fn main() -> Result<()> {
    let amount: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(42);
    let folder = std::env::temp_dir().join(format!("codex32-order-{}", std::process::id()));
    let engine = Engine::open(Config::in_folder(&folder)).await?;
    engine.workflow("order", order).await?;
    engine.start().await?;
    let me = engine.local_owner().await?;
    let started = json!({"bot": "order", "input": {"amount": amount}});
    let started = engine.call(Some(&me), "executions.start", started).await?;
    let signal = json!({"id": started["id"], "name": "parcel", "payload": {"number": "P-1"}});
    engine.call(Some(&me), "executions.signal", signal).await?;
    let id = serde_json::from_value(started["id"].clone()).map_err(|e| Error::internal(e.to_string()))?;
    let done = engine.executor().wait(me.workspace, id, Duration::from_secs(60)).await?;
    println!("{}", done.output.unwrap_or_default());
    engine.shutdown().await;
    std::fs::remove_dir_all(&folder).map_err(|e| Error::unavailable(format!("clear {}: {e}", folder.display())))
}
