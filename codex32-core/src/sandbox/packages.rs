//! Package sets of scripts: installed once, kept, shared by all who ask for the same.
//!
//! Invariants: a set is named by the hash of interpreter and sorted specs; it appears
//! under its name complete or not at all; nothing of a package runs while it is
//! installed (pip takes wheels only, npm runs no scripts); installed files are read-only.

use super::interpreter::Interpreter;
use super::launch::{Launcher, Order};
use super::policy::{Policy, human_ms};
use super::supervise::{End, Watch, supervise};
use super::workdir::{lock_file, private_dir, remove};
use crate::blueprint::{Dependencies, Language};
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error, Result};
use crate::observe::{LogSink, Stream};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Variables of the engine's environment that a package manager gets: its own
/// settings, proxies and certificates.
const PREFIXES: [&str; 3] = ["pip_", "npm_config_", "uv_"];
const NAMES: [&str; 16] = [
    "path",
    "home",
    "lang",
    "lc_all",
    "tz",
    "user",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "ssl_cert_file",
    "ssl_cert_dir",
    "requests_ca_bundle",
    "curl_ca_bundle",
    "node_extra_ca_certs",
    "xdg_config_home",
];

/// The package sets of an engine.
pub(crate) struct Packages {
    dir: PathBuf,
    env: Vec<(OsString, OsString)>,
    gates: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// Who asks, and how long it may take.
pub(crate) struct Asker<'a> {
    pub(crate) launcher: &'a Launcher,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) deadline: Option<Millis>,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) log: &'a Arc<dyn LogSink>,
}

/// One set, checked and in order.
struct Set {
    manager: &'static str,
    specs: Vec<String>,
    key: String,
}

/// A log in which all that an installer says is the engine's own progress.
struct Progress(Arc<dyn LogSink>);

impl LogSink for Progress {
    fn line(&self, _stream: Stream, text: &str) {
        if !text.trim().is_empty() {
            self.0.line(Stream::System, &without_credentials(text));
        }
    }
}

/// Hides `user:password@` in the addresses that a package manager prints.
fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
        let host = after[..end].rfind('@').map_or(0, |at| at + 1);
        if host > 0 {
            shown.push_str("****@");
        }
        rest = &after[host..];
    }
    shown + rest
}

