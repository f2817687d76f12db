//! Durable values of bots.
//!
//! Invariant: a change is made once for each step of each execution and name, however
//! often the step is tried; the result of the first time is given again.

use super::{ActionContext, KvChange};
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error, Result};
use crate::id::{BotId, WorkspaceId};
use crate::storage::entity::{kv_changes, kv_values};
use crate::storage::{Db, Only as _, Tx};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Set};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Longest name, in bytes.
const MAX_KEY: usize = 512;
/// Largest value, in bytes of JSON.
const MAX_VALUE: usize = 1024 * 1024;
/// Names that one listing gives.
const MAX_LISTED: u64 = 1_000;

/// Whose values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The bot; none for calls that belong to no bot.
    pub bot: Option<BotId>,
}

impl Owner {
    fn bot_id(self) -> Uuid {
        self.bot.map_or(Uuid::nil(), Uuid::from)
    }
}

impl From<&ActionContext> for Owner {
    fn from(cx: &ActionContext) -> Self {
        Owner { workspace: cx.workspace, bot: cx.bot }
    }
}

/// The store, in the engine's database.
#[derive(Debug, Clone)]
pub struct KvStore {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl KvStore {
    /// A store in `db`.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> KvStore {
        KvStore { db, clock }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// `invalid` for a name that is none; those of the database.
    pub async fn get(&self, owner: Owner, key: &str) -> Result<Option<Value>> {
        check(key)?;
        let id = (owner.workspace.0, owner.bot_id(), key.to_owned());
        let row = kv_values::Entity::find_by_id(id).only(self.db.read()).await?;
        row.and_then(|row| row.value).map(|text| decode(&text)).transpose()
    }

    /// Makes `change` once for `idempotency_key` and gives its result; an empty key
    /// makes it each time.
    ///
    /// # Errors
    /// `invalid` where the value there is not one that can be changed so, `too_large`,
    /// and those of the database. Nothing is changed then.
    pub async fn update(&self, owner: Owner, key: &str, idempotency_key: &str, change: KvChange) -> Result<Value> {
        check(key)?;
        let (key, once, now) = (key.to_owned(), idempotency_key.to_owned(), self.clock.now());
        self.db.write(move |tx| Box::pin(async move { apply(tx, now, owner, key, once, change).await })).await
    }

    /// Names that start with `prefix`, at most 1,000, in order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self, owner: Owner, prefix: &str) -> Result<Vec<String>> {
        let mut query = kv_values::Entity::find()
            .select_only()
            .column(kv_values::Column::Key)
            .filter(kv_values::Column::WorkspaceId.eq(owner.workspace.0))
            .filter(kv_values::Column::BotId.eq(owner.bot_id()))
            .filter(kv_values::Column::Value.is_not_null())
            .order_by_asc(kv_values::Column::Key)
            .limit(MAX_LISTED);
        if !prefix.is_empty() {
            let pattern = prefix.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            let like = sea_orm::sea_query::LikeExpr::new(format!("{pattern}%")).escape('\\');
            query = query.filter(kv_values::Column::Key.like(like));
        }
        // LIKE does not tell cases apart on SQLite.
        let keys: Vec<String> = query.into_tuple().all(self.db.read()).await?;
        Ok(keys.into_iter().filter(|key| key.starts_with(prefix)).collect())
    }

    /// Forgets which changes were made before `before`; to be called now and then with
    /// a time that no running execution is older than. Gives how many were forgotten.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&self, before: Millis) -> Result<u64> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let old = kv_changes::Entity::delete_many().filter(kv_changes::Column::CreatedAt.lt(before));
                    Ok(old.exec(tx).await?.rows_affected)
                })
            })
            .await
    }

    /// Forgets everything of a bot, in the transaction that purges it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn purge(tx: &Tx, owner: Owner) -> Result<()> {
        kv_values::Entity::delete_many()
            .filter(kv_values::Column::WorkspaceId.eq(owner.workspace.0))
            .filter(kv_values::Column::BotId.eq(owner.bot_id()))
            .exec(tx)
            .await?;
        kv_changes::Entity::delete_many()
            .filter(kv_changes::Column::WorkspaceId.eq(owner.workspace.0))
            .filter(kv_changes::Column::BotId.eq(owner.bot_id()))
            .exec(tx)
            .await?;
        Ok(())
    }
}

