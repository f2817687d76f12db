//! The life of one launched tree: output read, limits watched, deadline and cancellation
//! kept, and everything over at the end, however it came.

use super::launch::Launched;
use super::lines::{Budget, Kept, Reader};
use super::policy::Policy;
use super::tree::{self, Usage};
use crate::clock::{Clock, Millis};
use crate::observe::{LogSink, Stream};
use rustix::process::{Pid, Signal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

/// After the end of a tree its pipes are empty; a descriptor that escaped may hold them open.
const DRAIN: Duration = Duration::from_secs(2);

/// Bytes of stderr that are kept: a runtime that dies says why well before its last lines.
const STDERR: usize = 16 * 1024;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this exit code (128 and the signal's number after a signal).
    Exited(i32),
    /// Its deadline passed.
    Deadline,
    /// It was cancelled.
    Cancelled,
    /// The tree used more memory than allowed.
    Memory(u64),
    /// The tree had more processes and threads than allowed.
    Processes(u32),
    /// The tree used more processor time than allowed.
    Cpu(u64),
    /// The guardian was killed from within or by the system.
    Lost,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) stdout: Kept,
    pub(crate) stderr: Kept,
    /// What came over the result's descriptor, at most the cap and a byte.
    pub(crate) result: Vec<u8>,
}

/// What a run is watched by.
pub(crate) struct Watch<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) deadline: Option<Millis>,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) log: &'a dyn LogSink,
    /// Bytes of stdout that are kept for the result.
    pub(crate) keep: usize,
    /// The run's directory, to find what is left when the guardian is lost.
    pub(crate) dir: &'a Path,
}

/// Ends the tree when the run's future is dropped before its end.
struct Leash {
    root: Option<Pid>,
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(root) = self.root {
            tree::abandon(root);
        }
    }
}

/// Watches a tree to its end.
pub(crate) async fn supervise(mut launched: Launched, result: Option<Receiver>, watch: Watch<'_>) -> Outcome {
    let mut leash = Leash { root: Some(launched.root) };
    let over = CancellationToken::new();
    let budget = Budget::new(watch.policy.output, watch.clock.clone());
    let stdout = launched.guardian.stdout.take();
    let stderr = launched.guardian.stderr.take();
    let drained = || async {
        over.cancelled().await;
        // Real time: the end of a stream comes from the kernel, not from the engine's clock.
        tokio::time::sleep(DRAIN).await;
    };
    let read_out = async {
        let reader = Reader::new(Stream::Stdout, watch.log, &budget, watch.keep);
        match stdout {
            Some(from) => reader.read(from, drained()).await,
            None => Kept::default(),
        }
    };
    let read_err = async {
        let reader = Reader::new(Stream::Stderr, watch.log, &budget, STDERR);
        match stderr {
            Some(from) => reader.read(from, drained()).await,
            None => Kept::default(),
        }
    };
    let read_result = async {
        match result {
            Some(from) => read_capped(from, watch.policy.output, drained()).await,
            None => Vec::new(),
        }
    };
    let life = async {
        let end = live(&mut launched, &watch).await;
        over.cancel();
        end
    };
    let (end, stdout, stderr, result) = tokio::join!(life, read_out, read_err, read_result);
    leash.root = None;
    Outcome { end, stdout, stderr, result }
}

/// Waits for the first of all possible ends and sees that nothing lives after it.
async fn live(launched: &mut Launched, watch: &Watch<'_>) -> End {
    let deadline = async {
        match watch.deadline {
            Some(at) => watch.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    let end = tokio::select! {
        biased;
        status = launched.guardian.wait() => return ended(status, watch).await,
        () = watch.cancel.cancelled() => End::Cancelled,
        () = deadline => End::Deadline,
        broken = limits(launched.root, watch.policy) => broken,
    };
    if matches!(end, End::Cancelled | End::Deadline) {
        tree::signal(launched.root, Signal::TERM);
        if tokio::time::timeout(watch.policy.grace, launched.guardian.wait()).await.is_ok() {
            return end;
        }
    }
    tree::kill(launched.root).await;
    let _ = launched.guardian.wait().await;
    end
}

async fn ended(status: std::io::Result<std::process::ExitStatus>, watch: &Watch<'_>) -> End {
    if let Some(code) = status.ok().and_then(|status| status.code()) {
        return End::Exited(code);
    }
    // The guardian did not end by itself, so its orphans went elsewhere.
    let dir = watch.dir.to_owned();
    let _ = tokio::task::spawn_blocking(move || tree::kill_inside(&dir)).await;
    End::Lost
}

/// Returns when the tree breaks a limit; looks often at first, when a runaway shows.
async fn limits(root: Pid, policy: &Policy) -> End {
    let mut pause = Duration::from_millis(20);
    loop {
        // Real time: what is measured is the kernel's doing.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
        let Usage { memory, tasks, cpu_ms } = tree::usage(root);
        if memory > policy.memory {
            return End::Memory(memory);
        }
        if tasks > policy.processes {
            return End::Processes(tasks);
        }
        if policy.cpu_ms.is_some_and(|limit| cpu_ms > limit) {
            return End::Cpu(cpu_ms);
        }
    }
}

/// Reads to the end, keeps at most `cap` bytes and one.
async fn read_capped(mut from: Receiver, cap: u64, over: impl Future<Output = ()>) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    tokio::pin!(over);
    loop {
        let count = tokio::select! {
            biased;
            read = from.read(&mut chunk) => read.unwrap_or(0),
            () = &mut over => 0,
        };
        if count == 0 {
            return kept;
        }
        let room = usize::try_from(cap + 1).unwrap_or(usize::MAX).saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
}
