use super::*;
use crate::storage::testing::on_each;

#[tokio::test]
async fn nobody_gives_or_takes_a_role_above_their_own() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        for by in Role::ALL {
            let email = format!("by-{by}@example.org");
            let (caller, _) = world.member(&world.owner, &email, by).await;
            for given in Role::ALL {
                let new = NewMember { email: format!("{by}-{given}@example.org"), name: None, role: given };
                let may = by >= Role::Admin && given <= by;
                let added = access.add_member(&caller, new).await;
                assert_eq!(added.is_ok(), may, "{by} adds {given}");
                let (subject, _) = world.member(&world.owner, &format!("s-{by}-{given}@example.org"), given).await;
                let subject = subject.user.unwrap();
                let changed = access.set_role(&caller, subject, Role::Viewer).await;
                assert_eq!(changed.is_ok(), may, "{by} demotes {given}");
                access.set_role(&world.owner, subject, given).await.unwrap();
                assert_eq!(access.remove_member(&caller, subject).await.is_ok(), may, "{by} removes {given}");
            }
            let own = access.set_role(&caller, caller.user.unwrap(), Role::Owner).await;
            assert_eq!(own.is_ok(), by == Role::Owner, "{by} promotes themselves");
        }
    })
    .await;
}

#[tokio::test]
async fn the_last_owner_stays() {
    on_each(async |db| {
        let world = world(&db).await;
        let (access, first) = (&world.access, world.owner.user.unwrap());
        let (admin, _) = world.member(&world.owner, "a@example.org", Role::Admin).await;
        for role in [Role::Admin, Role::Viewer] {
            assert_eq!(code(access.set_role(&world.owner, first, role).await), Code::Precondition);
        }
        assert_eq!(code(access.remove_member(&world.owner, first).await), Code::Precondition);
        assert_eq!(code(access.delete_user(&world.owner, first).await), Code::Precondition);
        assert_eq!(code(access.remove_member(&admin, first).await), Code::Forbidden);
        access.set_role(&world.owner, first, Role::Owner).await.unwrap();
        access.set_role(&world.owner, admin.user.unwrap(), Role::Owner).await.unwrap();
        access.remove_member(&world.owner, first).await.unwrap();
        assert_eq!(code(access.authenticate(&world.token).await), Code::Unauthenticated);
        let members = access.list_members(&admin, None, 10).await.unwrap().items;
        assert_eq!(members.iter().map(|m| m.role).collect::<Vec<_>>(), [Role::Owner]);
    })
    .await;
}

#[tokio::test]
async fn two_owners_who_leave_at_once_do_not_both_succeed() {
    on_each(async |db| {
        let world = world(&db).await;
        for _ in 0..5 {
            let (access, home) = (&world.access, &world.owner);
            let slug = format!("w{}", uuid::Uuid::now_v7().simple());
            access.create_workspace(home, &slug, Some(&slug)).await.unwrap();
            let one = access.switch_workspace(home, &slug).await.unwrap().caller;
            let (two, _) = world.member(&one, &format!("{slug}@example.org"), Role::Owner).await;
            let (a, b) = tokio::join!(
                access.remove_member(&one, one.user.unwrap()),
                access.set_role(&two, two.user.unwrap(), Role::Viewer),
            );
            assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_known_user_is_added_as_they_are() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        let stranger = world.stranger().await;
        let new = NewMember { email: "STRANGER@example.org".into(), name: Some("Eve".into()), role: Role::Viewer };
        let added = access.add_member(&world.owner, new.clone()).await.unwrap();
        assert_eq!((Some(added.member.user), added.password), (stranger.user, None));
        assert_eq!(added.member.name, "stranger", "their name is theirs");
        assert_eq!(code(access.add_member(&world.owner, new).await), Code::Conflict);
        let mine = access.list_workspaces(&stranger, None, 10).await.unwrap().items;
        let mine: Vec<_> = mine.iter().map(|(w, role)| (w.slug.as_str(), *role)).collect();
        assert_eq!(mine, [("away", Role::Owner), ("home", Role::Viewer)]);
        let page = access.list_workspaces(&stranger, None, 1).await.unwrap();
        let next = access.list_workspaces(&stranger, page.next.as_deref(), 1).await.unwrap();
        assert_eq!((next.items[0].0.slug.as_str(), next.next), ("home", None));
        // A narrowed token sees its own workspace only.
        let narrow = world.scoped(&stranger, &["workspace.read"]).await.unwrap();
        let seen = access.list_workspaces(&narrow, None, 10).await.unwrap().items;
        assert_eq!(seen.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn members_are_paged_and_leave_by_themselves() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        let mut callers = Vec::new();
        for n in 0..4 {
            callers.push(world.member(&world.owner, &format!("m{n}@example.org"), Role::Viewer).await.0);
        }
        let first = access.list_members(&world.owner, None, 3).await.unwrap();
        let second = access.list_members(&world.owner, first.next.as_deref(), 3).await.unwrap();
        let all: Vec<_> = first.items.iter().chain(&second.items).map(|m| m.name.as_str()).collect();
        assert_eq!(all, ["owner", "m0", "m1", "m2", "m3"]);
        assert!(second.next.is_none());
        assert_eq!(code(access.list_members(&world.owner, Some("nonsense"), 3).await), Code::Invalid);
        access.remove_member(&callers[0], callers[0].user.unwrap()).await.unwrap();
        assert_eq!(code(access.remove_member(&callers[1], callers[2].user.unwrap()).await), Code::Forbidden);
        // A viewer's token that is narrowed to nothing can still not remove others.
        let narrow = world.scoped(&world.owner, &["bots.read"]).await.unwrap();
        assert_eq!(code(access.remove_member(&narrow, callers[2].user.unwrap()).await), Code::Forbidden);
    })
    .await;
}

#[tokio::test]
async fn settings_are_checked_and_slugs_unique() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        let change = |zone: &str, environment: &str| WorkspaceChange {
            name: None,
            timezone: Some(zone.to_owned()),
            environment: Some(environment.to_owned()),
        };
        assert_eq!(code(access.change_workspace(&world.owner, change("Mars/Base", "prod")).await), Code::Invalid);
        assert_eq!(code(access.change_workspace(&world.owner, change("UTC", "Prod!")).await), Code::Invalid);
        let changed = access.change_workspace(&world.owner, change("Europe/Berlin", "staging")).await.unwrap();
        assert_eq!((changed.timezone.as_str(), changed.environment.as_str()), ("Europe/Berlin", "staging"));
        assert_eq!(access.workspace(&world.owner).await.unwrap(), changed);
        access.create_workspace(&world.owner, "Second One", None).await.unwrap();
        assert_eq!(code(access.create_workspace(&world.owner, "second one", None).await), Code::Conflict);
        assert_eq!(code(access.create_workspace(&world.owner, "x", Some("Not A Slug")).await), Code::Invalid);
        assert_eq!(code(access.create_workspace(&world.owner, " ", None).await), Code::Invalid);
        let away = access.switch_workspace(&world.owner, "second-one").await.unwrap().caller;
        assert!(!away.home && !away.may(Permission::SystemAdmin));
        assert_eq!(access.workspace_by_slug("second-one").await.unwrap().id, away.workspace);
    })
    .await;
}
