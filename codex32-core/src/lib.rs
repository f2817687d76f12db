//! The Codex-32 engine: a sentence becomes a bot that runs, is watched and heals itself.
//!
//! The rooms stand on floors; a room uses the floors below it and never one
//! above (`tests/floors.rs` proves it):
//!
//! | floor | rooms |
//! | --- | --- |
//! | 5 the door | [`engine`], [`api`] |
//! | 4 the people | [`access`], [`builder`], [`supervisor`], [`registry`] |
//! | 3 the work | [`execution`], [`schedule`], [`trigger`], [`webhook`] |
//! | 2 the tools | [`connector`], [`sandbox`], [`event`], [`queue`], [`secret`], [`notify`] |
//! | 1 the ground floor | [`storage`], [`observe`] |
//! | 0 the ground | [`blueprint`], [`expr`], [`recur`], [`catalogue`], [`understand`], [`id`], [`error`], [`clock`] |
//!
//! The ground is pure: without the feature `engine` the crate does no I/O and
//! builds for wasm32.

pub mod blueprint;
pub mod catalogue;
pub mod clock;
pub mod error;
pub mod expr;
pub mod id;
pub mod recur;
pub mod understand;

#[cfg(feature = "engine")]
pub mod access;
#[cfg(feature = "engine")]
pub mod api;
#[cfg(feature = "engine")]
pub mod builder;
#[cfg(feature = "engine")]
pub mod connector;
#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod event;
#[cfg(feature = "engine")]
pub mod execution;
#[cfg(feature = "engine")]
pub mod notify;
#[cfg(feature = "engine")]
pub mod observe;
#[cfg(feature = "engine")]
pub mod queue;
#[cfg(feature = "engine")]
pub mod registry;
#[cfg(feature = "engine")]
pub mod sandbox;
#[cfg(feature = "engine")]
pub mod schedule;
#[cfg(feature = "engine")]
pub mod secret;
#[cfg(feature = "engine")]
pub mod storage;
#[cfg(feature = "engine")]
pub mod supervisor;
#[cfg(feature = "engine")]
pub mod trigger;
#[cfg(feature = "engine")]
pub mod webhook;

pub use error::{Code, Error, Result};
