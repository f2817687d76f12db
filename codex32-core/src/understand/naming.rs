//! Names for bots: the one that is given, or one from what the bot does.

use super::token::{Kind, Token};

/// Lower case letters, digits and hyphens, at most 63.
pub(super) fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
        if out.len() >= 63 {
            break;
        }
    }
    out.trim_matches('-').to_owned()
}

/// A word for an address: the last part of its path, else its host's name.
pub(super) fn url_word(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let last = url.path_segments()?.rfind(|s| !s.is_empty()).unwrap_or("");
    let stem = slug(last.split('.').next().unwrap_or(""));
    if stem.len() > 1 && stem.len() <= 24 && !stem.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return Some(stem);
    }
    let host = url.domain()?;
    let labels: Vec<&str> = host.split('.').filter(|l| !matches!(*l, "www" | "api" | "com" | "co")).collect();
    labels.first().map(|l| slug(l)).filter(|w| !w.is_empty())
}

/// The name that a sentence gives ("call it btc-watch"), and the tokens that do so.
pub(super) fn given(text: &str, tokens: &[Token]) -> Option<(String, std::ops::Range<usize>)> {
    for at in 0..tokens.len() {
        let verb =
            tokens[at].any(&["call", "name"]) && tokens.get(at + 1).is_some_and(|t| t.any(&["it", "this", "him"]));
        let verb_bot = tokens[at].any(&["call", "name"])
            && tokens.get(at + 1).is_some_and(|t| t.any(&["the", "this", "that"]))
            && tokens.get(at + 2).is_some_and(|t| t.is("bot"));
        let participle = tokens[at].any(&["bot", "automation", "workflow"])
            && tokens.get(at + 1).is_some_and(|t| t.any(&["named", "called"]));
        let skip = match (verb_bot, verb || participle) {
            (true, _) => 3,
            (false, true) => 2,
            _ => continue,
        };
        let Some(name) = tokens.get(at + skip) else { continue };
        let said = match &name.kind {
            Kind::Quoted(name) => name.as_str(),
            Kind::Word => super::trigger::raw(text, name),
            _ => continue,
        };
        // "when the bot called x fails" and "a bot called x with it" name another bot.
        let other = participle && at > 0 && tokens[..at].iter().any(|t| t.any(&["when", "if", "call", "run", "start"]));
        let slug = slug(said);
        if !other && !slug.is_empty() {
            let joint = tokens[..at]
                .iter()
                .rev()
                .take_while(|t| t.any(&["and", "then", "please"]) || t.punct() == Some(','))
                .count();
            let first = if participle { at + 1 } else { at - joint };
            return Some((slug, first..at + skip + 1));
        }
    }
    None
}

/// A name from where things come and where they go, that no bot has.
pub(super) fn derived(source: Option<&str>, target: Option<&str>, taken: &[String]) -> String {
    let parts: Vec<String> = [source, target].into_iter().flatten().map(slug).filter(|s| !s.is_empty()).collect();
    let base = match parts.as_slice() {
        [] => "my-bot".to_owned(),
        [one] => format!("{one}-bot"),
        [a, b, ..] if a == b => format!("{a}-bot"),
        [a, b, ..] => format!("{a}-to-{b}"),
    };
    free(&base, taken)
}

/// `name`, or with a number behind it where it is taken.
pub(super) fn free(name: &str, taken: &[String]) -> String {
    let base: String = name.chars().take(58).collect();
    let base = base.trim_matches('-');
    let all = std::iter::once(base.to_owned()).chain((2..10_000).map(|n| format!("{base}-{n}")));
    all.into_iter().find(|n| !taken.iter().any(|t| t == n)).unwrap_or_else(|| base.to_owned())
}
