use crate::blueprint::{Missed, ScheduleTrigger, Span, Trigger};
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error};
use crate::storage::testing::on_each;
use crate::trigger::testing::{House, until};
use serde_json::json;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
/// 2025-03-28T08:00:00Z, a Friday; in Berlin clocks go forward on the Sunday after.
const FRIDAY: Millis = 1_743_148_800_000;

fn schedule(text: &str, missed: Missed) -> Trigger {
    Trigger::Schedule(ScheduleTrigger {
        schedule: text.to_owned(),
        timezone: None,
        missed,
        jitter: None,
        input: Some(json!({"from": "schedule"})),
    })
}

fn times(starts: &[crate::trigger::testing::Recorded]) -> Vec<&str> {
    starts.iter().map(|start| start.trigger["at"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_schedule_starts_one_execution_each_time_it_is_due() {
    on_each(async |db| {
        let house = House::new(db, FRIDAY);
        house.arm(&house.deployment("a"), vec![schedule("*/5 * * * *", Missed::Once)]).await.unwrap();
        let running = house.run();
        house.clock.advance(5 * MINUTE);
        house.starter.reach(1).await;
        house.clock.advance(5 * MINUTE);
        house.starter.reach(2).await;
        running.end().await;
        let starts = house.starter.all().await;
        assert_eq!(times(&starts), ["2025-03-28T08:05:00.000Z", "2025-03-28T08:10:00.000Z"]);
        assert_eq!((&starts[0].input, &starts[0].trigger["type"]), (&json!({"from": "schedule"}), &json!("schedule")));
        let trigger = house.only_trigger().await;
        assert_eq!(trigger.upcoming[..2], [FRIDAY + 15 * MINUTE, FRIDAY + 20 * MINUTE]);
        assert_eq!((trigger.upcoming.len(), trigger.last_fired), (5, Some(house.clock.now())));
        assert!(starts[0].key.contains(&trigger.id.to_string()));
    })
    .await;
}

#[tokio::test]
async fn a_local_time_moves_with_summer_time() {
    on_each(async |db| {
        let house = House::new(db, FRIDAY);
        let trigger = Trigger::Schedule(ScheduleTrigger {
            schedule: "30 9 * * *".into(),
            timezone: Some("Europe/Berlin".into()),
            missed: Missed::All,
            jitter: None,
            input: None,
        });
        house.arm(&house.deployment("a"), vec![trigger]).await.unwrap();
        let running = house.run();
        for runs in [1, 3, 4] {
            house.clock.advance(24 * HOUR);
            house.starter.reach(runs).await;
        }
        running.end().await;
        let days = ["28T08:30", "29T08:30", "30T07:30", "31T07:30"].map(|day| format!("2025-03-{day}:00.000Z"));
        assert_eq!(times(&house.starter.all().await), days);
    })
    .await;
}

#[tokio::test]
async fn after_a_time_out_of_service_the_policy_decides() {
    on_each(async |db| {
        for (missed, expected) in [(Missed::Skip, 0), (Missed::Once, 1), (Missed::All, 3)] {
            let house = House::new(db.clone(), FRIDAY);
            house.arm(&house.deployment("a"), vec![schedule("0 * * * *", missed)]).await.unwrap();
            house.clock.advance(3 * HOUR + 30 * MINUTE);
            let before = house.starter.all().await.len();
            let running = house.run();
            let moved = async || (house.only_trigger().await.upcoming[0] > house.clock.now()).then_some(());
            until(moved).await;
            running.end().await;
            let starts = house.starter.all().await;
            assert_eq!(starts.len() - before, expected, "{missed:?}");
            assert_eq!(house.only_trigger().await.upcoming[0], FRIDAY + 4 * HOUR);
            house.disarm(&house.deployment("a")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_start_that_fails_leaves_the_time_where_it_was_and_is_tried_again() {
    on_each(async |db| {
        let house = House::new(db, FRIDAY);
        house.starter.refuse(Error::new(Code::Busy, "full"));
        house.arm(&house.deployment("a"), vec![schedule("0 * * * *", Missed::Once)]).await.unwrap();
        house.clock.advance(HOUR);
        let running = house.run();
        let failed = until(async || Some(house.only_trigger().await).filter(|trigger| trigger.failures == 1)).await;
        assert_eq!(failed.upcoming[0], FRIDAY + HOUR);
        assert_eq!(failed.last_error.as_deref(), Some("busy: full"));
        assert!(house.starter.all().await.is_empty());
        house.clock.advance(1_000);
        let starts = house.starter.reach(1).await;
        assert_eq!(times(&starts), ["2025-03-28T09:00:00.000Z"]);
        running.end().await;
        let well = house.only_trigger().await;
        assert_eq!((well.failures, well.last_error, well.upcoming[0]), (0, None, FRIDAY + 2 * HOUR));
    })
    .await;
}

#[tokio::test]
async fn a_start_that_can_never_succeed_is_given_up_and_the_next_one_awaited() {
    on_each(async |db| {
        let house = House::new(db, FRIDAY);
        house.starter.refuse(Error::invalid("the input lacks \"n\""));
        house.arm(&house.deployment("a"), vec![schedule("0 * * * *", Missed::Once)]).await.unwrap();
        house.clock.advance(HOUR);
        let running = house.run();
        let failed = until(async || Some(house.only_trigger().await).filter(|trigger| trigger.failures == 1)).await;
        assert_eq!(failed.upcoming[0], FRIDAY + 2 * HOUR);
        house.clock.advance(HOUR);
        house.starter.reach(1).await;
        running.end().await;
        assert_eq!(times(&house.starter.all().await), ["2025-03-28T10:00:00.000Z"]);
    })
    .await;
}

#[tokio::test]
async fn several_dispatchers_on_one_database_start_each_run_once() {
    on_each(async |db| {
        let house = House::new(db, FRIDAY);
        for bot in ["a", "b", "c"] {
            house.arm(&house.deployment(bot), vec![schedule("* * * * *", Missed::All)]).await.unwrap();
        }
        let running = [house.run(), house.run(), house.run()];
        for minute in 1..=4 {
            house.clock.advance(MINUTE);
            house.starter.reach(3 * minute).await;
        }
        for running in running {
            running.end().await;
        }
        let starts = house.starter.all().await;
        assert_eq!(starts.len(), 12);
        let mut keys: Vec<&String> = starts.iter().map(|start| &start.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 12);
    })
    .await;
}

#[tokio::test]
async fn jitter_delays_a_run_and_not_its_time() {
    on_each(async |db| {
        let house = House::new(db, FRIDAY);
        let trigger = Trigger::Schedule(ScheduleTrigger {
            schedule: "0 * * * *".into(),
            timezone: None,
            missed: Missed::Skip,
            jitter: Some(Span(10 * MINUTE as u64)),
            input: None,
        });
        house.arm(&house.deployment("a"), vec![trigger]).await.unwrap();
        let id = house.only_trigger().await.id;
        let delay = crate::schedule::jitter(id.0, FRIDAY + HOUR, 10 * MINUTE as u64);
        assert!(delay > 0);
        let running = house.run();
        house.clock.advance(HOUR + delay - 1);
        assert!(house.starter.all().await.is_empty());
        house.clock.advance(1);
        let starts = house.starter.reach(1).await;
        assert_eq!(times(&starts), ["2025-03-28T09:00:00.000Z"]);
        running.end().await;
        assert_eq!(house.only_trigger().await.upcoming[0], FRIDAY + 2 * HOUR);
    })
    .await;
}

#[tokio::test]
async fn a_schedule_that_is_off_does_nothing_and_forgets_what_was_due() {
    on_each(async |db| {
        let house = House::new(db, FRIDAY);
        house.arm(&house.deployment("a"), vec![schedule("0 * * * *", Missed::All)]).await.unwrap();
        let id = house.only_trigger().await.id;
        let set =
            async |on| crate::trigger::set_enabled(&house.db, &house.clock, house.workspace, id, on).await.unwrap();
        assert!(set(false).await.upcoming.is_empty());
        house.clock.advance(3 * HOUR);
        assert_eq!(set(true).await.upcoming[0], FRIDAY + 4 * HOUR);
        let running = house.run();
        house.clock.advance(HOUR);
        house.starter.reach(1).await;
        running.end().await;
        assert_eq!(house.starter.all().await.len(), 1);
    })
    .await;
}
