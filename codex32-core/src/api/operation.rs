//! What an operation is: its metadata, and the traits that give it types and a body.

use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::{Code, Result};
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;

/// Whether an operation reads, changes something, or goes on giving items.
///
/// Independent of the HTTP method: a draft is a read, and a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Changes nothing.
    Read,
    /// Changes something; leaves an audit entry.
    Write,
    /// Gives items until it ends or the caller goes away.
    Stream,
}

/// HTTP method of an operation's route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Input comes from path and query.
    Get,
    /// Input comes from path and JSON body.
    Post,
    /// Input comes from path and JSON body.
    Put,
    /// Input comes from path and JSON body.
    Patch,
    /// Input comes from path and query.
    Delete,
}

impl Method {
    /// The method as it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
    /// Whether the input that is not in the path comes as a JSON body.
    #[must_use]
    pub const fn has_body(self) -> bool {
        matches!(self, Method::Post | Method::Put | Method::Patch)
    }
}

/// A file that an operation takes or gives. In JSON it is base64 text in one
/// field; over REST it is the body itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Raw {
    /// The field of the input or output.
    pub field: &'static str,
    /// Its media type.
    pub media: &'static str,
    /// Most bytes taken.
    pub limit: usize,
}

/// A place where operations are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// HTTP under `/api/v1`, and its OpenAPI document.
    Rest,
    /// The `codex32` command.
    Cli,
    /// Tools for AI assistants.
    Mcp,
    /// The Python package.
    Python,
    /// The Node package.
    Node,
}

impl Surface {
    /// All of them.
    pub const ALL: [Surface; 5] = [Surface::Rest, Surface::Cli, Surface::Mcp, Surface::Python, Surface::Node];
}

/// Everything that frontends need to know of an operation besides its types.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Meta {
    /// `group.verb`, with dots only.
    pub name: &'static str,
    /// Reads, writes or streams.
    pub kind: Kind,
    /// HTTP method.
    pub method: Method,
    /// HTTP path below `/api/v1`, with `{field}` for input fields.
    pub path: &'static str,
    /// What the caller must be allowed to do; `None` for everyone, even unauthenticated.
    pub permission: Option<Permission>,
    /// Whether a caller must be known, though no particular permission is needed.
    pub authenticated: bool,
    /// HTTP status of success.
    pub status: u16,
    /// One line for lists: an imperative sentence.
    pub summary: &'static str,
    /// More for those who ask.
    pub description: &'static str,
    /// An input that works, as JSON text.
    pub example: &'static str,
    /// A file in the input.
    pub raw_input: Option<Raw>,
    /// A file in the output.
    pub raw_output: Option<Raw>,
    /// Whether doing it twice equals doing it once.
    pub idempotent: bool,
    /// Whether it removes what cannot be brought back easily.
    pub destructive: bool,
    /// Error codes beyond `invalid`, `unauthenticated`, `forbidden` and `internal`.
    pub errors: &'static [Code],
    /// Whether it takes `cursor` and `limit` and gives a page.
    pub paged: bool,
    /// Of a stream: the input field that says after which item to go on.
    pub resume: Option<&'static str>,
    /// Input fields that are positional arguments on the command line, in order
    /// (by default those of the path).
    pub positional: &'static [&'static str],
    /// A short command of its own (`codex32 ps`).
    pub alias: Option<&'static str>,
    /// Whether executions must be driven in this process for it to come to its end.
    pub drives: bool,
    /// Surfaces where it is not offered, each with its reason in the description.
    pub hidden: &'static [Surface],
    /// Version that brought it.
    pub since: &'static str,
    /// What to use instead, where it is on its way out.
    pub deprecated: Option<&'static str>,
}

