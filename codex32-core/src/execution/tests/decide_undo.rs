//! The interpreter: taking back what was done.

use super::bench::Bench;
use super::blueprints::{
    act, attempt, await_event, bot, branch, fail, foreach, guarded, parallel, retried, step, undone,
};
use crate::blueprint::{Span, Step};
use crate::error::Code;
use crate::execution::decide::{Effect, FINALLY_BOUND, Fact, UNDO_BOUND};
use crate::execution::entry::Event;
use crate::execution::types::Status;
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::sync::Arc;

/// A step that gives `{"id": ID}`, and an undo that takes that.
fn reserve(id: &str) -> Step {
    undone(act(id, json!({"value": {"id": id}})), act("u", json!({"value": "{{ result.id }}"})))
}

fn cancel() -> Fact {
    Fact::Cancel { by: "ann".into(), reason: None }
}

/// The undos that were begun, in order.
fn undos(bench: &Bench) -> Vec<String> {
    let begun = bench.kinds().into_iter().filter_map(|kind| kind.strip_prefix("step_scheduled ").map(str::to_owned));
    begun.filter(|path| path.ends_with("/undo")).collect()
}

#[test]
fn what_succeeded_is_undone_in_reverse_before_the_end() {
    let steps = vec![
        reserve("a"),
        reserve("b"),
        guarded("false", reserve("skipped")),
        step("plain"),
        act("bad", json!({"fail": "unavailable"})),
        reserve("never"),
    ];
    let mut bench = Bench::new(&bot(steps), json!({}));
    for path in ["a", "b"] {
        bench.succeed(path, json!({"id": path}));
    }
    bench.succeed("plain", json!(1));
    bench.fail("bad", Code::Unavailable);
    assert_eq!((bench.running(), bench.input("b/undo")), (vec!["b/undo"], json!({"value": "b"})));
    bench.succeed("b/undo", json!(null));
    assert_eq!((bench.running(), bench.input("a/undo")), (vec!["a/undo"], json!({"value": "a"})));
    bench.succeed("a/undo", json!(null));
    let error = bench.error();
    assert_eq!((bench.status(), error.step.as_str(), error.message.as_str()), (Status::Failed, "bad", "it broke"));
    assert!(error.not_undone.is_empty());
    let kinds = bench.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "undoing").count(), 1);
    assert_eq!(kinds[kinds.len() - 6], "undoing", "{kinds:?}");
    assert_eq!(kinds.last().unwrap(), "finished");
}

#[test]
fn nothing_is_undone_of_what_succeeds_or_of_what_has_no_undo() {
    let mut bench = Bench::new(&bot(vec![reserve("a"), step("b")]), json!({}));
    bench.play();
    assert_eq!((bench.status(), undos(&bench).len()), (Status::Succeeded, 0));
    let mut bench = Bench::new(&bot(vec![step("a"), fail("bad", "no")]), json!({}));
    bench.play();
    assert!(!bench.kinds().contains(&"undoing".to_owned()));
}

#[test]
fn an_undo_sees_what_its_step_has_seen() {
    let inner = undone(
        act("x", json!({"value": "{{ item }}"})),
        act("u", json!({"value": "{{ string(result) + string(item) + string(index) + steps.before + input.name }}"})),
    );
    let whole = undone(step("y"), act("u", json!({"value": "{{ size(steps) }}"})));
    let blueprint = bot(vec![
        act("before", json!({"value": "b"})),
        foreach("each", "[7, 8]", 1, vec![inner]),
        whole,
        act("after", json!({"value": "a"})),
        fail("bad", "no"),
    ]);
    let mut bench = Bench::new(&blueprint, json!({"name": "n"}));
    let mut inputs = Vec::new();
    while bench.finished.is_none() {
        let path = bench.running()[0].to_owned();
        let value = bench.input(&path)["value"].clone();
        if path.ends_with("/undo") {
            inputs.push((path.clone(), value.clone()));
        }
        bench.succeed(&path, value);
    }
    // `before`, and the loop itself.
    let expected = [("y/undo", json!(2)), ("each[1]/x/undo", json!("881bn")), ("each[0]/x/undo", json!("770bn"))];
    assert_eq!(inputs, expected.map(|(path, value)| (path.to_owned(), value)));
}

