//! The interpreter: waiting for a time, an event, people, another bot.

use super::bench::Bench;
use super::blueprints::{
    act, approve, await_event, await_signal, bot, call, foreach, limited, named, retried, sleep, step,
};
use crate::blueprint::{ApprovalWait, Span, Step, StepKind, Wait};
use crate::error::Code;
use crate::execution::decide::{Command, Effect, Fact};
use crate::execution::entry::Failure;
use crate::execution::types::{Answer, Status};
use crate::id::ExecutionId;
use serde_json::{Value, json};

fn signal(name: &str, payload: Value) -> Fact {
    Fact::Signal { name: name.into(), payload }
}

fn until(id: &str, code: &str) -> Step {
    named(id, StepKind::Wait(Wait::Until(code.into())))
}

#[test]
fn a_wait_ends_when_its_time_has_come_and_not_before() {
    let mut bench = Bench::new(&bot(vec![sleep("w", 500), step("a")]), json!({}));
    assert_eq!(bench.state.next_due(), Some((1_500, "w")));
    bench.advance(499);
    assert!(bench.running().is_empty());
    bench.advance(1);
    assert_eq!(bench.running(), ["a"]);
    assert_eq!(bench.kinds()[1..4], ["timer_set w", "timer_fired w", "step_succeeded w"]);
}

#[test]
fn a_wait_until_takes_a_time_in_text() {
    let blueprint = bot(vec![until("w", "input.at"), step("a")]);
    let bench = Bench::new(&blueprint, json!({"at": "1970-01-01T00:00:05Z"}));
    assert_eq!(bench.state.next_due(), Some((5_000, "w")));
    let bench = Bench::new(&blueprint, json!({"at": "1970-01-01T00:00:00+00:00"}));
    assert_eq!(bench.running(), ["a"], "a time that has passed is waited for no longer");
    let mut bench = Bench::new(&blueprint, json!({"at": "tomorrow"}));
    assert_eq!(bench.play().error().code, Code::Invalid);
    let blueprint = bot(vec![until("w", "timestamp(input.at) + duration('2s')"), step("a")]);
    let bench = Bench::new(&blueprint, json!({"at": "1970-01-01T00:00:05Z"}));
    assert_eq!(bench.state.next_due(), Some((7_000, "w")));
}

#[test]
fn a_signal_ends_the_wait_for_it() {
    let mut bench = Bench::new(&bot(vec![await_event("w", "order.paid", None, None)]), json!({}));
    bench.fact(signal("order.sent", json!(1)));
    assert!(bench.finished.is_none());
    bench.fact(signal("order.paid", json!({"n": 7})));
    assert_eq!(bench.output(), json!({"n": 7}));
}

#[test]
fn a_signal_that_comes_early_is_kept() {
    let steps = vec![step("a"), await_event("w", "go.on", None, None), await_event("v", "go.on", None, None)];
    let mut bench = Bench::new(&bot(steps), json!({}));
    bench.fact(signal("go.on", json!(1)));
    bench.fact(signal("go.on", json!(2)));
    bench.succeed("a", json!(null));
    assert_eq!(bench.output(), json!(2), "the first to the first wait, the second to the second");
}

#[test]
fn a_filter_chooses_among_signals_and_steps() {
    let wait = await_event("w", "paid", Some("event.n == item"), None);
    let each = foreach("each", "[1, 2, 3]", 3, vec![wait]);
    let mut bench = Bench::new(&bot(vec![each]), json!({}));
    for n in [9, 3, 1, 2] {
        bench.fact(signal("paid", json!({"n": n})));
    }
    assert_eq!(bench.output(), json!([{"n": 1}, {"n": 2}, {"n": 3}]));
}

#[test]
fn an_event_wait_names_what_its_filter_sees() {
    let steps =
        vec![act("a", json!({})), await_event("w", "paid", Some("event.id == steps.a && event.n > input.n"), None)];
    let mut bench = Bench::new(&bot(steps), json!({"n": 1}));
    bench.succeed("a", json!("x"));
    let Some(Command::AwaitEvent { event, filter, scope, .. }) = bench.commands.last() else { panic!() };
    assert_eq!(event, "paid");
    assert_eq!(filter.as_deref(), Some("event.id == steps.a && event.n > input.n"));
    assert_eq!(scope.get("steps"), Some(json!({"a": "x"})));
    bench.fact(Fact::Event { path: "w".into(), name: "paid".into(), payload: json!({"id": "x", "n": 2}) });
    assert_eq!(bench.output(), json!({"id": "x", "n": 2}));
    assert_eq!(bench.effects, [Effect::ForgetWait { path: "w".into() }]);
}

#[test]
fn a_wait_for_a_signal_takes_what_is_sent_to_the_execution_only() {
    let wait = await_signal("w", "paid", Some("signal.n > input.n"), Some(700));
    let mut bench = Bench::new(&bot(vec![wait.clone()]), json!({"n": 1}));
    let Some(Command::AwaitSignal { path, due, .. }) = bench.commands.last() else { panic!("{:?}", bench.commands) };
    assert_eq!((path.as_str(), *due), ("w", Some(1_700)), "the bus is not asked");
    bench.fact(signal("paid", json!({"n": 1})));
    assert!(bench.finished.is_none());
    bench.fact(signal("paid", json!({"n": 2})));
    assert_eq!(bench.output(), json!({"n": 2}));
    assert!(bench.effects.is_empty(), "{:?}", bench.effects);
    let mut bench = Bench::new(&bot(vec![wait]), json!({"n": 1}));
    bench.advance(700);
    assert_eq!(bench.error().code, Code::Timeout);
}

