//! Where one clause ends and the next begins, and how they hang together.

use winnow::Parser;
use winnow::combinator::{alt, opt, peek, preceded, repeat};
use winnow::error::EmptyError;
use winnow::token::any;

use super::lexicon::{self, NOUNS_TOO, OPENERS, VERBS};
use super::token::{Kind, Token};

/// The word that opens a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    /// None: something to do.
    Plain,
    When,
    If,
    Unless,
    Each,
    Else,
    /// "before posting ...": asks first.
    Before,
    /// "after 10 minutes".
    After,
}

/// What stands between a clause and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing: "tell me | if it is down".
    Direct,
    /// A comma, "and", "then".
    Joined,
    /// The end of a sentence.
    Stop,
}

/// A clause without its opener and link.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clause {
    pub(super) opener: Opener,
    pub(super) link: Link,
    pub(super) tokens: Vec<Token>,
    /// It stood behind what it governs, and governs that alone.
    pub(super) behind: bool,
}

impl Clause {
    /// Its place in the text.
    pub(super) fn span(&self) -> std::ops::Range<usize> {
        let start = self.tokens.first().map_or(0, |t| t.span.start);
        start..self.tokens.last().map_or(start, |t| t.span.end)
    }

    pub(super) fn has(&self, words: &[&str]) -> bool {
        self.tokens.iter().any(|t| t.any(words))
    }

    pub(super) fn has_stem(&self, stems: &[&str]) -> bool {
        self.tokens.iter().any(|t| stems.contains(&t.stem.as_str()))
    }

    /// The base form of the verb that it begins with.
    pub(super) fn verb(&self) -> Option<&'static str> {
        let word = |t: &&Token| t.is_word() && !(t.any(lexicon_fillers()) && lexicon::verb(&t.word).is_none());
        self.tokens.iter().find(word).and_then(|t| lexicon::verb(&t.word))
    }
}

fn lexicon_fillers() -> &'static [&'static str] {
    &lexicon::FILLERS
}

type In<'a> = &'a [Token];
type P<T> = Result<T, EmptyError>;

fn word<'a>(words: &'static [&'static str]) -> impl Parser<In<'a>, (), EmptyError> {
    any.verify_map(move |t: Token| (t.is_word() && t.any(words)).then_some(()))
}

fn punct<'a>(marks: &'static [char]) -> impl Parser<In<'a>, (), EmptyError> {
    any.verify_map(move |t: Token| t.punct().is_some_and(|c| marks.contains(&c)).then_some(()))
}

/// "please", "can you", "I want a bot that": said before what is wanted.
fn courtesy(i: &mut In<'_>) -> P<()> {
    let wish = (
        word(&["i", "we", "i'd", "we'd"]),
        opt(word(&["would", "really", "just"])),
        word(&["want", "need", "like", "wish", "love"]),
        opt(word(&["you", "it", "codex", "codex32"])),
        opt(word(&["to"])),
    );
    let ask = (word(&["can", "could", "would", "will"]), word(&["you", "codex", "it"]), opt(word(&["please"])));
    let bot = (
        opt(word(&["build", "make", "create", "set", "write", "give", "get", "have", "start", "design"])),
        opt(word(&["up", "me", "us"])),
        opt(word(&["a", "an", "the", "this", "my"])),
        opt(word(&["new", "simple", "little", "small"])),
        word(&["bot", "automation", "workflow", "job", "task", "agent", "zap"]),
        opt(word(&["that", "which", "to", "who"])),
        opt(word(&["will", "should", "can", "would"])),
    );
    alt((
        wish.void(),
        ask.void(),
        bot.void(),
        word(&["please", "hey", "hi", "hello", "ok", "okay", "kindly", "just", "basically", "so"]),
        (word(&["make"]), word(&["sure"]), opt(word(&["to", "that", "you"]))).void(),
        punct(&[',', ':', '-', '\n', '!', '.']),
    ))
    .parse_next(i)
}

