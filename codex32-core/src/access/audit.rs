//! The audit trail: one row for each change, by whom, to what, with which outcome.

use super::{Access, Caller};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{TokenId, UserId};
use crate::storage::entity::audit;
use crate::storage::page::{self, Page};
use crate::storage::{Db, Group, Tx, insert_all};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of detail that are kept.
const MAX_DETAIL: usize = 16 * 1_024;
/// Characters of a subject that are kept.
const MAX_SUBJECT: usize = 300;

/// What was done.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What: `bots.create`.
    pub operation: String,
    /// To what: a name or an id, or empty.
    pub subject: String,
    /// More about it. Must not hold secrets: hand in names, not values.
    pub detail: Value,
    /// `ok` or the code of the error.
    pub outcome: String,
}

impl Deed {
    /// A deed that succeeded, without detail.
    pub fn ok(operation: impl Into<String>, subject: impl Into<String>) -> Self {
        Deed { operation: operation.into(), subject: subject.into(), detail: Value::Null, outcome: "ok".to_owned() }
    }
    /// A deed with the outcome of `result`. Of an error only the code is kept.
    pub fn of<T>(operation: impl Into<String>, subject: impl Into<String>, result: &Result<T>) -> Self {
        let outcome = result.as_ref().err().map_or("ok", |error| error.code().as_str());
        Deed { outcome: outcome.to_owned(), ..Deed::ok(operation, subject) }
    }
    /// The same with detail.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}

/// A row of the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Identity.
    pub id: uuid::Uuid,
    /// UTC milliseconds.
    pub at: Millis,
    /// Who; none for the one who opened the data directory.
    pub user: Option<UserId>,
    /// Who, as they were called then.
    pub actor: String,
    /// The token that was used.
    pub token: Option<TokenId>,
    /// What: `bots.create`.
    pub operation: String,
    /// To what.
    pub subject: String,
    /// More about it.
    pub detail: Value,
    /// `ok` or the code of the error.
    pub outcome: String,
}

/// Which rows are wanted; a field that is none does not narrow.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct AuditFilter {
    /// What: `bots.create`, or every operation of a noun (`bots.*`).
    pub operation: Option<String>,
    /// To what.
    pub subject: Option<String>,
    /// Who.
    pub user: Option<UserId>,
    /// UTC milliseconds; this and later.
    pub since: Option<Millis>,
}

/// Writes rows that have no transaction of their own; those that come at the same time
/// share one.
#[derive(Clone)]
pub(super) struct Trail(Group<audit::ActiveModel, ()>);

impl std::fmt::Debug for Trail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trail")
    }
}

impl Trail {
    pub(super) fn new(db: Db) -> Trail {
        let to = db.clone();
        Trail(db.group(move |rows: Vec<audit::ActiveModel>| -> BoxFuture<'static, Vec<Result<()>>> {
            let (db, count) = (to.clone(), rows.len());
            Box::pin(async move {
                let written = db.single(move |db| {
                    let insert = insert_all(rows.clone());
                    Box::pin(async move {
                        if let Some(insert) = insert {
                            db.execute(&insert).await?;
                        }
                        Ok(())
                    })
                });
                vec![written.await; count]
            })
        }))
    }
}

/// Writes a row in the transaction of what it tells about.
///
/// # Errors
/// Those of the database.
pub async fn record(tx: &Tx, now: Millis, caller: &Caller, deed: Deed) -> Result<()> {
    audit::Entity::insert(row(now, caller, deed)).exec_without_returning(tx).await?;
    Ok(())
}

fn row(now: Millis, caller: &Caller, deed: Deed) -> audit::ActiveModel {
    let mut detail = deed.detail.to_string();
    if detail.len() > MAX_DETAIL {
        detail = serde_json::json!({ "omitted_bytes": detail.len() }).to_string();
    }
    audit::ActiveModel {
        id: Set(TokenId::at(now).0),
        workspace_id: Set(caller.workspace.0),
        at: Set(now),
        user_id: Set(caller.user.map(|user| user.0)),
        actor: Set(caller.label().to_owned()),
        token_id: Set(caller.token.map(|token| token.0)),
        operation: Set(deed.operation),
        subject: Set(deed.subject.chars().filter(|c| *c != '\0').take(MAX_SUBJECT).collect()),
        // PostgreSQL's text cannot hold a zero character; JSON writes it escaped.
        detail: Set(detail),
        outcome: Set(deed.outcome),
    }
}

impl Access {
    /// Writes a row of the audit trail that belongs to no other transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record(&self, caller: &Caller, deed: Deed) -> Result<()> {
        self.trail.0.submit(row(self.now(), caller, deed)).await
    }

    /// The workspace's audit trail, newest first.
    ///
    /// # Errors
    /// `invalid` for a cursor that is none.
    pub async fn audit(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<AuditEntry>> {
        use audit::Column;
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query = audit::Entity::find().filter(Column::WorkspaceId.eq(caller.workspace.0));
        if let Some(cursor) = cursor {
            query = query.filter(Column::Id.lt(page::decode(cursor)?));
        }
        if let Some(operation) = &filter.operation {
            query = match operation.strip_suffix('*') {
                Some(noun) => query.filter(Column::Operation.like(page::starts_with(noun))),
                None => query.filter(Column::Operation.eq(operation)),
            };
        }
        if let Some(subject) = &filter.subject {
            query = query.filter(Column::Subject.eq(subject));
        }
        if let Some(user) = filter.user {
            query = query.filter(Column::UserId.eq(user.0));
        }
        if let Some(since) = filter.since {
            query = query.filter(Column::At.gte(since));
        }
        let rows = query.order_by_desc(Column::Id).limit(limit + 1).all(self.db.read()).await?;
        let page = Page::cut(rows, limit, |row| row.id);
        let items = page.items.into_iter().map(from_row).collect::<Result<_>>()?;
        Ok(Page { items, next: page.next })
    }
}

fn from_row(row: audit::Model) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.id,
        at: row.at,
        user: row.user_id.map(UserId),
        actor: row.actor,
        token: row.token_id.map(TokenId),
        operation: row.operation,
        subject: row.subject,
        detail: serde_json::from_str(&row.detail).map_err(|_| Error::internal("a stored audit row is damaged"))?,
        outcome: row.outcome,
    })
}
