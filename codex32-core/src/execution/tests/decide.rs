//! The interpreter: what each kind of step does.

use super::bench::Bench;
use super::blueprints::{act, attempt, bot, branch, fail, foreach, guarded, limited, parallel, retried, step, switch};
use crate::error::Code;
use crate::execution::decide::MAX_ITEMS;
use crate::execution::entry::Event;
use crate::execution::types::Status;
use indexmap::IndexMap;
use serde_json::{Value, json};

#[test]
fn steps_follow_each_other_and_see_what_came_before() {
    let blueprint = bot(vec![
        act("one", json!({"value": "{{ input.n + 1 }}"})),
        act("two", json!({"value": {"twice": "{{ steps.one * 2 }}", "text": "n={{ input.n }}"}})),
    ]);
    let mut bench = Bench::new(&blueprint, json!({"n": 1}));
    assert_eq!(bench.running(), ["one"]);
    bench.play();
    assert_eq!(bench.output(), json!({"twice": 4, "text": "n=1"}));
    let expected =
        ["started", "step_scheduled one", "step_succeeded one", "step_scheduled two", "step_succeeded two", "finished"];
    assert_eq!(bench.kinds(), expected);
}

#[test]
fn a_bot_without_steps_succeeds_with_null() {
    assert_eq!(Bench::new(&bot(vec![]), json!({})).play().output(), Value::Null);
}

#[test]
fn the_output_template_sees_all_steps() {
    let mut blueprint = bot(vec![
        act("a", json!({"value": 1})),
        branch("i", "input.yes", vec![act("b", json!({"value": 2}))], vec![act("c", json!({"value": 3}))]),
    ]);
    blueprint.output = Some(json!({"a": "{{ steps.a }}", "b": "{{ steps.b }}", "c": "{{ steps.c }}"}));
    let mut bench = Bench::new(&blueprint, json!({"yes": true}));
    assert_eq!(bench.play().output(), json!({"a": 1, "b": 2, "c": null}), "what did not run is null");
    blueprint.output = Some(json!("{{ steps.nowhere }}"));
    let mut bench = Bench::new(&blueprint, json!({"yes": true}));
    let error = bench.play().error();
    assert_eq!(error.code, Code::Invalid);
    assert!(error.message.contains("`output`"), "{}", error.message);
}

#[test]
fn a_guard_skips_and_its_output_is_null() {
    let blueprint = bot(vec![
        guarded("input.go", act("a", json!({"value": 1}))),
        act("b", json!({"value": "{{ steps.a == null }}"})),
    ]);
    let mut bench = Bench::new(&blueprint, json!({"go": false}));
    assert_eq!(bench.play().output(), json!(true));
    assert!(bench.kinds().contains(&"step_skipped a".to_owned()));
    assert_eq!(Bench::new(&blueprint, json!({"go": true})).play().output(), json!(false));
}

#[test]
fn an_expression_that_cannot_be_evaluated_fails_its_step_and_is_pointed_at() {
    for (steps, place) in [
        (vec![guarded("input.missing.deep", step("a"))], "/if"),
        (vec![branch("a", "input.missing", vec![], vec![])], "/if"),
        (vec![switch("a", "input.missing", vec![], vec![])], "/switch"),
        (vec![foreach("a", "input.missing", 1, vec![])], "/foreach"),
        (vec![foreach("a", "input.text", 1, vec![])], "/foreach"),
        (vec![fail("a", "{{ input.missing }}")], "/fail"),
    ] {
        let mut bench = Bench::new(&bot(steps), json!({"text": "x"}));
        let error = bench.play().error();
        assert_eq!((error.code, error.step.as_str()), (Code::Invalid, "a"));
        assert_eq!(error.faults[0].pointer, place);
        assert!(bench.kinds().contains(&"step_failed a".to_owned()));
    }
}

#[test]
fn a_failed_step_fails_the_execution_and_tells_where() {
    let mut bench = Bench::new(&bot(vec![act("a", json!({"fail": "unavailable"})), step("b")]), json!({}));
    let error = bench.play().error();
    assert_eq!((error.code, error.step.as_str(), error.message.as_str()), (Code::Unavailable, "a", "it broke"));
    assert!(!bench.kinds().iter().any(|kind| kind.ends_with(" b")));
}