#[test]
fn an_undo_that_fails_is_told_and_the_others_still_run() {
    let stubborn = undone(act("b", json!({"value": 1})), retried(2, act("u", json!({"fail": "unavailable"}))));
    let wrong = undone(act("c", json!({"value": 1})), act("u", json!({"value": "{{ result.missing }}"})));
    let steps = vec![reserve("a"), stubborn, wrong, fail("bad", "first")];
    let mut bench = Bench::new(&bot(steps), json!({}));
    // What the performer does with an expression that cannot be evaluated.
    for path in ["a", "b", "c"] {
        bench.succeed(path, json!({"id": path}));
    }
    bench.fail("c/undo", Code::Invalid);
    bench.fail("b/undo", Code::Unavailable);
    assert!(bench.running().is_empty(), "it is tried again later");
    bench.advance(1_000);
    bench.fail("b/undo", Code::Unavailable);
    bench.succeed("a/undo", json!(null));
    let error = bench.error();
    assert_eq!((error.step.as_str(), error.message.as_str()), ("bad", "first; 2 steps could not be undone"));
    let told: Vec<_> = error.not_undone.iter().map(|one| (one.step.as_str(), one.code)).collect();
    assert_eq!(told, [("c", Code::Invalid), ("b", Code::Unavailable)]);
}

#[test]
fn an_undo_is_tried_three_times_where_nothing_else_is_said() {
    let mut bench = Bench::new(&bot(vec![reserve("a"), fail("bad", "no")]), json!({}));
    bench.succeed("a", json!({"id": 1}));
    for _ in 0..2 {
        bench.fail("a/undo", Code::Timeout);
        bench.now = bench.state.next_due().unwrap().0;
        bench.settle();
    }
    bench.fail("a/undo", Code::Timeout);
    assert_eq!(bench.error().not_undone.len(), 1);
}

#[test]
fn the_body_of_a_try_is_undone_before_its_catch() {
    let careful = attempt(
        "t",
        vec![reserve("b"), branch("i", "true", vec![reserve("c")], vec![]), fail("bad", "no")],
        vec![act("caught", json!({"value": "{{ error.message }}"}))],
        vec![step("f")],
    );
    let mut bench = Bench::new(&bot(vec![reserve("a"), careful, fail("later", "again")]), json!({}));
    bench.play();
    let undone = ["t/body/i/then/c/undo", "t/body/b/undo", "a/undo"];
    assert_eq!(undos(&bench), undone, "each once, and what stands before the try only at the end");
    let kinds = bench.kinds();
    let place = |what: &str| kinds.iter().position(|kind| kind == what).unwrap();
    assert!(place("undoing t") < place("step_scheduled t/body/i/then/c/undo"));
    assert!(place("step_succeeded t/body/b/undo") < place("step_scheduled t/catch/caught"));
    assert!(place("step_succeeded t/finally/f") < place("undoing"));
    assert_eq!(bench.error().message, "again");
}

#[test]
fn catch_is_told_what_could_not_be_undone() {
    let stubborn = undone(act("b", json!({"value": 1})), act("u", json!({"fail": "forbidden"})));
    let told = act("told", json!({"value": "{{ error.not_undone.map(one, one.step) }}"}));
    let blueprint = bot(vec![attempt("t", vec![stubborn, fail("bad", "no")], vec![told], vec![])]);
    assert_eq!(Bench::new(&blueprint, json!({})).play().output(), json!(["t/body/b"]));
    let nothing = act("told", json!({"value": "{{ size(error.not_undone) }}"}));
    let blueprint = bot(vec![attempt("t", vec![fail("bad", "no")], vec![nothing], vec![])]);
    assert_eq!(Bench::new(&blueprint, json!({})).play().output(), json!(0));
}

#[test]
fn a_try_that_catches_nothing_leaves_the_undoing_to_what_is_around_it() {
    let inner = attempt("i", vec![reserve("a"), fail("bad", "no")], vec![], vec![step("f")]);
    let outer = attempt("o", vec![inner], vec![step("caught")], vec![]);
    let mut bench = Bench::new(&bot(vec![outer]), json!({}));
    bench.play();
    let kinds = bench.kinds();
    let place = |what: &str| kinds.iter().position(|kind| kind == what).unwrap();
    assert!(place("step_succeeded o/body/i/finally/f") < place("undoing o"));
    assert!(place("step_succeeded o/body/i/body/a/undo") < place("step_scheduled o/catch/caught"));
    assert_eq!(bench.status(), Status::Succeeded);
}

