//! The interpreter: cancelling, running out of time, pausing, taking up again.

use super::bench::Bench;
use super::blueprints::{act, attempt, bot, call, foreach, named, parallel, retried, sleep, step};
use crate::blueprint::{Span, StepKind};
use crate::error::Code;
use crate::execution::decide::{Effect, FINALLY_BOUND, Fact};
use crate::execution::entry::Event;
use crate::execution::types::Status;
use crate::id::ExecutionId;
use indexmap::IndexMap;
use serde_json::json;
use std::sync::Arc;

fn cancel() -> Fact {
    Fact::Cancel { by: "ann".into(), reason: Some("enough".into()) }
}

#[test]
fn a_cancellation_stops_everything_at_once() {
    let mut bench = Bench::new(
        &bot(vec![parallel(
            "par",
            IndexMap::from([
                ("a".to_owned(), vec![step("x")]),
                ("b".to_owned(), vec![call("c", "triage", json!({}), true)]),
                ("d".to_owned(), vec![sleep("w", 1_000)]),
            ]),
        )]),
        json!({}),
    );
    let child = ExecutionId::at(5);
    bench.open.retain(|work| work.path != "par.b/c");
    bench.fact(Fact::ChildStarted { path: "par.b/c".into(), attempt: 1, id: child });
    bench.fact(cancel());
    assert_eq!(bench.status(), Status::Cancelled);
    assert_eq!((bench.error().code, bench.error().message.as_str()), (Code::Cancelled, "cancelled by ann: enough"));
    assert!(bench.effects.contains(&Effect::Abort { path: "par.a/x".into() }));
    assert!(bench.effects.contains(&Effect::CancelChild { id: child }));
    assert_eq!(bench.state.next_due(), None);
}

#[test]
fn finally_runs_on_a_cancellation_and_catch_does_not() {
    let careful = attempt("t", vec![step("work")], vec![step("never")], vec![step("tidy"), step("more")]);
    let mut bench = Bench::new(&bot(vec![careful, step("after")]), json!({}));
    bench.fact(cancel());
    assert_eq!(bench.running(), ["t/finally/tidy"]);
    bench.succeed("t/finally/tidy", json!(null));
    bench.succeed("t/finally/more", json!(null));
    assert_eq!(bench.status(), Status::Cancelled);
}

#[test]
fn finally_is_bounded_and_a_second_cancellation_cuts_it_short() {
    let careful = bot(vec![attempt("t", vec![step("work")], vec![], vec![step("tidy")])]);
    let mut bench = Bench::new(&careful, json!({}));
    bench.fact(cancel());
    bench.advance(FINALLY_BOUND - 1);
    assert!(bench.finished.is_none());
    bench.advance(1);
    assert_eq!(bench.status(), Status::Cancelled);
    let mut bench = Bench::new(&careful, json!({}));
    bench.fact(cancel());
    bench.fact(cancel());
    assert_eq!(bench.status(), Status::Cancelled);
    assert!(bench.effects.contains(&Effect::Abort { path: "t/finally/tidy".into() }));
}

#[test]
fn what_is_in_finally_already_is_let_to_its_end() {
    let careful = attempt("t", vec![step("work")], vec![], vec![step("tidy"), step("more")]);
    let mut bench = Bench::new(&bot(vec![careful, step("after")]), json!({}));
    bench.succeed("t/body/work", json!(1));
    bench.fact(cancel());
    bench.succeed("t/finally/tidy", json!(1));
    bench.succeed("t/finally/more", json!(1));
    assert_eq!(bench.status(), Status::Cancelled);
}

#[test]
fn nothing_is_tried_again_because_of_a_cancellation() {
    let group = retried(5, attempt("t", vec![retried(5, step("work"))], vec![], vec![]));
    let mut bench = Bench::new(&bot(vec![group]), json!({}));
    bench.fail("t/body/work", Code::Unavailable);
    bench.fact(cancel());
    assert_eq!(bench.status(), Status::Cancelled);
}

