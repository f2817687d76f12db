//! Executions before the rules: their tickets, their timers, and the word that they may go.

use super::super::row;
use super::{TIMER, Whose};
use crate::clock::Millis;
use crate::error::Result;
use crate::execution::flow::{Stage, Ticket};
use crate::execution::types::Status;
use crate::storage::Tx;
use crate::storage::entity::{executions, flow_tickets, timers};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

/// An execution before the rules.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) id: Uuid,
    pub(super) stage: Stage,
    /// The slot that it waits for a place of.
    pub(super) waits_for: Option<String>,
    /// Until when it waits for a time, UTC milliseconds.
    pub(super) due: Option<Millis>,
    /// When it must have begun, UTC milliseconds.
    pub(super) deadline: Option<Millis>,
    pub(super) ticket: Ticket,
}

impl Holder {
    /// A start at `now`, before the first rule.
    pub(super) fn new(id: Uuid, ticket: &Ticket, now: Millis) -> Holder {
        let deadline = ticket.start_within.map(|span| now.saturating_add(span));
        Holder { id, stage: Stage::Gather, waits_for: None, due: None, deadline, ticket: ticket.clone() }
    }

    pub(super) fn read(row: flow_tickets::Model) -> Result<Holder> {
        Ok(Holder {
            id: row.execution_id,
            stage: Stage::from_number(row.stage),
            waits_for: row.waits_for,
            due: row.due,
            deadline: row.deadline,
            ticket: row::read("ticket", &row.rules)?,
        })
    }

    /// Whether there is anything to be kept of it until it is over.
    pub(super) fn matters(&self) -> bool {
        self.stage != Stage::In || self.deadline.is_some() || !self.ticket.held(self.stage).is_empty()
    }

    pub(super) async fn insert(&self, tx: &Tx, whose: &Whose) -> Result<()> {
        let row = flow_tickets::ActiveModel {
            execution_id: Set(self.id),
            workspace_id: Set(whose.workspace),
            bot_id: Set(whose.bot),
            environment: Set(whose.environment.clone()),
            stage: Set(self.stage.number()),
            waits_for: Set(self.waits_for.clone()),
            priority: Set(self.ticket.priority),
            due: Set(self.due),
            deadline: Set(self.deadline),
            rules: Set(row::write("ticket", &self.ticket)?),
        };
        flow_tickets::Entity::insert(row).exec_without_returning(tx).await?;
        self.set_timer(tx, whose).await
    }

    /// Writes how it stands by now, and lets it go where it may.
    pub(super) async fn update(&self, tx: &Tx, whose: &Whose) -> Result<()> {
        let row = flow_tickets::ActiveModel {
            stage: Set(self.stage.number()),
            waits_for: Set(self.waits_for.clone()),
            priority: Set(self.ticket.priority),
            due: Set(self.due),
            deadline: Set(self.deadline),
            rules: Set(row::write("ticket", &self.ticket)?),
            ..Default::default()
        };
        flow_tickets::Entity::update_many()
            .set(row)
            .filter(flow_tickets::Column::ExecutionId.eq(self.id))
            .exec(tx)
            .await?;
        if self.stage == Stage::In {
            executions::Entity::update_many()
                .col_expr(executions::Column::Status, Expr::value(Status::Queued.as_str()))
                .filter(executions::Column::Id.eq(self.id))
                .filter(executions::Column::Status.eq(Status::Held.as_str()))
                .exec(tx)
                .await?;
        }
        self.set_timer(tx, whose).await
    }

    /// The earliest time at which something is to be done about it.
    async fn set_timer(&self, tx: &Tx, whose: &Whose) -> Result<()> {
        use timers::Column;
        let Some(due) = self.due.into_iter().chain(self.deadline).min() else {
            timers::Entity::delete_many()
                .filter(Column::ExecutionId.eq(self.id))
                .filter(Column::Path.eq(TIMER))
                .exec(tx)
                .await?;
            return Ok(());
        };
        let row = timers::ActiveModel {
            execution_id: Set(self.id),
            workspace_id: Set(whose.workspace),
            due: Set(due),
            path: Set(TIMER.to_owned()),
        };
        let replace = OnConflict::column(Column::ExecutionId).update_columns([Column::Due, Column::Path]).to_owned();
        timers::Entity::insert(row).on_conflict(replace).exec_without_returning(tx).await?;
        Ok(())
    }
}
