//! The room's door: [`Secrets`].

use super::key::{KeyProvider, Wrapped};
use super::redactor::Redactor;
use super::seal::{self, Key};
use super::{connection, store};
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error, Result};
use crate::id::WorkspaceId;
use crate::storage::entity::{data_keys, secrets};
use crate::storage::page::{self, Page};
use crate::storage::{Db, Recent};
use moka::future::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest value of a secret, in bytes.
pub const MAX_VALUE: usize = 32 * 1_024;
/// Secrets and connections of one workspace.
pub const MAX_SECRETS: usize = 1_000;
/// Bytes of all values of one workspace: every log line is searched for all of them.
pub(crate) const MAX_TOTAL: i64 = 256 * 1_024;
/// How a connection's secret is named.
const CONNECTION: &str = "connection:";

/// What a stored value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretKind {
    /// A value that blueprints name as `secrets.NAME`.
    Secret,
    /// Credentials and addresses of a connector.
    Connection,
}

/// A secret as it is listed: everything but its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretInfo {
    /// Name, of a connection without `connection:`.
    pub name: String,
    /// What it is.
    pub kind: SecretKind,
    /// 1 at first, one more at each change.
    pub version: i64,
    /// UTC milliseconds.
    pub created_at: Millis,
    /// UTC milliseconds.
    pub updated_at: Millis,
}

