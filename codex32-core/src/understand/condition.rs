//! Conditions: "usd is below 50000", "it is down", "the title changes and contains x".

use winnow::Parser;
use winnow::combinator::{alt, opt};
use winnow::error::EmptyError;
use winnow::token::any;

use super::token::{Kind, Token};

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    Less,
    Greater,
    AtMost,
    AtLeast,
    Equal,
    NotEqual,
    Contains,
    Lacks,
    Starts,
    Ends,
    Empty,
    Filled,
    Between(f64, f64),
    Changes,
    /// Older than so many milliseconds.
    Older(u64),
    Down,
    Up,
    Fails,
    Succeeds,
    Exists,
    Missing,
}

/// What a thing is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Number(f64),
    Text(String),
    Bool(bool),
    None,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    /// The words that name what is tested; empty: what was spoken of last.
    pub(super) subject: Vec<Token>,
    pub(super) op: Op,
    pub(super) operand: Operand,
    /// Words behind the operand ("rows in table orders").
    pub(super) tail: Vec<Token>,
}

/// Tests joined by "and" or "or" (from left to right).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) tests: Vec<Test>,
    /// For each test but the first: whether "or" stands before it.
    pub(super) ors: Vec<bool>,
}

type In<'a> = &'a [Token];
type P<T> = Result<T, EmptyError>;

fn word<'a>(words: &'static [&'static str]) -> impl Parser<In<'a>, (), EmptyError> {
    any.verify_map(move |t: Token| (t.is_word() && t.any(words)).then_some(()))
}

fn number(i: &mut In<'_>) -> P<f64> {
    any.verify_map(|t: Token| match t.kind {
        Kind::Number(n) => Some(n),
        _ => None,
    })
    .parse_next(i)
}

fn mark<'a>(text: &'static str) -> impl Parser<In<'a>, (), EmptyError> {
    move |i: &mut In<'a>| -> P<()> {
        for c in text.chars() {
            any.verify(|t: &Token| t.punct() == Some(c)).parse_next(i)?;
        }
        Ok(())
    }
}

/// "is", "falls", "gets": what may stand before the comparison.
fn is(i: &mut In<'_>) -> P<()> {
    let be = word(&[
        "is", "are", "was", "were", "be", "becomes", "become", "gets", "goes", "falls", "drops", "rises", "stays",
        "reads", "turns", "comes", "has", "hits", "isn't", "aren't", "climbs", "dips",
    ]);
    (be, opt(word(&["currently", "now", "still", "ever"]))).void().parse_next(i)
}

fn negated(i: &mut In<'_>) -> P<()> {
    alt((
        word(&["isn't", "aren't", "wasn't", "isnt"]),
        (word(&["is", "are", "was", "does", "do", "did", "has", "can"]), word(&["not", "no"])).void(),
        word(&["doesn't", "don't", "didn't", "cannot", "can't"]),
    ))
    .parse_next(i)
}

/// The comparison itself, with what it is compared with where that is part of it.
fn operator(i: &mut In<'_>) -> P<Op> {
    alt((state, order, equality, text, presence)).parse_next(i)
}

fn state(i: &mut In<'_>) -> P<Op> {
    let down = alt((
        (is, word(&["down", "offline", "unreachable", "dead", "unavailable", "broken", "inaccessible"])).void(),
        (
            negated,
            word(&[
                "up",
                "online",
                "reachable",
                "available",
                "responding",
                "respond",
                "answer",
                "answering",
                "working",
                "work",
                "alive",
                "ok",
                "healthy",
                "load",
                "accessible",
            ]),
        )
            .void(),
        (negated, word(&["be"]), word(&["reached"])).void(),
        (word(&["goes", "went"]), word(&["down", "offline"])).void(),
        (word(&["stops"]), word(&["responding", "answering", "working"])).void(),
        (word(&["times"]), word(&["out"])).void(),
    ));
    let up = (
        is,
        alt((
            word(&["up", "online", "reachable", "available", "alive", "ok", "healthy"]),
            (word(&["back"]), opt(word(&["up", "online"]))).void(),
        )),
    )
        .void();
    let fails = alt((
        word(&[
            "fails", "fail", "failed", "crashes", "crash", "crashed", "errors", "breaks", "dies", "die", "exits",
            "stops", "failing", "errored",
        ]),
        (word(&["goes"]), word(&["wrong"])).void(),
        (
            word(&["has", "throws", "raises", "gets", "returns", "is", "hits"]),
            opt(word(&["an", "any"])),
            word(&["error", "errors", "exception", "failure"]),
        )
            .void(),
        (negated, word(&["succeed", "finish", "complete", "work", "run", "exit"])).void(),
    ));
    let succeeds = alt((
        word(&[
            "succeeds",
            "succeed",
            "succeeded",
            "finishes",
            "finished",
            "completes",
            "completed",
            "works",
            "passes",
        ]),
        (is, word(&["successful", "done", "finished", "complete", "ready"])).void(),
    ));
    let changes = alt((
        word(&["changes", "change", "changed", "differs"]),
        (word(&["has", "is"]), word(&["changed", "different", "updated", "new"])).void(),
        (word(&["gets"]), word(&["updated", "changed"])).void(),
    ));
    alt((
        down.value(Op::Down),
        up.value(Op::Up),
        fails.value(Op::Fails),
        succeeds.value(Op::Succeeds),
        changes.value(Op::Changes),
    ))
    .parse_next(i)
}

