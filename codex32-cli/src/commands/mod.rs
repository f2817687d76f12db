//! What the commands do. Most are operations of the table and go through [`generic`];
//! the files here are for what a person sees more than one result of.

mod apply;
mod draft;
mod generate;
mod generic;
mod make;
mod mcp;
mod node;
mod operations;
mod run;
mod up;
mod worker;

use crate::connect::Connection;
use crate::output::Output;
use clap::{Arg, ArgMatches, Command};
use codex32_core::error::Result;

/// The commands that are not derived.
pub(crate) fn hand_made() -> Vec<Command> {
    vec![
        up::command(),
        worker::command(),
        make::command(),
        run::command(),
        draft::command(),
        apply::command("apply", "Bring the bots to what a file or folder of blueprints says."),
        apply::command("diff", "Show what apply would change."),
        operations::command(),
        mcp::command(),
        generate::command(),
        Command::new("completions")
            .about("Print the completions of a shell.")
            .arg(Arg::new("shell").required(true).value_parser(clap::value_parser!(clap_complete::Shell))),
    ]
}

/// Runs what was asked and gives the exit code.
pub(crate) async fn run(matches: &ArgMatches, output: &Output) -> Result<u8> {
    let Some((name, sub)) = matches.subcommand() else { return Ok(2) };
    match name {
        "up" => return up::run(matches, sub, output).await,
        "worker" => return worker::run(matches, sub, output).await,
        "operations" => return operations::run(output),
        "generate" => return generate::run(sub, output),
        "mcp" => return mcp::run(matches).await,
        "completions" => {
            if let Some(shell) = sub.get_one::<clap_complete::Shell>("shell") {
                clap_complete::generate(*shell, &mut crate::args::command()?, "codex32", &mut std::io::stdout());
            }
            return Ok(0);
        }
        _ => {}
    }
    let connection = Connection::open(matches).await?;
    let outcome = tokio::select! {
        outcome = with_door(name, sub, matches, &connection, output) => outcome,
        // The shell's convention for a command that was interrupted.
        _ = tokio::signal::ctrl_c() => Ok(130),
    };
    connection.close().await;
    outcome
}

async fn with_door(
    name: &str,
    sub: &ArgMatches,
    matches: &ArgMatches,
    connection: &Connection,
    output: &Output,
) -> Result<u8> {
    let door = &connection.door;
    match name {
        "make" => make::run(door, sub, output).await,
        "run" => run::run(door, sub, output).await,
        "draft" => draft::run(door, sub, output).await,
        "apply" | "diff" => apply::run(door, name, sub, output).await,
        _ => generic::run(door, matches, output).await,
    }
}
