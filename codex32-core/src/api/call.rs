//! The one place through which every call passes, whatever the frontend: who, may
//! they, how often, does the input fit, then the operation, then the audit entry.

use super::erased::{Erased, ValueStream};
use super::operation::{Kind, Meta};
use crate::access::{Caller, Role};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::id::WorkspaceId;
use serde_json::Value;
use std::sync::LazyLock;
use std::time::Instant;
use tracing::Instrument;

/// The table with everything that is derived from it once.
pub struct Table {
    /// Operations in order.
    pub operations: &'static [&'static dyn Erased],
    /// Their schemas.
    pub schemas: super::schema::Schemas,
    /// Their shapes.
    pub shapes: super::shape::Shapes,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("operations", &self.operations.len()).finish_non_exhaustive()
    }
}

static TABLE: LazyLock<Result<Table>> = LazyLock::new(|| {
    let schemas = super::schema::Schemas::of(super::OPERATIONS)?;
    let shapes = super::shape::Shapes::of(super::OPERATIONS, &schemas)?;
    Ok(Table { operations: super::OPERATIONS, schemas, shapes })
});

/// The operation table.
///
/// # Errors
/// `internal` where the table contradicts itself; a test proves that it does not.
pub fn table() -> Result<&'static Table> {
    TABLE.as_ref().map_err(Clone::clone)
}

/// The operation called `name`.
///
/// # Errors
/// `not_found`.
pub fn find(name: &str) -> Result<&'static dyn Erased> {
    super::OPERATIONS.iter().copied().find(|operation| operation.meta().name == name).ok_or_else(|| {
        let near = super::OPERATIONS
            .iter()
            .map(|o| o.meta().name)
            .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let error = Error::not_found("operation", name);
        near.map_or(error.clone(), |near| error.hint(format!("did you mean {near}?")))
    })
}

impl Engine {
    /// Performs the operation `name` for `caller` with `input`, an object.
    ///
    /// This is the whole of what a frontend needs besides [`Engine::open_stream`].
    ///
    /// # Errors
    /// Those of the operation, and `unauthenticated`, `forbidden`, `rate_limited`, `invalid`.
    pub async fn call(&self, caller: Option<&Caller>, name: &str, input: Value) -> Result<Value> {
        let operation = find(name)?;
        let meta = operation.meta();
        let span = span(meta, caller);
        async {
            let begun = Instant::now();
            let subject = subject(meta, &input);
            if meta.drives {
                self.drive_for_caller().await;
            }
            let outcome = match self.admit(caller, meta, &input) {
                Ok(()) => operation.call(self, caller.unwrap_or(&ANONYMOUS), input).await,
                Err(error) => Err(error),
            };
            let outcome = match outcome {
                Err(error) => Err(self.public_error(caller, error).await),
                ok => ok,
            };
            self.observe_call(meta, begun, outcome.as_ref().err());
            self.audit_call(caller, meta, &subject, outcome.as_ref().err()).await?;
            outcome
        }
        .instrument(span)
        .await
    }

    /// Begins the stream `name` for `caller` with `input`, an object.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub async fn open_stream(&self, caller: Option<&Caller>, name: &str, input: Value) -> Result<ValueStream> {
        let operation = find(name)?;
        let meta = operation.meta();
        async {
            self.admit(caller, meta, &input)?;
            if meta.drives {
                self.drive_for_caller().await;
            }
            match operation.open(self, caller.unwrap_or(&ANONYMOUS), input).await {
                Err(error) => Err(self.public_error(caller, error).await),
                ok => ok,
            }
        }
        .instrument(span(meta, caller))
        .await
    }

    fn admit(&self, caller: Option<&Caller>, meta: &Meta, input: &Value) -> Result<()> {
        self.rate(caller)?;
        if meta.authenticated {
            let Some(caller) = caller else {
                return Err(Error::new(Code::Unauthenticated, "this needs a token")
                    .hint("send `Authorization: Bearer c32_...`, or set CODEX32_TOKEN"));
            };
            if let Some(permission) = meta.permission {
                caller.require(permission)?;
            }
        }
        let input = super::schema::normalise(input.clone());
        table()?.schemas.check(meta.name, &input)
    }

    /// An error as it may leave the engine: redacted, and without its inside.
    async fn public_error(&self, caller: Option<&Caller>, error: Error) -> Error {
        if error.code() == Code::Internal {
            tracing::error!(error = %error.message(), "operation failed inside");
        }
        self.redact_error(caller, error).await
    }

    fn observe_call(&self, meta: &Meta, begun: Instant, error: Option<&Error>) {
        let code = error.map_or("ok", |e| e.code().as_str());
        metrics::counter!("codex32_operations_total", "operation" => meta.name, "code" => code).increment(1);
        metrics::histogram!("codex32_operation_seconds", "operation" => meta.name)
            .record(begun.elapsed().as_secs_f64());
    }

    /// Writes leave an entry, done or refused; reads only where they were refused.
    async fn audit_call(
        &self,
        caller: Option<&Caller>,
        meta: &Meta,
        subject: &str,
        error: Option<&Error>,
    ) -> Result<()> {
        let refused = error.is_some_and(|e| e.code() == Code::Forbidden);
        let Some(caller) = caller.filter(|_| meta.kind == Kind::Write || refused) else { return Ok(()) };
        let outcome = error.map_or("ok", |e| e.code().as_str());
        self.audit(caller, meta.name, subject, outcome).await
    }
}

fn span(meta: &Meta, caller: Option<&Caller>) -> tracing::Span {
    let caller = caller.unwrap_or(&ANONYMOUS);
    tracing::info_span!("operation", name = meta.name, workspace = %caller.workspace, caller = %caller.name)
}

/// Who calls where nobody is known: in no workspace, without any permission. Only
/// operations that are open to everyone ever see it.
static ANONYMOUS: LazyLock<Caller> = LazyLock::new(|| Caller {
    workspace: WorkspaceId(uuid::Uuid::nil()),
    workspace_slug: String::new(),
    home: false,
    user: None,
    name: "anonymous".to_owned(),
    email: String::new(),
    role: Role::Viewer,
    scopes: Some(std::collections::BTreeSet::new()),
    token: None,
});

/// What an audit entry names: the path fields of the input, else its `name`.
fn subject(meta: &Meta, input: &Value) -> String {
    let fields = meta.path_fields();
    let fields = if fields.is_empty() { vec!["name"] } else { fields };
    let parts: Vec<&str> = fields.into_iter().filter_map(|field| input.get(field).and_then(Value::as_str)).collect();
    parts.join("/")
}
