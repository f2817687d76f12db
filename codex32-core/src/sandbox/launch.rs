//! Starting a process under a policy. Only this file knows how an operating system
//! confines a process; what happens to it afterwards is `supervise`'s business.
//!
//! Invariants: a process starts under a guardian (`runner/guardian.sh`) in a session of
//! its own, with the environment and the descriptors that its order names and no
//! others, with no way to gain privileges; when the engine dies, the guardian ends the tree.

use super::policy::Policy;
use crate::error::{Error, Result};
use rustix::fs::Mode;
use rustix::io::FdFlags;
use rustix::process::{Pid, Resource, Rlimit};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// The parent of every script.
const GUARDIAN: &str = include_str!("runner/guardian.sh");
/// Descriptors for a child get numbers from here on, clear of the low ones that
/// shells use for themselves.
const FIRST_FD: RawFd = 20;

/// What to start and with what.
pub(crate) struct Order {
    /// The program, an absolute path.
    pub(crate) program: PathBuf,
    /// Its arguments. Never data of a bot.
    pub(crate) args: Vec<OsString>,
    /// Its whole environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub(crate) cwd: PathBuf,
    /// Standard input.
    pub(crate) stdin: Option<OwnedFd>,
    /// Descriptors that it keeps, at the same numbers.
    pub(crate) keep: Vec<OwnedFd>,
    /// Its limits.
    pub(crate) policy: Policy,
}

/// A process that runs.
pub(crate) struct Launched {
    /// The guardian.
    pub(crate) guardian: Child,
    /// The guardian's id, the root of the tree.
    pub(crate) root: Pid,
}

struct Request {
    order: Order,
    runtime: tokio::runtime::Handle,
    answer: tokio::sync::oneshot::Sender<std::io::Result<Child>>,
}

/// Starts processes from a thread of its own: the kernel ends a guardian when the
/// *thread* that started it ends, and the threads of a runtime come and go.
pub(crate) struct Launcher {
    requests: std::sync::mpsc::Sender<Request>,
}

impl Launcher {
    /// Starts the thread, which ends when the launcher is dropped; what it started ends then, too.
    pub(crate) fn start() -> Result<Self> {
        let (requests, inbox) = std::sync::mpsc::channel::<Request>();
        let work = move || {
            for Request { order, runtime, answer } in inbox {
                let _context = runtime.enter();
                // A caller that is gone wants no process: drop it, and its guardian ends.
                if let Err(Ok(child)) = answer.send(spawn(order))
                    && let Some(root) = child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
                {
                    super::tree::abandon(root);
                }
            }
        };
        std::thread::Builder::new()
            .name("codex32-launcher".to_owned())
            .spawn(work)
            .map_err(|e| Error::internal(format!("start the launcher's thread: {e}")))?;
        Ok(Launcher { requests })
    }

    /// Starts a process.
    ///
    /// # Errors
    /// `unavailable` when the system cannot start one.
    pub(crate) async fn launch(&self, order: Order) -> Result<Launched> {
        let program = order.program.clone();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        let gone = || Error::internal("the launcher's thread has ended");
        self.requests.send(Request { order, runtime, answer }).map_err(|_| gone())?;
        let guardian = answered.await.map_err(|_| gone())?.map_err(|e| cannot_start(&program, &e))?;
        let root = guardian.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(gone)?;
        Ok(Launched { guardian, root })
    }
}

fn cannot_start(program: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("start {}: {error}", program.display()))
        .hint("the machine may have run out of processes, memory or open files; `codex32 doctor` tells what is limited")
}

fn spawn(order: Order) -> std::io::Result<Child> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(GUARDIAN).arg("codex32").arg(&order.program).args(&order.args);
    command.env_clear().envs(order.env).current_dir(&order.cwd);
    command.stdin(order.stdin.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let limits = rlimits(&order.policy);
    let keep: Vec<RawFd> = order.keep.iter().map(AsRawFd::as_raw_fd).collect();
    let engine = rustix::process::getpid();
    confine(&mut command, limits, keep, engine);
    let child = command.spawn();
    drop(order.keep);
    child
}

