//! Executions: the journal, the part that decides, and the part that does.
//!
//! - [`Executor`] starts, drives, cancels, pauses, retries and watches executions.
//! - [`Execution`], [`StepState`], [`Entry`] and [`Line`] are what callers see.
//! - [`CompiledBlueprint`] is a blueprint with its expressions compiled.
//! - [`BotSource`], [`Actions`] and [`Scripts`] are what it needs from other rooms.
//! - [`Ctx`] and [`DurableFunction`]: functions of the program in place of steps.
//!
//! Inside: `plan` compiles, `flow` says what the rules of a bot are about a start, `decide` is the pure interpreter, `store` is the only
//! place that writes, `drive` runs one execution, `control` holds the operations
//! on executions, one in a file.
//!
//! Invariants (the whole state machine is written down in `docs/execution.md`):
//!
//! - The journal is append-only, and the state of an execution is a function of it.
//! - A step's result and the intent for what follows are one transaction. What a
//!   step does outside begins after its intent is durable.
//! - A recorded step never runs again. A step without a result runs again with the
//!   same idempotency key, `EXECUTION:PATH`.
//! - One driver writes to an execution at a time: it holds the lease, and a write
//!   with an older fencing token is refused. Everybody else puts a row into
//!   `signals` and wakes it.
//! - An execution that waits is rows and nothing else.
//! - No secret is in a journal entry, a log line or an error: rendered inputs are
//!   never written, everything else passes the redactor first.

mod control;
mod decide;
mod drive;
mod entry;
mod flow;
mod labels;
mod native;
mod plan;
mod ports;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod words;

pub use control::{Config, Executor, Keep, Parts};
pub use entry::{Call, Entry, Event, Failure, NotUndone, Purpose, Shared, idempotency_key};
pub use native::{Attempt, Body, Bridge, Ctx, Done, DurableFunction, Host, Reply, StepOptions, WaitOptions, Wish};
pub use plan::CompiledBlueprint;
pub use ports::{Actions, BotSource, LoadedVersion, Scripts, Target};
pub(crate) use store::purge;
pub use types::{
    Answer, Approval, Divergence, Execution, Filter, FlowCount, FlowTicket, Fork, Line, Passed, Replay, Start, Started,
    Status, StepState, StepStatus, WatchItem, Worker,
};

/// Largest input of an execution, in bytes of JSON.
pub const MAX_INPUT: usize = 1024 * 1024;
/// Largest result of a step or of an execution, in bytes of JSON.
pub const MAX_OUTPUT: usize = 1024 * 1024;

/// Bytes of a value as JSON.
fn size(value: &serde_json::Value) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting cannot fail; a value that could not be written would count as too large.
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}
