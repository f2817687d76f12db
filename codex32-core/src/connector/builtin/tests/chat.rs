use crate::connector::testing::{Harness, serve};
use crate::error::Code;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse as _;
use axum::routing::post;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

type Seen = Arc<Mutex<Vec<(String, String, Value)>>>;

/// Takes messages as the three services do: path, authorization and body are kept.
async fn services() -> (SocketAddr, Seen) {
    async fn keep(
        State(seen): State<Seen>,
        uri: Uri,
        headers: HeaderMap,
        body: axum::Json<Value>,
    ) -> axum::response::Response {
        let who = headers.get("authorization").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        seen.lock().unwrap().push((uri.to_string(), who, body.0.clone()));
        let limited = body["text"] == "too often" || body["content"] == "too often";
        match uri.path() {
            "/hook" if limited => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3")], "slow down").into_response(),
            "/hook" => "ok".into_response(),
            "/chat.postMessage" if limited => axum::Json(json!({"ok": false, "error": "ratelimited"})).into_response(),
            "/chat.postMessage" if body["channel"] == "#none" => {
                axum::Json(json!({"ok": false, "error": "channel_not_found"})).into_response()
            }
            "/chat.postMessage" => axum::Json(json!({"ok": true, "channel": "C1", "ts": "1.2"})).into_response(),
            path if path.starts_with("/bot") && limited => {
                let why = json!({"ok": false, "description": "Too Many Requests", "parameters": {"retry_after": 9}});
                (StatusCode::TOO_MANY_REQUESTS, axum::Json(why)).into_response()
            }
            path if path.starts_with("/bot") => {
                axum::Json(json!({"ok": true, "result": {"message_id": 5, "chat": {"id": 42}}})).into_response()
            }
            _ => axum::Json(json!({"id": "9", "channel_id": "7"})).into_response(),
        }
    }
    async fn any(
        state: State<Seen>,
        _: Path<String>,
        uri: Uri,
        headers: HeaderMap,
        body: axum::Json<Value>,
    ) -> axum::response::Response {
        keep(state, uri, headers, body).await
    }
    let seen = Seen::default();
    let at = serve(Router::new().route("/{*path}", post(any)).with_state(seen.clone())).await;
    (at, seen)
}

#[tokio::test]
async fn slack_takes_messages_by_webhook_and_by_token() {
    let (at, seen) = services().await;
    let hook = Harness::new().connected(json!({"webhook_url": format!("http://{at}/hook")}));
    let out = hook.call("slack.send", json!({"text": "hi"})).await.unwrap();
    assert_eq!(out, json!({"channel": null, "ts": null}));
    assert_eq!(hook.call("slack.send", json!({"text": "x", "channel": "#a"})).await.unwrap_err().code(), Code::Invalid);
    let e = hook.call("slack.send", json!({"text": "too often"})).await.unwrap_err();
    assert_eq!((e.code(), e.retry_after()), (Code::RateLimited, Some(3_000)));

    let token =
        Harness::new().connected(json!({"token": "xoxb-1", "channel": "#home", "base_url": format!("http://{at}/")}));
    let out = token.call("slack.send", json!({"text": "hi", "thread": "0.1"})).await.unwrap();
    assert_eq!(out, json!({"channel": "C1", "ts": "1.2"}));
    let last = seen.lock().unwrap().last().cloned().unwrap();
    assert_eq!((last.0.as_str(), last.1.as_str()), ("/chat.postMessage", "Bearer xoxb-1"));
    assert_eq!(last.2, json!({"text": "hi", "channel": "#home", "thread_ts": "0.1"}));
    for (input, code) in [
        (json!({"text": "x", "channel": "#none"}), Code::Failed),
        (json!({"text": "too often"}), Code::RateLimited),
        (json!({"text": ""}), Code::Invalid),
    ] {
        assert_eq!(token.call("slack.send", input).await.unwrap_err().code(), code);
    }
    let nowhere = Harness::new().connected(json!({"token": "t", "base_url": format!("http://{at}")}));
    assert_eq!(nowhere.call("slack.send", json!({"text": "x"})).await.unwrap_err().code(), Code::Invalid);
}

#[tokio::test]
async fn discord_takes_messages_by_webhook_and_by_token() {
    let (at, seen) = services().await;
    let hook = Harness::new().connected(json!({"webhook_url": format!("http://{at}/webhooks/1/tok")}));
    let out = hook.call("discord.send", json!({"text": "hi @everyone", "username": "Bot"})).await.unwrap();
    assert_eq!(out, json!({"id": "9", "channel": "7"}));
    let (path, _, body) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(path, "/webhooks/1/tok?wait=true");
    assert_eq!(body["allowed_mentions"], json!({"parse": ["users", "roles"]}));

    let token = Harness::new().connected(json!({"token": "t0k", "channel": "77", "base_url": format!("http://{at}")}));
    token.call("discord.send", json!({"text": "hi"})).await.unwrap();
    token.call("discord.send", json!({"text": "hi"})).await.unwrap();
    let (path, who, second) = seen.lock().unwrap().pop().unwrap();
    let (_, _, first) = seen.lock().unwrap().pop().unwrap();
    assert_eq!((path.as_str(), who.as_str()), ("/channels/77/messages", "Bot t0k"));
    assert_eq!((&first["nonce"], &first["enforce_nonce"]), (&second["nonce"], &json!(true)));
    assert!(first["nonce"].as_str().unwrap().len() <= 25);
    let sneaky = token.call("discord.send", json!({"text": "x", "channel": "../../users/@me"})).await.unwrap_err();
    assert_eq!(sneaky.code(), Code::Invalid);
}

#[tokio::test]
async fn telegram_takes_messages_and_keeps_its_token_out_of_errors() {
    let (at, seen) = services().await;
    let harness =
        Harness::new().connected(json!({"token": "12:s3cret", "chat_id": 42, "base_url": format!("http://{at}")}));
    let out = harness.call("telegram.send", json!({"text": "hi", "format": "html", "silent": true})).await.unwrap();
    assert_eq!(out, json!({"message_id": 5, "chat_id": 42}));
    let (path, _, body) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(path, "/bot12:s3cret/sendMessage");
    assert_eq!(body, json!({"chat_id": 42, "text": "hi", "parse_mode": "HTML", "disable_notification": true}));
    let e = harness.call("telegram.send", json!({"text": "too often"})).await.unwrap_err();
    assert_eq!((e.code(), e.retry_after()), (Code::RateLimited, Some(9_000)));
    assert!(e.to_string().contains("Too Many Requests") && !e.to_string().contains("s3cret"), "{e}");
    let odd = Harness::new().connected(json!({"token": "../x", "chat_id": 1, "base_url": format!("http://{at}")}));
    assert_eq!(odd.call("telegram.send", json!({"text": "x"})).await.unwrap_err().code(), Code::Invalid);
    let dead = Harness::new().connected(json!({"token": "12:s3cret", "chat_id": 1, "base_url": "http://127.0.0.1:1"}));
    let e = dead.call("telegram.send", json!({"text": "x"})).await.unwrap_err();
    assert!(e.code() == Code::Unavailable && !e.to_string().contains("s3cret"), "{e}");
}
