//! What follows from what happened to a deployment. Decides and does nothing.

use super::incident::IncidentKind;
use crate::clock::Millis;
use crate::schedule::jitter;
use crate::storage::entity::supervised::Model;
use uuid::Uuid;

/// First and longest delay before a bot is started again.
const BACKOFF_MS: (Millis, Millis) = (1_000, 300_000);
/// Share of the delay that is random, as a divisor.
const JITTER_PART: i64 = 5;
/// A bot that has run for so long runs well.
pub(super) const WELL_AFTER_MS: Millis = 60_000;

pub(super) const STARTING: &str = "starting";
pub(super) const RUNNING: &str = "running";
pub(super) const DONE: &str = "done";
pub(super) const STOPPING: &str = "stopping";
pub(super) const HEALTHY: &str = "healthy";
pub(super) const UNHEALTHY: &str = "unhealthy";

/// An execution of the deployment that ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End {
    pub(super) execution: Option<Uuid>,
    pub(super) status: Status,
    /// When it ended.
    pub(super) at: Millis,
    /// What went wrong, redacted.
    pub(super) error: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Succeeded,
    Failed,
    Cancelled,
}

/// What is to be written about an incident.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// Open one, with its first entry.
    Open { kind: IncidentKind, title: String, text: String, execution: Option<Uuid> },
    /// Add to the timeline of the open one.
    Note { kind: &'static str, text: String, execution: Option<Uuid> },
    /// Close the open one.
    Close { text: String },
}

/// An execution of the deployment ended.
pub(super) fn ended(row: &mut Model, end: &End, now: Millis) -> Vec<Effect> {
    let mut effects = Vec::new();
    match end.status {
        Status::Succeeded => well(row, end.at, "it succeeded again", &mut effects),
        Status::Failed => failed(row, end, &mut effects),
        // People did that; it says nothing about the bot's health.
        Status::Cancelled => {}
    }
    if row.state == RUNNING && row.execution_id.is_some() && row.execution_id == end.execution {
        again(row, end.status, now, &mut effects);
    }
    effects
}

/// An execution of the deployment goes on as `next`, which is kept running from now on where
/// that was. Tells whether it was.
pub(super) fn continued(row: &mut Model, execution: Uuid, next: Uuid) -> bool {
    let kept = row.execution_id == Some(execution);
    if kept {
        row.execution_id = Some(next);
    }
    kept
}

fn well(row: &mut Model, at: Millis, why: &str, effects: &mut Vec<Effect>) {
    row.failures = 0;
    row.health = HEALTHY.to_owned();
    row.last_success = Some(row.last_success.map_or(at, |before| before.max(at)));
    row.overdue_at = row.succeed_within.map(|within| at.saturating_add(within));
    if row.incident_id.is_some() {
        effects.push(Effect::Close { text: why.to_owned() });
    }
}

fn failed(row: &mut Model, end: &End, effects: &mut Vec<Effect>) {
    row.failures = row.failures.saturating_add(1);
    if row.incident_id.is_some() {
        effects.push(Effect::Note { kind: "failure", text: end.error.clone(), execution: end.execution });
    } else if row.failures >= row.max_failures.max(1) {
        let times = match row.failures {
            1 => "failed".to_owned(),
            n => format!("failed {n} times in a row"),
        };
        effects.push(Effect::Open {
            kind: IncidentKind::Failing,
            title: format!("{} {times}", row.bot_name),
            text: end.error.clone(),
            execution: end.execution,
        });
        row.health = UNHEALTHY.to_owned();
    }
}

/// The execution that is kept running ended: whether and when it is started again.
fn again(row: &mut Model, status: Status, now: Millis, effects: &mut Vec<Effect>) {
    let wanted = match row.restart.as_str() {
        "always" => true,
        "on_failure" => status == Status::Failed,
        _ => false,
    };
    row.execution_id = None;
    if !wanted {
        row.state = DONE.to_owned();
        row.look_at = None;
        return;
    }
    if row.started_at.is_some_and(|started| now - started >= WELL_AFTER_MS) {
        row.backoffs = 0;
    }
    delay(row, now);
    if row.incident_id.is_some() {
        let seconds = (row.look_at.unwrap_or(now) - now) as f64 / 1_000.0;
        effects.push(Effect::Note {
            kind: "restart",
            text: format!("it is started again in {seconds:.1} s"),
            execution: None,
        });
    }
}

