//! Limits, headers, and the end of the server.

use crate::support::{Fixture, SOON, header, problem};
use codex32_server::{ServerConfig, serve};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect() {
    let server = Fixture::start().await;
    for path in ["/", "/api/v1/health", "/api/v1/nothing", "/docs/redoc", "/mcp"] {
        let response = server.plain("GET", path).header("accept", "text/html").send().await.unwrap();
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&response, "cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(header(&response, "cross-origin-resource-policy"), "same-origin", "{path}");
        let policy = header(&response, "content-security-policy");
        for rule in ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!header(&response, "x-request-id").is_empty(), "{path}");
    }
    let page = server.plain("GET", "/").header("accept", "text/html").send().await.unwrap();
    assert!(
        header(&page, "content-security-policy").contains("script-src 'self' 'wasm-unsafe-eval'; style-src 'self';")
    );
}

#[tokio::test]
async fn an_id_of_a_request_is_kept_where_it_is_harmless() {
    let server = Fixture::start().await;
    let kept = server.plain("GET", "/api/v1/nothing").header("x-request-id", "job-7").send().await.unwrap();
    assert_eq!(problem(kept, 404).await["request_id"], "job-7");
    let replaced = server.plain("GET", "/api/v1/health").header("x-request-id", "a b<").send().await.unwrap();
    assert_ne!(header(&replaced, "x-request-id"), "a b<");
}

#[tokio::test]
async fn pages_of_other_sites_may_not_read_unless_they_are_named() {
    let closed = Fixture::start().await;
    let site = "https://other.example";
    let response = closed.owner("GET", "/api/v1/health").header("origin", site).send().await.unwrap();
    assert!(response.headers().get("access-control-allow-origin").is_none());
    let preflight = |server: &Fixture| {
        server
            .plain("OPTIONS", "/api/v1/health")
            .header("origin", site)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .send()
    };
    assert!(preflight(&closed).await.unwrap().headers().get("access-control-allow-origin").is_none());

    let open = Fixture::with(ServerConfig::at("127.0.0.1:0").with_origin(site)).await;
    let response = preflight(&open).await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), site);
    assert!(response.headers().get("access-control-allow-credentials").is_none());
    let foreign = open.owner("GET", "/api/v1/health").header("origin", "https://evil.example").send().await.unwrap();
    assert!(foreign.headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let config = ServerConfig { body_limit: 1_000, ..ServerConfig::at("127.0.0.1:0") };
    let server = Fixture::with(config).await;
    let request =
        || server.plain("POST", "/api/session").header("x-codex32", "1").header("content-type", "application/json");
    let response = request().body(vec![b' '; 1_001]).send().await.unwrap();
    assert_eq!(problem(response, 413).await["code"], "too_large");
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    let head = "POST /api/session HTTP/1.1\r\nhost: 127.0.0.1\r\nx-codex32: 1\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(format!("7d0\r\n{}\r\n0\r\n\r\n", " ".repeat(2_000)).as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn an_address_over_the_limit_is_refused() {
    let server = Fixture::start().await;
    let long = format!("/api/v1/health?x={}", "y".repeat(20_000));
    problem(server.plain("GET", &long).send().await.unwrap(), 413).await;
    let heads = server.plain("GET", "/api/v1/health").header("x-long", "y".repeat(100_000)).send().await;
    assert!(heads.map_or(true, |response| response.status().is_client_error()));
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_head_is_let_go() {
    let config = ServerConfig { header_timeout: Duration::from_millis(100), ..ServerConfig::at("127.0.0.1:0") };
    let server = Fixture::with(config).await;
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(b"GET /api/v1/health HTTP/1.1\r\nx-slow: ").await.unwrap();
    let mut rest = Vec::new();
    // The connection ends, with or without a word; it must not stay open.
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("the connection stayed open");
}

#[tokio::test]
async fn a_full_server_says_when_to_come_back() {
    let config = ServerConfig { concurrency: 1, ..ServerConfig::at("127.0.0.1:0") };
    let server = Fixture::with(config).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut slow = TcpStream::connect(&address).await.unwrap();
    let head = "POST /api/session HTTP/1.1\r\nhost: 127.0.0.1\r\nx-codex32: 1\r\ncontent-type: application/json\r\n\
                content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body once the handler reads it: then the one place is taken.
    let mut answer = vec![0; 25];
    timeout(SOON, slow.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    let response = server.plain("GET", "/api/v1/health").send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "retry-after"), "1");
    assert_eq!(header(&response, "content-type"), "application/problem+json");
}

#[tokio::test]
async fn a_shutdown_answers_what_is_under_way_and_takes_nothing_new() {
    let mut server = Fixture::start().await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let body = json!({ "token": server.token }).to_string();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/session HTTP/1.1\r\nhost: 127.0.0.1\r\nx-codex32: 1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 25];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    server.shutdown.cancel();
    // The listener closes at once.
    timeout(SOON, async {
        while TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await
        }
    })
    .await
    .unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let serving = server.serving.take().unwrap();
    timeout(SOON, serving.wait()).await.expect("the server did not end").unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_clear_error() {
    let server = Fixture::start().await;
    let config = ServerConfig::at(server.url.trim_start_matches("http://"));
    let error = serve(server.engine.clone(), config, CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.code(), codex32_core::Code::Unavailable);
    assert!(error.hint_text().is_some());
}
