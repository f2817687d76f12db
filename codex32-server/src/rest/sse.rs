//! Streams over REST: server-sent events.
//!
//! Items are events without a name, with an `id` where the operation can resume; a
//! failure is an event `error` with a problem; an event `end` says that nothing follows.

use crate::auth::Known;
use crate::feed::{self, Part};
use crate::problem::{Failure, document, status_of};
use crate::shell::App;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use codex32_core::api::Meta;
use futures::StreamExt;
use serde_json::Value;
use std::convert::Infallible;

pub(super) async fn respond(
    app: &App,
    meta: &'static Meta,
    known: Option<Known>,
    input: Value,
    head: bool,
) -> Result<Response, Failure> {
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that gather answers before they pass them on would hold the stream back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    if head {
        let media = [(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))];
        return Ok((StatusCode::OK, headers, media).into_response());
    }
    let events = feed::open(app, known, meta, input).await?.map(move |part| Ok::<_, Infallible>(event(meta, part)));
    let keep_alive = KeepAlive::new().interval(app.config.keep_alive).text("still here");
    Ok((headers, Sse::new(events).keep_alive(keep_alive)).into_response())
}

fn event(meta: &Meta, part: Part) -> Event {
    match part {
        Part::Item(item) => {
            let event = Event::default().data(item.to_string());
            let mark =
                feed::mark(meta, &item).map(|mark| mark.as_str().map_or_else(|| mark.to_string(), str::to_owned));
            match mark {
                // A line break would end the field; no such mark exists, and none is sent.
                Some(mark) if !mark.contains(['\n', '\r', '\0']) => event.id(mark),
                _ => event,
            }
        }
        Part::Failed(error) => {
            let problem = document(&error, status_of(error.code()), None);
            Event::default().event("error").data(problem.to_string())
        }
        Part::End(reason) => Event::default().event("end").data(reason.document().to_string()),
    }
}
