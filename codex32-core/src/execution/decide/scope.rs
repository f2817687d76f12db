//! What an expression sees: the constants of the execution, and the results and
//! variables of the lists of steps that it stands in.

use super::super::entry::{Failure, Shared};
use super::super::plan::{Code, Needs, Text};
use super::{FrameId, State};
use crate::error::Error;
use crate::expr::Scope;
use crate::id::ExecutionId;
use serde_json::Value;
use std::collections::BTreeMap;

/// What stays the same from the start of an execution to its end.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) id: ExecutionId,
    /// `input`, `trigger`, `bot` and `execution`.
    pub(crate) constants: Scope,
}

impl State {
    /// The scope at `frame` with what `needs` names.
    pub(super) fn scope(&self, frame: FrameId, needs: &Needs) -> Scope {
        let mut scope = self.about.constants.clone();
        // An object, also where no step has a result yet.
        scope.set("steps", Value::Object(serde_json::Map::new()));
        let (steps, variables) = self.seen(frame, needs);
        for (name, value) in variables {
            scope.set_shared(&name, value);
        }
        for (id, value) in steps {
            scope.set_field_shared("steps", &id, value);
        }
        scope
    }

    /// What `needs` names of the results and variables that can be seen at `frame`.
    pub(super) fn seen(&self, frame: FrameId, needs: &Needs) -> (BTreeMap<String, Shared>, Vec<(String, Shared)>) {
        let mut variables: Vec<(String, Shared)> = Vec::new();
        let mut at = Some(frame);
        while let Some(frame) = at.and_then(|id| self.frames.get(&id)) {
            for (name, value) in &frame.variables {
                // The innermost wins.
                if needs.variables.contains(name) && !variables.iter().any(|(bound, _)| bound == name) {
                    variables.push((name.clone(), value.clone()));
                }
            }
            at = frame.outer();
        }
        let steps = if needs.all_steps {
            self.all_steps(frame)
        } else {
            needs.steps.iter().filter_map(|id| Some((id.clone(), self.result_of(frame, id)?))).collect()
        };
        (steps, variables)
    }

    fn result_of(&self, frame: FrameId, id: &str) -> Option<Shared> {
        let mut at = Some(frame);
        while let Some(frame) = at.and_then(|id| self.frames.get(&id)) {
            if let Some(value) = frame.steps.get(id) {
                return Some(value.clone());
            }
            at = frame.outer();
        }
        None
    }

    fn all_steps(&self, frame: FrameId) -> BTreeMap<String, Shared> {
        let mut steps = BTreeMap::new();
        let mut at = Some(frame);
        while let Some(frame) = at.and_then(|id| self.frames.get(&id)) {
            for (id, value) in &frame.steps {
                steps.entry(id.clone()).or_insert_with(|| value.clone());
            }
            at = frame.outer();
        }
        steps
    }

    /// The value of an expression at `frame`.
    pub(super) fn eval(&self, frame: FrameId, code: &Code) -> Result<Value, Failure> {
        let scope = self.scope(frame, &code.needs);
        code.program.eval(&scope).map_err(|e| self.fault(frame, code.place, e.into()))
    }

    /// The truth value of an expression at `frame`.
    pub(super) fn condition(&self, frame: FrameId, code: &Code) -> Result<bool, Failure> {
        let scope = self.scope(frame, &code.needs);
        code.program.condition(&scope).map_err(|e| self.fault(frame, code.place, e.into()))
    }

    /// The text of a template at `frame`.
    pub(super) fn text(&self, frame: FrameId, text: &Text) -> Result<String, Failure> {
        let scope = self.scope(frame, &text.needs);
        match text.template.render(&scope) {
            Ok(Value::String(text)) => Ok(text),
            Ok(other) => Ok(other.to_string()),
            Err(e) => Err(self.fault(frame, text.place, e.into())),
        }
    }

    /// A failure of the step of `frame` that points at the expression.
    pub(super) fn fault(&self, frame: FrameId, place: &str, error: Error) -> Failure {
        let path = self.frames.get(&frame).map_or("", |frame| &frame.path);
        expression_failure(path, place, error)
    }
}

/// A failure of the step at `path` that points at its expression in `place`.
pub(crate) fn expression_failure(path: &str, place: &str, error: Error) -> Failure {
    let message = error.message().to_owned();
    Failure::at(path, &error.context(format!("evaluate `{place}`")).at(format!("/{place}"), message))
}
