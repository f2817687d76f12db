//! What starts the bot, as clauses say it: webhooks, files, feeds, events, other bots, hands.

use serde_json::{Map, Value};

use super::clause::Clause;
use super::plan::{Plan, Subject, host};
use super::retrieve::stems;
use super::token::{Kind, Token};
use super::value::field_names;
use crate::blueprint::{BotEnd, BotTrigger, EventTrigger, PollTrigger, Respond, Span, Trigger, WebhookTrigger};

/// Least score by which a poll trigger of the catalogue counts as named.
const SURE: f64 = 9.0;

/// Takes a "when" clause as a trigger; false where it is none.
pub(super) fn when(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    by_hand(plan, clause)
        || bot(plan, clause)
        || webhook(plan, clause)
        || event(plan, clause)
        || poll(plan, clause, true)
}

fn by_hand(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    let me = clause.tokens.iter().take(2).any(|t| t.any(&["i", "we", "someone", "anyone"]));
    let starts = clause.has(&["run", "start", "ask", "click", "press", "say", "call", "trigger", "want", "launch"]);
    if me && starts && clause.tokens.len() <= 6 {
        plan.triggers.push(Trigger::Manual);
        return true;
    }
    false
}

/// "bot A fails", "the bot nightly-report has finished".
fn bot(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    let tokens = &clause.tokens;
    let Some(condition) = super::condition::parse(tokens) else { return false };
    use super::condition::Op;
    let when = match condition.tests[0].op {
        Op::Fails | Op::Down => BotEnd::Failed,
        Op::Succeeds => BotEnd::Succeeded,
        _ => return false,
    };
    let finished = clause.has(&["finishes", "finished", "ends", "completes", "done"])
        && !clause.has(&["successfully", "successful"]);
    let subject = &condition.tests[0].subject;
    let known = |t: &Token| plan.context.bots.iter().find(|b| b.eq_ignore_ascii_case(raw(plan.text, t)));
    let named = subject.iter().position(|t| t.any(&["bot", "automation", "workflow"]));
    let name = named
        .and_then(|at| subject.get(at + 1).or_else(|| at.checked_sub(1).and_then(|i| subject.get(i))))
        .filter(|t| t.capital || !t.any(&["the", "a", "my", "this", "other", "another"]))
        .map(|t| match &t.kind {
            Kind::Quoted(name) => name.clone(),
            _ => raw(plan.text, t).to_owned(),
        })
        .or_else(|| subject.iter().find_map(|t| known(t).cloned()));
    let name = match (name, named) {
        (Some(name), _) => name,
        (None, Some(_)) => match plan.ask("bot.name", "Which bot?", &plan.text[clause.span()]) {
            Some(name) => name,
            None => return true,
        },
        (None, None) => return false,
    };
    let name = bot_name(plan, &name);
    let when = if finished { BotEnd::Finished } else { when };
    plan.triggers.push(Trigger::Bot(BotTrigger { bot: name.clone(), when }));
    plan.source_word.get_or_insert_with(|| name.clone());
    plan.reason = Some(match when {
        BotEnd::Failed => format!("bot {name} failed: {}", super::plan::template(super::value::BOT_ERROR)),
        BotEnd::Succeeded => format!("bot {name} succeeded"),
        BotEnd::Finished => format!("bot {name} finished"),
    });
    plan.brief_reason
        .clone_from(&Some(format!("bot {name} {}", if when == BotEnd::Failed { "failed" } else { "ended" })));
    plan.subject = Subject::BotEnd(name);
    true
}

/// The name of a bot as bots are named.
pub(super) fn bot_name(plan: &Plan<'_>, said: &str) -> String {
    let slug = super::naming::slug(said);
    let known = plan.context.bots.iter().find(|b| **b == slug || b.eq_ignore_ascii_case(said));
    known.cloned().unwrap_or(slug)
}

pub(super) fn raw<'t>(text: &'t str, token: &Token) -> &'t str {
    let raw = text.get(token.span.clone()).unwrap_or("");
    raw.strip_suffix("'s").or_else(|| raw.strip_suffix("’s")).unwrap_or(raw)
}

