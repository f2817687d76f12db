//! What rules remember, read once and written once in a transaction.

use super::Whose;
use crate::clock::Millis;
use crate::error::Result;
use crate::storage::Tx;
use crate::storage::entity::flow_slots::{self, Column};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What one rule remembers for one key; see the entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) taken: i64,
    pub(super) room: i64,
    pub(super) at: i64,
    pub(super) execution: Option<Uuid>,
    pub(super) expires_at: Option<Millis>,
}

impl Slot {
    /// Whether there is nothing to be remembered.
    fn is_idle(&self) -> bool {
        self.taken == 0 && self.expires_at.is_none()
    }
}

/// Slots by name: as they are now, and as they were read.
#[derive(Default)]
pub(super) struct Slots {
    read: BTreeMap<String, (Slot, Option<Slot>)>,
}

impl Slots {
    /// Reads these rows with one statement.
    pub(super) async fn read(&mut self, tx: &Tx, whose: &Whose, names: Vec<String>) -> Result<()> {
        let names: Vec<String> = names.into_iter().filter(|name| !self.read.contains_key(name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let rows = flow_slots::Entity::find()
            .filter(Column::BotId.eq(whose.bot))
            .filter(Column::Environment.eq(whose.environment.clone()))
            .filter(Column::Name.is_in(names.iter().cloned()))
            .all(tx)
            .await?;
        for name in names {
            self.read.insert(name, (Slot::default(), None));
        }
        for row in rows {
            let slot = Slot {
                taken: row.taken,
                room: row.room,
                at: row.at,
                execution: row.execution_id,
                expires_at: row.expires_at,
            };
            self.read.insert(row.name, (slot.clone(), Some(slot)));
        }
        Ok(())
    }

    /// One of them, to be changed.
    pub(super) async fn get(&mut self, tx: &Tx, whose: &Whose, name: &str) -> Result<&mut Slot> {
        self.read(tx, whose, vec![name.to_owned()]).await?;
        Ok(&mut self.read.entry(name.to_owned()).or_default().0)
    }

    /// Writes those that have changed.
    pub(super) async fn write(self, tx: &Tx, whose: &Whose) -> Result<()> {
        let changed = self.read.into_iter().filter(|(_, (now, before))| before.as_ref() != Some(now));
        let (idle, kept): (Vec<_>, Vec<_>) = changed.partition(|(_, (now, _))| now.is_idle());
        let gone: Vec<String> =
            idle.into_iter().filter(|(_, (_, before))| before.is_some()).map(|(name, _)| name).collect();
        if !gone.is_empty() {
            flow_slots::Entity::delete_many()
                .filter(Column::BotId.eq(whose.bot))
                .filter(Column::Environment.eq(whose.environment.clone()))
                .filter(Column::Name.is_in(gone))
                .exec(tx)
                .await?;
        }
        let rows: Vec<_> = kept
            .into_iter()
            .map(|(name, (slot, _))| flow_slots::ActiveModel {
                bot_id: Set(whose.bot),
                environment: Set(whose.environment.clone()),
                name: Set(name),
                workspace_id: Set(whose.workspace),
                taken: Set(slot.taken),
                room: Set(slot.room),
                at: Set(slot.at),
                execution_id: Set(slot.execution),
                expires_at: Set(slot.expires_at),
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let again = OnConflict::columns([Column::BotId, Column::Environment, Column::Name])
            .update_columns([Column::Taken, Column::Room, Column::At, Column::ExecutionId, Column::ExpiresAt])
            .to_owned();
        flow_slots::Entity::insert_many(rows).on_conflict(again).exec_without_returning(tx).await?;
        Ok(())
    }
}
