//! What decides for a native function, entry by entry.

use super::blueprints::bot;
use crate::blueprint::{Blueprint, Native};
use crate::clock::Millis;
use crate::error::Code;
use crate::execution::decide::native::{NativeState, Request, Until};
use crate::execution::decide::{Command, Fact};
use crate::execution::{Call, CompiledBlueprint, Entry, Event, Failure, Status};
use crate::id::ExecutionId;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

fn state(events: impl IntoIterator<Item = Event>) -> NativeState {
    let native = Some(Native { function: "f".into(), revision: None });
    let plan = CompiledBlueprint::compile(&Blueprint { native, ..bot(Vec::new()) }).unwrap();
    let events = std::iter::once(Event::Started { copied: 0 }).chain(events);
    let entries = (1_i64..).zip(events).map(|(seq, event)| Entry { seq, at: 10 * seq, event });
    NativeState::fold(Arc::new(plan), ExecutionId(Uuid::from_u128(1)), entries)
}

fn begun(path: &str, call: Call) -> Event {
    Event::StepScheduled {
        path: path.into(),
        attempt: 1,
        idempotency_key: format!("{}:{path}", Uuid::from_u128(1)),
        due: None,
        call: Some(call),
    }
}

fn gave(path: &str, output: Value) -> Event {
    Event::StepSucceeded { path: path.into(), attempt: 1, output: Arc::new(output), ms: 0, copied: false }
}

fn step() -> Request {
    Request::Step { retry: None, timeout: None }
}

/// Writes what is decided; gives the entries.
fn settle(state: &mut NativeState, now: Millis) -> Vec<Event> {
    state.settled();
    let mut written = Vec::new();
    while let Some(command) = state.next(now) {
        let event = command.event();
        state.apply(now, &event);
        written.push(event);
    }
    written
}

fn end(written: &[Event]) -> &Failure {
    match written.last() {
        Some(Event::Finished { status: Status::Failed, error: Some(error), .. }) => error,
        other => panic!("it goes on: {other:?}"),
    }
}

#[test]
fn a_new_call_is_written_once_all_old_ones_are_asked_for() {
    let old = || [begun("a", Call::Step), begun("b", Call::Step)];
    let mut faithful = state(old());
    faithful.ask("c".into(), step());
    faithful.ask("b".into(), step());
    faithful.ask("a".into(), step());
    assert_eq!(settle(&mut faithful, 50), [begun("c", Call::Step)]);
    let again = faithful.in_flight();
    assert_eq!(again.iter().filter_map(Command::path).collect::<Vec<_>>(), ["b", "a"], "as they were asked for");
    let mut strayed = state(old());
    strayed.ask("a".into(), step());
    strayed.ask("c".into(), step());
    let written = settle(&mut strayed, 50);
    let error = end(&written);
    assert_eq!((error.code, error.step.as_str()), (Code::Nondeterministic, "b"));
    assert_eq!(error.faults[0].pointer, "/calls/2");
    assert_eq!(error.faults[0].message, "expected the step `b`, found the step `c`");
}

#[test]
fn results_are_told_in_their_order_and_not_past_one_that_is_not_asked_for() {
    let journal = [begun("a", Call::Step), begun("b", Call::Signal), gave("b", json!(2)), gave("a", json!(1))];
    let mut faithful = state(journal.clone());
    faithful.ask("a".into(), step());
    assert!(faithful.tell().is_none(), "`b` came first");
    faithful.ask("b".into(), Request::Signal { timeout: None });
    let told: Vec<_> = std::iter::from_fn(|| faithful.tell()).map(|told| (told.path, told.at)).collect();
    assert_eq!(told, [("b".to_owned(), Some(40)), ("a".to_owned(), Some(50))]);
    assert!(!faithful.is_behind());
    let mut idle = state(journal.clone());
    assert!(settle(&mut idle, 60).is_empty(), "it has not come that far");
    let mut strayed = state(journal);
    strayed.ask("b".into(), step());
    assert_eq!(end(&settle(&mut strayed, 60)).step, "b", "it was a signal");
}

#[test]
fn a_call_that_was_overtaken_tells_of_the_one_that_is_missing() {
    let journal = [
        begun("a", Call::Step),
        begun("b", Call::Step),
        gave("a", json!(1)),
        gave("b", json!(2)),
        begun("c", Call::Step),
    ];
    let mut strayed = state(journal);
    strayed.ask("b".into(), step());
    assert!(strayed.tell().is_none());
    let written = settle(&mut strayed, 70);
    assert_eq!(end(&written).faults[0].message, "expected the step `a`, found the step `b`");
}

#[test]
fn waits_are_kept_to_their_time_also_by_who_was_not_asked() {
    let mut fresh = state([]);
    fresh.ask("nap".into(), Request::Sleep(Until::For(100)));
    fresh.ask("go".into(), Request::Signal { timeout: Some(500) });
    let mut written = settle(&mut fresh, 20);
    assert_eq!(written[0], Event::TimerSet { path: "nap".into(), due: 120 });
    assert!(matches!(&written[1], Event::StepScheduled { due: Some(520), call: Some(Call::Signal), .. }));
    assert!(fresh.waits_for_others() && !fresh.is_current("go", 1));
    // Read back, before the function has asked again.
    written.push(Event::SignalReceived { name: "other".into(), payload: Arc::new(json!(0)), path: String::new() });
    let mut read = state(written);
    assert_eq!(read.next_due(), Some((120, "nap")));
    let kinds = |written: &[Event]| -> Vec<String> {
        written.iter().map(|event| serde_json::to_value(event).unwrap()["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&settle(&mut read, 130)), ["timer_fired", "step_succeeded"]);
    assert_eq!(kinds(&settle(&mut read, 530)), ["timer_fired", "step_failed"]);
    let kept: Vec<_> = read.kept_signals();
    assert_eq!(kept.len(), 1);
    assert!(read.facts(540, Fact::Event { path: "go".into(), name: "go".into(), payload: json!(1) }).is_empty());
}

#[test]
fn a_journal_without_end_is_ended() {
    let mut long = state([]);
    long.limit_journal(3);
    long.ask("a".into(), step());
    long.ask("b".into(), step());
    let written = settle(&mut long, 20);
    assert_eq!(written.len(), 4, "{written:?}");
    assert_eq!(end(&written).code, Code::TooLarge);
    assert_eq!(long.take_effects().len(), 2, "what runs is not wanted any more");
}