fn order(i: &mut In<'_>) -> P<Op> {
    let than = || word(&["than"]);
    let between = (opt(is), word(&["between"]), number, word(&["and", "to"]), number)
        .map(|(_, (), a, (), b)| Op::Between(a.min(b), a.max(b)));
    let older = (opt(is), word(&["older"]), than(), length).map(|(_, (), (), ms)| Op::Older(ms));
    let less = (
        opt(negated),
        opt(is),
        alt((
            word(&["below", "under", "beneath"]),
            (word(&["less", "lower", "smaller", "fewer", "cheaper", "slower"]), than()).void(),
            mark("<"),
        )),
    );
    let greater = (
        opt(negated),
        opt(is),
        alt((
            word(&["above", "over", "exceeds", "exceed", "exceeding", "beyond"]),
            (word(&["greater", "higher", "more", "larger", "bigger", "longer"]), than()).void(),
            mark(">"),
        )),
    );
    let at_least = (
        opt(is),
        alt((
            (word(&["at"]), word(&["least"])).void(),
            (word(&["no"]), word(&["less", "fewer", "lower"]), than()).void(),
            (word(&["greater", "more"]), than(), word(&["or"]), word(&["equal"]), opt(word(&["to"]))).void(),
            mark(">="),
            mark("≥"),
            word(&["reaches", "reached"]),
        )),
    );
    let at_most = (
        opt(is),
        alt((
            (word(&["at"]), word(&["most"])).void(),
            (word(&["no"]), word(&["more", "greater", "higher"]), than()).void(),
            (word(&["less", "fewer"]), than(), word(&["or"]), word(&["equal"]), opt(word(&["to"]))).void(),
            mark("<="),
            mark("≤"),
        )),
    );
    alt((
        between,
        older,
        at_least.value(Op::AtLeast),
        at_most.value(Op::AtMost),
        less.map(|(not, ..)| if not.is_some() { Op::AtLeast } else { Op::Less }),
        greater.map(|(not, ..)| if not.is_some() { Op::AtMost } else { Op::Greater }),
    ))
    .parse_next(i)
}

fn text(i: &mut In<'_>) -> P<Op> {
    let contain = || {
        word(&[
            "contains",
            "contain",
            "containing",
            "includes",
            "include",
            "including",
            "mentions",
            "mention",
            "says",
            "say",
            "matches",
        ])
    };
    let lacks = (negated, contain());
    let starts = (word(&["starts", "begins"]), word(&["with"]));
    let ends = (word(&["ends"]), word(&["with", "in"]));
    alt((lacks.value(Op::Lacks), contain().value(Op::Contains), starts.value(Op::Starts), ends.value(Op::Ends)))
        .parse_next(i)
}

fn presence(i: &mut In<'_>) -> P<Op> {
    let empty = || word(&["empty", "blank"]);
    alt((
        (negated, empty()).value(Op::Filled),
        (is, empty()).value(Op::Empty),
        (is, word(&["missing", "absent"])).value(Op::Missing),
        (negated, word(&["exist", "there", "present"])).value(Op::Missing),
        (is, word(&["present", "set", "there"])).value(Op::Exists),
        word(&["exists", "exist"]).value(Op::Exists),
    ))
    .parse_next(i)
}

fn equality(i: &mut In<'_>) -> P<Op> {
    let equal = || word(&["equals", "equal"]);
    let other = (word(&["other"]), word(&["than"]));
    // "is empty" and "is down" are read before.
    let plain = any.verify(|t: &Token| {
        !t.any(&["empty", "blank", "missing", "absent", "present", "set", "there", "not", "between"])
    });
    alt((
        (negated, opt(equal()), opt(word(&["to"]))).value(Op::NotEqual),
        (mark("!=")).value(Op::NotEqual),
        (is, other).value(Op::NotEqual),
        (opt(is), equal(), opt(word(&["to"]))).value(Op::Equal),
        (mark("==")).value(Op::Equal),
        (mark("=")).value(Op::Equal),
        (is, winnow::combinator::peek(plain)).value(Op::Equal),
        (word(&["returns"]), winnow::combinator::peek(any)).value(Op::Equal),
    ))
    .parse_next(i)
}

