//! Functions of the embedding program as durable workflows: an `async` function that does
//! what must not be lost or done twice through its [`Ctx`].
//!
//! - [`Ctx`] is what the function is given: `step`, `sleep`, `signal`, `event`, `child`.
//! - [`DurableFunction`] is such a function; [`Functions`] are those that were registered.
//! - [`Bridge`] is for functions in other languages.
//! - `fiber` is one that runs for an execution, `line` what it and the driver share.
//!
//! Invariants: a function is run from its start whenever its execution is driven, and is
//! dropped where the execution waits. It only hears of what is durable. What it asks for is
//! numbered by name (`charge`, `charge#2`), so that the same code finds its results again.

mod bridge;
mod ctx;
mod fiber;
mod functions;
mod line;
mod options;

pub use bridge::{Bridge, Done, Host};
pub use ctx::{Ctx, Reply};
pub use functions::DurableFunction;
pub use options::{Attempt, Body, StepOptions, WaitOptions, Wish};

pub(crate) use fiber::Fiber;
pub(crate) use functions::Functions;
pub(crate) use line::{Line, SharedBody};

/// What the guide says compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/guide/native.md")]
struct Guide;
