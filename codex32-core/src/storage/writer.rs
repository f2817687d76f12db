//! The thread from which batches are written.
//!
//! What the database has answered is taken up at once there. On a thread of the program's
//! runtime it would stand behind whatever else is ready to run, at each of the statements
//! of a batch, while everybody waits for that batch.

use crate::error::{Error, Result};
use futures::future::BoxFuture;
use sea_orm::DatabaseExecutor;
use std::sync::Arc;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a runtime of its own, until this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    handle: Handle,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// `unavailable` where the system gives none.
    pub(super) fn start() -> Result<Writer> {
        let refused = |e: std::io::Error| Error::unavailable(format!("start the thread that writes: {e}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("codex32-writer".to_owned())
            .spawn(move || {
                // An error is the drop that it waits for.
                let _ = runtime.block_on(ended);
                // What still runs there is given up and not waited for.
                runtime.shutdown_background();
            })
            .map_err(refused)?;
        Ok(Writer { handle, _end: end })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Work of one kind that may share a transaction with that of others.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) work: Arc<Work>,
    /// It is one statement: alone it needs no transaction around it.
    pub(super) single: bool,
}

/// May be called more than once: where the transaction that it shared has failed, it is
/// done again in one of its own.
pub(super) type Work = dyn for<'c> Fn(DatabaseExecutor<'c>) -> BoxFuture<'c, Result<()>> + Send + Sync;

#[cfg(test)]
mod tests {
    use crate::error::{Code, Error};
    use crate::storage::Db;
    use crate::storage::entity::events;
    use crate::storage::testing::on_each;
    use sea_orm::ActiveValue::{NotSet, Set};
    use sea_orm::{EntityTrait, QuerySelect};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    /// Stores an event, and fails behind that where it is told to. Counts how often it is tried.
    async fn store(db: &Db, name: &'static str, fails: bool, tried: Arc<AtomicUsize>) -> crate::error::Result<u8> {
        db.batch(move |tx| {
            tried.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                let row = events::ActiveModel {
                    seq: NotSet,
                    workspace_id: Set(uuid::Uuid::from_u128(1)),
                    at: Set(0),
                    name: Set(name.to_owned()),
                    data: Set("null".to_owned()),
                    depth: Set(0),
                };
                events::Entity::insert(row).exec_without_returning(tx).await?;
                if fails { Err(Error::invalid("as it was told")) } else { Ok(7) }
            })
        })
        .await
    }

    #[tokio::test]
    async fn batches_that_come_together_do_not_suffer_for_each_other() {
        on_each(async |db| {
            let (go, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (wait, begins) = (go.clone(), begun.clone());
            let first = db.batch(move |_| {
                let (wait, begins) = (wait.clone(), begins.clone());
                Box::pin(async move {
                    begins.notify_one();
                    wait.notified().await;
                    Ok(1)
                })
            });
            let tried = Arc::new(AtomicUsize::new(0));
            let others = async {
                begun.notified().await;
                let both = futures::future::join(
                    store(&db, "good", false, tried.clone()),
                    store(&db, "bad", true, tried.clone()),
                );
                // Both are given before the first goes on.
                let mut both = std::pin::pin!(both);
                assert!(futures::poll!(&mut both).is_pending());
                go.notify_one();
                both.await
            };
            let (first, (good, bad)) = futures::future::join(first, others).await;
            assert_eq!((first.unwrap(), good.unwrap()), (1, 7));
            assert_eq!(bad.unwrap_err().code(), Code::Invalid);
            assert_eq!(tried.load(Ordering::SeqCst), 4, "once together, once alone");
            let names = events::Entity::find().select_only().column(events::Column::Name).into_tuple::<String>();
            assert_eq!(names.all(db.read()).await.unwrap(), ["good"]);
        })
        .await;
    }
}
