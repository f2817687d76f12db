//! The `codex32` command: every operation of the table, embedded (`--data`) or
//! remote (`--url`), and a few commands that a person types all day.
//!
//! Results go to standard output, messages to standard error. Exit codes: 0 ok,
//! 1 the thing failed, 2 usage, 3 invalid input, 4 not allowed, 5 not found,
//! 6 busy or unreachable.

mod args;
mod commands;
mod connect;
mod input;
mod output;
mod print;

use codex32_core::error::Error;
use output::Output;
use std::process::ExitCode;

/// Many short texts are made and dropped on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stack of a worker, in bytes: reading a nested expression or document recurses, to a bound.
const STACK: usize = 16 << 20;

fn main() -> ExitCode {
    // Clap prints help and usage faults itself and leaves with 0 or 2.
    let matches = match args::command().map(clap::Command::get_matches) {
        Ok(matches) => matches,
        Err(error) => return fail(&Output::plain(), &error),
    };
    let output = Output::of(&matches);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build() {
        Ok(runtime) => runtime,
        Err(e) => return fail(&output, &Error::internal(format!("start the runtime: {e}"))),
    };
    let outcome = runtime.block_on(commands::run(&matches, &output));
    // A script that reads standard input must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&output, &error),
    }
}

fn fail(output: &Output, error: &Error) -> ExitCode {
    output.error(error);
    ExitCode::from(error.code().exit_code())
}
