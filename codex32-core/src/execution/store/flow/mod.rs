//! Flow control, stored: which starts go where, who holds a place, who is next.
//!
//! Everything that is decided about the executions of a bot in an environment is decided by
//! one transaction at a time: [`hold`] comes first in it. So counts are what they say, two
//! who write many rows never wait for each other, and a place is given back in the very
//! transaction that ends its holder: none can leak.
//!
//! - `enter`: a start before the rules.
//! - `gates`: an execution passes them one by one; a place that is free goes to the next.
//! - `gather`: what is debounced or batched.
//! - `due`: times that have come.
//! - `slots`, `holders`: the rows; `show`: a look at them.

mod due;
mod enter;
mod gates;
mod gather;
mod holders;
mod show;
mod slots;

pub(super) use enter::{Entered, enter, stillborn};
pub(crate) use show::purge;

use super::start::New;
use crate::clock::Millis;
use crate::error::Result;
use crate::storage::entity::{executions, flow_tickets};
use crate::storage::{Db, Tx};
use holders::Holder;
use sea_orm::EntityTrait;
use slots::Slots;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Marks the timers of executions that are held, or must have begun.
pub(super) const TIMER: &str = "@flow";

/// Whose executions are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Whose {
    pub(crate) workspace: Uuid,
    pub(crate) bot: Uuid,
    pub(crate) environment: String,
}

impl Whose {
    /// Of an execution that has a ticket.
    pub(crate) fn of(row: &executions::Model) -> Option<Whose> {
        row.flow.then(|| Whose { workspace: row.workspace_id, bot: row.bot_id, environment: row.environment.clone() })
    }

    /// Of a start that the rules are asked for.
    pub(crate) fn of_new(new: &New) -> Option<Whose> {
        let start = &new.start;
        new.ticket.as_ref()?;
        Some(Whose { workspace: start.workspace.0, bot: start.bot.0, environment: start.environment.clone() })
    }
}

/// Has the caller be the only one to decide about these bots, until `tx` ends. First of all
/// that a transaction does with executions, and once: in one order nobody waits in a circle.
pub(crate) async fn hold(db: &Db, tx: &Tx, whose: &BTreeSet<Whose>) -> Result<()> {
    for Whose { bot, environment, .. } in whose {
        db.alone_in(tx, &format!("flow {bot} {environment}")).await?;
    }
    Ok(())
}

/// Decides about the executions of one bot, within a transaction that holds it.
struct Keeper<'t> {
    tx: &'t Tx,
    whose: Whose,
    now: Millis,
    slots: Slots,
}

impl<'t> Keeper<'t> {
    fn new(tx: &'t Tx, whose: Whose, now: Millis) -> Keeper<'t> {
        Keeper { tx, whose, now, slots: Slots::default() }
    }

    /// Writes what was decided.
    async fn finish(self) -> Result<()> {
        self.slots.write(self.tx, &self.whose).await
    }
}

/// An execution is over: what it held goes to those who are next.
pub(super) async fn leave(tx: &Tx, now: Millis, whose: &Whose, id: Uuid) -> Result<()> {
    let Some(row) = flow_tickets::Entity::find_by_id(id).one(tx).await? else { return Ok(()) };
    flow_tickets::Entity::delete_by_id(id).exec(tx).await?;
    let holder = Holder::read(row)?;
    let mut keeper = Keeper::new(tx, whose.clone(), now);
    keeper.forget_gathered(&holder).await?;
    for name in holder.ticket.held(holder.stage) {
        let slot = keeper.slots.get(tx, &keeper.whose, &name).await?;
        slot.taken = (slot.taken - 1).max(0);
        keeper.promote(&name).await?;
    }
    keeper.finish().await
}

/// What `from` holds is held by `to`, which goes on where it ends.
pub(super) async fn pass_on(tx: &Tx, now: Millis, whose: &Whose, from: Uuid, to: Uuid) -> Result<()> {
    let Some(row) = flow_tickets::Entity::find_by_id(from).one(tx).await? else { return Ok(()) };
    flow_tickets::Entity::delete_by_id(from).exec(tx).await?;
    let holder = Holder { id: to, deadline: None, ..Holder::read(row)? };
    let mut keeper = Keeper::new(tx, whose.clone(), now);
    if let Some(rule) = &holder.ticket.singleton {
        keeper.slots.get(tx, &keeper.whose, &rule.name).await?.execution = Some(to);
    }
    holder.insert(tx, &keeper.whose).await?;
    keeper.finish().await
}
