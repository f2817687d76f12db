//! Attempts to reach what a bot may not.

use crate::connector::testing::{Harness, serve};
use crate::error::Code;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server that counts its requests and redirects to where the query says.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let hits = Arc::new(AtomicUsize::new(0));
    let seen = hits.clone();
    let app = Router::new()
        .route("/to", any(|request: Request| async move { Redirect::temporary(request.uri().query().unwrap()) }))
        .route("/headers", any(|headers: HeaderMap| async move { format!("{headers:?}") }))
        .fallback(|| async { "reached" })
        .layer(axum::middleware::map_request(move |request: Request| {
            seen.fetch_add(1, Ordering::SeqCst);
            async move { request }
        }));
    (serve(app).await, hits)
}

async fn code(harness: &Harness, url: &str) -> Result<Value, Code> {
    harness.call("http.get", json!({"url": url})).await.map_err(|e| e.code())
}

#[tokio::test]
async fn an_undeclared_host_is_never_connected_to() {
    let (at, hits) = server().await;
    let port = at.port();
    let undeclared = Harness::new();
    let wrong_port = Harness::new().reaching(&[&format!("127.0.0.1:{}", if port == 1 { 2 } else { 1 })]);
    let mut not_admin = Harness::new().reaching(&["127.0.0.1"]);
    not_admin.cx.network.private_allowed = false;
    let only_name = Harness::with_names(&[("inside.example", &["127.0.0.1"])]).reaching(&["inside.example", "*"]);
    for (what, harness, host) in [
        ("undeclared", &undeclared, "127.0.0.1"),
        ("wrong port", &wrong_port, "127.0.0.1"),
        ("not deployed by an admin", &not_admin, "127.0.0.1"),
        ("a name that resolves to a private address", &only_name, "inside.example"),
    ] {
        assert_eq!(code(harness, &format!("http://{host}:{port}/")).await, Err(Code::Forbidden), "{what}");
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
    let declared = Harness::new().reaching(&[&at.to_string()]);
    assert_eq!(code(&declared, &format!("http://{at}/")).await.unwrap()["body"], "reached");
}

#[tokio::test]
async fn disguised_addresses_are_seen_through() {
    let (at, hits) = server().await;
    let port = at.port();
    // Everything public may be reached, and one private address that is not the server's.
    let harness = Harness::new().reaching(&["*", "10.0.0.1"]);
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::1]",
        "0.0.0.0",
        "0",
        "[::]",
        "１２７.０.０.１",
        "example.com@127.0.0.1",
        "example.com%40@127.0.0.1",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        assert_eq!(code(&harness, &format!("http://{host}:{port}/")).await, Err(Code::Forbidden), "{host}");
    }
    // Not even an admin's declaration opens metadata services.
    let admin = Harness::new().reaching(&["*", "169.254.169.254", "[::ffff:169.254.169.254]", "0.0.0.0"]);
    for host in ["169.254.169.254", "[::ffff:a9fe:a9fe]", "2852039166", "0.0.0.0", "[fe80::1]", "[fd00:ec2::254]"] {
        assert_eq!(code(&admin, &format!("http://{host}:{port}/")).await, Err(Code::Forbidden), "{host}");
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn every_hop_of_a_redirect_is_checked() {
    let (first, _) = server().await;
    let (second, hits) = server().await;
    let harness =
        Harness::with_names(&[("rebound.example", &["127.0.0.1"])]).reaching(&[&first.to_string(), "rebound.example"]);
    for target in [
        format!("http://{second}/"),
        format!("//{second}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://rebound.example:{}/", second.port()),
        format!("http://{first}@{second}/"),
        format!("http://[::ffff:127.0.0.1]:{}/", second.port()),
    ] {
        assert_eq!(code(&harness, &format!("http://{first}/to?{target}")).await, Err(Code::Forbidden), "{target}");
    }
    for target in ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "data:,x"] {
        assert_eq!(code(&harness, &format!("http://{first}/to?{target}")).await, Err(Code::Invalid), "{target}");
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
    // Where both are declared, it is followed.
    let both = Harness::new().reaching(&[&first.to_string(), &second.to_string()]);
    assert_eq!(
        code(&both, &format!("http://{first}/to?http://{second}/")).await.unwrap()["url"],
        format!("http://{second}/")
    );
    assert_eq!(hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_name_is_connected_to_only_at_its_allowed_addresses() {
    let (at, hits) = server().await;
    let names: &[(&'static str, &[&str])] = &[("both.example", &["169.254.169.254", "127.0.0.1"])];
    let harness = Harness::with_names(names).reaching(&["both.example", "127.0.0.1"]);
    assert_eq!(code(&harness, &format!("http://both.example:{}/", at.port())).await.unwrap()["body"], "reached");
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    // The same name, for a bot that may not: the open connection of the other is not used.
    let mut other = harness;
    other.cx.network.private_allowed = false;
    assert_eq!(code(&other, &format!("http://both.example:{}/", at.port())).await, Err(Code::Forbidden));
    assert_eq!(hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let (first, _) = server().await;
    let (second, _) = server().await;
    let harness = Harness::new().reaching(&[&first.to_string(), &second.to_string()]);
    let ask = |target: SocketAddr| {
        let url = format!("http://{first}/to?http://{target}/headers");
        let input =
            json!({"url": url, "auth": {"bearer": "s3cret-1"}, "headers": {"X-Api-Key": "s3cret-2", "Accept": "a/b"}});
        let harness = &harness;
        async move { harness.call("http.get", input).await.unwrap()["body"].as_str().unwrap().to_owned() }
    };
    let same = ask(first).await;
    assert!(same.contains("s3cret-1") && same.contains("s3cret-2"), "{same}");
    let other = ask(second).await;
    assert!(!other.contains("s3cret") && other.contains("a/b"), "{other}");
}

#[tokio::test]
async fn a_redirected_post_becomes_a_get_where_browsers_say_so() {
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let log = seen.clone();
    let app = Router::new()
        .route(
            "/from/{status}",
            any(|axum::extract::Path(status): axum::extract::Path<u16>| async move {
                (StatusCode::from_u16(status).unwrap(), [("location", "/end")]).into_response()
            }),
        )
        .route(
            "/end",
            any(move |request: Request| async move {
                let method = request.method().to_string();
                let body = axum::body::to_bytes(request.into_body(), 1_000).await.unwrap();
                log.lock().unwrap().push((method, String::from_utf8(body.to_vec()).unwrap()));
            }),
        );
    let at = serve(app).await;
    let harness = Harness::new().reaching(&[&at.to_string()]);
    for status in [301, 302, 303, 307, 308] {
        harness.call("http.post", json!({"url": format!("http://{at}/from/{status}"), "body": "x"})).await.unwrap();
    }
    let methods: Vec<_> = seen.lock().unwrap().iter().map(|(m, b)| format!("{m} {b}")).collect();
    assert_eq!(methods, ["GET ", "GET ", "GET ", "POST x", "POST x"]);
}

#[tokio::test]
async fn redirects_without_end_and_answers_without_end_are_ended() {
    let app = Router::new()
        .route("/loop", get(|| async { Redirect::temporary("/loop") }))
        .route("/big", get(|| async { vec![b'x'; 11 * 1024 * 1024] }))
        .route("/zip", get(zip_bomb));
    let at = serve(app).await;
    let harness = Harness::new().reaching(&[&at.to_string()]);
    assert_eq!(code(&harness, &format!("http://{at}/loop")).await, Err(Code::Failed));
    assert_eq!(code(&harness, &format!("http://{at}/big")).await, Err(Code::TooLarge));
    assert_eq!(code(&harness, &format!("http://{at}/zip")).await, Err(Code::TooLarge));
    let unfollowed = harness.call("http.get", json!({"url": format!("http://{at}/loop"), "follow": 0})).await.unwrap();
    assert_eq!((&unfollowed["status"], &unfollowed["headers"]["location"]), (&json!(307), &json!("/loop")));
}

/// 64 MiB of zeros in some kilobytes.
async fn zip_bomb() -> Response {
    use std::io::Write as _;
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(&vec![0u8; 64 * 1024 * 1024]).unwrap();
    ([("content-encoding", "gzip")], zip.finish().unwrap()).into_response()
}

#[tokio::test]
async fn a_request_ends_with_its_time_and_with_its_execution() {
    let arrived = Arc::new(tokio::sync::Notify::new());
    let bell = arrived.clone();
    let app = Router::new().fallback(move || async move {
        bell.notify_one();
        std::future::pending::<String>().await
    });
    let at = serve(app).await;
    let harness = Harness::new().reaching(&[&at.to_string()]);
    let slow = harness.call("http.get", json!({"url": format!("http://{at}/"), "timeout": "50ms"})).await;
    assert_eq!(slow.unwrap_err().code(), Code::Timeout);
    let mut hurried = Harness::new().reaching(&[&at.to_string()]);
    hurried.cx.deadline = Some(hurried.cx.clock.now() + 50);
    assert_eq!(code(&hurried, &format!("http://{at}/")).await, Err(Code::Timeout));
    arrived.notified().await;
    let cancel = harness.cx.cancel.clone();
    let url = format!("http://{at}/");
    let (answer, ()) = tokio::join!(code(&harness, &url), async {
        arrived.notified().await;
        cancel.cancel();
    });
    assert_eq!(answer, Err(Code::Cancelled));
}

#[tokio::test]
async fn errors_name_the_host_and_no_secret() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let harness = Harness::new().reaching(&["127.0.0.1"]);
    let url = format!("http://user:s3cret@{dead}/s3cret?key=s3cret");
    let e = harness.call("http.get", json!({"url": url})).await.unwrap_err();
    assert_eq!(e.code(), Code::Unavailable);
    assert!(!e.to_string().contains("s3cret") && e.to_string().contains("127.0.0.1"), "{e}");
}
