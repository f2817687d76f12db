//! What belongs to one workspace is out of reach from another, by every function.

use super::*;
use crate::execution::BotSource as _;
use crate::storage::entity::workspaces;
use sea_orm::{EntityTrait as _, Set};

/// An owner of another workspace.
async fn stranger(db: &Db) -> Caller {
    let id = WorkspaceId::at(START + 1);
    let row = workspaces::ActiveModel {
        id: Set(id.0),
        slug: Set("away".into()),
        name: Set("Away".into()),
        home: Set(false),
        timezone: Set("UTC".into()),
        environment: Set("prod".into()),
        created_at: Set(START),
        updated_at: Set(START),
    };
    let row = workspaces::Entity::insert(row);
    db.write(move |tx| Box::pin(async move { Ok(row.exec_without_returning(tx).await?) })).await.unwrap();
    Caller {
        workspace: id,
        workspace_slug: "away".into(),
        home: false,
        user: None,
        name: "stranger".into(),
        email: String::new(),
        role: Role::Owner,
        scopes: None,
        token: None,
    }
}

#[tokio::test]
async fn nothing_of_another_workspace_is_seen_or_changed() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, none) = (&world.registry, Files::new());
        let away = stranger(&db).await;
        let ws = away.workspace;
        let saved = world.save(&hook("a", "path")).await;
        let two = world.save(&hook("a", "other")).await;
        world.deploy(&two).await;
        let (id, version) = (saved.bot.id, two.version.id);
        let before = registry.get(world.ws(), id).await.unwrap();
        let events = world.events().await;

        let refused: Vec<Code> = vec![
            code(registry.find(ws, "a").await),
            code(registry.find(ws, &id.to_string()).await),
            code(registry.find_deleted(ws, &id.to_string()).await),
            code(registry.get(ws, id).await),
            code(registry.versions(ws, id, None, 10).await),
            code(registry.content(ws, id, Some(1)).await),
            code(registry.diff(ws, id, 1, 2).await),
            code(registry.deployments(ws, id, None, 10).await),
            code(registry.export(ws, id, None).await),
            code(registry.version(ws, version).await),
            code(registry.deployed(ws, "a", "prod").await),
            code(registry.add_version(&away, id, &hook("a", "x"), &none, None).await),
            code(registry.deploy(&away, id, Some(1), None).await),
            code(registry.rollback(&away, id, Some(1), None).await),
            code(registry.stop(&away, id, None).await),
            code(registry.start(&away, id, None).await),
            code(registry.delete(&away, id).await),
            code(registry.restore(&away, id).await),
            code(registry.purge(&away, id).await),
        ];
        assert!(refused.iter().all(|code| *code == Code::NotFound), "{refused:?}");
        assert!(registry.list(ws, &BotFilter::default(), None, 10).await.unwrap().items.is_empty());
        // Also where the version lies in the cache already.
        registry.version(world.ws(), version).await.unwrap();
        assert_eq!(code(registry.version(ws, version).await), Code::NotFound);

        // The same name, path and blueprint live beside it; pruning takes only one's own.
        let own = registry.save(&away, &hook("a", "other"), &none, None).await.unwrap();
        assert!(own.created);
        registry.deploy(&away, own.bot.id, None, None).await.unwrap();
        let document = Document { source: "a".into(), blueprint: hook("a", "other"), files: Files::new() };
        let prune = PlanOptions { prune: true, ..PlanOptions::default() };
        registry.apply(&world.owner, &[document], &prune).await.unwrap();
        registry.apply(&away, &[], &prune).await.unwrap();
        registry.delete(&away, own.bot.id).await.unwrap();
        registry.purge(&away, own.bot.id).await.unwrap();

        assert_eq!(registry.get(world.ws(), id).await.unwrap(), before);
        assert_eq!(world.events().await, events);
        assert_eq!(world.triggers().await.len(), 1);
    })
    .await;
}
