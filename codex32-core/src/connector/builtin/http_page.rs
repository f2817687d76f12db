//! Pagination of `http`: one step, many pages.

use super::http::{Input, decoded, output};
use crate::connector::ActionContext;
use crate::connector::net::{Guard, Incoming, MAX_ANSWER, Net, Outgoing};
use crate::error::{Code, Error, Result};
use reqwest::header::{self, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

#[derive(Deserialize, Clone)]
pub(super) struct Paginate {
    by: By,
    next: Option<String>,
    items: String,
    param: String,
    start: i64,
    max_pages: u32,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum By {
    Link,
    Next,
    Page,
}

/// All pages; the body is the list of their items.
pub(super) async fn all(
    net: &Net,
    cx: &ActionContext,
    guard: &Guard,
    mut request: Outgoing,
    input: &Input,
    paginate: &Paginate,
    hidden: &[String],
) -> Result<Value> {
    let first = request.clone();
    if paginate.by == By::Next && paginate.next.is_none() {
        return Err(Error::invalid("paginate by next needs the pointer `next`").at("/paginate/next", "is missing"));
    }
    let (mut items, mut bytes) = (Vec::new(), 0);
    for page in 0..paginate.max_pages {
        if paginate.by == By::Page {
            set_param(&mut request.url, &paginate.param, paginate.start.saturating_add(page.into()));
        }
        // Each page is a request of its own to a server that remembers keys.
        if let Ok(key) = HeaderValue::from_str(&format!("{}-{page}", cx.idempotency_key)) {
            request.headers.insert("idempotency-key", key);
        }
        let answer = net.send(cx, guard, request.clone()).await?;
        let body = decoded(cx, input, &answer)?;
        bytes += answer.body.len();
        if bytes > MAX_ANSWER {
            return Err(Error::new(Code::TooLarge, format!("the pages are larger than {MAX_ANSWER} bytes together"))
                .hint("lower max_pages, or fetch the pages in a foreach step"));
        }
        let found = list(&body, &paginate.items)?;
        let empty = found.is_empty();
        items.extend(found.iter().cloned());
        let next = match paginate.by {
            By::Page => (!empty).then(|| first.url.clone()),
            By::Link => linked(&answer),
            By::Next => pointed(&answer, &body, paginate.next.as_deref().unwrap_or_default()),
        };
        let done = |answer: &Incoming| {
            let mut all = output(answer, Value::Array(items.clone()), hidden);
            all["pages"] = (page + 1).into();
            all
        };
        let Some(next) = next.filter(|_| page + 1 < paginate.max_pages) else { return Ok(done(&answer)) };
        if next.origin() != first.url.origin() {
            return Err(
                Error::new(Code::Failed, "the next page is at another origin").hint("fetch it in a step of its own")
            );
        }
        request = Outgoing { url: next, ..first.clone() };
    }
    Err(Error::invalid("max_pages must be at least 1"))
}

fn set_param(url: &mut Url, name: &str, value: i64) {
    let kept: Vec<(String, String)> =
        url.query_pairs().filter(|(k, _)| k != name).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).append_pair(name, &value.to_string());
}

fn list<'b>(body: &'b Value, pointer: &str) -> Result<&'b Vec<Value>> {
    body.pointer(pointer).and_then(Value::as_array).ok_or_else(|| {
        Error::new(Code::Failed, format!("a page has no list at \"{pointer}\""))
            .hint("set `items` to the JSON pointer of the list, such as /data/items")
    })
}

fn pointed(answer: &Incoming, body: &Value, pointer: &str) -> Option<Url> {
    let next = body.pointer(pointer)?.as_str().filter(|s| !s.is_empty())?;
    answer.url.join(next).ok()
}

/// The target with `rel=next` of the Link headers (RFC 8288).
fn linked(answer: &Incoming) -> Option<Url> {
    let links = answer.headers.get_all(header::LINK);
    links.iter().filter_map(|l| l.to_str().ok()).flat_map(|l| l.split('<').skip(1)).find_map(|link| {
        let (target, params) = link.split_once('>')?;
        let is_next = params.trim_end().trim_end_matches(',').split(';').filter_map(|p| p.trim().split_once('=')).any(
            |(name, value)| {
                name.eq_ignore_ascii_case("rel")
                    && value.trim_matches('"').split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
            },
        );
        is_next.then(|| answer.url.join(target).ok())?
    })
}
