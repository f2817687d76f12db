//! Who drives an execution: claiming, keeping, and giving back.

use super::super::types::Status;
use super::Store;
use super::workers::fits;
use crate::clock::Millis;
use crate::error::Result;
use crate::event::Bus;
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{executions, timers};
use crate::trigger::depth_of;
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use uuid::Uuid;

/// An execution that this executor drives from now on.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) row: executions::Model,
}

/// How an execution is given back.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    pub(crate) id: ExecutionId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) token: i64,
    pub(crate) paused: bool,
    /// When it goes on by itself, and which step does.
    pub(crate) due: Option<(Millis, String)>,
    /// Whether the workspace is told.
    pub(crate) announce: Option<serde_json::Value>,
}

impl Store {
    /// What `owner` holds the lease of, with the fencing token.
    pub(crate) async fn held(&self, owner: Uuid) -> Result<Vec<(ExecutionId, i64)>> {
        let held: Vec<(Uuid, i64)> = executions::Entity::find()
            .select_only()
            .columns([executions::Column::Id, executions::Column::LeaseToken])
            .filter(held_by(owner))
            .into_tuple()
            .all(self.db.read())
            .await?;
        Ok(held.into_iter().map(|(id, token)| (ExecutionId(id), token)).collect())
    }

    /// Takes up to `limit` executions that are ready, as many of each of `workspaces` as
    /// there are to be had in turns; in each by priority, then age.
    pub(crate) async fn claim(
        &self,
        owner: Uuid,
        until: Millis,
        limit: u64,
        workspaces: Vec<Uuid>,
    ) -> Result<Vec<Claimed>> {
        let now = self.clock.now();
        let fits = fits(&self.labels.all());
        self.write("claim", move |tx| {
            Box::pin(async move {
                let (mut claimed, mut open) = (Vec::new(), workspaces);
                // Who has less than its share leaves the rest to the others.
                while !open.is_empty() {
                    let mut more = Vec::new();
                    let count = open.len();
                    for (place, workspace) in open.into_iter().enumerate() {
                        let left = limit.saturating_sub(u64::try_from(claimed.len()).unwrap_or(limit));
                        let share = left.div_ceil(u64::try_from(count - place).unwrap_or(1));
                        if share == 0 {
                            return Ok(claimed);
                        }
                        let rows = take(tx, next(fits.clone(), workspace, share), owner, until, now).await?;
                        if u64::try_from(rows.len()).is_ok_and(|rows| rows == share) {
                            more.push(workspace);
                        }
                        claimed.extend(rows);
                    }
                    open = more;
                }
                Ok(claimed)
            })
        })
        .await
    }

    /// Takes those of `ids` that are ready, whatever they ask for: they are only to end.
    pub(crate) async fn claim_to_end(&self, owner: Uuid, until: Millis, ids: Vec<ExecutionId>) -> Result<Vec<Claimed>> {
        let now = self.clock.now();
        self.write("claim", move |tx| {
            Box::pin(async move {
                let ids = ids.into_iter().map(|id| id.0);
                let ready = executions::Entity::find().filter(executions::Column::Id.is_in(ids)).filter(queued());
                take(tx, ready, owner, until, now).await
            })
        })
        .await
    }

