use std::fmt::Write as _;

use crate::blueprint::{Diagnostics, parse};
use crate::error::{Code, Error};

/// The findings of a text that must be refused. One that is not bounded would take hours.
fn refused(text: &str) -> Diagnostics {
    let found = parse(text).expect_err("refused");
    assert!(found.len() <= 110, "{} findings", found.len());
    let _ = found.render(text, false);
    found
}

fn too_large(text: &str) {
    let found = refused(text);
    assert!(found.iter().any(|d| d.code == Code::TooLarge), "{found}");
    assert_eq!(Error::from(found).code(), Code::TooLarge);
}

fn blueprint(steps: &str) -> String {
    format!("codex32: v1\nname: big\nsteps:\n{steps}")
}

#[test]
fn ten_megabytes_are_too_large() {
    too_large(&blueprint(&format!("  - use: log.write\n    with: {{message: {}}}\n", "x".repeat(10 << 20))));
}

#[test]
fn deep_nesting_is_too_large() {
    too_large(&blueprint(&format!("  - use: a.b\n    with: {{x: {}{}}}\n", "[".repeat(1_000), "]".repeat(1_000))));
    let mut text = String::new();
    for depth in 0..1_000 {
        let _ = writeln!(text, "{}- if: \"true\"\n{}  then:", " ".repeat(2 + depth * 4), " ".repeat(2 + depth * 4));
        if text.len() > 900_000 {
            break;
        }
    }
    too_large(&blueprint(&text));
    let mut block = String::new();
    for depth in 0..1_000 {
        let _ = writeln!(block, "{}a:", " ".repeat(depth));
    }
    too_large(&block);
    let dashes = "- ".repeat(1_000) + "x";
    too_large(&dashes);
}

#[test]
fn a_yaml_bomb_is_refused() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    let mut before = 'a';
    for name in 'b'..='j' {
        let _ = writeln!(text, "{name}: &{name} [{}]", vec![format!("*{before}"); 9].join(", "));
        before = name;
    }
    let found = refused(&text);
    assert!(found.to_string().contains("aliases"), "{found}");
}

#[test]
fn too_many_values_steps_and_expressions_are_too_large() {
    too_large(&blueprint(&format!("  - use: a.b\n    with: {{x: [{}]}}\n", "1,".repeat(200_000))));
    too_large(&blueprint(&"  - wait: 1s\n".repeat(2_001)));
    let text = "{{a}}".repeat(6_000);
    too_large(&blueprint(&format!("  - use: a.b\n    with: {{x: \"{text}\"}}\n")));
}

#[test]
fn many_mistakes_are_cut_off() {
    let text = blueprint(&"  - nonsense: {{ a }}\n  - use: x\n    wiht: 1\n".repeat(600));
    refused(&text);
    let many = (0..1_500).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "  - {{id: s{n}, if: steps.t{n}.x > 1, use: a.b}}");
        text
    });
    refused(&blueprint(&many));
}

#[test]
fn the_most_steps_are_read() {
    let text = blueprint(&"  - wait: 1s\n".repeat(2_000));
    assert_eq!(parse(&text).map(|b| b.steps.len()), Ok(2_000));
}
