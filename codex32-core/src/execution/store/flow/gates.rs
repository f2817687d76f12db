//! Passing the rules one by one, and giving places that are free to the next.

use super::Keeper;
use super::holders::Holder;
use crate::error::Result;
use crate::execution::flow::{Pace, Stage};
use crate::storage::entity::flow_tickets::{self, Column};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

impl Keeper<'_> {
    /// Lets `holder` pass rules from its stage on, as far as it can. What it gathers is over.
    pub(super) async fn advance(&mut self, holder: &mut Holder) -> Result<()> {
        (holder.waits_for, holder.due) = (None, None);
        while holder.stage != Stage::In {
            let stays = match holder.stage {
                Stage::Throttle => self.wait_turn(holder).await?,
                stage => self.take_place(holder, stage).await?,
            };
            if stays {
                return Ok(());
            }
            holder.stage = holder.stage.next();
        }
        Ok(())
    }

    /// True where it waits for a place.
    async fn take_place(&mut self, holder: &mut Holder, stage: Stage) -> Result<bool> {
        let ticket = &holder.ticket;
        let (name, room) = match (stage, &ticket.singleton, &ticket.concurrency) {
            (Stage::Singleton, Some(rule), _) => (&rule.name, 1),
            (Stage::Concurrency, _, Some(rule)) => (&rule.name, rule.limit),
            _ => return Ok(false),
        };
        let slot = self.slots.get(self.tx, &self.whose, name).await?;
        if slot.room == 0 {
            slot.room = room;
        }
        if slot.taken < slot.room {
            slot.taken += 1;
            return Ok(false);
        }
        holder.waits_for = Some(name.clone());
        Ok(true)
    }

    /// True where its time has not come. Its turn is its own from now on.
    async fn wait_turn(&mut self, holder: &mut Holder) -> Result<bool> {
        let Some(rule) = &holder.ticket.throttle else { return Ok(false) };
        let slot = self.slots.get(self.tx, &self.whose, &rule.name).await?;
        let turn = rule.pace.turn(slot.at, self.now);
        slot.at = turn.next;
        slot.expires_at = Some(Pace::forgotten(turn.next));
        holder.due = Some(turn.at).filter(|at| *at > self.now);
        Ok(holder.due.is_some())
    }

    /// Goes on with one that had to wait, and writes how it stands.
    pub(super) async fn go_on(&mut self, holder: &mut Holder) -> Result<()> {
        holder.stage = holder.stage.next();
        self.advance(holder).await?;
        holder.update(self.tx, &self.whose).await
    }

    /// Gives the free places of `name` to those who wait for them: the highest priority
    /// first, then the oldest.
    pub(super) async fn promote(&mut self, name: &str) -> Result<()> {
        loop {
            let slot = self.slots.get(self.tx, &self.whose, name).await?;
            if slot.taken >= slot.room {
                return Ok(());
            }
            let next = flow_tickets::Entity::find()
                .filter(Column::BotId.eq(self.whose.bot))
                .filter(Column::Environment.eq(self.whose.environment.clone()))
                .filter(Column::WaitsFor.eq(name))
                .order_by_desc(Column::Priority)
                .order_by_asc(Column::ExecutionId)
                .limit(1)
                .one(self.tx)
                .await?;
            let Some(next) = next else { return Ok(()) };
            self.slots.get(self.tx, &self.whose, name).await?.taken += 1;
            let mut holder = Holder::read(next)?;
            self.go_on(&mut holder).await?;
        }
    }
}
