//! Unified diffs between versions.

use super::text::Files;
use crate::error::{Error, Result};
use similar::TextDiff;
use std::collections::BTreeSet;
use std::time::Duration;

/// After this a diff gets coarser instead of slower.
const PATIENCE: Duration = Duration::from_millis(500);
/// Name of the blueprint in a diff and in a package.
pub(super) const BLUEPRINT: &str = "blueprint.yaml";

/// A blueprint and its files.
pub(super) type Texts = (String, Files);

/// What changed between two, without `from` everything; empty where nothing did.
pub(super) async fn off_thread(from: Option<Texts>, to: Texts) -> Result<String> {
    tokio::task::spawn_blocking(move || unified(from.as_ref(), &to))
        .await
        .map_err(|_| Error::internal("comparing was interrupted"))
}

fn unified(from: Option<&Texts>, to: &Texts) -> String {
    let mut out = String::new();
    file(&mut out, BLUEPRINT, from.map(|from| from.0.as_str()), Some(&to.0));
    let empty = Files::new();
    let old = from.map_or(&empty, |from| &from.1);
    let paths: BTreeSet<_> = old.keys().chain(to.1.keys()).collect();
    for path in paths {
        let side = |files: &Files| files.get(path).cloned();
        file(&mut out, &format!("files/{path}"), side(old).as_deref(), side(&to.1).as_deref());
    }
    out
}

fn file(out: &mut String, path: &str, old: Option<&str>, new: Option<&str>) {
    if old == new {
        return;
    }
    let header = |side: &str, text: Option<&str>| match text {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old.unwrap_or_default(), new.unwrap_or_default());
    let text = diff.unified_diff().header(&header("a", old), &header("b", new)).to_string();
    if text.is_empty() {
        // An empty file that came or went has no lines to show.
        out.push_str(&format!("--- {}\n+++ {}\n", header("a", old), header("b", new)));
    }
    out.push_str(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(blueprint: &str, files: &[(&str, &str)]) -> Texts {
        (blueprint.to_owned(), files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect())
    }

    #[test]
    fn changes_are_shown_and_nothing_else() {
        let old = texts("a\nb\nc\n", &[("gone.py", "x\n"), ("same.py", "s\n")]);
        let new = texts("a\nB\nc\n", &[("new.py", "y\n"), ("same.py", "s\n"), ("void", "")]);
        assert_eq!(unified(Some(&old), &old), "");
        assert_eq!(
            unified(Some(&old), &new),
            "--- a/blueprint.yaml\n+++ b/blueprint.yaml\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n\
             --- a/files/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
             --- /dev/null\n+++ b/files/new.py\n@@ -0,0 +1 @@\n+y\n\
             --- /dev/null\n+++ b/files/void\n"
        );
        assert!(unified(None, &new).starts_with("--- /dev/null\n+++ b/blueprint.yaml\n@@ -0,0 +1,3 @@\n+a\n"));
    }
}