#[test]
fn branches_are_undone_by_the_order_of_their_success() {
    let branches = IndexMap::from([
        ("a".to_owned(), vec![reserve("x"), reserve("y")]),
        ("b".to_owned(), vec![reserve("z"), step("held")]),
    ]);
    let mut bench = Bench::new(&bot(vec![parallel("par", branches), fail("bad", "no")]), json!({}));
    for path in ["par.a/x", "par.b/z", "par.a/y"] {
        bench.succeed(path, json!({"id": path}));
    }
    bench.fail("par.b/held", Code::Failed);
    bench.play();
    assert_eq!(undos(&bench), ["par.a/y/undo", "par.b/z/undo", "par.a/x/undo"]);
}

#[test]
fn a_cancelled_execution_is_undone_after_finally_within_its_own_time() {
    let careful = attempt("t", vec![reserve("a"), step("work")], vec![step("never")], vec![step("f")]);
    let mut bench = Bench::new(&bot(vec![careful]), json!({}));
    bench.succeed("t/body/a", json!({"id": 1}));
    bench.fact(cancel());
    assert_eq!(bench.running(), ["t/finally/f"]);
    bench.advance(FINALLY_BOUND);
    assert_eq!(bench.running(), ["t/body/a/undo"], "it is undone although finally was cut short");
    bench.advance(UNDO_BOUND - 1);
    assert!(bench.finished.is_none());
    bench.advance(1);
    let error = bench.error();
    assert_eq!((bench.status(), error.code), (Status::Cancelled, Code::Cancelled));
    assert_eq!((error.not_undone[0].step.as_str(), error.not_undone[0].code), ("t/body/a", Code::Timeout));
    assert!(bench.effects.contains(&Effect::Abort { path: "t/body/a/undo".into() }));
}

