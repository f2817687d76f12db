//! The limit that webhooks are measured against: an axum handler that reads a JSON body
//! and answers, and does nothing else. Prints its address.

use axum::routing::post;
use axum::{Json, Router};
use codex32_benches::Failure;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({ "address": format!("http://{}", listener.local_addr()?) }));
    let answer = |Json(body): Json<Value>| async move { Json(json!({ "email": body["email"] })) };
    axum::serve(listener, Router::new().route("/hook", post(answer))).await?;
    Ok(())
}