/// Secrets of all workspaces. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    keys: Arc<dyn KeyProvider>,
    data_keys: Cache<WorkspaceId, Arc<Key>>,
    redactors: Cache<WorkspaceId, (i64, Arc<Redactor>)>,
    /// The wrapped keys as they are stored.
    stored_keys: Recent<WorkspaceId, Option<data_keys::Model>>,
    /// Connections that there are none of. Those that there are, are not kept: they are secret.
    absent: Recent<(WorkspaceId, String), ()>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Secrets in `db`, under the master keys of `keys`.
    ///
    /// # Errors
    /// `precondition` where the stored secrets were written under a master key that is not at hand.
    pub async fn open(db: Db, clock: Arc<dyn Clock>, keys: Arc<dyn KeyProvider>) -> Result<Secrets> {
        if let Some(row) = store::any_data_key(db.read()).await? {
            let wrapped = Wrapped { master: row.master, bytes: row.wrapped };
            keys.open(&wrapped, &bound_key(row.workspace_id.into())).await?;
        }
        let (data_keys, redactors) = (Cache::new(1_000), Cache::new(200));
        let (stored_keys, absent) = (Recent::new(db.clone()), Recent::new(db.clone()));
        Ok(Secrets { inner: Arc::new(Inner { db, clock, keys, data_keys, redactors, stored_keys, absent }) })
    }

    /// Sees to it that all processes that share the database have the same master key,
    /// before any of them has stored a secret: the first leaves a key wrapped by its own.
    ///
    /// # Errors
    /// `precondition` where the first had another master key.
    pub async fn agree(&self) -> Result<()> {
        // Of no workspace: its id is nobody's.
        let nobody = WorkspaceId(uuid::Uuid::nil());
        self.data_key_or_new(nobody).await.map(|_| ())
    }

    /// Sets a secret.
    ///
    /// # Errors
    /// `invalid` for a bad name or an empty value, `too_large`.
    pub async fn set(&self, ws: WorkspaceId, name: &str, value: &str) -> Result<()> {
        check_name(name)?;
        if value.is_empty() {
            return Err(Error::invalid("the secret is empty").at("/value", "is empty"));
        }
        self.put(ws, name, value).await
    }

    /// Sets a connection. That `value` satisfies the connector's schema is for the caller to see to.
    ///
    /// # Errors
    /// `invalid` for a bad name or a value that is no object, `too_large`.
    pub async fn set_connection(&self, ws: WorkspaceId, name: &str, value: &Value) -> Result<()> {
        check_connection_name(name)?;
        if !value.is_object() {
            return Err(Error::invalid("a connection is an object").at("/value", "is not an object"));
        }
        let text = Zeroizing::new(value.to_string());
        self.put(ws, &format!("{CONNECTION}{name}"), &text).await
    }

    async fn put(&self, ws: WorkspaceId, name: &str, value: &str) -> Result<()> {
        if value.len() > MAX_VALUE {
            return Err(Error::new(Code::TooLarge, format!("the value exceeds {MAX_VALUE} bytes"))
                .at("/value", "is too large")
                .hint("a secret is a credential; keep documents elsewhere"));
        }
        let key = self.data_key_or_new(ws).await?;
        let (name, value, now) = (name.to_owned(), Zeroizing::new(value.to_owned()), self.inner.clock.now());
        let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
        self.inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    store::touch(tx, now, ws).await?;
                    store::check_room(tx, ws, &name, size).await?;
                    let old = store::find(tx, ws, &name).await?;
                    let version = old.as_ref().map_or(1, |old| old.version + 1);
                    let sealed = seal::seal(&key, &bound_value(ws, &name, version), value.as_bytes())?;
                    match old {
                        Some(old) => store::update(tx, now, &old, sealed, size).await,
                        None => store::insert(tx, now, ws, &name, sealed, size).await,
                    }
                })
            })
            .await
    }

    /// The value of a secret.
    ///
    /// # Errors
    /// `internal` where it was tampered with.
    pub async fn get(&self, ws: WorkspaceId, name: &str) -> Result<Option<Zeroizing<String>>> {
        match store::find(self.inner.db.read(), ws, name).await? {
            Some(row) => Ok(Some(self.reveal(ws, &row).await?)),
            None => Ok(None),
        }
    }

    /// Names of secrets and connections, oldest first; no values.
    ///
    /// # Errors
    /// `invalid` for a cursor that is none.
    pub async fn list(&self, ws: WorkspaceId, cursor: Option<&str>, limit: u64) -> Result<Page<SecretInfo>> {
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let after = cursor.map(page::decode).transpose()?;
        let rows = store::page(self.inner.db.read(), ws, after, limit + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.id).map(info))
    }

    /// Deletes a secret.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete(&self, ws: WorkspaceId, name: &str) -> Result<()> {
        check_name(name).map_err(|_| Error::not_found("secret", name))?;
        if self.remove(ws, name.to_owned()).await? { Ok(()) } else { Err(Error::not_found("secret", name)) }
    }

    /// Deletes a connection.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete_connection(&self, ws: WorkspaceId, name: &str) -> Result<()> {
        let gone = self.remove(ws, format!("{CONNECTION}{name}")).await?;
        if gone { Ok(()) } else { Err(Error::not_found("connection", name)) }
    }

    async fn remove(&self, ws: WorkspaceId, name: String) -> Result<bool> {
        let now = self.inner.clock.now();
        self.inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    store::touch(tx, now, ws).await?;
                    store::delete(tx, ws, &name).await
                })
            })
            .await
    }

    /// The values of the secrets `names`; all of them or an error.
    ///
    /// # Errors
    /// `not_found` naming the first that is not set.
    pub async fn resolve(&self, ws: WorkspaceId, names: &[String]) -> Result<HashMap<String, String>> {
        let mut values = HashMap::with_capacity(names.len());
        if names.is_empty() {
            return Ok(values);
        }
        for name in names {
            check_name(name)?;
        }
        for row in store::find_many(self.inner.db.read(), ws, names).await? {
            let value = self.reveal(ws, &row).await?;
            values.insert(row.name, value.to_string());
        }
        match names.iter().find(|name| !values.contains_key(*name)) {
            Some(missing) => {
                Err(Error::not_found("secret", missing).hint(format!("set it with `codex32 secrets set {missing}`")))
            }
            None => Ok(values),
        }
    }

    /// The credentials and addresses of the connection `name`.
    ///
    /// # Errors
    /// `internal` where it was tampered with.
    pub async fn connection(&self, ws: WorkspaceId, name: &str) -> Result<Option<Value>> {
        let key = (ws, name.to_owned());
        let generation = self.inner.db.generation();
        if self.inner.absent.known(&key).await.is_some() {
            return Ok(None);
        }
        let Some(text) = self.get(ws, &format!("{CONNECTION}{name}")).await? else {
            self.inner.absent.keep(key, generation, ()).await;
            return Ok(None);
        };
        serde_json::from_str(&text).map(Some).map_err(|_| damaged(name))
    }

    /// The redactor of all that the workspace keeps secret, as of now. Cached: it costs
    /// the read of one row while nothing changes.
    ///
    /// # Errors
    /// `internal` where a secret was tampered with: then nothing may be let through.
    pub async fn redactor(&self, ws: WorkspaceId) -> Result<Arc<Redactor>> {
        let stored = self.inner.stored_keys.get(ws, store::data_key(self.inner.db.read(), ws)).await?;
        let Some(key) = stored else { return Ok(Arc::new(Redactor::none())) };
        if let Some((revision, redactor)) = self.inner.redactors.get(&ws).await
            && revision == key.revision
        {
            return Ok(redactor);
        }
        // Read after the revision: what is newer than it is in already, and comes again with the next.
        let mut values = Vec::new();
        for row in store::all(self.inner.db.read(), ws).await? {
            let value = self.reveal(ws, &row).await?;
            match row.name.strip_prefix(CONNECTION) {
                Some(name) => {
                    let parsed: Value = serde_json::from_str(&value).map_err(|_| damaged(name))?;
                    connection::secret_leaves(&parsed, &mut values);
                }
                None => values.push(value),
            }
        }
        let redactor = tokio::task::spawn_blocking(move || Redactor::new(values.iter().map(|v| v.as_str())))
            .await
            .map_err(|_| Error::internal("building a redactor was interrupted"))?;
        let redactor = Arc::new(redactor);
        self.inner.redactors.insert(ws, (key.revision, redactor.clone())).await;
        Ok(redactor)
    }

    /// Wraps every workspace's key by the current master key. Values are not touched.
    /// Returns how many were wrapped anew; safe to repeat after an interruption.
    ///
    /// # Errors
    /// Those of the key provider and of the database.
    pub async fn rewrap(&self) -> Result<u64> {
        let current = self.inner.keys.current().await?;
        let (mut after, mut done) = (None, 0);
        loop {
            let rows = store::wrapped_otherwise(self.inner.db.read(), &current, after).await?;
            let Some(last) = rows.last() else { return Ok(done) };
            after = Some(last.workspace_id);
            for row in rows {
                let ws = row.workspace_id.into();
                let key = self.unwrap_row(ws, &row).await?;
                let wrapped = self.inner.keys.wrap(&key, &bound_key(ws)).await?;
                let now = self.inner.clock.now();
                let changed = self
                    .inner
                    .db
                    .write(move |tx| Box::pin(async move { store::rewrap(tx, now, &row, wrapped).await }))
                    .await?;
                done += u64::from(changed);
            }
        }
    }

    async fn reveal(&self, ws: WorkspaceId, row: &secrets::Model) -> Result<Zeroizing<String>> {
        // Another process may have set it a moment ago: the redactor must know it from now on.
        self.inner.stored_keys.forget(&ws).await;
        let key = self.data_key(ws).await?.ok_or_else(|| damaged(&row.name))?;
        let plain = seal::open(&key, &bound_value(ws, &row.name, row.version), &row.ciphertext);
        let text = plain.and_then(|plain| std::str::from_utf8(&plain).ok().map(str::to_owned));
        text.map(Zeroizing::new).ok_or_else(|| damaged(&row.name))
    }

    async fn data_key(&self, ws: WorkspaceId) -> Result<Option<Arc<Key>>> {
        if let Some(key) = self.inner.data_keys.get(&ws).await {
            return Ok(Some(key));
        }
        let Some(row) = store::data_key(self.inner.db.read(), ws).await? else { return Ok(None) };
        let key = Arc::new(self.unwrap_row(ws, &row).await?);
        self.inner.data_keys.insert(ws, key.clone()).await;
        Ok(Some(key))
    }

    async fn unwrap_row(&self, ws: WorkspaceId, row: &data_keys::Model) -> Result<Key> {
        let wrapped = Wrapped { master: row.master.clone(), bytes: row.wrapped.clone() };
        self.inner.keys.open(&wrapped, &bound_key(ws)).await
    }

    async fn data_key_or_new(&self, ws: WorkspaceId) -> Result<Arc<Key>> {
        if let Some(key) = self.data_key(ws).await? {
            return Ok(key);
        }
        let wrapped = self.inner.keys.wrap(&seal::fresh_key(), &bound_key(ws)).await?;
        let now = self.inner.clock.now();
        self.inner.db.write(move |tx| Box::pin(async move { store::add_data_key(tx, now, ws, wrapped).await })).await?;
        // Read back: another may have been first.
        self.data_key(ws).await?.ok_or_else(|| Error::internal("a key just stored is gone"))
    }
}