/// A length of time in milliseconds: "3 days".
pub(super) fn length(i: &mut In<'_>) -> P<u64> {
    let count = alt((number, word(&["a", "an", "one"]).value(1.0)));
    let unit = any.verify_map(|t: Token| unit_ms(&t.word));
    (count, unit)
        .verify_map(|(n, unit)| {
            let ms = n * unit as f64;
            (1.0..1e14).contains(&ms).then_some(ms as u64)
        })
        .parse_next(i)
}

pub(super) fn unit_ms(word: &str) -> Option<u64> {
    Some(match word {
        "ms" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        "w" | "week" | "weeks" => 604_800_000,
        "month" | "months" => 2_592_000_000,
        _ => return None,
    })
}

/// The condition that `tokens` say; None where they are none.
pub(super) fn parse(tokens: &[Token]) -> Option<Condition> {
    let (first, mut rest) = test(tokens)?;
    let mut condition = Condition { tests: vec![first], ors: Vec::new() };
    while let Some(joint) = rest.first() {
        let or = joint.is("or");
        if !(or || joint.is("and") || joint.is("but")) {
            break;
        }
        let Some((mut next, after)) = test(&rest[1..]) else { break };
        if next.subject.is_empty() {
            next.subject.clone_from(&condition.tests[0].subject);
        }
        condition.ors.push(or);
        condition.tests.push(next);
        rest = after;
    }
    if let Some(last) = condition.tests.last_mut() {
        last.tail = rest.to_vec();
    }
    Some(condition)
}

/// One test and what is left behind it.
fn test(tokens: &[Token]) -> Option<(Test, &[Token])> {
    for at in 0..tokens.len().min(16) {
        let mut rest = &tokens[at..];
        let Ok(op) = operator(&mut rest) else { continue };
        let subject = tokens[..at].to_vec();
        let needs = matches!(
            op,
            Op::Less
                | Op::Greater
                | Op::AtLeast
                | Op::AtMost
                | Op::Equal
                | Op::NotEqual
                | Op::Contains
                | Op::Lacks
                | Op::Starts
                | Op::Ends
        );
        let operand = if needs { operand(&mut rest, &op)? } else { Operand::None };
        let (op, operand) = or_more(op, operand, &mut rest);
        return Some((Test { subject, op, operand, tail: Vec::new() }, rest));
    }
    None
}

/// "is 5 or more", "is 5 or less".
fn or_more(op: Op, operand: Operand, rest: &mut &[Token]) -> (Op, Operand) {
    let (Op::Equal, Operand::Number(_)) = (&op, &operand) else { return (op, operand) };
    match rest {
        [or, more, tail @ ..] if or.is("or") && more.any(&["more", "higher", "above", "greater"]) => {
            *rest = tail;
            (Op::AtLeast, operand)
        }
        [or, less, tail @ ..] if or.is("or") && less.any(&["less", "lower", "below", "fewer"]) => {
            *rest = tail;
            (Op::AtMost, operand)
        }
        _ => (op, operand),
    }
}

fn operand(rest: &mut &[Token], op: &Op) -> Option<Operand> {
    while let [first, tail @ ..] = rest {
        if first.any(&["the", "a", "an", "to", "word", "text", "phrase", "string", "value", "exactly"]) {
            *rest = tail;
        } else {
            break;
        }
    }
    let (first, tail) = rest.split_first()?;
    let ordered = matches!(op, Op::Less | Op::Greater | Op::AtLeast | Op::AtMost);
    let found = match &first.kind {
        Kind::Number(n) => {
            *rest = match tail {
                // "50,000 dollars"; "2 seconds" counts as milliseconds.
                [unit, more @ ..]
                    if unit.any(&["dollars", "euros", "usd", "eur", "percent", "degrees", "ms", "points"]) =>
                {
                    more
                }
                [unit, more @ ..] if ordered && unit_ms(&unit.word).is_some_and(|ms| ms <= 3_600_000) => {
                    *rest = more;
                    return Some(Operand::Number(n * unit_ms(&unit.word).unwrap_or(1) as f64));
                }
                _ => tail,
            };
            return Some(Operand::Number(*n));
        }
        Kind::Quoted(text) => Operand::Text(text.clone()),
        _ if ordered => return None,
        Kind::Word if first.any(&["true", "yes"]) => Operand::Bool(true),
        Kind::Word if first.any(&["false", "no"]) => Operand::Bool(false),
        Kind::Word => Operand::Text(first.word.clone()),
        Kind::Url(text) | Kind::Email(text) | Kind::Path(text) | Kind::Channel(text) => Operand::Text(text.clone()),
        _ => return None,
    };
    *rest = tail;
    Some(found)
}
