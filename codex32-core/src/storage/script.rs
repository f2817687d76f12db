//! Statements of one transaction whose answers nobody needs one by one.

use super::Tx;
use crate::error::Result;
use sea_orm::{ConnectionTrait, DbBackend, Statement, StatementBuilder};

/// Values up to which statements are sent as one text: beyond that the way to the database
/// and back costs little beside them, and there would be too many texts to be planned.
const FEW: usize = 160;

/// Statements that are sent together where the database takes that, and else in their order.
pub(crate) struct Script<'t> {
    tx: &'t Tx,
    statements: Vec<Statement>,
}

impl<'t> Script<'t> {
    pub(crate) fn new(tx: &'t Tx) -> Script<'t> {
        Script { tx, statements: Vec::new() }
    }

    pub(crate) fn push(&mut self, statement: &impl StatementBuilder) {
        self.statements.push(self.tx.get_database_backend().build(statement));
    }

    /// # Errors
    /// Those of the statements; those behind the one that fails are not done.
    pub(crate) async fn run(self) -> Result<()> {
        let values = |s: &Statement| s.values.as_ref().map_or(0, |values| values.0.len());
        let few = self.statements.iter().map(values).sum::<usize>() <= FEW;
        // SQLite takes several statements at a time, each with the next of the values.
        if few && self.statements.len() > 1 && self.tx.get_database_backend() == DbBackend::Sqlite {
            let sql = self.statements.iter().map(|s| s.sql.as_str()).collect::<Vec<_>>().join(";");
            let values = self.statements.into_iter().filter_map(|s| s.values).flat_map(|values| values.0);
            self.tx.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
            return Ok(());
        }
        for statement in self.statements {
            self.tx.execute_raw(statement).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::entity::events;
    use crate::storage::testing::on_each;
    use crate::storage::{Db, insert_all};
    use sea_orm::ActiveValue::{NotSet, Set};
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QueryTrait};

    fn event(name: &str, at: i64) -> events::ActiveModel {
        events::ActiveModel {
            seq: NotSet,
            workspace_id: Set(uuid::Uuid::from_u128(1)),
            at: Set(at),
            name: Set(name.to_owned()),
            data: Set("null".to_owned()),
            depth: Set(0),
        }
    }

    /// `rows` rows, of which the first are deleted, and one more.
    async fn run(db: &Db, rows: i64) -> Result<()> {
        db.append(move |tx| {
            Box::pin(async move {
                let mut script = Script::new(tx);
                script.push(&insert_all((0..rows).map(|n| event("many", n)).collect()).unwrap());
                script.push(events::Entity::delete_many().filter(events::Column::At.lt(rows - 1)).as_query());
                script.push(&insert_all(vec![event("last", 7)]).unwrap());
                script.run().await
            })
        })
        .await
    }

    #[tokio::test]
    async fn few_and_many_are_done_in_their_order() {
        on_each(async |db| {
            for rows in [2, 100] {
                run(&db, rows).await.unwrap();
                let stored = events::Entity::find().order_by_asc(events::Column::Seq).all(db.read()).await.unwrap();
                let stored: Vec<_> = stored.iter().map(|row| (row.name.as_str(), row.at)).collect();
                assert_eq!(stored[stored.len() - 2..], [("many", rows - 1), ("last", 7)]);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn what_stands_before_a_failure_is_taken_back() {
        on_each(async |db| {
            let failed = db.append(|tx| {
                Box::pin(async move {
                    let mut script = Script::new(tx);
                    script.push(&insert_all(vec![event("a", 1)]).unwrap());
                    let mut twice = event("b", 1);
                    twice.seq = Set(1);
                    script.push(&insert_all(vec![twice.clone(), twice]).unwrap());
                    script.run().await
                })
            });
            assert!(failed.await.is_err());
            assert!(events::Entity::find().all(db.read()).await.unwrap().is_empty());
        })
        .await;
    }
}
