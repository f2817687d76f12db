//! Arithmetic where whole numbers and fractions mix, and sums over lists.

use std::cmp::Ordering;

use cel::ExecutionError;
use cel::common::types::{CelDouble, CelInt, CelList, CelNull, CelUInt};
use cel::common::value::{CowVal, Val};

use super::{Outcome, expect, list::compare, metered::meter, take, type_name};

/// `a + b`; the result is charged, so that a text cannot be doubled for ever.
pub(super) fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, a, b] = take(args)?;
    let meter = meter(&budget)?;
    if let Some(sum) = mixed(&a, &b, |a, b| a + b) {
        return Ok(sum);
    }
    if a.downcast_ref::<CelInt>().is_none() {
        meter.charge_value(a.as_ref())?;
        meter.charge_value(b.as_ref())?;
    }
    let sum = a.as_adder().map(|adder| adder.add(b.as_ref()).map(CowVal::into_owned));
    own(sum, "+", &a, &b)
}

/// `a - b`.
pub(super) fn sub<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [a, b] = take(args)?;
    if let Some(difference) = mixed(&a, &b, |a, b| a - b) {
        return Ok(difference);
    }
    let difference = a.as_subtractor().map(|s| s.sub(b.as_ref()).map(CowVal::into_owned));
    own(difference, "-", &a, &b)
}

/// `a * b`.
pub(super) fn mul<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [a, b] = take(args)?;
    if let Some(product) = mixed(&a, &b, |a, b| a * b) {
        return Ok(product);
    }
    let product = a.as_multiplier().map(|m| m.mul(b.as_ref()).map(CowVal::into_owned));
    own(product, "*", &a, &b)
}

/// `a / b`: of two whole numbers the whole part, as in CEL.
pub(super) fn div<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [a, b] = take(args)?;
    if let Some(quotient) = mixed(&a, &b, |a, b| a / b) {
        return Ok(quotient);
    }
    let quotient = a.as_divider().map(|d| d.div(b.as_ref()).map(CowVal::into_owned));
    own(quotient, "/", &a, &b)
}

/// The result of an operator of CEL, or an error that names the types.
fn own<'b, 'v>(
    result: Option<Result<Box<dyn Val + 'v>, ExecutionError>>,
    operator: &str,
    a: &CowVal<'b, 'v>,
    b: &CowVal<'b, 'v>,
) -> Outcome<'b, 'v> {
    match result {
        Some(Ok(value)) => Ok(CowVal::Owned(value)),
        Some(Err(error @ (ExecutionError::DivisionByZero(_) | ExecutionError::Overflow(..)))) => Err(error),
        _ => {
            let types = vec![a.get_type().name().to_owned(), b.get_type().name().to_owned()];
            Err(ExecutionError::no_such_overload(&format!("_{operator}_"), types))
        }
    }
}

/// `operation` where one side is a fraction and the other a whole number.
fn mixed<'b, 'v>(a: &CowVal<'b, 'v>, b: &CowVal<'b, 'v>, operation: fn(f64, f64) -> f64) -> Option<CowVal<'b, 'v>> {
    let one_is_double = a.downcast_ref::<CelDouble>().is_some() != b.downcast_ref::<CelDouble>().is_some();
    if !one_is_double {
        return None;
    }
    let result = operation(number(a.as_ref())?, number(b.as_ref())?);
    Some(CowVal::owned(CelDouble::from(result)))
}

/// `value` as a fraction, if it is a number.
fn number(value: &dyn Val) -> Option<f64> {
    if let Some(i) = value.downcast_ref::<CelInt>() {
        return Some(*i.inner() as f64);
    }
    if let Some(u) = value.downcast_ref::<CelUInt>() {
        return Some(*u.inner() as f64);
    }
    value.downcast_ref::<CelDouble>().map(|d| *d.inner())
}

/// `sum(list)`: 0 for an empty list; a whole number where all are whole.
pub(super) fn sum<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [list] = take(args)?;
    let items = expect::<CelList>(list.as_ref(), "sum", "a list of numbers")?.inner();
    let whole: Option<Vec<i64>> = items.iter().map(|i| i.downcast_ref::<CelInt>().map(|i| *i.inner())).collect();
    if let Some(whole) = whole {
        let total = whole.into_iter().try_fold(0_i64, i64::checked_add);
        let total = total.ok_or_else(|| ExecutionError::function_error("sum", "the total is too large"))?;
        return Ok(CowVal::owned(CelInt::from(total)));
    }
    Ok(CowVal::owned(CelDouble::from(total(items, "sum")?)))
}

/// `avg(list)`: null for an empty list.
pub(super) fn avg<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [list] = take(args)?;
    let items = expect::<CelList>(list.as_ref(), "avg", "a list of numbers")?.inner();
    if items.is_empty() {
        return Ok(CowVal::owned(CelNull));
    }
    Ok(CowVal::owned(CelDouble::from(total(items, "avg")? / items.len() as f64)))
}

fn total(items: &[Box<dyn Val + '_>], name: &str) -> Result<f64, ExecutionError> {
    items.iter().try_fold(0.0, |total, item| {
        let item = item.as_ref();
        number(item).map(|n| total + n).ok_or_else(|| {
            ExecutionError::function_error(name, format!("wants numbers, but the list holds {}", type_name(item)))
        })
    })
}

/// `min(list)` or `min(a, b)`: the least; null for an empty list.
pub(super) fn min<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    extreme(args, "min", Ordering::Less)
}

/// `max(list)` or `max(a, b)`: the greatest; null for an empty list.
pub(super) fn max<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    extreme(args, "max", Ordering::Greater)
}

fn extreme<'b, 'v>(args: Vec<CowVal<'b, 'v>>, name: &str, wanted: Ordering) -> Outcome<'b, 'v> {
    let values: Vec<&(dyn Val + 'v)> = match args.as_slice() {
        [list] => {
            let items = expect::<CelList>(list.as_ref(), name, "a list or two values")?.inner();
            items.iter().map(AsRef::as_ref).collect()
        }
        several => several.iter().map(AsRef::as_ref).collect(),
    };
    let mut best: Option<&(dyn Val + 'v)> = None;
    for value in values {
        best = match best {
            Some(best) if compare(value, best, name)? != wanted => Some(best),
            _ => Some(value),
        };
    }
    Ok(CowVal::Owned(best.map_or_else(|| Box::new(CelNull) as Box<dyn Val + 'v>, |b| b.clone_as_boxed())))
}

/// `round(x)` to a whole number, `round(x, digits)` to a fraction of so many digits.
pub(super) fn round<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Some(value) = args.first() else { return Err(ExecutionError::missing_argument_or_target()) };
    let Some(x) = number(value.as_ref()) else {
        let message = format!("wants a number, not {}", type_name(value.as_ref()));
        return Err(ExecutionError::function_error("round", message));
    };
    let Some(digits) = args.get(1) else {
        let rounded = x.round();
        let fits = rounded.abs() < i64::MAX as f64;
        let error = || ExecutionError::function_error("round", "the number is too large for a whole number");
        return fits.then(|| CowVal::owned(CelInt::from(rounded as i64))).ok_or_else(error);
    };
    let digits = *expect::<CelInt>(digits.as_ref(), "round", "a whole number of digits")?.inner();
    let scale = 10_f64.powi(digits.clamp(-300, 300) as i32);
    let rounded = (x * scale).round() / scale;
    // A scale beyond the number's own digits changes nothing.
    let rounded = if rounded.is_finite() { rounded } else { x };
    Ok(CowVal::owned(CelDouble::from(rounded)))
}
