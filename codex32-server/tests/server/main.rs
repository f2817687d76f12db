//! The server over real HTTP, on free ports, each test with an engine of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by failing")]

mod documents;
mod edges;
mod hooks;
mod mcp;
mod session;
mod streams;
mod support;
mod tls;
mod walk;
mod websocket;
