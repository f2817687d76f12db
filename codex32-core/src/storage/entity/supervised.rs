//! Table `supervised`.

use sea_orm::entity::prelude::*;

/// A deployment that the supervisor watches.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "supervised")]
pub struct Model {
    /// The deployment.
    #[sea_orm(primary_key, auto_increment = false)]
    pub deployment_id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The bot.
    pub bot_id: Uuid,
    /// Its name.
    pub bot_name: String,
    /// The version.
    pub version_id: Uuid,
    /// Its environment.
    pub environment: String,
    /// `never`, `on_failure` or `always`.
    pub restart: String,
    /// Failures in a row that open an incident.
    pub max_failures: i32,
    /// Milliseconds within which it must have succeeded.
    pub succeed_within: Option<i64>,
    /// `idle`, `starting`, `running`, `done` or `stopping`.
    pub state: String,
    /// `unknown`, `healthy` or `unhealthy`.
    pub health: String,
    /// The execution that is kept running.
    pub execution_id: Option<Uuid>,
    /// How often it was started.
    pub run: i32,
    /// Restarts in a row without a healthy run between them.
    pub backoffs: i32,
    /// When that execution was started, UTC milliseconds.
    pub started_at: Option<i64>,
    /// When the supervisor looks at it next, UTC milliseconds.
    pub look_at: Option<i64>,
    /// When it counts as overdue unless it succeeds before, UTC milliseconds.
    pub overdue_at: Option<i64>,
    /// Failures in a row.
    pub failures: i32,
    /// UTC milliseconds.
    pub last_success: Option<i64>,
    /// Its open incident.
    pub incident_id: Option<Uuid>,
    /// Only events after this one count.
    pub after_seq: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
