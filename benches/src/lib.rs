//! What the measures share: starting Codex-32 and its peers as processes of their own,
//! looking at their memory, and putting them under load.
//!
//! The measures are in `benches/`, one file each; `make bench` runs them all.

pub mod load;
pub mod process;
pub mod queue;
pub mod raw;
pub mod scale;
pub mod workflow;

/// What a measure ends with where it cannot go on.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The middle one of some figures.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
