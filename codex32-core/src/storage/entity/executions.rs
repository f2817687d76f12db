//! Table `executions`.

use sea_orm::entity::prelude::*;

/// One run of a bot version: where it stands now. What happened is in its journal.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "executions")]
pub struct Model {
    /// Identity; sorts by creation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// Its bot.
    pub bot_id: Uuid,
    /// The bot's name when it was started.
    pub bot_name: String,
    /// The version that it runs from start to end.
    pub version_id: Uuid,
    /// The deployment that started it, where one did.
    pub deployment_id: Option<Uuid>,
    /// `dev`, `staging`, `prod`.
    pub environment: String,
    /// `held`, `queued`, `running`, `waiting`, `paused`, `succeeded`, `failed`, `cancelled`.
    pub status: String,
    /// JSON.
    pub input: String,
    /// JSON, once it has succeeded.
    pub output: Option<String>,
    /// JSON, once it has failed or was cancelled.
    pub error: Option<String>,
    /// JSON: what started it.
    pub trigger: String,
    /// Who started it, for people.
    pub caller: String,
    /// The execution that called it.
    pub parent_id: Option<Uuid>,
    /// The step that called it.
    pub parent_path: Option<String>,
    /// Whether the parent is told of its end.
    pub parent_waits: bool,
    /// How many callers stand above it.
    pub depth: i32,
    /// The execution that it takes up again.
    pub retry_of: Option<Uuid>,
    /// The execution that it goes on from.
    pub continues: Option<Uuid>,
    /// The execution that goes on from it.
    pub continued_as: Option<Uuid>,
    /// Unique for the bot: a second start with it finds the first.
    pub idempotency_key: Option<String>,
    /// UTC milliseconds.
    pub created_at: i64,
    /// When it was first driven, UTC milliseconds.
    pub started_at: Option<i64>,
    /// UTC milliseconds.
    pub finished_at: Option<i64>,
    /// Number of the last journal entry or log line.
    pub last_seq: i64,
    /// Rows of `signals` for it that were not taken yet.
    pub signals_pending: i64,
    /// The executor that drives it.
    pub lease_owner: Option<Uuid>,
    /// Counts the claims; who writes with an older one is refused.
    pub lease_token: i64,
    /// When the lease ends, UTC milliseconds.
    pub lease_until: Option<i64>,
    /// Labels that who drives it must have, each between commas; empty: anyone.
    pub runs_on: String,
    /// Of what is ready in a workspace, the higher is taken first.
    pub priority: i32,
    /// Whether it has a row in `flow_tickets`, which ends with it.
    pub flow: bool,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
