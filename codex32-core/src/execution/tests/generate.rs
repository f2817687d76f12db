//! Random blueprints over all kinds of steps. Whatever runs beside something else
//! catches its own failures, so that the outcome does not depend on who is faster.

use super::blueprints::{
    act, attempt, await_event, bot, branch, call, fail, foreach, guarded, named, parallel, retried, run, sleep, switch,
};
use crate::blueprint::{Ask, Blueprint, Step, StepKind, Wait};
use proptest::prelude::*;
use serde_json::json;

/// A step without its name.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Act(u8),
    Script,
    Retried(u32),
    Exhausted,
    Fails,
    Skipped(bool),
    Sleep(u16),
    Call,
    Event,
    Approval,
    If(bool, Vec<Shape>, Vec<Shape>),
    Switch(u8, Vec<Shape>, Vec<Shape>),
    Foreach(u8, u32, Vec<Shape>),
    Parallel(Vec<Vec<Shape>>),
    Try(Vec<Shape>, Vec<Shape>, Vec<Shape>),
}

pub(crate) fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let leaf = prop_oneof![
        4 => any::<u8>().prop_map(Shape::Act),
        1 => Just(Shape::Script),
        2 => (1_u32..3).prop_map(Shape::Retried),
        1 => Just(Shape::Exhausted),
        1 => Just(Shape::Fails),
        1 => any::<bool>().prop_map(Shape::Skipped),
        2 => (1_u16..5_000).prop_map(Shape::Sleep),
        1 => Just(Shape::Call),
        1 => Just(Shape::Event),
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

/// The bot that `Shape::Call` calls.
pub(crate) fn child() -> Blueprint {
    bot(vec![
        act("first", json!({"value": 1})),
        sleep("nap", 700),
        act("second", json!({"value": "{{ steps.first + 1 }}"})),
    ])
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
            Shape::Approval => {
                let ask = Some(Box::new(Ask {
                    action: "fake.mail".into(),
                    with: json!({"value": "asked"}),
                    connection: None,
                }));
                named(&id, StepKind::Wait(Wait::Approval { message: "go on?".into(), ask, timeout: None }))
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
