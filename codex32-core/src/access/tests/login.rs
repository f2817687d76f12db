use super::*;
use crate::storage::testing::on_each;

#[tokio::test]
async fn a_password_opens_a_session_of_twelve_hours() {
    on_each(async |db| {
        let world = world(&db).await;
        let (_, password) = world.member(&world.owner, "m@example.org", Role::Editor).await;
        let login = world.access.login(" M@example.org", &password, None).await.unwrap();
        assert_eq!((login.caller.role, login.caller.email.as_str()), (Role::Editor, "m@example.org"));
        let token = login.session.token;
        assert_eq!(world.access.authenticate(&token).await.unwrap(), login.caller);
        world.clock.advance(SESSION_MS - 1);
        assert!(world.access.authenticate(&token).await.is_ok());
        world.clock.advance(1);
        assert_eq!(code(world.access.authenticate(&token).await), Code::Unauthenticated);
        assert_eq!(code(world.access.login("m@example.org", &password, Some("no-such")).await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_the_same() {
    on_each(async |db| {
        let world = world(&db).await;
        let (_, password) = world.member(&world.owner, "m@example.org", Role::Editor).await;
        // The owner has no password yet: nothing may open it, not even an empty one.
        let mut seen = std::collections::BTreeSet::new();
        for (email, password) in [
            ("m@example.org", "wrong password"),
            ("nobody@example.org", password.as_str()),
            ("owner@example.org", ""),
            ("owner@example.org", password.as_str()),
            ("not an address", password.as_str()),
        ] {
            let error = world.access.login(email, password, None).await.unwrap_err();
            seen.insert(format!("{error:?}"));
        }
        assert_eq!(seen.len(), 1, "{seen:?}");
    })
    .await;
}

#[tokio::test]
async fn guessing_is_slowed_down_for_any_address() {
    on_each(async |db| {
        let world = world(&db).await;
        let (_, password) = world.member(&world.owner, "m@example.org", Role::Editor).await;
        for email in ["m@example.org", "nobody@example.org"] {
            for _ in 0..5 {
                assert_eq!(code(world.access.login(email, "guess", None).await), Code::Unauthenticated);
            }
            let error = world.access.login(email, &password, None).await.unwrap_err();
            assert_eq!((error.code(), error.retry_after()), (Code::RateLimited, Some(1_000)));
        }
        // While it is blocked, tries do not lengthen it; afterwards the right password opens and clears.
        world.clock.advance(1_000);
        world.access.login("m@example.org", &password, None).await.unwrap();
        assert_eq!(code(world.access.login("m@example.org", "guess", None).await), Code::Unauthenticated);
        world.access.login("m@example.org", &password, None).await.unwrap();
        assert_eq!(code(world.access.login("nobody@example.org", "guess", None).await), Code::Unauthenticated);
        let error = world.access.login("nobody@example.org", "guess", None).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(2_000), "each further failure doubles the wait");
    })
    .await;
}

#[tokio::test]
async fn guesses_at_once_are_counted_too() {
    on_each(async |db| {
        let world = world(&db).await;
        let guesses = (0..12).map(|_| world.access.login("owner@example.org", "guess", None));
        let codes: Vec<_> = futures::future::join_all(guesses).await.into_iter().map(code).collect();
        assert_eq!(codes.iter().filter(|code| **code == Code::Unauthenticated).count(), 5, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == Code::RateLimited).count(), 7, "{codes:?}");
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_other_sessions() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        let (member, old) = world.member(&world.owner, "m@example.org", Role::Editor).await;
        let other = access.login("m@example.org", &old, None).await.unwrap().session.token;
        let (new, wrong) = ("a new password", "another password");
        assert_eq!(code(access.set_password(&member, Some(wrong), new).await), Code::Unauthenticated);
        assert_eq!(code(access.set_password(&member, None, new).await), Code::Unauthenticated);
        assert_eq!(code(access.set_password(&member, Some(&old), "short").await), Code::Invalid);
        assert!(access.authenticate(&other).await.is_ok());
        access.set_password(&member, Some(&old), new).await.unwrap();
        assert_eq!(code(access.authenticate(&other).await), Code::Unauthenticated);
        assert_eq!(code(access.login("m@example.org", &old, None).await), Code::Unauthenticated);
        access.login("m@example.org", new, None).await.unwrap();
        // The first owner has none and sets one without.
        access.set_password(&world.owner, None, new).await.unwrap();
        assert!(access.me(&world.owner).await.unwrap().has_password);
        access.login("owner@example.org", new, None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_admin_resets_only_who_is_theirs_alone() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        let (admin, _) = world.member(&world.owner, "a@example.org", Role::Admin).await;
        let (member, old) = world.member(&world.owner, "m@example.org", Role::Editor).await;
        let fresh = access.reset_password(&admin, member.user.unwrap()).await.unwrap();
        assert_eq!(code(access.login("m@example.org", &old, None).await), Code::Unauthenticated);
        access.login("m@example.org", &fresh, None).await.unwrap();
        assert_eq!(code(access.reset_password(&admin, world.owner.user.unwrap()).await), Code::Forbidden);
        // One who also belongs elsewhere could be entered there by a new password.
        let member = access.login("m@example.org", &fresh, None).await.unwrap().caller;
        access.create_workspace(&member, "Theirs", None).await.unwrap();
        assert_eq!(code(access.reset_password(&admin, member.user.unwrap()).await), Code::Forbidden);
        access.login("m@example.org", &fresh, Some("theirs")).await.unwrap();
    })
    .await;
}
