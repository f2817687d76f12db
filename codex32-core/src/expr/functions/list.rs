//! Lists, paths, searching in text.

use std::cmp::Ordering;
use std::collections::HashSet;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelInt, CelList, CelNull, CelOptional, CelString};
use cel::common::value::{CowVal, Val};

use super::{Outcome, expect, take};
use crate::expr::convert;

/// `first(list)`: the first element, or null.
pub(super) fn first<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [list] = take(args)?;
    element(list, "first", |_| 0)
}

/// `last(list)`: the last element, or null.
pub(super) fn last<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [list] = take(args)?;
    element(list, "last", |length| length.saturating_sub(1))
}

fn element<'b, 'v>(list: CowVal<'b, 'v>, name: &str, index: fn(usize) -> usize) -> Outcome<'b, 'v> {
    let found = match &list {
        CowVal::Borrowed(list) => {
            let items = expect::<CelList>(*list, name, "a list")?.inner();
            items.get(index(items.len())).map(|item| CowVal::Borrowed(item.as_ref()))
        }
        CowVal::Owned(list) => {
            let items = expect::<CelList>(list.as_ref(), name, "a list")?.inner();
            items.get(index(items.len())).map(|item| CowVal::Owned(item.clone_as_boxed()))
        }
    };
    Ok(found.unwrap_or_else(|| CowVal::owned(CelNull)))
}

/// `unique(list)`: the elements without repetitions, in their order.
pub(super) fn unique<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [list] = take(args)?;
    let items = expect::<CelList>(list.as_ref(), "unique", "a list")?.inner();
    let mut seen = HashSet::new();
    let mut kept: Vec<Box<dyn Val + 'v>> = Vec::new();
    for item in items {
        if seen.insert(text_of(item.as_ref(), "unique")?) {
            kept.push(item.clone_as_boxed());
        }
    }
    Ok(CowVal::owned(CelList::from(kept)))
}

/// `sort(list)`: numbers, texts, truth values or times in ascending order.
pub(super) fn sort<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [list] = take(args)?;
    let items = expect::<CelList>(list.as_ref(), "sort", "a list")?.inner();
    let mut sorted: Vec<Box<dyn Val + 'v>> = items.iter().map(|i| i.clone_as_boxed()).collect();
    let mut failure = None;
    sorted.sort_by(|a, b| {
        compare(a.as_ref(), b.as_ref(), "sort").unwrap_or_else(|e| {
            failure.get_or_insert(e);
            Ordering::Equal
        })
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(CowVal::owned(CelList::from(sorted))),
    }
}

/// The order of two values, or an error that names their types.
pub(super) fn compare(a: &dyn Val, b: &dyn Val, name: &str) -> Result<Ordering, ExecutionError> {
    let order = a.as_comparer().map(|comparer| comparer.compare(b));
    order.and_then(Result::ok).ok_or_else(|| {
        let (a, b) = (super::type_name(a), super::type_name(b));
        ExecutionError::function_error(name, format!("cannot compare {a} with {b}"))
    })
}

/// `toJson(value)`: compact JSON.
pub(super) fn to_json<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [value] = take(args)?;
    Ok(CowVal::owned(CelString::from(text_of(value.as_ref(), "toJson")?)))
}

fn text_of(value: &dyn Val, name: &str) -> Result<String, ExecutionError> {
    convert::to_json(value)
        .map(|json| json.to_string())
        .map_err(|what| ExecutionError::function_error(name, format!("cannot handle {what}")))
}

/// `has(a.b.c)`: whether the path leads to a value, null included.
pub(super) fn has<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [root, path] = take(args)?;
    let found = follow(root, path.as_ref())?.is_some();
    Ok(CowVal::owned(CelBool::from(found)))
}

/// `default(a.b.c, y)`: the value, or `y` where the path breaks off or leads to null.
pub(super) fn default<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [root, path, otherwise] = take(args)?;
    Ok(match follow(root, path.as_ref())? {
        Some(value) if value.downcast_ref::<CelNull>().is_none() => value,
        _ => otherwise,
    })
}

/// What `path` leads to from `root`.
fn follow<'b, 'v>(root: CowVal<'b, 'v>, path: &dyn Val) -> Result<Option<CowVal<'b, 'v>>, ExecutionError> {
    let mut value = root;
    for key in expect::<CelList>(path, "has", "a path")?.inner() {
        value = match value {
            CowVal::Borrowed(whole) => {
                let whole = match whole.downcast_ref::<CelOptional>() {
                    Some(optional) => match optional.inner() {
                        Some(inner) => inner,
                        None => return Ok(None),
                    },
                    None => whole,
                };
                match whole.as_indexer().map(|i| i.get(key.as_ref())) {
                    Some(Ok(inner)) => inner,
                    _ => return Ok(None),
                }
            }
            CowVal::Owned(whole) => match owned_field(whole, key.as_ref()) {
                Some(inner) => CowVal::Owned(inner),
                None => return Ok(None),
            },
        };
    }
    Ok(Some(value))
}

fn owned_field<'v>(whole: Box<dyn Val + 'v>, key: &dyn Val) -> Option<Box<dyn Val + 'v>> {
    if let Some(optional) = whole.downcast_ref::<CelOptional>() {
        let inner = optional.inner()?;
        return inner.as_indexer()?.get(key).ok().map(CowVal::into_owned);
    }
    whole.into_indexer()?.steal(key).ok()
}

/// `text.indexOf(part)`: where `part` first is, in characters; -1 where it is not.
pub(super) fn index_of<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    position(args, "indexOf", |text, part| text.find(part))
}

/// `text.lastIndexOf(part)`: where `part` last is, in characters; -1 where it is not.
pub(super) fn last_index_of<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    position(args, "lastIndexOf", |text, part| text.rfind(part))
}

fn position<'b, 'v>(args: Vec<CowVal<'b, 'v>>, name: &str, find: fn(&str, &str) -> Option<usize>) -> Outcome<'b, 'v> {
    let [text, part] = take(args)?;
    let text = expect::<CelString>(text.as_ref(), name, "a text")?.inner();
    let part = expect::<CelString>(part.as_ref(), name, "a text")?.inner();
    let index = find(text, part).map_or(-1, |bytes| text[..bytes].chars().count() as i64);
    Ok(CowVal::owned(CelInt::from(index)))
}