/// The word that opens a subordinate clause, and whether it needs more before it is one.
fn opener(i: &mut In<'_>) -> P<Opener> {
    let only = || opt(word(&["only", "but", "even", "and"]));
    let gerund = any.verify(|t: &Token| t.is_word() && t.word.ends_with("ing"));
    let condition = alt((
        preceded(only(), word(&["if", "provided", "assuming"])).value(Opener::If),
        preceded(only(), word(&["unless"])).value(Opener::Unless),
        preceded(only(), word(&["when", "whenever"])).value(Opener::When),
        (word(&["as"]), word(&["soon", "long"]), word(&["as"])).value(Opener::When),
        (word(&["every", "each", "any"]), word(&["time"]), opt(word(&["that"]))).value(Opener::When),
        word(&["once", "upon"]).value(Opener::When),
        (word(&["in"]), word(&["case"]), opt(word(&["of", "that"]))).value(Opener::If),
    ));
    let each = (word(&["for"]), word(&["each", "every", "all", "any"]), opt(word(&["of"])), opt(word(&["the"])));
    let before = (word(&["before"]), peek(alt((gerund.void(), word(&["you", "it", "the"])))));
    let after = (word(&["after"]), peek(any.verify(|t: &Token| !t.any(&["that", "this", "which"]))));
    let incoming = (
        word(&["on", "for", "upon"]),
        word(&["every", "each", "any", "a", "an", "new"]),
        peek((opt(word(&["new", "incoming"])), word(&["webhook", "request", "submission", "event"]))),
    );
    alt((
        condition,
        incoming.value(Opener::When),
        each.value(Opener::Each),
        word(&["otherwise", "else"]).value(Opener::Else),
        before.value(Opener::Before),
        after.value(Opener::After),
    ))
    .parse_next(i)
}

/// Words between clauses: "and then also".
fn link(i: &mut In<'_>) -> P<Link> {
    let soft = || word(&["and", "then", "also", "but", "plus", "finally", "afterwards", "so", "please", "or", "next"]);
    let after = (word(&["after"]), word(&["that", "this", "which"]));
    let stop = punct(&[';', '.', '!', '?', '\n', '•', '·']);
    alt((
        (stop, repeat::<_, _, (), _, _>(0.., alt((punct(&['\n', '-', '*', '•', ',', '.']), soft(), after.void()))))
            .value(Link::Stop),
        (
            punct(&[',', ':', '-', '–', '—', '&', '>', '→']),
            repeat::<_, _, (), _, _>(0.., alt((soft(), punct(&['>', ','])))),
        )
            .value(Link::Joined),
        repeat::<_, _, (), _, _>(1.., soft()).value(Link::Joined),
    ))
    .parse_next(i)
}

/// Splits a sentence, its schedule and its scripts taken out, into clauses in the order of their meaning.
pub(super) fn clauses(tokens: &[Token]) -> Vec<Clause> {
    let mut rest = tokens;
    let mut third_person = false;
    loop {
        let mut ahead = rest;
        if courtesy(&mut ahead).is_err() || ahead.len() == rest.len() {
            break;
        }
        let said = &rest[..rest.len() - ahead.len()];
        third_person |= said.iter().any(|t| t.any(&["that", "which", "who"]));
        rest = ahead;
    }
    let mut found: Vec<Clause> = Vec::new();
    let mut current = Clause { opener: Opener::Plain, link: Link::Stop, tokens: Vec::new(), behind: false };
    while !rest.is_empty() {
        if let Some((link, opener, used)) = boundary(rest, &current, third_person) {
            let next = Clause { opener, link, tokens: Vec::new(), behind: false };
            let last = std::mem::replace(&mut current, next);
            if !last.tokens.is_empty() || matches!(last.opener, Opener::Else) {
                found.push(last);
            } else if current.link == Link::Direct || last.link == Link::Stop {
                current.link = last.link;
            }
            rest = &rest[used..];
            // A boundary in front of the verb itself takes no token.
            if used > 0 || rest.is_empty() {
                continue;
            }
        }
        current.tokens.push(rest[0].clone());
        rest = &rest[1..];
    }
    if !current.tokens.is_empty() || current.opener == Opener::Else {
        found.push(current);
    }
    reordered(found)
}