#[test]
fn if_and_switch_take_one_way() {
    let blueprint = bot(vec![
        branch(
            "i",
            "input.n > 1",
            vec![act("big", json!({"value": "big"}))],
            vec![act("small", json!({"value": "small"}))],
        ),
        switch(
            "s",
            "input.n",
            vec![
                (json!(1), vec![act("one", json!({"value": "1"}))]),
                (json!(2.0), vec![act("two", json!({"value": "2"}))]),
            ],
            vec![act("other", json!({"value": "?"}))],
        ),
        act("end", json!({"value": "{{ steps.i + steps.s }}"})),
    ]);
    for (n, expected, path) in
        [(1, "small1", "s/case0/one"), (2, "big2", "s/case1/two"), (3, "big?", "s/default/other")]
    {
        let mut bench = Bench::new(&blueprint, json!({"n": n}));
        assert_eq!(bench.play().output(), json!(expected));
        assert!(bench.kinds().contains(&format!("step_succeeded {path}")), "{:?}", bench.kinds());
    }
}

#[test]
fn foreach_gives_the_last_output_of_each_round_in_order() {
    let each = foreach(
        "each",
        "input.items",
        2,
        vec![act("a", json!({"value": "{{ item * 10 + index }}"})), act("b", json!({"value": "{{ steps.a + 1 }}"}))],
    );
    let mut bench = Bench::new(&bot(vec![each]), json!({"items": [1, 2, 3]}));
    assert_eq!(bench.running(), ["each[0]/a", "each[1]/a"], "two at a time");
    bench.succeed("each[1]/a", json!(21));
    assert_eq!(bench.running(), ["each[0]/a", "each[1]/b"]);
    bench.succeed("each[1]/b", json!(22));
    assert_eq!(bench.running(), ["each[0]/a", "each[2]/a"], "the next round begins when one is done");
    assert_eq!(bench.play().output(), json!([11, 22, 33]));
}

#[test]
fn foreach_of_nothing_is_an_empty_list() {
    for items in [json!([]), json!(null)] {
        let each = foreach("each", "input.items", 1, vec![step("a")]);
        assert_eq!(Bench::new(&bot(vec![each]), json!({"items": items})).play().output(), json!([]));
    }
}

#[test]
fn a_failed_round_stops_the_others() {
    let each = foreach("each", "[0, 1, 2]", 3, vec![act("a", json!({"value": 1}))]);
    let mut bench = Bench::new(&bot(vec![each]), json!({}));
    bench.fail("each[1]/a", Code::Failed);
    let error = bench.error();
    assert_eq!(error.step, "each[1]/a");
    assert_eq!(bench.effects.len(), 2, "the other two are stopped: {:?}", bench.effects);
}

#[test]
fn thousands_of_rounds_cost_time_by_their_number() {
    let each = foreach(
        "each",
        "input.items",
        50,
        vec![
            act("a", json!({"value": "{{ item }}"})),
            guarded("steps.a % 2 == 0", act("b", json!({"value": "{{ steps.a }}"}))),
        ],
    );
    let time = |n: usize| {
        let mut bench = Bench::unstarted(&bot(vec![each.clone()]), json!({"items": (0..n).collect::<Vec<_>>()}));
        bench.check = false;
        let started = std::time::Instant::now();
        bench.record(Event::Started { copied: 0 });
        bench.settle();
        bench.play();
        assert_eq!(bench.output().as_array().unwrap().len(), n);
        let live = started.elapsed();
        let started = std::time::Instant::now();
        assert!(bench.folded().is_finished());
        (live + started.elapsed()).as_secs_f64() / n as f64
    };
    let few = time(150).max(time(150));
    let many = time(1_500).min(time(1_500));
    // Quadratic work would cost ten times as much for each.
    assert!(many < few * 4.0, "each of 150: {few:.6} s, each of 1,500: {many:.6} s");
}

#[test]
fn rounds_without_effects_need_no_stack() {
    let each = foreach("each", "input.items", 1, vec![branch("i", "false", vec![], vec![])]);
    let mut bench = Bench::unstarted(&bot(vec![each]), json!({"items": vec![0; 20_000]}));
    bench.check = false;
    bench.record(Event::Started { copied: 0 });
    bench.settle();
    assert_eq!(bench.output().as_array().unwrap().len(), 20_000);
}

#[test]
fn a_list_that_is_too_long_is_refused() {
    let each = foreach("each", "input.items", 1, vec![]);
    let mut bench = Bench::unstarted(&bot(vec![each]), json!({"items": vec![0; MAX_ITEMS + 1]}));
    bench.check = false;
    bench.record(Event::Started { copied: 0 });
    bench.settle();
    assert_eq!(bench.error().code, Code::TooLarge);
}

