use super::*;
use crate::storage::testing::on_each;

#[tokio::test]
async fn the_first_start_makes_one_owner_and_no_second() {
    on_each(async |db| {
        let access = open(&db, &SimulatedClock::at(START));
        let local = access.local_owner().await.unwrap();
        assert_eq!((local.user, local.role, local.token), (None, Role::Owner, None));
        assert_eq!(code(access.me(&local).await), Code::Precondition);
        let issued = access.bootstrap("Ada@Example.org", "Home").await.unwrap().unwrap();
        let owner = access.authenticate(&issued.token).await.unwrap();
        assert_eq!(owner.workspace, local.workspace, "what was made before stays in reach");
        assert_eq!((owner.role, owner.home, owner.email.as_str()), (Role::Owner, true, "ada@example.org"));
        assert!(owner.may(Permission::SystemAdmin));
        assert!(access.bootstrap("eve@example.org", "Other").await.unwrap().is_none());
        let local = access.local_owner().await.unwrap();
        assert_eq!((local.user, local.token), (owner.user, None));
    })
    .await;
}

#[tokio::test]
async fn of_many_first_starts_one_wins() {
    on_each(async |db| {
        let access = open(&db, &SimulatedClock::at(START));
        let emails: Vec<_> = (0..4).map(|n| format!("user{n}@example.org")).collect();
        let starts = emails.iter().map(|email| access.bootstrap(email, "Home"));
        let won = futures::future::join_all(starts).await.into_iter().filter_map(|start| start.unwrap()).count();
        assert_eq!(won, 1);
    })
    .await;
}

