//! The threads of the engine in a Python process, and waiting for them.
//!
//! They are joined at exit (the package registers [`shutdown`] with `atexit`): a
//! thread that touches the interpreter while it is being torn down aborts the process.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// How often a waiting call looks whether Ctrl-C was pressed.
const LOOK: Duration = Duration::from_millis(50);
/// How long the threads are given to come to an end.
const GRACE: Duration = Duration::from_secs(10);

/// Stack of a worker, in bytes: reading a nested expression or document recurses, to a bound.
const STACK: usize = 16 << 20;

enum State {
    Fresh,
    Running(Runtime),
    Ended,
}

static STATE: Mutex<State> = Mutex::new(State::Fresh);

/// The runtime, started at the first call.
pub(crate) fn handle() -> PyResult<Handle> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if let State::Fresh = *state {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_name("codex32")
            .thread_stack_size(STACK)
            .build()
            .map_err(|e| PyRuntimeError::new_err(format!("start the engine's threads: {e}")))?;
        *state = State::Running(runtime);
    }
    match &*state {
        State::Running(runtime) => Ok(runtime.handle().clone()),
        _ => Err(PyRuntimeError::new_err("the interpreter is shutting down")),
    }
}

/// Waits for `future` without the GIL; Ctrl-C ends the wait and the work.
pub(crate) fn wait<T: Send + 'static>(py: Python<'_>, future: impl Future<Output = T> + Send + 'static) -> PyResult<T> {
    let (send, receive) = channel();
    let task = handle()?.spawn(async move {
        // The receiver goes away only when the wait was interrupted.
        let _ = send.send(future.await);
    });
    let mut receive = receive;
    loop {
        let (back, outcome) = py.detach(move || {
            let outcome = receive.recv_timeout(LOOK);
            (receive, outcome)
        });
        receive = back;
        match outcome {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(interrupt) = py.check_signals() {
                    task.abort();
                    return Err(interrupt);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("the engine's thread ended before the call"));
            }
        }
    }
}

/// Ends the threads of the engine; called at exit.
#[pyfunction]
pub(crate) fn shutdown(py: Python<'_>) {
    let state = std::mem::replace(&mut *STATE.lock().unwrap_or_else(PoisonError::into_inner), State::Ended);
    if let State::Running(runtime) = state {
        py.detach(|| runtime.shutdown_timeout(GRACE));
    }
}