/// Whether `text` is made of letters, digits and `others`, and begins with a letter or digit.
fn is_word(text: &str, others: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Whether `spec` is `name==version` or `name[extra,...]==version`.
fn is_pip(spec: &str) -> bool {
    let Some((name, version)) = spec.split_once("==") else { return false };
    let (name, extras) = match name.split_once('[') {
        Some((name, extras)) => match extras.strip_suffix(']') {
            Some(extras) => (name, extras.split(',').collect()),
            None => return false,
        },
        None => (name, Vec::new()),
    };
    is_word(name, "._-") && extras.iter().all(|extra| is_word(extra, "._-")) && is_word(version, ".!+_-")
}

/// Whether `spec` is `name@1.2.3` or `@scope/name@1.2.3`.
fn is_npm(spec: &str) -> bool {
    let (scope, rest) = match spec.strip_prefix('@') {
        Some(scoped) => match scoped.split_once('/') {
            Some((scope, rest)) => (Some(scope), rest),
            None => return false,
        },
        None => (None, spec),
    };
    let Some((name, version)) = rest.split_once('@') else { return false };
    let (core, _) = version.split_at(version.find(['-', '+']).unwrap_or(version.len()));
    let exact =
        core.split('.').count() == 3 && core.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    scope.is_none_or(|scope| is_word(scope, "._-")) && is_word(name, "._-") && exact && is_word(version, ".+-")
}

/// The set that a script of `language` needs.
fn set(language: Language, dependencies: &Dependencies, interpreter: &Interpreter) -> Result<Option<Set>> {
    let (manager, specs, check, form): (_, _, fn(&str) -> bool, _) = match language {
        Language::Python => ("pip", &dependencies.pip, is_pip, "name==version, such as `requests==2.32.3`"),
        Language::Node => ("npm", &dependencies.npm, is_npm, "name@version, such as `left-pad@1.3.0`"),
        Language::Shell => return Ok(None),
    };
    if let Some(wrong) = specs.iter().find(|spec| !check(spec)) {
        return Err(Error::invalid(format!("the {manager} package \"{}\" is not pinned", wrong.escape_debug()))
            .hint(format!("write {form}")));
    }
    let mut specs = specs.clone();
    specs.sort();
    specs.dedup();
    let mut hash = Sha256::new();
    let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    for part in
        [manager, interpreter.version.as_str(), platform.as_str()].into_iter().chain(specs.iter().map(String::as_str))
    {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let key = format!("{manager}-{}", &hex::encode(hash.finalize())[..40]);
    Ok((!specs.is_empty()).then_some(Set { manager, specs, key }))
}

impl Packages {
    /// Package sets below `dir`, installed with what `host_env` says about indexes.
    pub(crate) fn new(dir: PathBuf, host_env: &[(OsString, OsString)]) -> Self {
        let wanted = |name: &str| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let env = host_env.iter().filter(|(name, _)| wanted(&name.to_string_lossy().to_lowercase()));
        Packages { dir, env: env.cloned().collect(), gates: Mutex::new(HashMap::new()) }
    }

    /// The directory of the packages that a script needs, installed by now; none where it needs none.
    ///
    /// # Errors
    /// `invalid` for a package that is not pinned; `unavailable` when it cannot be
    /// installed; `timeout` and `cancelled` as for the run itself.
    pub(crate) async fn ensure(
        &self,
        language: Language,
        dependencies: &Dependencies,
        interpreter: &Interpreter,
        asker: &Asker<'_>,
    ) -> Result<Option<PathBuf>> {
        let Some(set) = set(language, dependencies, interpreter)? else { return Ok(None) };
        let place = self.dir.join(&set.key);
        if place.is_dir() {
            return Ok(Some(place));
        }
        let gate = self.gate(&set.key);
        let _turn = match gate.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                asker.log.line(Stream::System, "waiting for the same packages to be installed for another run");
                tokio::select! {
                    turn = gate.lock() => turn,
                    ended = asker.ended() => return Err(ended),
                }
            }
        };
        if place.is_dir() {
            return Ok(Some(place));
        }
        private_dir(&self.dir)?;
        let lock = lock_file(&self.dir.join(format!("{}.lock", set.key)))?;
        asker.wait_for(&lock).await?;
        if !place.is_dir() {
            self.install(&set, &place, interpreter, asker).await?;
        }
        Ok(Some(place))
    }

    fn gate(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.strong_count() > 0);
        if let Some(gate) = gates.get(key).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::new(tokio::sync::Mutex::new(()));
        gates.insert(key.to_owned(), Arc::downgrade(&gate));
        gate
    }

    async fn install(&self, set: &Set, place: &Path, interpreter: &Interpreter, asker: &Asker<'_>) -> Result<()> {
        let started = asker.clock.now();
        let names = set.specs.join(", ");
        asker.log.line(Stream::System, &format!("installing {names} with {} (once; kept for later runs)", set.manager));
        // Removed on every way out but the last.
        let temporary = tempfile::Builder::new()
            .prefix(".installing-")
            .tempdir_in(&self.dir)
            .map_err(|e| Error::unavailable(format!("make a directory in {}: {e}", self.dir.display())))?;
        let content = temporary.path().join("content");
        private_dir(&content)?;
        self.run(set, &content, interpreter, asker).await?;
        let source = content.clone();
        let frozen = tokio::task::spawn_blocking(move || freeze(&source)).await;
        frozen.map_err(|e| Error::internal(format!("freeze installed packages: {e}")))?;
        fs::rename(&content, place)
            .map_err(|e| Error::unavailable(format!("put {} in place: {e}", place.display())))?;
        let took = human_ms(u64::try_from(asker.clock.now() - started).unwrap_or(0));
        asker.log.line(Stream::System, &format!("installed {names} in {took}"));
        Ok(())
    }

    async fn run(&self, set: &Set, content: &Path, interpreter: &Interpreter, asker: &Asker<'_>) -> Result<()> {
        let order = self.order(set, content, interpreter)?;
        let policy = order.policy.clone();
        let launched = asker.launcher.launch(order).await?;
        let progress = Progress(asker.log.clone());
        let watch = Watch {
            policy: &policy,
            clock: asker.clock,
            deadline: asker.deadline,
            cancel: asker.cancel,
            log: &progress,
            keep: 0,
            dir: content,
        };
        let outcome = supervise(launched, None, watch).await;
        match outcome.end {
            End::Exited(0) => Ok(()),
            End::Deadline => Err(late(set)),
            End::Cancelled => Err(Error::new(Code::Cancelled, "cancelled while packages were being installed")),
            end => {
                let said = outcome.stderr.tail.iter().chain(&outcome.stdout.tail).map(|line| without_credentials(line));
                let told: Vec<String> = said.filter(|line| is_reason(line)).take(4).collect();
                let why = if told.is_empty() { format!("{end:?}") } else { told.join("; ") };
                Err(Error::unavailable(format!("{} could not install {}: {why}", set.manager, set.specs.join(", ")))
                    .hint(install_hint(set.manager)))
            }
        }
    }

    fn order(&self, set: &Set, content: &Path, interpreter: &Interpreter) -> Result<Order> {
        let (program, fixed): (PathBuf, &[&str]) = if set.manager == "pip" {
            let fixed = ["-m", "pip", "install", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"];
            (
                interpreter.program.clone(),
                &[fixed.as_slice(), &["--progress-bar", "off", "--root-user-action", "ignore", "--target", "."]]
                    .concat(),
            )
        } else {
            fs::write(content.join("package.json"), "{\"private\":true}\n")
                .map_err(|e| Error::unavailable(format!("write package.json: {e}")))?;
            let fixed = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--save-exact"];
            (
                self.npm(interpreter)?,
                &[fixed.as_slice(), &["--no-update-notifier", "--loglevel", "http", "--prefix", "."]].concat(),
            )
        };
        let fixed = fixed.iter().map(OsString::from);
        let specs = set.specs.iter().map(OsString::from);
        Ok(Order {
            program,
            args: fixed.chain([OsString::from("--")]).chain(specs).collect(),
            env: self.env.clone(),
            cwd: content.to_owned(),
            stdin: None,
            keep: Vec::new(),
            policy: Policy::of_installer(),
        })
    }

    /// npm stands beside its node, or on the path.
    fn npm(&self, interpreter: &Interpreter) -> Result<PathBuf> {
        let beside = interpreter.program.parent().map(|dir| dir.join("npm"));
        let path = self.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone()).unwrap_or_default();
        let places = std::env::split_paths(&path).map(|dir| dir.join("npm"));
        beside.into_iter().chain(places).find(|npm| npm.is_file()).ok_or_else(|| {
            Error::unavailable("cannot install npm packages: there is no npm")
                .hint("install npm, such as with `apt-get install npm`")
        })
    }
}

