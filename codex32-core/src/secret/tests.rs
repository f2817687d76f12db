//! The same on SQLite and PostgreSQL.

use super::*;
use crate::clock::SimulatedClock;
use crate::error::Code;
use crate::id::WorkspaceId;
use crate::storage::Db;
use crate::storage::entity::{data_keys, secrets};
use crate::storage::testing::on_each;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;
use std::sync::Arc;

async fn open(db: &Db, keys: Arc<dyn KeyProvider>) -> Secrets {
    Secrets::open(db.clone(), Arc::new(SimulatedClock::at(1_000)), keys).await.unwrap()
}

#[tokio::test]
async fn a_secret_is_kept_listed_and_deleted() {
    on_each(async |db| {
        let clock = SimulatedClock::at(1_000);
        let keys = Arc::new(KeyRing::fresh());
        let secrets = Secrets::open(db.clone(), Arc::new(clock.clone()), keys).await.unwrap();
        let ws = WorkspaceId::at(1);
        assert!(secrets.get(ws, "api_key").await.unwrap().is_none());
        secrets.set(ws, "api_key", "first value").await.unwrap();
        secrets.set(ws, "api_key", "second value").await.unwrap();
        clock.advance(1);
        secrets.set_connection(ws, "team-slack", &json!({"token": "xoxb-123"})).await.unwrap();
        assert_eq!(secrets.get(ws, "api_key").await.unwrap().unwrap().as_str(), "second value");
        assert_eq!(secrets.connection(ws, "team-slack").await.unwrap(), Some(json!({"token": "xoxb-123"})));
        assert_eq!(secrets.connection(ws, "other").await.unwrap(), None);
        let first = secrets.list(ws, None, 1).await.unwrap();
        assert_eq!((first.items[0].name.as_str(), first.items[0].version), ("api_key", 2));
        assert_eq!(first.items[0].kind, SecretKind::Secret);
        let second = secrets.list(ws, first.next.as_deref(), 1).await.unwrap();
        assert_eq!((second.items[0].name.as_str(), second.items[0].kind), ("team-slack", SecretKind::Connection));
        assert_eq!(second.next, None);
        secrets.delete(ws, "api_key").await.unwrap();
        assert_eq!(secrets.delete(ws, "api_key").await.unwrap_err().code(), Code::NotFound);
        assert_eq!(secrets.delete(ws, "connection:team-slack").await.unwrap_err().code(), Code::NotFound);
        secrets.delete_connection(ws, "team-slack").await.unwrap();
        assert!(secrets.list(ws, None, 10).await.unwrap().items.is_empty());
    })
    .await;
}

