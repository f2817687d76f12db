//! "Did you mean".

/// The name among `known` that `wrong` was most likely meant to be.
///
/// ```
/// use codex32_core::expr::suggest;
/// assert_eq!(suggest("pricee", ["price", "alert"]), Some("price"));
/// assert_eq!(suggest("banana", ["price", "alert"]), None);
/// ```
pub fn suggest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = wrong.to_lowercase();
    let best = known
        .into_iter()
        .map(|name| {
            let likeness = strsim::normalized_damerau_levenshtein(&folded, &name.to_lowercase());
            // A name that only lacks its rest (`temp` for `temperature`) is likely too.
            let prefix = name.len() >= 3 && wrong.len() >= 3 && (name.starts_with(wrong) || wrong.starts_with(name));
            (if prefix { likeness.max(0.7) } else { likeness }, name)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.62).then_some(best.1)
}

/// `a`, `b` and 3 more: at most eight of `names`, for an error message.
pub(super) fn listing(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|n| format!("`{n}`")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