fn delay(row: &mut Model, now: Millis) {
    let doublings = u32::try_from(row.backoffs).unwrap_or(0).min(16);
    let delay = (BACKOFF_MS.0 << doublings).min(BACKOFF_MS.1);
    let spread = jitter(row.deployment_id, now, u64::try_from(delay / JITTER_PART).unwrap_or(0));
    row.backoffs = row.backoffs.saturating_add(1);
    row.state = STARTING.to_owned();
    // The longest delay holds with its random part.
    row.look_at = Some(now + (delay + spread).min(BACKOFF_MS.1));
}

/// It was started as `execution`.
pub(super) fn started(row: &mut Model, execution: Uuid, now: Millis) {
    row.state = RUNNING.to_owned();
    row.execution_id = Some(execution);
    row.run = row.run.saturating_add(1);
    row.started_at = Some(now);
    row.look_at = Some(now + WELL_AFTER_MS);
}

/// It could not be started.
pub(super) fn refused(row: &mut Model, error: &str, retriable: bool, now: Millis) -> Vec<Effect> {
    let mut effects = Vec::new();
    if !retriable {
        // The engine being full is not the bot's failure; anything else is.
        let error = format!("it could not be started: {error}");
        failed(row, &End { execution: None, status: Status::Failed, at: now, error }, &mut effects);
    }
    delay(row, now);
    effects
}

/// It has been running for [`WELL_AFTER_MS`].
pub(super) fn runs_well(row: &mut Model) -> Vec<Effect> {
    let mut effects = Vec::new();
    row.backoffs = 0;
    row.failures = 0;
    row.look_at = None;
    row.health = HEALTHY.to_owned();
    if row.incident_id.is_some() {
        effects.push(Effect::Close { text: "it has been running for a minute".to_owned() });
    }
    effects
}

/// The time within which it should have succeeded has passed.
pub(super) fn overdue(row: &mut Model) -> Vec<Effect> {
    row.overdue_at = None;
    row.health = UNHEALTHY.to_owned();
    let within = spoken(row.succeed_within.unwrap_or(0));
    let text = match row.last_success {
        Some(_) => format!("its last success is more than {within} ago"),
        None => format!("it was deployed more than {within} ago and has not succeeded yet"),
    };
    if row.incident_id.is_some() {
        return vec![Effect::Note { kind: "overdue", text, execution: None }];
    }
    let title = format!("{} has not succeeded within {within}", row.bot_name);
    vec![Effect::Open { kind: IncidentKind::Overdue, title, text, execution: None }]
}

