//! The top of a blueprint: name, inputs, permissions, limits and the like.

use serde_json::Value;

use super::{Reader, listing};
use crate::blueprint::diagnostic::Diagnostic;
use crate::blueprint::flow::Flow;
use crate::blueprint::tree::{Data, Node, pointer};
use crate::blueprint::types::{Blueprint, Dependencies, Health, Limits, Native, Permissions, Restart, Retention};

/// Keys of a blueprint in their canonical order.
pub(in crate::blueprint) const KEYS: &[&str] = &[
    "codex32",
    "name",
    "description",
    "on",
    "inputs",
    "permissions",
    "dependencies",
    "limits",
    "runs_on",
    "flow",
    "timeout",
    "retention",
    "restart",
    "health",
    "native",
    "steps",
    "output",
];

/// Most executions of a bot that can be asked to be kept.
pub(in crate::blueprint) const MAX_KEPT: u32 = 100_000_000;

/// The version of the format.
pub(in crate::blueprint) const FORMAT: &str = "v1";

impl Reader {
    /// The whole blueprint.
    pub(super) fn blueprint(&mut self, root: &Node) -> Blueprint {
        let mut b = empty();
        if matches!(root.data, Data::Null) {
            self.report(Diagnostic::error("", "the blueprint is empty").hint("begin with `codex32: v1`"), root.place);
            return b;
        }
        let Some(fields) = self.fields(root, "a blueprint", KEYS) else { return b };
        self.version(root, fields.get("codex32"));
        match fields.get("name") {
            Some(node) => b.name = self.bot_name(node).unwrap_or_default(),
            None => self.missing(root, "name", "name: my-bot"),
        }
        self.known.bot = b.name.clone();
        b.description = fields.get("description").and_then(|n| self.text(n, "a sentence"));
        b.inputs = fields.get("inputs").and_then(|n| self.inputs(n));
        b.permissions = fields.get("permissions").map(|n| self.permissions(n)).unwrap_or_default();
        self.known.secrets = b.permissions.secrets.iter().cloned().collect();
        self.known.inputs = b.inputs.clone();
        b.flow = fields.get("flow").map(|n| self.flow(n)).unwrap_or_default();
        if b.flow.batch.is_some() {
            // What a start is given is one item of what the steps see.
            self.known.inputs = Some(super::flow::gathered(b.inputs.clone()));
        }
        b.on = fields.get("on").map(|n| self.triggers(n)).unwrap_or_default();
        b.dependencies = fields.get("dependencies").map(|n| self.dependencies(n)).unwrap_or_default();
        b.limits = fields.get("limits").map(|n| self.limits(n)).unwrap_or_default();
        b.runs_on = fields.get("runs_on").map(|n| self.labels(n)).unwrap_or_default();
        b.timeout = fields.get("timeout").and_then(|n| self.positive_span(n));
        b.retention = fields.get("retention").map(|n| self.retention(n)).unwrap_or_default();
        let restarts = [("never", Restart::Never), ("on_failure", Restart::OnFailure), ("always", Restart::Always)];
        b.restart = fields.get("restart").and_then(|n| self.choice(n, &restarts)).unwrap_or_default();
        b.health = fields.get("health").map(|n| self.health(n));
        b.native = fields.get("native").and_then(|n| self.native(n));
        match fields.get("steps") {
            Some(node) if fields.get("native").is_some() => {
                self.error(node, "a bot is a native function or has steps, not both", Some(NATIVE_ALONE.to_owned()));
            }
            Some(node) => b.steps = self.all_steps(node),
            None if fields.get("native").is_some() => {}
            None => self.missing(root, "steps", "steps:\n  - use: log.write\n    with: {message: hello}"),
        }
        if let Some(node) = fields.get("flow").filter(|_| b.flow.batch.is_some()) {
            self.batch_ends(node, &b.steps);
        }
        if let Some(node) = fields.get("output").filter(|n| !matches!(n.data, Data::Null)) {
            if fields.get("native").is_some() {
                self.error(node, "the output of a native function is what it returns", Some(NATIVE_ALONE.to_owned()));
            }
            self.template(node, &crate::blueprint::read::expressions::Place::OUTPUT);
            b.output = Some(node.to_json());
        }
        b
    }

    fn version(&mut self, root: &Node, version: Option<&Node>) {
        let Some(node) = version else {
            return self.missing(root, "codex32", "codex32: v1");
        };
        if !matches!(&node.data, Data::Text(text, _) if text == FORMAT) {
            self.error(node, "this version of the format is not known", Some(format!("write `codex32: {FORMAT}`")));
        }
    }

