//! Triggers on real databases, with time moved by hand.

mod arming;
mod connectors;
mod events;
mod polls;
mod queues;
mod schedules;
