use crate::blueprint::{PollTrigger, Span, Trigger};
use crate::clock::Millis;
use crate::connector::Polled;
use crate::error::{Code, Error};
use crate::id::DeploymentId;
use crate::storage::testing::on_each;
use crate::trigger::Deployment;
use crate::trigger::testing::{House, News, eventually, until};
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: Millis = 1_700_000_000_000;
const MINUTE: Millis = 60_000;

fn poll(with: Value) -> Trigger {
    Trigger::Poll(PollTrigger { source: "rss.new_item".into(), with, connection: None, every: Span(MINUTE as u64) })
}

/// A feed that has one new item at each look after the first: 1, 2, 3, ...
fn feed() -> Arc<News> {
    News::new(|look| {
        let seen = look.cursor.as_ref().and_then(Value::as_i64);
        let events = seen.map(|seen| json!({"item": seen + 1})).into_iter().collect();
        Ok(Polled { events, cursor: json!(seen.map_or(0, |seen| seen + 1)) })
    })
}

fn items(starts: &[crate::trigger::testing::Recorded]) -> Vec<i64> {
    starts.iter().map(|start| start.input["item"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_first_look_sets_the_cursor_and_each_news_starts_one_execution() {
    on_each(async |db| {
        let house = House::with_news(db, NOW, feed());
        house.arm(&house.deployment("a"), vec![poll(json!({}))]).await.unwrap();
        let running = house.run();
        house.news.looked(1).await;
        for n in 1..=3 {
            until(async || Some(house.only_trigger().await).filter(|t| t.upcoming[0] > now(&house))).await;
            house.clock.advance(MINUTE);
            house.starter.reach(n).await;
        }
        running.end().await;
        let starts = house.starter.all().await;
        assert_eq!(items(&starts), [1, 2, 3]);
        assert_eq!(starts[0].trigger["source"], "rss.new_item");
    })
    .await;
}

fn now(house: &House) -> Millis {
    use crate::clock::Clock as _;
    house.clock.now()
}

#[tokio::test]
async fn a_look_that_fails_is_tried_again_with_backoff_and_loses_nothing() {
    on_each(async |db| {
        let house = House::with_news(db, NOW, News::new(|_| Err(Error::unavailable("no route to the feed"))));
        house.arm(&house.deployment("a"), vec![poll(json!({}))]).await.unwrap();
        let running = house.run();
        for (failures, wait) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
            let failed = until(async || Some(house.only_trigger().await).filter(|t| t.failures == failures)).await;
            assert_eq!(failed.last_error.as_deref(), Some("unavailable: no route to the feed"));
            assert_eq!(*house.news.looks.borrow(), usize::try_from(failures).unwrap());
            house.clock.advance(wait);
        }
        *house.news.answer.lock().unwrap() = Box::new(|_| Ok(Polled { events: vec![json!(7)], cursor: json!(1) }));
        house.clock.advance(8_000);
        let starts = house.starter.reach(1).await;
        assert_eq!(starts[0].input, json!({"value": 7}));
        running.end().await;
        assert_eq!(house.only_trigger().await.last_error, None);
    })
    .await;
}

#[tokio::test]
async fn the_cursor_stays_where_the_starts_are_refused_for_now() {
    on_each(async |db| {
        let house = House::with_news(db, NOW, feed());
        house.arm(&house.deployment("a"), vec![poll(json!({}))]).await.unwrap();
        let running = house.run();
        until(async || Some(house.only_trigger().await).filter(|t| t.upcoming[0] > NOW)).await;
        house.starter.refuse(Error::new(Code::Busy, "full"));
        house.clock.advance(MINUTE);
        until(async || Some(house.only_trigger().await).filter(|t| t.failures == 1)).await;
        assert!(house.starter.all().await.is_empty());
        house.clock.advance(1_000);
        assert_eq!(items(&house.starter.reach(1).await), [1]);
        running.end().await;
    })
    .await;
}

#[tokio::test]
async fn news_that_the_bot_cannot_take_does_not_hold_up_the_rest() {
    on_each(async |db| {
        let house = House::with_news(
            db,
            NOW,
            News::new(|_| Ok(Polled { events: vec![json!({"item": 1}), json!({"item": 2})], cursor: json!(1) })),
        );
        house.starter.refuse(Error::invalid("the input has no \"title\""));
        house.arm(&house.deployment("a"), vec![poll(json!({}))]).await.unwrap();
        let running = house.run();
        assert_eq!(items(&house.starter.reach(1).await), [2]);
        running.end().await;
        assert!(house.only_trigger().await.last_error.unwrap().contains("title"));
    })
    .await;
}

#[tokio::test]
async fn a_trigger_is_never_looked_at_twice_at_once() {
    on_each(async |db| {
        let house = House::with_news(db, NOW, feed());
        house.news.gate.send_replace(false);
        house.arm(&house.deployment("a"), vec![poll(json!({}))]).await.unwrap();
        let running = [house.run(), house.run(), house.run()];
        let mut under_way = house.news.under_way.subscribe();
        eventually(async { under_way.wait_for(|n| *n > 0).await.map(|_| ()).unwrap() }).await;
        // Due again by its period, but still held.
        house.clock.advance(MINUTE + 1);
        house.bus.publish(house.workspace, "deployment.changed", json!({})).await.unwrap();
        house.news.gate.send_replace(true);
        house.news.looked(1).await;
        for running in running {
            running.end().await;
        }
        assert_eq!(*house.news.most_at_once.lock().unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_next_deployment_goes_on_where_the_last_one_was() {
    on_each(async |db| {
        let house = House::with_news(db, NOW, feed());
        let first = house.deployment("a");
        house.arm(&first, vec![poll(json!({"url": "x"}))]).await.unwrap();
        let running = house.run();
        until(async || Some(house.only_trigger().await).filter(|t| t.upcoming[0] > NOW)).await;
        running.end().await;
        let again = Deployment { deployment: DeploymentId::at(NOW), ..first.clone() };
        house.disarm(&first).await;
        house.arm(&again, vec![poll(json!({"url": "x"}))]).await.unwrap();
        let running = house.run();
        assert_eq!(items(&house.starter.reach(1).await), [1]);
        running.end().await;
        // Other settings are another feed: its first look only sets the cursor.
        house.disarm(&again).await;
        let other = Deployment { deployment: DeploymentId::at(NOW), ..first };
        house.arm(&other, vec![poll(json!({"url": "y"}))]).await.unwrap();
        let running = house.run();
        until(async || Some(house.only_trigger().await).filter(|t| t.upcoming[0] > NOW)).await;
        running.end().await;
        assert_eq!(house.starter.all().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn news_found_for_a_deployment_that_has_ended_starts_nothing() {
    on_each(async |db| {
        let house = House::with_news(db, NOW, News::new(|_| Ok(Polled { events: vec![json!(1)], cursor: json!(1) })));
        house.news.gate.send_replace(false);
        let deployment = house.deployment("a");
        house.arm(&deployment, vec![poll(json!({}))]).await.unwrap();
        let running = house.run();
        let mut under_way = house.news.under_way.subscribe();
        eventually(async { under_way.wait_for(|n| *n > 0).await.map(|_| ()).unwrap() }).await;
        house.disarm(&deployment).await;
        house.news.gate.send_replace(true);
        house.news.looked(1).await;
        running.end().await;
        assert!(house.starter.all().await.is_empty());
    })
    .await;
}