impl Meta {
    const fn new(kind: Kind, name: &'static str, method: Method, path: &'static str, summary: &'static str) -> Meta {
        Meta {
            name,
            kind,
            method,
            path,
            permission: None,
            authenticated: true,
            status: 200,
            summary,
            description: "",
            example: "{}",
            raw_input: None,
            raw_output: None,
            idempotent: !matches!(kind, Kind::Write) || matches!(method, Method::Put | Method::Delete),
            destructive: matches!(method, Method::Delete),
            errors: &[],
            paged: false,
            resume: None,
            positional: &[],
            alias: None,
            drives: false,
            hidden: &[],
            since: "0.1",
            deprecated: None,
        }
    }
    /// A read.
    #[must_use]
    pub const fn read(name: &'static str, method: Method, path: &'static str, summary: &'static str) -> Meta {
        Self::new(Kind::Read, name, method, path, summary)
    }
    /// A write.
    #[must_use]
    pub const fn write(name: &'static str, method: Method, path: &'static str, summary: &'static str) -> Meta {
        Self::new(Kind::Write, name, method, path, summary)
    }
    /// A stream; over REST server-sent events.
    #[must_use]
    pub const fn stream(name: &'static str, path: &'static str, summary: &'static str) -> Meta {
        Self::new(Kind::Stream, name, Method::Get, path, summary)
    }
    /// Needs this permission.
    #[must_use]
    pub const fn needs(mut self, permission: Permission) -> Meta {
        self.permission = Some(permission);
        self
    }
    /// Open to everyone.
    #[must_use]
    pub const fn public(mut self) -> Meta {
        self.authenticated = false;
        self
    }
    /// Success is this status.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Meta {
        self.status = status;
        self
    }
    /// Longer description.
    #[must_use]
    pub const fn describe(mut self, description: &'static str) -> Meta {
        self.description = description;
        self
    }
    /// Example input, JSON text.
    #[must_use]
    pub const fn example(mut self, example: &'static str) -> Meta {
        self.example = example;
        self
    }
    /// Takes a file.
    #[must_use]
    pub const fn takes(mut self, raw: Raw) -> Meta {
        self.raw_input = Some(raw);
        self
    }
    /// Gives a file.
    #[must_use]
    pub const fn gives(mut self, raw: Raw) -> Meta {
        self.raw_output = Some(raw);
        self
    }
    /// Doing it twice equals doing it once.
    #[must_use]
    pub const fn idempotent(mut self) -> Meta {
        self.idempotent = true;
        self
    }
    /// It removes what cannot be brought back easily.
    #[must_use]
    pub const fn destructive(mut self) -> Meta {
        self.destructive = true;
        self
    }
    /// Further error codes.
    #[must_use]
    pub const fn errors(mut self, errors: &'static [Code]) -> Meta {
        self.errors = errors;
        self
    }
    /// Takes `cursor` and `limit`, gives a page.
    #[must_use]
    pub const fn paged(mut self) -> Meta {
        self.paged = true;
        self
    }
    /// A stream that goes on after the item named by this field.
    #[must_use]
    pub const fn resume(mut self, field: &'static str) -> Meta {
        self.resume = Some(field);
        self
    }
    /// Positional arguments on the command line.
    #[must_use]
    pub const fn positional(mut self, fields: &'static [&'static str]) -> Meta {
        self.positional = fields;
        self
    }
    /// A short command of its own.
    #[must_use]
    pub const fn alias(mut self, alias: &'static str) -> Meta {
        self.alias = Some(alias);
        self
    }
    /// An embedded engine drives executions for it, even where nothing else was started.
    #[must_use]
    pub const fn drives(mut self) -> Meta {
        self.drives = true;
        self
    }
    /// Not offered there.
    #[must_use]
    pub const fn hide(mut self, hidden: &'static [Surface]) -> Meta {
        self.hidden = hidden;
        self
    }
    /// The part of the name before the last dot.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(group, _)| group)
    }
    /// The part of the name after the group.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, verb)| verb)
    }
    /// The `{field}` names of the path, in order.
    #[must_use]
    pub fn path_fields(&self) -> Vec<&'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
    }
    /// Whether it is offered on `surface`.
    #[must_use]
    pub fn offered_on(&self, surface: Surface) -> bool {
        !self.hidden.contains(&surface)
    }
}

/// One thing a caller can ask of the engine.
///
/// Permission, validation, limits, audit and tracing are around `run`, in one
/// place (`api::call`); an operation only calls its room.
pub trait Operation: Send + Sync + 'static {
    /// Name, route, permission and the rest.
    const META: Meta;
    /// What it takes: an object.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// What it gives: an object.
    type Output: Serialize + JsonSchema + Send;
    /// Does it.
    fn run(engine: &Engine, caller: &Caller, input: Self::Input) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// An operation that goes on giving items.
pub trait StreamOperation: Send + Sync + 'static {
    /// Name, route, permission and the rest.
    const META: Meta;
    /// What it takes: an object.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// What each item is: an object.
    type Item: Serialize + JsonSchema + Send + 'static;
    /// Begins it.
    fn open(
        engine: &Engine,
        caller: &Caller,
        input: Self::Input,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<Self::Item>>>> + Send;
}
