//! One WebSocket: a reader, a writer, and a task for each call under way.

use super::message::{Ask, Id, answer, failure};
use crate::auth::{Credential, Known};
use crate::feed::{self, Part};
use crate::rest;
use crate::shell::App;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use codex32_core::api::{self, Kind, Meta};
use codex32_core::error::{Code, Error, Result};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt, pin_mut};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Answers that wait for the client to read them.
const QUEUE: usize = 64;
/// Calls and subscriptions of one session at the same time.
const MOST_CALLS: usize = 64;
/// Time to say who one is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// Time for the client to take one message.
const PATIENCE: Duration = Duration::from_secs(30);

/// Close codes of RFC 6455.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;

/// Runs a session to its end.
pub(super) async fn run(app: App, socket: WebSocket, credential: Option<Credential>) {
    let (sink, stream) = socket.split();
    let (queue, waiting) = mpsc::channel(QUEUE);
    let writer = tokio::spawn(write(sink, waiting, app.config.keep_alive));
    let (code, reason) = match introduce(&app, stream, &queue, credential).await {
        Ok(Some((credential, stream))) => Session::new(&app, queue.clone(), credential).serve(stream).await,
        Ok(None) => (NORMAL, "bye"),
        Err(error) => {
            let _ = queue.send(Message::Text(failure(None, &error).into())).await;
            (POLICY, "not authenticated")
        }
    };
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
    // A writer that is gone has nobody to write to; there is nothing left to say.
    let _ = queue.send(Message::Close(Some(frame))).await;
    drop(queue);
    let _ = timeout(PATIENCE, writer).await;
}

/// Learns who asks; `None` where the client went away before it said so.
async fn introduce(
    app: &App,
    mut stream: SplitStream<WebSocket>,
    queue: &mpsc::Sender<Message>,
    credential: Option<Credential>,
) -> Result<Option<(Credential, SplitStream<WebSocket>)>> {
    let credential = match credential {
        Some(credential) => credential,
        None => {
            let first = timeout(INTRODUCTION, text(&mut stream)).await;
            let first = first.map_err(|_| Error::new(Code::Unauthenticated, "no token came in time"))?;
            let Some(first) = first else { return Ok(None) };
            let Ask::Token(token) = Ask::read(&first)? else {
                return Err(Error::new(Code::Unauthenticated, "the first message must be the token")
                    .hint("send {\"token\": \"c32_...\"}"));
            };
            app.engine.authenticate(&token).await?;
            Credential { token, from_cookie: false }
        }
    };
    let _ = queue.send(Message::Text(answer(None, "ready", json!(true)).into())).await;
    Ok(Some((credential, stream)))
}

/// The next text; `None` at the end.
async fn text(stream: &mut SplitStream<WebSocket>) -> Option<Utf8Bytes> {
    loop {
        match stream.next().await? {
            Ok(Message::Text(text)) => return Some(text),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Binary(_) | Message::Close(_)) | Err(_) => return None,
        }
    }
}

struct Session<'a> {
    app: &'a App,
    queue: mpsc::Sender<Message>,
    credential: Credential,
    calls: HashMap<Id, CancellationToken>,
    running: JoinSet<Id>,
}

impl<'a> Session<'a> {
    fn new(app: &'a App, queue: mpsc::Sender<Message>, credential: Credential) -> Self {
        Session { app, queue, credential, calls: HashMap::new(), running: JoinSet::new() }
    }

    /// Reads until either side ends it; says how to close.
    async fn serve(mut self, mut stream: SplitStream<WebSocket>) -> (u16, &'static str) {
        let silence = self.app.config.keep_alive * 3;
        loop {
            tokio::select! {
                biased;
                () = self.app.ending.cancelled() => {
                    // Subscriptions see the same signal and say their own goodbye first.
                    while let Some(done) = self.running.join_next().await {
                        self.forget(done.ok());
                    }
                    return (GOING_AWAY, "the server shuts down");
                }
                Some(done) = self.running.join_next() => self.forget(done.ok()),
                frame = timeout(silence, stream.next()) => match frame {
                    Err(_) => return (POLICY, "not heard for too long"),
                    Ok(Some(Ok(Message::Text(text)))) => self.take(&text).await,
                    Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                    Ok(Some(Ok(Message::Binary(_)))) => return (POLICY, "only text is read"),
                    Ok(None | Some(Ok(Message::Close(_)) | Err(_))) => return (NORMAL, "bye"),
                },
            }
        }
    }

    fn forget(&mut self, id: Option<Id>) {
        if let Some(id) = id {
            self.calls.remove(&id);
        }
    }

