//! The input of an action from the words of a clause, property by property of its schema.

use serde_json::{Map, Value};

use super::clause::Clause;
use super::fill_store::{generic, insert, leftovers, relocate, reply, write};
use super::naming;
use super::plan::{Plan, Subject, member, template};
use super::token::{Kind, Token};
use super::value::{self, Content, content};
use crate::blueprint::StepKind;

/// Connectors that bring messages to people.
const MESSENGERS: [&str; 4] = ["slack", "discord", "telegram", "email"];

/// The connector that a clause names ("to slack", "by email").
pub(super) fn mentioned(plan: &Plan<'_>, clause: &Clause) -> Option<String> {
    let tokens = &clause.tokens;
    for (i, token) in tokens.iter().enumerate().filter(|(_, t)| t.is_word()) {
        let word = token.word.as_str();
        let behind_lead = i > 0
            && tokens[..i]
                .iter()
                .rev()
                .take_while(|t| {
                    t.any(&[
                        "the", "my", "our", "a", "an", "to", "on", "in", "via", "by", "at", "into", "over", "through",
                        "using",
                    ])
                })
                .count()
                > 0;
        let leads = i == 0 || tokens[..i].iter().all(|t| t.any(&super::lexicon::FILLERS));
        let Some(name) = plan.index.connectors.get(word) else { continue };
        // "slack me", "email it to bob"; "store the email" names a field.
        let means = match word {
            "email" | "mail" => {
                leads
                    || tokens[i - 1].any(&["by", "via", "an", "per", "through"])
                    || (behind_lead && tokens[i - 1].any(&["my", "our"]))
            }
            w if MESSENGERS.contains(&w) => {
                behind_lead
                    || leads
                    || tokens.get(i + 1).is_some_and(|t| t.any(&["channel", "message", "chat"]))
                    || tokens.len() == i + 1
            }
            "notify" | "log" => false,
            // "call the webhook": an address, or a signed call where that is said.
            _ => {
                behind_lead
                    && !matches!(
                        word,
                        "file" | "http" | "text" | "csv" | "json" | "xml" | "webhook" | "event" | "transform" | "sql"
                    )
            }
        };
        if means {
            return Some(name.clone());
        }
    }
    let by_mail = clause.tokens.windows(2).any(|w| w[0].any(&["by", "via", "per"]) && w[1].any(&["mail", "e-mail"]));
    let mails = clause.verb() == Some("mail") || clause.verb() == Some("email");
    let address = clause.tokens.iter().any(|t| matches!(t.kind, Kind::Email(_)));
    (by_mail || mails || address).then(|| "email".to_owned())
}

/// Who gets a mail.
pub(super) enum Recipient {
    /// These addresses.
    Named(Value),
    /// Whom the workspace's connection names.
    Default,
    /// Nobody until a question is answered.
    Asked,
}

/// Who gets a mail: the addresses in the clause, else one's own.
pub(super) fn recipient(plan: &mut Plan<'_>, clause: &Clause, me: bool) -> Recipient {
    let addresses: Vec<String> = clause
        .tokens
        .iter()
        .filter_map(|t| match &t.kind {
            Kind::Email(address) => Some(address.clone()),
            _ => None,
        })
        .collect();
    match addresses.as_slice() {
        [] => {}
        [only] => return Recipient::Named(Value::from(only.as_str())),
        several => return Recipient::Named(Value::from(several)),
    }
    let about = plan.text[clause.span()].to_owned();
    if !(me || clause.has(&["me", "myself", "my", "us"])) {
        let answer = plan.ask("email.to", "Which email address should it go to?", &about);
        return answer.map_or(Recipient::Asked, |to| Recipient::Named(Value::from(to)));
    }
    if let Some(email) = plan.context.email.clone() {
        return Recipient::Named(Value::from(email));
    }
    match plan.ask_if_you_like("email.to", "What is your email address?", &about) {
        Some(to) => Recipient::Named(Value::from(to)),
        None => {
            plan.assume("It goes to the address that the workspace's connection \"email\" names.");
            Recipient::Default
        }
    }
}

