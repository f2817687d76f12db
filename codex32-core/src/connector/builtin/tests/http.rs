use crate::connector::testing::{Harness, serve};
use crate::error::Code;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{any, get, post};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;

/// Answers with what it was sent.
async fn echo(request: Request) -> axum::Json<Value> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1_000_000).await.unwrap();
    let headers: HashMap<_, _> =
        parts.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
    axum::Json(json!({
        "method": parts.method.as_str(), "path": parts.uri.path(), "query": parts.uri.query(),
        "headers": headers, "body": String::from_utf8_lossy(&body),
    }))
}

async fn server() -> (SocketAddr, Harness) {
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/v1/{*path}", any(echo))
        .route("/text", get(|| async { "plain" }))
        .route(
            "/latin",
            get(|| async { ([("content-type", "text/plain; charset=ISO-8859-1")], &b"Gr\xfc\xdfe \x80"[..]) }),
        )
        .route("/png", get(|| async { ([("content-type", "image/png")], &b"\x89PNG\xff"[..]) }))
        .route("/bad-json", get(|| async { ([("content-type", "application/json")], "{oops") }))
        .route("/none", get(|| async { StatusCode::NO_CONTENT }))
        .route(
            "/cookies",
            get(|| async { ([("set-cookie", "a=1")], axum::response::AppendHeaders([("set-cookie", "b=2")]), "") }),
        )
        .route(
            "/status/{code}",
            any(|axum::extract::Path(code): axum::extract::Path<u16>| async move {
                (StatusCode::from_u16(code).unwrap(), [("retry-after", "7")], "because")
            }),
        );
    let at = serve(app).await;
    (at, Harness::new().reaching(&[&at.to_string()]))
}

