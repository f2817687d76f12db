//! What to do: from a clause to a step, found by ranked retrieval over the
//! catalogue and filled by the action's schema.

use serde_json::{Map, Value};

use super::clause::Clause;
use super::condition;
use super::fill;
use super::interpret::{not_understood, open_loop, singular};
use super::lexicon::STRANGERS;
use super::plan::{Plan, Subject, template};
use super::retrieve::{Entry, stems};
use super::script::Script;
use super::token::{Kind, Token};
use super::trigger;
use crate::blueprint::{Language, Restart, Span, StepKind, Trigger, Wait};

/// Least score by which an action counts as meant.
const LEAST: f64 = 4.0;

/// Makes steps of one clause.
pub(super) fn action(plan: &mut Plan<'_>, clause: &Clause, script: Option<&Script>) {
    if keeps_running(plan, clause, script)
        || runs_script(plan, clause, script)
        || calls_bot(plan, clause)
        || waits(plan, clause)
    {
        return;
    }
    if let Some(name) = stranger(plan, clause) {
        plan.unknown.push(name);
        plan.sureness.push(0.0);
        return;
    }
    if watches(plan, clause) {
        return;
    }
    let reads = matches!(clause.verb(), Some("read" | "open" | "load"));
    if reads && plan.subject == Subject::File && !clause.tokens.iter().any(|t| t.url().is_some() || t.path().is_some())
    {
        plan.read_file();
        plan.sureness.push(0.9);
        return;
    }
    // "send each new item of the feed URL to slack": the trigger stands inside.
    let opens =
        plan.triggers.is_empty() && plan.subject == Subject::Nothing && plan.blocks.iter().all(|b| b.steps.is_empty());
    let mut clause = clause.clone();
    if opens && clause.has(&["new", "feed", "incoming"]) && trigger::poll(plan, &clause, false) {
        drop_source(&mut clause);
    }
    fetches_first(plan, &mut clause);
    let looped = loops(plan, &clause);
    let Some((score, margin, name)) = best(plan, &clause) else {
        return not_understood(plan, &clause);
    };
    if score < LEAST {
        return not_understood(plan, &clause);
    }
    let steps_before = plan.steps().len();
    if fill::step(plan, &clause, &name) {
        plan.sureness.push(if margin > 1.0 { 0.95 } else { 0.75 });
    } else if plan.questions.is_empty() && plan.steps().len() == steps_before {
        not_understood(plan, &clause);
    }
    if looped {
        plan.close();
    }
}

/// Takes the address that a trigger has used out of the clause, with the words that lead to it.
fn drop_source(clause: &mut Clause) {
    let Some(at) = clause.tokens.iter().position(|t| t.url().is_some() || t.path().is_some()) else { return };
    let lead = clause.tokens[..at]
        .iter()
        .rev()
        .take_while(|t| {
            t.any(&["the", "feed", "rss", "atom", "https", "http", "folder", "directory", "blog", "news", "my"])
        })
        .count();
    let mut from = at - lead;
    if from > 0 && clause.tokens[from - 1].any(&["from", "of", "in", "at", "on"]) {
        from -= 1;
    }
    clause.tokens.drain(from..=at);
}

/// "post the price from URL to URL2", "email me the title of URL": what is spoken of is fetched first.
fn fetches_first(plan: &mut Plan<'_>, clause: &mut Clause) {
    let urls = clause.tokens.iter().filter(|t| t.url().is_some()).count();
    let verb = clause.verb().unwrap_or("");
    let messaging = fill::mentioned(plan, clause).is_some()
        || matches!(
            verb,
            "email" | "mail" | "tell" | "notify" | "message" | "alert" | "inform" | "insert" | "store" | "save"
        );
    let own = matches!(
        verb,
        "get"
            | "fetch"
            | "download"
            | "check"
            | "ping"
            | "load"
            | "read"
            | "open"
            | "retrieve"
            | "pull"
            | "grab"
            | "query"
            | "scrape"
            | "call"
    );
    if own && !messaging && urls < 2 {
        return;
    }
    let Some(at) = clause.tokens.iter().position(|t| t.url().is_some()) else { return };
    let lead = at.checked_sub(1).map(|i| clause.tokens[i].word.clone()).unwrap_or_default();
    let source =
        matches!(lead.as_str(), "from" | "of" | "at" | "in") || (messaging && !matches!(lead.as_str(), "to" | "into"));
    if !source || (urls < 2 && !messaging) {
        return;
    }
    let url = clause.tokens[at].url().unwrap_or_default().to_owned();
    plan.fetch(&url);
    let from = if matches!(lead.as_str(), "from" | "of" | "at" | "in") { at - 1 } else { at };
    clause.tokens.drain(from..=at);
}