#[test]
fn a_wait_for_an_event_times_out() {
    let mut bench = Bench::new(&bot(vec![await_event("w", "paid", None, Some(700))]), json!({}));
    bench.advance(699);
    assert!(bench.finished.is_none());
    bench.advance(1);
    assert_eq!((bench.error().code, bench.error().step.as_str()), (Code::Timeout, "w"));
    assert_eq!(bench.effects, [Effect::ForgetWait { path: "w".into() }]);
}

fn approval(ask: bool) -> Step {
    let ask = ask.then(|| super::blueprints::ask(json!({"to": "ann"})));
    let (message, timeout) = ("pay {{ input.n }}?".into(), Some(Span(60_000)));
    approve("ok", ApprovalWait { message, ask, timeout, ..ApprovalWait::default() })
}

fn answer(approved: bool) -> Fact {
    let answer = Answer { approved, by: "ann".into(), comment: Some("fine".into()) };
    Fact::Answered { path: "ok".into(), answer }
}

#[test]
fn an_approval_asks_and_gives_the_answer() {
    for approved in [true, false] {
        let mut bench = Bench::new(&bot(vec![approval(true)]), json!({"n": 5}));
        assert_eq!(bench.running(), ["ok/ask"]);
        assert!(bench.open[0].asks);
        let Some(Command::AskApproval { message, due, .. }) = bench.commands.first() else { panic!() };
        assert_eq!((message.as_str(), *due), ("pay 5?", Some(61_000)));
        bench.succeed("ok/ask", json!("sent"));
        assert!(bench.finished.is_none());
        bench.fact(answer(approved));
        assert_eq!(bench.output(), json!({"approved": approved, "by": "ann", "comment": "fine"}));
        bench.fact(answer(true));
    }
}

#[test]
fn an_answer_may_come_before_the_asking_is_recorded() {
    let mut bench = Bench::new(&bot(vec![approval(true)]), json!({"n": 5}));
    bench.fact(answer(true));
    assert_eq!(bench.output()["approved"], json!(true));
    assert!(bench.effects.contains(&Effect::Abort { path: "ok/ask".into() }));
}

#[test]
fn an_approval_nobody_answers_times_out() {
    let mut bench = Bench::new(&bot(vec![approval(false)]), json!({"n": 5}));
    bench.advance(60_000);
    assert_eq!(bench.error().code, Code::Timeout);
    assert_eq!(bench.effects, [Effect::CloseApproval { path: "ok".into() }]);
}

#[test]
fn an_approval_that_cannot_be_asked_for_fails() {
    let mut bench = Bench::new(&bot(vec![approval(true)]), json!({"n": 5}));
    bench.fail("ok/ask", Code::Forbidden);
    assert_eq!(bench.error().code, Code::Forbidden);
}

fn child() -> ExecutionId {
    ExecutionId(uuid::Uuid::from_u128(77))
}

fn start_child(bench: &mut Bench) {
    let attempt = bench.open.remove(0).attempt;
    bench.fact(Fact::ChildStarted { path: "c".into(), attempt, id: child() });
}

fn end_child(status: Status, output: Option<Value>) -> Fact {
    let error = (status != Status::Succeeded)
        .then(|| Failure::at("inner", &crate::Error::new(Code::Unavailable, "it was down")));
    Fact::ChildFinished { id: child(), status, output, error }
}

#[test]
fn a_call_waits_for_the_child_and_takes_its_output() {
    let blueprint = bot(vec![call("c", "triage", json!({"n": "{{ input.n }}"}), true)]);
    let mut bench = Bench::new(&blueprint, json!({"n": 3}));
    assert_eq!(bench.input("c"), json!({"n": 3}));
    start_child(&mut bench);
    assert!(bench.running().is_empty() && bench.finished.is_none());
    bench.fact(end_child(Status::Succeeded, Some(json!("done"))));
    assert_eq!(bench.output(), json!("done"));
    assert!(bench.effects.is_empty(), "{:?}", bench.effects);
}

#[test]
fn a_detached_call_goes_on_at_once_with_the_id() {
    let mut bench = Bench::new(&bot(vec![call("c", "triage", json!({}), false)]), json!({}));
    start_child(&mut bench);
    assert_eq!(bench.output(), json!(child().to_string()));
    assert!(bench.effects.is_empty(), "it is not cancelled: {:?}", bench.effects);
}

#[test]
fn a_failed_child_fails_the_call_and_another_is_started_for_a_retry() {
    let mut bench = Bench::new(&bot(vec![retried(2, call("c", "triage", json!({}), true))]), json!({}));
    start_child(&mut bench);
    bench.fact(end_child(Status::Failed, None));
    assert!(bench.finished.is_none());
    bench.advance(1_000);
    assert_eq!(bench.open[0].attempt, 2);
    start_child(&mut bench);
    bench.fact(end_child(Status::Failed, None));
    let error = bench.error();
    assert_eq!((error.code, error.step.as_str()), (Code::Unavailable, "c"));
    assert!(error.message.contains("it was down"));
}

#[test]
fn a_call_that_takes_too_long_cancels_the_child() {
    let mut bench = Bench::new(&bot(vec![limited(300, call("c", "triage", json!({}), true))]), json!({}));
    start_child(&mut bench);
    bench.advance(300);
    assert_eq!(bench.error().code, Code::Timeout);
    assert_eq!(bench.effects, [Effect::CancelChild { id: child() }]);
}