/// Adds the step of `action`; false where it says too little and nothing could be asked.
pub(super) fn step(plan: &mut Plan<'_>, clause: &Clause, action: &str) -> bool {
    let rest = contents(plan, clause, action);
    match action {
        "http.get" | "http.check" | "http.delete" | "rss.fetch" => read(plan, clause, action),
        "http.post" | "http.put" | "http.patch" | "webhook.send" => send(plan, clause, action, &rest),
        "email.send" | "slack.send" | "discord.send" | "telegram.send" | "notify.send" => {
            message(plan, clause, action, &rest)
        }
        "sql.insert" => insert(plan, clause, &rest),
        "sql.count" => {
            if let Some(table) = value::table(&clause.tokens) {
                plan.count_rows(&table);
            }
            true
        }
        "webhook.reply" => reply(plan, clause, &rest),
        "file.move" | "file.copy" => relocate(plan, clause, action),
        "file.write" | "file.append" => write(plan, clause, action, &rest),
        _ => generic(plan, clause, action, &rest),
    }
}

/// The tokens that say what, without the verb and without where it goes.
fn contents(plan: &Plan<'_>, clause: &Clause, action: &str) -> Vec<Token> {
    let tokens = &clause.tokens;
    let mut out: Vec<Token> = Vec::new();
    let mut i = 0;
    let mut verb_seen = false;
    while i < tokens.len() {
        let t = &tokens[i];
        let verb = !verb_seen && t.is_word() && super::lexicon::verb(&t.word).is_some();
        // "tell slack", "send me an email"
        let addressed = verb_seen
            && out.is_empty()
            && MESSENGERS.contains(&t.word.as_str())
            && i > 0
            && super::lexicon::verb(&tokens[i - 1].word).is_some();
        let vehicle = t.any(&["email", "mail", "message", "notification", "alert", "note", "warning", "reminder"])
            && i > 0
            && tokens[i - 1].any(&["a", "an", "slack", "discord", "telegram", "email", "this"])
            && action.ends_with(".send");
        // "a slack message"
        let carrier = action.split('.').next().is_some_and(|connector| t.is(connector))
            && tokens.get(i + 1).is_some_and(|next| next.any(&["message", "notification", "alert", "note"]));
        if verb {
            verb_seen = true;
        } else if addressed || vehicle || carrier {
            i += 1;
            continue;
        } else if let Some(used) = destination(plan, &tokens[i..], action) {
            i += used;
            continue;
        } else if !(t.any(&["please", "me", "us", "know", "automatically", "immediately", "also"])
            || (t.url().is_some() && action != "text.render")
            || matches!(t.kind, Kind::Email(_)))
        {
            out.push(t.clone());
        }
        i += 1;
    }
    out
}

/// How many tokens at the start say where something goes ("to slack channel #x", "into table leads").
fn destination(plan: &Plan<'_>, rest: &[Token], action: &str) -> Option<usize> {
    let lead = rest
        .iter()
        .take_while(|t| {
            t.any(&[
                "to", "into", "in", "on", "at", "via", "by", "using", "over", "through", "from", "the", "my", "our",
                "a", "an", "as", "per",
            ])
        })
        .count();
    let led = lead > 0
        && rest[0].any(&["to", "into", "in", "on", "at", "via", "by", "using", "over", "through", "from", "per"]);
    let target = rest.get(lead)?;
    let used = match &target.kind {
        Kind::Url(_) | Kind::Email(_) | Kind::Path(_) | Kind::Channel(_) if led || lead == 0 => lead + 1,
        Kind::Word if target.any(&["table"]) && action.starts_with("sql.") => lead + 2,
        Kind::Word if led && action.starts_with("sql.") && rest.get(lead + 1).is_some_and(|t| t.is("table")) => {
            lead + 2
        }
        Kind::Word
            if led
                && (plan.index.connectors.contains_key(&target.word)
                    && !matches!(target.word.as_str(), "text" | "json" | "csv" | "xml" | "file" | "event")
                    || target.any(&["mail", "e-mail"])) =>
        {
            let more = rest[lead + 1..]
                .iter()
                .take_while(|t| {
                    t.any(&["channel", "chat", "message", "server", "group"])
                        || matches!(t.kind, Kind::Channel(_) | Kind::Number(_))
                })
                .count();
            lead + 1 + more
        }
        Kind::Word
            if led
                && target.any(&[
                    "me",
                    "us",
                    "everyone",
                    "team",
                    "people",
                    "myself",
                    "database",
                    "db",
                    "dashboard",
                    "channel",
                ]) =>
        {
            lead + 1
        }
        _ => return None,
    };
    (used > 0).then_some(used.min(rest.len()))
}