#[tokio::test]
async fn resolving_gives_all_or_names_what_is_missing() {
    on_each(async |db| {
        let secrets = open(&db, Arc::new(KeyRing::fresh())).await;
        let (ws, other) = (WorkspaceId::at(1), WorkspaceId::at(2));
        secrets.set(ws, "a", "value a").await.unwrap();
        secrets.set(ws, "b", "value b").await.unwrap();
        let both = secrets.resolve(ws, &["a".into(), "b".into()]).await.unwrap();
        assert_eq!((both["a"].as_str(), both["b"].as_str()), ("value a", "value b"));
        let error = secrets.resolve(ws, &["a".into(), "c".into()]).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::NotFound, "there is no secret \"c\""));
        // Neither another workspace's, nor a connection under the name of a secret.
        assert!(secrets.resolve(other, &["a".into()]).await.is_err());
        secrets.set_connection(ws, "x", &json!({})).await.unwrap();
        assert!(secrets.resolve(ws, &["connection:x".into()]).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn bad_input_changes_nothing() {
    on_each(async |db| {
        let secrets = open(&db, Arc::new(KeyRing::fresh())).await;
        let ws = WorkspaceId::at(1);
        for name in ["", "1a", "a-b", "a.b", "connection:x", "é", &"a".repeat(101)] {
            assert_eq!(secrets.set(ws, name, "value").await.unwrap_err().code(), Code::Invalid, "{name}");
        }
        assert_eq!(secrets.set(ws, "a", "").await.unwrap_err().code(), Code::Invalid);
        let error = secrets.set(ws, "a", &"x".repeat(MAX_VALUE + 1)).await.unwrap_err();
        assert_eq!(error.code(), Code::TooLarge);
        assert!(secrets.set_connection(ws, "a b", &json!({})).await.is_err());
        assert!(secrets.set_connection(ws, "a", &json!("text")).await.is_err());
        for n in 0..8 {
            secrets.set(ws, &format!("big{n}"), &"x".repeat(MAX_VALUE)).await.unwrap();
        }
        assert_eq!(secrets.set(ws, "more", "x").await.unwrap_err().code(), Code::Precondition);
        secrets.set(ws, "big0", "a smaller one may replace it").await.unwrap();
        assert_eq!(secrets.list(ws, None, 100).await.unwrap().items.len(), 8);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_was_moved_swapped_or_set_back_does_not_open() {
    on_each(async |db| {
        let keys: Arc<dyn KeyProvider> = Arc::new(KeyRing::fresh());
        let vault = open(&db, keys.clone()).await;
        let (a, b) = (WorkspaceId::at(1), WorkspaceId::at(2));
        vault.set(a, "one", "value one").await.unwrap();
        vault.set(a, "two", "value two").await.unwrap();
        vault.set(b, "one", "value of b").await.unwrap();
        let rows = secrets::Entity::find().all(db.read()).await.unwrap();
        let of = |ws: WorkspaceId, name: &str| rows.iter().find(|r| r.workspace_id == ws.0 && r.name == name).unwrap();
        let put = async |ws: WorkspaceId, name: &str, bytes: Vec<u8>| {
            let id = of(ws, name).id;
            let change = secrets::Entity::update_many()
                .col_expr(secrets::Column::Ciphertext, Expr::value(bytes))
                .filter(secrets::Column::Id.eq(id));
            db.write(move |tx| Box::pin(async move { Ok(change.exec(tx).await?) })).await.unwrap();
        };
        put(a, "one", of(a, "two").ciphertext.clone()).await;
        assert_eq!(vault.get(a, "one").await.unwrap_err().code(), Code::Internal, "another name");
        put(a, "one", of(b, "one").ciphertext.clone()).await;
        assert!(vault.get(a, "one").await.is_err(), "another workspace");
        assert!(vault.redactor(a).await.is_err(), "nothing may pass unredacted");
        put(a, "one", of(a, "one").ciphertext.clone()).await;
        assert_eq!(vault.get(a, "one").await.unwrap().unwrap().as_str(), "value one");
        vault.set(a, "one", "newer").await.unwrap();
        put(a, "one", of(a, "one").ciphertext.clone()).await;
        assert!(vault.get(a, "one").await.is_err(), "an older version");

        // A workspace's key does not open as another's.
        let key = data_keys::Entity::find_by_id(b.0).one(db.read()).await.unwrap().unwrap();
        let change = data_keys::Entity::update_many()
            .col_expr(data_keys::Column::Wrapped, Expr::value(key.wrapped))
            .filter(data_keys::Column::WorkspaceId.eq(a.0));
        db.write(move |tx| Box::pin(async move { Ok(change.exec(tx).await?) })).await.unwrap();
        // Opening samples one row; whichever it is, the swapped one is refused at its first use.
        if let Ok(fresh) = Secrets::open(db.clone(), Arc::new(SimulatedClock::at(1)), keys).await {
            assert_eq!(fresh.get(a, "two").await.unwrap_err().code(), Code::Precondition);
        }
    })
    .await;
}

#[tokio::test]
async fn the_wrong_master_key_is_refused_at_the_door() {
    on_each(async |db| {
        let vault = open(&db, Arc::new(KeyRing::fresh())).await;
        vault.set(WorkspaceId::at(1), "a", "value").await.unwrap();
        let clock = Arc::new(SimulatedClock::at(1));
        let error = Secrets::open(db.clone(), clock, Arc::new(KeyRing::fresh())).await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition);
    })
    .await;
}

#[tokio::test]
async fn the_master_key_is_rotated_without_touching_values() {
    on_each(async |db| {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(KeyFile::open(folder.path().join("key")).unwrap());
        let vault = open(&db, file.clone()).await;
        for n in 1..=3 {
            vault.set(WorkspaceId::at(n), "a", &format!("value {n}")).await.unwrap();
        }
        let before = secrets::Entity::find().all(db.read()).await.unwrap();
        file.rotate().unwrap();
        assert_eq!(vault.rewrap().await.unwrap(), 3);
        assert_eq!(vault.rewrap().await.unwrap(), 0);
        file.forget_older().unwrap();
        assert_eq!(before, secrets::Entity::find().all(db.read()).await.unwrap());
        let fresh = open(&db, Arc::new(KeyFile::open(folder.path().join("key")).unwrap())).await;
        for row in before {
            assert!(fresh.get(row.workspace_id.into(), "a").await.unwrap().unwrap().starts_with("value"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_redactor_knows_every_change_also_of_another_process() {
    on_each(async |db| {
        let keys: Arc<dyn KeyProvider> = Arc::new(KeyRing::fresh());
        let (here, there) = (open(&db, keys.clone()).await, open(&db, keys).await);
        let (ws, other) = (WorkspaceId::at(1), WorkspaceId::at(2));
        assert_eq!(here.redactor(ws).await.unwrap().text("value one"), "value one");
        here.set(ws, "a", "value one").await.unwrap();
        assert_eq!(here.redactor(ws).await.unwrap().text("value one"), "***");
        assert!(Arc::ptr_eq(&here.redactor(ws).await.unwrap(), &here.redactor(ws).await.unwrap()));
        there.set(ws, "b", "value two").await.unwrap();
        there.set_connection(ws, "sql", &json!({"url": "postgres://u:pass1234@db/x"})).await.unwrap();
        let redactor = here.redactor(ws).await.unwrap();
        assert_eq!(redactor.text("value one, value two, pass1234"), "***, ***, ***");
        assert_eq!(here.redactor(other).await.unwrap().text("value one"), "value one");
        there.delete(ws, "a").await.unwrap();
        assert_eq!(here.redactor(ws).await.unwrap().text("value one"), "value one");
    })
    .await;
}

#[tokio::test]
async fn what_is_stored_holds_no_value_in_clear() {
    on_each(async |db| {
        let vault = open(&db, Arc::new(KeyRing::fresh())).await;
        vault.set(WorkspaceId::at(1), "a", "plain-to-see").await.unwrap();
        for row in secrets::Entity::find().all(db.read()).await.unwrap() {
            assert!(!row.ciphertext.windows(12).any(|w| w == b"plain-to-see"));
        }
        assert!(!format!("{vault:?}").contains("plain"));
    })
    .await;
}

#[tokio::test]
async fn first_secrets_set_at_once_share_one_key() {
    on_each(async |db| {
        let vault = open(&db, Arc::new(KeyRing::fresh())).await;
        let ws = WorkspaceId::at(1);
        let sets = (0..10).map(|n| {
            let vault = vault.clone();
            async move { vault.set(ws, &format!("s{n}"), &format!("value {n}")).await }
        });
        for done in futures::future::join_all(sets).await {
            done.unwrap();
        }
        for n in 0..10 {
            let value = vault.get(ws, &format!("s{n}")).await.unwrap().unwrap();
            assert_eq!(value.as_str(), format!("value {n}"));
        }
    })
    .await;
}