fn info(row: secrets::Model) -> SecretInfo {
    let (name, kind) = match row.name.strip_prefix(CONNECTION) {
        Some(name) => (name.to_owned(), SecretKind::Connection),
        None => (row.name, SecretKind::Secret),
    };
    SecretInfo { name, kind, version: row.version, created_at: row.created_at, updated_at: row.updated_at }
}

/// What a workspace's key is bound to: it opens in no other workspace.
fn bound_key(ws: WorkspaceId) -> Vec<u8> {
    [b"codex32 data key\0", ws.0.as_bytes().as_slice()].concat()
}

/// What a value is bound to: workspace, version and name, the only part without a fixed length last.
fn bound_value(ws: WorkspaceId, name: &str, version: i64) -> Vec<u8> {
    [b"codex32 secret\0", ws.0.as_bytes().as_slice(), &version.to_be_bytes(), name.as_bytes()].concat()
}

fn damaged(name: &str) -> Error {
    Error::internal(format!("the stored secret \"{name}\" was tampered with"))
}

/// A secret is named as a variable is, since expressions say `secrets.NAME`.
fn check_name(name: &str) -> Result<()> {
    let good = name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if good {
        return Ok(());
    }
    Err(Error::invalid("the name of the secret is not usable")
        .at("/name", "needs letters, digits and underscores, not first a digit")
        .hint("expressions read it as secrets.NAME, such as secrets.api_key"))
}

fn check_connection_name(name: &str) -> Result<()> {
    let good = (1..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if good {
        return Ok(());
    }
    Err(Error::invalid("the name of the connection is not usable")
        .at("/name", "needs 1 to 63 letters, digits, `_`, `-` or `.`"))
}
