//! What a clause speaks of: "its title and link", "the number of rows in table orders", "it".

use serde_json::{Map, Value};

use super::plan::{Plan, Subject, member, template};
use super::token::{Kind, Token};

/// The error of the bot whose end started this one.
pub(super) const BOT_ERROR: &str = "has(input.error.message) ? input.error.message : input.error";

/// What is sent, stored or shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// Text that was given.
    Text(String),
    Json(Value),
    /// All of something, as an expression.
    Whole(String),
    /// Named parts: name and expression.
    Parts(Vec<(String, String)>),
    /// A figure with what people call it.
    Figure(String, String),
}

impl Content {
    /// As a message.
    pub(super) fn message(&self) -> String {
        match self {
            Content::Text(text) => text.clone(),
            Content::Json(value) => value.to_string(),
            Content::Whole(expr) => template(expr),
            Content::Parts(parts) => parts.iter().map(|(_, e)| template(e)).collect::<Vec<_>>().join("\n"),
            Content::Figure(expr, label) => format!("{}: {}", capital(label), template(expr)),
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        match self {
            Content::Text(text) => Value::from(text.clone()),
            Content::Json(value) => value.clone(),
            Content::Whole(expr) | Content::Figure(expr, _) => Value::from(template(expr)),
            Content::Parts(parts) => {
                let members = parts.iter().map(|(name, e)| (name.clone(), Value::from(template(e))));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// What people would call it, for a subject line.
    pub(super) fn label(&self) -> Option<String> {
        match self {
            Content::Figure(_, label) => Some(capital(label)),
            Content::Parts(parts) => {
                Some(capital(&parts.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(" and ")))
            }
            _ => None,
        }
    }
}

pub(super) fn capital(text: &str) -> String {
    if text.starts_with("http") {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

const PRONOUNS: [&str; 10] = ["it", "them", "this", "that", "these", "those", "one", "everything", "all", "both"];
const WHOLE: [&str; 41] = [
    "answer",
    "body",
    "content",
    "contents",
    "data",
    "document",
    "entry",
    "event",
    "file",
    "html",
    "info",
    "information",
    "item",
    "items",
    "json",
    "list",
    "news",
    "output",
    "page",
    "payload",
    "post",
    "posts",
    "record",
    "response",
    "result",
    "results",
    "row",
    "rows",
    "submission",
    "text",
    "update",
    "articles",
    "article",
    "episode",
    "episodes",
    "headline",
    "story",
    "stories",
    "entries",
    "request",
    "webhook",
];
const DROPPED: [&str; 38] = [
    "a", "about", "an", "any", "as", "current", "details", "each", "every", "field", "fields", "from", "full", "in",
    "its", "latest", "me", "message:", "my", "new", "now", "of", "our", "present", "some", "the", "their", "to",
    "today's", "us", "value", "values", "whole", "with", "your", "for", "just", "all",
];

/// The content that the tokens of a clause name; None where they name nothing.
pub(super) fn content(plan: &mut Plan<'_>, tokens: &[Token]) -> Option<Content> {
    if let Some(text) = said(tokens) {
        return Some(Content::Text(text));
    }
    for token in tokens {
        match &token.kind {
            Kind::Quoted(text) => return Some(Content::Text(text.clone())),
            Kind::Json(value) => return Some(Content::Json(value.clone())),
            _ => {}
        }
    }
    if let Some(figure) = figure(plan, tokens) {
        return Some(figure);
    }
    named(plan, tokens)
}

/// "saying hello there", "that the backup is due": the words themselves.
fn said(tokens: &[Token]) -> Option<String> {
    let at = tokens.iter().position(|t| t.any(&["saying", "says", "reading"]))?;
    let rest = &tokens[at + 1..];
    let first = rest.first()?;
    if let Kind::Quoted(text) = &first.kind {
        return Some(text.clone());
    }
    Some(rest.iter().map(|t| t.word.as_str()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" "))
        .filter(|t| !t.is_empty())
}

/// "the number of rows in table orders" becomes a step that counts; "how many items" a size.
fn figure(plan: &mut Plan<'_>, tokens: &[Token]) -> Option<Content> {
    let counted = tokens
        .windows(2)
        .any(|w| w[0].any(&["number", "count", "amount"]) && w[1].is("of") || w[0].is("how") && w[1].is("many"))
        || tokens.windows(2).any(|w| w[0].any(&["row", "record"]) && w[1].is("count"));
    if !counted {
        return None;
    }
    if let Some(table) = table(tokens) {
        let expr = plan.count_rows(&table);
        return Some(Content::Figure(expr, format!("rows in table {table}")));
    }
    let noun = tokens
        .iter()
        .rev()
        .find(|t| t.is_word() && !t.any(&DROPPED) && !t.any(&["number", "count", "how", "many", "there", "are"]))?;
    let list = plan.list_of(noun.stem.as_str())?;
    Some(Content::Figure(format!("size({list})"), format!("number of {}", noun.word)))
}

/// The table that a clause names: "table orders", "the leads table", "into orders".
pub(super) fn table(tokens: &[Token]) -> Option<String> {
    let name = |t: &Token| match &t.kind {
        Kind::Quoted(text) => Some(text.clone()),
        Kind::Word if !t.any(&["of", "in", "and", "with", "the", "called", "named", "for", "to", "on"]) => {
            Some(t.word.clone())
        }
        _ => None,
    };
    let at = tokens.iter().position(|t| t.any(&["table", "tables"]))?;
    let mut behind = tokens[at + 1..].iter().skip_while(|t| t.any(&["called", "named"]));
    if let Some(found) = behind.next().and_then(name) {
        return Some(found);
    }
    let before = tokens[..at].last()?;
    name(before).filter(|w| {
        !super::lexicon::FILLERS.contains(&w.as_str()) && !matches!(w.as_str(), "database" | "sql" | "into" | "new")
    })
}

/// Pronouns, fields, and words that stand for the whole.
fn named(plan: &mut Plan<'_>, tokens: &[Token]) -> Option<Content> {
    let words: Vec<&Token> = tokens.iter().filter(|t| t.is_word()).collect();
    let meaning: Vec<&Token> = words.iter().copied().filter(|t| !t.any(&DROPPED)).collect();
    if plan.in_catch()
        && meaning.iter().all(|t| {
            t.any(&[
                "error",
                "output",
                "log",
                "logs",
                "message",
                "reason",
                "why",
                "it",
                "trace",
                "traceback",
                "stderr",
                "result",
                "details",
            ])
        })
        && !meaning.is_empty()
    {
        return Some(Content::Whole(error_text(&meaning)));
    }
    if let Subject::BotEnd(_) = plan.subject
        && meaning.iter().any(|t| t.any(&["error", "reason", "failure", "message"]))
    {
        return Some(Content::Whole(BOT_ERROR.to_owned()));
    }
    // "each new item's title and link", "the webhook's message": what follows the possessive are fields.
    let owner = tokens.iter().rposition(|t| t.owns);
    let own = tokens.iter().any(|t| t.any(&["its", "their"]));
    let fields: &[Token] = owner.map_or(tokens, |at| &tokens[at + 1..]);
    let (of_owner, fields) = of_phrase(fields);
    let names = field_names(fields);
    let pronoun = meaning.iter().all(|t| {
        t.any(&PRONOUNS)
            || t.any(&WHOLE)
            || t.any(&["and", "webhook", "webhooks", "request", "api", "url", "feed", "csv", "xml"])
    });
    if owner.is_none() && !of_owner && pronoun {
        return whole(plan, &meaning);
    }
    if names.len() == 1 && WHOLE.contains(&names[0].as_str()) && (owner.is_some() || own || of_owner) {
        return whole(plan, &meaning);
    }
    let parts: Vec<(String, String)> = names.iter().filter_map(|n| Some((n.clone(), plan.subject.field(n)?))).collect();
    if parts.is_empty() || parts.len() != names.len() {
        return None;
    }
    if owner.is_none() && !own && !of_owner {
        let list = names.join(", ");
        plan.assume(format!("I take \"{list}\" as the name of a field of what was read."));
    }
    Some(Content::Parts(parts))
}

fn error_text(words: &[&Token]) -> String {
    let output =
        words.iter().any(|t| t.any(&["output", "log", "logs", "stderr", "trace", "traceback", "it", "result"]));
    if output {
        "error.message + (has(error.output) ? \"\\n\\n\" + error.output : \"\")".to_owned()
    } else {
        "error.message".to_owned()
    }
}

/// All of what was spoken of last; a file's contents are read first.
fn whole(plan: &mut Plan<'_>, words: &[&Token]) -> Option<Content> {
    if plan.subject == Subject::File {
        let contents = words.iter().any(|t| t.any(&["contents", "content", "text", "data", "it", "file", "body"]));
        return contents.then(|| Content::Whole(plan.read_file()));
    }
    match &plan.subject {
        Subject::Webhook(fields) if !fields.is_empty() => {
            Some(Content::Parts(fields.iter().map(|f| (f.clone(), member("input", f))).collect()))
        }
        // What people want of a new item is what it says and where it stands.
        Subject::Event if plan.is_feed() => Some(Content::Parts(vec![
            ("title".to_owned(), "input.title".to_owned()),
            ("link".to_owned(), "input.link".to_owned()),
        ])),
        other => other.whole().map(Content::Whole),
    }
}

/// "the title of each item": true, with the tokens in front of "of".
fn of_phrase(tokens: &[Token]) -> (bool, &[Token]) {
    match tokens.iter().position(|t| t.is("of")) {
        Some(at) if at > 0 && !tokens[at - 1].any(&["number", "list"]) => (true, &tokens[..at]),
        _ => (false, tokens),
    }
}

/// The names of fields in a list such as "title, link and the first_author".
pub(super) fn field_names(tokens: &[Token]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut current: Vec<&str> = Vec::new();
    let mut flush = |current: &mut Vec<&str>| {
        if !current.is_empty() {
            names.push(current.join("_"));
            current.clear();
        }
    };
    for token in tokens {
        let separates = matches!(token.punct(), Some(',' | '&')) || token.any(&["and", "or", "plus"]);
        if separates {
            flush(&mut current);
        } else if let Kind::Quoted(name) = &token.kind {
            flush(&mut current);
            current.push(name);
            flush(&mut current);
        } else if token.is_word() && !token.any(&DROPPED) && !token.any(&PRONOUNS) {
            current.push(&token.word);
        }
    }
    flush(&mut current);
    names
}
