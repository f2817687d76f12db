use crate::blueprint::{BotEnd, BotTrigger, EventTrigger, Trigger};
use crate::error::{Code, Error};
use crate::event::Bus;
use crate::storage::testing::on_each;
use crate::trigger::testing::{House, until};
use crate::trigger::{MAX_DEPTH, set_enabled};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

const NOW: i64 = 1_700_000_000_000;

fn on_event(event: &str, filter: Option<&str>) -> Trigger {
    Trigger::Event(EventTrigger { event: event.into(), filter: filter.map(Into::into) })
}

fn on_bot(bot: &str, when: BotEnd) -> Trigger {
    Trigger::Bot(BotTrigger { bot: bot.into(), when })
}

/// Waits until everything that was published was handled.
async fn settle(house: &House) {
    let mark = house.bus.publish(house.workspace, "test.mark", json!({})).await.unwrap();
    let key = format!(":{mark}");
    until(async || house.starter.all().await.into_iter().find(|start| start.key.ends_with(&key))).await;
}

/// Starts that are not marks.
async fn starts(house: &House) -> Vec<(String, Value)> {
    let all = house.starter.all().await.into_iter();
    all.filter(|start| start.bot != "marks").map(|start| (start.bot, start.input)).collect()
}

async fn house(db: crate::storage::Db) -> House {
    let house = House::new(db, NOW);
    house.arm(&house.deployment("marks"), vec![on_event("test.mark", None)]).await.unwrap();
    house
}

#[tokio::test]
async fn an_event_starts_those_who_listen_and_whose_condition_holds() {
    on_each(async |db| {
        let house = house(db).await;
        house.arm(&house.deployment("exact"), vec![on_event("order.created", None)]).await.unwrap();
        house.arm(&house.deployment("prefix"), vec![on_event("order.*", None)]).await.unwrap();
        house
            .arm(&house.deployment("large"), vec![on_event("order.created", Some("event.total > 100"))])
            .await
            .unwrap();
        house.arm(&house.deployment("other"), vec![on_event("invoice.*", None)]).await.unwrap();
        let running = house.run();
        house.bus.emit(house.workspace, "order.created", json!({"total": 5}), 0).await.unwrap();
        house.bus.emit(house.workspace, "order.created", json!({"total": 500}), 0).await.unwrap();
        house.bus.emit(house.workspace, "order.paid", json!([1]), 0).await.unwrap();
        let elsewhere = crate::id::WorkspaceId::at(NOW);
        house.bus.emit(elsewhere, "order.created", json!({"total": 999}), 0).await.unwrap();
        settle(&house).await;
        running.end().await;
        let expected = [
            ("exact", json!({"total": 5})),
            ("prefix", json!({"total": 5})),
            ("exact", json!({"total": 500})),
            ("prefix", json!({"total": 500})),
            ("large", json!({"total": 500})),
            ("prefix", json!({"value": [1]})),
        ];
        let mut seen = starts(&house).await;
        let mut expected = expected.map(|(bot, input)| (bot.to_owned(), input)).to_vec();
        let by_text = |a: &(String, Value), b: &(String, Value)| format!("{a:?}").cmp(&format!("{b:?}"));
        seen.sort_by(by_text);
        expected.sort_by(by_text);
        assert_eq!(seen, expected);
    })
    .await;
}

#[tokio::test]
async fn what_happened_before_the_arming_or_while_off_does_not_count() {
    on_each(async |db| {
        let house = house(db).await;
        house.bus.emit(house.workspace, "a.b", json!({"n": 1}), 0).await.unwrap();
        house.arm(&house.deployment("bot"), vec![on_event("a.b", None)]).await.unwrap();
        house.bus.emit(house.workspace, "a.b", json!({"n": 2}), 0).await.unwrap();
        let all = crate::trigger::list(&house.db, house.workspace, None).await.unwrap();
        let id = all.iter().find(|trigger| trigger.bot_name == "bot").unwrap().id;
        let running = house.run();
        settle(&house).await;
        set_enabled(&house.db, &house.clock, house.workspace, id, false).await.unwrap();
        house.bus.emit(house.workspace, "a.b", json!({"n": 3}), 0).await.unwrap();
        set_enabled(&house.db, &house.clock, house.workspace, id, true).await.unwrap();
        house.bus.emit(house.workspace, "a.b", json!({"n": 4}), 0).await.unwrap();
        settle(&house).await;
        running.end().await;
        let seen: Vec<Value> = starts(&house).await.into_iter().map(|(_, input)| input["n"].clone()).collect();
        assert_eq!(seen, [json!(2), json!(4)]);
    })
    .await;
}

#[tokio::test]
async fn an_event_read_again_after_a_crash_starts_nothing_twice() {
    on_each(async |db| {
        let house = house(db).await;
        house.arm(&house.deployment("bot"), vec![on_event("a.b", None)]).await.unwrap();
        for n in 0..5 {
            house.bus.emit(house.workspace, "a.b", json!({ "n": n }), 0).await.unwrap();
        }
        let running = house.run();
        settle(&house).await;
        running.end().await;
        // The worst crash: the place on the bus is lost altogether.
        let offsets = crate::storage::entity::event_offsets::Entity::delete_many()
            .filter(crate::storage::entity::event_offsets::Column::Consumer.eq("triggers"));
        house.db.write(|tx| Box::pin(async move { Ok(offsets.exec(tx).await?) })).await.unwrap();
        let running = [house.run(), house.run()];
        settle(&house).await;
        for running in running {
            running.end().await;
        }
        assert_eq!(starts(&house).await.len(), 5);
    })
    .await;
}

