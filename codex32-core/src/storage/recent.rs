//! Rows that are read at every start and change seldom.

use super::{Backend, Db};
use crate::error::Result;
use moka::future::Cache;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

/// Values that are kept.
const KEPT: u64 = 2_000;

/// How long a value is kept where other processes may write to the database.
const SHARED: Duration = Duration::from_secs(1);

/// What was read lately, valid as long as nothing was written through this [`Db`] but by
/// [`Db::append`]. Where other processes may write to the database, too, it is also
/// forgotten after a second: that is how late this process may learn of their writes.
#[derive(Clone)]
pub(crate) struct Recent<K, V> {
    db: Db,
    kept: Cache<K, (u64, V)>,
}

impl<K, V> std::fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recent")
    }
}

impl<K, V> Recent<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(db: Db) -> Self {
        let kept = Cache::builder().max_capacity(KEPT);
        let kept = if db.backend() == Backend::Sqlite { kept.build() } else { kept.time_to_live(SHARED).build() };
        Recent { db, kept }
    }

    /// The value of `key`, by `read` where it is not known. Failures are not kept.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) async fn get(&self, key: K, read: impl Future<Output = Result<V>>) -> Result<V> {
        // Noted before the read: what is written meanwhile makes the value one of the past.
        let generation = self.db.generation();
        if let Some(value) = self.known(&key).await {
            return Ok(value);
        }
        let value = read.await?;
        self.keep(key, generation, value.clone()).await;
        Ok(value)
    }

    /// The value of `key`, if it is known.
    pub(crate) async fn known(&self, key: &K) -> Option<V> {
        let now = self.db.generation();
        self.kept.get(key).await.filter(|(generation, _)| *generation == now).map(|(_, value)| value)
    }

    /// Keeps what was read when the database was at `generation`.
    pub(crate) async fn keep(&self, key: K, generation: u64, value: V) {
        self.kept.insert(key, (generation, value)).await;
    }

    /// Looks for `key` anew at the next look.
    pub(crate) async fn forget(&self, key: &K) {
        self.kept.invalidate(key).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Backend;
    use crate::storage::testing::on_each;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn what_was_read_is_known_until_something_is_written() {
        on_each(async |db| {
            let recent: Recent<&str, usize> = Recent::new(db.clone());
            let reads = AtomicUsize::new(0);
            let look = async || recent.get("a", async { Ok(reads.fetch_add(1, Ordering::Relaxed)) }).await.unwrap();
            look().await;
            // Where it is kept for a time, the time may be over.
            assert!(look().await == 0 || db.backend() == Backend::Postgres);
            db.append(|_| Box::pin(async { Ok(()) })).await.unwrap();
            look().await;
            let before = reads.load(Ordering::Relaxed);
            db.write(|_| Box::pin(async { Ok(()) })).await.unwrap();
            assert_eq!(look().await, before, "a write makes it look again");
            let failed = db.write(|_| Box::pin(async { Err::<(), _>(crate::error::Error::invalid("no")) })).await;
            assert!(failed.is_err());
            assert_eq!(look().await, before + 1, "so does one that was taken back");
        })
        .await;
    }

    #[tokio::test]
    async fn a_value_read_during_a_write_is_not_kept() {
        let db = Db::open("sqlite::memory:").await.unwrap();
        let recent: Recent<&str, u8> = Recent::new(db.clone());
        let read = async {
            db.write(|_| Box::pin(async { Ok(()) })).await?;
            Ok(1)
        };
        assert_eq!(recent.get("a", read).await.unwrap(), 1);
        assert_eq!(recent.known(&"a").await, None);
    }
}
