//! A sentence as tokens with their places: words, numbers, addresses, paths,
//! quoted text, JSON, code.

use std::ops::Range;

use serde_json::Value;

use super::lexicon;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Word,
    Number(f64),
    Url(String),
    Email(String),
    Path(String),
    Quoted(String),
    /// A fenced block of code and the language that its fence names.
    Code(String, String),
    Json(Value),
    /// `#alerts`.
    Channel(String),
    Punct(char),
    Newline,
}

/// A token and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
    /// Lower case, misspelt known words put right; empty for what is no word.
    pub(super) word: String,
    pub(super) stem: String,
    /// `'s` stood behind it.
    pub(super) owns: bool,
    pub(super) capital: bool,
}

impl Token {
    pub(super) fn is(&self, word: &str) -> bool {
        self.word == word
    }

    pub(super) fn any(&self, words: &[&str]) -> bool {
        words.contains(&self.word.as_str())
    }

    pub(super) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }

    pub(super) fn punct(&self) -> Option<char> {
        match self.kind {
            Kind::Punct(c) => Some(c),
            Kind::Newline => Some('\n'),
            _ => None,
        }
    }

    pub(super) fn url(&self) -> Option<&str> {
        match &self.kind {
            Kind::Url(url) => Some(url),
            _ => None,
        }
    }

    pub(super) fn path(&self) -> Option<&str> {
        match &self.kind {
            Kind::Path(path) => Some(path),
            _ => None,
        }
    }
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c == '\n' {
            push(&mut out, Kind::Newline, at..at + 1, text);
            at += 1;
        } else if c.is_whitespace() || c == '\u{feff}' {
            at += c.len_utf8();
        } else {
            let (kind, length) = next(text, at);
            let length = length.max(c.len_utf8());
            push(&mut out, kind, at..at + length, text);
            at += length;
        }
    }
    out
}

fn push(out: &mut Vec<Token>, kind: Kind, span: Range<usize>, text: &str) {
    let raw = &text[span.clone()];
    let mut token = Token { kind, span, word: String::new(), stem: String::new(), owns: false, capital: false };
    if token.is_word() {
        let lower = raw.to_lowercase().replace('’', "'");
        let (bare, owns) = match lower.strip_suffix("'s") {
            // "it's" is "it is"; "what's" and "let's" are not possessive either.
            Some(bare) if !matches!(bare, "let" | "what" | "that" | "there") => (bare.to_owned(), true),
            _ => (lower.strip_suffix("s'").map_or(lower.clone(), |w| format!("{w}s")), lower.ends_with("s'")),
        };
        token.word = lexicon::corrected(&bare).map_or(bare, str::to_owned);
        token.stem = lexicon::stem(&token.word);
        token.owns = owns;
        token.capital = raw.chars().next().is_some_and(char::is_uppercase);
    }
    out.push(token);
}

/// The token at `at`, and its length in bytes.
fn next(text: &str, at: usize) -> (Kind, usize) {
    let rest = &text[at..];
    let boundary = at == 0 || text[..at].ends_with(|c: char| c.is_whitespace() || "([{,:;=".contains(c));
    fence(rest)
        .or_else(|| url(rest))
        .or_else(|| json(rest))
        .or_else(|| quoted(rest, boundary))
        .or_else(|| boundary.then(|| path(rest)).flatten())
        .or_else(|| channel(rest, boundary))
        .or_else(|| email(rest))
        .or_else(|| number(rest))
        .unwrap_or_else(|| word(rest))
}

fn fence(rest: &str) -> Option<(Kind, usize)> {
    let body = rest.strip_prefix("```")?;
    let end = body.find("```")?;
    let inner = &body[..end];
    let first = inner.find('\n').unwrap_or(0);
    let language = inner[..first].trim();
    let named = !language.is_empty() && language.chars().all(|c| c.is_ascii_alphanumeric());
    let (language, code) = if named { (language.to_lowercase(), &inner[first..]) } else { (String::new(), inner) };
    let code = code.trim_matches(['\n', '\r']).to_owned();
    Some((Kind::Code(language, code), end + 6))
}

/// Where text that holds no space ends.
fn solid(rest: &str) -> usize {
    rest.find(|c: char| c.is_whitespace() || "\"<>`“”".contains(c)).unwrap_or(rest.len())
}

fn trimmed(text: &str) -> &str {
    let mut text = text.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '’']);
    for possessive in ["'s", "’s"] {
        text = text.strip_suffix(possessive).unwrap_or(text);
    }
    // A bracket that was not opened inside belongs to the sentence.
    while text.ends_with(')') && text.matches('(').count() < text.matches(')').count() {
        text = text[..text.len() - 1].trim_end_matches(['.', ',']);
    }
    text
}

