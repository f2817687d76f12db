//! Tests of the room as a whole.

pub(crate) mod bench;
pub(crate) mod blueprints;
mod cluster;
mod crash;
mod decide;
mod decide_approvals;
mod decide_chain;
mod decide_ends;
mod decide_undo;
mod decide_waits;
mod executor;
mod executor_again;
mod executor_chain;
mod executor_ends;
mod executor_secrets;
mod executor_undo;
mod executor_waits;
mod flow;
mod flow_crash;
mod flow_gather;
mod flow_order;
mod flow_times;
mod generate;
mod retain;
mod simulation;
mod store;
mod world;
