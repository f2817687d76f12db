//! Removing executions for good, a few in a transaction.

use super::super::types::Status;
use super::{Store, flow, row};
use crate::clock::Millis;
use crate::error::Result;
use crate::execution::types::Execution;
use crate::id::{BotId, ExecutionId, WorkspaceId};
use crate::storage::entity::{
    approval_tokens, approvals, event_waits, execution_logs, executions, flow_items, flow_tickets, journal, signals,
    timers, webhook_replies,
};
use crate::storage::{Db, Tx};
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

/// Executions that one transaction removes at most.
const AT_ONCE: u64 = 100;
/// Rows that one transaction removes, about: writers are not held up for long.
const ROWS: i64 = 5_000;

/// The executions of one bot.
#[derive(Debug, Clone)]
pub(crate) struct Of {
    pub(crate) workspace: WorkspaceId,
    pub(crate) bot: BotId,
    pub(crate) bot_name: String,
}

/// Which of them are to go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Old {
    /// Behind this one.
    pub(crate) after: Option<Uuid>,
    /// Those that ended before, UTC milliseconds.
    pub(crate) ended_before: Option<Millis>,
    /// Those up to this one.
    pub(crate) up_to: Option<Uuid>,
}

/// Some of them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) executions: Vec<(Execution, i64)>,
    /// Go on behind this one; `None` where there are no more.
    pub(crate) next: Option<Uuid>,
}

impl Store {
    /// Finished executions that are to go, oldest first.
    pub(crate) async fn old(&self, of: &Of, old: Old) -> Result<Found> {
        use executions::Column;
        let mut wanted = Condition::any();
        let mut last = None;
        if let Some(before) = old.ended_before {
            wanted = wanted.add(Column::FinishedAt.lt(before));
            // What ended before began before.
            last = Some(ExecutionId::at(before).0);
        }
        if let Some(up_to) = old.up_to {
            wanted = wanted.add(Column::Id.lte(up_to));
            last = std::cmp::Ord::max(last, Some(up_to));
        }
        let Some(last) = last else { return Ok(Found::default()) };
        let mut query = own(of)
            .filter(Column::Id.lte(last))
            .filter(Column::FinishedAt.is_not_null())
            .filter(wanted)
            .order_by_asc(Column::Id)
            .limit(AT_ONCE);
        if let Some(after) = old.after {
            query = query.filter(Column::Id.gt(after));
        }
        let rows = query.all(self.db.read()).await?;
        let (mut executions, mut total) = (Vec::new(), 0);
        let full = u64::try_from(rows.len()).is_ok_and(|n| n >= AT_ONCE);
        let mut next = rows.last().map(|row| row.id).filter(|_| full);
        for row in rows {
            if total > ROWS {
                next = executions.last().map(|(execution, _): &(Execution, i64)| execution.id.0);
                break;
            }
            total += row.last_seq;
            let last_seq = row.last_seq;
            executions.push((row::execution(row)?, last_seq));
        }
        Ok(Found { executions, next })
    }

    /// The latest execution of a bot that has `count` later ones.
    pub(crate) async fn beyond(&self, of: &Of, count: u64) -> Result<Option<Uuid>> {
        let found = own(of)
            .select_only()
            .column(executions::Column::Id)
            .order_by_desc(executions::Column::Id)
            .offset(count)
            .limit(1)
            .into_tuple::<Uuid>()
            .one(self.db.read())
            .await?;
        Ok(found)
    }

    /// Removes finished executions with all that belongs to them.
    pub(crate) async fn remove(&self, executions: &[(Execution, i64)]) -> Result<u64> {
        for (execution, last_seq) in executions.iter().filter(|(_, last_seq)| *last_seq > ROWS) {
            let id = execution.id;
            let mut upto = ROWS;
            // The end of a long one stays until the execution goes.
            while upto < *last_seq {
                self.write("shorten", move |tx| Box::pin(shorten(tx, id, upto))).await?;
                upto += ROWS;
            }
        }
        let ids: Vec<Uuid> = executions.iter().map(|(execution, _)| execution.id.0).collect();
        self.write("remove", move |tx| Box::pin(remove(tx, ids, true))).await
    }
}

fn own(of: &Of) -> Select<executions::Entity> {
    executions::Entity::find()
        .filter(executions::Column::WorkspaceId.eq(of.workspace.0))
        .filter(executions::Column::BotName.eq(of.bot_name.clone()))
        .filter(executions::Column::BotId.eq(of.bot.0))
}

async fn shorten(tx: &Tx, id: ExecutionId, upto: i64) -> Result<()> {
    let entries = journal::Column::ExecutionId.eq(id.0).and(journal::Column::Seq.lte(upto));
    journal::Entity::delete_many().filter(entries).exec(tx).await?;
    let lines = execution_logs::Column::ExecutionId.eq(id.0).and(execution_logs::Column::Seq.lte(upto));
    execution_logs::Entity::delete_many().filter(lines).exec(tx).await?;
    Ok(())
}

/// Removes these executions; `finished` where those that are not stay.
async fn remove(tx: &Tx, ids: Vec<Uuid>, finished: bool) -> Result<u64> {
    let mut gone = executions::Entity::delete_many().filter(executions::Column::Id.is_in(ids.iter().copied()));
    if finished {
        let over = [Status::Succeeded, Status::Failed, Status::Cancelled].map(Status::as_str);
        gone = gone.filter(executions::Column::Status.is_in(over));
    }
    let gone = gone.exec(tx).await?.rows_affected;
    macro_rules! forget {
        ($($table:ident),*) => {$(
            let of = $table::Column::ExecutionId.is_in(ids.iter().copied());
            $table::Entity::delete_many().filter(of).exec(tx).await?;
        )*};
    }
    forget!(journal, execution_logs, approvals, approval_tokens, event_waits, signals, timers, webhook_replies);
    if !finished {
        // Of one that is over nothing is left there.
        forget!(flow_tickets, flow_items);
    }
    Ok(gone)
}

/// Removes all executions of a bot, whatever their state; safe to repeat.
///
/// # Errors
/// Those of the database.
pub(crate) async fn purge(db: &Db, workspace: WorkspaceId, bot: BotId) -> Result<()> {
    loop {
        let gone = db
            .append(move |tx| {
                Box::pin(async move {
                    let rows: Vec<(Uuid, i64)> = executions::Entity::find()
                        .select_only()
                        .columns([executions::Column::Id, executions::Column::LastSeq])
                        .filter(executions::Column::WorkspaceId.eq(workspace.0))
                        .filter(executions::Column::BotId.eq(bot.0))
                        .limit(AT_ONCE)
                        .into_tuple()
                        .all(tx)
                        .await?;
                    remove(tx, rows.into_iter().map(|(id, _)| id).collect(), false).await
                })
            })
            .await?;
        if gone == 0 {
            return db.append(move |tx| Box::pin(async move { flow::purge(tx, workspace, bot).await })).await;
        }
    }
}
