//! Rows that a statement is given as a table of its own.
//!
//! A statement with many rows is another text for each number of rows, and each text has
//! to be planned by the database. So the number is rounded up to a power of two with rows
//! of nulls, which the statements pass over: there are few texts, and each is planned once.

use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, Query, Value, ValueTuple};
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, Iterable as _};

/// The name of the table.
pub(crate) const GIVEN: &str = "given";

/// The column number `n` of what is given, from 1. Both databases number the columns of a
/// list of values in this way.
pub(crate) fn given(n: usize) -> Expr {
    Expr::col((GIVEN, format!("column{n}")))
}

/// Rows as values of the table: as many as the next power of two.
pub(crate) fn padded(mut rows: Vec<Vec<Value>>) -> Vec<ValueTuple> {
    if let Some(first) = rows.first() {
        let nulls: Vec<Value> = first.iter().map(Value::as_null).collect();
        rows.resize(rows.len().next_power_of_two(), nulls);
    }
    rows.into_iter().map(ValueTuple::Many).collect()
}

/// The values of a list of which each may stand there twice: as many as the next power of two.
pub(crate) fn repeated<T: Clone>(mut values: Vec<T>) -> Vec<T> {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

/// The insert of `rows`, in their order. `None` where there are none. The rows set the
/// same columns, the first of which is never null.
pub(crate) fn insert_all<A: ActiveModelTrait>(rows: Vec<A>) -> Option<InsertStatement> {
    let columns = || <A::Entity as EntityTrait>::Column::iter();
    let set: Vec<_> = columns().filter(|column| rows.first().is_some_and(|row| row.get(*column).is_set())).collect();
    if set.is_empty() {
        return None;
    }
    let values = rows.into_iter().map(|mut row| {
        let value = |column: &_| match row.take(*column) {
            ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
            ActiveValue::NotSet => Value::Bool(None),
        };
        set.iter().map(value).collect()
    });
    let mut select = Query::select();
    select.from_values(padded(values.collect()), GIVEN).and_where(given(1).is_not_null());
    for n in 1..=set.len() {
        select.expr(given(n));
    }
    let mut insert = Query::insert();
    insert.into_table(A::Entity::default()).columns(set);
    // There are as many columns as expressions.
    insert.select_from(select).is_ok().then_some(insert)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::entity::events;
    use crate::storage::testing::on_each;
    use sea_orm::ActiveValue::{NotSet, Set};
    use sea_orm::{ConnectionTrait, QueryOrder};
    use uuid::Uuid;

    #[tokio::test]
    async fn any_number_of_rows_is_stored_in_order() {
        on_each(async |db| {
            let mut wanted = Vec::new();
            for count in [1, 2, 3, 5, 64, 100] {
                let rows: Vec<_> = (0..count)
                    .map(|n| events::ActiveModel {
                        seq: NotSet,
                        workspace_id: Set(Uuid::from_u128(1)),
                        at: Set(n),
                        name: Set(format!("of.{count}")),
                        data: Set("null".to_owned()),
                        depth: Set(0),
                    })
                    .collect();
                wanted.extend((0..count).map(|n| (format!("of.{count}"), n)));
                let insert = insert_all(rows).unwrap();
                let stored = db
                    .single(move |db| {
                        let insert = insert.clone();
                        Box::pin(async move { Ok(db.execute(&insert).await?) })
                    })
                    .await;
                assert_eq!(i64::try_from(stored.unwrap().rows_affected()).unwrap(), count);
            }
            let stored = events::Entity::find().order_by_asc(events::Column::Seq).all(db.read()).await.unwrap();
            assert_eq!(stored.into_iter().map(|row| (row.name, row.at)).collect::<Vec<_>>(), wanted);
        })
        .await;
    }

    #[test]
    fn no_rows_are_no_statement() {
        assert!(insert_all(Vec::<events::ActiveModel>::new()).is_none());
    }
}