/// "a webhook arrives with a field email", "someone posts a form", "I get a POST request at /leads".
fn webhook(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    let tokens = &clause.tokens;
    let named = clause.has_stem(&["webhook", "hook"]) || clause.has(&["web-hook"]);
    let request =
        clause.has(&["request", "requests"]) && clause.has_stem(&["arriv", "come", "receiv", "get", "http", "post"]);
    let form = clause.has(&["form", "submission"]) && clause.has_stem(&["submit", "submiss", "arriv", "sent", "fill"]);
    if !(named || request || form) {
        return false;
    }
    if form && !named {
        plan.assume("The form sends its fields to the bot's webhook.");
    }
    open_webhook(plan, tokens);
    true
}

/// "with a field email", "with fields a and b", "with an email field", "with a message".
fn webhook_fields(tokens: &[Token]) -> Vec<String> {
    let leads = ["containing", "contains", "has", "having", "including", "carrying"];
    let article = |t: Option<&Token>| {
        t.is_some_and(|t| t.any(&["a", "an", "the", "fields", "field"]) || matches!(t.kind, Kind::Quoted(_)))
    };
    let names = |rest: &[Token]| {
        let skip = rest
            .iter()
            .take_while(|t| {
                t.any(&["a", "an", "the", "field", "fields", "called", "named", "of"]) || t.punct() == Some(':')
            })
            .count();
        let rest = &rest[skip..];
        let end = rest
            .iter()
            .position(|t| t.any(&["in", "at", "on", "to", "is", "it", "from", "are", "field", "fields"]))
            .unwrap_or(rest.len());
        field_names(&rest[..end])
    };
    if let Some(at) = tokens.iter().position(|t| t.any(&["field", "fields"])) {
        let behind = names(&tokens[at..]);
        if !behind.is_empty() {
            return behind;
        }
    }
    let lead =
        (0..tokens.len()).find(|i| tokens[*i].any(&leads) || tokens[*i].is("with") && article(tokens.get(i + 1)));
    lead.map(|at| names(&tokens[at + 1..])).unwrap_or_default()
}

pub(super) fn open_webhook(plan: &mut Plan<'_>, tokens: &[Token]) {
    let fields: Vec<String> = webhook_fields(tokens).into_iter().filter(|f| f.len() <= 60).collect();
    let path = tokens.iter().find_map(Token::path).map(|p| p.trim_matches('/').to_owned());
    let called =
        tokens.windows(2).find(|w| w[0].any(&["called", "named", "path"])).map(|w| super::naming::slug(&w[1].word));
    let path = path.or(called).filter(|p| !p.is_empty() && !fields.contains(p)).unwrap_or_default();
    plan.subject = Subject::Webhook(fields.clone());
    plan.triggers.push(Trigger::Webhook(WebhookTrigger {
        path,
        method: "POST".to_owned(),
        secret: None,
        require: fields,
        respond: Respond::Accepted,
    }));
}

/// "the event order.created happens".
fn event(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    let dotted = |t: &&Token| t.is_word() && t.word.contains('.') && t.word.split('.').all(|p| !p.is_empty());
    let quoted = |t: &Token| match &t.kind {
        Kind::Quoted(name) if name.contains('.') && !name.contains(' ') => Some(name.clone()),
        _ => None,
    };
    let says = clause.has(&["event", "events", "happens", "fires", "emitted", "published", "occurs", "raised"]);
    let name =
        clause.tokens.iter().find(dotted).map(|t| t.word.clone()).or_else(|| clause.tokens.iter().find_map(quoted));
    let Some(name) = name.filter(|_| says) else { return false };
    plan.source_word.get_or_insert_with(|| name.replace('.', "-"));
    plan.triggers.push(Trigger::Event(EventTrigger { event: name, filter: None }));
    plan.subject = Subject::Event;
    true
}