/// Fetching and checking.
fn read(plan: &mut Plan<'_>, clause: &Clause, action: &str) -> bool {
    let about = plan.text[clause.span()].to_owned();
    let url = clause.tokens.iter().find_map(|t| t.url().map(str::to_owned));
    let Some(url) = url.or_else(|| plan.ask(&format!("{action}.url"), "Which address (URL)?", &about)) else {
        return true;
    };
    match action {
        "http.check" => {
            plan.check_url(&url);
        }
        "http.get" => {
            plan.fetch(&url);
            convert(plan, clause);
        }
        _ => {
            plan.allow(&url);
            let step = plan.push_use("get", action, Map::from_iter([("url".to_owned(), Value::from(url))]));
            plan.subject = if action == "rss.fetch" {
                Subject::Rows(format!("steps.{step}.items"), false)
            } else {
                Subject::Http(step.clone())
            };
            plan.main = Some(step);
        }
    }
    leftovers(
        plan,
        clause,
        &[
            "csv",
            "json",
            "xml",
            "as",
            "page",
            "website",
            "site",
            "url",
            "address",
            "data",
            "file",
            "content",
            "contents",
            "price",
            "status",
            "whether",
            "if",
            "up",
            "down",
            "check",
            "see",
            "feed",
            "from",
            "at",
            "api",
            "latest",
            "current",
            "list",
            "endpoint",
            "report",
            "and",
            "is",
            "or",
            "not",
            "web",
            "text",
            "html",
            "online",
            "reachable",
            "read",
            "get",
            "still",
            "alive",
            "items",
            "prices",
        ],
    );
    true
}

/// "as csv": the answer is read as that.
fn convert(plan: &mut Plan<'_>, clause: &Clause) {
    let Subject::Http(step) = plan.subject.clone() else { return };
    let body = template(&format!("steps.{step}.body"));
    let text_answer = |plan: &mut Plan<'_>| {
        if let Some(found) = plan.steps().iter_mut().find(|s| s.id == step)
            && let StepKind::Use { with: Value::Object(with), .. } = &mut found.kind
        {
            with.insert("response".to_owned(), Value::from("text"));
        }
    };
    if clause.has(&["csv", "spreadsheet"]) {
        text_answer(plan);
        let rows = plan.push_use("rows", "csv.parse", Map::from_iter([("text".to_owned(), Value::from(body))]));
        plan.subject = Subject::Rows(format!("steps.{rows}.rows"), true);
    } else if clause.has(&["xml"]) {
        text_answer(plan);
        let xml = plan.push_use("xml", "xml.parse", Map::from_iter([("text".to_owned(), Value::from(body))]));
        plan.subject = Subject::Value(format!("steps.{xml}.value"), "the document".to_owned());
    }
}

