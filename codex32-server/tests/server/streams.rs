//! Server-sent events.

use crate::support::{Fixture, SOON, header, problem};
use codex32_core::access::{Access, TokenSpec};
use codex32_server::ServerConfig;
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// An event as it is written on the wire.
#[derive(Debug, Default, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

/// Reads the events of a response.
struct Reader {
    response: Response,
    text: String,
    comments: usize,
}

impl Reader {
    async fn open(server: &Fixture, path: &str, last: Option<i64>) -> Reader {
        let mut request = server.owner("GET", path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        assert_eq!(header(&response, "content-encoding"), "");
        Reader { response, text: String::new(), comments: 0 }
    }

    /// The next event; `None` where the server closed.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())) {
                self.text = rest;
                let mut event = Event::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => event.id = id.to_owned(),
                        Some(("event", name)) => event.name = name.to_owned(),
                        Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                        _ => self.comments += usize::from(line.starts_with(':')),
                    }
                }
                if event != Event::default() {
                    return Some(event);
                }
            }
            let chunk = timeout(SOON, self.response.chunk()).await.expect("an event").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of a name that the test published.
    async fn published(&mut self) -> Event {
        loop {
            let event = self.next().await.expect("an open stream");
            if event.data["name"] == "order.created" {
                return event;
            }
        }
    }
}

async fn publish(server: &Fixture, number: u64) {
    let event = json!({ "name": "order.created", "data": { "number": number } });
    let response = server.owner("POST", "/api/v1/events").json(&event).send().await.unwrap();
    assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_that_was_seen() {
    let server = Fixture::start().await;
    for number in 1..=3 {
        publish(&server, number).await;
    }
    let mut reader = Reader::open(&server, "/api/v1/events?after=0", None).await;
    let mut marks = Vec::new();
    for number in 1..=3 {
        let event = reader.published().await;
        assert_eq!(event.data["data"]["number"], number);
        assert_eq!(event.id, event.data["seq"].to_string());
        marks.push(event.id.parse::<i64>().unwrap());
    }
    // A browser comes back to the address it began with; what it has seen outranks that.
    let mut again = Reader::open(&server, "/api/v1/events?after=0", Some(marks[0])).await;
    assert_eq!(again.published().await.data["data"]["number"], 2);
    assert_eq!(again.published().await.data["data"]["number"], 3);
    publish(&server, 4).await;
    assert_eq!(again.published().await.data["data"]["number"], 4);
    assert_eq!(reader.published().await.data["data"]["number"], 4);

    let bad = server.owner("GET", "/api/v1/events").header("last-event-id", "x").send().await.unwrap();
    problem(bad, 422).await;
}

#[tokio::test]
async fn a_shutdown_ends_streams_with_a_word() {
    let mut server = Fixture::start().await;
    let mut reader = Reader::open(&server, "/api/v1/events", None).await;
    server.shutdown.cancel();
    let end = loop {
        let event = reader.next().await.expect("a last word");
        if event.name == "end" {
            break event;
        }
    };
    assert_eq!(end.data, json!({ "reason": "shutdown" }));
    assert_eq!(reader.next().await, None);
    let serving = server.serving.take().unwrap();
    timeout(SOON, serving.wait()).await.expect("the server did not end").unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_its_token_does() {
    let config = ServerConfig { recheck: Duration::from_millis(20), ..ServerConfig::at("127.0.0.1:0") };
    let mut server = Fixture::with(config).await;
    let access = Access::new(server.engine.db().clone(), server.engine.clock().clone());
    let owner = server.caller().await;
    let spec = TokenSpec { name: "short-lived".into(), ..TokenSpec::default() };
    let issued = access.create_token(&owner, spec).await.unwrap();
    server.token = issued.token;
    let mut reader = Reader::open(&server, "/api/v1/events", None).await;
    access.revoke_token(&owner, issued.info.id).await.unwrap();
    let error = loop {
        let event = reader.next().await.expect("a last word");
        if event.name == "error" {
            break event;
        }
    };
    assert_eq!(error.data["code"], "unauthenticated");
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn an_idle_stream_gives_signs_of_life() {
    let config = ServerConfig { keep_alive: Duration::from_millis(20), ..ServerConfig::at("127.0.0.1:0") };
    let server = Fixture::with(config).await;
    let mut reader = Reader::open(&server, "/api/v1/events", None).await;
    let mut text = String::new();
    while !text.contains(": still here") {
        let chunk = timeout(SOON, reader.response.chunk()).await.expect("a sign").unwrap().expect("an open stream");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test]
async fn there_are_only_so_many_streams() {
    let config = ServerConfig { streams: 1, ..ServerConfig::at("127.0.0.1:0") };
    let server = Fixture::with(config).await;
    let first = Reader::open(&server, "/api/v1/events", None).await;
    let second = server.owner("GET", "/api/v1/events").send().await.unwrap();
    assert_eq!(second.status(), 503);
    assert_eq!(header(&second, "content-type"), "application/problem+json");
    drop(first);
    // The place is free again once the server notices that the client is gone.
    timeout(SOON, async {
        while server.owner("GET", "/api/v1/events").send().await.unwrap().status() == 503 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let head = server.owner("HEAD", "/api/v1/events").send().await.unwrap();
    assert_eq!(header(&head, "content-type"), "text/event-stream");
}