fn url(rest: &str) -> Option<(Kind, usize)> {
    let head = rest.get(..8).or_else(|| rest.get(..7))?.to_ascii_lowercase();
    if head.starts_with("http://") || head.starts_with("https://") {
        let raw = trimmed(&rest[..solid(rest)]);
        return url::Url::parse(raw).ok().filter(url::Url::has_host).map(|_| (Kind::Url(raw.to_owned()), raw.len()));
    }
    let raw = trimmed(&rest[..solid(rest)]);
    let host = raw.split(['/', ':', '?']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let good = labels.len() >= 2
        && labels.iter().all(|l| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    let known = labels.last().is_some_and(|tld| lexicon::TLDS.contains(&tld.to_ascii_lowercase().as_str()));
    let address = good && known && !raw.contains('@');
    address.then(|| (Kind::Url(format!("https://{raw}")), raw.len()))
}

/// Balanced `{...}` or `[...]` that is JSON.
fn json(rest: &str) -> Option<(Kind, usize)> {
    if !rest.starts_with(['{', '[']) || rest.starts_with("{{") {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((Kind::Json(value), values.byte_offset()))
}

fn quoted(rest: &str, boundary: bool) -> Option<(Kind, usize)> {
    let open = rest.chars().next()?;
    let close = match open {
        '"' => '"',
        '`' => '`',
        '“' | '„' => '”',
        '\'' | '‘' if boundary => {
            if open == '\'' {
                '\''
            } else {
                '’'
            }
        }
        _ => return None,
    };
    let body = &rest[open.len_utf8()..];
    let ends = |(i, c): &(usize, char)| {
        let after = body[i + c.len_utf8()..].chars().next();
        let closes = *c == close || (close == '”' && *c == '“');
        closes && (open != '\'' || !after.is_some_and(char::is_alphanumeric))
    };
    let (end, c) = body.char_indices().find(ends)?;
    let inner = &body[..end];
    (inner.len() <= 8_192).then(|| (Kind::Quoted(inner.to_owned()), open.len_utf8() + end + c.len_utf8()))
}

/// `/data/in`, `~/x`, `./x`.
fn path(rest: &str) -> Option<(Kind, usize)> {
    let start = rest.starts_with("~/") || rest.starts_with("./") || {
        let mut chars = rest.chars();
        chars.next() == Some('/') && chars.next().is_some_and(|c| c.is_alphanumeric() || "._-*".contains(c))
    };
    let raw = trimmed(&rest[..solid(rest)]);
    (start && raw.len() > 1).then(|| (Kind::Path(raw.to_owned()), raw.len()))
}

fn channel(rest: &str, boundary: bool) -> Option<(Kind, usize)> {
    let name = rest.strip_prefix('#').filter(|_| boundary)?;
    let end = name.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).unwrap_or(name.len());
    (end > 0).then(|| (Kind::Channel(format!("#{}", &name[..end])), end + 1))
}

fn email(rest: &str) -> Option<(Kind, usize)> {
    let raw = trimmed(&rest[..solid(rest)]);
    let raw = raw.split(',').next()?;
    let (user, host) = raw.split_once('@')?;
    let plain = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "._%+-".contains(c));
    (plain(user) && plain(host) && !host.starts_with('.')).then(|| (Kind::Email(raw.to_owned()), raw.len()))
}

/// `50000`, `50,000`, `$3.50`, `50k`, `80%`.
fn number(rest: &str) -> Option<(Kind, usize)> {
    let sign = rest.len() - rest.trim_start_matches(['$', '€', '£']).len();
    let body = &rest[sign..];
    let negative =
        usize::from(sign == 0 && body.starts_with('-') && body[1..].starts_with(|c: char| c.is_ascii_digit()));
    let digits =
        body[negative..].find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(body.len() - negative);
    let raw = body[negative..negative + digits].trim_end_matches(['.', ',']);
    if !raw.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut length = sign + negative + raw.len();
    let mut value: f64 = raw.replace(',', "").parse().ok()?;
    let tail = &rest[length..];
    let alone = |n: usize| !tail[n..].starts_with(|c: char| c.is_alphanumeric());
    for (suffix, factor) in [("k", 1e3), ("K", 1e3), ("M", 1e6), ("%", 1.0), ("€", 1.0), ("$", 1.0)] {
        if tail.starts_with(suffix) && alone(suffix.len()) {
            value *= factor;
            length += suffix.len();
            break;
        }
    }
    if rest[length..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    Some((Kind::Number(if negative == 1 { -value } else { value }), length))
}

fn word(rest: &str) -> (Kind, usize) {
    let inner = |c: char| c.is_alphanumeric() || "_-.'’".contains(c);
    let end = rest.find(|c: char| !inner(c)).unwrap_or(rest.len());
    let raw = rest[..end].trim_end_matches(['-', '.', '\'', '’']);
    let raw = if rest[raw.len()..].starts_with('\'') && raw.ends_with('s') { &rest[..=raw.len()] } else { raw };
    match raw.chars().next() {
        Some(c) if c.is_alphanumeric() || c == '_' => (Kind::Word, raw.len()),
        _ => {
            let c = rest.chars().next().unwrap_or(' ');
            (Kind::Punct(c), c.len_utf8())
        }
    }
}
