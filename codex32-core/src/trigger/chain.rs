//! The guard against bots that start each other without end.
//!
//! Each execution knows how many triggers led to it (`trigger.depth`); an event that
//! it causes carries that number, and whatever the event starts has one more.

use serde_json::Value;

/// Longest chain of triggers; a longer one is taken for a loop and stopped.
pub const MAX_DEPTH: u32 = 16;

/// Depth of an execution, from its `trigger` value.
#[must_use]
pub fn depth_of(trigger: &Value) -> u32 {
    trigger.get("depth").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// The same for those who listen to the engine's events about executions: each start
/// causes several of these, so that a longer chain would branch out beyond measure.
const MAX_ENGINE_DEPTH: u32 = 3;

/// Depth of what an event of this depth starts, or `None` where the chain is too long.
/// `of_engine`: an event trigger fired by the engine's own events.
pub(super) fn next_depth(event: u32, of_engine: bool) -> Option<u32> {
    let longest = if of_engine { MAX_ENGINE_DEPTH } else { MAX_DEPTH };
    Some(event.saturating_add(1)).filter(|depth| *depth <= longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_chain_ends_at_its_longest() {
        for (of_engine, longest) in [(false, MAX_DEPTH), (true, MAX_ENGINE_DEPTH)] {
            assert_eq!(next_depth(0, of_engine), Some(1));
            assert_eq!(next_depth(longest - 1, of_engine), Some(longest));
            assert_eq!(next_depth(longest, of_engine), None);
            assert_eq!(next_depth(u32::MAX, of_engine), None);
        }
    }

    #[test]
    fn a_start_by_hand_has_no_depth() {
        assert_eq!(depth_of(&json!({"type": "manual"})), 0);
        assert_eq!(depth_of(&json!({"type": "event", "depth": 3})), 3);
        assert_eq!(depth_of(&json!({"depth": "3"})), 0);
    }
}
