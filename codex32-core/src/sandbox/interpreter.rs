//! Which interpreters this machine has.

use crate::blueprint::Language;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An interpreter that was found and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// The real program, behind all shims.
    pub(crate) program: PathBuf,
    /// Its version: `3.11.7`; for a shell the name of the program.
    pub(crate) version: String,
}

/// Finds interpreters along the engine's `PATH` and remembers those that it found.
pub(crate) struct Interpreters {
    host_env: Vec<(OsString, OsString)>,
    found: Mutex<HashMap<Language, Interpreter>>,
}

/// Name of a language for people and in `run:`.
pub(crate) fn name(language: Language) -> &'static str {
    match language {
        Language::Python => "python",
        Language::Node => "node",
        Language::Shell => "shell",
    }
}

/// How to get what is missing.
pub(crate) fn help(language: Language) -> &'static str {
    match language {
        Language::Python => {
            "install Python 3.8 or later, such as with `apt-get install python3`, and see that it is on the PATH"
        }
        Language::Node => {
            "install Node.js 18 or later, such as with `apt-get install nodejs`, and see that it is on the PATH"
        }
        Language::Shell => "a POSIX shell must stand at /bin/sh",
    }
}

impl Interpreters {
    pub(crate) fn new(host_env: Vec<(OsString, OsString)>) -> Self {
        Interpreters { host_env, found: Mutex::new(HashMap::new()) }
    }

    /// The engine's `PATH`.
    pub(crate) fn path(&self) -> &OsStr {
        let set = self.host_env.iter().find(|(name, _)| name == "PATH");
        set.map_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"), |(_, path)| path)
    }

    /// The program `name` along the `PATH`.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let places = std::env::split_paths(self.path()).filter(|dir| dir.is_absolute());
        places.map(|dir| dir.join(name)).find(|path| is_executable(path))
    }

    /// The interpreter of `language`.
    ///
    /// # Errors
    /// `unavailable` when there is none, or none that is recent enough.
    pub(crate) async fn get(&self, language: Language) -> Result<Interpreter> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(&language).cloned();
        // An upgrade replaces the program under our feet: look again when it is gone.
        if let Some(known) = known.filter(|known| is_executable(&known.program)) {
            return Ok(known);
        }
        let found = self.find(language).await?;
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(language, found.clone());
        Ok(found)
    }

    async fn find(&self, language: Language) -> Result<Interpreter> {
        let (names, ask, oldest): (&[&str], &[&str], (u32, u32)) = match language {
            Language::Python => {
                let ask = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])";
                (&["python3", "python"], &["-I", "-c", ask], (3, 8))
            }
            Language::Node => {
                (&["node", "nodejs"], &["-p", "process.execPath + '\\n' + process.versions.node"], (18, 0))
            }
            Language::Shell => return self.shell("sh").ok_or_else(|| missing(language, "no /bin/sh")),
        };
        let mut why = format!("no {} on the PATH", names[0]);
        for program in names.iter().filter_map(|name| self.program(name)) {
            match self.ask(&program, ask).await {
                Some((real, version)) if at_least(&version, oldest) => {
                    return Ok(Interpreter { program: real, version });
                }
                Some((real, version)) => why = format!("{} is version {version}, which is too old", real.display()),
                None => why = format!("{} does not answer", program.display()),
            }
        }
        Err(missing(language, &why))
    }

    /// The shell `name`, with the file that it really is as its version.
    pub(crate) fn shell(&self, name: &str) -> Option<Interpreter> {
        let standard = Some(Path::new("/bin").join(name)).filter(|path| is_executable(path));
        let program = standard.or_else(|| self.program(name))?;
        let real = program.canonicalize().ok()?;
        let version = real.file_name()?.to_string_lossy().into_owned();
        Some(Interpreter { program, version })
    }

    async fn ask(&self, program: &Path, args: &[&str]) -> Option<(PathBuf, String)> {
        let text = self.answer(program, args).await?;
        let mut lines = text.lines();
        let (real, version) = (PathBuf::from(lines.next()?), lines.next()?.to_owned());
        is_executable(&real).then_some((real, version))
    }

    /// What a program answers, where it ends well.
    pub(crate) async fn answer(&self, program: &Path, args: &[&str]) -> Option<String> {
        let mut command = tokio::process::Command::new(program);
        command.args(args).env_clear().envs(self.host_env.iter().cloned());
        command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        // Real time: a program that hangs must not hang the engine, whatever its clock.
        let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await.ok()?.ok()?;
        output.status.success().then_some(())?;
        String::from_utf8(output.stdout).ok()
    }
}

fn missing(language: Language, why: &str) -> Error {
    Error::unavailable(format!("cannot run {}: {why}", name(language))).hint(help(language))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn at_least(version: &str, (major, minor): (u32, u32)) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_what_is_missing_and_how_to_get_it() {
        let empty = tempfile::tempdir().unwrap();
        let interpreters = Interpreters::new(vec![("PATH".into(), empty.path().into())]);
        let error = interpreters.get(Language::Node).await.unwrap_err();
        assert_eq!(error.code(), crate::Code::Unavailable);
        assert_eq!(error.message(), "cannot run node: no node on the PATH");
        assert!(error.hint_text().unwrap().contains("Node.js 18"));
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(at_least("3.11.7", (3, 8)) && at_least("20.20.2", (18, 0)) && at_least("3.8.0", (3, 8)));
        assert!(!at_least("3.7.9", (3, 8)) && !at_least("2.7", (3, 8)) && !at_least("what", (3, 8)));
    }
}
