//! Tests of the room.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Builder, Interpreter, OfflineInterpreter};
use crate::Code;
use crate::blueprint;
use crate::catalogue::Catalogue;
use crate::error::Result;
use crate::understand::{Context, Draft, Question};

fn builder(interpreter: impl Interpreter + 'static) -> Builder {
    Builder::new(Arc::new(interpreter), Arc::new(|| Catalogue::builtin().clone()))
}

fn berlin() -> Context {
    Context { now: 1_767_607_650_000, timezone: "Europe/Berlin".to_owned(), ..Context::default() }
}

#[tokio::test]
async fn answers_complete_a_draft() {
    let builder = builder(OfflineInterpreter);
    let text = "every day at 9 send the number of rows in table orders by email";
    let first = builder.draft(text, berlin()).await.unwrap();
    assert!(first.blueprint.is_none());
    let ids: Vec<&str> = first.questions.iter().map(|q| q.id.as_str()).collect();
    assert_eq!(ids, ["email.to"]);
    let answers = [("email.to".to_owned(), "ann@example.com".to_owned())].into();
    let second = builder.draft(text, Context { answers, ..berlin() }).await.unwrap();
    assert!(second.questions.is_empty());
    assert!(blueprint::print(&second.blueprint.unwrap()).contains("to: ann@example.com"));
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let builder = builder(OfflineInterpreter);
    let nowhere = Context { timezone: "Europe/Atlantis".to_owned(), ..Context::default() };
    for (text, context) in [("  ", berlin()), ("every hour check https://example.com", nowhere)] {
        assert_eq!(builder.draft(text, context).await.unwrap_err().code(), Code::Invalid, "{text:?}");
    }
}

/// An interpreter that gives what it was told to give, good or bad.
#[derive(Debug)]
struct Parrot(Draft);

#[async_trait]
impl Interpreter for Parrot {
    async fn draft(&self, _: &str, _: &Catalogue, _: &Context) -> Result<Draft> {
        Ok(self.0.clone())
    }
}

fn bot(action: &str) -> blueprint::Blueprint {
    let text = format!("codex32: v1\nname: x\non: [manual]\nsteps:\n  - use: {action}\n    with: {{message: hi}}\n");
    blueprint::parse(&text).unwrap()
}

async fn parrot(draft: Draft) -> Draft {
    builder(Parrot(draft)).draft("anything", berlin()).await.unwrap()
}

#[tokio::test]
async fn no_interpreter_is_trusted() {
    let good = parrot(Draft { blueprint: Some(bot("log.write")), confidence: 0.9, ..Draft::default() }).await;
    assert!(good.blueprint.is_some());

    let invented = parrot(Draft { blueprint: Some(bot("trello.add_card")), confidence: 0.9, ..Draft::default() }).await;
    assert!(invented.blueprint.is_none());
    assert!(!invented.not_understood.is_empty());

    let question = Question { id: "x".into(), text: "Which?".into(), about: String::new(), blocking: true };
    let open = parrot(Draft { blueprint: Some(bot("log.write")), questions: vec![question], ..Draft::default() }).await;
    assert!(open.blueprint.is_none());
}
