//! Webhooks and approvals: the doors that need no account.

use crate::support::{Fixture, SOON, header, problem};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

const REPLIES: &str = r#"codex32: v1
name: leads
on:
  - webhook: leads
    require: [email]
    respond: reply
steps:
  - use: webhook.reply
    with: {status: 201, headers: {content-type: text/html, x-mine: "1"}, body: "<b>{{ input.email }}</b>"}
"#;

/// A bot that sends the link of its approval to `ADDRESS`.
const ASKS: &str = r#"codex32: v1
name: asks
on: [manual]
permissions: {network: ["ADDRESS"]}
steps:
  - id: ok
    wait:
      approval: "Ship <b>{{ input.what }}</b>?"
      ask: {use: http.post, with: {url: "http://ADDRESS/", json: {link: "{{ approval.approve_url }}"}}}
output: "{{ steps.ok }}"
"#;

async fn make(server: &Fixture, blueprint: &str, name: &str) {
    let made = server.owner("POST", "/api/v1/bots").json(&json!({ "blueprint": blueprint })).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let path = format!("/api/v1/bots/{name}/deployments");
    let deployed = server.owner("POST", &path).json(&json!({})).send().await.unwrap();
    assert_eq!(deployed.status(), 201, "{}", deployed.text().await.unwrap());
}

async fn json_of(server: &Fixture, path: &str) -> Value {
    let response = server.owner("GET", path).send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_webhook_starts_a_bot_and_gets_its_answer_without_rights() {
    let server = Fixture::started().await;
    make(&server, REPLIES, "leads").await;
    let hook = || server.plain("POST", "/hooks/home/leads");
    let reply = hook().json(&json!({ "email": "ada@example.org" })).send().await.unwrap();
    assert_eq!(reply.status(), 201, "{}", reply.text().await.unwrap());
    assert_eq!(header(&reply, "content-type"), "text/html");
    assert!(header(&reply, "content-security-policy").starts_with("sandbox"));
    assert_eq!(header(&reply, "x-mine"), "1");
    assert_eq!(reply.text().await.unwrap(), "<b>ada@example.org</b>");

    problem(hook().json(&json!({ "name": "Ada" })).send().await.unwrap(), 422).await;
    let wrong = server.plain("PUT", "/hooks/home/leads").send().await.unwrap();
    assert_eq!(header(&wrong, "allow"), "POST");
    problem(wrong, 405).await;
    for path in ["/hooks/home/none", "/hooks/nowhere/leads", "/hooks/home/%FF"] {
        let none = server.plain("POST", path).json(&json!({})).send().await.unwrap();
        assert!([404, 422].contains(&none.status().as_u16()), "{path}");
    }
}

/// Somebody's mailbox: a server that keeps what is posted to it.
async fn mailbox() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (sender, letters) = mpsc::unbounded_channel();
    let keep = move |Json(letter): Json<Value>| async move { drop(sender.send(letter)) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(keep))).await });
    (address, letters)
}

/// Starts the bot that asks; gives the execution and the path of the link that it sent.
async fn ask(server: &Fixture) -> (String, String) {
    let (address, mut letters) = mailbox().await;
    make(server, &ASKS.replace("ADDRESS", &address), "asks").await;
    let input = json!({ "bot": "asks", "input": { "what": "it" } });
    let started: Value =
        server.owner("POST", "/api/v1/executions").json(&input).send().await.unwrap().json().await.unwrap();
    let id = started["id"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned();
    let letter = timeout(SOON, letters.recv()).await.expect("nobody was asked").unwrap();
    let link = letter["link"].as_str().unwrap();
    let path = link.split_once("/approve/").unwrap().1;
    (id, format!("/approve/{}", path.split('?').next().unwrap()))
}

async fn finished(server: &Fixture, id: &str) -> Value {
    let begun = Instant::now();
    loop {
        let execution = json_of(server, &format!("/api/v1/executions/{id}")).await;
        let status = execution["status"].as_str().or(execution["execution"]["status"].as_str()).unwrap_or_default();
        if ["succeeded", "failed", "cancelled"].contains(&status) {
            return execution;
        }
        assert!(begun.elapsed() < SOON, "it did not end: {execution}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn looking_at_an_approval_decides_nothing_and_the_button_does() {
    let server = Fixture::started().await;
    let (id, link) = ask(&server).await;
    for query in ["", "?answer=yes", "?answer=no"] {
        let page = server.plain("GET", &format!("{link}{query}")).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert_eq!(header(&page, "cache-control"), "no-store");
        let text = page.text().await.unwrap();
        assert!(text.contains("Ship &lt;b&gt;it&lt;/b&gt;?"), "{text}");
        assert!(!text.contains("<script"), "{text}");
    }
    let head = server.plain("HEAD", &format!("{link}?answer=yes")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    let unclear = server.plain("POST", &link).form(&[("answer", "perhaps")]).send().await.unwrap();
    assert_eq!(unclear.status(), 422);
    let answered = server.plain("POST", &link).form(&[("answer", "no"), ("comment", "not yet")]).send().await.unwrap();
    assert_eq!(answered.status(), 200);
    let execution = finished(&server, &id).await.to_string();
    assert!(execution.contains("\"approved\":false") && execution.contains("not yet"), "{execution}");
    let again = server.plain("POST", &link).form(&[("answer", "yes")]).send().await.unwrap();
    assert_eq!(again.status(), 409);
    assert_eq!(server.plain("GET", &link).send().await.unwrap().status(), 409);
}

#[tokio::test]
async fn a_program_may_post_to_the_link_as_it_stands() {
    let server = Fixture::started().await;
    let (id, link) = ask(&server).await;
    let answered = server.plain("POST", &format!("{link}?answer=yes")).send().await.unwrap();
    assert_eq!(answered.status(), 200);
    let execution = finished(&server, &id).await.to_string();
    assert!(execution.contains("\"approved\":true"), "{execution}");
}

#[tokio::test]
async fn a_token_that_asks_nothing_is_a_page_and_no_more() {
    let server = Fixture::start().await;
    for method in ["GET", "POST"] {
        let page = server.plain(method, "/approve/none?answer=yes").send().await.unwrap();
        assert_eq!(page.status(), 404);
        assert!(header(&page, "content-type").starts_with("text/html"));
    }
}

#[tokio::test]
async fn prometheus_reads_the_measures() {
    let server = Fixture::start().await;
    assert_eq!(server.plain("GET", "/api/v1/health").send().await.unwrap().status(), 200);
    let response = server.plain("GET", "/metrics").send().await.unwrap();
    assert!(header(&response, "content-type").starts_with("text/plain; version=0.0.4"));
    let text = response.text().await.unwrap();
    assert!(text.contains("codex32_http_requests_total{"), "{text}");
    assert!(text.contains("route=\"/api/v1/health\""), "{text}");
}
