//! Looking up by a unique key.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Select};
use std::future::Future;

/// The row that a unique key names. `one` would add a `LIMIT` whose value is bound, and
/// SQLite plans a statement anew each time that value is bound.
pub(crate) trait Only<M> {
    /// The row, if there is one.
    fn only<C: ConnectionTrait>(self, db: &C) -> impl Future<Output = Result<Option<M>, DbErr>> + Send;
}

impl<E: EntityTrait> Only<E::Model> for Select<E> {
    async fn only<C: ConnectionTrait>(self, db: &C) -> Result<Option<E::Model>, DbErr> {
        Ok(self.all(db).await?.pop())
    }
}