/// "keep this script running", "run it forever".
fn keeps_running(plan: &mut Plan<'_>, clause: &Clause, script: Option<&Script>) -> bool {
    let keep = clause.has(&["keep"]) && clause.has(&["running", "alive", "up", "going"]);
    let forever = clause.has(&["forever", "continuously", "permanently", "nonstop"]) && clause.has_stem(&["run"]);
    let restart = clause.has(&["restart"]) || (clause.has(&["start", "run"]) && clause.has(&["again"]));
    if restart && !keep {
        if plan.restart == Restart::Never {
            plan.restart = Restart::OnFailure;
        }
        // "restart it" speaks of a script that is there already.
        if !plan.ids.is_empty() || script.is_none() {
            plan.sureness.push(0.9);
            return true;
        }
    }
    if !(keep || forever) {
        return false;
    }
    plan.restart = Restart::Always;
    if script.is_some() {
        add_script(plan, clause, script);
    } else if let Some(name) = clause.tokens.windows(2).find(|w| w[0].is("bot")).map(|w| w[1].word.clone()) {
        let bot = trigger::bot_name(plan, &name);
        call(plan, &bot, false);
    } else {
        return false;
    }
    true
}

/// "run this python script".
fn runs_script(plan: &mut Plan<'_>, clause: &Clause, script: Option<&Script>) -> bool {
    let speaks = clause.has(&["script", "code", "program", "snippet", "command"]);
    let runs = clause.has_stem(&["run", "execut", "start", "launch", "use", "tri", "do"]) || clause.verb().is_none();
    if !(speaks && runs) || script.is_none() || plan.ids.contains("script") {
        return false;
    }
    add_script(plan, clause, script);
    true
}

fn add_script(plan: &mut Plan<'_>, clause: &Clause, script: Option<&Script>) {
    let about = plan.text[clause.span()].to_owned();
    let code = script.and_then(|s| s.code.clone());
    let code = code.or_else(|| plan.ask("script.code", "What is the script? Paste its code.", &about));
    let language = script.and_then(|s| s.language).unwrap_or_else(|| {
        plan.assume("I take the script as a shell script.");
        Language::Shell
    });
    let word = match language {
        Language::Python => "python",
        Language::Node => "node",
        Language::Shell => "shell",
    };
    plan.source_word.get_or_insert_with(|| format!("{word}-script"));
    let Some(code) = code else { return };
    let id = plan.push_run(language, code);
    plan.subject = Subject::Script(id.clone());
    plan.main = Some(id);
    plan.sureness.push(0.95);
}

/// "call bot triage with it", "start the bot cleanup".
fn calls_bot(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    let verb = clause.has_stem(&["call", "run", "start", "trigger", "invok", "execut", "launch", "use"]);
    if !verb {
        return false;
    }
    let tokens = &clause.tokens;
    let named = tokens.iter().position(|t| t.any(&["bot", "automation", "workflow"]));
    let known = tokens
        .iter()
        .find_map(|t| plan.context.bots.iter().find(|b| b.eq_ignore_ascii_case(trigger::raw(plan.text, t))).cloned());
    let near = named.and_then(|at| {
        let behind = tokens.get(at + 1).filter(|t| !t.any(&["with", "and", "on", "for", "to", "called", "named"]));
        let called = tokens.get(at + 1).filter(|t| t.any(&["called", "named"])).and_then(|_| tokens.get(at + 2));
        let before = at
            .checked_sub(1)
            .and_then(|i| tokens.get(i))
            .filter(|t| !t.any(&["the", "a", "my", "this", "call", "run", "start", "trigger"]));
        behind.or(called).or(before)
    });
    let name = known.or_else(|| {
        near.map(|t| match &t.kind {
            Kind::Quoted(name) => name.clone(),
            _ => trigger::raw(plan.text, t).to_owned(),
        })
    });
    let Some(name) = name else {
        if named.is_none() {
            return false;
        }
        let about = plan.text[clause.span()].to_owned();
        let Some(name) = plan.ask("bot.name", "Which bot?", &about) else { return true };
        call(plan, &trigger::bot_name(plan, &name), true);
        return true;
    };
    let bot = trigger::bot_name(plan, &name);
    let looped = loops(plan, clause);
    call(plan, &bot, true);
    if looped {
        plan.close();
    }
    true
}