fn two_branches(a: crate::blueprint::Step, b: crate::blueprint::Step) -> crate::blueprint::Step {
    parallel("par", IndexMap::from([("a".to_owned(), vec![a]), ("b".to_owned(), vec![b])]))
}

#[test]
fn parallel_branches_run_at_once_and_name_their_outputs() {
    let blueprint = bot(vec![two_branches(act("x", json!({"value": 1})), act("y", json!({"value": 2}))), step("end")]);
    let mut bench = Bench::new(&blueprint, json!({}));
    assert_eq!(bench.running(), ["par.a/x", "par.b/y"]);
    bench.succeed("par.b/y", json!(2));
    bench.succeed("par.a/x", json!(1));
    assert_eq!(bench.running(), ["end"]);
    let done = bot(vec![two_branches(act("x", json!({"value": 1})), act("y", json!({"value": 2})))]);
    assert_eq!(Bench::new(&done, json!({})).play().output(), json!({"a": 1, "b": 2}));
}

#[test]
fn a_branch_does_not_see_the_steps_of_another() {
    let blueprint =
        bot(vec![two_branches(act("x", json!({"value": 1})), branch("y", "has(steps.x)", vec![], vec![step("z")]))]);
    let bench = Bench::new(&blueprint, json!({}));
    assert_eq!(bench.running(), ["par.a/x", "par.b/y/else/z"]);
}

#[test]
fn a_failed_branch_stops_the_others_but_lets_their_finally_run() {
    let careful = attempt("t", vec![step("work")], vec![], vec![step("tidy")]);
    let mut bench = Bench::new(&bot(vec![two_branches(step("x"), careful)]), json!({}));
    bench.fail("par.a/x", Code::Failed);
    assert_eq!(bench.running(), ["par.b/t/finally/tidy"]);
    bench.succeed("par.b/t/finally/tidy", json!(null));
    assert_eq!(bench.error().step, "par.a/x");
}

#[test]
fn catch_sees_the_error_and_what_had_succeeded() {
    let careful = attempt(
        "t",
        vec![act("good", json!({"value": 5})), act("bad", json!({"fail": "unavailable"}))],
        vec![act(
            "c",
            json!({"value": "{{ error.code + ' ' + error.step + ' ' + error.message + ' ' + string(steps.good) }}"}),
        )],
        vec![act("f", json!({"value": 0}))],
    );
    let blueprint = bot(vec![careful, act("end", json!({"value": {"t": "{{ steps.t }}", "bad": "{{ steps.bad }}"}}))]);
    let mut bench = Bench::new(&blueprint, json!({}));
    assert_eq!(bench.play().output(), json!({"t": "unavailable t/body/bad it broke 5", "bad": null}));
    assert!(bench.kinds().contains(&"step_succeeded t/finally/f".to_owned()));
}

#[test]
fn without_catch_the_error_goes_on_after_finally() {
    let careful = attempt("t", vec![fail("bad", "no {{ input.name }}")], vec![], vec![act("f", json!({"value": 0}))]);
    let mut bench = Bench::new(&bot(vec![careful, step("never")]), json!({"name": "luck"}));
    let error = bench.play().error();
    assert_eq!((error.message.as_str(), error.step.as_str()), ("no luck", "t/body/bad"));
    assert_eq!(bench.kinds().last().unwrap(), "finished");
    assert!(bench.kinds().contains(&"step_succeeded t/finally/f".to_owned()));
}

#[test]
fn a_failure_in_finally_counts_unless_there_was_one_before() {
    let body = |bad| if bad { vec![fail("b", "first")] } else { vec![] };
    for (bad, expected) in [(true, "first"), (false, "second")] {
        let careful = attempt("t", body(bad), vec![], vec![fail("f", "second")]);
        assert_eq!(Bench::new(&bot(vec![careful]), json!({})).play().error().message, expected);
    }
}

#[test]
fn the_rest_of_a_try_goes_on_with_the_results_of_its_body() {
    let careful = attempt("t", vec![act("a", json!({"value": 7}))], vec![step("never")], vec![]);
    let blueprint = bot(vec![careful, act("end", json!({"value": "{{ steps.a + steps.t }}"}))]);
    assert_eq!(Bench::new(&blueprint, json!({})).play().output(), json!(14));
}

