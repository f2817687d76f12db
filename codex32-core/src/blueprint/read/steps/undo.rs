//! How a step is undone.

use super::{Fields, Keys, Place, Reader};
use crate::blueprint::tree::{Data, Node};
use crate::blueprint::types::Undo;

const USE: Keys = &["use", "with", "connection", "retry", "timeout"];
const RUN: Keys = &["run", "code", "file", "with", "env", "retry", "timeout"];
const CALL: Keys = &["call", "with", "wait", "retry", "timeout"];

impl Reader {
    pub(super) fn undo(&mut self, node: &Node) -> Option<Undo> {
        let Data::Map(entries) = &node.data else {
            self.wrong(
                node,
                "what undoes the step",
                Some("for example `undo: {use: http.delete, with: …}`".to_owned()),
            );
            return None;
        };
        let fields = Fields { entries };
        let kinds: Vec<&str> = ["use", "run", "call"].into_iter().filter(|kind| fields.has(kind)).collect();
        let kind = match kinds.as_slice() {
            ["use"] => self.use_step(node, "`undo`", USE, &Place::UNDO),
            ["run"] => self.run_step(node, "`undo`", RUN, &Place::UNDO),
            ["call"] => self.call_step(node, "`undo`", CALL, &Place::UNDO),
            _ => {
                let hint = "it has one of `use`, `run` and `call`, like a step of its own".to_owned();
                self.error(node, "it is not clear how to undo the step", Some(hint));
                None
            }
        };
        let retry = fields.get("retry").and_then(|n| self.retry(n));
        let timeout = fields.get("timeout").and_then(|n| self.positive_span(n));
        Some(Undo { retry, timeout, kind: kind? })
    }
}