/// Whether a clause begins at the start of `rest`: its link, opener and how many tokens say so.
fn boundary(rest: &[Token], current: &Clause, third: bool) -> Option<(Link, Opener, usize)> {
    let empty = current.tokens.is_empty();
    let mut ahead = rest;
    if let Ok(link) = link(&mut ahead) {
        let after_link = rest.len() - ahead.len();
        let mut after = ahead;
        if let Ok(opener) = opener(&mut after) {
            return Some((link, opener, rest.len() - after.len()));
        }
        let colon = rest[0].punct() == Some(':');
        let starts = ahead.is_empty() || (verb_at(ahead, third) && !colon);
        if link == Link::Stop || (starts && !(empty && link == Link::Joined && ahead.is_empty())) {
            return Some((link, Opener::Plain, after_link));
        }
        return None;
    }
    let mut after = rest;
    // "check if", "see whether": what is asked belongs to the verb.
    let asking =
        current.tokens.last().is_some_and(|t| t.any(&["check", "see", "know", "test", "whether", "verify", "ask"]));
    if !asking && let Ok(opener) = opener(&mut after) {
        let link = if empty { current.link } else { Link::Direct };
        return Some((link, opener, rest.len() - after.len()));
    }
    let subordinate = !matches!(current.opener, Opener::Plain | Opener::Before);
    let enough = current.tokens.len() >= if current.opener == Opener::Each { 1 } else { 2 };
    let after_noun = current.tokens.last().is_some_and(|t| !t.any(&BEFORE_NOUN));
    (subordinate && enough && after_noun && verb_at(rest, third)).then_some((Link::Direct, Opener::Plain, 0))
}

/// Words behind which a verb's form is a noun.
const BEFORE_NOUN: [&str; 34] = [
    "a", "an", "the", "with", "to", "of", "in", "on", "field", "fields", "each", "every", "new", "this", "is", "are",
    "not", "bot", "table", "event", "called", "named", "its", "my", "i", "you", "for", "by", "from", "than",
    "contains", "says", "equals", "and",
];

/// Whether a verb that tells what to do stands at the start of `rest`.
fn verb_at(rest: &[Token], third: bool) -> bool {
    let Some(first) = rest.first().filter(|t| t.is_word()) else { return false };
    let third_form = third && first.word.ends_with('s') && lexicon::verb(&first.word).is_some();
    if first.is("only") {
        return verb_at(&rest[1..], third);
    }
    if !VERBS.contains(&first.word.as_str()) && !third_form {
        return false;
    }
    if !NOUNS_TOO.contains(&first.word.as_str()) {
        return true;
    }
    rest.get(1).is_some_and(|next| match &next.kind {
        Kind::Word => {
            next.any(&OPENERS)
                || next.capital
                || next.any(&[
                    "bot", "script", "python", "node", "shell", "slack", "discord", "telegram", "items", "rows",
                    "people", "number", "row", "files",
                ])
                || next.owns
                || (first.any(&["run", "call"]) && !next.any(&["is", "was", "has", "and", "to"]))
        }
        Kind::Punct(_) | Kind::Newline | Kind::Number(_) => false,
        _ => true,
    })
}

/// Puts a condition that stands behind what it governs in front of it.
fn reordered(clauses: Vec<Clause>) -> Vec<Clause> {
    let mut out: Vec<Clause> = Vec::new();
    let count = clauses.len();
    let followed = |i: usize, all: &[Clause]| {
        all.get(i + 1).is_some_and(|n| n.opener == Opener::Plain && n.link == Link::Direct)
            || all
                .get(i + 1)
                .is_some_and(|n| n.opener == Opener::Plain && n.link == Link::Joined && all[i].link != Link::Direct)
    };
    for i in 0..count {
        let mut clause = clauses[i].clone();
        let governs =
            matches!(clause.opener, Opener::When | Opener::If | Opener::Unless | Opener::Before | Opener::Each);
        let last = out.last().is_some_and(|c: &Clause| c.opener == Opener::Plain);
        let behind = governs && last && clause.link != Link::Stop && !followed(i, &clauses);
        let before_behind = clause.opener == Opener::Before && last;
        if behind && !before_behind {
            clause.behind = true;
            let at = out.len() - 1;
            clause.link = out[at].link;
            out[at].link = Link::Direct;
            out.insert(at, clause);
        } else {
            out.push(clause);
        }
    }
    out
}
