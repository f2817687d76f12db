//! Expressions: CEL with bounded cost, and `{{ }}` templates over JSON.
//!
//! - [`Program`]: one compiled CEL expression; [`Program::eval`] gives JSON,
//!   [`Program::condition`] a truth value.
//! - [`Template`]: a JSON value whose strings may hold `{{ CEL }}`.
//! - [`Scope`]: the variables that both see.
//! - [`References`]: what they read, known without running them.
//!
//! Beside CEL's own functions and those of its strings, lists and math
//! libraries there are `default(x, y)`, `json(text)`, `toJson(value)`,
//! `first`, `last`, `sum`, `min`, `max`, `avg`, `unique`, `sort` and
//! `round(x, digits)`. There is no `now`: time comes in as a variable.
//!
//! Three things are kinder than the letter of CEL, because the data is JSON:
//! a whole number and a fraction mix in arithmetic, `has(a.b.c)` is false
//! wherever the path breaks off, and maps are iterated in the order of their keys.
//!
//! Invariants: nothing here does I/O or reads a clock. Compiling is bounded by
//! the length and depth of the source. Evaluating is bounded by a budget that
//! every loop, copy and scan is charged to before it happens, so a program can
//! neither hang nor fill the memory. No error message carries a value, only
//! names and types.

mod convert;
mod error;
mod functions;
mod meter;
mod names;
mod program;
mod references;
mod rewrite;
mod scope;
mod template;
#[cfg(test)]
mod tests;
mod words;

pub use error::ExprError;
pub use names::suggest;
pub use program::Program;
pub use references::{Reference, References};
pub use scope::Scope;
pub use template::Template;

/// Longest source of an expression, in bytes.
pub const MAX_SOURCE: usize = 8 * 1024;

/// Deepest nesting of an expression.
pub const MAX_DEPTH: usize = 96;

/// Deepest nesting of loops (`map`, `filter`, `all`, `exists`, `sortBy`) in each other.
pub const MAX_LOOPS: usize = 4;

/// What one evaluation may cost. A unit is about one visited value: 50 to 100 ns.
pub const BUDGET: u64 = 1_000_000;
