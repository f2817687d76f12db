//! What this machine can run, and what it enforces.

use super::interpreter::{Interpreters, help, name};
use super::tree;
use crate::blueprint::Language;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of the sandbox on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Doctor {
    /// One for each language of `run`.
    pub interpreters: Vec<InterpreterReport>,
    /// One for each promise about a script.
    pub limits: Vec<LimitReport>,
    /// What an operator should know or change.
    pub warnings: Vec<String>,
}

/// An interpreter, found or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterpreterReport {
    /// `python`, `node` or `shell`.
    pub language: String,
    /// Whether scripts in it can run.
    pub available: bool,
    /// The program, where there is one.
    pub program: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What is wrong.
    pub problem: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
}

/// A promise about scripts and who keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitReport {
    /// `memory`, `cpu`, `processes`, `network`, ...
    pub name: String,
    /// Whether it holds here.
    pub enforced: bool,
    /// By what, or why not.
    pub by: String,
}

pub(crate) async fn examine(interpreters: &Interpreters) -> Doctor {
    let mut found = Vec::new();
    for language in [Language::Python, Language::Node, Language::Shell] {
        found.push(report(interpreters, language).await);
    }
    Doctor { interpreters: found, limits: limits(), warnings: warnings() }
}

async fn report(interpreters: &Interpreters, language: Language) -> InterpreterReport {
    let mut report = InterpreterReport {
        language: name(language).to_owned(),
        available: false,
        program: None,
        version: None,
        problem: None,
        help: None,
    };
    let interpreter = match interpreters.get(language).await {
        Ok(interpreter) => interpreter,
        Err(error) => {
            report.problem = Some(error.message().to_owned());
            report.help = Some(help(language).to_owned());
            return report;
        }
    };
    let missing = match language {
        Language::Python if interpreters.answer(&interpreter.program, &["-m", "pip", "--version"]).await.is_none() => {
            Some(("pip", "python3-pip"))
        }
        Language::Node if interpreters.program("npm").is_none() => Some(("npm", "npm")),
        _ => None,
    };
    if let Some((manager, package)) = missing {
        report.problem = Some(format!("{manager} is missing: {manager} packages cannot be installed"));
        report.help = Some(format!("install {manager}, such as with `apt-get install {package}`"));
    }
    report.available = true;
    report.program = Some(interpreter.program.display().to_string());
    report.version = Some(interpreter.version);
    report
}

fn limits() -> Vec<LimitReport> {
    let linux = cfg!(target_os = "linux");
    let report =
        |name: &str, enforced: bool, by: &str| LimitReport { name: name.to_owned(), enforced, by: by.to_owned() };
    vec![
        report("memory", linux, "the kernel for each process (RLIMIT_DATA), a watchdog for the whole tree"),
        report("cpu", linux, "the kernel for each process (RLIMIT_CPU), a watchdog for the whole tree"),
        report("processes", linux, "a watchdog for the whole tree"),
        report("output", true, "the engine, which reads it"),
        report("file_size", true, "the kernel (RLIMIT_FSIZE)"),
        report("deadline", true, "the engine, which kills the whole tree, also what left its session"),
        report("privileges", linux, "no_new_privs: a script cannot gain any; it has those of the engine's user"),
        report("network", false, "scripts are not kept from the network yet; connectors are"),
        report("files", false, "scripts read what the engine's user may read; each has a private working directory"),
    ]
}

fn warnings() -> Vec<String> {
    let mut warnings = Vec::new();
    if rustix::process::geteuid().is_root() {
        warnings.push("the engine runs as root, and so do scripts: run it as a user of its own".to_owned());
    }
    if cfg!(target_os = "linux") && !tree::lists_children() {
        warnings.push(
            "the kernel does not list the children of a process (CONFIG_PROC_CHILDREN): watching trees is slower"
                .to_owned(),
        );
    }
    warnings
}
