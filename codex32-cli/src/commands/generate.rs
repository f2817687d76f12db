//! `codex32 generate`: the files that are derived from the table and committed.

use crate::output::Output;
use clap::{Arg, ArgMatches, Command};
use codex32_core::api::{emit, table};
use codex32_core::error::{Error, Result};
use std::path::Path;

pub(super) fn command() -> Command {
    Command::new("generate")
        .about("Write the files derived from the operation table, or check that they are current.")
        .hide(true)
        .arg(Arg::new("into").long("into").required(true).value_name("DIR").help("Root of the source tree"))
        .arg(
            Arg::new("check")
                .long("check")
                .action(clap::ArgAction::SetTrue)
                .help("Write nothing; fail where a file is not current"),
        )
}

pub(super) fn run(matches: &ArgMatches, output: &Output) -> Result<u8> {
    let root = matches.get_one::<String>("into").map(String::as_str).unwrap_or(".");
    let mut stale = 0;
    for file in emit::files(table()?) {
        let path = Path::new(root).join(file.path);
        let current = std::fs::read_to_string(&path).is_ok_and(|text| text == file.text);
        if current {
            continue;
        }
        stale += 1;
        if matches.get_flag("check") {
            output.note(format_args!("{} is not current", file.path));
            continue;
        }
        let failed = |e: std::io::Error| Error::unavailable(format!("write {}: {e}", path.display()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(&path, &file.text).map_err(failed)?;
        output.note(format_args!("wrote {}", file.path));
    }
    if matches.get_flag("check") && stale > 0 {
        return Err(Error::precondition(format!("{stale} generated files are not current")).hint("run `make generate`"));
    }
    Ok(0)
}
