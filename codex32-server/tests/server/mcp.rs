//! The tools, over HTTP by hand and over a pipe by a real client.

use crate::support::{Fixture, SOON, problem};
use codex32_core::api::door::Door;
use codex32_core::api::{self, Surface};
use codex32_server::mcp;
use reqwest::{RequestBuilder, Response};
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

fn post(server: &Fixture, body: &Value) -> RequestBuilder {
    server
        .plain("POST", "/mcp")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-06-18")
        .json(body)
}

fn call(tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

async fn answered(response: Response) -> Value {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_request_without_a_token_of_its_own_reaches_no_tool() {
    let server = Fixture::start().await;
    let body = call("system_version", &json!({}));
    problem(post(&server, &body).send().await.unwrap(), 401).await;
    problem(post(&server, &body).bearer_auth("c32_none").send().await.unwrap(), 401).await;
    let cookie = format!("codex32_session={}", server.token);
    let by_cookie = post(&server, &body).header("cookie", cookie).header("x-codex32", "1");
    problem(by_cookie.send().await.unwrap(), 401).await;
    // A session that another request began helps nobody.
    let with_session = post(&server, &body).header("mcp-session-id", "1");
    problem(with_session.send().await.unwrap(), 401).await;
}

#[tokio::test]
async fn tools_are_listed_and_called_over_http() {
    let server = Fixture::start().await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let listed = answered(post(&server, &list).bearer_auth(&server.token).send().await.unwrap()).await;
    let names: Vec<&str> =
        listed["result"]["tools"].as_array().unwrap().iter().filter_map(|t| t["name"].as_str()).collect();
    let expected: Vec<String> = api::OPERATIONS
        .iter()
        .map(|o| o.meta())
        .filter(|m| m.offered_on(Surface::Mcp))
        .map(|m| m.name.replace('.', "_"))
        .collect();
    assert_eq!(names, expected);

    let good = post(&server, &call("system_version", &json!({}))).bearer_auth(&server.token).send().await.unwrap();
    let good = answered(good).await;
    assert_eq!(good["result"]["isError"], false);
    assert_eq!(good["result"]["structuredContent"]["name"], "codex32");
    let text = good["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), good["result"]["structuredContent"]);

    let bad = call("system_version", &json!({"no_such_field": 1}));
    let bad = answered(post(&server, &bad).bearer_auth(&server.token).send().await.unwrap()).await;
    assert_eq!(bad["result"]["isError"], true);
    assert_eq!(bad["result"]["structuredContent"]["code"], "invalid");

    let none =
        answered(post(&server, &call("no_such_tool", &json!({}))).bearer_auth(&server.token).send().await.unwrap());
    assert_eq!(none.await["error"]["code"], -32602);
}

#[tokio::test]
async fn a_stream_is_a_tool_that_gathers_items() {
    let server = Fixture::start().await;
    for number in 0..150 {
        let arguments = json!({ "name": "order.created", "data": { "number": number } });
        let body = call("system_publish", &arguments);
        let done = answered(post(&server, &body).bearer_auth(&server.token).send().await.unwrap()).await;
        assert_eq!(done["result"]["isError"], false, "{done}");
    }
    let body = call("system_events", &json!({ "after": 0 }));
    let first = answered(post(&server, &body).bearer_auth(&server.token).send().await.unwrap()).await;
    let first = &first["result"]["structuredContent"];
    assert_eq!(first["items"].as_array().unwrap().len(), 100);
    assert_eq!(first["ended"], false);
    let after: i64 = first["resume"].as_i64().unwrap();
    let body = call("system_events", &json!({ "after": after }));
    let second = answered(post(&server, &body).bearer_auth(&server.token).send().await.unwrap()).await;
    let items = second["result"]["structuredContent"]["items"].as_array().unwrap().clone();
    assert!(items.first().unwrap()["seq"].as_i64().unwrap() > after);
    assert_eq!(items.last().unwrap()["data"]["number"], 149);
}

#[tokio::test]
async fn another_host_or_origin_is_refused() {
    let server = Fixture::start().await;
    let body = call("system_version", &json!({}));
    let rebound = post(&server, &body).bearer_auth(&server.token).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 403);
    let foreign = post(&server, &body).bearer_auth(&server.token).header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let own = post(&server, &body).bearer_auth(&server.token).header("origin", &server.url);
    assert_eq!(own.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_works_over_a_pipe_as_its_caller() {
    let server = Fixture::start().await;
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let shutdown = CancellationToken::new();
    let (engine, caller) = (server.engine.clone(), server.caller().await);
    let end = shutdown.clone();
    let serving = tokio::spawn(async move {
        mcp::serve_over(Door::Embedded { engine, caller: Box::new(caller) }, tokio::io::split(ours), end).await
    });
    let client = timeout(SOON, ().serve(tokio::io::split(theirs))).await.unwrap().unwrap();
    let tools = timeout(SOON, client.list_all_tools()).await.unwrap().unwrap();
    assert!(tools.iter().any(|tool| tool.name == "system_version"));
    let result = timeout(SOON, client.call_tool(CallToolRequestParams::new("system_version"))).await.unwrap().unwrap();
    assert_eq!(result.is_error, Some(false));
    assert_eq!(result.structured_content.unwrap()["name"], "codex32");
    shutdown.cancel();
    timeout(SOON, serving).await.expect("it did not end").unwrap().unwrap();
}

#[tokio::test]
async fn standard_input_that_ends_at_once_is_no_error() {
    let server = Fixture::start().await;
    let (ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    let serving = mcp::serve_over(
        Door::Embedded { engine: server.engine.clone(), caller: Box::new(server.caller().await) },
        tokio::io::split(ours),
        CancellationToken::new(),
    );
    timeout(SOON, serving).await.expect("it did not end").unwrap();
}