/// The kernel's limits for each process of the tree. The hard limit is lowered, too, so
/// that a script cannot raise it again.
fn rlimits(policy: &Policy) -> Vec<(Resource, Rlimit)> {
    let mut wanted = vec![
        // Not the address space: runtimes reserve much of it that they never touch.
        (Resource::Data, policy.memory.saturating_add(policy.memory_slack)),
        (Resource::Fsize, policy.file_size),
        (Resource::Nofile, policy.open_files),
        (Resource::Core, 0),
    ];
    if let Some(ms) = policy.cpu_ms {
        wanted.push((Resource::Cpu, ms.div_ceil(1_000).max(1)));
    }
    let lower = |(resource, value): (Resource, u64)| {
        let hard = rustix::process::getrlimit(resource).maximum.map_or(value, |max| max.min(value));
        // A second of processor time between the signal that can be told apart and the kill.
        let maximum = if resource == Resource::Cpu { hard + 1 } else { hard };
        (resource, Rlimit { current: Some(hard), maximum: Some(maximum) })
    };
    wanted.into_iter().map(lower).collect()
}

/// Adds what happens in the child between fork and exec.
#[expect(unsafe_code, reason = "what runs between fork and exec cannot be written otherwise")]
fn confine(command: &mut Command, limits: Vec<(Resource, Rlimit)>, keep: Vec<RawFd>, engine: Pid) {
    let prepare = move || {
        rustix::process::setsid()?;
        rustix::process::umask(Mode::from_raw_mode(0o077));
        for (resource, limit) in &limits {
            rustix::process::setrlimit(*resource, *limit)?;
        }
        isolate(engine)?;
        close_others();
        for fd in &keep {
            // SAFETY: the parent holds these descriptors open until after the fork.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) };
            rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only; it takes no lock and no memory.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(target_os = "linux")]
fn isolate(engine: Pid) -> std::io::Result<()> {
    use rustix::process::{Signal, getpid, getppid, set_child_subreaper, set_parent_process_death_signal};
    rustix::thread::set_no_new_privs(true)?;
    set_child_subreaper(Some(getpid()))?;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // The engine may have died before the line above: then nobody would send the signal.
    if getppid() == Some(engine) { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
}

#[cfg(not(target_os = "linux"))]
fn isolate(_engine: Pid) -> std::io::Result<()> {
    Ok(())
}

/// Marks every descriptor above the standard ones to be closed by exec: the embedding
/// program may have opened some without that.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "rustix has no close_range")]
fn close_others() {
    const CLOEXEC: libc::c_uint = 4;
    // SAFETY: a system call on numbers. Older kernels refuse it; the engine's own descriptors need it not.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOEXEC) };
}

#[cfg(not(target_os = "linux"))]
fn close_others() {}

/// `fd` at a number that a child can keep.
pub(crate) fn for_child(fd: OwnedFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(&fd, FIRST_FD).map_err(|e| Error::internal(format!("duplicate a descriptor: {e}")))
}

/// `bytes` as two files that can each be read from the start: one for standard input,
/// one for the runner. They live in memory and leave nothing on the disk.
///
/// # Errors
/// `unavailable` when the system gives no memory for it.
pub(crate) fn input_files(bytes: &[u8]) -> Result<(OwnedFd, OwnedFd)> {
    let failed = |e: std::io::Error| Error::unavailable(format!("hand over {} bytes of input: {e}", bytes.len()));
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut memory = File::from(rustix::fs::memfd_create("codex32-input", flags).map_err(|e| failed(e.into()))?);
    memory.write_all(bytes).map_err(failed)?;
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let open = || File::open(&path).map(OwnedFd::from).map_err(failed);
    Ok((open()?, for_child(open()?)?))
}

/// A pipe for the result: the end to read, and the end for the child.
///
/// # Errors
/// `unavailable` when no descriptor is left.
pub(crate) fn result_pipe() -> Result<(tokio::net::unix::pipe::Receiver, OwnedFd)> {
    let failed = |e: std::io::Error| Error::unavailable(format!("open a pipe: {e}"));
    let flags = rustix::pipe::PipeFlags::CLOEXEC;
    let (read, write) = rustix::pipe::pipe_with(flags).map_err(|e| failed(e.into()))?;
    let read = tokio::net::unix::pipe::Receiver::from_owned_fd(read).map_err(failed)?;
    Ok((read, for_child(write)?))
}
