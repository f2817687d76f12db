//! `/api/ws`.

use crate::support::{Fixture, SOON, problem};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn open(server: &Fixture, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
        let mut request = format!("{}/api/ws", server.url.replace("http://", "ws://")).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Ok(Socket(timeout(SOON, connect_async(request)).await.expect("a connection")?.0))
    }

    /// An open socket of the owner.
    pub(crate) async fn owner(server: &Fixture) -> Socket {
        let mut socket = Socket::open(server, &[]).await.unwrap();
        socket.say(&json!({ "token": server.token })).await;
        assert_eq!(socket.hear().await, json!({ "ready": true }));
        socket
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message; the close frame as `{"close": code}`.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match timeout(SOON, self.0.next()).await.expect("a message").expect("an open socket").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => return json!({ "close": frame.map(|f| u16::from(f.code)) }),
                _ => {}
            }
        }
    }
}

fn refused(outcome: Result<Socket, Error>) -> u16 {
    match outcome {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the socket opened"),
    }
}

#[tokio::test]
async fn calls_are_answered_by_their_ids() {
    let server = Fixture::start().await;
    let mut socket = Socket::owner(&server).await;
    socket.say(&json!({ "id": "a", "op": "system.version" })).await;
    let answer = socket.hear().await;
    assert_eq!((&answer["id"], &answer["output"]["name"]), (&json!("a"), &json!("codex32")));
    socket.say(&json!({ "id": 2, "op": "system.version", "input": { "x": 1 } })).await;
    let answer = socket.hear().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(2), &json!("invalid")));
    socket.say(&json!({ "id": 3, "op": "no.such" })).await;
    assert_eq!(socket.hear().await["error"]["code"], "not_found");
    socket.say(&json!({ "what": 1 })).await;
    assert_eq!(socket.hear().await["error"]["code"], "invalid");
    // The session goes on after all of these.
    socket.say(&json!({ "id": 2, "op": "system.health" })).await;
    assert_eq!(socket.hear().await["output"]["status"], "ok");
}

#[tokio::test]
async fn nobody_is_served_before_they_said_who_they_are() {
    let server = Fixture::start().await;
    for first in [json!({ "id": 1, "op": "system.version" }), json!({ "token": "c32_none" }), json!({})] {
        let mut socket = Socket::open(&server, &[]).await.unwrap();
        socket.say(&first).await;
        assert!(socket.hear().await["error"]["code"].is_string());
        assert_eq!(socket.hear().await, json!({ "close": 1008 }));
    }
    assert_eq!(refused(Socket::open(&server, &[("authorization", "Bearer c32_none")]).await), 401);
    let bearer = format!("Bearer {}", server.token);
    let mut socket = Socket::open(&server, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(socket.hear().await, json!({ "ready": true }));
}

#[tokio::test]
async fn a_page_of_another_site_cannot_use_the_cookie() {
    let server = Fixture::start().await;
    let cookie = format!("codex32_session={}", server.token);
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(refused(Socket::open(&server, &[("cookie", &cookie), ("origin", origin)]).await), 403, "{origin}");
    }
    let mut own = Socket::open(&server, &[("cookie", &cookie), ("origin", &server.url)]).await.unwrap();
    assert_eq!(own.hear().await, json!({ "ready": true }));
    // The host in the address is not taken at its word either.
    let rebound = Socket::open(&server, &[("origin", "http://evil.example"), ("host", "evil.example")]).await;
    assert_eq!(refused(rebound), 403);
}

#[tokio::test]
async fn a_plain_request_is_told_to_upgrade() {
    let server = Fixture::start().await;
    problem(server.owner("GET", "/api/ws").send().await.unwrap(), 426).await;
}

#[tokio::test]
async fn a_shutdown_says_goodbye() {
    let mut server = Fixture::start().await;
    let mut socket = Socket::owner(&server).await;
    server.shutdown.cancel();
    assert_eq!(socket.hear().await, json!({ "close": 1001 }));
    drop(socket);
    let serving = server.serving.take().unwrap();
    timeout(SOON, serving.wait()).await.expect("the server did not end").unwrap();
}

async fn publish(socket: &mut Socket, number: u64, padding: &str) {
    let data = json!({ "number": number, "padding": padding });
    socket.say(&json!({ "id": "p", "op": "system.publish", "input": { "name": "order.created", "data": data } })).await;
    let answer = socket.hear().await;
    assert!(answer["output"]["seq"].is_i64(), "{answer}");
}

#[tokio::test]
async fn a_subscription_gives_items_until_it_is_cancelled() {
    let server = Fixture::start().await;
    let (mut one, mut other) = (Socket::owner(&server).await, Socket::owner(&server).await);
    publish(&mut other, 1, "").await;
    one.say(&json!({ "id": 1, "op": "system.events", "input": { "after": 0 } })).await;
    let item = loop {
        let message = one.hear().await;
        if message["item"]["name"] == "order.created" {
            break message;
        }
    };
    assert_eq!((&item["id"], &item["item"]["data"]["number"]), (&json!(1), &json!(1)));
    one.say(&json!({ "id": 1, "op": "system.health" })).await;
    assert_eq!(one.hear().await["error"]["code"], "conflict");
    one.say(&json!({ "id": 1, "cancel": true })).await;
    assert_eq!(one.hear().await, json!({ "id": 1, "end": { "reason": "cancelled" } }));
    // The id is free again, and the session goes on.
    one.say(&json!({ "id": 1, "op": "system.health" })).await;
    assert_eq!(one.hear().await["output"]["status"], "ok");
}

#[tokio::test]
async fn a_client_that_reads_late_loses_nothing() {
    let server = Fixture::start().await;
    let (mut late, mut other) = (Socket::owner(&server).await, Socket::owner(&server).await);
    late.say(&json!({ "id": 1, "op": "system.events", "input": { "after": 0 } })).await;
    // Far more than the queue and the buffers of the connection hold.
    let padding = "x".repeat(20_000);
    for number in 0..500 {
        publish(&mut other, number, &padding).await;
    }
    let mut next = 0;
    while next < 500 {
        let message = late.hear().await;
        if message["item"]["name"] == "order.created" {
            assert_eq!(message["item"]["data"]["number"], next);
            next += 1;
        }
    }
}

#[tokio::test]
async fn a_shutdown_ends_subscriptions_before_the_session() {
    let server = Fixture::start().await;
    let mut socket = Socket::owner(&server).await;
    socket.say(&json!({ "id": 1, "op": "system.events", "input": { "after": 0 } })).await;
    socket.say(&json!({ "id": 2, "op": "system.health" })).await;
    while socket.hear().await["id"] != 2 {}
    server.shutdown.cancel();
    let end = loop {
        let message = socket.hear().await;
        if message["item"].is_null() {
            break message;
        }
    };
    assert_eq!(end, json!({ "id": 1, "end": { "reason": "shutdown" } }));
    assert_eq!(socket.hear().await, json!({ "close": 1001 }));
}