#[tokio::test]
async fn each_method_sends_its_own_and_the_step_s_key() {
    let (at, harness) = server().await;
    let url = format!("http://{at}/echo");
    for (action, method) in [("get", "GET"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")]
    {
        let sent = harness.call(&format!("http.{action}"), json!({"url": url})).await.unwrap()["body"].clone();
        assert_eq!(sent["method"], method);
        let key = sent["headers"].get("idempotency-key").cloned().unwrap_or_default();
        assert_eq!(key, if method == "GET" { Value::Null } else { json!("key-1") }, "{method}");
        assert!(sent["headers"]["user-agent"].as_str().unwrap().starts_with("codex32/"));
    }
    let sent = harness.call("http.request", json!({"method": "options", "url": url})).await.unwrap();
    assert_eq!(sent["body"]["method"], "OPTIONS");
    let bad = harness.call("http.request", json!({"method": "GET X", "url": url})).await.unwrap_err();
    assert_eq!(bad.code(), Code::Invalid);
}

#[tokio::test]
async fn bodies_queries_and_headers_arrive() {
    let (at, harness) = server().await;
    let url = format!("http://{at}/echo?a=1");
    let send = |more: Value| {
        let mut input = json!({"url": url});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let harness = &harness;
        async move { harness.call("http.post", input).await.map(|out| out["body"].clone()) }
    };
    let sent = send(json!({"json": {"x": [1, null]}})).await.unwrap();
    assert_eq!(
        (&sent["body"], &sent["headers"]["content-type"]),
        (&json!(r#"{"x":[1,null]}"#), &json!("application/json"))
    );
    let sent = send(json!({"json": null})).await.unwrap();
    assert_eq!(sent["body"], "null");
    let sent = send(json!({"form": {"a b": "ä&c", "n": 1, "gone": null}})).await.unwrap();
    assert_eq!(sent["body"], "a+b=%C3%A4%26c&n=1");
    let sent = send(json!({"body": "<x/>", "headers": {"content-type": "text/xml", "X-Own": 5}})).await.unwrap();
    assert_eq!((&sent["body"], &sent["headers"]["content-type"]), (&json!("<x/>"), &json!("text/xml")));
    assert_eq!(sent["headers"]["x-own"], "5");
    let sent = send(json!({"query": {"b": "x y", "c": [1, 2], "d": null}})).await.unwrap();
    assert_eq!(sent["query"], "a=1&b=x+y&c=1&c=2");
    let files = json!([{"name": "f", "filename": "a\"b.csv", "text": "1,2"}, {"name": "g", "filename": "x.bin", "base64": "AAE="}]);
    let sent = send(json!({"multipart": {"fields": {"k": "v"}, "files": files}})).await.unwrap();
    let body = sent["body"].as_str().unwrap();
    for piece in [
        "name=\"k\"\r\n\r\nv\r\n",
        "filename=\"a%22b.csv\"\r\nContent-Type: text/csv\r\n\r\n1,2",
        "\r\n\r\n\0\u{1}\r\n",
    ] {
        assert!(body.contains(piece), "{piece:?} not in {body:?}");
    }
    for wrong in [
        json!({"json": 1, "body": "x"}),
        json!({"headers": {"a b": "c"}}),
        json!({"headers": {"a": "b\r\nc: d"}}),
        json!({"headers": {"Host": "x"}}),
    ] {
        assert_eq!(send(wrong.clone()).await.unwrap_err().code(), Code::Invalid, "{wrong}");
    }
}

#[tokio::test]
async fn every_kind_of_authentication_is_sent_and_not_shown() {
    let (at, harness) = server().await;
    let url = format!("http://{at}/echo");
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("me:p:w"));
    for (auth, header, value) in [
        (json!({"basic": {"user": "me", "password": "p:w"}}), "authorization", basic.as_str()),
        (json!({"bearer": "t0ken"}), "authorization", "Bearer t0ken"),
        (json!({"header": {"name": "X-Api-Key", "value": "k"}}), "x-api-key", "k"),
    ] {
        let out = harness.call("http.get", json!({"url": url, "auth": auth})).await.unwrap();
        assert_eq!(out["body"]["headers"][header], value);
    }
    let auth = json!({"query": {"name": "key", "value": "s3cret"}});
    let out = harness.call("http.get", json!({"url": format!("{url}?a=1"), "auth": auth})).await.unwrap();
    assert_eq!((&out["body"]["query"], &out["url"]), (&json!("a=1&key=s3cret"), &json!(format!("{url}?a=1"))));
    let out = harness.call("http.get", json!({"url": format!("http://me:p%3Aw@{at}/echo")})).await.unwrap();
    assert_eq!((&out["body"]["headers"]["authorization"], &out["url"]), (&json!(basic), &json!(url)));
}

#[tokio::test]
async fn a_connection_s_credentials_go_to_its_own_origin_only() {
    let (at, _) = server().await;
    let (other, _) = server().await;
    let connection =
        json!({"base_url": format!("http://{at}/v1"), "auth": {"bearer": "s3cret"}, "headers": {"X-Own": "s3cret"}});
    let harness = Harness::new().reaching(&[&other.to_string()]).connected(connection);
    let own = harness.call("http.get", json!({"url": "/orders"})).await.unwrap();
    assert_eq!(
        (&own["body"]["path"], &own["body"]["headers"]["authorization"]),
        (&json!("/v1/orders"), &json!("Bearer s3cret"))
    );
    assert_eq!(own["body"]["headers"]["x-own"], "s3cret");
    let foreign = harness.call("http.get", json!({"url": format!("http://{other}/echo")})).await.unwrap();
    assert!(!foreign["body"].to_string().contains("s3cret"), "{foreign}");
    let without = Harness::new().call("http.get", json!({"url": "/orders"})).await.unwrap_err();
    assert_eq!((without.code(), without.faults()[0].pointer.as_str()), (Code::Invalid, "/url"));
}

#[tokio::test]
async fn answers_are_read_by_their_type() {
    let (at, harness) = server().await;
    let get = |path: &str, response: &str| {
        let input = json!({"url": format!("http://{at}{path}"), "response": response});
        let harness = &harness;
        async move { harness.call("http.get", input).await }
    };
    assert_eq!(get("/text", "auto").await.unwrap()["body"], "plain");
    assert_eq!(get("/latin", "auto").await.unwrap()["body"], "Grüße €");
    assert_eq!(get("/png", "auto").await.unwrap()["body"], "iVBOR/8=");
    assert_eq!(get("/text", "bytes").await.unwrap()["body"], "cGxhaW4=");
    assert_eq!(get("/bad-json", "auto").await.unwrap()["body"], "{oops");
    assert_eq!(get("/bad-json", "json").await.unwrap_err().code(), Code::Failed);
    assert_eq!(get("/none", "auto").await.unwrap()["body"], Value::Null);
    assert_eq!(get("/cookies", "auto").await.unwrap()["headers"]["set-cookie"], "a=1, b=2");
    assert!(get("/echo", "text").await.unwrap()["body"].as_str().unwrap().starts_with('{'));
}

#[tokio::test]
async fn statuses_become_errors_that_tell_whether_to_retry() {
    let (at, harness) = server().await;
    let get = |status: u16, allow: &[u16]| {
        let input = json!({"url": format!("http://{at}/status/{status}"), "allow_status": allow});
        let harness = &harness;
        async move { harness.call("http.get", input).await }
    };
    for (status, code, retry) in [
        (400, Code::Failed, None),
        (401, Code::Failed, None),
        (404, Code::Failed, None),
        (408, Code::Timeout, Some(7_000)),
        (429, Code::RateLimited, Some(7_000)),
        (500, Code::Unavailable, Some(7_000)),
        (503, Code::Unavailable, Some(7_000)),
        (504, Code::Timeout, Some(7_000)),
    ] {
        let e = get(status, &[]).await.unwrap_err();
        assert_eq!((e.code(), e.retry_after()), (code, retry), "{status}");
        assert!(e.to_string().contains(&status.to_string()) && e.to_string().contains("because"), "{e}");
    }
    assert_eq!(get(404, &[404]).await.unwrap()["status"], 404);
}

#[tokio::test]
async fn pages_are_gathered() {
    async fn page(
        State(kind): State<&'static str>,
        Query(query): Query<HashMap<String, String>>,
    ) -> axum::response::Response {
        let n: u32 = query.get("page").map_or(1, |p| p.parse().unwrap());
        let items: Vec<u32> = if n <= 3 { vec![n * 10, n * 10 + 1] } else { Vec::new() };
        match kind {
            "link" if n < 3 => {
                let link = format!("</other>; rel=\"prev\", </link?page={}>; rel=\"next\"", n + 1);
                ([("link", link)], axum::Json(json!(items))).into_response()
            }
            "next" => {
                let next = (n < 3).then(|| format!("/next?page={}", n + 1));
                axum::Json(json!({"data": {"items": items}, "next": next})).into_response()
            }
            _ => axum::Json(json!(items)).into_response(),
        }
    }
    let route = |kind| get(page).with_state(kind);
    let app = Router::new().route("/link", route("link")).route("/next", route("next")).route("/page", route("page"));
    let app = app.route("/away", get(|| async { axum::Json(json!({"items": [1], "next": "http://127.0.0.2/"})) }));
    let at = serve(app).await;
    let harness = Harness::new().reaching(&[&at.to_string()]);
    let all = |path: &str, paginate: Value| {
        let input = json!({"url": format!("http://{at}/{path}"), "paginate": paginate});
        let harness = &harness;
        async move { harness.call("http.get", input).await }
    };
    let expected = json!([10, 11, 20, 21, 30, 31]);
    let out = all("link", json!({"by": "link"})).await.unwrap();
    assert_eq!((&out["body"], &out["pages"]), (&expected, &json!(3)));
    let out = all("next", json!({"by": "next", "next": "/next", "items": "/data/items"})).await.unwrap();
    assert_eq!((&out["body"], &out["pages"]), (&expected, &json!(3)));
    let out = all("page", json!({"by": "page"})).await.unwrap();
    assert_eq!((&out["body"], &out["pages"]), (&expected, &json!(4)));
    let out = all("page", json!({"by": "page", "max_pages": 2})).await.unwrap();
    assert_eq!(out["body"], json!([10, 11, 20, 21]));
    assert_eq!(all("next", json!({"by": "next"})).await.unwrap_err().code(), Code::Invalid);
    assert_eq!(all("next", json!({"by": "page"})).await.unwrap_err().code(), Code::Failed);
    let away = all("away", json!({"by": "next", "next": "/next", "items": "/items"})).await.unwrap_err();
    assert_eq!(away.code(), Code::Failed);
}

#[tokio::test]
async fn a_dead_host_is_an_answer_to_check() {
    let (at, harness) = server().await;
    let check = |input: Value| harness.call("http.check", input);
    let up = check(json!({"url": format!("http://{at}/text")})).await.unwrap();
    assert_eq!((&up["up"], &up["status"], &up["error"]), (&json!(true), &json!(200), &Value::Null));
    let down = check(json!({"url": format!("http://{at}/status/500")})).await.unwrap();
    assert_eq!((&down["up"], &down["status"]), (&json!(false), &json!(500)));
    let text = check(json!({"url": format!("http://{at}/text"), "expect_text": "other"})).await.unwrap();
    assert_eq!(text["up"], false);
    let text =
        check(json!({"url": format!("http://{at}/text"), "expect_text": "lai", "expect_status": 200})).await.unwrap();
    assert_eq!(text["up"], true);
    let status = check(json!({"url": format!("http://{at}/status/418"), "expect_status": 418})).await.unwrap();
    assert_eq!(status["up"], true);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let harness = Harness::with_names(&[]).reaching(&["127.0.0.1", "nowhere.example"]);
    for url in [format!("http://{dead}/"), "http://nowhere.example/".to_owned()] {
        let gone = harness.call("http.check", json!({"url": url})).await.unwrap();
        assert_eq!((&gone["up"], &gone["status"]), (&json!(false), &Value::Null), "{url}");
        assert!(gone["error"].is_string());
    }
    // What the bot may not reach is a mistake in the bot and not a host that is down.
    let forbidden = harness.call("http.check", json!({"url": "http://10.0.0.1/"})).await.unwrap_err();
    assert_eq!(forbidden.code(), Code::Forbidden);
}

#[tokio::test]
async fn an_outgoing_webhook_is_signed_as_incoming_ones_are_checked() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let receive = |headers: HeaderMap, body: Bytes| async move {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"s3cret").unwrap();
        mac.update(&body);
        let right = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let given = headers.get("x-signature-256").map(|v| v.to_str().unwrap().to_owned());
        axum::Json(json!({"right": given == Some(right), "key": headers["idempotency-key"].to_str().unwrap()}))
    };
    let at = serve(Router::new().route("/hook", post(receive))).await;
    let harness = Harness::new().reaching(&[&at.to_string()]);
    let send = |secret: Value| {
        let mut input = json!({"url": format!("http://{at}/hook"), "json": {"a": "ä"}});
        if !secret.is_null() {
            input["secret"] = secret;
        }
        let harness = &harness;
        async move { harness.call("webhook.send", input).await.unwrap()["body"].clone() }
    };
    assert_eq!(send(json!("s3cret")).await, json!({"right": true, "key": "key-1"}));
    assert_eq!(send(json!("other")).await["right"], false);
    assert_eq!(send(Value::Null).await["right"], false);
}