/// Sending to an address.
fn send(plan: &mut Plan<'_>, clause: &Clause, action: &str, rest: &[Token]) -> bool {
    let about = plan.text[clause.span()].to_owned();
    let url = clause.tokens.iter().rev().find_map(|t| t.url().map(str::to_owned));
    let Some(url) = url.or_else(|| plan.ask(&format!("{action}.url"), "Which address (URL) should it go to?", &about))
    else {
        return true;
    };
    let found = content(plan, rest);
    let found = found.or_else(|| subject(plan));
    plan.allow(&url);
    let mut with = Map::from_iter([("url".to_owned(), Value::from(url.clone()))]);
    match found {
        Some(Content::Whole(expr)) if expr.ends_with(".text") => {
            with.insert("body".to_owned(), Value::from(template(&expr)));
        }
        Some(Content::Text(text)) => {
            with.insert("body".to_owned(), Value::from(text));
        }
        Some(found) => {
            with.insert("json".to_owned(), found.json());
        }
        None if action == "http.post" => {
            plan.assume("Nothing is named that should be sent; I post an empty object.");
            with.insert("json".to_owned(), Value::Object(Map::new()));
        }
        None => return false,
    }
    plan.target_word = naming::url_word(&url).or(plan.target_word.take());
    let wanted = action.rsplit('.').next().unwrap_or("post");
    let step = plan.push_use(wanted, action, with);
    if plan.subject == Subject::Nothing {
        plan.subject = Subject::Http(step.clone());
    }
    plan.main = Some(step);
    true
}

/// All of what was spoken of last.
pub(super) fn subject(plan: &mut Plan<'_>) -> Option<Content> {
    match &plan.subject {
        Subject::File => Some(Content::Whole(plan.read_file())),
        Subject::Webhook(fields) if !fields.is_empty() => {
            Some(Content::Parts(fields.iter().map(|f| (f.clone(), member("input", f))).collect()))
        }
        other => other.whole().map(Content::Whole),
    }
}

/// Messages to people.
fn message(plan: &mut Plan<'_>, clause: &Clause, action: &str, rest: &[Token]) -> bool {
    let about = plan.text[clause.span()].to_owned();
    let (subject_line, rest) = subject_line(rest);
    let reminder = reminder(plan, clause);
    let found = reminder.map(Content::Text).or_else(|| content(plan, &rest));
    let vague = found.as_ref().is_none_or(|f| matches!(f, Content::Whole(_)))
        && !rest.iter().any(|t| t.any(&["contents", "body", "output", "error", "response"]) || t.owns);
    let text = match (&found, plan.reason.clone()) {
        (Some(Content::Whole(expr)), _) if plan.in_catch() => template(expr),
        // A condition has led here: what it found is the news.
        (_, Some(reason)) if vague => {
            let more = found.as_ref().filter(|f| {
                !matches!(plan.subject, Subject::Check(..))
                    && rest.iter().any(|t| t.any(&["it", "them"]))
                    && !reason.contains(&f.message())
            });
            more.map_or(value::capital(&reason), |m| format!("{}\n{}", value::capital(&reason), m.message()))
        }
        (Some(found), _) => found.message(),
        (None, _) => match leftover_text(&rest).map(Content::Text).or_else(|| subject(plan)) {
            Some(found) => found.message(),
            None => {
                let id = format!("{action}.text");
                match plan.ask(&id, "What should the message say?", &about) {
                    Some(text) => text,
                    None => return true,
                }
            }
        },
    };
    let connector = action.split('.').next().unwrap_or("message").to_owned();
    let mut with = Map::new();
    if connector == "email" {
        let to = recipient(plan, clause, false);
        let label = found.as_ref().and_then(Content::label);
        match to {
            Recipient::Named(to) => drop(with.insert("to".to_owned(), to)),
            Recipient::Default => {}
            Recipient::Asked => return true,
        }
        let line = subject_line.or(label).unwrap_or_else(|| plan.headline());
        with.insert("subject".to_owned(), Value::from(line));
    }
    with.insert("text".to_owned(), Value::from(text));
    place(plan, clause, &connector, &mut with);
    plan.target_word.get_or_insert_with(|| if connector == "notify" { "me".to_owned() } else { connector.clone() });
    let step = plan.push_use(&connector, action, with);
    plan.main.get_or_insert(step);
    true
}

