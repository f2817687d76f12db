//! The door: one way to ask, whether the engine is in this process or behind an
//! address. The command line and the language bindings stand on it.

mod remote;

pub use remote::Remote;

use super::erased::ValueStream;
use crate::access::Caller;
use crate::engine::Engine;
use crate::error::Result;
use serde_json::Value;

/// An engine in this process with the caller who asks, or one behind an address.
#[derive(Debug, Clone)]
pub enum Door {
    /// In this process.
    Embedded {
        /// The engine.
        engine: Engine,
        /// Who asks.
        caller: Box<Caller>,
    },
    /// Behind an address.
    Remote(Remote),
}

impl Door {
    /// Performs the operation `name` with `input`, an object.
    ///
    /// # Errors
    /// Those of the operation; from afar also `unavailable`.
    pub async fn call(&self, name: &str, input: Value) -> Result<Value> {
        match self {
            Door::Embedded { engine, caller } => engine.call(Some(caller), name, input).await,
            Door::Remote(remote) => remote.call(name, input).await,
        }
    }

    /// Begins the stream `name` with `input`, an object.
    ///
    /// # Errors
    /// As [`Door::call`].
    pub async fn open_stream(&self, name: &str, input: Value) -> Result<ValueStream> {
        match self {
            Door::Embedded { engine, caller } => engine.open_stream(Some(caller), name, input).await,
            Door::Remote(remote) => remote.open_stream(name, input).await,
        }
    }

    /// The engine, where it is in this process.
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        match self {
            Door::Embedded { engine, .. } => Some(engine),
            Door::Remote(_) => None,
        }
    }
}