/// A length of time as a blueprint writes it.
fn spoken(ms: Millis) -> String {
    const UNITS: [(Millis, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let mut left = ms.max(0);
    let mut text = String::new();
    for (unit, name) in UNITS {
        if left >= unit {
            text.push_str(&format!("{}{name}", left / unit));
            left %= unit;
        }
    }
    if left > 0 || text.is_empty() {
        text.push_str(&format!("{left}ms"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn row(restart: &str) -> Model {
        Model {
            deployment_id: Uuid::from_u128(1),
            workspace_id: Uuid::from_u128(2),
            bot_id: Uuid::from_u128(3),
            bot_name: "watch".into(),
            version_id: Uuid::from_u128(4),
            environment: "prod".into(),
            restart: restart.into(),
            max_failures: 3,
            succeed_within: None,
            state: STARTING.into(),
            health: "unknown".into(),
            execution_id: None,
            run: 0,
            backoffs: 0,
            started_at: None,
            look_at: Some(NOW),
            overdue_at: None,
            failures: 0,
            last_success: None,
            incident_id: None,
            after_seq: 0,
            updated_at: NOW,
        }
    }

    fn end(execution: Uuid, status: Status) -> End {
        End { execution: Some(execution), status, at: NOW, error: "broken".into() }
    }

    #[test]
    fn delays_double_up_to_five_minutes_and_begin_anew_after_a_good_minute() {
        let mut kept = row("always");
        let mut now = NOW;
        let mut delays = Vec::new();
        for n in 0..12 {
            let id = Uuid::from_u128(100 + n);
            started(&mut kept, id, now);
            now += 10;
            ended(&mut kept, &end(id, Status::Failed), now);
            assert_eq!((kept.state.as_str(), kept.execution_id), (STARTING, None));
            delays.push(kept.look_at.unwrap() - now);
            now = kept.look_at.unwrap();
        }
        for (n, delay) in delays.iter().enumerate() {
            let base = (1_000_i64 << n).min(300_000);
            assert!((base..=(base + base / 5).min(300_000)).contains(delay), "{n}: {delay}");
        }
        let id = Uuid::from_u128(200);
        started(&mut kept, id, now);
        ended(&mut kept, &end(id, Status::Failed), now + WELL_AFTER_MS);
        assert!(kept.look_at.unwrap() - now - WELL_AFTER_MS <= 1_200);
    }

    #[test]
    fn the_policy_decides_about_a_restart() {
        for (restart, status, expected) in [
            ("always", Status::Succeeded, STARTING),
            ("always", Status::Failed, STARTING),
            ("always", Status::Cancelled, STARTING),
            ("on_failure", Status::Succeeded, DONE),
            ("on_failure", Status::Failed, STARTING),
            ("on_failure", Status::Cancelled, DONE),
        ] {
            let mut kept = row(restart);
            let id = Uuid::from_u128(9);
            started(&mut kept, id, NOW);
            // Another execution of the same bot, started by hand, changes nothing.
            ended(&mut kept, &end(Uuid::from_u128(8), status), NOW);
            assert_eq!((kept.state.as_str(), kept.execution_id), (RUNNING, Some(id)));
            ended(&mut kept, &end(id, status), NOW);
            assert_eq!(kept.state, expected, "{restart} {status:?}");
            assert_eq!(kept.look_at.is_some(), expected == STARTING);
        }
    }

    #[test]
    fn failures_in_a_row_open_one_incident_and_a_success_closes_it() {
        let mut watched = row("never");
        let fail = |row: &mut Model| ended(row, &end(Uuid::from_u128(9), Status::Failed), NOW);
        assert_eq!(fail(&mut watched), []);
        ended(&mut watched, &end(Uuid::from_u128(9), Status::Succeeded), NOW);
        assert_eq!([fail(&mut watched), fail(&mut watched)], [vec![], vec![]]);
        let opened = fail(&mut watched);
        let [Effect::Open { kind: IncidentKind::Failing, title, .. }] = opened.as_slice() else { panic!("{opened:?}") };
        assert_eq!((title.as_str(), watched.health.as_str()), ("watch failed 3 times in a row", UNHEALTHY));
        watched.incident_id = Some(Uuid::from_u128(5));
        assert!(matches!(fail(&mut watched)[..], [Effect::Note { kind: "failure", .. }]));
        let cancelled = ended(&mut watched, &end(Uuid::from_u128(9), Status::Cancelled), NOW);
        assert_eq!((cancelled, watched.failures), (vec![], 4));
        let closed = ended(&mut watched, &end(Uuid::from_u128(9), Status::Succeeded), NOW);
        assert!(matches!(closed[..], [Effect::Close { .. }]));
        assert_eq!((watched.failures, watched.health.as_str()), (0, HEALTHY));
    }

    #[test]
    fn a_success_puts_off_the_time_at_which_it_is_overdue() {
        let mut watched = Model { succeed_within: Some(3_600_000), overdue_at: Some(NOW), ..row("never") };
        ended(&mut watched, &end(Uuid::from_u128(9), Status::Succeeded), NOW + 5);
        assert_eq!(watched.overdue_at, Some(NOW + 3_600_000));
        let opened = overdue(&mut watched);
        let [Effect::Open { kind: IncidentKind::Overdue, title, .. }] = opened.as_slice() else { panic!("{opened:?}") };
        assert_eq!(title, "watch has not succeeded within 1h");
        assert_eq!((watched.overdue_at, watched.health.as_str()), (None, UNHEALTHY));
    }

    #[test]
    fn a_full_engine_is_not_the_bot_s_failure() {
        let mut kept = row("always");
        assert_eq!(refused(&mut kept, "full", true, NOW), []);
        assert_eq!((kept.failures, kept.backoffs, kept.state.as_str()), (0, 1, STARTING));
        refused(&mut kept, "its input lacks \"n\"", false, NOW);
        assert_eq!((kept.failures, kept.backoffs), (1, 2));
    }

    #[test]
    fn lengths_of_time_are_spoken_as_blueprints_write_them() {
        for (ms, text) in [(0, "0ms"), (90_000, "1m30s"), (86_400_000, "1d"), (3_600_001, "1h1ms")] {
            assert_eq!(spoken(ms), text);
        }
    }
}