impl Asker<'_> {
    /// Returns when the run that asks is over before it began.
    async fn ended(&self) -> Error {
        let deadline = async {
            match self.deadline {
                Some(at) => self.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.cancel.cancelled() => Error::new(Code::Cancelled, "cancelled while waiting for packages"),
            () = deadline => Error::new(Code::Timeout, "the packages were not installed in time"),
        }
    }

    /// Waits for a lock that another engine process holds.
    async fn wait_for(&self, lock: &fs::File) -> Result<()> {
        let poll = async {
            let mut told = false;
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(fs::TryLockError::WouldBlock) if !told => {
                        told = true;
                        self.log.line(Stream::System, "waiting for another engine to install the same packages");
                    }
                    Err(fs::TryLockError::WouldBlock) => {}
                    Err(fs::TryLockError::Error(e)) => {
                        return Err(Error::unavailable(format!("lock the package directory: {e}")));
                    }
                }
                // Real time: the other engine is another process.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            locked = poll => locked,
            ended = self.ended() => Err(ended),
        }
    }
}

fn late(set: &Set) -> Error {
    Error::new(Code::Timeout, format!("installing {} was not done in time", set.specs.join(", ")))
        .hint("run it again: what was downloaded is cached; or give the step a longer `timeout`")
}

/// Whether a line of an installer's output says why it failed.
fn is_reason(line: &str) -> bool {
    let line = line.trim();
    let empty = ["npm error", "npm error A complete log of this run can be found in:"];
    !empty.contains(&line)
        && !line.starts_with("npm error A complete log")
        && ["ERROR", "npm error", "error", "No module named pip"].iter().any(|word| line.contains(word))
}

