use super::*;

fn folder(texts: &[String]) -> Vec<Document> {
    let name = |text: &str| text.lines().find_map(|line| line.strip_prefix("name: ")).unwrap_or("x").to_owned();
    texts
        .iter()
        .map(|text| Document { source: format!("{}.yaml", name(text)), blueprint: text.clone(), files: Files::new() })
        .collect()
}

fn actions(plan: &Plan) -> Vec<(&str, Action)> {
    plan.items.iter().map(|item| (item.name.as_str(), item.action)).collect()
}

#[tokio::test]
async fn applying_twice_changes_nothing() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, options) = (&world.registry, PlanOptions::default());
        let documents = folder(&[bot("a", "one"), hook("b", "path")]);
        let plan = registry.plan(world.ws(), &documents, &options).await.unwrap();
        assert_eq!(actions(&plan), [("a", Action::Create), ("b", Action::Create)]);
        assert!(plan.items[0].diff.contains("+name: a\n"));
        assert!(registry.list(world.ws(), &BotFilter::default(), None, 10).await.unwrap().items.is_empty());

        let done = registry.apply(&world.owner, &documents, &options).await.unwrap();
        assert_eq!(actions(&done), actions(&plan));
        assert_eq!(world.triggers().await.len(), 1);
        let events = world.events().await;
        let again = registry.apply(&world.owner, &documents, &options).await.unwrap();
        assert_eq!(actions(&again), [("a", Action::Unchanged), ("b", Action::Unchanged)]);
        assert!(again.is_empty() && registry.plan(world.ws(), &documents, &options).await.unwrap().is_empty());
        assert_eq!(world.events().await, events);

        world.clock.advance(1);
        let documents = folder(&[bot("a", "two"), hook("b", "path")]);
        let plan = registry.plan(world.ws(), &documents, &options).await.unwrap();
        assert_eq!(actions(&plan), [("a", Action::Change), ("b", Action::Unchanged)]);
        assert_eq!((plan.items[0].from, plan.items[0].to), (Some(1), Some(2)));
        assert!(plan.items[0].diff.contains("-    with: {message: one}"));
        let done = registry.apply(&world.owner, &documents, &options).await.unwrap();
        assert_eq!(actions(&done), actions(&plan));
        let a = registry.find(world.ws(), "a").await.unwrap();
        assert_eq!((a.latest, a.deployments[0].number), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn only_what_an_apply_made_is_pruned_and_only_when_told() {
    on_each(async |db| {
        let world = world(&db).await;
        let registry = &world.registry;
        world.save(&bot("by-hand", "x")).await;
        let (keep, prune) = (PlanOptions::default(), PlanOptions { prune: true, ..PlanOptions::default() });
        registry.apply(&world.owner, &folder(&[bot("a", "x"), hook("b", "p")]), &keep).await.unwrap();
        let less = folder(&[bot("a", "x")]);
        assert!(registry.apply(&world.owner, &less, &keep).await.unwrap().is_empty());
        let plan = registry.plan(world.ws(), &less, &prune).await.unwrap();
        assert_eq!(actions(&plan), [("a", Action::Unchanged), ("b", Action::Prune)]);
        assert_eq!(registry.apply(&world.owner, &less, &prune).await.unwrap(), plan);
        assert!(world.triggers().await.is_empty());
        assert!(registry.apply(&world.owner, &less, &prune).await.unwrap().is_empty());
        // An empty folder with prune takes what is left of the folder, and nothing else.
        registry.apply(&world.owner, &[], &prune).await.unwrap();
        let left = registry.list(world.ws(), &BotFilter::default(), None, 10).await.unwrap().items;
        assert_eq!(left.iter().map(|bot| bot.name.as_str()).collect::<Vec<_>>(), ["by-hand"]);
    })
    .await;
}

#[tokio::test]
async fn it_is_all_or_nothing() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, options) = (&world.registry, PlanOptions::default());
        world.deploy(&world.save(&hook("other", "taken")).await).await;
        let before = (world.events().await, world.triggers().await.len());
        let clash = folder(&[bot("a", "x"), hook("b", "taken")]);
        let error = registry.apply(&world.owner, &clash, &options).await.unwrap_err();
        assert_eq!(error.code(), Code::Conflict);
        assert!(error.message().starts_with("deploy b: "), "{error}");
        let wrong = folder(&[bot("a", "x"), bot("c", "x").replace("log.write", "log.wriet"), "name: x".into()]);
        let error = registry.apply(&world.owner, &wrong, &options).await.unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        let places: Vec<_> = error.faults().iter().map(|f| f.pointer.as_str()).collect();
        assert!(places.iter().any(|p| p.starts_with("/documents/1")), "{places:?}");
        assert!(places.iter().any(|p| p.starts_with("/documents/2")), "{places:?}");
        assert!(!places.iter().any(|p| p.starts_with("/documents/0")), "{places:?}");
        let twice = folder(&[bot("a", "x"), bot("a", "y")]);
        assert_eq!(code(registry.apply(&world.owner, &twice, &options).await), Code::Invalid);
        let many = vec![Document::default(); 501];
        assert_eq!(code(registry.apply(&world.owner, &many, &options).await), Code::TooLarge);
        assert_eq!(code(registry.find(world.ws(), "a").await), Code::NotFound);
        assert_eq!((world.events().await, world.triggers().await.len()), before);
    })
    .await;
}