fn call(plan: &mut Plan<'_>, bot: &str, wait: bool) {
    if !plan.context.bots.is_empty() && !plan.context.bots.iter().any(|b| b == bot) {
        plan.assume(format!("There is no bot \"{bot}\" yet; it must exist when this one runs."));
    }
    let with = plan.subject.whole().map_or_else(|| Value::Object(Map::new()), |expr| Value::from(template(&expr)));
    plan.target_word.get_or_insert_with(|| bot.to_owned());
    let id = plan.push("call", StepKind::Call { bot: bot.to_owned(), with, wait });
    plan.main = Some(id);
    plan.sureness.push(0.95);
}

/// "wait 10 minutes".
fn waits(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    if !clause.tokens.iter().take(2).any(|t| t.any(&["wait", "pause", "sleep", "hold"])) {
        return false;
    }
    for at in 0..clause.tokens.len() {
        if let Ok(ms) = condition::length(&mut &clause.tokens[at..]) {
            plan.push("wait", StepKind::Wait(Wait::For(Span(ms))));
            plan.sureness.push(0.95);
            return true;
        }
    }
    false
}

/// "watch the feed URL", "monitor URL", "keep an eye on DIR".
fn watches(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    let watch =
        clause.tokens.iter().take(3).any(|t| t.any(&["watch", "watching", "monitor", "track", "observe", "follow"]))
            || (clause.has(&["eye"]) && clause.has(&["keep"]))
            || (clause.has(&["look"]) && clause.has(&["for", "at"]) && clause.has(&["new"]));
    if !watch {
        return false;
    }
    let url = clause.tokens.iter().find_map(|t| t.url().map(str::to_owned));
    let feed = clause.has(&["feed", "feeds", "rss", "atom", "news", "blog", "podcast", "articles", "items", "posts"])
        || url.as_deref().is_some_and(|u| ["feed", "rss", "atom"].iter().any(|w| u.to_lowercase().contains(w)))
        || (url.is_some() && plan.text.to_lowercase().contains("new item"));
    let path = clause.tokens.iter().any(|t| t.path().is_some());
    if (feed || path || clause.has(&["folder", "directory"])) && trigger::poll(plan, clause, true) {
        plan.sureness.push(0.95);
        return true;
    }
    let about = plan.text[clause.span()].to_owned();
    let Some(url) = url.or_else(|| plan.ask("watch.url", "Which address should be watched?", &about)) else {
        return true;
    };
    // Whether it is fetched or checked shows in what is asked of it.
    plan.fetch(&url);
    plan.sureness.push(0.85);
    true
}

/// The service that a clause speaks of and that no connector knows; asks what to do instead.
pub(super) fn stranger(plan: &mut Plan<'_>, clause: &Clause) -> Option<String> {
    let ours = |t: &Token| plan.index.connectors.contains_key(&t.word);
    // "to Gmail" is a way to send mail; "new Gmail attachments" is nothing that we know.
    let synonym = |i: usize| {
        let t = &clause.tokens[i];
        let led = i > 0 && clause.tokens[i - 1].any(&["to", "via", "by", "with", "using", "through"]);
        led && plan.catalogue.connectors().any(|c| c.synonyms.iter().any(|s| s.eq_ignore_ascii_case(&t.word)))
    };
    let listed = (0..clause.tokens.len()).filter(|i| !synonym(*i)).map(|i| &clause.tokens[i]).find(|t| {
        t.is_word()
            && STRANGERS.contains(&t.word.as_str())
            && (t.capital || !AMBIGUOUS.contains(&t.word.as_str()))
            && !ours(t)
    });
    let capital = || {
        clause
            .tokens
            .windows(2)
            .find(|w| {
                w[0].any(&["to", "into", "in", "on", "from", "via", "using", "with", "through"])
                    && w[1].is_word()
                    && w[1].capital
                    && !ours(&w[1])
                    && !COMMON_CAPITALS.contains(&w[1].word.as_str())
                    && !plan.context.bots.contains(&w[1].word)
            })
            .map(|w| &w[1])
    };
    let found = listed.or_else(capital)?;
    let name = trigger::raw(plan.text, found).to_owned();
    let question =
        format!("I do not know the service {name}. Does it have an address (URL) that I should send to or read from?");
    let id = format!("service.{}", super::naming::slug(&name));
    plan.ask(&id, &question, &name);
    Some(format!("I do not know the service {name}"))
}

