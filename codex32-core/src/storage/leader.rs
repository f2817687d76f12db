//! Which of the nodes on a database does what only one of them should do.
//!
//! On SQLite there is one node, and it leads. On PostgreSQL the leader holds an advisory
//! lock in a session of its own: when the session ends, however it ends, the lock is free
//! and another node takes it. A leader that cannot reach its session leads no more.
//!
//! For a moment two nodes may both believe that they lead (the server has ended a session
//! and its holder has not noticed yet). So leading saves work and is never what makes
//! something happen once: that is for the transaction that moves a cursor.

use super::Db;
use crate::error::{Error, Result};
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often a node looks whether it can lead, or still leads.
const LOOK: Duration = Duration::from_secs(1);
/// The server ends the session of a leader that has asked nothing for so long.
const SILENT: &str = "6s";
/// Longest time for an answer of the session.
const ANSWER: Duration = Duration::from_secs(3);

/// Whether this process leads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    db: Db,
    leads: Arc<watch::Sender<bool>>,
}

impl Leadership {
    /// Of the nodes on `db`. Nobody leads before [`Leadership::run`].
    #[must_use]
    pub fn new(db: Db) -> Leadership {
        Leadership { db, leads: Arc::new(watch::Sender::new(false)) }
    }

    /// Whether this process leads now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        *self.leads.borrow()
    }

    /// Tries to lead, and leads, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let Some(key) = self.db.lock_key("leader") else {
            self.leads.send_replace(true);
            stop.cancelled().await;
            self.leads.send_replace(false);
            return;
        };
        while !stop.is_cancelled() {
            tokio::select! {
                ended = self.session(key) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "the session that says who leads was lost");
                    }
                }
                () = stop.cancelled() => {}
            }
            metrics::gauge!("codex32_node_leads").set(0.0);
            if self.leads.send_replace(false) {
                tracing::info!("this node leads no more");
            }
            tokio::select! { () = tokio::time::sleep(LOOK) => {}, () = stop.cancelled() => {} }
        }
    }

    /// One session: tries to get the lock, then holds it. Dropping it frees the lock.
    async fn session(&self, key: i64) -> Result<()> {
        let options = self.db.read().get_postgres_connection_pool().connect_options();
        let mut session = answer(PgConnection::connect_with(&options)).await?;
        // A leader that is frozen, or cut off without a word, must not lead for ever: the
        // server itself ends a session that asks nothing. Versions before 14 cannot.
        let idle = sqlx::query("SELECT set_config('idle_session_timeout', $1, false)").bind(SILENT);
        if let Err(error) = answer(idle.execute(&mut session)).await {
            tracing::debug!(%error, "the database cannot end silent sessions");
        }
        loop {
            let got = sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)").bind(key);
            if answer(got.fetch_one(&mut session)).await? {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        tracing::info!("this node leads: it fires schedules, polls, and watches deployments");
        self.leads.send_replace(true);
        metrics::gauge!("codex32_node_leads").set(1.0);
        loop {
            tokio::time::sleep(LOOK).await;
            answer(session.ping()).await?;
        }
    }

    /// Does `duty` whenever this process leads, until `stop`. The duty is given a token
    /// that ends when it is to end, and is then waited for.
    pub async fn during<F: Future<Output = ()>>(
        &self,
        stop: &CancellationToken,
        duty: impl Fn(CancellationToken) -> F,
    ) {
        let mut leads = self.leads.subscribe();
        loop {
            tokio::select! {
                () = until(&mut leads, true) => {}
                () = stop.cancelled() => return,
            }
            let token = stop.child_token();
            let mut work = std::pin::pin!(duty(token.clone()));
            let lost = tokio::select! {
                () = &mut work => false,
                () = until(&mut leads, false) => true,
            };
            if lost {
                token.cancel();
                work.await;
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }
}

/// Until this process leads, or does not.
async fn until(leads: &mut watch::Receiver<bool>, state: bool) {
    // The sender lives as long as the leadership.
    let _ = leads.wait_for(|leads| *leads == state).await;
}

async fn answer<T>(asked: impl Future<Output = std::result::Result<T, sqlx::Error>>) -> Result<T> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(e)) => Err(Error::unavailable(e.to_string())),
        Err(_) => Err(Error::unavailable("no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing;
    use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Node {
        leadership: Leadership,
        stop: CancellationToken,
        run: tokio::task::JoinHandle<()>,
    }

    impl Node {
        fn new(db: &Db) -> Node {
            let leadership = Leadership::new(db.clone());
            let (stop, running) = (CancellationToken::new(), leadership.clone());
            let token = stop.clone();
            Node { leadership, stop, run: tokio::spawn(async move { running.run(token).await }) }
        }
        async fn end(self) {
            self.stop.cancel();
            self.run.await.unwrap();
        }
    }

    async fn met(what: &str, met: impl Fn() -> bool) {
        let wait = async {
            while !met() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("in vain: {what}"));
    }

    #[tokio::test]
    async fn one_node_leads_and_another_takes_over() {
        let Some(test) = testing::postgres().await else { return };
        let other_db = Db::open(&test.url).await.unwrap();
        let one = Node::new(&test.db);
        met("the first leads", || one.leadership.is_held()).await;
        let other = Node::new(&other_db);
        tokio::time::sleep(LOOK + LOOK / 2).await;
        assert!(!other.leadership.is_held(), "one leads at a time");
        one.end().await;
        met("the other leads", || other.leadership.is_held()).await;
        other.end().await;
    }

    #[tokio::test]
    async fn who_loses_its_session_stops_its_duties() {
        let Some(test) = testing::postgres().await else { return };
        let node = Node::new(&test.db);
        let stop = CancellationToken::new();
        let counts = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (begun, ended) = (&counts.0, &counts.1);
        let duty = |token: CancellationToken| async move {
            begun.fetch_add(1, Ordering::SeqCst);
            token.cancelled().await;
            ended.fetch_add(1, Ordering::SeqCst);
        };
        let scene = async {
            met("the duty begins", || begun.load(Ordering::SeqCst) == 1).await;
            let key = test.db.lock_key("leader").unwrap();
            let cut = Statement::from_sql_and_values(
                DbBackend::Postgres,
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' \
                 AND (classid::bigint << 32 | objid::bigint) = $1",
                [key.into()],
            );
            test.db.read().execute_raw(cut).await.unwrap();
            met("the duty ends", || ended.load(Ordering::SeqCst) == 1).await;
            met("it leads again", || begun.load(Ordering::SeqCst) == 2).await;
            stop.cancel();
        };
        tokio::join!(node.leadership.during(&stop, duty), scene);
        assert_eq!(ended.load(Ordering::SeqCst), 2);
        node.end().await;
    }

    #[tokio::test]
    async fn a_leader_that_is_frozen_is_replaced() {
        let Some(test) = testing::postgres().await else { return };
        let frozen = Leadership::new(test.db.clone());
        let mut session = std::pin::pin!(frozen.session(test.db.lock_key("leader").unwrap()));
        while !frozen.is_held() {
            tokio::select! {
                ended = &mut session => panic!("{ended:?}"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
        // Its session is open and nobody moves it on any more.
        let other = Node::new(&test.db);
        met("the other leads", || other.leadership.is_held()).await;
        assert!(session.await.is_err(), "it learns of it when it goes on");
        other.end().await;
    }

    #[tokio::test]
    async fn on_a_file_there_is_one_node_and_it_leads() {
        let test = testing::sqlite().await;
        let node = Node::new(&test.db);
        met("it leads", || node.leadership.is_held()).await;
        let leadership = node.leadership.clone();
        node.end().await;
        assert!(!leadership.is_held());
    }
}
