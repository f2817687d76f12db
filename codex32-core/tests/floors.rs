//! The house rules that a compiler does not check: floors, the size of files, the
//! purity of the ground.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FLOORS: &[(u8, &[&str])] = &[
    (5, &["engine", "api"]),
    (4, &["access", "builder", "supervisor", "registry"]),
    (3, &["execution", "trigger", "schedule", "webhook"]),
    (2, &["connector", "sandbox", "event", "queue", "secret", "notify"]),
    (1, &["storage", "observe"]),
    (0, &["blueprint", "expr", "recur", "catalogue", "understand", "id", "error", "clock"]),
];

/// Lines a file may have; a longer one is a room to divide.
const LONGEST: usize = 600;

fn floors() -> BTreeMap<&'static str, u8> {
    FLOORS.iter().flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, *floor))).collect()
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() && !["target", "node_modules", "dist", ".venv", "wasm", "assets"].contains(&name.as_str())
            {
                open.push(path);
            } else if [".rs", ".ts", ".py", ".js", ".go"].iter().any(|end| name.ends_with(end)) {
                found.push(path);
            }
        }
    }
    found
}

/// The rooms that a line of code names: `crate::room`, and `crate::{room, room::X}`.
fn named(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            rooms.push(word);
        } else {
            rooms.push(rest.to_owned());
        }
    }
    rooms
        .into_iter()
        .map(|r| r.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
        .collect()
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.iter().any(|part| part == "tests")
}

fn code_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a readable file");
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_floor_imports_a_floor_above() {
    let floors = floors();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for path in sources(&src) {
        let room = path.strip_prefix(&src).expect("below src").iter().next().expect("a room");
        let room = room.to_string_lossy().trim_end_matches(".rs").to_owned();
        // The tests of a room may stand on what uses it.
        if room == "lib" || is_test(&path) {
            continue;
        }
        let floor = floors.get(room.as_str()).unwrap_or_else(|| panic!("the room {room} stands on no floor"));
        for other in named(&code_of(&path)) {
            if floors.get(other.as_str()).is_some_and(|above| above > floor) {
                faults.push(format!("{} (floor {floor}) uses {other}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_grouped_ones() {
    assert_eq!(named("use crate::{api::call, id, engine::{A, B}};"), ["api", "id", "engine"]);
    assert_eq!(named("let x = crate::engine::Engine::open();"), ["engine"]);
}

#[test]
fn no_file_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut long = Vec::new();
    for folder in ["codex32-core", "codex32-server", "codex32-cli", "codex32-py", "codex32-node", "benches", "examples"]
    {
        for path in sources(&root.join(folder)) {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            let generated = text.lines().take(5).any(|line| line.contains("@generated"));
            let lines = text.lines().count();
            if lines > LONGEST && !generated {
                long.push(format!("{}: {lines} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "divide these:\n{}", long.join("\n"));
}

#[test]
fn no_sql_is_formatted_from_values() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut faults = Vec::new();
    for folder in ["codex32-core/src", "codex32-server/src", "codex32-cli/src"] {
        for path in sources(&root.join(folder)).into_iter().filter(|path| !is_test(path)) {
            for (number, line) in code_of(&path).lines().enumerate() {
                let upper = line.to_uppercase();
                let formats = line.contains("format!(\"");
                let sql = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE FROM"].iter().any(|w| upper.contains(w));
                if formats && sql && !line.contains("// identifiers only") {
                    faults.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "bind values, do not format them:\n{}", faults.join("\n"));
}
