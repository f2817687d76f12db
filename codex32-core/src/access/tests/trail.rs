use super::*;
use crate::storage::testing::on_each;
use serde_json::json;

#[tokio::test]
async fn the_trail_is_paged_and_filtered() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        for (place, operation) in ["bots.create", "bots.delete", "botsx.create", "secrets.set"].iter().enumerate() {
            world.clock.advance(1);
            let deed = Deed::ok(*operation, format!("s{place}")).detail(json!({"n": place}));
            access.record(&world.owner, deed).await.unwrap();
        }
        world.clock.advance(1);
        let failed: Result<()> = Err(Error::forbidden("the secret is hunter2"));
        access.record(&world.owner, Deed::of("bots.create", "s4", &failed)).await.unwrap();
        let list = async |filter: AuditFilter, cursor: Option<&str>, limit| {
            access.audit(&world.owner, &filter, cursor, limit).await.unwrap()
        };
        let first = list(AuditFilter::default(), None, 3).await;
        let second = list(AuditFilter::default(), first.next.as_deref(), 3).await;
        let all: Vec<_> = first.items.iter().chain(&second.items).collect();
        let subjects: Vec<_> = all.iter().map(|row| row.subject.as_str()).collect();
        assert_eq!(subjects, ["s4", "s3", "s2", "s1", "s0"]);
        assert_eq!((all[0].outcome.as_str(), all[1].outcome.as_str()), ("forbidden", "ok"));
        assert_eq!((all[1].detail.clone(), all[1].actor.as_str()), (json!({"n": 3}), "owner@example.org"));
        assert_eq!((all[1].user, all[1].token), (world.owner.user, world.owner.token));
        assert!(!format!("{all:?}").contains("hunter2"), "of an error only the code is kept");

        let of = async |operation: &str| {
            let filter = AuditFilter { operation: Some(operation.into()), ..AuditFilter::default() };
            list(filter, None, 10).await.items.into_iter().map(|row| row.subject).collect::<Vec<_>>()
        };
        assert_eq!(of("bots.*").await, ["s4", "s1", "s0"]);
        assert_eq!(of("bots.delete").await, ["s1"]);
        assert!(of("b%").await.is_empty() && of("%*").await.is_empty() && of("bots_*").await.is_empty());
        let since = AuditFilter { since: Some(START + 4), subject: Some("s3".into()), ..AuditFilter::default() };
        assert_eq!(list(since, None, 10).await.items.len(), 1);
        let other = AuditFilter { user: Some(UserId::at(1)), ..AuditFilter::default() };
        assert!(list(other, None, 10).await.items.is_empty());
    })
    .await;
}

#[tokio::test]
async fn odd_and_huge_details_are_kept_within_bounds() {
    on_each(async |db| {
        let world = world(&db).await;
        let access = &world.access;
        let huge = Deed::ok("a.b", "x".repeat(10_000)).detail(json!("y".repeat(100_000)));
        access.record(&world.owner, huge).await.unwrap();
        world.clock.advance(1);
        access.record(&world.owner, Deed::ok("a.b", "zero\0").detail(json!("zero\0"))).await.unwrap();
        let rows = access.audit(&world.owner, &AuditFilter::default(), None, 10).await.unwrap().items;
        assert_eq!((rows[0].subject.as_str(), rows[0].detail.clone()), ("zero", json!("zero\0")));
        assert_eq!((rows[1].subject.len(), rows[1].detail.clone()), (300, json!({"omitted_bytes": 100_002})));
    })
    .await;
}

#[tokio::test]
async fn a_login_leaves_a_row() {
    on_each(async |db| {
        let world = world(&db).await;
        let (member, _) = world.member(&world.owner, "m@example.org", Role::Viewer).await;
        let rows = world.access.audit(&world.owner, &AuditFilter::default(), None, 10).await.unwrap().items;
        assert_eq!((rows[0].operation.as_str(), rows[0].user), ("auth.login", member.user));
    })
    .await;
}
