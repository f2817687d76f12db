use super::*;
use crate::execution::BotSource as _;

#[tokio::test]
async fn deploying_arms_and_replaces() {
    on_each(async |db| {
        let world = world(&db).await;
        let one = world.save(&hook("a", "first")).await;
        assert!(world.triggers().await.is_empty(), "a version by itself does nothing");
        let first = world.deploy(&one).await;
        assert_eq!((first.status, first.number, first.environment.as_str()), (DeploymentStatus::Active, 1, "prod"));
        assert_eq!(world.triggers().await[0].deployment, first.id);
        let two = world.save(&hook("a", "second")).await;
        let second = world.deploy(&two).await;
        let triggers = world.triggers().await;
        assert_eq!(triggers.len(), 1);
        assert_eq!((triggers[0].deployment, triggers[0].path.as_deref()), (second.id, Some("second")));
        let again = world.deploy(&two).await;
        assert_eq!(again, second, "what is there already stays");
        let history = world.registry.deployments(world.ws(), one.bot.id, None, 10).await.unwrap().items;
        let seen: Vec<_> = history.iter().map(|d| (d.number, d.status, d.ended_at.is_some())).collect();
        assert_eq!(seen, [(2, DeploymentStatus::Active, false), (1, DeploymentStatus::Replaced, true)]);
        let listed = world.registry.find(world.ws(), "a").await.unwrap();
        assert_eq!(listed.deployments, [second]);
        let events = world.events().await;
        assert_eq!(events.iter().filter(|name| *name == "deployment.changed").count(), 2);

        let staging = world.registry.deploy(&world.owner, one.bot.id, Some(1), Some("staging")).await.unwrap();
        assert_eq!(world.registry.find(world.ws(), "a").await.unwrap().deployments.len(), 2);
        let paths: Vec<_> = world.triggers().await.into_iter().filter_map(|t| t.path).collect();
        assert_eq!(paths, ["second", "staging/first"], "{staging:?}");
        assert_eq!(code(world.registry.deploy(&world.owner, one.bot.id, Some(9), None).await), Code::NotFound);
        assert_eq!(code(world.registry.deploy(&world.owner, one.bot.id, None, Some("A b")).await), Code::Invalid);
        let page = world.registry.deployments(world.ws(), one.bot.id, None, 2).await.unwrap();
        let rest = world.registry.deployments(world.ws(), one.bot.id, page.next.as_deref(), 2).await.unwrap();
        assert_eq!((page.items.len(), rest.items.len(), rest.next), (2, 1, None));
    })
    .await;
}

#[tokio::test]
async fn a_deployment_that_cannot_be_armed_leaves_nothing() {
    on_each(async |db| {
        let world = world(&db).await;
        world.deploy(&world.save(&hook("a", "path")).await).await;
        let b = world.save(&hook("b", "own")).await;
        let own = world.deploy(&b).await;
        let thief = world.save(&hook("b", "path")).await;
        let events = world.events().await;
        assert_eq!(code(world.registry.deploy(&world.owner, thief.bot.id, None, None).await), Code::Conflict);
        assert_eq!(world.registry.find(world.ws(), "b").await.unwrap().deployments, std::slice::from_ref(&own));
        assert_eq!(world.triggers().await.iter().filter(|t| t.deployment == own.id).count(), 1);
        assert_eq!(world.events().await, events);
    })
    .await;
}

#[tokio::test]
async fn a_bot_is_stopped_and_started() {
    on_each(async |db| {
        let world = world(&db).await;
        let saved = world.save(&hook("a", "path")).await;
        let (registry, id) = (&world.registry, saved.bot.id);
        assert_eq!(code(registry.stop(&world.owner, id, None).await), Code::Precondition);
        let deployed = world.deploy(&saved).await;
        world.clock.advance(10);
        let stopped = registry.stop(&world.owner, id, None).await.unwrap();
        assert_eq!((stopped.id, stopped.status, stopped.ended_at), (deployed.id, DeploymentStatus::Stopped, None));
        assert!(world.triggers().await.is_empty());
        let events = world.events().await;
        assert_eq!(registry.stop(&world.owner, id, None).await.unwrap(), stopped);
        assert_eq!(world.events().await, events, "stopping what is stopped changes nothing");
        assert_eq!(code(registry.deployed(world.ws(), "a", "prod").await), Code::Precondition);
        let started = registry.start(&world.owner, id, None).await.unwrap();
        assert_eq!((started.id, started.status), (deployed.id, DeploymentStatus::Active));
        assert_eq!(world.triggers().await[0].path.as_deref(), Some("path"));
        // A path that was taken meanwhile keeps it stopped.
        registry.stop(&world.owner, id, None).await.unwrap();
        world.deploy(&world.save(&hook("b", "path")).await).await;
        assert_eq!(code(registry.start(&world.owner, id, None).await), Code::Conflict);
        assert_eq!(registry.get(world.ws(), id).await.unwrap().deployments[0].status, DeploymentStatus::Stopped);
        // A stopped bot is deployed anew by another version, and by the same.
        let again = registry.deploy(&world.owner, id, None, Some("dev")).await.unwrap();
        assert_eq!(again.status, DeploymentStatus::Active);
    })
    .await;
}