#[test]
fn a_second_cancellation_ends_the_undoing() {
    let mut bench = Bench::new(&bot(vec![reserve("a"), reserve("b"), step("work")]), json!({}));
    bench.succeed("a", json!({"id": 1}));
    bench.succeed("b", json!({"id": 1}));
    bench.fact(cancel());
    assert_eq!(bench.running(), ["b/undo"]);
    bench.fact(cancel());
    let error = bench.error();
    assert_eq!(bench.status(), Status::Cancelled);
    assert_eq!(error.not_undone.iter().map(|one| one.step.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert!(error.message.ends_with("; 2 steps could not be undone"), "{}", error.message);
}

#[test]
fn a_second_cancellation_during_finally_leaves_what_was_done() {
    let careful = attempt("t", vec![reserve("a"), step("work")], vec![], vec![step("f")]);
    let mut bench = Bench::new(&bot(vec![careful]), json!({}));
    bench.succeed("t/body/a", json!({"id": 1}));
    bench.fact(cancel());
    bench.fact(cancel());
    assert_eq!((bench.status(), bench.error().not_undone.len()), (Status::Cancelled, 1));
}

#[test]
fn a_failed_execution_that_is_cancelled_while_it_is_undone_stays_failed() {
    let mut bench = Bench::new(&bot(vec![reserve("a"), fail("bad", "no")]), json!({}));
    bench.succeed("a", json!({"id": 1}));
    assert_eq!(bench.state.next_due(), None, "a failure alone does not bound it");
    bench.fact(cancel());
    assert_eq!(bench.state.next_due(), Some((bench.now + UNDO_BOUND, "")));
    bench.succeed("a/undo", json!(null));
    assert_eq!((bench.status(), bench.error().message.as_str()), (Status::Failed, "no"));
}

#[test]
fn an_execution_out_of_time_is_undone() {
    let mut blueprint = bot(vec![reserve("a"), await_event("w", "paid", None, None)]);
    blueprint.timeout = Some(Span(5_000));
    let mut bench = Bench::new(&blueprint, json!({}));
    bench.succeed("a", json!({"id": 1}));
    bench.advance(5_000);
    assert_eq!(bench.running(), ["a/undo"]);
    bench.succeed("a/undo", json!(null));
    assert_eq!((bench.status(), bench.error().code), (Status::Failed, Code::Timeout));
}

#[test]
fn a_cancellation_lets_the_undoing_of_a_body_end_and_undoes_the_rest() {
    let careful = attempt("t", vec![reserve("b"), fail("bad", "no")], vec![step("never")], vec![step("f")]);
    let mut bench = Bench::new(&bot(vec![reserve("a"), careful]), json!({}));
    bench.succeed("a", json!({"id": 1}));
    bench.succeed("t/body/b", json!({"id": 2}));
    assert_eq!(bench.running(), ["t/body/b/undo"]);
    bench.fact(cancel());
    bench.succeed("t/body/b/undo", json!(null));
    bench.succeed("t/finally/f", json!(null));
    bench.succeed("a/undo", json!(null));
    assert_eq!((bench.status(), undos(&bench).len()), (Status::Cancelled, 2));
}

#[test]
fn an_undo_that_was_cut_short_is_begun_once_more() {
    let careful = attempt("t", vec![reserve("b"), fail("bad", "no")], vec![step("never")], vec![]);
    let mut bench = Bench::new(&bot(vec![careful]), json!({}));
    bench.succeed("t/body/b", json!({"id": 2}));
    bench.fact(cancel());
    bench.advance(FINALLY_BOUND);
    assert_eq!((bench.running(), bench.open[0].attempt), (vec!["t/body/b/undo"], 2));
    bench.succeed("t/body/b/undo", json!(null));
    assert!(bench.error().not_undone.is_empty());
}

#[test]
fn while_paused_nothing_is_undone() {
    let mut bench = Bench::new(&bot(vec![reserve("a"), reserve("b"), step("bad")]), json!({}));
    bench.succeed("a", json!({"id": 1}));
    bench.succeed("b", json!({"id": 1}));
    bench.fact(Fact::Pause { by: "ann".into() });
    bench.fail("bad", Code::Failed);
    assert!(bench.running().is_empty());
    bench.fact(Fact::Resume { by: "ann".into() });
    bench.succeed("b/undo", json!(null));
    bench.fact(Fact::Pause { by: "ann".into() });
    bench.fact(cancel());
    bench.succeed("a/undo", json!(null));
    assert_eq!((bench.status(), undos(&bench).len()), (Status::Failed, 2));
}

#[test]
fn results_that_were_taken_over_are_undone_too() {
    let mut bench = Bench::unstarted(&bot(vec![reserve("a"), fail("bad", "no")]), json!({}));
    bench.record(Event::Started { copied: 1 });
    let (path, output) = ("a".to_owned(), Arc::new(json!({"id": "old"})));
    bench.record(Event::StepSucceeded { path, attempt: 1, output, ms: 1, copied: true });
    bench.settle();
    assert_eq!(bench.input("a/undo"), json!({"value": "old"}));
    bench.play();
    assert_eq!(undos(&bench), ["a/undo"]);
}

#[test]
fn thousands_of_rounds_are_undone_in_a_time_by_their_number() {
    let each = foreach("each", "input.items", 50, vec![reserve("a")]);
    let time = |n: usize| {
        let blueprint = bot(vec![each.clone(), fail("bad", "no")]);
        let mut bench = Bench::unstarted(&blueprint, json!({"items": (0..n).collect::<Vec<_>>()}));
        bench.check = false;
        let started = std::time::Instant::now();
        bench.record(Event::Started { copied: 0 });
        bench.settle();
        bench.play();
        assert_eq!(undos(&bench).len(), n);
        started.elapsed().as_secs_f64() / n as f64
    };
    let few = time(150).max(time(150));
    let many = time(1_500).min(time(1_500));
    assert!(many < few * 4.0, "each of 150: {few:.6} s, each of 1,500: {many:.6} s");
}

#[test]
fn a_caught_failure_costs_nothing_for_what_was_done_around_it() {
    let careful =
        attempt("t", vec![reserve("a"), fail("bad", "no")], vec![branch("i", "false", vec![], vec![])], vec![]);
    let blueprint = bot(vec![foreach("each", "input.items", 1, vec![careful])]);
    let mut bench = Bench::new(&blueprint, json!({"items": [1, 2]}));
    bench.play();
    assert_eq!(undos(&bench), ["each[0]/t/body/a/undo", "each[1]/t/body/a/undo"]);
    assert_eq!(bench.output(), json!([Value::Null, Value::Null]));
}
