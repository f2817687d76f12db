//! How many executions of a bot go at a time, and when: the block `flow` of a blueprint.
//!
//! Each rule may have a `key`, a CEL expression over `input` and `trigger`: then it counts
//! for each value by itself. `docs/flow.md` says what each of them does.

use super::types::Span;

/// When executions of a bot begin, and which do not. Every part is optional.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flow {
    /// How many go at the same time; the others wait.
    pub concurrency: Option<Concurrency>,
    /// How many may be started in a time; the others are refused.
    pub rate: Option<Pace>,
    /// How many begin in a time; the others wait.
    pub throttle: Option<Pace>,
    /// Of starts that follow closely only the last counts.
    pub debounce: Option<Debounce>,
    /// Starts are gathered and made one execution.
    pub batch: Option<Gather>,
    /// CEL that yields a number, -1,000 to 1,000: the higher goes first. 0 by default.
    pub priority: Option<String>,
    /// At most one that is not over.
    pub singleton: Option<Singleton>,
    /// The same start twice within a time is one.
    pub idempotency: Option<Idempotency>,
    /// What has not begun by then is cancelled.
    pub start_within: Option<Span>,
}

impl Flow {
    /// Whether it says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Flow::default()
    }
}

/// `concurrency: {limit: 5, key: input.customer}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// At the same time.
    pub limit: u32,
    /// CEL; without it there is one count for the bot.
    pub key: Option<String>,
}

/// `rate: {limit: 100, per: 1m, key: input.customer}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// At most so many in the time, and so many at once.
    pub limit: u32,
    /// The time.
    pub per: Span,
    /// CEL; without it there is one count for the bot.
    pub key: Option<String>,
}

/// `debounce: {wait: 10s, at_most: 5m, key: input.document}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debounce {
    /// It begins when no other start came for so long.
    pub wait: Span,
    /// It begins at the latest so long after the first start.
    pub at_most: Option<Span>,
    /// CEL; without it all starts of the bot follow each other.
    pub key: Option<String>,
}

/// `batch: {size: 100, wait: 30s, key: input.account}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// It begins with so many.
    pub size: u32,
    /// It begins at the latest so long after the first.
    pub wait: Span,
    /// CEL; without it all starts of the bot are gathered together.
    pub key: Option<String>,
}

/// `singleton: {key: input.account, on_conflict: cancel}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Singleton {
    /// CEL; without it there is one execution of the bot.
    pub key: Option<String>,
    /// What a start does while there is one.
    pub on_conflict: OnConflict,
}

/// What a start does while there is an execution that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// It starts nothing.
    #[default]
    Skip,
    /// It cancels the older one and begins when that is over.
    Cancel,
}

/// `idempotency: {key: input.order, window: 24h}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// CEL.
    pub key: String,
    /// How long after the first start others of its key give the first execution.
    pub window: Span,
}
