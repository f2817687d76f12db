//! Tests of the room: sentences as data, each with the bot that comes of it; and what
//! holds for every text.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::{Context, Draft, draft};
use crate::blueprint;
use crate::catalogue::Catalogue;

/// Monday, 2026-01-05 10:07:30 UTC.
const NOW: i64 = 1_767_607_650_000;

fn context() -> Context {
    Context {
        now: NOW,
        timezone: "Europe/Berlin".to_owned(),
        email: Some("me@example.com".to_owned()),
        bots: vec!["triage".to_owned(), "a".to_owned()],
        ..Context::default()
    }
}

fn understand(text: &str) -> Draft {
    draft(text, Catalogue::builtin(), &context())
}

/// What a person sees of a draft.
fn shown(text: &str) -> String {
    let draft = understand(text);
    let mut out = format!("> {text}\n\n");
    if let Some(bot) = &draft.blueprint {
        let printed = blueprint::print(bot);
        let kept = printed.lines().filter(|l| !l.starts_with("codex32:") && !l.starts_with("description:"));
        for line in kept {
            let _ = writeln!(out, "{line}");
        }
    }
    let _ = writeln!(out, "\n{}", draft.explanation);
    for (what, texts) in [("assumed", &draft.assumptions), ("not understood", &draft.not_understood)] {
        for text in texts {
            let _ = writeln!(out, "{what}: {text}");
        }
    }
    for question in &draft.questions {
        let _ = writeln!(out, "{}: {}", if question.blocking { "must ask" } else { "asks" }, question.text);
    }
    let _ = writeln!(out, "confidence: {}\n", draft.confidence);
    out
}

const TWELVE: &[&str] = &[
    "every weekday at 9am Berlin time email me the number of rows in table orders",
    "when a webhook arrives with a field \"email\", store it in table leads and reply with {\"ok\": true}",
    "watch https feed https://news.example/feed.xml and send each new item's title and link to slack",
    "every hour check https://shop.example and tell me on telegram if it is down",
    "fetch https://prices.example/btc.json every 5 minutes and if usd is below 50000 post it to https://alerts.example/btc",
    "every night at 2:30 run this python script: raise SystemExit('boom') and email me its output if it fails",
    "when a file appears in /data/in, send its contents to https://files.example/up and move it to /data/in/done",
    "on the last Friday of each month, get https://bills.example/all.csv as csv and insert every row into table invoices",
    "ask me for approval by email before posting the webhook's message to discord",
    "keep this node script running and restart it when it crashes: setInterval(() => console.log('alive'), 1000)",
    "when bot A fails, send its error to slack",
    "every 10 minutes get https://tickets.example/all.json; for each item whose status is \"open\", call bot triage with it",
];

const OTHERS: &[&str] = &[
    "send me a slack message when the website https://shop.example is down",
    "remind me on telegram every Monday at 8 to water the plants",
    "every day at noon in New York get https://api.example/stats and write it to /data/stats.json",
    "if https://api.example/health does not answer, email ops@example.com and bob@example.com",
    "when the webhook order arrives with fields number and total, if total is above 1000 post it to https://books.example/orders, otherwise reply with \"too small\"",
    "every morning at 7 tell me on discord how many rows table users has, call it user-count",
    "twice a day get https://x.example/a.json and if version changes send it to #releases on slack",
];

const BEYOND: &[&str] = &[
    "summarize my inbox in notion every morning",
    "make coffee",
    "every day at 9 send an email with the report",
    "post it to slack",
];

#[test]
fn the_twelve_sentences() {
    insta::assert_snapshot!(TWELVE.iter().map(|text| shown(text)).collect::<String>());
}

#[test]
fn other_sentences() {
    insta::assert_snapshot!(OTHERS.iter().map(|text| shown(text)).collect::<String>());
}

#[test]
fn what_is_not_known_is_asked_or_said() {
    insta::assert_snapshot!(BEYOND.iter().map(|text| shown(text)).collect::<String>());
}

#[test]
fn without_an_address_of_ones_own_mail_goes_where_the_connection_says() {
    let text = "every day at 9 email me the number of rows in table orders";
    let draft = draft(text, Catalogue::builtin(), &Context { email: None, ..context() });
    assert!(!blueprint::print(&draft.blueprint.unwrap()).contains("to:"));
    let asked: Vec<_> = draft.questions.iter().map(|q| (q.id.as_str(), q.blocking)).collect();
    assert_eq!(asked, [("email.to", false)]);
}

/// Words that sentences are made of, so that random ones come near to sense.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "every", "5", "minutes", "when", "if", "below", "50000", "email", "me", "slack",
    "post", "it", "to", "https://a.example/x.json", "get", "and", "then", "row", "table", "orders",
    "webhook", "\"a b\"", "{", "}", "{{", "for each", ",", ";", "bot", "fails",
    "run this python script:", "wait", "2 hours", "ask me", "approval", "otherwise", "file", "/data/in", "the", "ß",
    "\n",
];

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS), 0..24).prop_map(|words| words.join(" "))
}

fn holds(text: &str) {
    let made = understand(text);
    assert_eq!(made, understand(text), "the same text gives the same draft");
    assert!((0.0..=1.0).contains(&made.confidence));
    let Some(bot) = made.blueprint else { return };
    let printed = blueprint::print(&bot);
    let (read, faults) = blueprint::check(&printed, Catalogue::builtin());
    assert!(read.is_some(), "{text}: {faults:?}\n{printed}");
    assert!(bot.permissions.network.iter().all(|host| text.contains(host.as_str())), "invented: {printed}");
}

proptest! {
    #[test]
    fn sentences_of_known_words_keep_the_promises(text in words()) {
        holds(&text);
    }

    #[test]
    fn any_text_keeps_the_promises(text in ".{0,200}") {
        holds(&text);
    }
}