/// A poll trigger of the catalogue, found by retrieval, with an address or folder to look at.
pub(super) fn poll(plan: &mut Plan<'_>, clause: &Clause, surely: bool) -> bool {
    let url = clause.tokens.iter().find_map(|t| t.url().map(str::to_owned));
    let path = clause.tokens.iter().find_map(|t| t.path().map(str::to_owned));
    let query: Vec<String> = clause.tokens.iter().filter(|t| t.is_word()).flat_map(|t| stems(&t.word)).collect();
    let index = plan.index;
    let ranked = index.rank(&query, true);
    let fits = |e: &&(f64, &super::retrieve::Entry)| {
        let takes = |p: &str| e.1.properties.iter().any(|q| q == p);
        (url.is_some() && takes("url"))
            || (path.is_some() && takes("dir"))
            || (surely && url.is_none() && path.is_none())
    };
    let Some((score, entry)) = ranked.iter().find(fits) else { return false };
    let newness = clause.has(&[
        "new",
        "appears",
        "appear",
        "arrives",
        "arrive",
        "added",
        "published",
        "lands",
        "dropped",
        "created",
        "posted",
        "uploaded",
        "comes",
        "shows",
        "feed",
        "feeds",
        "each",
        "latest",
        "watch",
    ]);
    let feed = clause.has(&[
        "feed",
        "rss",
        "atom",
        "item",
        "items",
        "article",
        "articles",
        "post",
        "posts",
        "entry",
        "entries",
        "episode",
        "episodes",
        "news",
        "blog",
        "podcast",
        "headlines",
    ]);
    let file = clause.has(&["file", "files", "folder", "directory"]) || path.is_some();
    let named = (takes(entry, "url") && feed) || (takes(entry, "dir") && file) || *score >= SURE;
    if !named || !newness {
        return false;
    }
    let name = entry.name.clone();
    open_poll(plan, &name, url, path, clause)
}

fn takes(entry: &super::retrieve::Entry, property: &str) -> bool {
    entry.properties.iter().any(|p| p == property)
}

fn open_poll(plan: &mut Plan<'_>, name: &str, url: Option<String>, path: Option<String>, clause: &Clause) -> bool {
    let Some(spec) = plan.catalogue.trigger(name) else { return false };
    let required: Vec<String> = spec
        .input
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    let mut with = Map::new();
    let about = plan.text[clause.span()].to_owned();
    for property in required {
        let (value, question) = match property.as_str() {
            "url" => (url.clone(), "Which address should be watched?"),
            "dir" => (path.clone(), "Which folder should be watched?"),
            _ => (None, "What should be watched?"),
        };
        let value = value.or_else(|| plan.ask(&format!("{name}.{property}"), question, &about));
        if let Some(mut value) = value {
            if property == "dir" {
                value = folder(plan, &mut with, &value);
            }
            with.insert(property, Value::from(value));
        }
    }
    if let Some(pattern) = pattern(&clause.tokens).filter(|_| name == "file.new_file") {
        with.insert("pattern".to_owned(), Value::from(pattern));
    }
    if let Some(host) = with.get("url").and_then(Value::as_str).and_then(host) {
        plan.source_word.get_or_insert_with(|| "feed".to_owned());
        plan.hosts.insert(host);
    }
    plan.triggers.push(Trigger::Poll(PollTrigger {
        source: name.to_owned(),
        with: Value::Object(with),
        connection: None,
        every: Span(spec.every_ms),
    }));
    plan.subject = if name == "file.new_file" { Subject::File } else { Subject::Event };
    true
}

/// The folder of a path, which may end with a pattern ("/data/in/*.csv").
fn folder(plan: &mut Plan<'_>, with: &mut Map<String, Value>, path: &str) -> String {
    let mut dir = path.trim_end_matches('/').to_owned();
    if let Some((head, tail)) = path.rsplit_once('/')
        && tail.contains('*')
    {
        with.insert("pattern".to_owned(), Value::from(tail));
        dir = head.to_owned();
    }
    let word = dir.rsplit('/').next().unwrap_or("files").to_owned();
    plan.source_word.get_or_insert(if word.len() > 2 { word } else { "files".to_owned() });
    plan.files.insert(dir.clone());
    dir
}

/// "a csv file", "files ending in .pdf".
fn pattern(tokens: &[Token]) -> Option<String> {
    const KINDS: [&str; 14] =
        ["csv", "json", "xml", "txt", "pdf", "log", "html", "png", "jpg", "xlsx", "zip", "md", "yaml", "tsv"];
    let kind = tokens.iter().enumerate().find(|(i, t)| {
        t.any(&KINDS) && tokens.get(i + 1).is_some_and(|n| n.any(&["file", "files"]))
            || (t.any(&KINDS) && *i > 0 && tokens[i - 1].punct() == Some('.'))
    });
    kind.map(|(_, t)| format!("*.{}", t.word))
}
