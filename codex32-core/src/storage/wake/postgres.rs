//! Words by PostgreSQL's LISTEN and NOTIFY.

use super::{Carrier, Ear};
use crate::error::{Error, Result};
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use std::time::Duration;

/// Words by the database itself.
pub(crate) struct PostgresCarrier {
    db: DatabaseConnection,
    channel: String,
}

impl PostgresCarrier {
    /// Over `db`, on a channel of this name.
    pub(crate) fn new(db: DatabaseConnection, channel: String) -> PostgresCarrier {
        PostgresCarrier { db, channel }
    }
}

#[async_trait::async_trait]
impl Carrier for PostgresCarrier {
    async fn send(&self, text: String) -> Result<()> {
        // A word need not survive a crash of the server: nobody waits for the disk.
        let notify = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)",
            [self.channel.clone().into(), text.into()],
        );
        self.db.execute_raw(notify).await?;
        Ok(())
    }

    async fn listen(&self) -> Result<Box<dyn Ear>> {
        // A connection of its own: those of the pool are for work.
        let options = (*self.db.get_postgres_connection_pool().connect_options()).clone();
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
        let lost = |e: sea_orm::sqlx::Error| Error::unavailable(format!("listen to the database: {e}"));
        let pool = pool.max_lifetime(None).idle_timeout(None).connect_with(options).await.map_err(lost)?;
        let mut listener = PgListener::connect_with(&pool).await.map_err(lost)?;
        listener.eager_reconnect(false);
        listener.listen(&self.channel).await.map_err(lost)?;
        Ok(Box::new(PostgresEar(listener)))
    }
}

struct PostgresEar(PgListener);

#[async_trait::async_trait]
impl Ear for PostgresEar {
    async fn next(&mut self) -> Result<String> {
        match self.0.try_recv().await {
            Ok(Some(word)) => Ok(word.payload().to_owned()),
            Ok(None) => Err(Error::unavailable("the connection to the database was lost")),
            Err(e) => Err(Error::unavailable(format!("listen to the database: {e}"))),
        }
    }
}
