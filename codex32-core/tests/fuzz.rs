//! The properties of the fuzz targets, over mutated seeds, on the stable toolchain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[path = "../fuzz/properties.rs"]
mod properties;

/// The seeds of a fuzz target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One change of a seed, as a fuzzer would make it.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, u8, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let words = prop::sample::select(vec![
        "{{", "}}", "'", "\"", "- ", ": ", "\n", "  ", "[", "]", "{", "}", "|", ">", "&a", "*a", "!", "#", "steps.",
        "(", ")", "é", "\t", "\u{0}", "---\n", ".map(x, ", "1e400", "0x", "~", "?", ",",
    ]);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), words).prop_map(|(at, word)| Change::Insert(at, word.as_bytes().to_vec())),
        (any::<Index>(), 1..20_u8).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<Index>(), 1..40_u8, 2..20_u8).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Change::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Insert(at, word) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, word.iter().copied());
            }
            Change::Remove(at, count) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + usize::from(*count));
                bytes.drain(at..end);
            }
            Change::Repeat(at, length, times) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + usize::from(*length));
                let piece = bytes[at..end].repeat(usize::from(*times));
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

#[test]
fn the_seeds_hold() {
    seeds("blueprint").iter().for_each(|seed| properties::blueprint(seed));
    seeds("expression").iter().for_each(|seed| properties::expression(seed));
}

#[test]
fn one_seed_is_a_whole_blueprint() {
    let usable = seeds("blueprint").into_iter().filter(|seed| {
        let text = std::str::from_utf8(seed).unwrap();
        codex32_core::blueprint::check(text, codex32_core::catalogue::Catalogue::builtin()).0.is_some()
    });
    assert_eq!(usable.count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn changed_blueprints_hold(seed in any::<Index>(), changes in vec(change(), 1..6)) {
        let seeds = seeds("blueprint");
        properties::blueprint(&changed(seeds[seed.index(seeds.len())].clone(), &changes));
    }

    #[test]
    fn changed_expressions_hold(seed in any::<Index>(), changes in vec(change(), 1..6)) {
        let seeds = seeds("expression");
        properties::expression(&changed(seeds[seed.index(seeds.len())].clone(), &changes));
    }

    #[test]
    fn random_bytes_hold(bytes in vec(any::<u8>(), 0..200)) {
        properties::blueprint(&bytes);
        properties::expression(&bytes);
    }
}
