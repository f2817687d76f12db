//! When a failed step is tried again.

use super::super::entry::{Failure, idempotency_key};
use super::super::plan::Kind;
use super::State;
use super::frame::{Frame, FrameId};
use crate::blueprint::{Backoff, Retry};
use crate::clock::Millis;
use crate::error::Code;
use sha2::{Digest, Sha256};

/// Longest delay that a failure itself may ask for, in milliseconds.
const MAX_ASKED: u64 = 24 * 60 * 60 * 1_000;

impl State {
    /// When the next attempt of a step begins whose present one failed now, if there is one to come.
    pub(super) fn retry_at(&self, id: FrameId, failure: &Failure) -> Option<Millis> {
        let frame = self.frames.get(&id)?;
        let step = frame.step()?;
        let node = self.plan.node(step.node);
        let retry = node.retry.as_ref()?;
        let ends = frame.parent.and_then(|parent| self.frames.get(&parent)).is_some_and(|p| p.unwinding.is_some());
        if ends {
            return None;
        }
        let key = idempotency_key(self.about.id, &frame.path);
        // A script or bot that failed may succeed the next time; who writes `retry` there means that.
        let generous = !matches!(node.kind, Kind::Use { .. } | Kind::Fail { .. });
        next_attempt(retry, step.attempt, &key, failure, generous).map(|wait| self.now.saturating_add(wait))
    }

    /// The attempt that an open step is in.
    pub(super) fn attempt(&self, id: FrameId) -> u32 {
        self.frames.get(&id).and_then(Frame::step).map_or(1, |step| step.attempt)
    }
}

/// How long after the failure of attempt number `attempt` the next one begins, in
/// milliseconds; `None` where none is worth it. `generous`: also after `failed`.
pub(super) fn next_attempt(
    retry: &Retry,
    attempt: u32,
    key: &str,
    failure: &Failure,
    generous: bool,
) -> Option<Millis> {
    if attempt >= retry.attempts || !worth_it(retry, generous, failure.code) {
        return None;
    }
    let wait = delay(retry, attempt, key).max(failure.retry_after_ms.unwrap_or(0).min(MAX_ASKED));
    Some(Millis::try_from(wait).unwrap_or(Millis::MAX))
}

fn worth_it(retry: &Retry, generous: bool, code: Code) -> bool {
    if matches!(code, Code::Cancelled | Code::Nondeterministic) {
        return false;
    }
    if !retry.on.is_empty() {
        return retry.on.iter().any(|name| name == code.as_str());
    }
    code.is_retriable() || (code == Code::Failed && generous)
}

/// The delay after attempt number `attempt`, in milliseconds. The random share comes
/// from the key, so that it is the same whenever it is worked out.
fn delay(retry: &Retry, attempt: u32, key: &str) -> u64 {
    let first = retry.delay.0;
    let grown = match retry.backoff {
        Backoff::Constant => first,
        Backoff::Linear => first.saturating_mul(u64::from(attempt)),
        Backoff::Exponential => first.saturating_mul(1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX)),
    };
    let full = grown.min(retry.max.0.max(first));
    let share = retry.jitter.clamp(0.0, 1.0);
    let digest = Sha256::digest(format!("{key}:{attempt}").as_bytes());
    let bits = digest.iter().take(8).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    let random = bits as f64 / u64::MAX as f64;
    (full as f64 * (1.0 - share * random)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::Span;

    fn retry(backoff: Backoff, jitter: f64) -> Retry {
        Retry { attempts: 9, backoff, delay: Span(1_000), max: Span(5_000), jitter, on: vec![] }
    }

    #[test]
    fn delays_grow_up_to_their_limit() {
        let delays = |backoff| (1..=5).map(|n| delay(&retry(backoff, 0.0), n, "k")).collect::<Vec<_>>();
        assert_eq!(delays(Backoff::Constant), [1_000; 5]);
        assert_eq!(delays(Backoff::Linear), [1_000, 2_000, 3_000, 4_000, 5_000]);
        assert_eq!(delays(Backoff::Exponential), [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(delay(&retry(Backoff::Exponential, 0.0), 100, "k"), 5_000);
    }

    #[test]
    fn jitter_is_the_same_for_the_same_key_and_spreads_over_others() {
        let policy = retry(Backoff::Constant, 0.5);
        assert_eq!(delay(&policy, 1, "k"), delay(&policy, 1, "k"));
        let all: std::collections::BTreeSet<u64> = (0..50).map(|n| delay(&policy, 1, &n.to_string())).collect();
        assert!(all.len() > 40);
        assert!(all.iter().all(|ms| (500..=1_000).contains(ms)));
    }

    #[test]
    fn what_is_worth_another_attempt() {
        let any = retry(Backoff::Constant, 0.0);
        assert!(worth_it(&any, true, Code::Timeout));
        assert!(worth_it(&any, true, Code::Failed));
        assert!(!worth_it(&any, false, Code::Failed));
        assert!(!worth_it(&any, true, Code::Invalid));
        assert!(!worth_it(&any, true, Code::Cancelled));
        let some = Retry { on: vec!["invalid".into()], ..any };
        assert!(worth_it(&some, true, Code::Invalid));
        assert!(!worth_it(&some, true, Code::Timeout));
    }
}
