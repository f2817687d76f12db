//! Reading what is handed in: a blueprint and its files, within limits.

use crate::blueprint::{self, Blueprint};
use crate::catalogue::Catalogue;
use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;

/// Source files of a version: relative path to text.
pub type Files = BTreeMap<String, String>;

/// Longest blueprint and longest file, in bytes.
pub const MAX_TEXT: usize = 1_024 * 1_024;
/// Most files of a version.
pub const MAX_FILES: usize = 200;
/// All files of a version together, in bytes.
pub(super) const MAX_ALL: usize = 4 * 1_024 * 1_024;
/// Longest path of a file, in bytes.
const MAX_PATH: usize = 200;

/// A blueprint without fault.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) text: String,
    pub(super) files: Files,
    pub(super) blueprint: Blueprint,
    pub(super) digest: String,
}

/// Parses and checks; every mistake is told at once.
pub(super) fn read(catalogue: &Catalogue, text: &str, files: &Files) -> Result<Reading> {
    if text.len() > MAX_TEXT {
        return Err(too_large("the blueprint", MAX_TEXT));
    }
    check_files(files)?;
    let (blueprint, found) = blueprint::check(text, catalogue);
    let blueprint = blueprint.ok_or(found)?;
    check_sources(&blueprint, files)?;
    let digest = blueprint::digest(&blueprint, files);
    Ok(Reading { text: text.to_owned(), files: files.clone(), blueprint, digest })
}

/// Parses what was checked when it was stored.
pub(super) fn parse(text: &str) -> Result<Blueprint> {
    Ok(blueprint::parse(text)?)
}

/// Refuses files that are too many or too large, and paths that lead elsewhere.
pub(super) fn check_files(files: &Files) -> Result<()> {
    if files.len() > MAX_FILES {
        return Err(Error::new(Code::TooLarge, format!("a version may have at most {MAX_FILES} files")));
    }
    let mut all = 0;
    for (path, text) in files {
        check_path(path)?;
        if text.len() > MAX_TEXT {
            return Err(too_large(&format!("the file \"{path}\""), MAX_TEXT));
        }
        if text.contains('\0') {
            return Err(Error::invalid(format!("the file \"{path}\" is not text")));
        }
        all += text.len();
    }
    if all > MAX_ALL {
        return Err(too_large("the files together", MAX_ALL));
    }
    Ok(())
}

/// A path stays below the version's own folder on every system.
pub(super) fn check_path(path: &str) -> Result<()> {
    let good = !path.is_empty()
        && path.len() <= MAX_PATH
        && !path.chars().any(|c| c.is_control() || matches!(c, '\\' | ':'))
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if good {
        return Ok(());
    }
    let shown: String = path.chars().filter(|c| !c.is_control()).take(MAX_PATH).collect();
    Err(Error::invalid(format!("the file name \"{shown}\" is not usable"))
        .hint("use a relative path with `/`, without `.` and `..`"))
}

fn too_large(what: &str, limit: usize) -> Error {
    Error::new(Code::TooLarge, format!("{what} exceeds {limit} bytes"))
}

/// Every `file:` of a `run` step must be there.
fn check_sources(blueprint: &Blueprint, files: &Files) -> Result<()> {
    let mut missing = Vec::new();
    each_step(&blueprint.steps, &mut |step| {
        for kind in std::iter::once(&step.kind).chain(step.undo.as_ref().map(|undo| &undo.kind)) {
            if let blueprint::StepKind::Run { source: blueprint::Source::File(file), .. } = kind
                && !files.contains_key(file)
            {
                missing.push(format!("step \"{}\" runs \"{file}\"", step.id));
            }
        }
    });
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("a file is missing: {}", missing.join(", ")))
        .hint("hand the file in with the blueprint, or put the code into it"))
}

fn each_step(steps: &[blueprint::Step], visit: &mut impl FnMut(&blueprint::Step)) {
    use blueprint::StepKind::{Foreach, If, Parallel, Switch, Try};
    for step in steps {
        visit(step);
        match &step.kind {
            If { then, otherwise, .. } => {
                each_step(then, visit);
                each_step(otherwise, visit);
            }
            Switch { cases, default, .. } => {
                cases.iter().for_each(|case| each_step(&case.steps, visit));
                each_step(default, visit);
            }
            Foreach { steps, .. } => each_step(steps, visit),
            Parallel { branches } => branches.values().for_each(|steps| each_step(steps, visit)),
            Try { body, catch, finally } => [body, catch, finally].iter().for_each(|steps| each_step(steps, visit)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_are_taken() {
        for good in ["main.py", "lib/a.py", "a..b/c.txt", ".env"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for wrong in
            ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/.", "a\\b", "C:x", "a\0b", "a\nb", &"x".repeat(201)]
        {
            assert!(check_path(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn files_are_bounded() {
        let many: Files = (0..=MAX_FILES).map(|n| (format!("f{n}"), String::new())).collect();
        assert_eq!(check_files(&many).unwrap_err().code(), Code::TooLarge);
        let large: Files = [("a".into(), "x".repeat(MAX_TEXT + 1))].into();
        assert_eq!(check_files(&large).unwrap_err().code(), Code::TooLarge);
        let together: Files = (0..5).map(|n| (format!("f{n}"), "x".repeat(MAX_TEXT))).collect();
        assert_eq!(check_files(&together).unwrap_err().code(), Code::TooLarge);
        assert_eq!(check_files(&[("a".into(), "\0".into())].into()).unwrap_err().code(), Code::Invalid);
    }
}
