//! Answers the protocol's requests.

use super::tools::{IDLE_SECONDS, LONGEST_SECONDS, MOST_ITEMS, Offered, Tools};
use crate::feed;
use crate::problem::{document, status_of};
use axum::http::request::Parts;
use codex32_core::access::Caller;
use codex32_core::api::door::Door;
use codex32_core::api::{self, Kind, Meta};
use codex32_core::engine::Engine;
use codex32_core::error::{Code, Error, Result};
use futures::StreamExt;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Extensions, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

const INSTRUCTIONS: &str = "Codex-32 turns a sentence into a bot that runs, is watched and heals itself. \
    Draft a bot from a sentence first, show the user its explanation and questions, then create and deploy it. \
    Every failed call names a code, what was wrong and a hint.";

/// One side of a conversation. Cheap to clone.
#[derive(Clone)]
pub(super) struct Handler {
    tools: Arc<Tools>,
    asks: Asks,
}

/// How a call reaches the engine, and for whom.
#[derive(Clone)]
pub(super) enum Asks {
    /// One door for the whole conversation.
    Door(Door),
    /// Each request says who asks.
    Request(Engine),
}

impl Handler {
    pub(super) fn new(asks: Asks) -> Result<Handler> {
        Ok(Handler { tools: Arc::new(Tools::of(api::table()?)), asks })
    }

    /// The door of the caller: there is no default.
    fn door(&self, extensions: &Extensions) -> Result<Door> {
        let engine = match &self.asks {
            Asks::Door(door) => return Ok(door.clone()),
            Asks::Request(engine) => engine.clone(),
        };
        let caller = extensions.get::<Parts>().and_then(|parts| parts.extensions.get::<Caller>().cloned());
        let caller = caller.ok_or_else(|| {
            Error::new(Code::Unauthenticated, "the tool call has no caller")
                .hint("send `Authorization: Bearer c32_...`")
        })?;
        Ok(Door::Embedded { engine, caller: Box::new(caller) })
    }

    async fn call(&self, door: Door, meta: &'static Meta, input: Value) -> Result<Value> {
        match meta.kind {
            Kind::Stream => self.gather(&door, meta, input).await,
            Kind::Read => door.call(meta.name, input).await,
            // What was begun is done and recorded, also where the client goes away.
            Kind::Write => {
                let work = tokio::spawn(async move { door.call(meta.name, input).await });
                work.await.unwrap_or_else(|_| Err(Error::internal(format!("{} panicked", meta.name))))
            }
        }
    }

    /// Follows a stream until it ends, enough items came, none comes any more or the time is over.
    async fn gather(&self, door: &Door, meta: &'static Meta, input: Value) -> Result<Value> {
        let mut stream = door.open_stream(meta.name, input).await?;
        let mut items = Vec::new();
        let mut ended = false;
        let mut resume = None;
        let end = Instant::now() + Duration::from_secs(LONGEST_SECONDS);
        while items.len() < MOST_ITEMS {
            let idle = Instant::now() + Duration::from_secs(IDLE_SECONDS);
            let until = if items.is_empty() { end } else { end.min(idle) };
            match timeout_at(until, stream.next()).await {
                Ok(Some(Ok(item))) => {
                    resume = feed::mark(meta, &item).cloned().or(resume);
                    items.push(item);
                }
                Ok(Some(Err(error))) if items.is_empty() => return Err(error),
                Ok(None) => {
                    ended = true;
                    break;
                }
                // What came before a failure is worth having; the next call meets the failure.
                Ok(Some(Err(_))) | Err(_) => break,
            }
        }
        Ok(json!({ "items": items, "ended": ended, "resume": resume }))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("codex32", env!("CARGO_PKG_VERSION")).with_title("Codex-32"))
            .with_instructions(INSTRUCTIONS)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.find(name).map(|offered| offered.tool.clone())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let door = self.door(&context.extensions).map_err(|e| protocol_error(&e))?;
        let may = |offered: &&Offered| match (&door, offered.meta.permission) {
            (Door::Embedded { caller, .. }, Some(permission)) => caller.may(permission),
            // The server behind a remote door refuses by itself.
            _ => true,
        };
        let tools = self.tools.all.iter().filter(may).map(|offered| offered.tool.clone()).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(offered) = self.tools.find(&request.name) else {
            return Err(protocol_error(&Error::not_found("tool", &request.name)));
        };
        let input = Value::Object(request.arguments.unwrap_or_default());
        let done = match self.door(&context.extensions) {
            Ok(door) => tokio::select! {
                done = self.call(door, offered.meta, input) => done,
                () = context.ct.cancelled() => Err(Error::new(Code::Cancelled, "the call was cancelled by its caller")),
            },
            Err(error) => Err(error),
        };
        Ok(match done {
            Ok(output) => CallToolResult::structured(output),
            Err(error) => CallToolResult::structured_error(document(&error, status_of(error.code()), None)),
        }
        .into())
    }
}

fn protocol_error(error: &Error) -> ErrorData {
    ErrorData::invalid_params(error.message().to_owned(), Some(document(error, status_of(error.code()), None)))
}