    async fn take(&mut self, text: &str) {
        let refused = match Ask::read(text) {
            Ok(Ask::Call { id, operation, input }) => match self.begin(&id, &operation, input) {
                Ok(()) => return,
                Err(error) => failure(Some(&id), &error),
            },
            Ok(Ask::Cancel(id)) => match self.calls.get(&id) {
                Some(call) => return call.cancel(),
                // It ended while the wish was under way.
                None => return,
            },
            Ok(Ask::Token(_)) => failure(None, &Error::precondition("the token was given already")),
            Err(error) => failure(None, &error),
        };
        let _ = self.queue.send(Message::Text(refused.into())).await;
    }

    fn begin(&mut self, id: &Id, operation: &str, input: Value) -> Result<()> {
        if self.calls.contains_key(id) {
            return Err(Error::conflict("a call with this id is under way").hint("give each call an id of its own"));
        }
        if self.calls.len() >= MOST_CALLS {
            return Err(Error::new(Code::Busy, format!("{MOST_CALLS} calls are under way in this session"))
                .retry_after_ms(1_000));
        }
        let meta = api::find(operation)?.meta();
        if !meta.offered_on(api::Surface::Rest) {
            return Err(Error::not_found("operation", operation));
        }
        let call = Call {
            app: self.app.clone(),
            queue: self.queue.clone(),
            credential: self.credential.clone(),
            id: id.clone(),
            meta,
            cancelled: CancellationToken::new(),
        };
        self.calls.insert(id.clone(), call.cancelled.clone());
        self.running.spawn(call.run(input));
        Ok(())
    }
}

/// One call under way.
struct Call {
    app: App,
    queue: mpsc::Sender<Message>,
    credential: Credential,
    id: Id,
    meta: &'static Meta,
    cancelled: CancellationToken,
}

impl Call {
    async fn run(self, input: Value) -> Id {
        let done = if self.meta.kind == Kind::Stream { self.stream(input).await } else { self.once(input).await };
        let last = match done {
            Ok((name, value)) => answer(Some(&self.id), name, value),
            Err(error) => failure(Some(&self.id), &error),
        };
        self.say(last).await;
        self.id
    }

    async fn known(&self) -> Result<Option<Known>> {
        if !self.meta.authenticated {
            return Ok(None);
        }
        let caller = self.app.engine.authenticate(&self.credential.token).await?;
        Ok(Some(Known { caller, credential: self.credential.clone() }))
    }

    async fn once(&self, input: Value) -> Result<(&'static str, Value)> {
        let _place = self.app.admit_request()?;
        let known = self.known().await?;
        let work = timeout(self.app.config.request_timeout, rest::call(&self.app, self.meta, known, input));
        tokio::select! {
            done = work => {
                let late = Error::new(Code::Timeout, format!("{} took too long", self.meta.name));
                Ok(("output", done.unwrap_or(Err(late))?))
            }
            () = self.cancelled.cancelled() => Err(Error::new(Code::Cancelled, "the call was cancelled by its caller")),
        }
    }

    async fn stream(&self, input: Value) -> Result<(&'static str, Value)> {
        let feed = feed::open(&self.app, self.known().await?, self.meta, input).await?;
        pin_mut!(feed);
        loop {
            let part = tokio::select! {
                biased;
                () = self.cancelled.cancelled() => return Ok(("end", json!({ "reason": "cancelled" }))),
                part = feed.next() => part,
            };
            match part {
                Some(Part::Item(item)) => {
                    let item = answer(Some(&self.id), "item", item);
                    tokio::select! {
                        said = self.say(item) => if !said {
                            return Err(Error::new(Code::Cancelled, "the client went away"));
                        },
                        () = self.cancelled.cancelled() => return Ok(("end", json!({ "reason": "cancelled" }))),
                    }
                }
                Some(Part::Failed(error)) => return Err(error),
                Some(Part::End(reason)) => return Ok(("end", reason.document())),
                None => return Ok(("end", feed::Reason::Finished.document())),
            }
        }
    }

    /// Waits for a place in the queue; false where nobody reads it any more.
    async fn say(&self, text: String) -> bool {
        self.queue.send(Message::Text(text.into())).await.is_ok()
    }
}

/// Writes what waits, and pings, until the session ends or the client stops reading.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut waiting: mpsc::Receiver<Message>, every: Duration) {
    let mut pings = interval(every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset_at(Instant::now() + every);
    loop {
        let message = tokio::select! {
            message = waiting.recv() => message,
            _ = pings.tick() => Some(Message::Ping(Default::default())),
        };
        let Some(message) = message else { return };
        let last = matches!(message, Message::Close(_));
        match timeout(PATIENCE, sink.send(message)).await {
            Ok(Ok(())) if !last => {}
            _ => return,
        }
    }
}
