//! Group commit: writes that come while one is on its way share the next transaction.

use crate::error::{Error, Result};
use futures::future::BoxFuture;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Requests that share one transaction at most.
const MOST: usize = 256;
/// From so many requests in a batch on there is a load: requests come faster than they can
/// be written one by one.
const LOAD: usize = 8;
/// The longest time in which requests are gathered.
const GATHER: Duration = Duration::from_millis(2);

type Work<R, A> = dyn Fn(Vec<R>) -> BoxFuture<'static, Vec<Result<A>>> + Send + Sync;

/// Brings requests together. Cheap to clone; all clones are the same group.
///
/// A request that comes alone is written at once; those that come meanwhile are written
/// together as soon as that is done. So the batches grow with the load, and an answer is
/// given only after the commit. A batch of one costs as much as one of a dozen: under a load
/// a group may therefore also gather for as long as its last batch took.
pub(crate) struct Group<R, A> {
    shared: Arc<Shared<R, A>>,
}

struct Shared<R, A> {
    queue: Mutex<Queue<R, A>>,
    /// Where it is written from under a load.
    place: Handle,
    /// Whether it gathers under a load.
    gathers: bool,
    work: Box<Work<R, A>>,
}

struct Queue<R, A> {
    waiting: VecDeque<(R, oneshot::Sender<Result<A>>)>,
    /// Whether a task is writing, and looks at the queue when it is done.
    writing: bool,
    /// Requests of the last batch.
    last: usize,
}

impl<R, A> Clone for Group<R, A> {
    fn clone(&self) -> Self {
        Group { shared: self.shared.clone() }
    }
}

impl<R: Send + 'static, A: Send + 'static> Group<R, A> {
    /// A group whose requests are written by `work`: it gives an answer for each request, in
    /// their order. Under a load that is done by a task of the runtime at `place`.
    pub(crate) fn new(
        place: Handle,
        work: impl Fn(Vec<R>) -> BoxFuture<'static, Vec<Result<A>>> + Send + Sync + 'static,
    ) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), writing: false, last: 0 });
        Group { shared: Arc::new(Shared { queue, place, gathers: false, work: Box::new(work) }) }
    }

    /// Has it wait under a load, so that more is written together: for a group whose place
    /// is a thread that does nothing but write. Before its first request.
    pub(crate) fn gathering(mut self) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.gathers = true;
        }
        self
    }

    /// Has `request` written. A caller who goes away does not take it back.
    ///
    /// # Errors
    /// Those of the work.
    pub(crate) async fn submit(&self, request: R) -> Result<A> {
        let (answer, answered) = oneshot::channel();
        let (begin, load) = {
            let mut queue = self.shared.queue();
            queue.waiting.push_back((request, answer));
            (!std::mem::replace(&mut queue.writing, true), queue.last >= LOAD)
        };
        if begin {
            // In a task of its own: the others of a batch do not depend on this caller.
            let drain = drain(self.shared.clone(), load);
            match Handle::try_current() {
                // One that comes alone need not wake another thread.
                Ok(here) if !load => drop(here.spawn(drain)),
                _ => drop(self.shared.place.spawn(drain)),
            }
        }
        answered.await.unwrap_or_else(|_| Err(Error::internal("the write panicked")))
    }
}

impl<R, A> Shared<R, A> {
    fn queue(&self) -> MutexGuard<'_, Queue<R, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next requests and where their answers go; none where there are none, and then
    /// nobody is writing.
    fn next(&self) -> (Vec<R>, Vec<oneshot::Sender<Result<A>>>) {
        let mut queue = self.queue();
        let count = queue.waiting.len().min(MOST);
        queue.writing = count > 0;
        if count > 0 {
            queue.last = count;
        }
        queue.waiting.drain(..count).unzip()
    }

    /// Whether there is more to be written, and so much that it is to be done elsewhere.
    fn moves(&self) -> bool {
        self.queue().waiting.len() >= LOAD
    }
}