    /// Reports that a key of the whole document is missing.
    fn missing(&mut self, root: &Node, key: &str, example: &str) {
        let example = example.lines().next().unwrap_or(example);
        let message = format!("the key `{key}` is missing");
        let place = crate::blueprint::tree::Place { length: 1, ..root.first_place() };
        self.report(Diagnostic::error(pointer(&root.link), message).hint(format!("add `{example}`")), place);
    }

    fn inputs(&mut self, node: &Node) -> Option<Value> {
        if matches!(node.data, Data::Null) {
            return None;
        }
        if !matches!(node.data, Data::Map(_)) {
            self.wrong(node, "a JSON Schema of an object", None);
            return None;
        }
        let schema = node.to_json();
        let is_object = schema.get("type").is_none_or(|t| t == "object");
        if !is_object {
            let hint = "write `type: object` and describe the fields below `properties:`";
            self.error(node, "the input of a bot is an object", Some(hint.to_owned()));
        }
        if schema.get("type").is_none() && schema.get("properties").is_none() {
            let keys: Vec<&str> = schema.as_object().into_iter().flatten().map(|(k, _)| k.as_str()).collect();
            if !keys.is_empty() && !keys.iter().any(|k| SCHEMA_WORDS.contains(k)) {
                let hint = format!("put {} below `properties:`", listing(&keys[..keys.len().min(3)]));
                self.error(node, "this is not a JSON Schema", Some(hint));
            }
        }
        Some(schema)
    }

