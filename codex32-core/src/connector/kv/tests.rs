use super::*;
use crate::clock::SimulatedClock;
use crate::storage::testing::on_each;

fn owner() -> Owner {
    Owner { workspace: WorkspaceId::at(1), bot: Some(BotId::at(1)) }
}

fn store(db: Db) -> KvStore {
    KvStore::new(db, Arc::new(SimulatedClock::at(1_000)))
}

#[tokio::test]
async fn values_are_kept_changed_and_forgotten() {
    on_each(async |db| {
        let (kv, own) = (store(db), owner());
        assert_eq!(kv.get(own, "a").await.unwrap(), None);
        let update = |key: &'static str, change| kv.update(own, key, "", change);
        assert_eq!(update("a", KvChange::Set(json!({"x": [1]}))).await.unwrap(), json!({"x": [1]}));
        assert_eq!(kv.get(own, "a").await.unwrap(), Some(json!({"x": [1]})));
        assert_eq!(update("n", KvChange::Add(2.0)).await.unwrap(), json!(2));
        assert_eq!(update("n", KvChange::Add(0.5)).await.unwrap(), json!(2.5));
        for item in 1..=4 {
            update("l", KvChange::Append { item: json!(item), keep: 3 }).await.unwrap();
        }
        assert_eq!(kv.get(own, "l").await.unwrap(), Some(json!([2, 3, 4])));
        assert_eq!(
            update("s", KvChange::Swap(json!(1))).await.unwrap(),
            json!({"changed": false, "first": true, "before": null})
        );
        assert_eq!(
            update("s", KvChange::Swap(json!(1))).await.unwrap(),
            json!({"changed": false, "first": false, "before": 1})
        );
        assert_eq!(
            update("s", KvChange::Swap(json!(2))).await.unwrap(),
            json!({"changed": true, "first": false, "before": 1})
        );
        // A remembered null is a value, too.
        update("z", KvChange::Set(Value::Null)).await.unwrap();
        assert_eq!(kv.get(own, "z").await.unwrap(), Some(Value::Null));
        assert_eq!(update("a", KvChange::Delete).await.unwrap(), json!({"x": [1]}));
        assert_eq!(update("a", KvChange::Delete).await.unwrap(), Value::Null);
        assert_eq!(kv.list(own, "").await.unwrap(), ["l", "n", "s", "z"]);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_change_changes_nothing() {
    on_each(async |db| {
        let (kv, own) = (store(db), owner());
        kv.update(own, "text", "", KvChange::Set(json!("x"))).await.unwrap();
        let big = json!("x".repeat(MAX_VALUE));
        for (key, change, code) in [
            ("text", KvChange::Add(1.0), Code::Invalid),
            ("text", KvChange::Append { item: json!(1), keep: 5 }, Code::Invalid),
            ("text", KvChange::Set(big), Code::TooLarge),
            ("", KvChange::Delete, Code::Invalid),
            ("fresh", KvChange::Add(f64::INFINITY), Code::Invalid),
        ] {
            assert_eq!(kv.update(own, key, "once", change).await.unwrap_err().code(), code, "{key}");
        }
        assert_eq!(kv.get(own, "text").await.unwrap(), Some(json!("x")));
        assert_eq!(kv.list(own, "").await.unwrap(), ["text"]);
        // The failed attempts did not use up their key.
        assert_eq!(kv.update(own, "text", "once", KvChange::Set(json!("y"))).await.unwrap(), json!("y"));
    })
    .await;
}

#[tokio::test]
async fn a_step_changes_once_however_often_it_is_tried() {
    on_each(async |db| {
        let (kv, own) = (store(db), owner());
        for _ in 0..3 {
            assert_eq!(kv.update(own, "n", "step-1", KvChange::Add(1.0)).await.unwrap(), json!(1));
        }
        assert_eq!(kv.update(own, "n", "step-2", KvChange::Add(1.0)).await.unwrap(), json!(2));
        assert_eq!(kv.update(own, "n", "step-1", KvChange::Add(1.0)).await.unwrap(), json!(1));
        assert_eq!(kv.get(own, "n").await.unwrap(), Some(json!(2)));
        assert_eq!(kv.update(own, "n", "step-3", KvChange::Delete).await.unwrap(), json!(2));
        assert_eq!(kv.update(own, "n", "step-3", KvChange::Delete).await.unwrap(), json!(2));
        assert_eq!(kv.get(own, "n").await.unwrap(), None);
        assert_eq!(kv.list(own, "").await.unwrap(), Vec::<String>::new());
        assert_eq!(kv.prune(1_000).await.unwrap(), 0);
        assert_eq!(kv.prune(1_001).await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn changes_at_once_take_turns() {
    on_each(async |db| {
        let (kv, own) = (store(db), owner());
        let all = (0..20).map(|n| {
            let kv = kv.clone();
            async move { kv.update(own, "n", &format!("step-{}", n % 10), KvChange::Add(1.0)).await }
        });
        // Each step is tried twice at once: a second try waits for the first and gives its result.
        for result in futures::future::join_all(all).await {
            result.unwrap();
        }
        assert_eq!(kv.get(own, "n").await.unwrap(), Some(json!(10)));
    })
    .await;
}

#[tokio::test]
async fn bots_and_workspaces_do_not_see_each_other() {
    on_each(async |db| {
        let (kv, own) = (store(db.clone()), owner());
        let others = [
            Owner { bot: Some(BotId::at(1)), ..own },
            Owner { bot: None, ..own },
            Owner { workspace: WorkspaceId::at(1), ..own },
        ];
        for key in ["a_1", "a%2", "ab", "A"] {
            kv.update(own, key, "k", KvChange::Set(json!(1))).await.unwrap();
        }
        for other in others {
            assert_eq!(kv.get(other, "ab").await.unwrap(), None);
            assert_eq!(kv.list(other, "").await.unwrap(), Vec::<String>::new());
        }
        assert_eq!(kv.list(own, "a").await.unwrap(), ["a%2", "a_1", "ab"]);
        assert_eq!(kv.list(own, "a_").await.unwrap(), ["a_1"]);
        assert_eq!(kv.list(own, "a%").await.unwrap(), ["a%2"]);
        kv.update(others[1], "kept", "k", KvChange::Set(json!(2))).await.unwrap();
        db.write(move |tx| Box::pin(KvStore::purge(tx, own))).await.unwrap();
        assert_eq!(kv.list(own, "").await.unwrap(), Vec::<String>::new());
        assert_eq!(kv.list(others[1], "").await.unwrap(), ["kept"]);
    })
    .await;
}
