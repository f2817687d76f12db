//! What the rules of a bot hold and keep back, to be looked at; and forgetting.

use crate::clock::Millis;
use crate::error::Result;
use crate::execution::flow::{Gathering, Stage};
use crate::execution::store::Store;
use crate::execution::store::flow::holders::Holder;
use crate::execution::types::{FlowCount, FlowTicket};
use crate::id::{BotId, ExecutionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{executions, flow_slots, flow_tickets};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use uuid::Uuid;

/// Rows that are forgotten in one transaction.
const BATCH: u64 = 500;
/// Rules under which something is remembered that no blueprint names.
const OWN: &str = "start:";

impl Store {
    /// The counts of the bot's rules by key, and its executions before them, those that hold
    /// something first; at most `limit` of each.
    pub(crate) async fn flow_of(
        &self,
        workspace: WorkspaceId,
        bot: BotId,
        limit: u64,
    ) -> Result<(Vec<FlowCount>, Vec<FlowTicket>)> {
        let slots = flow_slots::Entity::find()
            .filter(flow_slots::Column::WorkspaceId.eq(workspace.0))
            .filter(flow_slots::Column::BotId.eq(bot.0))
            .filter(flow_slots::Column::Name.not_like(format!("{OWN}%")))
            .order_by_asc(flow_slots::Column::Environment)
            .order_by_asc(flow_slots::Column::Name)
            .limit(limit)
            .all(self.db.read())
            .await?;
        let own = Condition::all()
            .add(flow_tickets::Column::WorkspaceId.eq(workspace.0))
            .add(flow_tickets::Column::BotId.eq(bot.0));
        let waiting: Vec<(String, String, i64)> = flow_tickets::Entity::find()
            .select_only()
            .columns([flow_tickets::Column::Environment, flow_tickets::Column::WaitsFor])
            .column_as(flow_tickets::Column::ExecutionId.count(), "waiting")
            .filter(own.clone().add(flow_tickets::Column::WaitsFor.is_not_null()))
            .group_by(flow_tickets::Column::Environment)
            .group_by(flow_tickets::Column::WaitsFor)
            .into_tuple()
            .all(self.db.read())
            .await?;
        let waiting: HashMap<(String, String), i64> = waiting.into_iter().map(|(e, name, n)| ((e, name), n)).collect();
        let tickets = flow_tickets::Entity::find()
            .filter(own)
            .order_by_desc(flow_tickets::Column::Stage)
            .order_by_desc(flow_tickets::Column::Priority)
            .order_by_asc(flow_tickets::Column::ExecutionId)
            .limit(limit)
            .all(self.db.read())
            .await?;
        let count = |slot| count(slot, &waiting);
        Ok((slots.into_iter().map(count).collect(), tickets.into_iter().map(ticket).collect::<Result<_>>()?))
    }

    /// Forgets what rules remember and does not matter any more. Returns how much.
    pub(crate) async fn forget_flow(&self) -> Result<u64> {
        use flow_slots::Column;
        let now = self.clock.now();
        let mut forgotten = 0;
        loop {
            let last: Option<Option<Millis>> = flow_slots::Entity::find()
                .select_only()
                .column(Column::ExpiresAt)
                .filter(Column::ExpiresAt.lte(now))
                .order_by_asc(Column::ExpiresAt)
                .offset(BATCH)
                .limit(1)
                .into_tuple()
                .one(self.db.read())
                .await?;
            let until = last.flatten();
            let gone = flow_slots::Entity::delete_many().filter(Column::ExpiresAt.lte(until.unwrap_or(now)));
            let gone = self.write("forget", move |tx| Box::pin(async move { Ok(gone.exec(tx).await?.rows_affected) }));
            forgotten += gone.await?;
            if until.is_none() {
                return Ok(forgotten);
            }
        }
    }

    /// What waits to be driven, by workspace and bot.
    pub(crate) async fn waiting(&self) -> Result<Vec<(WorkspaceId, BotId, u64)>> {
        use executions::Column;
        let mut all = Vec::new();
        // One after the other: for each there is an index that says it all.
        for status in ["queued", "held"] {
            let status = Expr::col((executions::Entity, Column::Status)).eq(Expr::Constant(status.into()));
            let rows: Vec<(Uuid, Uuid, i64)> = executions::Entity::find()
                .select_only()
                .columns([Column::WorkspaceId, Column::BotId])
                .column_as(Column::Id.count(), "waiting")
                .filter(status)
                .group_by(Column::WorkspaceId)
                .group_by(Column::BotId)
                .into_tuple()
                .all(self.db.read())
                .await?;
            let row = |(workspace, bot, count)| (WorkspaceId(workspace), BotId(bot), u64::try_from(count).unwrap_or(0));
            all.extend(rows.into_iter().map(row));
        }
        Ok(all)
    }
}

/// Removes what the rules of a bot remember, whose executions are gone.
pub(crate) async fn purge(tx: &Tx, workspace: WorkspaceId, bot: BotId) -> Result<()> {
    flow_slots::Entity::delete_many()
        .filter(flow_slots::Column::WorkspaceId.eq(workspace.0))
        .filter(flow_slots::Column::BotId.eq(bot.0))
        .exec(tx)
        .await?;
    Ok(())
}

fn count(slot: flow_slots::Model, waiting: &HashMap<(String, String), i64>) -> FlowCount {
    let (rule, key) = parts(&slot.name);
    let counted = matches!(rule.as_str(), "concurrency" | "batch");
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let paced = matches!(rule.as_str(), "rate" | "throttle");
    let name = slot.name.clone();
    let found = waiting.get(&(slot.environment.clone(), name)).copied().unwrap_or(0);
    FlowCount {
        environment: slot.environment,
        rule,
        key,
        taken: number(slot.taken),
        room: counted.then(|| number(slot.room)),
        waiting: number(found),
        execution: slot.execution_id.map(ExecutionId),
        until: if paced { Some(slot.at / 1_000) } else { slot.expires_at },
    }
}

fn ticket(row: flow_tickets::Model) -> Result<FlowTicket> {
    let (environment, priority) = (row.environment.clone(), row.priority);
    let holder = Holder::read(row)?;
    let rules = &holder.ticket;
    let held_by = match (&holder.waits_for, holder.stage) {
        (Some(name), _) => Some(&**name),
        (None, Stage::Gather) => rules.gather.as_ref().map(Gathering::name),
        (None, Stage::Throttle) => rules.throttle.as_ref().map(|rule| &*rule.name),
        // It may go, or is about to end.
        (None, _) => None,
    };
    let (waits_for, key) = held_by.map(parts).map_or((None, None), |(rule, key)| (Some(rule), key));
    Ok(FlowTicket {
        environment,
        waits_for,
        key,
        priority,
        until: holder.due,
        deadline: holder.deadline,
        execution: ExecutionId(holder.id),
    })
}

/// The rule and the key that a slot is named by.
fn parts(name: &str) -> (String, Option<String>) {
    match name.split_once(':') {
        Some((rule, key)) => (rule.to_owned(), Some(key.to_owned())),
        None => (name.to_owned(), None),
    }
}
