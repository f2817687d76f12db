//! Deleting, restoring, purging; going out and coming in.

use super::*;
use crate::storage::entity::{bots, deployments, triggers, version_files, versions};
use sea_orm::{EntityTrait, PaginatorTrait as _};

#[tokio::test]
async fn a_deleted_bot_is_silent_and_comes_back() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, ws) = (&world.registry, world.ws());
        let saved = world.save(&hook("a", "path")).await;
        let id = saved.bot.id;
        world.deploy(&saved).await;
        registry.delete(&world.owner, id).await.unwrap();
        assert!(world.triggers().await.is_empty());
        assert_eq!(code(registry.find(ws, "a").await), Code::NotFound);
        for refused in [
            registry.delete(&world.owner, id).await,
            registry.deploy(&world.owner, id, None, None).await.map(|_| ()),
            registry.start(&world.owner, id, None).await.map(|_| ()),
            registry.add_version(&world.owner, id, &bot("a", "x"), &Files::new(), None).await.map(|_| ()),
        ] {
            assert_eq!(code(refused), Code::Precondition);
        }
        let deleted = BotFilter { deleted: true, ..BotFilter::default() };
        assert_eq!(registry.list(ws, &deleted, None, 10).await.unwrap().items[0].id, id);
        assert_eq!(registry.find_deleted(ws, "a").await.unwrap().id, id);

        // Its name and its path are free for another; then it cannot come back under that name.
        let other = world.save(&hook("a", "path")).await;
        world.deploy(&other).await;
        assert_ne!(other.bot.id, id);
        assert_eq!(code(registry.restore(&world.owner, id).await), Code::Conflict);
        world.clock.advance(1);
        registry.delete(&world.owner, other.bot.id).await.unwrap();
        assert_eq!(registry.find_deleted(ws, "a").await.unwrap().id, other.bot.id, "the one deleted last");
        let back = registry.restore(&world.owner, id).await.unwrap();
        assert_eq!(back.deployments[0].status, DeploymentStatus::Stopped);
        assert!(world.triggers().await.is_empty());
        registry.start(&world.owner, id, None).await.unwrap();
        assert_eq!(world.triggers().await.len(), 1);
        assert_eq!(code(registry.restore(&world.owner, id).await), Code::Precondition);
    })
    .await;
}

#[tokio::test]
async fn a_purge_removes_everything_of_one_bot() {
    on_each(async |db| {
        let world = world(&db).await;
        let registry = &world.registry;
        let files: Files = (0..150).map(|n| (format!("f{n}"), "x".into())).collect();
        let mut last = None;
        for n in 0..3 {
            let text = hook("a", &format!("p{n}"));
            let saved = registry.save(&world.owner, &text, &files, None).await.unwrap();
            world.deploy(&saved).await;
            last = Some(saved.bot.id);
        }
        let id = last.unwrap();
        let other = world.save(&hook("b", "other")).await;
        world.deploy(&other).await;
        assert_eq!(code(registry.purge(&world.owner, id).await), Code::Precondition);
        registry.delete(&world.owner, id).await.unwrap();
        registry.purge(&world.owner, id).await.unwrap();
        assert_eq!(world.purged.0.load(Ordering::SeqCst), 1);
        assert_eq!(code(registry.purge(&world.owner, id).await), Code::NotFound);
        assert_eq!(code(registry.restore(&world.owner, id).await), Code::NotFound);
        let db = db.read();
        let left = (
            bots::Entity::find().count(db).await.unwrap(),
            versions::Entity::find().count(db).await.unwrap(),
            version_files::Entity::find().count(db).await.unwrap(),
            deployments::Entity::find().count(db).await.unwrap(),
            triggers::Entity::find().count(db).await.unwrap(),
        );
        assert_eq!(left, (1, 1, 0, 1, 1), "the other bot's");
    })
    .await;
}

#[tokio::test]
async fn a_purge_that_began_cannot_be_undone() {
    on_each(async |db| {
        let world = world(&db).await;
        let saved = world.save(&bot("a", "x")).await;
        world.registry.delete(&world.owner, saved.bot.id).await.unwrap();
        // As an interruption right after the beginning leaves it.
        use sea_orm::{ColumnTrait as _, QueryFilter as _, sea_query::Expr};
        let begun = bots::Entity::update_many()
            .col_expr(bots::Column::PurgedAt, Expr::value(START))
            .filter(bots::Column::Id.eq(saved.bot.id.0));
        db.write(move |tx| Box::pin(async move { Ok(begun.exec(tx).await?) })).await.unwrap();
        assert_eq!(code(world.registry.restore(&world.owner, saved.bot.id).await), Code::Precondition);
        world.registry.purge(&world.owner, saved.bot.id).await.unwrap();
        assert_eq!(code(world.registry.get(world.ws(), saved.bot.id).await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn a_bot_goes_out_and_comes_in() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, ws) = (&world.registry, world.ws());
        let text = "codex32: v1\nname: a\nsteps:\n  - run: python\n    file: main.py\n";
        let files: Files = [("main.py".into(), "print('ü')\n".into()), ("data/x.csv".into(), "a,b\n".into())].into();
        let saved = registry.create(&world.owner, text, &files, Some("first")).await.unwrap();
        let package = registry.export(ws, saved.bot.id, None).await.unwrap();
        assert_eq!(package, registry.export(ws, saved.bot.id, Some(1)).await.unwrap(), "the same bytes each time");

        let same = registry.import(&world.owner, package.clone(), None).await.unwrap();
        assert_eq!((same.created, same.changed), (false, false));
        let other = Access::new(db.clone(), Arc::new(world.clock.clone()));
        let issued = other.bootstrap("o@example.org", "x").await.unwrap().unwrap();
        let owner = other.authenticate(&issued.token).await.unwrap();
        other.create_workspace(&owner, "Away", None).await.unwrap();
        let away = other.switch_workspace(&owner, "away").await.unwrap().caller;
        let new = registry.import(&away, package, None).await.unwrap();
        assert_eq!((new.created, new.version.note.as_deref()), (true, Some("first")));
        assert_eq!(new.version.digest, saved.version.digest);
        let content = registry.content(away.workspace, new.bot.id, None).await.unwrap();
        assert_eq!((content.blueprint.as_str(), content.files), (text, files));
        assert!(new.bot.deployments.is_empty(), "nothing runs because a file was imported");
    })
    .await;
}

#[tokio::test]
async fn a_package_that_was_changed_is_refused() {
    use std::io::{Read as _, Write as _};
    on_each(async |db| {
        let world = world(&db).await;
        let saved = world.save(&bot("a", "harmless")).await;
        let package = world.registry.export(world.ws(), saved.bot.id, None).await.unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(package.as_slice()).read_to_end(&mut plain).unwrap();
        let at = plain.windows(8).position(|w| w == b"harmless").unwrap();
        plain[at..at + 8].copy_from_slice(b"harmfull");
        let mut forged = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        forged.write_all(&plain).unwrap();
        let forged = world.registry.import(&world.owner, forged.finish().unwrap(), None).await.unwrap_err();
        assert!(forged.message().contains("digest"), "{forged}");
        let large = vec![0; package::MAX_PACKAGE + 1];
        assert_eq!(code(world.registry.import(&world.owner, large, None).await), Code::TooLarge);
        assert_eq!(world.registry.find(world.ws(), "a").await.unwrap().latest, 1);
    })
    .await;
}