#[test]
fn nested_finally_blocks_run_from_the_inside_out() {
    let inner = attempt("i", vec![step("work")], vec![], vec![step("f1")]);
    let outer = attempt("o", vec![inner], vec![], vec![step("f2")]);
    let mut bench = Bench::new(&bot(vec![foreach("each", "[1, 2]", 2, vec![outer])]), json!({}));
    bench.fact(cancel());
    assert_eq!(bench.running(), ["each[0]/o/body/i/finally/f1", "each[1]/o/body/i/finally/f1"]);
    bench.succeed("each[0]/o/body/i/finally/f1", json!(1));
    assert_eq!(bench.running(), ["each[1]/o/body/i/finally/f1", "each[0]/o/finally/f2"]);
    bench.play();
    assert_eq!(bench.status(), Status::Cancelled);
}

#[test]
fn an_execution_has_its_time() {
    let mut blueprint = bot(vec![attempt("t", vec![step("work")], vec![step("never")], vec![step("tidy")])]);
    blueprint.timeout = Some(Span(2_000));
    let mut bench = Bench::new(&blueprint, json!({}));
    bench.advance(1_999);
    assert_eq!(bench.running(), ["t/body/work"]);
    bench.advance(1);
    assert_eq!(bench.running(), ["t/finally/tidy"]);
    bench.succeed("t/finally/tidy", json!(1));
    assert_eq!((bench.status(), bench.error().code), (Status::Failed, Code::Timeout));
}

#[test]
fn while_paused_results_are_recorded_and_nothing_is_begun() {
    let blueprint = bot(vec![parallel(
        "par",
        IndexMap::from([
            ("a".to_owned(), vec![step("x"), step("y")]),
            ("b".to_owned(), vec![sleep("w", 100), step("z")]),
        ]),
    )]);
    let mut bench = Bench::new(&blueprint, json!({}));
    bench.fact(Fact::Pause { by: "ann".into() });
    bench.succeed("par.a/x", json!(1));
    bench.advance(1_000);
    assert!(bench.running().is_empty());
    bench.fact(Fact::Pause { by: "bob".into() });
    bench.fact(Fact::Resume { by: "ann".into() });
    bench.fact(Fact::Resume { by: "bob".into() });
    assert_eq!(bench.running(), ["par.a/y", "par.b/z"]);
    assert_eq!(bench.kinds().iter().filter(|kind| *kind == "paused" || *kind == "resumed").count(), 2);
}

#[test]
fn a_paused_execution_can_be_cancelled_even_when_only_its_end_is_missing() {
    let mut bench = Bench::new(&bot(vec![step("a")]), json!({}));
    bench.fact(Fact::Pause { by: "ann".into() });
    bench.succeed("a", json!(1));
    assert!(bench.finished.is_none());
    bench.fact(cancel());
    assert_eq!(bench.status(), Status::Cancelled);
}

#[test]
fn results_of_an_earlier_execution_are_taken_over() {
    let steps = vec![
        step("a"),
        attempt("t", vec![step("bad")], vec![step("c")], vec![]),
        act("end", json!({"value": "{{ steps.a }}"})),
    ];
    let mut bench = Bench::unstarted(&bot(steps), json!({}));
    bench.record(Event::Started { copied: 2 });
    bench.settle();
    assert!(bench.running().is_empty(), "the copies come first");
    let (path, output) = ("a".to_owned(), Arc::new(json!("old")));
    bench.record(Event::StepSucceeded { path, attempt: 1, output, ms: 1, copied: true });
    let error = crate::execution::entry::Failure::at("t/body/bad", &crate::Error::new(Code::Failed, "caught"));
    let path = "t/body/bad".to_owned();
    bench.record(Event::StepFailed { path, attempt: 1, error, ms: 1, retry_at: None, copied: true });
    bench.settle();
    assert_eq!(bench.running(), ["t/catch/c"], "what was caught is not tried again");
    assert_eq!(bench.play().output(), json!("old"));
    assert!(!bench.kinds().contains(&"step_scheduled a".to_owned()));
}

#[test]
fn an_output_that_is_too_large_fails_the_execution() {
    let each = foreach(
        "each",
        "[1, 2, 3]",
        3,
        vec![named("a", StepKind::Use { action: "fake.act".into(), with: json!({}), connection: None })],
    );
    let mut bench = Bench::new(&bot(vec![each]), json!({}));
    for round in 0..3 {
        bench.succeed(&format!("each[{round}]/a"), json!("x".repeat(400_000)));
    }
    assert_eq!(bench.error().code, Code::TooLarge);
}
