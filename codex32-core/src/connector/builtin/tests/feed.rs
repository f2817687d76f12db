use crate::connector::testing::{Harness, serve};
use crate::error::Code;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn rss(items: &[&str]) -> String {
    let items: String = items
        .iter()
        .map(|n| format!("<item><title>Item {n}</title><link>https://example.com/{n}</link><guid>{n}</guid><description>About {n}</description></item>"))
        .collect();
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>News</title><link>https://example.com/</link><description>d</description>{items}</channel></rss>"
    )
}

/// A feed whose text can be changed; it gives an ETag and knows it again.
async fn feed(text: String) -> (String, Harness, Arc<Mutex<String>>, Arc<Mutex<Vec<u16>>>) {
    let (current, statuses) = (Arc::new(Mutex::new(text)), Arc::new(Mutex::new(Vec::new())));
    let (shown, log) = (current.clone(), statuses.clone());
    let app = Router::new().route(
        "/feed",
        get(move |headers: HeaderMap| {
            let text = shown.lock().unwrap().clone();
            let tag = format!("\"{}\"", text.len());
            let known = headers.get("if-none-match").is_some_and(|v| v.to_str().unwrap() == tag);
            let answer =
                if known { StatusCode::NOT_MODIFIED.into_response() } else { ([("etag", tag)], text).into_response() };
            log.lock().unwrap().push(answer.status().as_u16());
            async move { answer }
        }),
    );
    let at = serve(app).await;
    (format!("http://{at}/feed"), Harness::new().reaching(&[&at.to_string()]), current, statuses)
}

fn titles(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn items_are_read() {
    let (url, harness, ..) = feed(rss(&["2", "1"])).await;
    let out = harness.call("rss.fetch", json!({"url": url})).await.unwrap();
    assert_eq!((&out["title"], titles(out["items"].as_array().unwrap())), (&json!("News"), vec!["Item 2", "Item 1"]));
    assert_eq!(
        (&out["items"][0]["link"], &out["items"][0]["summary"]),
        (&json!("https://example.com/2"), &json!("About 2"))
    );
    let out = harness.call("rss.fetch", json!({"url": url, "limit": 1})).await.unwrap();
    assert_eq!(out["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn atom_and_json_feeds_are_read_too() {
    let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><id>f</id><updated>2026-01-01T00:00:00Z</updated>
        <entry><title>One</title><id>e1</id><link rel="self" href="https://e.example/self"/><link href="https://e.example/1"/>
        <updated>2026-01-02T03:04:05Z</updated><author><name>Ann</name></author></entry></feed>"#;
    let (url, harness, text, _) = feed(atom.to_owned()).await;
    let item = harness.call("rss.fetch", json!({"url": url})).await.unwrap()["items"][0].clone();
    assert_eq!((&item["link"], &item["author"]), (&json!("https://e.example/1"), &json!("Ann")));
    assert_eq!(item["published"], "2026-01-02T03:04:05Z");
    *text.lock().unwrap() = json!({"version": "https://jsonfeed.org/version/1", "title": "J", "items": [{"id": "1", "title": "T", "url": "https://j.example/1", "content_text": "c"}]}).to_string();
    let out = harness.call("rss.fetch", json!({"url": url})).await.unwrap();
    assert_eq!((&out["title"], &out["items"][0]["content"]), (&json!("J"), &json!("c")));
    *text.lock().unwrap() = "<html>no feed</html>".into();
    assert_eq!(harness.call("rss.fetch", json!({"url": url})).await.unwrap_err().code(), Code::Failed);
}

#[tokio::test]
async fn each_new_item_is_seen_once_oldest_first() {
    let (url, harness, text, statuses) = feed(rss(&["2", "1"])).await;
    let look = |cursor| harness.poll("rss.new_item", json!({"url": url}), cursor);
    let first = look(None).await.unwrap();
    assert_eq!(first.events, Vec::<Value>::new());
    let same = look(Some(first.cursor)).await.unwrap();
    assert_eq!(same.events, Vec::<Value>::new());
    assert_eq!(*statuses.lock().unwrap(), [200, 304]);
    *text.lock().unwrap() = rss(&["4", "3", "2", "1", "3"]);
    let news = look(Some(same.cursor)).await.unwrap();
    assert_eq!(titles(&news.events), ["Item 3", "Item 4"]);
    assert_eq!(news.events[0]["feed"], "News");
    // An item that is gone for a while is not new when it comes back.
    *text.lock().unwrap() = rss(&["4"]);
    let fewer = look(Some(news.cursor)).await.unwrap();
    *text.lock().unwrap() = rss(&["4", "3", "2"]);
    assert_eq!(look(Some(fewer.cursor)).await.unwrap().events, Vec::<Value>::new());
    let all = harness.poll("rss.new_item", json!({"url": url, "existing": true}), None).await.unwrap();
    assert_eq!(titles(&all.events), ["Item 2", "Item 3", "Item 4"]);
}

#[tokio::test]
async fn items_without_identity_are_told_apart_by_their_text() {
    let bare = |texts: &[&str]| {
        let items: String = texts.iter().map(|t| format!("<item><description>{t}</description></item>")).collect();
        format!("<rss version=\"2.0\"><channel><title>N</title>{items}</channel></rss>")
    };
    let (url, harness, text, _) = feed(bare(&["one"])).await;
    let look = |cursor| harness.poll("rss.new_item", json!({"url": url}), cursor);
    let first = look(None).await.unwrap();
    *text.lock().unwrap() = bare(&["two", "one"]);
    let news = look(Some(first.cursor)).await.unwrap();
    assert_eq!(news.events.iter().map(|e| &e["summary"]).collect::<Vec<_>>(), ["two"]);
    *text.lock().unwrap() = bare(&["two", "one"]) + " ";
    assert_eq!(look(Some(news.cursor)).await.unwrap().events, Vec::<Value>::new());
}

#[tokio::test]
async fn a_cursor_stays_small_and_never_forgets_what_is_shown() {
    let all: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let shown: Vec<&str> = all[..3_000].iter().map(String::as_str).collect();
    let (url, harness, text, _) = feed(rss(&shown)).await;
    let look = |cursor| harness.poll("rss.new_item", json!({"url": url}), cursor);
    let first = look(None).await.unwrap();
    assert_eq!(first.cursor["seen"].as_array().unwrap().len(), 3_000);
    *text.lock().unwrap() = rss(&all[3_000..].iter().map(String::as_str).collect::<Vec<_>>());
    let second = look(Some(first.cursor)).await.unwrap();
    assert_eq!(second.events.len(), 2_000);
    assert_eq!(second.cursor["seen"].as_array().unwrap().len(), 2_000);
    text.lock().unwrap().push(' ');
    assert_eq!(look(Some(second.cursor)).await.unwrap().events.len(), 0);
}
