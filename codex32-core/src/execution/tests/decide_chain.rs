//! The interpreter: going on as a new execution.

use super::bench::Bench;
use super::blueprints::{act, bot, call, foreach, go_on, guarded, step, undone};
use crate::error::Code;
use crate::execution::decide::{Command, Effect, Fact};
use crate::execution::entry::Event;
use crate::execution::types::Status;
use crate::id::ExecutionId;
use serde_json::json;

fn id(n: u128) -> ExecutionId {
    ExecutionId(uuid::Uuid::from_u128(n))
}

fn continued(n: u128) -> Fact {
    Fact::Continued { path: "again".into(), attempt: 1, id: id(n) }
}

#[test]
fn an_execution_ends_well_with_the_one_that_goes_on() {
    let done = undone(act("a", json!({"value": 2})), step("u"));
    let blueprint = bot(vec![done, go_on("again", json!({"n": "{{ steps.a + input.n }}"})), step("never")]);
    let mut bench = Bench::new(&blueprint, json!({"n": 1}));
    bench.succeed("a", json!(2));
    let Some(Command::Continue(work)) = bench.commands.last() else { panic!("{:?}", bench.commands) };
    assert_eq!((work.path.as_str(), work.scope.get("steps")), ("again", Some(json!({"a": 2}))));
    // As after a crash: it is prepared again.
    assert_eq!(bench.folded().in_flight().len(), 1);
    bench.open.clear();
    bench.fact(continued(7));
    assert_eq!((bench.status(), bench.output()), (Status::Succeeded, json!(null)));
    let kinds = bench.kinds();
    assert_eq!(kinds[kinds.len() - 2..], ["continued again", "finished"], "nothing is undone of what succeeded");
}

#[test]
fn a_successor_that_cannot_be_prepared_fails_the_step() {
    let mut bench = Bench::new(&bot(vec![go_on("again", json!({}))]), json!({}));
    let attempt = bench.open.remove(0).attempt;
    let error = crate::execution::Failure::at("again", &crate::Error::new(Code::Unavailable, "the database is busy"));
    bench.fact(Fact::Failed { path: "again".into(), attempt, error, ms: 0 });
    assert!(bench.finished.is_none(), "it is tried again");
    bench.now = bench.state.next_due().unwrap().0;
    bench.settle();
    assert_eq!(bench.open.remove(0).attempt, 2);
    let error = crate::execution::Failure::at("again", &crate::Error::invalid("the input does not fit"));
    bench.fact(Fact::Failed { path: "again".into(), attempt: 2, error, ms: 0 });
    assert_eq!(bench.error().code, Code::Invalid);
}

#[test]
fn who_cancels_in_time_is_heard() {
    let mut bench = Bench::new(&bot(vec![go_on("again", json!({}))]), json!({}));
    bench.open.clear();
    bench.fact(Fact::Cancel { by: "ann".into(), reason: None });
    bench.fact(continued(7));
    assert_eq!(bench.status(), Status::Cancelled);
}

#[test]
fn a_guard_decides_whether_it_goes_on() {
    let blueprint = bot(vec![guarded("input.n < 3", go_on("again", json!({})))]);
    assert!(Bench::new(&blueprint, json!({"n": 1})).finished.is_none());
    assert_eq!(Bench::new(&blueprint, json!({"n": 3})).status(), Status::Succeeded);
}

#[test]
fn signals_that_nobody_has_taken_are_handed_on() {
    let mut bench = Bench::new(&bot(vec![go_on("again", json!({}))]), json!({}));
    bench.fact(Fact::Signal { name: "go.on".into(), payload: json!(1) });
    bench.fact(Fact::Signal { name: "go.on".into(), payload: json!(2) });
    let kept = bench.state.kept_signals();
    let payload = |event: &Event| match event {
        Event::SignalReceived { payload, .. } => (**payload).clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(kept.iter().map(payload).collect::<Vec<_>>(), [json!(1), json!(2)]);
}

#[test]
fn a_parent_waits_for_the_one_that_goes_on() {
    let mut bench = Bench::new(&bot(vec![call("c", "endless", json!({}), true)]), json!({}));
    bench.open.clear();
    bench.fact(Fact::ChildStarted { path: "c".into(), attempt: 1, id: id(1) });
    bench.fact(Fact::ChildContinued { id: id(1), next: id(2) });
    bench.fact(Fact::ChildFinished { id: id(1), status: Status::Failed, output: None, error: None });
    assert!(bench.finished.is_none(), "the first is not waited for any more");
    bench.fact(Fact::ChildContinued { id: id(2), next: id(3) });
    bench.fact(Fact::ChildFinished { id: id(3), status: Status::Succeeded, output: Some(json!(5)), error: None });
    assert_eq!(bench.output(), json!(5));
    let mut bench = Bench::new(&bot(vec![call("c", "endless", json!({}), true)]), json!({}));
    bench.open.clear();
    bench.fact(Fact::ChildStarted { path: "c".into(), attempt: 1, id: id(1) });
    bench.fact(Fact::ChildContinued { id: id(1), next: id(2) });
    bench.fact(Fact::Cancel { by: "ann".into(), reason: None });
    assert_eq!(bench.effects, [Effect::CancelChild { id: id(2) }]);
}

#[test]
fn a_journal_without_end_fails_with_a_hint() {
    let blueprint =
        bot(vec![undone(step("first"), step("u")), foreach("each", "[1, 2, 3, 4, 5, 6]", 1, vec![step("a")])]);
    let mut bench = Bench::unstarted(&blueprint, json!({}));
    bench.check = false;
    bench.state.limit_journal(8);
    bench.record(Event::Started { copied: 0 });
    bench.settle();
    bench.play();
    let error = bench.error();
    assert_eq!((bench.status(), error.code), (Status::Failed, Code::TooLarge));
    assert!(error.hint.unwrap().contains("`continue`"));
    let kinds = bench.kinds();
    assert_eq!(kinds[8], "journal_full");
    assert!(kinds.contains(&"step_succeeded first/undo".to_owned()), "it is undone: {kinds:?}");
}