#[tokio::test]
async fn rolling_back_deploys_what_was_there_before() {
    on_each(async |db| {
        let world = world(&db).await;
        let registry = &world.registry;
        let back = async |to| {
            world.clock.advance(1);
            registry.rollback(&world.owner, registry.find(world.ws(), "a").await?.id, to, None).await
        };
        let one = world.save(&bot("a", "one")).await;
        assert_eq!(code(back(None).await), Code::Precondition, "never deployed");
        world.deploy(&one).await;
        assert_eq!(code(back(None).await), Code::Precondition, "nothing before");
        for n in 2..=4 {
            let saved = world.save(&bot("a", &format!("m{n}"))).await;
            if n != 3 {
                world.deploy(&saved).await;
            }
        }
        assert_eq!(back(None).await.unwrap().number, 2, "3 was never deployed");
        assert_eq!(back(Some(1)).await.unwrap().number, 1);
        assert_eq!(back(None).await.unwrap().number, 2);
        assert_eq!(back(Some(3)).await.unwrap().number, 3);
        assert_eq!(code(back(Some(9)).await), Code::NotFound);
        let latest = registry.find(world.ws(), "a").await.unwrap();
        assert_eq!((latest.latest, latest.deployments[0].number), (4, 3), "versions are kept");
    })
    .await;
}

#[tokio::test]
async fn private_addresses_need_an_admin_behind_the_version() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, ws) = (&world.registry, world.ws());
        let saved = world.save(&bot("a", "one")).await;
        let version = saved.version.id;
        for (role, allowed) in [(Role::Editor, false), (Role::Admin, true), (Role::Editor, true)] {
            world.clock.advance(1);
            registry.deploy(&world.role(role), saved.bot.id, None, None).await.unwrap();
            let loaded = registry.version(ws, version).await.unwrap();
            assert_eq!(loaded.private_network_allowed, allowed, "{role}");
        }
        let present = registry.find(ws, "a").await.unwrap().deployments[0].clone();
        assert!(present.private_allowed, "an editor who deploys the same again takes nothing away");
        let next = world.save(&bot("a", "two")).await;
        registry.deploy(&world.role(Role::Editor), saved.bot.id, None, None).await.unwrap();
        assert!(!registry.version(ws, next.version.id).await.unwrap().private_network_allowed);
        // An editor who stops and starts it does not stand behind it either.
        registry.stop(&world.role(Role::Editor), saved.bot.id, None).await.unwrap();
        registry.start(&world.role(Role::Editor), saved.bot.id, None).await.unwrap();
        assert!(!registry.version(ws, next.version.id).await.unwrap().private_network_allowed);
    })
    .await;
}

#[tokio::test]
async fn the_executor_gets_versions_and_targets() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, ws) = (&world.registry, world.ws());
        let saved = world.save(&bot("a", "one")).await;
        assert_eq!(code(registry.deployed(ws, "a", "prod").await), Code::Precondition);
        assert_eq!(code(registry.deployed(ws, "x", "prod").await), Code::NotFound);
        let deployed = world.deploy(&saved).await;
        let target = registry.deployed(ws, "a", "prod").await.unwrap();
        assert_eq!(
            (target.bot, target.version, target.deployment),
            (saved.bot.id, saved.version.id, Some(deployed.id))
        );
        let one = registry.version(ws, target.version).await.unwrap();
        let two = registry.version(ws, target.version).await.unwrap();
        assert!(Arc::ptr_eq(&one.blueprint, &two.blueprint), "parsed once");
        assert_eq!((one.bot_name.as_str(), one.number, one.blueprint.name.as_str()), ("a", 1, "a"));
        assert_eq!(code(registry.version(ws, VersionId::at(1)).await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn of_deployments_at_once_one_is_present() {
    on_each(async |db| {
        let world = world(&db).await;
        let mut last = None;
        for n in 0..5 {
            last = Some(world.save(&hook("a", &format!("p{n}"))).await);
        }
        let id = last.unwrap().bot.id;
        let deploys = (1..=5).map(|n| world.registry.deploy(&world.owner, id, Some(n), None));
        for done in futures::future::join_all(deploys).await {
            done.unwrap();
        }
        let present = world.registry.get(world.ws(), id).await.unwrap().deployments;
        assert_eq!(present.len(), 1);
        let triggers = world.triggers().await;
        assert_eq!(triggers.iter().map(|t| t.deployment).collect::<Vec<_>>(), [present[0].id]);
    })
    .await;
}