/// The channel or chat.
fn place(plan: &mut Plan<'_>, clause: &Clause, connector: &str, with: &mut Map<String, Value>) {
    let channel = clause.tokens.iter().find_map(|t| match &t.kind {
        Kind::Channel(name) => Some(name.clone()),
        _ => None,
    });
    let named = clause
        .tokens
        .windows(2)
        .find(|w| w[0].is("channel") && (w[1].is_word() || matches!(w[1].kind, Kind::Quoted(_))))
        .map(|w| match &w[1].kind {
            Kind::Quoted(name) => name.clone(),
            _ => format!("#{}", w[1].word),
        });
    match (connector, channel.or(named)) {
        ("slack" | "discord", Some(channel)) => {
            with.insert("channel".to_owned(), Value::from(channel));
        }
        ("telegram", _) => {
            let chat = clause.tokens.windows(2).find_map(|w| match (&w[1].kind, w[0].any(&["chat", "id"])) {
                (Kind::Number(n), true) => Some(*n as i64),
                _ => None,
            });
            if let Some(chat) = chat {
                with.insert("chat_id".to_owned(), Value::from(chat));
            }
        }
        _ => {}
    }
    if matches!(connector, "slack" | "discord" | "telegram")
        && !with.contains_key("channel")
        && !with.contains_key("chat_id")
    {
        let what = if connector == "telegram" { "chat" } else { "channel" };
        plan.assume(format!("It goes to the {what} of the workspace's connection \"{connector}\"."));
    }
}

/// "with the subject X": the line, and the tokens without it.
fn subject_line(rest: &[Token]) -> (Option<String>, Vec<Token>) {
    let Some(at) = rest.iter().position(|t| t.any(&["subject", "titled"])) else { return (None, rest.to_vec()) };
    let skip = rest[at + 1..].iter().take_while(|t| t.any(&["line", "is", "of"]) || t.punct() == Some(':')).count();
    let Some(Kind::Quoted(line)) = rest.get(at + 1 + skip).map(|t| &t.kind) else { return (None, rest.to_vec()) };
    let lead = rest[..at].iter().rev().take_while(|t| t.any(&["with", "the", "a", "and"])).count();
    let mut left = rest.to_vec();
    left.drain(at - lead..(at + 2 + skip).min(rest.len()));
    (Some(line.clone()), left)
}

/// "remind me to drink water", "tell me that dinner is ready", "email me: good morning".
fn reminder(plan: &Plan<'_>, clause: &Clause) -> Option<String> {
    let tokens = &clause.tokens;
    let verb = clause.verb()?;
    let at = match verb {
        "remind" => tokens.iter().position(|t| t.any(&["to", "that", "about", "of"]))?,
        "tell" | "notify" | "inform" | "warn" | "alert" | "let" | "message" | "send" | "email" | "mail" | "text" => {
            tokens.iter().position(|t| t.is("that") || t.punct() == Some(':'))?
        }
        _ => return None,
    };
    let rest = tokens.get(at + 1..)?;
    let (first, last) = (rest.first()?, rest.last()?);
    if let (Kind::Quoted(text), 1) = (&first.kind, rest.len()) {
        return Some(text.clone());
    }
    let text = plan.text.get(first.span.start..last.span.end)?.trim();
    Some(value::capital(text)).filter(|t| !t.is_empty() && t.len() <= 2_000)
}

/// Plain words as the message itself: "send good morning to slack".
pub(super) fn leftover_text(rest: &[Token]) -> Option<String> {
    let words: Vec<&str> = rest.iter().filter(|t| t.is_word()).map(|t| t.word.as_str()).collect();
    let says = words
        .iter()
        .filter(|w| {
            !super::lexicon::FILLERS.contains(w)
                && !matches!(
                    **w,
                    "message"
                        | "email"
                        | "mail"
                        | "notification"
                        | "alert"
                        | "note"
                        | "on"
                        | "in"
                        | "by"
                        | "about"
                        | "when"
                        | "text"
                        | "reminder"
                        | "report"
                        | "an"
                )
        })
        .count();
    (says > 0).then(|| value::capital(&words.join(" ")))
}

impl Plan<'_> {
    /// A subject line from what is known.
    pub(super) fn headline(&self) -> String {
        if self.in_catch() {
            return "It failed".to_owned();
        }
        match &self.brief_reason {
            Some(reason) => value::capital(reason),
            None => {
                let words = self.text.split_whitespace().take(9).collect::<Vec<_>>().join(" ");
                value::capital(&words.replace("{{", "{ {"))
            }
        }
    }
}