    /// Gives an execution back that waits or is paused. False where a signal has come in
    /// the meantime or someone else drives it: then nothing was changed.
    pub(crate) async fn park(&self, parked: Parked) -> Result<bool> {
        let clock = self.clock.clone();
        self.write("park", move |tx| {
            Box::pin(async move {
                let status = if parked.paused { Status::Paused } else { Status::Waiting };
                let done = executions::Entity::update_many()
                    .col_expr(executions::Column::Status, Expr::value(status.as_str()))
                    .col_expr(executions::Column::LeaseOwner, Expr::value(Option::<Uuid>::None))
                    .col_expr(executions::Column::LeaseUntil, Expr::value(Option::<i64>::None))
                    .filter(executions::Column::Id.eq(parked.id.0))
                    .filter(executions::Column::LeaseToken.eq(parked.token))
                    .filter(executions::Column::SignalsPending.eq(0))
                    .exec(tx)
                    .await?;
                if done.rows_affected != 1 {
                    return Ok(false);
                }
                if let Some((due, path)) = parked.due {
                    let row = timers::ActiveModel {
                        execution_id: Set(parked.id.0),
                        workspace_id: Set(parked.workspace.0),
                        due: Set(due),
                        path: Set(path),
                    };
                    let replace = OnConflict::column(timers::Column::ExecutionId)
                        .update_columns([timers::Column::Due, timers::Column::Path])
                        .to_owned();
                    timers::Entity::insert(row).on_conflict(replace).exec_without_returning(tx).await?;
                }
                if let Some(data) = parked.announce {
                    let depth = depth_of(&data);
                    Bus::publish_deep_in(tx, &*clock, parked.workspace, "execution.waiting", data, depth).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    /// Gives an execution back so that it is claimed again.
    pub(crate) async fn requeue(&self, id: ExecutionId, token: i64) -> Result<()> {
        self.write("requeue", move |tx| {
            Box::pin(async move {
                free(Status::Queued)
                    .filter(executions::Column::Id.eq(id.0))
                    .filter(executions::Column::LeaseToken.eq(token))
                    .filter(executions::Column::LeaseOwner.is_not_null())
                    .exec(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Keeps what `owner` drives.
    pub(crate) async fn keep(&self, owner: Uuid, until: Millis) -> Result<()> {
        self.write("keep", move |tx| {
            Box::pin(async move {
                let own = held_by(owner);
                executions::Entity::update_many()
                    .col_expr(executions::Column::LeaseUntil, Expr::value(until))
                    .filter(idle(tx, own))
                    .exec(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Gives back all that `owner` holds, as it ends: others need not wait for the leases.
    pub(crate) async fn give_back(&self, owner: Uuid) -> Result<()> {
        self.write("give_back", move |tx| {
            Box::pin(async move {
                free(Status::Queued).filter(driven()).filter(executions::Column::LeaseOwner.eq(owner)).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// Frees what others have ceased to drive: what has no valid lease, or, where this is
    /// the only executor on the database, what another than `owner` held. Returns how many.
    pub(crate) async fn adopt(&self, owner: Uuid, alone: bool) -> Result<u64> {
        let now = self.clock.now();
        self.write("adopt", move |tx| {
            Box::pin(async move {
                let lost =
                    Condition::any().add(executions::Column::LeaseUntil.lt(now)).add(Expr::value(alone).eq(true));
                let others = driven()
                    .add(executions::Column::LeaseOwner.is_not_null())
                    .add(executions::Column::LeaseOwner.ne(owner))
                    .add(lost);
                let done = free(Status::Queued).filter(idle(tx, others)).exec(tx).await?;
                Ok(done.rows_affected)
            })
        })
        .await
    }
}

/// What is ready. The state stands in the text of the statement, as the index says it:
/// for a value that is bound it would not be used.
pub(super) fn queued() -> Expr {
    Expr::col((executions::Entity, executions::Column::Status)).eq(Expr::Constant(Status::Queued.as_str().into()))
}

pub(super) fn ready(fits: Expr) -> Select<executions::Entity> {
    executions::Entity::find().filter(queued()).filter(fits)
}

/// What comes next in a workspace.
fn next(fits: Expr, workspace: Uuid, limit: u64) -> Select<executions::Entity> {
    ready(fits)
        .filter(executions::Column::WorkspaceId.eq(workspace))
        .order_by_desc(executions::Column::Priority)
        .order_by_asc(executions::Column::Id)
        .limit(limit)
}

/// Has `owner` drive those that `ready` finds, but for those that another takes.
async fn take(
    tx: &Tx,
    mut ready: Select<executions::Entity>,
    owner: Uuid,
    until: Millis,
    now: Millis,
) -> Result<Vec<Claimed>> {
    use executions::Column;
    if tx.get_database_backend() == DbBackend::Postgres {
        ready = ready.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    let mut rows = ready.all(tx).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    executions::Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Running.as_str()))
        .col_expr(Column::StartedAt, Expr::col(Column::StartedAt).if_null(now))
        .col_expr(Column::LeaseOwner, Expr::value(owner))
        .col_expr(Column::LeaseUntil, Expr::value(until))
        .col_expr(Column::LeaseToken, Expr::col(Column::LeaseToken).add(1))
        .filter(Column::Id.is_in(ids.clone()))
        .exec(tx)
        .await?;
    timers::Entity::delete_many().filter(timers::Column::ExecutionId.is_in(ids)).exec(tx).await?;
    for row in &mut rows {
        row.lease_token += 1;
        row.started_at.get_or_insert(now);
    }
    Ok(rows.into_iter().map(|row| Claimed { row }).collect())
}

fn held_by(owner: Uuid) -> Condition {
    driven().add(executions::Column::LeaseOwner.eq(owner))
}

/// What can have a driver.
fn driven() -> Condition {
    Condition::all().add(executions::Column::Status.is_in([Status::Running.as_str(), Status::Paused.as_str()]))
}

/// The executions that satisfy `condition`, but for those that someone is writing at this
/// moment: their drivers are alive, and two who write many rows must not wait for each other.
fn idle(tx: &Tx, condition: Condition) -> Condition {
    if tx.get_database_backend() != DbBackend::Postgres {
        return condition;
    }
    let mut rows = Query::select();
    rows.column(executions::Column::Id)
        .from(executions::Entity)
        .cond_where(condition)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    Condition::all().add(executions::Column::Id.in_subquery(rows))
}

fn free(status: Status) -> sea_orm::UpdateMany<executions::Entity> {
    executions::Entity::update_many()
        .col_expr(executions::Column::Status, Expr::value(status.as_str()))
        .col_expr(executions::Column::LeaseOwner, Expr::value(Option::<Uuid>::None))
        .col_expr(executions::Column::LeaseUntil, Expr::value(Option::<i64>::None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing::sqlite;
    use sea_orm::{QueryTrait, Statement};

    /// What there is to drive is few; what is stored may be millions.
    #[tokio::test]
    async fn nothing_walks_over_what_is_over() {
        let test = sqlite().await;
        let owner = Uuid::from_u128(1);
        let others =
            driven().add(executions::Column::LeaseOwner.is_not_null()).add(executions::Column::LeaseOwner.ne(owner));
        let queries = [
            (next(fits(&[]), owner, 8), "executions_queued"),
            (ready(fits(&["gpu".to_owned()])).limit(1), "executions_queued"),
            (executions::Entity::find().filter(held_by(owner)), "executions_leased"),
            (executions::Entity::find().filter(others), "executions_leased"),
        ];
        for (query, index) in queries {
            let built = query.build(DbBackend::Sqlite);
            let sql = ["EXPLAIN QUERY PLAN ", &built.sql].concat();
            let explain = Statement { sql, ..built };
            let rows = test.db.read().query_all_raw(explain).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
            assert!(plan.iter().all(|line| line.contains(index)), "{plan:?}");
        }
    }
}