/// Writes until nothing waits. `dedicated` where it runs on the thread for that.
fn drain<R, A>(shared: Arc<Shared<R, A>>, dedicated: bool) -> BoxFuture<'static, ()>
where
    R: Send + 'static,
    A: Send + 'static,
{
    Box::pin(async move {
        let mut watch = Watch { shared: &shared, done: false };
        loop {
            if !dedicated && shared.moves() {
                watch.done = true;
                shared.place.spawn(drain(shared.clone(), true));
                return;
            }
            let (requests, answers) = shared.next();
            if requests.is_empty() {
                break;
            }
            let (count, begun) = (requests.len(), Instant::now());
            let results = (shared.work)(requests).await;
            for (answer, result) in answers.into_iter().zip(results) {
                // Whoever asked may have gone away.
                let _ = answer.send(result);
            }
            if dedicated && shared.gathers && count >= LOAD {
                // The thread has nothing else to do, and what its runtime waits for are these writes.
                std::thread::sleep(begun.elapsed().min(GATHER));
            }
            // Those who go on with an answer may have more by then: let it come along.
            tokio::task::yield_now().await;
        }
        watch.done = true;
    })
}

/// Sees to it that a panic in the work ends nobody else's waiting for ever.
struct Watch<'a, R, A> {
    shared: &'a Shared<R, A>,
    done: bool,
}

impl<R, A> Drop for Watch<'_, R, A> {
    fn drop(&mut self) {
        if !self.done {
            let mut queue = self.shared.queue();
            queue.writing = false;
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;

    type Batches = Arc<Mutex<Vec<Vec<u32>>>>;

    /// A group that notes its batches and waits at each for a word.
    fn noting() -> (Group<u32, u32>, Batches, Arc<Notify>) {
        let (batches, go) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (noted, gone) = (batches.clone(), go.clone());
        let group = Group::new(Handle::current(), move |requests: Vec<u32>| -> BoxFuture<'static, Vec<Result<u32>>> {
            noted.lock().unwrap().push(requests.clone());
            let gone = gone.clone();
            Box::pin(async move {
                gone.notified().await;
                let answer = |n| if n == 13 { Err(Error::invalid("13")) } else { Ok(n * 2) };
                requests.into_iter().map(answer).collect()
            })
        });
        (group, batches, go)
    }

    #[tokio::test]
    async fn what_comes_during_a_write_is_written_together() {
        let (group, batches, go) = noting();
        let ask = |n| {
            tokio::spawn({
                let group = group.clone();
                async move { group.submit(n).await }
            })
        };
        let first = ask(1);
        while batches.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = [2, 13, 4].into_iter().map(ask).collect();
        tokio::task::yield_now().await;
        go.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), 2);
        go.notify_one();
        let mut answers = Vec::new();
        for other in others {
            answers.push(other.await.unwrap().ok());
        }
        assert_eq!(answers, [Some(4), None, Some(8)]);
        assert_eq!(*batches.lock().unwrap(), [vec![1], vec![2, 13, 4]]);
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_next_request_is_written() {
        let group: Group<u32, u32> =
            Group::new(Handle::current(), |requests: Vec<u32>| -> BoxFuture<'static, Vec<Result<u32>>> {
                Box::pin(async move {
                    assert!(!requests.contains(&13), "unlucky");
                    requests.into_iter().map(Ok).collect()
                })
            });
        assert!(group.submit(13).await.is_err());
        assert_eq!(group.submit(1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_does_not_take_the_write_back() {
        let (group, batches, go) = noting();
        let asking = tokio::spawn({
            let group = group.clone();
            async move { group.submit(1).await }
        });
        while batches.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        asking.abort();
        go.notify_one();
        let next = tokio::spawn(async move { group.submit(2).await });
        while batches.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        assert_eq!(next.await.unwrap().unwrap(), 4);
    }
}
