//! Random blueprints over all kinds of steps. Whatever runs beside something else
//! catches its own failures, so that the outcome does not depend on who is faster.

use super::blueprints::{
    act, approve, ask, attempt, await_event, await_signal, bot, branch, call, compute, fail, foreach, go_on, guarded,
    parallel, retried, run, sleep, switch, undone,
};
use crate::blueprint::{ApprovalWait, Blueprint, Step};
use proptest::prelude::*;
use serde_json::json;

/// A step without its name.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Act(u8),
    /// A step that touches nothing outside.
    Compute(u8),
    /// A step that can be undone, and how its undo goes.
    Undone(Undo),
    Script,
    Retried(u32),
    Exhausted,
    Fails,
    Skipped(bool),
    Sleep(u16),
    Call,
    Event,
    Signal,
    /// The first execution goes on as another; the last step.
    GoOn,
    Approval,
    If(bool, Vec<Shape>, Vec<Shape>),
    Switch(u8, Vec<Shape>, Vec<Shape>),
    Foreach(u8, u32, Vec<Shape>),
    Parallel(Vec<Vec<Shape>>),
    Try(Vec<Shape>, Vec<Shape>, Vec<Shape>),
}

/// How an undo goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Undo {
    Works,
    Late,
    Fails,
    Script,
    Calls,
}

/// Steps, often with a failure behind them, so that what was done is undone; or with
/// another execution that goes on and does the same again.
pub(crate) fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let end = prop_oneof![2 => Just(None), 2 => Just(Some(Shape::Fails)), 1 => Just(Some(Shape::GoOn))];
    (some_shapes(), end).prop_map(|(mut shapes, end)| {
        shapes.extend(end);
        shapes
    })
}

fn some_shapes() -> impl Strategy<Value = Vec<Shape>> {
    let undo = prop_oneof![
        4 => Just(Undo::Works),
        1 => Just(Undo::Late),
        1 => Just(Undo::Fails),
        1 => Just(Undo::Script),
        1 => Just(Undo::Calls),
    ];
    let leaf = prop_oneof![
        4 => any::<u8>().prop_map(Shape::Act),
        2 => any::<u8>().prop_map(Shape::Compute),
        4 => undo.prop_map(Shape::Undone),
        1 => Just(Shape::Script),
        2 => (1_u32..3).prop_map(Shape::Retried),
        1 => Just(Shape::Exhausted),
        1 => Just(Shape::Fails),
        1 => any::<bool>().prop_map(Shape::Skipped),
        2 => (1_u16..5_000).prop_map(Shape::Sleep),
        1 => Just(Shape::Call),
        1 => Just(Shape::Event),
        1 => Just(Shape::Signal),
        1 => Just(Shape::Approval),
    ];
    let tree = leaf.prop_recursive(3, 14, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            (any::<bool>(), list(), list()).prop_map(|(way, a, b)| Shape::If(way, a, b)),
            (0_u8..3, list(), list()).prop_map(|(on, a, b)| Shape::Switch(on, a, b)),
            (0_u8..4, 1_u32..3, list()).prop_map(|(n, at_once, body)| Shape::Foreach(n, at_once, body)),
            prop::collection::vec(list(), 1..3).prop_map(Shape::Parallel),
            (list(), list(), list()).prop_map(|(a, b, c)| Shape::Try(a, b, c)),
        ]
    });
    prop::collection::vec(tree, 1..5)
}

pub(crate) fn blueprint(shapes: &[Shape]) -> Blueprint {
    bot(Namer(0).steps(shapes, false))
}

/// The bot that `Shape::Call` calls. It goes on once as a new execution.
pub(crate) fn child() -> Blueprint {
    let steps = vec![
        act("first", json!({"value": 1})),
        sleep("nap", 700),
        act("second", json!({"value": "{{ steps.first + 1 }}"})),
        once_more("more"),
    ];
    Blueprint { output: Some(json!("{{ steps.second }}")), ..bot(steps) }
}

fn once_more(id: &str) -> Step {
    guarded("!has(input.again)", go_on(id, json!({"again": true})))
}

struct Namer(usize);

impl Namer {
    fn id(&mut self) -> String {
        self.0 += 1;
        format!("s{}", self.0)
    }

    fn steps(&mut self, shapes: &[Shape], beside: bool) -> Vec<Step> {
        shapes.iter().map(|shape| self.step(shape, beside)).collect()
    }

    fn step(&mut self, shape: &Shape, beside: bool) -> Step {
        let id = self.id();
        match shape {
            Shape::Act(n) => act(&id, json!({"value": n})),
            Shape::Compute(n) => compute(&id, json!({"value": n})),
            Shape::Undone(undo) => {
                let step = act(&id, json!({"value": id}));
                undone(
                    step,
                    match undo {
                        Undo::Works => act("u", json!({"value": "{{ result }}"})),
                        Undo::Late => act("u", json!({"fail": "unavailable", "times": 1, "value": "{{ result }}"})),
                        Undo::Fails => act("u", json!({"fail": "forbidden"})),
                        Undo::Script => run("u", "return 1"),
                        Undo::Calls => call("u", "child", json!({}), true),
                    },
                )
            }
            Shape::Script => run(&id, "return 1"),
            Shape::Retried(times) => {
                retried(3, act(&id, json!({"fail": "unavailable", "times": times, "value": "late"})))
            }
            Shape::Exhausted if !beside => retried(2, act(&id, json!({"fail": "timeout"}))),
            Shape::Fails if !beside => fail(&id, "as it was told"),
            Shape::Exhausted | Shape::Fails => {
                let inner = self.step(shape, false);
                attempt(&id, vec![inner], vec![act(&self.id(), json!({"value": "{{ error.code }}"}))], vec![])
            }
            Shape::Skipped(runs) => guarded(&runs.to_string(), act(&id, json!({"value": "guarded"}))),
            Shape::Sleep(ms) => sleep(&id, u64::from(*ms)),
            Shape::Call => call(&id, "child", json!({}), true),
            Shape::Event => await_event(&id, "go.on", Some("event.n == 1"), None),
            Shape::Signal => await_signal(&id, "sent", Some("signal.n == 1"), None),
            Shape::GoOn => once_more(&id),
            Shape::Approval => {
                let ask = Some(ask(json!({"value": "asked"})));
                approve(&id, ApprovalWait { message: "go on?".into(), ask, ..ApprovalWait::default() })
            }
            Shape::If(way, a, b) => {
                let (a, b) = (self.steps(a, beside), self.steps(b, beside));
                branch(&id, &way.to_string(), a, b)
            }
            Shape::Switch(on, a, b) => {
                let (a, b) = (self.steps(a, beside), self.steps(b, beside));
                switch(&id, &on.to_string(), vec![(json!(0), a)], b)
            }
            Shape::Foreach(n, at_once, body) => {
                let items: Vec<u8> = (0..*n).collect();
                let body = self.steps(body, beside || *at_once > 1);
                foreach(&id, &json!(items).to_string(), *at_once, body)
            }
            Shape::Parallel(branches) => {
                let branches =
                    branches.iter().enumerate().map(|(n, steps)| (format!("b{n}"), self.steps(steps, true))).collect();
                parallel(&id, branches)
            }
            Shape::Try(body, catch, finally) => {
                let body = self.steps(body, beside);
                let (catch, finally) = (self.steps(catch, beside), self.steps(finally, beside));
                attempt(&id, body, catch, finally)
            }
        }
    }
}
