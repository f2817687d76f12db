//! `secrets`: names of what is secret, never the values.

use super::operation::{Meta, Method, Operation};
use super::wire::{DONE, Done, Paging};
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::{Code, Result};
use crate::secret::SecretInfo;
use crate::storage::page::Page;
use schemars::JsonSchema;
use serde::Deserialize;

/// Lists secrets.
pub struct List;

impl Operation for List {
    const META: Meta = Meta::read("secrets.list", Method::Get, "/secrets", "List the names of the secrets.")
        .describe("Values are never given out. Connections are listed with `connections.list` too.")
        .needs(Permission::SecretsRead)
        .paged();
    type Input = Paging;
    type Output = Page<SecretInfo>;
    async fn run(engine: &Engine, caller: &Caller, input: Paging) -> Result<Page<SecretInfo>> {
        engine.secrets().list(caller.workspace, input.cursor.as_deref(), input.limit).await
    }
}

/// Sets a secret.
pub struct Set;

/// A secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSecretInput {
    /// Its name: letters, digits and `_`.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Operation for Set {
    const META: Meta = Meta::write("secrets.set", Method::Put, "/secrets/{name}", "Set a secret.")
        .needs(Permission::SecretsWrite)
        .positional(&["name", "value"])
        .example(r#"{"value": "s3cr3t-value"}"#);
    type Input = SetSecretInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: SetSecretInput) -> Result<Done> {
        engine.secrets().set(caller.workspace, &input.name, &input.value).await?;
        Ok(DONE)
    }
}

/// Deletes a secret.
pub struct Delete;

/// A name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretInput {
    /// Its name.
    pub name: String,
}

impl Operation for Delete {
    const META: Meta = Meta::write("secrets.delete", Method::Delete, "/secrets/{name}", "Delete a secret.")
        .needs(Permission::SecretsWrite)
        .errors(&[Code::NotFound]);
    type Input = SecretInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: SecretInput) -> Result<Done> {
        engine.secrets().delete(caller.workspace, &input.name).await?;
        Ok(DONE)
    }
}
