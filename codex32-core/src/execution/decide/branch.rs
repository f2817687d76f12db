//! `if` and `switch`: one of several ways.

use super::super::entry::{Failure, Shared};
use super::super::plan::{BlockId, Code};
use super::State;
use super::frame::{FrameId, Phase};

impl State {
    pub(super) fn choose_if(
        &mut self,
        id: FrameId,
        condition: &Code,
        then: BlockId,
        otherwise: BlockId,
    ) -> Result<(), Failure> {
        let (way, block) = if self.condition(id, condition)? { ("then", then) } else { ("else", otherwise) };
        self.go(id, way, block);
        Ok(())
    }

    pub(super) fn choose_case(
        &mut self,
        id: FrameId,
        on: &Code,
        cases: &[(Shared, BlockId)],
        default: BlockId,
    ) -> Result<(), Failure> {
        let value = self.eval(id, on)?;
        match cases.iter().position(|(is, _)| same(is, &value)) {
            Some(number) => self.go(id, &format!("case{number}"), cases[number].1),
            None => self.go(id, "default", default),
        }
        Ok(())
    }

    fn go(&mut self, id: FrameId, way: &str, block: BlockId) {
        let path = format!("{}/{way}", self.base(id));
        self.set_phase(id, Phase::Way);
        self.open_block(Some(id), 0, path, block, Vec::new());
    }
}

/// Whether two values are equal, numbers by what they say: 1 is 1.0.
fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) => a == b || (!(a.is_i64() && b.is_i64()) && x.total_cmp(&y).is_eq()),
        _ => a == b,
    }
}
