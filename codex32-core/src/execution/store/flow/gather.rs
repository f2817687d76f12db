//! Starts that become one execution: the last of them counts, or all.

use super::Keeper;
use super::holders::Holder;
use crate::clock::Millis;
use crate::error::Result;
use crate::execution::flow::{Gathering, Stage, Ticket};
use crate::execution::store::row;
use crate::execution::store::start::New;
use crate::execution::types::Status;
use crate::execution::{MAX_INPUT, size};
use crate::storage::entity::{executions, flow_items, flow_tickets};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

impl Keeper<'_> {
    /// Puts `new` into the execution that gathers. Gives which; `None` where there is none
    /// that it fits into.
    pub(super) async fn join(&mut self, new: &New, ticket: &Ticket, rule: &Gathering) -> Result<Option<Uuid>> {
        let slot = self.slots.get(self.tx, &self.whose, rule.name()).await?.clone();
        let Some(id) = slot.execution.filter(|_| slot.taken > 0) else { return Ok(None) };
        let row = flow_tickets::Entity::find_by_id(id).one(self.tx).await?;
        let Some(mut holder) = row.map(Holder::read).transpose()?.filter(|holder| holder.stage == Stage::Gather) else {
            return Ok(None);
        };
        match rule {
            Gathering::Last { wait, .. } => {
                if !self.replace(id, new).await? {
                    return Ok(None);
                }
                holder = Holder {
                    due: Some(self.now.saturating_add(*wait).min(slot.at)),
                    ..Holder::new(id, ticket, self.now)
                };
                holder.update(self.tx, &self.whose).await?;
            }
            Gathering::All { size: full, .. } => {
                let bytes = i64::try_from(size(&new.start.input)).unwrap_or(i64::MAX);
                if !self.still_gathers(id).await? {
                    return Ok(None);
                }
                if slot.at.saturating_add(bytes) > bound() {
                    self.close(&mut holder).await?;
                    return Ok(None);
                }
                self.add(id, new, slot.taken, slot.at.saturating_add(bytes)).await?;
                if slot.taken + 1 >= *full {
                    self.close(&mut holder).await?;
                }
            }
        }
        Ok(Some(id))
    }

    /// `holder` is the first of those that are gathered.
    pub(super) async fn begin_gathering(&mut self, new: &New, holder: &mut Holder, rule: &Gathering) -> Result<()> {
        let slot = self.slots.get(self.tx, &self.whose, rule.name()).await?;
        slot.execution = Some(holder.id);
        (slot.taken, slot.room) = (1, 1);
        match rule {
            Gathering::Last { wait, at_most, .. } => {
                slot.at = at_most.map_or(Millis::MAX, |span| self.now.saturating_add(span));
                holder.due = Some(self.now.saturating_add(*wait));
            }
            Gathering::All { wait, size: full, .. } => {
                slot.room = *full;
                holder.due = Some(self.now.saturating_add(*wait));
                let bytes = i64::try_from(size(&new.start.input)).unwrap_or(i64::MAX);
                self.add(holder.id, new, 0, bytes).await?;
            }
        }
        Ok(())
    }

    /// Nothing joins `holder` any more: it goes on to the next rule.
    pub(super) async fn close(&mut self, holder: &mut Holder) -> Result<()> {
        if let Some(Gathering::All { .. }) = &holder.ticket.gather {
            let input = self.gathered(holder.id).await?;
            executions::Entity::update_many()
                .col_expr(executions::Column::Input, Expr::value(input))
                .filter(executions::Column::Id.eq(holder.id))
                .exec(self.tx)
                .await?;
        }
        self.forget_gathered(holder).await?;
        self.go_on(holder).await
    }

    /// What is kept of those that `holder` has gathered.
    pub(super) async fn forget_gathered(&mut self, holder: &Holder) -> Result<()> {
        let Some(rule) = holder.ticket.gather.as_ref().filter(|_| holder.stage == Stage::Gather) else { return Ok(()) };
        let slot = self.slots.get(self.tx, &self.whose, rule.name()).await?;
        if slot.execution == Some(holder.id) {
            (slot.execution, slot.taken, slot.at) = (None, 0, 0);
        }
        if matches!(rule, Gathering::All { .. }) {
            let items = flow_items::Entity::delete_many().filter(flow_items::Column::ExecutionId.eq(holder.id));
            items.exec(self.tx).await?;
        }
        Ok(())
    }

    /// The input of a batch, of what was given to each start.
    async fn gathered(&self, id: Uuid) -> Result<String> {
        let items = flow_items::Entity::find()
            .filter(flow_items::Column::ExecutionId.eq(id))
            .order_by_asc(flow_items::Column::N)
            .all(self.tx)
            .await?;
        let items: Vec<String> = items.into_iter().map(|item| item.input).collect();
        Ok(format!("{{\"items\":[{}]}}", items.join(",")))
    }

    async fn add(&mut self, id: Uuid, new: &New, n: i64, bytes: i64) -> Result<()> {
        let row = flow_items::ActiveModel {
            execution_id: Set(id),
            n: Set(n),
            workspace_id: Set(self.whose.workspace),
            input: Set(row::write("input", &new.start.input)?),
        };
        flow_items::Entity::insert(row).exec_without_returning(self.tx).await?;
        if let Some(rule) = new.ticket.as_ref().and_then(|ticket| ticket.gather.as_ref()) {
            let slot = self.slots.get(self.tx, &self.whose, rule.name()).await?;
            (slot.taken, slot.at) = (n + 1, bytes);
        }
        Ok(())
    }

    /// Has `new` be what the execution is about. False where it is not held any more.
    async fn replace(&self, id: Uuid, new: &New) -> Result<bool> {
        use executions::Column;
        let start = &new.start;
        let row = executions::ActiveModel {
            version_id: Set(start.version.0),
            deployment_id: Set(start.deployment.map(|id| id.0)),
            input: Set(row::write("input", &start.input)?),
            trigger: Set(row::write("trigger", &start.trigger)?),
            caller: Set(start.caller.clone()),
            runs_on: Set(new.runs_on.clone()),
            priority: Set(new.priority),
            ..Default::default()
        };
        let done = executions::Entity::update_many()
            .set(row)
            .filter(Column::Id.eq(id))
            .filter(Column::Status.eq(Status::Held.as_str()))
            .exec(self.tx)
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Whether nobody has cancelled the execution. Its row is locked from now on.
    async fn still_gathers(&self, id: Uuid) -> Result<bool> {
        use executions::Column;
        let done = executions::Entity::update_many()
            .col_expr(Column::Status, Expr::value(Status::Held.as_str()))
            .filter(Column::Id.eq(id))
            .filter(Column::Status.eq(Status::Held.as_str()))
            .exec(self.tx)
            .await?;
        Ok(done.rows_affected == 1)
    }
}

/// Most bytes of the items of a batch: an input has a limit.
fn bound() -> i64 {
    // What stands around them, and a comma for each.
    i64::try_from(MAX_INPUT).unwrap_or(i64::MAX) - 2_048
}
