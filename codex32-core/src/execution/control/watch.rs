//! Watching an execution as it goes.
//!
//! Everything a watcher sees is read from the tables; what is live is only the word
//! that there is more. So nothing is lost and the order is that of the journal.

use super::{Executor, Inner, view};
use crate::error::{Code, Error, Result};
use crate::execution::entry::{Entry, Event};
use crate::execution::store::{Ended, ended_row};
use crate::execution::types::{Execution, Passed, Start, StepState, WatchItem};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::entity::executions;
use futures::Stream;
use futures::stream;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// Rows that a watcher reads at a time.
const PAGE: u64 = 200;
/// How often to look again without a word: another process may drive the execution.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Who watches what.
#[derive(Default)]
pub(super) struct Watchers {
    channels: Mutex<HashMap<ExecutionId, Weak<Channel>>>,
}

type Channel = watch::Sender<News>;

/// What is said of an execution.
#[derive(Clone, Default)]
pub(super) struct News {
    /// Counts the changes.
    changes: u64,
    /// Whether it is over.
    over: bool,
    /// How it ended, where its driver knows all of it.
    end: Option<Arc<End>>,
}

/// An execution at its end, as it is stored, with its steps.
#[derive(Debug)]
pub(crate) struct End {
    execution: Execution,
    steps: Vec<StepState>,
}

impl End {
    /// The end of the execution that `row` was at its beginning, from its whole journal.
    pub(crate) fn new(row: &executions::Model, ended: &Ended, journal: Vec<Entry>) -> Result<End> {
        Ok(End { execution: ended_row(row, ended)?, steps: view::steps(journal) })
    }
}

impl Watchers {
    /// Rings whenever the execution has changed, as long as the sender is held.
    fn watch(&self, id: ExecutionId) -> (Arc<Channel>, watch::Receiver<News>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if channels.len() > 64 {
            channels.retain(|_, channel| channel.strong_count() > 0);
        }
        let held = channels.get(&id).and_then(Weak::upgrade);
        let sender = held.unwrap_or_else(|| {
            let sender = Arc::new(watch::Sender::new(News::default()));
            channels.insert(id, Arc::downgrade(&sender));
            sender
        });
        let receiver = sender.subscribe();
        (sender, receiver)
    }

    /// All who watch look again: ends may have been missed.
    pub(super) fn look(&self) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels.values().filter_map(Weak::upgrade) {
            channel.send_modify(|news| news.changes = news.changes.wrapping_add(1));
        }
    }

    /// Whether anybody watches.
    pub(super) fn any(&self, id: ExecutionId) -> bool {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.get(&id).is_some_and(|channel| channel.strong_count() > 0)
    }

    pub(super) fn changed(&self, id: ExecutionId, over: bool, end: Option<End>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        match channels.get(&id).map(Weak::upgrade) {
            Some(Some(sender)) => sender.send_modify(|news| {
                news.changes = news.changes.wrapping_add(1);
                news.over |= over;
                if let Some(end) = end {
                    news.end = Some(Arc::new(end));
                }
            }),
            Some(None) => {
                channels.remove(&id);
            }
            None => {}
        }
    }
}

/// Where a watcher is.
struct Watcher {
    inner: Arc<Inner>,
    id: ExecutionId,
    after: i64,
    read: VecDeque<WatchItem>,
    over: bool,
    _channel: Arc<Channel>,
    changed: watch::Receiver<News>,
}

