//! Scripts inside a sentence: "run this python script: ... and email me its output if it fails".

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::token::{Kind, Token};
use crate::blueprint::Language;

/// A script that the sentence speaks of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    pub(super) language: Option<Language>,
    /// None: the sentence does not hold the code.
    pub(super) code: Option<String>,
    /// Bytes of the text that hold the code.
    pub(super) code_span: Option<Range<usize>>,
}

static MENTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(python|py|node(?:\.?js)?|javascript|js|shell|bash|sh)?\s*(?:3\s+)?\b(script|code|program|snippet|command)\b").ok()
});

/// What may follow a script on the same line: the rest of the sentence.
static TAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:[\s,;]+(?:and then|and|then)|[,;]|\n|\.)\s*(?:please\s+)?(?:(?:e?mail|send|tell|notify|post|slack|message|alert|restart|text|ping|inform|let|write|save|store|log|insert|keep|call)\s+(?:me|us|it|its|the|a|an|my|every|each|bot|to|on|in)\b|(?:if|when|whenever|unless)\s+(?:it|this|that|the)\b|(?:re)?start\s+it\b)").ok()
});

/// The script that `text` speaks of.
pub(super) fn find(text: &str, tokens: &[Token]) -> Option<Script> {
    let mention = MENTION.as_ref()?.captures_iter(text).find(|m| {
        let whole = m.get(0).map_or(0..0, |m| m.range());
        !tokens.iter().any(|t| !t.is_word() && t.span.start < whole.end && whole.start < t.span.end)
    })?;
    let end = mention.get(0)?.end();
    let named = mention.get(1).and_then(|m| language(m.as_str()));
    // A fenced or quoted block anywhere behind the mention.
    let behind = tokens.iter().filter(|t| t.span.start >= end);
    for token in behind {
        let found = match &token.kind {
            Kind::Code(fence, code) => Some((language(fence), code.clone())),
            Kind::Quoted(code) if quoted_code(text, end, token, code) => Some((None, code.clone())),
            _ => None,
        };
        if let Some((fence, code)) = found {
            let language = named.or(fence).or_else(|| guess(&code));
            return Some(Script { language, code: Some(code), code_span: Some(token.span.clone()) });
        }
    }
    let rest = &text[end..];
    // The colon of a time (2:30) leads to no code.
    let colons = rest.match_indices(':').map(|(at, _)| at);
    let colon = colons
        .filter(|at| {
            !rest[at + 1..].starts_with(|c: char| c.is_ascii_digit())
                || !rest[..*at].ends_with(|c: char| c.is_ascii_digit())
        })
        .find(|at| *at <= 80 && !rest[..*at].contains(['"', '.', '\n', '/']));
    let Some(colon) = colon else {
        return Some(Script { language: named, code: None, code_span: None });
    };
    let start = end + colon + 1;
    let stop = start + code_end(&text[start..]);
    let code = text[start..stop].trim_matches([' ', '\t', '\r']).trim_start_matches('\n').trim_end();
    if code.is_empty() {
        return Some(Script { language: named, code: None, code_span: None });
    }
    let language = named.or_else(|| guess(code));
    Some(Script { language, code: Some(code.to_owned()), code_span: Some(start..stop) })
}

/// A quoted text is code where it stands right behind the mention.
fn quoted_code(text: &str, end: usize, token: &Token, code: &str) -> bool {
    let between = text.get(end..token.span.start).unwrap_or("");
    !code.is_empty() && between.chars().all(|c| c.is_whitespace() || matches!(c, ':' | ','))
}

/// Where code that starts a text ends: before the words that go on with the sentence.
fn code_end(rest: &str) -> usize {
    let Some(tail) = TAIL.as_ref() else { return rest.len() };
    for found in tail.find_iter(rest) {
        let after = &rest[found.start()..];
        // What looks like code is still code.
        let plain = !after.contains(['=', '(', ')', '{', '}', ';'])
            || after.trim_start_matches([';', ',']).find(['=', '(', ')', ';']).is_none();
        let balanced = open_brackets(&rest[..found.start()]) == 0;
        if plain && balanced {
            return found.start();
        }
    }
    rest.len()
}

fn open_brackets(code: &str) -> i32 {
    code.chars()
        .map(|c| match c {
            '(' | '[' | '{' => 1,
            ')' | ']' | '}' => -1,
            _ => 0,
        })
        .sum()
}

/// The language that a word names.
pub(super) fn language(name: &str) -> Option<Language> {
    match name.to_ascii_lowercase().as_str() {
        "python" | "py" | "python3" => Some(Language::Python),
        "node" | "nodejs" | "node.js" | "javascript" | "js" | "mjs" => Some(Language::Node),
        "shell" | "bash" | "sh" => Some(Language::Shell),
        _ => None,
    }
}

/// The language that code is most likely written in.
fn guess(code: &str) -> Option<Language> {
    let has = |marks: &[&str]| marks.iter().any(|m| code.contains(m));
    if has(&["console.", "const ", "let ", "=>", "require(", "function ", "export default", "setInterval", "process."])
    {
        Some(Language::Node)
    } else if has(&["import ", "def ", "print(", "raise ", "sys."]) {
        Some(Language::Python)
    } else {
        None
    }
}
