//! Functions that charge the meter before they loop, copy or make something big.

use cel::ExecutionError;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::{CowVal, Val};

use super::{Outcome, expect, take};
use crate::expr::convert;
use crate::expr::meter::Meter;

/// Cost of compiling a regular expression.
const PATTERN: u64 = 5_000;

/// The meter among the arguments.
pub(super) fn meter<'a>(value: &'a CowVal<'_, '_>) -> Result<&'a Meter, ExecutionError> {
    value
        .as_any()
        .and_then(|any| any.downcast_ref::<Meter>())
        .ok_or_else(|| ExecutionError::function_error("@meter", "exhausted"))
}

/// What a loop runs over: charged for all rounds; of a map the keys in their order.
pub(super) fn range<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, weight, range] = take(args)?;
    let meter = meter(&budget)?;
    let weight = weight.downcast_ref::<CelInt>().map_or(1, |w| w.inner().unsigned_abs());
    let rounds = range.as_sizer().map_or(0, |s| s.size().inner().unsigned_abs());
    meter.charge(rounds.saturating_mul(weight))?;
    if let Some(map) = range.downcast_ref::<CelMap>() {
        meter.charge(1 + map.inner().len() as u64)?;
        let mut keys: Vec<&CelMapKey<'_>> = map.inner().keys().collect();
        keys.sort();
        let keys = keys.into_iter().map(|key| key.inner().clone_as_boxed()).collect::<Vec<_>>();
        return Ok(CowVal::owned(CelList::from(keys)));
    }
    meter.charge_value(range.as_ref())?;
    Ok(range)
}

/// Charges the deep size of a value and hands it back.
pub(super) fn value<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, value] = take(args)?;
    meter(&budget)?.charge_value(value.as_ref())?;
    Ok(value)
}

/// Charges the length of a text; a list or map counts as one value.
pub(super) fn glance<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, value] = take(args)?;
    let length = value.downcast_ref::<CelString>().map_or(0, |s| s.inner().len());
    meter(&budget)?.charge_text(length)?;
    Ok(value)
}

/// Charges what `x in value` looks at: all of a list, one entry of a map.
pub(super) fn members<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, value] = take(args)?;
    let meter = meter(&budget)?;
    if value.downcast_ref::<CelMap>().is_some() {
        meter.charge(1)?;
    } else {
        meter.charge_value(value.as_ref())?;
    }
    Ok(value)
}

/// Charges as many units as the number says.
pub(super) fn count<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, value] = take(args)?;
    let count = value.downcast_ref::<CelInt>().map_or(0, |i| *i.inner());
    meter(&budget)?.charge(1 + u64::try_from(count).unwrap_or(0))?;
    Ok(value)
}

/// Charges the compilation of a regular expression.
pub(super) fn pattern<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, value] = take(args)?;
    let length = value.downcast_ref::<CelString>().map_or(0, |s| s.inner().len());
    meter(&budget)?.charge(PATTERN + 10 * length as u64)?;
    Ok(value)
}

/// `text.replace(from, to)`.
pub(super) fn replace<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, text, from, to] = take(args)?;
    let meter = meter(&budget)?;
    let text = expect::<CelString>(text.as_ref(), "replace", "a text")?.inner();
    let from = expect::<CelString>(from.as_ref(), "replace", "a text")?.inner();
    let to = expect::<CelString>(to.as_ref(), "replace", "a text")?.inner();
    meter.charge_text(text.len())?;
    let times = text.matches(from).count();
    meter.charge_text(times.saturating_mul(to.len()))?;
    Ok(CowVal::owned(CelString::from(text.replace(from, to))))
}

/// `text.split(separator)` and `text.split(separator, limit)`.
pub(super) fn split<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let limit = match args.get(3) {
        Some(limit) => *expect::<CelInt>(limit.as_ref(), "split", "a whole number as limit")?.inner(),
        None => -1,
    };
    let mut args = args;
    args.truncate(3);
    let [budget, text, separator] = take(args)?;
    let meter = meter(&budget)?;
    let text = expect::<CelString>(text.as_ref(), "split", "a text")?.inner();
    let separator = expect::<CelString>(separator.as_ref(), "split", "a text")?.inner();
    meter.charge_text(text.len())?;
    let pieces: Vec<&str> = match (usize::try_from(limit), separator) {
        (Ok(0), _) => Vec::new(),
        (limit, "") => {
            meter.charge(text.len() as u64)?;
            characters(text, limit.unwrap_or(usize::MAX))
        }
        (limit, separator) => {
            meter.charge(1 + text.matches(separator).count() as u64)?;
            text.splitn(limit.unwrap_or(usize::MAX), separator).collect()
        }
    };
    let pieces = pieces.into_iter().map(|p| Box::new(CelString::from(p.to_owned())) as Box<dyn Val + 'v>);
    Ok(CowVal::owned(CelList::from(pieces.collect::<Vec<_>>())))
}

/// The characters of `text`, the last piece being the rest where there are more than `limit`.
fn characters(text: &str, limit: usize) -> Vec<&str> {
    let starts: Vec<usize> = text.char_indices().map(|(i, _)| i).take(limit).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect()
}

/// `list.join(separator)`: numbers and truth values as text, null as nothing.
pub(super) fn join<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let separator = match args.get(2) {
        Some(separator) => expect::<CelString>(separator.as_ref(), "join", "a text between")?.inner().to_owned(),
        None => String::new(),
    };
    let mut args = args;
    args.truncate(2);
    let [budget, list] = take(args)?;
    let meter = meter(&budget)?;
    let items = expect::<CelList>(list.as_ref(), "join", "a list")?.inner();
    meter.charge_value(list.as_ref())?;
    meter.charge_text(items.len().saturating_mul(separator.len()))?;
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push_str(&separator);
        }
        push_text(&mut joined, item.as_ref())?;
    }
    Ok(CowVal::owned(CelString::from(joined)))
}

fn push_text(out: &mut String, value: &dyn Val) -> Result<(), ExecutionError> {
    if let Some(text) = value.downcast_ref::<CelString>() {
        out.push_str(text.inner());
    } else if let Some(n) = value.downcast_ref::<CelInt>() {
        out.push_str(&n.inner().to_string());
    } else if let Some(n) = value.downcast_ref::<CelUInt>() {
        out.push_str(&n.inner().to_string());
    } else if let Some(n) = value.downcast_ref::<CelDouble>() {
        out.push_str(&n.inner().to_string());
    } else if let Some(b) = value.downcast_ref::<CelBool>() {
        out.push_str(if *b.inner() { "true" } else { "false" });
    } else if value.downcast_ref::<CelNull>().is_none() {
        let json = convert::to_json(value)
            .map_err(|what| ExecutionError::function_error("join", format!("cannot handle {what}")))?;
        out.push_str(&json.to_string());
    }
    Ok(())
}

/// `json(text)`: the value that the text is the JSON of.
pub(super) fn json<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [budget, text] = take(args)?;
    let meter = meter(&budget)?;
    let text = match text.downcast_ref::<CelBytes>() {
        Some(bytes) => std::str::from_utf8(bytes.inner())
            .map_err(|_| ExecutionError::function_error("json", "the bytes are not text"))?,
        None => expect::<CelString>(text.as_ref(), "json", "a text")?.inner(),
    };
    // The densest JSON, `[0,0,…]`, has a value for every two bytes.
    meter.charge(1 + text.len() as u64 / 4)?;
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| {
        let message = format!("the text is not JSON: line {}, column {}", e.line(), e.column());
        ExecutionError::function_error("json", message)
    })?;
    Ok(CowVal::Owned(convert::to_static(&value)))
}
