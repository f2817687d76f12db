//! Table `triggers`.

use sea_orm::entity::prelude::*;

/// One trigger of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "triggers")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The bot.
    pub bot_id: Uuid,
    /// Its name.
    pub bot_name: String,
    /// The version.
    pub version_id: Uuid,
    /// The deployment.
    pub deployment_id: Uuid,
    /// Its environment.
    pub environment: String,
    /// Place in the blueprint's `on`, from 0.
    pub position: i32,
    /// `schedule`, `webhook`, `event`, `bot` or `poll`.
    pub kind: String,
    /// JSON of the trigger's settings.
    pub spec: String,
    /// IANA zone of a schedule.
    pub timezone: String,
    /// Whether its deployment is in place; a row that is not keeps its cursor for the next one.
    pub active: bool,
    /// Whether people want it to fire.
    pub enabled: bool,
    /// Path of a webhook, while armed.
    pub path: Option<String>,
    /// Event name or bot name that it listens to, while armed.
    pub topic: Option<String>,
    /// Only events after this one count.
    pub after_seq: i64,
    /// When it is due next, UTC milliseconds.
    pub next_due: Option<i64>,
    /// When the dispatcher looks at it next: `next_due` with jitter or backoff.
    pub wake_at: Option<i64>,
    /// JSON of a poll's cursor.
    pub cursor: Option<String>,
    /// Whoever polls it now.
    pub lease: Option<Uuid>,
    /// When that poll counts as lost, UTC milliseconds.
    pub lease_until: Option<i64>,
    /// Failures in a row.
    pub failures: i32,
    /// What went wrong last, until it fires well again.
    pub last_error: Option<String>,
    /// When it last started an execution, UTC milliseconds.
    pub last_fired: Option<i64>,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
