//! The budget of one evaluation.
//!
//! The compiler weaves calls of `@range`, `@copy`, `@scan` and their kin into a
//! program (see `rewrite`); each gets the [`Meter`] and charges what is about to
//! happen. CEL source cannot spell a name with `@`, so none of it can be
//! called or avoided by a user.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::ExecutionError;
use cel::common::types::{CelBytes, CelList, CelMap, CelMapKey, CelOptional, CelString, Type};
use cel::common::value::{StaticVal, Val};

/// Name of the variable that holds the meter.
pub(super) const METER: &str = "@meter";

static METER_TYPE: Type = Type::new_unspecified_type("codex32.meter");

/// Bytes of text that cost as much as one value.
const TEXT_UNIT: usize = 128;

/// What is left of an evaluation's budget.
#[derive(Debug, Clone)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// A meter with `budget` units.
    pub(super) fn new(budget: u64) -> Self {
        Meter(Arc::new(AtomicU64::new(budget)))
    }

    /// Takes `cost` units, or fails and takes all that is left: what follows fails too.
    pub(super) fn charge(&self, cost: u64) -> Result<(), ExecutionError> {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(cost), Ordering::Relaxed);
        if cost >= left { Err(exhausted()) } else { Ok(()) }
    }

    /// Charges the deep size of `value`; stops counting where the budget ends.
    pub(super) fn charge_value(&self, value: &dyn Val) -> Result<(), ExecutionError> {
        let left = self.0.load(Ordering::Relaxed);
        let mut size = 0;
        measure(value, left, &mut size);
        self.charge(size)
    }

    /// Charges a text of `bytes`.
    pub(super) fn charge_text(&self, bytes: usize) -> Result<(), ExecutionError> {
        self.charge(1 + (bytes / TEXT_UNIT) as u64)
    }

    /// Whether the budget is used up.
    pub(super) fn is_exhausted(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// The error of a program that costs too much.
fn exhausted() -> ExecutionError {
    ExecutionError::function_error("@meter", "exhausted")
}

/// Adds the number of values in `value` to `size`, until it passes `limit`.
fn measure(value: &dyn Val, limit: u64, size: &mut u64) {
    *size += 1;
    if *size > limit {
        return;
    }
    if let Some(text) = value.downcast_ref::<CelString>() {
        *size += (text.inner().len() / TEXT_UNIT) as u64;
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        for item in list.inner() {
            measure(item.as_ref(), limit, size);
            if *size > limit {
                return;
            }
        }
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        for (key, item) in map.inner() {
            if let CelMapKey::String(key) = key {
                *size += (key.inner().len() / TEXT_UNIT) as u64;
            }
            measure(item.as_ref(), limit, size);
            if *size > limit {
                return;
            }
        }
    } else if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        *size += (bytes.inner().len() / TEXT_UNIT) as u64;
    } else if let Some(inner) = value.downcast_ref::<CelOptional>().and_then(CelOptional::inner) {
        measure(inner, limit, size);
    }
}

impl Val for Meter {
    fn get_type(&self) -> &Type {
        &METER_TYPE
    }
    fn cel_type() -> &'static Type {
        &METER_TYPE
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Meter {}
