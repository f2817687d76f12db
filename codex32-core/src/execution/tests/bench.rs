//! The interpreter on a bench: no database, no tasks, time moved by hand. After every
//! entry the journal is read back, and must lead to the same state.

use crate::blueprint::Blueprint;
use crate::clock::Millis;
use crate::error::{Code, Error};
use crate::execution::decide::{About, Command, Effect, Fact, State, Work};
use crate::execution::entry::{Entry, Event, Failure};
use crate::execution::plan::{CompiledBlueprint, Kind, SharedBlueprint};
use crate::execution::types::Status;
use crate::expr::Scope;
use crate::id::ExecutionId;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) struct Bench {
    plan: SharedBlueprint,
    about: About,
    pub(crate) state: State,
    pub(crate) journal: Vec<Entry>,
    pub(crate) now: Millis,
    /// Attempts that are being performed.
    pub(crate) open: Vec<Work>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) commands: Vec<Command>,
    pub(crate) finished: Option<(Status, Option<Value>, Option<Failure>)>,
    /// Whether each entry is checked against the journal read back.
    pub(crate) check: bool,
}

impl Bench {
    pub(crate) fn new(blueprint: &Blueprint, input: Value) -> Bench {
        let mut bench = Bench::unstarted(blueprint, input);
        bench.record(Event::Started { copied: 0 });
        bench.settle();
        bench
    }

    pub(crate) fn unstarted(blueprint: &Blueprint, input: Value) -> Bench {
        let plan = Arc::new(CompiledBlueprint::compile(blueprint).unwrap());
        let mut constants = Scope::new();
        constants.set("input", input).set("trigger", json!({"type": "manual"}));
        constants.set("bot", json!({"name": "bot"})).set("execution", json!({"id": "e"}));
        let about = About { id: ExecutionId::at(1), constants };
        Bench {
            state: State::new(plan.clone(), about.clone()),
            plan,
            about,
            journal: Vec::new(),
            now: 1_000,
            open: Vec::new(),
            effects: Vec::new(),
            commands: Vec::new(),
            finished: None,
            check: true,
        }
    }

    pub(crate) fn record(&mut self, event: Event) {
        if let Event::Finished { status, output, error } = &event {
            self.finished = Some((*status, output.as_deref().cloned(), error.clone()));
        }
        self.state.apply(self.now, &event);
        let seq = i64::try_from(self.journal.len()).unwrap() + 1;
        // As it is stored and read back.
        let text = serde_json::to_string(&Entry { seq, at: self.now, event }).unwrap();
        self.journal.push(serde_json::from_str(&text).unwrap());
        for effect in self.state.take_effects() {
            if let Effect::Abort { path } = &effect {
                self.open.retain(|work| work.path != *path);
            }
            self.effects.push(effect);
        }
        if self.check {
            let folded = self.folded();
            assert_eq!(folded.snapshot(), self.state.snapshot(), "after {:?}", self.journal.last());
        }
    }

    pub(crate) fn folded(&self) -> State {
        State::fold(self.plan.clone(), self.about.clone(), self.journal.clone())
    }

    /// Writes what is to be written until there is nothing more.
    pub(crate) fn settle(&mut self) {
        while let Some(command) = self.state.next(self.now) {
            self.record(command.event());
            match &command {
                Command::Run(work) | Command::StartChild(work, _) | Command::Continue(work) => {
                    self.open.push(work.clone())
                }
                _ => {}
            }
            self.commands.push(command);
        }
        let state = &self.state;
        self.open.retain(|work| state.is_current(&work.path, work.attempt));
        if self.check {
            let mut again: Vec<String> =
                self.folded().in_flight().iter().map(|c| c.event().path().to_owned()).collect();
            let mut open: Vec<String> = self.open.iter().map(|work| work.path.clone()).collect();
            again.sort();
            open.sort();
            assert_eq!(again, open, "what would be done again after a crash");
        }
    }

    pub(crate) fn fact(&mut self, fact: Fact) {
        for event in self.state.facts(self.now, fact) {
            self.record(event);
        }
        self.settle();
    }

    /// The paths that are being performed, in order.
    pub(crate) fn running(&self) -> Vec<&str> {
        self.open.iter().map(|work| work.path.as_str()).collect()
    }

    pub(crate) fn succeed(&mut self, path: &str, output: Value) {
        let attempt = self.take(path).attempt;
        self.fact(Fact::Succeeded { path: path.into(), attempt, output, ms: 1 });
    }

    pub(crate) fn fail(&mut self, path: &str, code: Code) {
        let attempt = self.take(path).attempt;
        let error = Failure::at(path, &Error::new(code, "it broke"));
        self.fact(Fact::Failed { path: path.into(), attempt, error, ms: 1 });
    }

    fn take(&mut self, path: &str) -> Work {
        let position = self.open.iter().position(|work| work.path == path);
        let position = position.unwrap_or_else(|| panic!("{path} does not run; {:?} do", self.running()));
        self.open.remove(position)
    }

    /// The input of an open `use` step.
    pub(crate) fn input(&self, path: &str) -> Value {
        let work = self.open.iter().find(|work| work.path == path).unwrap();
        match &self.plan.node(work.node).kind {
            Kind::Use { with, .. } | Kind::Call { with, .. } | Kind::Run { with, .. } => {
                with.template.render(&work.scope).unwrap()
            }
            _ => panic!("{path} has no input"),
        }
    }

    /// Performs everything that is open until it is over or waits: a `use` step returns the
    /// `value` of its input, or fails with its `fail` while the attempt is at most `times`.
    pub(crate) fn play(&mut self) -> &mut Bench {
        while self.finished.is_none() {
            if let Some(work) = self.open.first().cloned() {
                let input = self.input(&work.path);
                let times = input["times"].as_u64().unwrap_or(u64::MAX);
                match input["fail"].as_str().filter(|_| u64::from(work.attempt) <= times) {
                    Some(code) => self.fail(&work.path, code.parse().unwrap()),
                    None => self.succeed(&work.path, input["value"].clone()),
                }
            } else if let Some((due, _)) = self.state.next_due().filter(|_| !self.state.is_paused()) {
                self.now = due;
                self.settle();
            } else {
                break;
            }
        }
        self
    }

    pub(crate) fn advance(&mut self, ms: Millis) {
        self.now += ms;
        self.settle();
    }

    pub(crate) fn output(&self) -> Value {
        match &self.finished {
            Some((Status::Succeeded, Some(output), None)) => output.clone(),
            other => panic!("it did not succeed: {other:?}; {:#?}", self.journal),
        }
    }

    pub(crate) fn error(&self) -> Failure {
        match &self.finished {
            Some((Status::Failed | Status::Cancelled, None, Some(error))) => error.clone(),
            other => panic!("it did not fail: {other:?}"),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.finished.as_ref().unwrap().0
    }

    /// `kind path` of every entry.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let line = |entry: &Entry| {
            let json = serde_json::to_value(entry).unwrap();
            format!("{} {}", json["kind"].as_str().unwrap(), entry.event.path()).trim().to_owned()
        };
        self.journal.iter().map(line).collect()
    }
}