#[tokio::test]
async fn an_event_waits_while_the_engine_is_full() {
    on_each(async |db| {
        let house = house(db).await;
        house.arm(&house.deployment("bot"), vec![on_event("a.b", None)]).await.unwrap();
        house.starter.refuse(Error::new(Code::Busy, "full"));
        house.bus.emit(house.workspace, "a.b", json!({}), 0).await.unwrap();
        let running = house.run();
        until(async || house.starter.refusals.lock().unwrap().is_empty().then_some(())).await;
        until(async || {
            house.clock.advance(1_000);
            (starts(&house).await.len() == 1).then_some(())
        })
        .await;
        running.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_condition_that_cannot_be_answered_is_told_on_its_trigger_only() {
    on_each(async |db| {
        let house = house(db).await;
        house.arm(&house.deployment("bad"), vec![on_event("a.b", Some("event.missing.field == 1"))]).await.unwrap();
        house.arm(&house.deployment("good"), vec![on_event("a.b", None)]).await.unwrap();
        let running = house.run();
        house.bus.emit(house.workspace, "a.b", json!({}), 0).await.unwrap();
        settle(&house).await;
        running.end().await;
        assert_eq!(starts(&house).await, [("good".to_owned(), json!({}))]);
        let all = crate::trigger::list(&house.db, house.workspace, None).await.unwrap();
        let errors: Vec<&str> = all
            .iter()
            .filter(|trigger| trigger.last_error.is_some())
            .map(|trigger| trigger.bot_name.as_str())
            .collect();
        assert_eq!(errors, ["bad"]);
    })
    .await;
}

fn end_of(bot: &str, status: &str, environment: &str) -> Value {
    json!({"execution": "e", "bot": "id", "bot_name": bot, "status": status, "environment": environment,
           "output": {"n": 1}, "error": null})
}

#[tokio::test]
async fn the_end_of_a_bot_starts_those_who_wait_for_such_an_end() {
    on_each(async |db| {
        let house = house(db).await;
        house.arm(&house.deployment("ok"), vec![on_bot("a", BotEnd::Succeeded)]).await.unwrap();
        house.arm(&house.deployment("bad"), vec![on_bot("a", BotEnd::Failed)]).await.unwrap();
        house.arm(&house.deployment("any"), vec![on_bot("a", BotEnd::Finished)]).await.unwrap();
        let running = house.run();
        for end in [
            end_of("a", "succeeded", "prod"),
            end_of("a", "failed", "prod"),
            end_of("a", "cancelled", "prod"),
            end_of("a", "succeeded", "dev"),
            end_of("b", "failed", "prod"),
        ] {
            house.bus.publish(house.workspace, "execution.finished", end).await.unwrap();
        }
        settle(&house).await;
        running.end().await;
        let seen: Vec<(String, Value)> =
            starts(&house).await.into_iter().map(|(bot, input)| (bot, input["status"].clone())).collect();
        let expected = [("ok", "succeeded"), ("any", "succeeded"), ("bad", "failed"), ("any", "failed")];
        let mut expected: Vec<(String, Value)> =
            expected.iter().map(|(bot, status)| ((*bot).to_owned(), json!(status))).collect();
        let mut sorted = seen.clone();
        sorted.sort_by_key(|pair| format!("{pair:?}"));
        expected.sort_by_key(|pair| format!("{pair:?}"));
        assert_eq!(sorted, expected);
        let input = starts(&house).await.remove(0).1;
        let whole = json!({"bot": "a", "execution": "e", "status": "succeeded", "output": {"n": 1}, "error": null});
        assert_eq!(input, whole);
    })
    .await;
}

#[tokio::test]
async fn bots_that_start_each_other_without_end_are_stopped() {
    on_each(async |db| {
        let house = house(db).await;
        house.arm(&house.deployment("loop"), vec![on_event("a.b", None)]).await.unwrap();
        let running = house.run();
        house.bus.emit(house.workspace, "a.b", json!({}), MAX_DEPTH - 1).await.unwrap();
        house.bus.emit(house.workspace, "a.b", json!({}), MAX_DEPTH).await.unwrap();
        settle(&house).await;
        running.end().await;
        let all = house.starter.all().await;
        let depths: Vec<u64> =
            all.iter().filter(|s| s.bot == "loop").map(|s| s.trigger["depth"].as_u64().unwrap()).collect();
        assert_eq!(depths, [u64::from(MAX_DEPTH)]);
        let events = house.bus.list(house.workspace, 0, 100).await.unwrap();
        let told: Vec<_> = events.iter().filter(|event| event.name == "trigger.stopped").collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].data["bot_name"], "loop");
    })
    .await;
}

#[tokio::test]
async fn a_consumer_keeps_its_place_and_never_goes_back() {
    on_each(async |db| {
        let house = House::new(db, NOW);
        for place in [5, 9, 7] {
            let clock = house.clock.clone();
            house
                .db
                .write(move |tx| Box::pin(async move { Bus::advance_in(tx, &clock, "c", place).await }))
                .await
                .unwrap();
        }
        assert_eq!(house.bus.offset("c").await.unwrap(), 9);
    })
    .await;
}
