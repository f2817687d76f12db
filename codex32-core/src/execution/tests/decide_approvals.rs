//! The interpreter: reminding people, asking others, and what it comes to without an answer.

use super::bench::Bench;
use super::blueprints::{approve, ask, bot};
use crate::blueprint::{ApprovalWait, Escalation, OnTimeout, Remind, Span, Step};
use crate::error::Code;
use crate::execution::decide::{Effect, Fact};
use crate::execution::types::Answer;
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;

fn hours(n: u64) -> Span {
    Span(n * 3_600_000)
}

fn approval(wait: ApprovalWait) -> Step {
    let ask = Some(ask(json!({"to": "ann"})));
    approve("ok", ApprovalWait { message: "go on?".into(), ask, ..wait })
}

fn answer(approved: bool) -> Fact {
    let answer = Answer { approved, by: "bob".into(), comment: None };
    Fact::Answered { path: "ok".into(), answer }
}

fn nothing() -> Value {
    json!(null)
}

#[test]
fn people_are_reminded_as_often_as_is_said() {
    let remind = Some(Remind { every: hours(1), times: 2, ask: None });
    let mut bench = Bench::new(&bot(vec![approval(ApprovalWait { remind, ..ApprovalWait::default() })]), json!({}));
    bench.succeed("ok/ask", nothing());
    assert_eq!(bench.state.next_due(), Some((bench.now + HOUR, "ok")));
    bench.advance(HOUR);
    assert_eq!((bench.running(), bench.input("ok/remind0")), (vec!["ok/remind0"], json!({"to": "ann"})));
    assert!(bench.open[0].asks, "it needs the addresses for the answer");
    bench.succeed("ok/remind0", nothing());
    bench.advance(HOUR);
    bench.succeed("ok/remind1", nothing());
    assert_eq!(bench.state.next_due(), None, "twice and not more");
    bench.fact(answer(true));
    assert_eq!(bench.output(), json!({"approved": true, "by": "bob", "comment": null}));
}

#[test]
fn reminders_that_were_missed_are_not_made_up_for() {
    let own = ask(json!({"to": "ann", "again": true}));
    let remind = Some(Remind { every: hours(1), times: 10, ask: Some(own) });
    let mut bench = Bench::new(&bot(vec![approval(ApprovalWait { remind, ..ApprovalWait::default() })]), json!({}));
    bench.succeed("ok/ask", nothing());
    let asked = bench.now;
    bench.advance(5 * HOUR + 1);
    assert_eq!(bench.running(), ["ok/remind0"]);
    assert_eq!(bench.input("ok/remind0"), json!({"to": "ann", "again": true}));
    assert_eq!(bench.state.next_due(), Some((asked + 6 * HOUR, "ok")));
}

#[test]
fn others_are_asked_at_their_times_and_anybody_may_answer() {
    let escalate = vec![
        Escalation { after: hours(1), ask: ask(json!({"to": "boss"})) },
        Escalation { after: hours(4), ask: ask(json!({"to": "owner"})) },
    ];
    let mut bench = Bench::new(&bot(vec![approval(ApprovalWait { escalate, ..ApprovalWait::default() })]), json!({}));
    bench.succeed("ok/ask", nothing());
    bench.advance(HOUR);
    assert_eq!((bench.running(), bench.input("ok/escalate0")), (vec!["ok/escalate0"], json!({"to": "boss"})));
    bench.fail("ok/escalate0", Code::Forbidden);
    assert!(bench.finished.is_none(), "ann can still answer");
    bench.advance(3 * HOUR);
    assert_eq!(bench.running(), ["ok/escalate1"]);
    bench.fact(answer(false));
    assert!(bench.effects.contains(&Effect::Abort { path: "ok/escalate1".into() }), "nobody needs to be asked now");
    assert_eq!(bench.output()["approved"], json!(false));
    assert_eq!(bench.state.next_due(), None);
}

#[test]
fn both_may_be_due_at_once() {
    let wait = ApprovalWait {
        remind: Some(Remind { every: hours(2), times: 10, ask: None }),
        escalate: vec![Escalation { after: hours(2), ask: ask(json!({"to": "boss"})) }],
        timeout: Some(hours(4)),
        ..ApprovalWait::default()
    };
    let mut bench = Bench::new(&bot(vec![approval(wait)]), json!({}));
    bench.succeed("ok/ask", nothing());
    bench.advance(2 * HOUR);
    assert_eq!(bench.running(), ["ok/remind0", "ok/escalate0"]);
    bench.advance(2 * HOUR);
    assert_eq!(bench.error().code, Code::Timeout, "nobody is reminded of what is over");
    assert!(!bench.kinds().contains(&"step_scheduled ok/remind1".to_owned()));
}

#[test]
fn without_an_answer_it_comes_to_what_is_said() {
    for (on_timeout, approved) in [(OnTimeout::Approve, true), (OnTimeout::Decline, false)] {
        let wait = ApprovalWait { timeout: Some(hours(1)), on_timeout, ..ApprovalWait::default() };
        let mut bench = Bench::new(&bot(vec![approval(wait)]), json!({}));
        bench.succeed("ok/ask", nothing());
        bench.advance(HOUR);
        assert_eq!(bench.output(), json!({"approved": approved, "by": "timeout", "comment": null}));
        assert!(bench.effects.contains(&Effect::CloseApproval { path: "ok".into() }));
    }
}
