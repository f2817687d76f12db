//! The tree of processes below a guardian: who is in it, what it uses, and its end.
//!
//! The guardian adopts the orphans of its tree, so a walk down from it finds also
//! what has forked twice and left its session.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// Linux counts processor time for user space in hundredths of a second on every
/// architecture that matters.
const TICK_MS: u64 = 10;

/// What a tree uses at one moment, its guardian left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident bytes, summed (pages shared by a fork count in each process).
    pub(crate) memory: u64,
    /// Processes and threads.
    pub(crate) tasks: u32,
    /// Processor time, that of ended children included, in milliseconds.
    pub(crate) cpu_ms: u64,
}

/// The fields of `/proc/PID/stat` that matter here.
struct Stat {
    state: char,
    parent: i32,
    ticks: u64,
    threads: u32,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, so count from the last one.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    let number = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok());
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        threads: u32::try_from(number(17)?).ok()?,
    })
}

/// Resident bytes of `pid`.
fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().strip_suffix(" kB")).and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Whether the kernel lists the children of a process.
pub(crate) fn lists_children() -> bool {
    static LISTS: OnceLock<bool> = OnceLock::new();
    *LISTS.get_or_init(|| Path::new("/proc/thread-self/children").exists())
}

/// Children of `pid`, by the kernel's own list.
fn children(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_ascii_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>()).collect()
}

/// All processes by parent: for kernels built without the list of children.
fn by_parent() -> HashMap<i32, Vec<i32>> {
    let mut map: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in processes() {
        if let Some(stat) = stat(pid) {
            map.entry(stat.parent).or_default().push(pid);
        }
    }
    map
}

/// Ids of all processes that can be seen.
fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All below `root`, zombies too, in order.
fn walk(root: Pid) -> Vec<i32> {
    let listed = lists_children();
    let all = if listed { HashMap::new() } else { by_parent() };
    let mut found = BTreeSet::new();
    let mut open = vec![root.as_raw_nonzero().get()];
    while let Some(pid) = open.pop() {
        let next = if listed { children(pid) } else { all.get(&pid).cloned().unwrap_or_default() };
        open.extend(next.into_iter().filter(|child| found.insert(*child)));
    }
    found.into_iter().collect()
}

fn lives(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.state != 'Z' && stat.state != 'X')
}

/// All that lives below `root`.
fn descendants(root: Pid) -> Vec<i32> {
    walk(root).into_iter().filter(|pid| lives(*pid)).collect()
}

/// What the tree below `root` uses now.
pub(crate) fn usage(root: Pid) -> Usage {
    let mut sum = Usage::default();
    for pid in descendants(root) {
        if let Some(stat) = stat(pid) {
            sum.tasks += stat.threads;
            sum.cpu_ms += stat.ticks * TICK_MS;
        }
        sum.memory += resident(pid);
    }
    if let Some(stat) = stat(root.as_raw_nonzero().get()) {
        sum.cpu_ms += stat.ticks * TICK_MS;
    }
    sum
}

/// Sends `signal` to all that lives below `root`.
pub(crate) fn signal(root: Pid, signal: Signal) {
    descendants(root).into_iter().for_each(|pid| send(pid, signal));
}

fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended in between, which is what is wanted.
        let _ = kill_process(pid, signal);
    }
}

/// The end of all that lives below one process, in rounds.
struct Ending {
    root: Pid,
    dead: Option<Vec<i32>>,
}

impl Ending {
    /// Kills what lives now; true when nothing is left to kill.
    fn round(&mut self) -> bool {
        let found = walk(self.root);
        let living: Vec<i32> = found.iter().copied().filter(|pid| lives(*pid)).collect();
        if living.is_empty() {
            // One that died during the walk has handed over its own children since: only
            // the same dead ones twice mean that there are none.
            let same = self.dead.as_ref() == Some(&found);
            self.dead = Some(found);
            return same;
        }
        self.dead = None;
        // Stopped first, so that none forks away while the others are being killed.
        for signal in [Signal::STOP, Signal::KILL] {
            living.iter().for_each(|pid| send(*pid, signal));
        }
        false
    }
}

/// Rounds before an end is given up: a process that the kernel cannot end now.
const ROUNDS: usize = 2_000;
/// The kernel takes a moment to end a process; real time, not the engine's clock.
const ROUND: Duration = Duration::from_micros(500);

/// Kills all below `root`, then `root`.
pub(crate) async fn kill(root: Pid) {
    let mut ending = Ending { root, dead: None };
    for _ in 0..ROUNDS {
        if ending.round() {
            break;
        }
        tokio::time::sleep(ROUND).await;
    }
    let _ = kill_process(root, Signal::KILL);
}

/// Begins the end of a tree whose run was dropped: the guardian does the rest.
pub(crate) fn abandon(root: Pid) {
    signal(root, Signal::KILL);
    let _ = kill_process(root, Signal::TERM);
    let _ = kill_process(root, Signal::CONT);
}

/// Kills every process whose home or working directory lies in `dir`, with all below it:
/// for trees whose engine or guardian is gone. Blocks until they are dead.
pub(crate) fn kill_inside(dir: &Path) {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    for _ in 0..ROUNDS {
        let inside = |pid: &i32| {
            *pid != own
                && (fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir))
                    || home_inside(*pid, dir))
                && lives(*pid)
        };
        let roots: Vec<i32> = processes().filter(inside).collect();
        if roots.is_empty() {
            return;
        }
        // First what is below: a guardian that were killed before would let go of its orphans.
        for root in roots.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            let mut ending = Ending { root, dead: None };
            if (0..ROUNDS).any(|_| ending.round()) {
                let _ = kill_process(root, Signal::KILL);
            }
        }
        std::thread::sleep(ROUND);
    }
}

fn home_inside(pid: i32, dir: &Path) -> bool {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut homes = environ.split(|byte| *byte == 0).filter_map(|pair| pair.strip_prefix(b"HOME="));
    homes.any(|home| std::str::from_utf8(home).is_ok_and(|home| Path::new(home).starts_with(dir)))
}
