//! Operations without their types, as frontends see them: JSON in, JSON out.

use super::operation::{Meta, Operation, StreamOperation};
use super::schema;
use crate::access::Caller;
use crate::engine::Engine;
use crate::error::{Error, Result};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;
use std::marker::PhantomData;

/// An operation, erased.
pub trait Erased: Send + Sync {
    /// Name, route, permission and the rest.
    fn meta(&self) -> &'static Meta;
    /// Schema of the input.
    fn input(&self, generator: &mut SchemaGenerator) -> Schema;
    /// Schema of the output, or of each item of a stream.
    fn output(&self, generator: &mut SchemaGenerator) -> Schema;
    /// Decodes, runs, encodes. Refuses streams.
    fn call<'a>(&'a self, engine: &'a Engine, caller: &'a Caller, input: Value) -> BoxFuture<'a, Result<Value>>;
    /// Decodes and begins a stream. Refuses what is none.
    fn open<'a>(&'a self, engine: &'a Engine, caller: &'a Caller, input: Value) -> BoxFuture<'a, Result<ValueStream>>;
}

/// Items of a stream as JSON.
pub type ValueStream = BoxStream<'static, Result<Value>>;

/// Wraps an [`Operation`].
pub struct Unary<T>(PhantomData<fn() -> T>);

/// Wraps a [`StreamOperation`].
pub struct Streaming<T>(PhantomData<fn() -> T>);

impl<T> Unary<T> {
    /// The wrapper; it holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Unary(PhantomData)
    }
}

impl<T> Default for Unary<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Streaming<T> {
    /// The wrapper; it holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Streaming(PhantomData)
    }
}

impl<T> Default for Streaming<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn decode<I: serde::de::DeserializeOwned>(input: Value) -> Result<I> {
    serde_json::from_value(schema::normalise(input)).map_err(|e| Error::invalid(format!("the input does not fit: {e}")))
}

fn encode<O: serde::Serialize>(output: &O) -> Result<Value> {
    serde_json::to_value(output).map_err(|e| Error::internal(format!("encode the output: {e}")))
}

impl<T: Operation> Erased for Unary<T> {
    fn meta(&self) -> &'static Meta {
        &T::META
    }
    fn input(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T::Input>()
    }
    fn output(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T::Output>()
    }
    fn call<'a>(&'a self, engine: &'a Engine, caller: &'a Caller, input: Value) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move { encode(&T::run(engine, caller, decode(input)?).await?) })
    }
    fn open<'a>(&'a self, _: &'a Engine, _: &'a Caller, _: Value) -> BoxFuture<'a, Result<ValueStream>> {
        Box::pin(async { Err(Error::invalid(format!("{} is not a stream", T::META.name)).hint("call it instead")) })
    }
}

impl<T: StreamOperation> Erased for Streaming<T> {
    fn meta(&self) -> &'static Meta {
        &T::META
    }
    fn input(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T::Input>()
    }
    fn output(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T::Item>()
    }
    fn call<'a>(&'a self, _: &'a Engine, _: &'a Caller, _: Value) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async { Err(Error::invalid(format!("{} is a stream", T::META.name)).hint("open it as a stream")) })
    }
    fn open<'a>(&'a self, engine: &'a Engine, caller: &'a Caller, input: Value) -> BoxFuture<'a, Result<ValueStream>> {
        Box::pin(async move {
            let items = T::open(engine, caller, decode(input)?).await?;
            Ok(items.map(|item| item.and_then(|item| encode(&item))).boxed())
        })
    }
}