#[tokio::test]
async fn only_the_whole_token_opens() {
    on_each(async |db| {
        let world = world(&db).await;
        let token = &world.token;
        let mut other = token.clone().into_bytes();
        let last = other.last_mut().unwrap();
        *last = if *last == b'a' { b'b' } else { b'a' };
        let other = String::from_utf8(other).unwrap();
        for wrong in ["", "c32_", &token[..20], &other, &format!("{token} "), &token.to_uppercase()] {
            assert_eq!(code(world.access.authenticate(wrong).await), Code::Unauthenticated, "{wrong}");
        }
        let rows = {
            use sea_orm::EntityTrait as _;
            crate::storage::entity::tokens::Entity::find().all(db.read()).await.unwrap()
        };
        assert!(rows.iter().all(|row| !row.hash.windows(20).any(|w| token.as_bytes().windows(20).any(|t| t == w))));
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_when_it_expires_or_is_revoked() {
    on_each(async |db| {
        let world = world(&db).await;
        let spec = TokenSpec { name: "short".into(), scopes: None, expires_at: Some(START + 1_000) };
        let issued = world.access.create_token(&world.owner, spec).await.unwrap();
        assert!(world.access.authenticate(&issued.token).await.is_ok());
        world.clock.advance(1_000);
        let error = world.access.authenticate(&issued.token).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::Unauthenticated, "the token has expired"));
        let past = TokenSpec { name: "past".into(), scopes: None, expires_at: Some(START) };
        assert_eq!(code(world.access.create_token(&world.owner, past).await), Code::Invalid);

        let id = world.owner.token.unwrap();
        world.access.revoke_token(&world.owner, id).await.unwrap();
        assert_eq!(code(world.access.authenticate(&world.token).await), Code::Unauthenticated);
        assert_eq!(code(world.access.revoke_token(&world.owner, id).await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn a_missing_owner_is_a_refusal_and_never_another_identity() {
    on_each(async |db| {
        let world = world(&db).await;
        let (member, _) = world.member(&world.owner, "m@example.org", Role::Admin).await;
        let spec = TokenSpec { name: "t".into(), ..TokenSpec::default() };
        let token = world.access.create_token(&member, spec).await.unwrap().token;
        let user = member.user.unwrap();

        // The rows go by themselves, as after a faulty restore: what is left of the token must not open.
        use crate::storage::entity::{memberships, users};
        use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, sea_query::Expr};
        let delete = |at: Option<Millis>| {
            users::Entity::update_many()
                .col_expr(users::Column::DeletedAt, Expr::value(at))
                .filter(users::Column::Id.eq(user.0))
        };
        let (gone, back) = (delete(Some(START)), delete(None));
        db.write(move |tx| Box::pin(async move { Ok(gone.exec(tx).await?) })).await.unwrap();
        assert_eq!(code(world.access.authenticate(&token).await), Code::Unauthenticated);
        db.write(move |tx| Box::pin(async move { Ok(back.exec(tx).await?) })).await.unwrap();
        assert!(world.access.authenticate(&token).await.is_ok());
        let leave = memberships::Entity::delete_many().filter(memberships::Column::UserId.eq(user.0));
        db.write(move |tx| Box::pin(async move { Ok(leave.exec(tx).await?) })).await.unwrap();
        assert_eq!(code(world.access.authenticate(&token).await), Code::Unauthenticated);
        let erase = users::Entity::delete_by_id(user.0);
        db.write(move |tx| Box::pin(async move { Ok(erase.exec(tx).await?) })).await.unwrap();
        assert_eq!(code(world.access.authenticate(&token).await), Code::Unauthenticated);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_user_is_refused_at_once() {
    on_each(async |db| {
        let world = world(&db).await;
        let (member, password) = world.member(&world.owner, "m@example.org", Role::Admin).await;
        let spec = TokenSpec { name: "t".into(), ..TokenSpec::default() };
        let token = world.access.create_token(&member, spec).await.unwrap().token;
        assert_eq!(code(world.access.delete_user(&member, world.owner.user.unwrap()).await), Code::Forbidden);
        world.access.delete_user(&world.owner, member.user.unwrap()).await.unwrap();
        assert_eq!(code(world.access.authenticate(&token).await), Code::Unauthenticated);
        assert_eq!(code(world.access.login("m@example.org", &password, None).await), Code::Unauthenticated);
        assert_eq!(code(world.access.delete_user(&world.owner, world.owner.user.unwrap()).await), Code::Precondition);
        // The address is free again, for another identity.
        let (again, _) = world.member(&world.owner, "m@example.org", Role::Viewer).await;
        assert_ne!(again.user, member.user);
    })
    .await;
}

#[tokio::test]
async fn a_changed_role_counts_from_the_next_call_on() {
    on_each(async |db| {
        let world = world(&db).await;
        let (editor, _) = world.member(&world.owner, "e@example.org", Role::Editor).await;
        let spec = TokenSpec { name: "t".into(), scopes: Some(vec!["bots.write".into()]), expires_at: None };
        let token = world.access.create_token(&editor, spec).await.unwrap().token;
        assert!(world.access.authenticate(&token).await.unwrap().may(Permission::BotsWrite));
        world.access.set_role(&world.owner, editor.user.unwrap(), Role::Viewer).await.unwrap();
        let now = world.access.authenticate(&token).await.unwrap();
        assert_eq!(now.role, Role::Viewer);
        assert!(now.permissions().is_empty(), "a scope gives nothing that the role has not");
    })
    .await;
}

#[tokio::test]
async fn what_a_token_makes_is_never_wider_nor_longer() {
    on_each(async |db| {
        let world = world(&db).await;
        let narrow = world.scoped(&world.owner, &["bots.read", "tokens.*"]).await.unwrap();
        assert_eq!(narrow.permissions().len(), 3);
        assert_eq!(code(world.scoped(&narrow, &["bots.write"]).await), Code::Forbidden);
        assert_eq!(code(world.scoped(&narrow, &["bots.read", "executions.*"]).await), Code::Forbidden);
        assert_eq!(code(world.scoped(&narrow, &["bots.fly"]).await), Code::Invalid);
        assert_eq!(code(world.scoped(&narrow, &["*"]).await), Code::Invalid);
        // A noun means what the maker has of it.
        let part = world.scoped(&narrow, &["bots.*"]).await.unwrap();
        assert_eq!(part.permissions(), [Permission::BotsRead]);
        // Without scopes it has as many as the one in use.
        let same = TokenSpec { name: "same".into(), ..TokenSpec::default() };
        let same = world.access.create_token(&narrow, same).await.unwrap();
        assert_eq!(same.info.scopes, narrow.scopes);
        let none = world.scoped(&world.owner, &[]).await.unwrap();
        assert!(none.permissions().is_empty());

        let spec = TokenSpec { name: "short".into(), scopes: None, expires_at: Some(START + 1_000) };
        let short = world.access.create_token(&world.owner, spec).await.unwrap();
        let short = world.access.authenticate(&short.token).await.unwrap();
        let lasting = TokenSpec { name: "child".into(), ..TokenSpec::default() };
        let child = world.access.create_token(&short, lasting).await.unwrap();
        assert_eq!(child.info.expires_at, Some(START + 1_000));
        let session = world.access.switch_workspace(&short, "home").await.unwrap();
        assert_eq!(session.session.info.expires_at, Some(START + 1_000));
        // Narrowed tokens do not reach other workspaces, passwords or accounts.
        assert_eq!(code(world.access.switch_workspace(&narrow, "home").await), Code::Forbidden);
        assert_eq!(code(world.access.set_password(&narrow, None, "correct horse").await), Code::Forbidden);
        assert_eq!(code(world.access.delete_user(&narrow, narrow.user.unwrap()).await), Code::Forbidden);
    })
    .await;
}

#[tokio::test]
async fn members_see_and_revoke_their_own_tokens_and_admins_all() {
    on_each(async |db| {
        let world = world(&db).await;
        let (editor, _) = world.member(&world.owner, "e@example.org", Role::Editor).await;
        for n in 0..3 {
            world.clock.advance(1);
            let spec = TokenSpec { name: format!("t{n}"), ..TokenSpec::default() };
            world.access.create_token(&editor, spec).await.unwrap();
        }
        let first = world.access.list_tokens(&editor, None, None, 2).await.unwrap();
        assert_eq!(first.items.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["t2", "t1"]);
        let second = world.access.list_tokens(&editor, None, first.next.as_deref(), 10).await.unwrap();
        assert_eq!(second.items.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["t0", "login"]);
        let theirs = world.owner.user;
        assert_eq!(code(world.access.list_tokens(&editor, theirs, None, 10).await), Code::Forbidden);
        let owners = world.owner.token.unwrap();
        assert_eq!(code(world.access.revoke_token(&editor, owners).await), Code::NotFound);
        assert!(world.access.authenticate(&world.token).await.is_ok());
        let seen = world.access.list_tokens(&world.owner, editor.user, None, 10).await.unwrap();
        assert_eq!(seen.items.len(), 4);
        world.access.revoke_token(&world.owner, seen.items[0].id).await.unwrap();
        assert_eq!(world.access.list_tokens(&editor, None, None, 10).await.unwrap().items.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn use_is_noted_coarsely() {
    on_each(async |db| {
        let world = world(&db).await;
        let used = async || {
            let tokens = world.access.list_tokens(&world.owner, None, None, 1).await.unwrap();
            tokens.items[0].last_used_at
        };
        assert_eq!(used().await, Some(START));
        world.clock.advance(9 * 60_000);
        world.access.authenticate(&world.token).await.unwrap();
        assert_eq!(used().await, Some(START));
        world.clock.advance(60_000);
        world.access.authenticate(&world.token).await.unwrap();
        assert_eq!(used().await, Some(START + 600_000));
    })
    .await;
}
