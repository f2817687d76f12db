//! `rss`: feeds, read and watched.

use super::http::status_error;
use crate::connector::input::{blocking, no_action, read};
use crate::connector::net::{Guard, Incoming, Net, Outgoing};
use crate::connector::{ActionContext, Connector, Polled};
use crate::error::{Code, Error, Result};
use feed_rs::model::{Entry, Feed};
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use url::Url;

/// Items that are remembered as seen; feeds show a few dozen.
const REMEMBERED: usize = 2_000;

pub(super) struct Rss(pub(super) Arc<Net>);

#[derive(Deserialize)]
struct Input {
    url: String,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    existing: bool,
}

/// Where a watch stands: hashes of the items seen, newest last, and what makes the
/// next look cheap.
#[derive(Serialize, Deserialize, Default)]
struct Cursor {
    seen: Vec<String>,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default)]
    modified: Option<String>,
}

#[async_trait::async_trait]
impl Connector for Rss {
    fn name(&self) -> &str {
        "rss"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "fetch" {
            return Err(no_action("rss", action));
        }
        let input: Input = read(input)?;
        let answer = self.fetch(cx, &input.url, None).await?;
        if !answer.status.is_success() {
            return Err(status_error(cx.clock.now(), &answer));
        }
        let feed = parse(answer).await?;
        let items: Vec<Value> = feed.entries.iter().take(input.limit).map(item).collect();
        let link = feed.links.first().map(|l| l.href.as_str()).unwrap_or_default();
        Ok(json!({"title": title(&feed), "link": link, "items": items}))
    }

    async fn poll(&self, trigger: &str, cx: &ActionContext, input: Value, cursor: Option<Value>) -> Result<Polled> {
        if trigger != "new_item" {
            return Err(Error::not_found("trigger", format!("rss.{trigger}")));
        }
        let input: Input = read(input)?;
        let before: Option<Cursor> = cursor.map(read).transpose()?;
        let answer = self.fetch(cx, &input.url, before.as_ref()).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Polled { events: Vec::new(), cursor: json!(before.unwrap_or_default()) });
        }
        if !answer.status.is_success() {
            return Err(status_error(cx.clock.now(), &answer));
        }
        let text = |name| answer.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).map(str::to_owned);
        let (etag, modified) = (text(header::ETAG), text(header::LAST_MODIFIED));
        let report = before.is_some() || input.existing;
        let mut seen = before.unwrap_or_default().seen;
        let events = news(&parse(answer).await?, &mut seen);
        let cursor = Cursor { seen, etag, modified };
        Ok(Polled { events: if report { events } else { Vec::new() }, cursor: json!(cursor) })
    }
}

impl Rss {
    async fn fetch(&self, cx: &ActionContext, url: &str, since: Option<&Cursor>) -> Result<Incoming> {
        let url = Url::parse(url)
            .map_err(|e| Error::invalid(format!("the feed's url is not right: {e}")).at("/url", e.to_string()))?;
        let mut request = Outgoing::new(Method::GET, url);
        request.headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/rss+xml, application/atom+xml, application/feed+json, */*;q=0.5"),
        );
        let stamps = [
            (header::IF_NONE_MATCH, since.and_then(|c| c.etag.as_ref())),
            (header::IF_MODIFIED_SINCE, since.and_then(|c| c.modified.as_ref())),
        ];
        for (name, value) in stamps {
            if let Some(value) = value.and_then(|v| HeaderValue::from_str(v).ok()) {
                request.headers.insert(name, value);
            }
        }
        self.0.send(cx, &Guard::of(cx), request).await
    }
}

async fn parse(answer: Incoming) -> Result<Feed> {
    blocking(move || {
        let host = answer.url.host_str().unwrap_or_default().to_owned();
        let parser = feed_rs::parser::Builder::new()
            .base_uri(Some(answer.url.as_str()))
            // The default makes up a random id where there is nothing to make one of.
            .id_generator(|links, title, uri| match (links.first(), title) {
                (None, None) => String::new(),
                _ => feed_rs::parser::generate_id(links, title, uri),
            })
            .build();
        parser.parse(answer.body.as_ref()).map_err(|e| {
            Error::new(Code::Failed, format!("{host} did not answer with a feed: {e}"))
                .hint("the url must be that of an RSS, Atom or JSON feed, not of the site")
        })
    })
    .await
}

/// Items that are not in `seen`, oldest first; they are added to it.
fn news(feed: &Feed, seen: &mut Vec<String>) -> Vec<Value> {
    let mut known: HashSet<String> = seen.iter().cloned().collect();
    let mut fresh: Vec<&Entry> = Vec::new();
    for entry in &feed.entries {
        let print = fingerprint(entry);
        if known.insert(print.clone()) {
            seen.push(print);
            fresh.push(entry);
        }
    }
    // Feeds have their newest item first.
    fresh.reverse();
    if fresh.iter().all(|e| e.published.or(e.updated).is_some()) {
        fresh.sort_by_key(|e| e.published.or(e.updated));
    }
    // What stands in the feed now is never forgotten, or it would be new again.
    let keep = REMEMBERED.max(feed.entries.len());
    let present: HashSet<String> = feed.entries.iter().map(fingerprint).collect();
    if seen.len() > keep {
        let mut spare = seen.len() - keep;
        seen.retain(|print| {
            let forget = spare > 0 && !present.contains(print);
            spare -= usize::from(forget);
            !forget
        });
    }
    let feed_title = title(feed);
    let event = |entry: &&Entry| {
        let mut event = item(entry);
        event["feed"] = feed_title.clone().into();
        event
    };
    fresh.iter().map(event).collect()
}

fn fingerprint(entry: &Entry) -> String {
    let identity = if entry.id.is_empty() { item(entry).to_string() } else { entry.id.clone() };
    hex::encode(&Sha256::digest(identity)[..12])
}

fn title(feed: &Feed) -> String {
    feed.title.as_ref().map(|t| t.content.trim().to_owned()).unwrap_or_default()
}

fn item(entry: &Entry) -> Value {
    let text = |t: &Option<feed_rs::model::Text>| t.as_ref().map(|t| t.content.trim().to_owned()).unwrap_or_default();
    let link = entry.links.iter().find(|l| l.rel.as_deref().is_none_or(|rel| rel == "alternate"));
    let link = link.or(entry.links.first()).map(|l| l.href.clone()).unwrap_or_default();
    let published = entry.published.or(entry.updated).map(|t| t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    let authors: Vec<&str> = entry.authors.iter().filter_map(|a| a.name.as_deref()).collect();
    let categories: Vec<&str> = entry.categories.iter().map(|c| c.term.as_str()).collect();
    json!({
        "id": if entry.id.is_empty() { link.clone() } else { entry.id.clone() },
        "title": text(&entry.title),
        "link": link,
        "summary": text(&entry.summary),
        "content": entry.content.as_ref().and_then(|c| c.body.clone()).unwrap_or_default(),
        "author": authors.join(", "),
        "published": published,
        "categories": categories,
    })
}
