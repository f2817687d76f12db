//! Triggers: what starts the bots of active deployments.
//!
//! - [`arm`] and [`disarm`] are called by whoever deploys, in its transaction.
//! - [`list`], [`get`] and [`set_enabled`] are for people.
//! - [`Dispatcher`] starts executions when a trigger is due.
//! - [`Starter`] is what it starts them with; the executor implements it.
//!
//! Invariants: there is one row for each trigger of an active deployment; an
//! execution and the move of its trigger (next time, cursor, offset) are committed
//! together, and each start carries an idempotency key made from the trigger and
//! what fired it, so that a crash neither loses a start nor repeats one. A trigger
//! is looked at when it is due, found by an index; nothing walks all triggers. A
//! poll is held by one poller at a time. A row whose deployment is gone keeps its
//! cursor, so that the next deployment of the bot goes on where it was. A message of a
//! queue starts one execution, whichever bots are on the queue (`queued`).

mod arm;
mod chain;
mod connectors;
mod dispatcher;
mod firing;
mod listen;
mod matching;
mod poll;
mod queued;
mod spec;
mod starter;
pub(crate) mod store;
mod timed;
mod view;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use arm::{Deployment, arm, disarm, forget};
pub use chain::{MAX_DEPTH, depth_of};
pub use connectors::ConnectorPoller;
pub(crate) use dispatcher::may_pass;
pub use dispatcher::{Dispatcher, Parts};
pub(crate) use firing::{Cause, firing, rfc3339};
pub use poll::{Look, Poller};
pub use spec::{End, Kind, MissedRuns, Spec};
pub use starter::Starter;
pub use view::{TriggerInfo, get, list, set_enabled};