/// Names of services that are ordinary words unless written with a capital.
const AMBIGUOUS: [&str; 16] = [
    "box", "buffer", "capsule", "copper", "gravity", "groove", "harvest", "linear", "medium", "nimble", "pocket",
    "sheets", "excel", "google", "outlook", "amazon",
];
const COMMON_CAPITALS: [&str; 40] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "url",
    "csv",
    "json",
    "xml",
    "http",
    "https",
    "api",
    "i",
    "it",
    "me",
    "my",
    "the",
    "a",
    "rss",
    "sql",
    "html",
    "markdown",
    "english",
    "german",
    "berlin",
    "utc",
];

/// "every row", "each order": opens a loop that ends with the clause.
fn loops(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    if !matches!(plan.subject, Subject::Http(_) | Subject::Rows(..) | Subject::Script(_) | Subject::Webhook(_)) {
        return false;
    }
    let Some(at) = clause.tokens.iter().position(|t| t.any(&["each", "every"])) else { return false };
    let rest = &clause.tokens[at + 1..];
    let skip = rest.iter().take_while(|t| t.any(&["new", "single", "of", "the"])).count();
    let Some(noun) = rest.get(skip).filter(|t| t.is_word()).map(|t| t.word.clone()) else { return false };
    // All rows go into a table at once, all or none.
    let table = clause.has(&["insert", "store", "save", "add", "put", "write", "load", "import", "record"])
        && super::value::table(&clause.tokens).is_some();
    let filter_at = rest.iter().position(|t| t.any(&["whose", "where"]));
    let end = rest.iter().position(|t| t.any(&["to", "into", "with"])).unwrap_or(rest.len());
    let filter = filter_at.filter(|f| *f < end).map(|f| rest[f + 1..end].to_vec());
    let Some(list) = plan.list_of(&singular(&noun)) else { return false };
    let texts = matches!(plan.subject, Subject::Rows(_, true));
    if table && matches!(plan.subject, Subject::Rows(..)) {
        if let Some(filtered) = filter.and_then(|f| filtered(plan, &list, texts, &f)) {
            plan.subject = Subject::Rows(filtered, texts);
        }
        return false;
    }
    let depth = plan.blocks.len();
    open_loop(plan, list, texts, filter.as_deref(), clause);
    plan.blocks.len() > depth
}

/// The items of a list that fit a filter.
fn filtered(plan: &mut Plan<'_>, list: &str, texts: bool, filter: &[Token]) -> Option<String> {
    let outer = std::mem::replace(&mut plan.subject, Subject::Item(texts));
    let found = condition::parse(filter).and_then(|c| super::compose::compose(plan, &c));
    plan.subject = outer;
    found.map(|f| format!("{list}.filter(item, {})", f.cel))
}

/// The best action for a clause: its score, its lead over the next, its name.
fn best(plan: &Plan<'_>, clause: &Clause) -> Option<(f64, f64, String)> {
    let query: Vec<String> = clause.tokens.iter().filter(|t| t.is_word()).flat_map(|t| stems(&t.word)).collect();
    let ranked = plan.index.rank(&query, false);
    let mut scored: Vec<(f64, &Entry)> =
        ranked.into_iter().map(|(score, entry)| (score + fit(plan, clause, entry), entry)).collect();
    scored.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.name.cmp(&y.name)));
    let (score, entry) = scored.first()?;
    let next = scored.get(1).map_or(0.0, |(s, _)| *s);
    Some((*score, score - next, entry.name.clone()))
}

