//! The thin HTTP shell around the engine: REST, server-sent events, WebSocket, MCP, and
//! the dashboard.
//!
//! - [`serve`] listens, with TLS where a certificate is given, and drains at the end;
//!   [`router`] is the same without a listener.
//! - [`serve_status`] is all that a worker serves: its health and its measures.
//! - [`mcp::serve_stdio`] offers the operations as tools over standard input and output.
//!
//! Invariants: every route under `/api/v1`, every WebSocket call and every tool comes
//! from the operation table, none is written by hand; nothing here reaches a room of the
//! engine past the table, but for the doors that are no operations (webhooks, approvals,
//! metrics); a request without a credential has no caller.

mod auth;
mod config;
mod dashboard;
mod feed;
mod headers;
mod hooks;
pub mod mcp;
mod pages;
mod problem;
mod rest;
mod router;
mod serve;
mod shell;
mod status;
mod trace;
mod ws;

pub use config::{ServerConfig, Tls};
pub use router::router;
pub use serve::{Serving, serve};
pub use status::serve_status;