#[tokio::test]
async fn a_path_moves_from_one_bot_to_another() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, options) = (&world.registry, PlanOptions::default());
        registry.apply(&world.owner, &folder(&[hook("a", "one"), hook("b", "two")]), &options).await.unwrap();
        world.clock.advance(1);
        registry.apply(&world.owner, &folder(&[hook("a", "two"), hook("b", "one")]), &options).await.unwrap();
        let paths: Vec<_> = world.triggers().await.into_iter().map(|t| (t.bot_name, t.path.unwrap())).collect();
        assert_eq!(paths, [("a".to_owned(), "two".to_owned()), ("b".to_owned(), "one".to_owned())]);
        let prune = PlanOptions { prune: true, ..options };
        world.clock.advance(1);
        registry.apply(&world.owner, &folder(&[hook("c", "one")]), &prune).await.unwrap();
        assert_eq!(world.triggers().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_stopped_by_hand_stays_stopped() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, options) = (&world.registry, PlanOptions::default());
        let documents = folder(&[hook("a", "one")]);
        registry.apply(&world.owner, &documents, &options).await.unwrap();
        let id = registry.find(world.ws(), "a").await.unwrap().id;
        registry.stop(&world.owner, id, None).await.unwrap();
        assert!(registry.apply(&world.owner, &documents, &options).await.unwrap().is_empty());
        assert!(world.triggers().await.is_empty());
        registry.apply(&world.owner, &folder(&[hook("a", "two")]), &options).await.unwrap();
        assert_eq!(world.triggers().await.len(), 1, "a new version is put to work");
    })
    .await;
}

#[tokio::test]
async fn deploying_can_be_left_out_and_needs_its_permission() {
    on_each(async |db| {
        let world = world(&db).await;
        let registry = &world.registry;
        let documents = folder(&[hook("a", "one")]);
        let store = PlanOptions { deploy: false, ..PlanOptions::default() };
        registry.apply(&world.owner, &documents, &store).await.unwrap();
        assert!(world.triggers().await.is_empty());
        let plan = registry.plan(world.ws(), &documents, &PlanOptions::default()).await.unwrap();
        assert_eq!(actions(&plan), [("a", Action::Deploy)]);
        let narrow = Caller { scopes: Some([crate::access::Permission::BotsWrite].into()), ..world.owner.clone() };
        assert_eq!(code(registry.apply(&narrow, &documents, &PlanOptions::default()).await), Code::Forbidden);
        let prune = PlanOptions { prune: true, ..store.clone() };
        assert_eq!(code(registry.apply(&narrow, &[], &prune).await), Code::Forbidden);
        assert!(registry.apply(&narrow, &documents, &store).await.unwrap().is_empty());
        let done = registry.apply(&world.owner, &documents, &PlanOptions::default()).await.unwrap();
        assert_eq!(actions(&done), [("a", Action::Deploy)]);
    })
    .await;
}
