use super::*;

#[tokio::test]
async fn the_same_text_is_one_version() {
    on_each(async |db| {
        let world = world(&db).await;
        let first = world.save(&bot("a", "one")).await;
        assert_eq!((first.created, first.changed, first.version.number), (true, true, 1));
        let same = world.save(&format!("# a remark\n{}", bot("a", "one"))).await;
        assert_eq!((same.created, same.changed, same.version.id), (false, false, first.version.id));
        let second = world.save(&bot("a", "two")).await;
        assert_eq!((second.changed, second.version.number, second.bot.latest), (true, 2, 2));
        // Back to the first text is a version of its own: the history tells what happened.
        let third = world.save(&bot("a", "one")).await;
        assert_eq!((third.version.number, &third.version.digest), (3, &first.version.digest));
        assert_eq!(world.events().await, ["bot.created", "bot.changed", "bot.changed"]);

        let page = world.registry.versions(world.ws(), first.bot.id, None, 2).await.unwrap();
        assert_eq!(page.items.iter().map(|v| v.number).collect::<Vec<_>>(), [3, 2]);
        let rest = world.registry.versions(world.ws(), first.bot.id, page.next.as_deref(), 2).await.unwrap();
        assert_eq!((rest.items.len(), rest.items[0].number, rest.next), (1, 1, None));
        let content = world.registry.content(world.ws(), first.bot.id, Some(2)).await.unwrap();
        assert_eq!(content.blueprint, bot("a", "two"));
        let diff = world.registry.diff(world.ws(), first.bot.id, 1, 2).await.unwrap();
        assert!(diff.contains("-    with: {message: one}\n+    with: {message: two}\n"), "{diff}");
        assert_eq!(code(world.registry.diff(world.ws(), first.bot.id, 1, 9).await), Code::NotFound);
        assert_eq!(code(world.registry.content(world.ws(), first.bot.id, Some(u32::MAX)).await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn files_belong_to_the_version() {
    on_each(async |db| {
        let world = world(&db).await;
        let text = "codex32: v1\nname: a\nsteps:\n  - run: python\n    file: main.py\n";
        let files: Files = [("main.py".into(), "print(1)\n".into()), ("lib/x.py".into(), String::new())].into();
        let missing = world.registry.create(&world.owner, text, &Files::new(), None).await.unwrap_err();
        assert!(missing.message().contains("main.py"), "{missing}");
        let first = world.registry.create(&world.owner, text, &files, Some(" why ")).await.unwrap();
        assert_eq!(first.version.note.as_deref(), Some("why"));
        let changed: Files = [("main.py".into(), "print(2)\n".into())].into();
        let second = world.registry.add_version(&world.owner, first.bot.id, text, &changed, None).await.unwrap();
        assert_eq!(second.version.number, 2, "a changed file is a change");
        let content = world.registry.content(world.ws(), first.bot.id, Some(1)).await.unwrap();
        assert_eq!(content.files, files);
        let wrong: Files = [("../main.py".into(), String::new())].into();
        assert_eq!(code(world.registry.create(&world.owner, &bot("b", "x"), &wrong, None).await), Code::Invalid);
        // More files than one statement holds.
        let many: Files = (0..MAX_FILES).map(|n| (format!("f{n}"), format!("{n}"))).collect();
        let saved = world.registry.create(&world.owner, &bot("c", "x"), &many, None).await.unwrap();
        assert_eq!(world.registry.content(world.ws(), saved.bot.id, None).await.unwrap().files, many);
    })
    .await;
}

#[tokio::test]
async fn names_are_unique_and_stay() {
    on_each(async |db| {
        let world = world(&db).await;
        let (registry, none) = (&world.registry, Files::new());
        let a = world.save(&bot("a", "x")).await;
        assert_eq!(code(registry.create(&world.owner, &bot("a", "y"), &none, None).await), Code::Conflict);
        let renamed = registry.add_version(&world.owner, a.bot.id, &bot("b", "y"), &none, None).await;
        assert_eq!(code(renamed), Code::Invalid);
        for wrong in ["", "steps: [", "codex32: v1\nname: A B\nsteps: [{wait: 1s}]", "codex32: v1\nname: x\n"] {
            assert_eq!(code(registry.save(&world.owner, wrong, &none, None).await), Code::Invalid, "{wrong}");
        }
        let unknown = bot("x", "y").replace("log.write", "log.wriet");
        assert_eq!(code(registry.save(&world.owner, &unknown, &none, None).await), Code::Invalid);
        let long = registry.save(&world.owner, &bot("x", "y"), &none, Some(&"n".repeat(1_001))).await;
        assert_eq!(code(long), Code::Invalid);
        assert_eq!(registry.find(world.ws(), "a").await.unwrap().id, a.bot.id);
        assert_eq!(registry.find(world.ws(), &a.bot.id.to_string()).await.unwrap().name, "a");
        assert_eq!(code(registry.find(world.ws(), "x").await), Code::NotFound);
        assert_eq!(registry.list(world.ws(), &BotFilter::default(), None, 10).await.unwrap().items.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn versions_made_at_once_are_numbered_in_turn() {
    on_each(async |db| {
        let world = world(&db).await;
        let a = world.save(&bot("a", "start")).await;
        let texts: Vec<_> = (0..8).map(|n| bot("a", &format!("m{n}"))).collect();
        let none = Files::new();
        let saves = texts.iter().map(|text| world.registry.save(&world.owner, text, &none, None));
        let mut numbers: Vec<_> =
            futures::future::join_all(saves).await.into_iter().map(|saved| saved.unwrap().version.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (2..=9).collect::<Vec<_>>());
        assert_eq!(world.registry.get(world.ws(), a.bot.id).await.unwrap().latest, 9);
        // Of several that make the same new bot, each either makes it, finds it or is told of it.
        let text = bot("b", "x");
        let creates = (0..4).map(|_| world.registry.create(&world.owner, &text, &none, None));
        let done = futures::future::join_all(creates).await;
        assert_eq!(done.iter().filter(|saved| saved.is_ok()).count(), 1);
        assert!(done.iter().flat_map(|saved| saved.as_ref().err()).all(|e| e.code() == Code::Conflict));
    })
    .await;
}

#[tokio::test]
async fn bots_are_listed_filtered_and_paged() {
    on_each(async |db| {
        let world = world(&db).await;
        for name in ["btc-watch", "btc-sell", "mail-report", "a-b"] {
            world.save(&bot(name, "x")).await;
        }
        world.save("codex32: v1\nname: ops\ndescription: Watches 100% of THINGS_here\nsteps: [{wait: 1s}]\n").await;
        let list = async |filter: BotFilter| {
            let page = world.registry.list(world.ws(), &filter, None, 100).await.unwrap();
            page.items.into_iter().map(|bot| bot.name).collect::<Vec<_>>()
        };
        let prefix = |p: &str| BotFilter { prefix: Some(p.into()), ..BotFilter::default() };
        let text = |t: &str| BotFilter { text: Some(t.into()), ..BotFilter::default() };
        assert_eq!(list(BotFilter::default()).await, ["ops", "a-b", "mail-report", "btc-sell", "btc-watch"]);
        assert_eq!(list(prefix("btc")).await, ["btc-sell", "btc-watch"]);
        assert_eq!(list(prefix("a_")).await, Vec::<String>::new());
        assert_eq!(list(text("WATCH")).await, ["ops", "btc-watch"]);
        assert_eq!(list(text("things_")).await, ["ops"]);
        assert_eq!(list(text("100%")).await, ["ops"]);
        assert_eq!(list(text("%")).await, ["ops"]);
        assert_eq!(list(text("\\")).await, Vec::<String>::new());
        assert_eq!(list(text("' or 1=1 --\0")).await, Vec::<String>::new());

        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let page = world.registry.list(world.ws(), &BotFilter::default(), cursor.as_deref(), 2).await.unwrap();
            seen.extend(page.items.into_iter().map(|bot| bot.name));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, list(BotFilter::default()).await);
        let wrong = world.registry.list(world.ws(), &BotFilter::default(), Some("?"), 2).await;
        assert_eq!(code(wrong), Code::Invalid);
    })
    .await;
}