#[test]
fn a_step_is_tried_again_with_growing_delays_and_the_same_key() {
    let blueprint = bot(vec![retried(3, act("a", json!({"fail": "unavailable", "times": 2, "value": 1})))]);
    let mut bench = Bench::new(&blueprint, json!({}));
    assert_eq!(bench.play().output(), json!(1));
    assert_eq!(bench.now, 1_000 + 1_000 + 2_000);
    let keys: Vec<&str> = bench
        .journal
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::StepScheduled { idempotency_key, .. } => Some(idempotency_key.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0] && key.ends_with(":a")));
    let fired = bench.kinds().iter().filter(|kind| *kind == "timer_fired a").count();
    assert_eq!(fired, 2);
}

#[test]
fn attempts_come_to_an_end_and_some_errors_are_not_worth_another() {
    let blueprint = bot(vec![retried(3, act("a", json!({"fail": "unavailable"})))]);
    let mut bench = Bench::new(&blueprint, json!({}));
    assert_eq!(bench.play().error().code, Code::Unavailable);
    assert_eq!(bench.kinds().iter().filter(|kind| *kind == "step_scheduled a").count(), 3);
    let blueprint = bot(vec![retried(3, act("a", json!({"fail": "invalid"})))]);
    let mut bench = Bench::new(&blueprint, json!({}));
    assert_eq!(bench.play().error().code, Code::Invalid);
    assert_eq!(bench.kinds().iter().filter(|kind| *kind == "step_scheduled a").count(), 1);
}

#[test]
fn the_error_may_ask_for_a_longer_delay() {
    let mut bench = Bench::new(&bot(vec![retried(2, step("a"))]), json!({}));
    let error = crate::Error::new(Code::RateLimited, "slow down").retry_after_ms(60_000);
    let error = crate::execution::entry::Failure::at("a", &error);
    bench.open.clear();
    bench.fact(crate::execution::decide::Fact::Failed { path: "a".into(), attempt: 1, error, ms: 0 });
    assert_eq!(bench.state.next_due(), Some((bench.now + 60_000, "a")));
}

#[test]
fn a_group_of_steps_is_tried_again_under_new_paths() {
    let group = retried(2, attempt("t", vec![act("a", json!({"fail": "unavailable"}))], vec![], vec![]));
    let mut bench = Bench::new(&bot(vec![group]), json!({}));
    bench.fail("t/body/a", Code::Unavailable);
    assert!(bench.running().is_empty());
    bench.advance(1_000);
    assert_eq!(bench.running(), ["t~2/body/a"]);
    bench.succeed("t~2/body/a", json!("good"));
    assert_eq!(bench.output(), json!("good"));
}

#[test]
fn a_group_of_steps_is_held_to_its_time() {
    let slow = limited(500, foreach("each", "[1, 2]", 2, vec![step("a")]));
    let caught = attempt("t", vec![slow], vec![act("c", json!({"value": "{{ error.code }}"}))], vec![]);
    let mut bench = Bench::new(&bot(vec![caught]), json!({}));
    assert_eq!(bench.running().len(), 2);
    bench.advance(499);
    assert_eq!(bench.running().len(), 2);
    bench.advance(1);
    assert_eq!(bench.running(), ["t/catch/c"]);
    assert_eq!(bench.state.next_due(), None);
    assert_eq!(bench.play().output(), json!("timeout"));
}

#[test]
fn what_comes_too_late_changes_nothing() {
    let mut bench = Bench::new(&bot(vec![retried(2, step("a")), step("b")]), json!({}));
    bench.fail("a", Code::Timeout);
    let late =
        |attempt| crate::execution::decide::Fact::Succeeded { path: "a".into(), attempt, output: json!(1), ms: 0 };
    bench.fact(late(1));
    bench.advance(1_000);
    bench.fact(late(1));
    assert_eq!(bench.running(), ["a"]);
    bench.succeed("a", json!(2));
    bench.fact(late(2));
    assert_eq!(bench.running(), ["b"]);
}

#[test]
fn nested_groups_keep_their_own_results() {
    let inner = foreach("inner", "item", 2, vec![act("x", json!({"value": "{{ item }}"}))]);
    let outer = foreach("outer", "input.rows", 2, vec![inner]);
    let mut bench = Bench::new(&bot(vec![outer]), json!({"rows": [[1, 2], [], [3]]}));
    assert_eq!(bench.play().output(), json!([[1, 2], [], [3]]));
    assert!(bench.kinds().contains(&"step_succeeded outer[2]/inner[0]/x".to_owned()));
    assert_eq!(bench.status(), Status::Succeeded);
}