/// How well the things in a clause fit what an action takes.
fn fit(plan: &Plan<'_>, clause: &Clause, entry: &Entry) -> f64 {
    let takes = |p: &str| entry.properties.iter().any(|q| q == p);
    let needs = |p: &str| entry.required.iter().any(|q| q == p);
    let has_url = clause.tokens.iter().any(|t| t.url().is_some());
    let has_path = clause.tokens.iter().any(|t| t.path().is_some());
    let has_table = super::value::table(&clause.tokens).is_some();
    let mut score = 0.0;
    match fill::mentioned(plan, clause) {
        Some(connector) if connector == entry.connector => score += 8.0,
        // Where the way is named, nothing else is meant.
        Some(_) => score -= 20.0,
        None => {}
    }
    score += match (takes("url"), has_url) {
        (true, true) => 4.0,
        (true, false) if needs("url") => -5.0,
        (false, true) => -3.0,
        _ => 0.0,
    };
    score += match (takes("table"), has_table) {
        (true, true) => 6.0,
        (true, false) => -6.0,
        _ => 0.0,
    };
    let paths = takes("path") || takes("from") || takes("dir");
    score += match (paths, has_path) {
        (true, true) => 4.0,
        (true, false) if plan.subject != Subject::File => -5.0,
        (false, true) if !takes("database") => -2.0,
        _ => 0.0,
    };
    let sql = clause.tokens.iter().any(|t| matches!(&t.kind, Kind::Quoted(q) if is_sql(q)));
    if needs("sql") {
        score += if sql { 8.0 } else { -8.0 };
    }
    // What no sentence says in passing must be named.
    for rare in ["pattern", "selector", "template", "html", "base64", "signature", "pointer", "method"] {
        if needs(rare) && !clause.has(&[rare]) {
            score -= 4.0;
        }
    }
    if entry.name == "webhook.reply" && !plan.triggers.iter().any(|t| matches!(t, Trigger::Webhook(_))) {
        score -= 3.0;
    }
    score + verb_fit(clause, &entry.name, has_url, has_table, has_path)
}

pub(super) fn is_sql(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
    matches!(first.as_str(), "select" | "insert" | "update" | "delete" | "with" | "create")
}

/// What the verb says about the action, besides what retrieval finds.
fn verb_fit(clause: &Clause, name: &str, url: bool, table: bool, path: bool) -> f64 {
    let verb = clause.verb().unwrap_or("");
    let fits = match name {
        "http.get" => {
            url && matches!(
                verb,
                "get"
                    | "fetch"
                    | "download"
                    | "load"
                    | "grab"
                    | "retrieve"
                    | "pull"
                    | "read"
                    | "open"
                    | "scrape"
                    | "query"
                    | "look"
                    | "call"
                    | "find"
            )
        }
        "http.check" => url && matches!(verb, "check" | "ping" | "try"),
        "http.post" => {
            url && matches!(
                verb,
                "post"
                    | "submit"
                    | "push"
                    | "upload"
                    | "forward"
                    | "send"
                    | "transfer"
                    | "report"
                    | "share"
                    | "give"
                    | "write"
                    | "notify"
                    | "alert"
                    | "tell"
                    | "call"
            )
        }
        "sql.insert" => {
            table
                && matches!(
                    verb,
                    "insert"
                        | "store"
                        | "save"
                        | "add"
                        | "write"
                        | "record"
                        | "put"
                        | "append"
                        | "log"
                        | "load"
                        | "import"
                        | "collect"
                        | "keep"
                        | "export"
                )
        }
        "sql.count" => table && (verb == "count" || clause.has(&["number", "many", "count"])),
        "file.write" => path && matches!(verb, "write" | "save" | "store" | "export" | "download" | "put" | "dump"),
        "file.append" => path && matches!(verb, "append" | "add" | "log" | "record"),
        "file.move" => matches!(verb, "move" | "rename" | "archive" | "transfer" | "put") && (path || verb == "move"),
        "file.copy" => matches!(verb, "copy") && path,
        "file.delete" => matches!(verb, "delete" | "remove"),
        "email.send" => matches!(verb, "email" | "mail"),
        "slack.send" => verb == "slack",
        "notify.send" => {
            !url && matches!(
                verb,
                "tell"
                    | "notify"
                    | "inform"
                    | "alert"
                    | "warn"
                    | "let"
                    | "remind"
                    | "message"
                    | "ping"
                    | "text"
                    | "send"
                    | "show"
                    | "give"
            ) && clause.has(&["me", "us", "everyone", "people", "team"])
        }
        "webhook.reply" => matches!(verb, "reply" | "respond" | "answer" | "return"),
        "log.write" => !url && !table && !path && matches!(verb, "log" | "print" | "show"),
        "kv.set" => verb == "remember",
        "event.publish" => matches!(verb, "publish" | "emit" | "raise" | "fire" | "broadcast" | "announce"),
        "rss.fetch" => {
            url && clause.has(&["feed", "rss", "headlines"]) && matches!(verb, "read" | "fetch" | "get" | "load")
        }
        _ => false,
    };
    if fits { 4.0 } else { 0.0 }
}
