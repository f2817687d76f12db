//! Rows that are read at every start and change seldom.

use super::Db;
use crate::error::Result;
use moka::future::Cache;
use std::future::Future;
use std::hash::Hash;

/// Values that are kept.
const KEPT: u64 = 2_000;

/// What was read lately, valid as long as nothing was written through this [`Db`] but by
/// [`Db::append`]. Where others may write to the database, too, nothing is kept and
/// every look is a read.
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
        Recent { db, kept: Cache::new(KEPT) }
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
        let now = self.db.generation()?;
        self.kept.get(key).await.filter(|(generation, _)| *generation == now).map(|(_, value)| value)
    }

    /// Keeps what was read when the database was at `generation`.
    pub(crate) async fn keep(&self, key: K, generation: Option<u64>, value: V) {
        if let Some(generation) = generation {
            self.kept.insert(key, (generation, value)).await;
        }
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
            let kept = db.backend() == Backend::Sqlite;
            look().await;
            assert_eq!(look().await, usize::from(!kept));
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