impl Executor {
    /// What happens in an execution and what it logs, from behind number `after` (0 for
    /// all), first what is stored and then as it comes, complete and in order. It ends with
    /// the execution. An error of the database is given once, as the last item.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn watch(
        &self,
        workspace: WorkspaceId,
        id: ExecutionId,
        after: i64,
    ) -> Result<impl Stream<Item = Result<WatchItem>> + Send + 'static + use<>> {
        self.inner.store.row(workspace, id).await?;
        let (channel, changed) = self.inner.watchers.watch(id);
        let watcher = Watcher {
            inner: self.inner.clone(),
            id,
            after: after.max(0),
            read: VecDeque::new(),
            over: false,
            _channel: channel,
            changed,
        };
        Ok(stream::unfold((watcher, workspace), |(mut watcher, workspace)| async move {
            let item = watcher.next(workspace).await?;
            Some((item, (watcher, workspace)))
        }))
    }

    /// The execution once it is finished.
    ///
    /// # Errors
    /// `not_found`; `timeout` where it is not finished within `timeout` (the error says
    /// where it stands), which changes nothing about it.
    pub async fn wait(&self, workspace: WorkspaceId, id: ExecutionId, timeout: Duration) -> Result<Execution> {
        let (_channel, mut changed) = self.inner.watchers.watch(id);
        self.over(workspace, id, timeout, &mut changed).await
    }

    /// Starts an execution, and gives it with its steps once it is finished; where it goes
    /// on as another one, the last of them.
    ///
    /// # Errors
    /// Those of [`Executor::start`]. Where it is not finished within `timeout`, it is
    /// given as it stands. Also tells what a rule of the bot's `flow` made of the start.
    pub async fn run_to_end(
        &self,
        start: Start,
        timeout: Duration,
    ) -> Result<(Execution, Vec<StepState>, Option<Passed>)> {
        let workspace = start.workspace;
        let until = tokio::time::Instant::now() + timeout;
        let id = ExecutionId::at(self.inner.clock.now());
        let (mut held, mut changed) = self.inner.watchers.watch(id);
        let started = self.start_as(id, start).await?;
        if started.existing {
            (held, changed) = self.inner.watchers.watch(started.id);
        } else if let Ok(Ok(news)) = tokio::time::timeout(timeout, changed.wait_for(|news| news.over)).await
            && let Some(end) = news.end.clone()
        {
            drop(news);
            let (execution, steps) = Arc::try_unwrap(end)
                .map_or_else(|end| (end.execution.clone(), end.steps.clone()), |end| (end.execution, end.steps));
            return Ok((execution, steps, started.passed));
        }
        let mut id = started.id;
        let execution = loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let execution = match self.over(workspace, id, left, &mut changed).await {
                Err(error) if error.code() == Code::Timeout => break self.get(workspace, id).await?,
                ended => ended?,
            };
            let Some(next) = execution.continued_as else { break execution };
            id = next;
            (held, changed) = self.inner.watchers.watch(id);
        };
        drop(held);
        let steps = self.steps(workspace, execution.id).await?;
        Ok((execution, steps, started.passed))
    }

    async fn over(
        &self,
        workspace: WorkspaceId,
        id: ExecutionId,
        timeout: Duration,
        changed: &mut watch::Receiver<News>,
    ) -> Result<Execution> {
        let finished = async {
            loop {
                let execution = self.get(workspace, id).await?;
                if execution.status.is_finished() {
                    return Ok(execution);
                }
                // Another process may drive it.
                let _ = tokio::time::timeout(LOOK_AGAIN, changed.wait_for(|news| news.over)).await;
            }
        };
        match tokio::time::timeout(timeout, finished).await {
            Ok(result) => result,
            Err(_) => {
                let status = self.get(workspace, id).await?.status;
                Err(Error::new(Code::Timeout, format!("the execution {id} is still {status}"))
                    .hint("it goes on; look again later"))
            }
        }
    }
}

impl Watcher {
    async fn next(&mut self, workspace: WorkspaceId) -> Option<Result<WatchItem>> {
        loop {
            if let Some(item) = self.read.pop_front() {
                self.after = item.seq();
                self.over |= matches!(&item, WatchItem::Entry(entry) if matches!(entry.event, Event::Finished { .. }));
                return Some(Ok(item));
            }
            if self.over {
                return None;
            }
            self.changed.mark_unchanged();
            match self.more(workspace).await {
                Ok(true) => {}
                Ok(false) => {
                    let _ = tokio::time::timeout(LOOK_AGAIN, self.changed.changed()).await;
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Reads on. False where there is nothing yet.
    async fn more(&mut self, workspace: WorkspaceId) -> Result<bool> {
        self.read = self.inner.store.items(self.id, self.after, PAGE).await?.into();
        if self.read.is_empty() {
            // Behind the last entry there is nothing to wait for.
            let row = self.inner.store.row(workspace, self.id).await?;
            self.over = row.finished_at.is_some() && row.last_seq <= self.after;
            return Ok(self.over);
        }
        Ok(true)
    }
}