fn install_hint(manager: &str) -> &'static str {
    if manager == "pip" {
        "only wheels are taken, since building a source package runs its code outside of the sandbox; \
         see that the version exists for this Python, that pip is installed and that its index answers"
    } else {
        "see that the version exists and that the registry answers; install scripts of packages are not run"
    }
}

/// Takes the permission to write from all that was installed.
fn freeze(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = fs::symlink_metadata(entry.path()) else { continue };
        if meta.is_dir() {
            freeze(&entry.path());
        } else if meta.is_file() {
            let mode = meta.permissions().mode() & 0o555;
            let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode));
        }
    }
    // A directory without write permission could not be renamed by its owner.
    if dir.file_name().is_some_and(|name| name != "content") {
        let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o555));
    }
}

/// Removes installations that a killed engine left half done.
pub(crate) fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let fresh = entry
            .metadata()
            .and_then(|m| m.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 3_600));
        if entry.file_name().to_string_lossy().starts_with(".installing-") && !fresh {
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pinned_packages() {
        for good in ["requests==2.32.3", "uvicorn[standard,x]==0.30.1", "a==1!2.0+local.1", "zope.interface==6.0"] {
            assert!(is_pip(good), "{good}");
        }
        for bad in [
            "requests",
            "requests>=2",
            "-r==1",
            "--index-url==http",
            "a==",
            "==1",
            "a==1 --hash=x",
            "a==1;python_version>'3'",
            "a @ http://x",
            "a[x==1",
            "a==*",
            "../a==1",
            "a==1\n-r x",
        ] {
            assert!(!is_pip(bad), "{bad}");
        }
        for good in ["left-pad@1.3.0", "@scope/name@10.0.0-rc.1", "a@1.2.3+build.5"] {
            assert!(is_npm(good), "{good}");
        }
        for bad in [
            "left-pad",
            "left-pad@^1.0.0",
            "left-pad@latest",
            "a@1.2",
            "a@1.x.0",
            "a@git+ssh://x",
            "--prefix@1.0.0",
            "@scope@1.0.0",
            "a@1.2.3 b",
            "a@npm:b@1.0.0",
            "../a@1.0.0",
            "@/a@1.0.0",
        ] {
            assert!(!is_npm(bad), "{bad}");
        }
    }

    #[test]
    fn a_set_is_the_same_in_any_order_and_differs_by_interpreter() {
        let python = |version: &str| Interpreter { program: "/usr/bin/python3".into(), version: version.to_owned() };
        let of = |specs: &[&str], version: &str| {
            let pip = specs.iter().map(|spec| (*spec).to_owned()).collect();
            let dependencies = Dependencies { pip, npm: Vec::new() };
            set(Language::Python, &dependencies, &python(version)).unwrap().unwrap().key
        };
        assert_eq!(of(&["a==1", "b==2"], "3.11.7"), of(&["b==2", "a==1", "a==1"], "3.11.7"));
        assert_ne!(of(&["a==1", "b==2"], "3.11.7"), of(&["a==1", "b==2"], "3.12.0"));
        assert_ne!(of(&["a==1", "b==2"], "3.11.7"), of(&["a==1"], "3.11.7"));
    }

    #[test]
    fn hides_credentials_of_an_index() {
        assert_eq!(
            without_credentials("Looking in https://me:pw@index.example/simple and http://b@c then"),
            "Looking in https://****@index.example/simple and http://****@c then"
        );
        assert_eq!(without_credentials("nothing here ://"), "nothing here ://");
    }
}