async fn apply(tx: &Tx, now: Millis, owner: Owner, key: String, once: String, change: KvChange) -> Result<Value> {
    let (workspace, bot) = (owner.workspace.0, owner.bot_id());
    // The row is made first and then locked, so that two changes at once take turns on
    // PostgreSQL even where there was no row to lock.
    let row = kv_values::ActiveModel {
        workspace_id: Set(workspace),
        bot_id: Set(bot),
        key: Set(key.clone()),
        value: Set(None),
        updated_at: Set(now),
    };
    use kv_values::Column as C;
    kv_values::Entity::insert(row)
        .on_conflict(OnConflict::columns([C::WorkspaceId, C::BotId, C::Key]).update_column(C::Key).to_owned())
        .exec_without_returning(tx)
        .await?;
    let id = (workspace, bot, key.clone());
    let row = kv_values::Entity::find_by_id(id.clone()).one(tx).await?;
    let before = row.and_then(|row| row.value).map(|text| decode(&text)).transpose()?;
    if !once.is_empty() {
        let known = kv_changes::Entity::find_by_id((workspace, once.clone(), key.clone())).one(tx).await?;
        if let Some(known) = known {
            if before.is_none() {
                kv_values::Entity::delete_by_id(id).exec(tx).await?;
            }
            return decode(&known.result);
        }
    }
    let (after, result) = changed(&key, before, change)?;
    match after {
        None => {
            kv_values::Entity::delete_by_id(id).exec(tx).await?;
        }
        Some(after) => {
            let text = encode(&key, &after)?;
            let row = kv_values::ActiveModel {
                workspace_id: Set(workspace),
                bot_id: Set(bot),
                key: Set(key.clone()),
                value: Set(Some(text)),
                updated_at: Set(now),
            };
            kv_values::Entity::update(row).exec(tx).await?;
        }
    }
    if !once.is_empty() {
        let made = kv_changes::ActiveModel {
            workspace_id: Set(workspace),
            idempotency_key: Set(once),
            key: Set(key),
            bot_id: Set(bot),
            result: Set(result.to_string()),
            created_at: Set(now),
        };
        kv_changes::Entity::insert(made).exec_without_returning(tx).await?;
    }
    Ok(result)
}

/// The value after a change (`None`: gone) and the change's result.
fn changed(key: &str, before: Option<Value>, change: KvChange) -> Result<(Option<Value>, Value)> {
    let wrong = |what: &str| Err(Error::invalid(format!("the value of \"{key}\" is no {what}")));
    Ok(match change {
        KvChange::Set(value) => (Some(value.clone()), value),
        KvChange::Delete => (None, before.unwrap_or(Value::Null)),
        KvChange::Add(by) => {
            let sum = match before {
                None | Some(Value::Null) => by,
                Some(Value::Number(n)) => n.as_f64().unwrap_or(0.0) + by,
                Some(_) => return wrong("number"),
            };
            let sum = number(sum).ok_or_else(|| Error::invalid(format!("the sum of \"{key}\" is out of range")))?;
            (Some(sum.clone()), sum)
        }
        KvChange::Append { item, keep } => {
            let mut list = match before {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(list)) => list,
                Some(_) => return wrong("list"),
            };
            list.push(item);
            list.drain(..list.len().saturating_sub(keep));
            (Some(Value::Array(list.clone())), Value::Array(list))
        }
        KvChange::Swap(value) => {
            let result = json!({
                "changed": before.as_ref().is_some_and(|before| *before != value),
                "first": before.is_none(),
                "before": before,
            });
            (Some(value), result)
        }
    })
}

/// A whole number stays one.
fn number(n: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if n.fract() == 0.0 && n.abs() <= EXACT {
        return Some(Value::from(n as i64));
    }
    serde_json::Number::from_f64(n).map(Value::Number)
}

fn check(key: &str) -> Result<()> {
    if key.is_empty() || key.len() > MAX_KEY || key.contains('\0') {
        return Err(
            Error::invalid(format!("the name of a value must have 1 to {MAX_KEY} bytes")).at("/key", "is no name")
        );
    }
    Ok(())
}

fn encode(key: &str, value: &Value) -> Result<String> {
    let text = value.to_string();
    if text.len() > MAX_VALUE {
        return Err(Error::new(Code::TooLarge, format!("the value of \"{key}\" is larger than {MAX_VALUE} bytes"))
            .hint("keep fewer items, or store it in a database"));
    }
    Ok(text)
}

fn decode(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|_| Error::internal("a stored value is no JSON"))
}

#[cfg(test)]
mod tests;
