//! The operation table: each thing a caller can ask of the engine, defined once.
//!
//! An [`Operation`] has a name, a route, a permission, an input and an output type
//! and a body of a few lines that calls its room. Everything else is derived:
//! REST and OpenAPI ([`openapi`]), the command line, MCP tools, the Python and
//! TypeScript clients ([`emit`]) and the reference. To add one, write it in the
//! file of its group and list it in [`OPERATIONS`]; a parity test does the rest.
//!
//! Invariants: an operation never sees a caller without its permission, nor an
//! input that does not satisfy its schema ([`call`]); its types fit the small form
//! of [`shape`]; no frontend knows an operation by name except to give it a
//! shortcut or a nicer print.

pub mod call;
pub mod door;
pub mod emit;
pub mod erased;
pub mod openapi;
pub mod operation;
pub mod schema;
pub mod shape;

pub mod auth;
pub mod bots;
pub mod builder;
pub mod connectors;
pub mod dashboard;
pub mod deployments;
pub mod executions;
pub mod flow;
pub mod guide;
pub mod incidents;
pub mod introspect;
pub mod secrets;
pub mod system;
pub mod triggers;
pub mod versions;
pub mod wire;
pub mod workers;

pub use call::{Table, find, table};
pub use erased::{Erased, ValueStream};
pub use operation::{Kind, Meta, Method, Operation, Raw, StreamOperation, Surface};

use erased::{Streaming, Unary};

macro_rules! table {
    ($($wrapper:ident $group:ident :: $operation:ident),* $(,)?) => {
        &[$(&$wrapper::<$group::$operation>::new() as &dyn Erased),*]
    };
}

/// Every operation, in the order of the documentation.
pub static OPERATIONS: &[&dyn Erased] = table![
    Unary auth::Whoami,
    Unary auth::Login,
    Unary auth::Logout,
    Unary auth::SetPassword,
    Unary auth::ListTokens,
    Unary auth::CreateToken,
    Unary auth::RevokeToken,
    Unary auth::ListMembers,
    Unary auth::AddMember,
    Unary auth::SetRole,
    Unary auth::RemoveMember,
    Unary auth::GetWorkspace,
    Unary auth::UpdateWorkspace,
    Unary auth::ListWorkspaces,
    Unary auth::CreateWorkspace,
    Unary auth::ListAudit,
    Unary bots::List,
    Unary bots::Create,
    Unary bots::Get,
    Unary bots::Validate,
    Unary flow::Show,
    Unary bots::Stop,
    Unary bots::StartAgain,
    Streaming bots::Logs,
    Unary bots::Delete,
    Unary bots::Restore,
    Unary bots::Purge,
    Unary bots::Export,
    Unary bots::Import,
    Unary bots::Plan,
    Unary bots::Apply,
    Unary versions::List,
    Unary versions::Get,
    Unary versions::Create,
    Unary versions::Diff,
    Unary versions::Rollback,
    Unary deployments::Create,
    Unary deployments::List,
    Unary executions::Start,
    Unary executions::List,
    Unary executions::Get,
    Unary executions::Cancel,
    Unary executions::Pause,
    Unary executions::Resume,
    Unary executions::Retry,
    Unary executions::Fork,
    Unary executions::Replay,
    Unary executions::Migrate,
    Unary executions::Signal,
    Unary executions::Approvals,
    Unary executions::Approve,
    Unary executions::Logs,
    Unary executions::Journal,
    Streaming executions::Watch,
    Unary triggers::List,
    Unary triggers::Get,
    Unary triggers::SetEnabled,
    Unary builder::MakeDraft,
    Unary builder::Make,
    Unary builder::Explain,
    Unary builder::ReadSchedule,
    Unary secrets::List,
    Unary secrets::Set,
    Unary secrets::Delete,
    Unary connectors::List,
    Unary connectors::Get,
    Unary connectors::Call,
    Unary connectors::ListConnections,
    Unary connectors::SetConnection,
    Unary connectors::DeleteConnection,
    Unary incidents::List,
    Unary incidents::Get,
    Unary incidents::Acknowledge,
    Unary incidents::Close,
    Unary dashboard::Figures,
    Unary guide::List,
    Unary guide::Get,
    Unary system::Health,
    Unary system::Ready,
    Unary system::Version,
    Unary system::Metrics,
    Streaming system::Events,
    Unary system::Publish,
    Unary workers::List,
    Unary introspect::Operations,
    Unary introspect::ShowConfig,
    Unary introspect::State,
];
