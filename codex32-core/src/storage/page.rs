//! Keyset paging: a cursor is the sort key of the last row seen, opaque to callers.

use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use sea_orm::sea_query::LikeExpr;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Rows that a page holds at most.
pub const MAX_LIMIT: u64 = 200;

/// One page of a list, newest first where not said otherwise.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Hand this back as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of at most `limit` rows out of `limit + 1` that were read.
    #[must_use]
    pub fn cut(mut rows: Vec<T>, limit: u64, key: impl Fn(&T) -> Uuid) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(|row| encode(key(row))) } else { None };
        Page { items: rows, next }
    }
    /// The same page with each row converted.
    #[must_use]
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

/// A `LIKE` pattern for texts that start with `text`, of which nothing is a wildcard.
#[must_use]
pub fn starts_with(text: &str) -> LikeExpr {
    LikeExpr::new(format!("{}%", escaped(text))).escape('\\')
}

/// A `LIKE` pattern for texts that contain `text`, of which nothing is a wildcard.
#[must_use]
pub fn contains(text: &str) -> LikeExpr {
    LikeExpr::new(format!("%{}%", escaped(text))).escape('\\')
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // PostgreSQL's text cannot hold a zero character, so nothing stored has one.
    for c in text.chars().filter(|c| *c != '\0') {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The cursor that stands for `key`.
#[must_use]
pub fn encode(key: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(key.as_bytes())
}

/// The key that `cursor` stands for.
///
/// # Errors
/// `invalid` where the cursor was not made by [`encode`].
pub fn decode(cursor: &str) -> Result<Uuid> {
    URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok()).ok_or_else(|| {
        Error::invalid("the cursor is not one that a list gave")
            .at("/cursor", "not a cursor")
            .hint("pass the `next` of the page before, unchanged")
    })
}