    fn permissions(&mut self, node: &Node) -> Permissions {
        let mut permissions = Permissions::default();
        let Some(fields) = self.fields(node, "`permissions`", &["network", "secrets", "files"]) else {
            return permissions;
        };
        if let Some(list) = fields.get("network") {
            for item in self.items(list, "a list of hosts") {
                if let Some(host) = self.filled(item, "a host") {
                    self.host(item, &host);
                    permissions.network.push(host);
                }
            }
        }
        if let Some(list) = fields.get("secrets") {
            for item in self.items(list, "a list of names of secrets") {
                if let Some(name) = self.filled(item, "the name of a secret") {
                    self.secret_name(item, &name);
                    permissions.secrets.push(name);
                }
            }
        }
        if let Some(list) = fields.get("files") {
            for item in self.items(list, "a list of folders and files") {
                if let Some(path) = self.filled(item, "a path") {
                    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
                        let hint = "begin with `/` and leave out `..`".to_owned();
                        self.error(item, "the path must be absolute", Some(hint));
                    }
                    permissions.files.push(path);
                }
            }
        }
        permissions
    }

    fn host(&mut self, node: &Node, host: &str) {
        let bare = host.strip_prefix("*.").unwrap_or(host);
        let hint = if host.contains("://") || host.contains('/') {
            let name = host.split("://").last().and_then(|h| h.split('/').next()).unwrap_or("");
            Some(format!("write only the host: `{name}`"))
        } else if bare.is_empty() || bare == "*" || host == "*" {
            Some("name each host; `*.example.com` stands for all below one".to_owned())
        } else if bare.contains(|c: char| c.is_whitespace() || matches!(c, '*' | '@' | '?' | '#' | ',')) {
            Some("write `host`, `host:port` or `*.domain`".to_owned())
        } else {
            None
        };
        if let Some(hint) = hint {
            self.error(node, "this is not a host", Some(hint));
        }
    }

    /// Checks the name of a secret.
    pub(super) fn secret_name(&mut self, node: &Node, name: &str) {
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first || name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = "the name of a secret is made of letters, digits and `_`, up to 64 of them";
            self.error(node, message, None);
        }
    }

    fn dependencies(&mut self, node: &Node) -> Dependencies {
        let mut dependencies = Dependencies::default();
        let Some(fields) = self.fields(node, "`dependencies`", &["pip", "npm"]) else { return dependencies };
        if let Some(list) = fields.get("pip") {
            dependencies.pip = self.pinned(list, "==", "requests==2.32.0");
        }
        if let Some(list) = fields.get("npm") {
            dependencies.npm = self.pinned(list, "@", "left-pad@1.3.0");
        }
        dependencies
    }

    fn pinned(&mut self, list: &Node, mark: &str, example: &str) -> Vec<String> {
        let mut packages = Vec::new();
        for item in self.items(list, "a list of packages") {
            let Some(package) = self.filled(item, "a package") else { continue };
            // A scope (`@scope/name@1.0.0`) begins with the mark too.
            let pinned = package.rsplit_once(mark).is_some_and(|(name, version)| {
                let version_like = version.starts_with(|c: char| c.is_ascii_digit())
                    && version.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '!' | '_'));
                let name_like = |c: char| c.is_ascii_alphanumeric() || "-_.@/[],".contains(c);
                !name.is_empty() && !name.starts_with('-') && name.chars().all(name_like) && version_like
            });
            if !pinned {
                self.error(item, "a package needs its exact version", Some(format!("write it like `{example}`")));
            }
            packages.push(package);
        }
        packages
    }

    fn limits(&mut self, node: &Node) -> Limits {
        let mut limits = Limits::default();
        let Some(fields) = self.fields(node, "`limits`", &["memory", "cpu", "processes", "output"]) else {
            return limits;
        };
        limits.memory = fields.get("memory").and_then(|n| self.bytes(n));
        limits.cpu = fields.get("cpu").and_then(|n| self.positive_span(n));
        limits.processes = fields.get("processes").and_then(|n| self.count(n, 1, 4_096));
        limits.output = fields.get("output").and_then(|n| self.bytes(n));
        limits
    }

    fn retention(&mut self, node: &Node) -> Retention {
        let mut retention = Retention::default();
        let Some(fields) = self.fields(node, "`retention`", &["age", "count", "archive"]) else { return retention };
        retention.age = fields.get("age").and_then(|n| self.positive_span(n));
        retention.count = fields.get("count").and_then(|n| self.count(n, 1, MAX_KEPT));
        retention.unarchived = fields.get("archive").and_then(|n| self.boolean(n)) == Some(false);
        retention
    }

    fn labels(&mut self, node: &Node) -> Vec<String> {
        let mut labels = Vec::new();
        // `runs_on: gpu` is as clear as a list of one.
        let items = if matches!(node.data, Data::Text(..)) {
            std::slice::from_ref(node)
        } else {
            self.items(node, "a list of labels")
        };
        for item in items {
            let Some(label) = self.filled(item, "a label") else { continue };
            if !is_label(&label) {
                let hint = "lower-case letters, digits, `-`, `_` and `.`, such as `gpu` or `region.eu`";
                self.error(item, "this is not a label", Some(hint.to_owned()));
            } else if labels.contains(&label) {
                self.error(item, "the label stands here twice", None);
            }
            labels.push(label);
        }
        if labels.len() > MAX_LABELS {
            self.error(node, format!("a bot asks for at most {MAX_LABELS} labels"), None);
        }
        labels
    }

    fn native(&mut self, node: &Node) -> Option<Native> {
        if matches!(node.data, Data::Text(..)) {
            return Some(Native { function: self.bot_name(node)?, revision: None });
        }
        let fields = self.fields(node, "`native`", &["function", "revision"])?;
        let revision = fields.get("revision").filter(|n| !matches!(n.data, Data::Null));
        let revision = revision.and_then(|n| {
            let text = self.text(n, "a revision")?;
            if !is_label(&text) {
                let hint = "lower-case letters, digits, `-`, `_` and `.`, such as `2` or `2026-05`";
                self.error(n, "this is not a revision", Some(hint.to_owned()));
            }
            Some(text)
        });
        let Some(function) = fields.get("function") else {
            self.error(node, "the name of the function is missing", Some("add `function: order`".to_owned()));
            return None;
        };
        Some(Native { function: self.bot_name(function)?, revision })
    }

    fn health(&mut self, node: &Node) -> Health {
        let mut health = Health { succeeded_within: None, failures: 3 };
        let Some(fields) = self.fields(node, "`health`", &["succeeded_within", "failures"]) else { return health };
        health.succeeded_within = fields.get("succeeded_within").and_then(|n| self.positive_span(n));
        health.failures = fields.get("failures").and_then(|n| self.count(n, 1, 1_000)).unwrap_or(3);
        health
    }
}

/// What to do about steps or an output beside a native function.
const NATIVE_ALONE: &str = "leave it out, or leave out `native`";

/// Labels that a bot can ask for.
const MAX_LABELS: usize = 8;

/// Whether a worker can have this label: up to 63 lower-case letters, digits, `-`, `_`
/// and `.`, the first and the last a letter or digit.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    text.len() <= 63 && end(text.chars().next()) && end(text.chars().last()) && text.chars().all(inner)
}

/// Words that show a map to be a JSON Schema.
const SCHEMA_WORDS: &[&str] = &[
    "$schema",
    "$ref",
    "$defs",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "required",
    "additionalProperties",
    "description",
    "title",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "examples",
    "default",
];

/// A blueprint without anything in it.
fn empty() -> Blueprint {
    Blueprint {
        name: String::new(),
        description: None,
        on: Vec::new(),
        inputs: None,
        permissions: Permissions::default(),
        dependencies: Dependencies::default(),
        limits: Limits::default(),
        runs_on: Vec::new(),
        flow: Flow::default(),
        native: None,
        timeout: None,
        retention: Retention::default(),
        restart: Restart::default(),
        health: None,
        steps: Vec::new(),
        output: None,
    }
}
