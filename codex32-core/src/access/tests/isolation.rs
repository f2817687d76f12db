//! What belongs to one workspace is out of reach from another, by every function.

use super::*;
use crate::storage::testing::on_each;

#[tokio::test]
async fn nothing_of_another_workspace_is_seen_or_changed() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        let away = world.stranger().await;
        let (here, _) = world.member(&world.owner, "m@example.org", Role::Viewer).await;
        let (user, token) = (here.user.unwrap(), here.token.unwrap());
        access.record(&world.owner, Deed::ok("bots.create", "b")).await.unwrap();

        // An owner over there, with every permission, is nobody here.
        assert_eq!(away.role, Role::Owner);
        assert_eq!(code(access.set_role(&away, user, Role::Viewer).await), Code::NotFound);
        assert_eq!(code(access.remove_member(&away, user).await), Code::NotFound);
        assert_eq!(code(access.reset_password(&away, user).await), Code::NotFound);
        assert_eq!(code(access.delete_user(&away, user).await), Code::Forbidden);
        assert_eq!(code(access.revoke_token(&away, token).await), Code::NotFound);
        assert_eq!(code(access.switch_workspace(&away, "home").await), Code::NotFound);
        let members = access.list_members(&away, None, 100).await.unwrap().items;
        assert_eq!(members.iter().map(|m| Some(m.user)).collect::<Vec<_>>(), [away.user]);
        assert!(access.list_tokens(&away, Some(user), None, 100).await.unwrap().items.is_empty());
        let own = access.list_tokens(&away, None, None, 100).await.unwrap().items;
        assert_eq!(own.iter().map(|t| Some(t.id)).collect::<Vec<_>>(), [away.token]);
        let seen = access.audit(&away, &AuditFilter::default(), None, 100).await.unwrap().items;
        assert!(seen.iter().all(|row| row.operation != "bots.create" && row.user == away.user), "{seen:?}");
        let workspaces = access.list_workspaces(&away, None, 100).await.unwrap().items;
        assert_eq!(workspaces.iter().map(|(w, _)| w.id).collect::<Vec<_>>(), [away.workspace]);
        assert_eq!(access.workspace(&away).await.unwrap().slug, "away");
        let renamed = WorkspaceChange { name: Some("Mine".into()), ..WorkspaceChange::default() };
        access.change_workspace(&away, renamed).await.unwrap();
        assert_eq!(access.workspace(&world.owner).await.unwrap().name, "Home");
        // A cursor that was given here leads nowhere over there.
        let cursor = access.list_members(&world.owner, None, 1).await.unwrap().next.unwrap();
        let members = access.list_members(&away, Some(&cursor), 100).await.unwrap().items;
        assert!(members.iter().all(|m| Some(m.user) == away.user));

        assert_eq!(access.authenticate(&world.token).await.unwrap(), world.owner, "and nothing changed here");
        assert_eq!(access.list_members(&world.owner, None, 100).await.unwrap().items.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_token_opens_its_own_workspace_only() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        access.create_workspace(&world.owner, "Second", None).await.unwrap();
        let second = access.switch_workspace(&world.owner, "second").await.unwrap();
        let again = access.authenticate(&second.session.token).await.unwrap();
        assert_eq!(again.workspace_slug, "second");
        assert_eq!(access.authenticate(&world.token).await.unwrap().workspace_slug, "home");
        // Leaving one workspace ends the tokens for it and no others.
        let (other, _) = world.member(&again, "o@example.org", Role::Owner).await;
        access.remove_member(&other, world.owner.user.unwrap()).await.unwrap();
        assert_eq!(code(access.authenticate(&second.session.token).await), Code::Unauthenticated);
        assert!(access.authenticate(&world.token).await.is_ok());
        assert_eq!(code(access.switch_workspace(&world.owner, "second").await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_user_is_not_found_anywhere() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        let nobody = UserId::at(1);
        assert_eq!(code(access.set_role(&world.owner, nobody, Role::Viewer).await), Code::NotFound);
        assert_eq!(code(access.remove_member(&world.owner, nobody).await), Code::NotFound);
        assert_eq!(code(access.reset_password(&world.owner, nobody).await), Code::NotFound);
        assert_eq!(code(access.delete_user(&world.owner, nobody).await), Code::NotFound);
        assert!(access.list_tokens(&world.owner, Some(nobody), None, 10).await.unwrap().items.is_empty());
    })
    .await;
}
