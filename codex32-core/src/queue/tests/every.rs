//! What every queue must do, on every store.

use super::*;

#[tokio::test]
async fn a_message_goes_to_one_holder_and_back_when_the_lease_ends() {
    on_each(3, async |site| {
        let (queue, other, ws) = (site.queue(), site.queue(), WorkspaceId::at(1));
        let id = queue.send(ws, "mail", json!({"n": 1}), SendOptions::default()).await.unwrap();
        let first = queue.receive(ws, "mail", 10, LONG).await.unwrap();
        assert_eq!((first.len(), first[0].id, first[0].attempt, &first[0].body), (1, id, 1, &json!({"n": 1})));
        assert!(other.receive(ws, "mail", 10, LONG).await.unwrap().is_empty());
        queue.extend(ws, &first[0], LONG).await.unwrap();
        assert!(other.receive(ws, "mail", 10, LONG).await.unwrap().is_empty());
        queue.extend(ws, &first[0], 1).await.unwrap();
        site.pass(1);
        let second = soon(&*other, ws, "mail").await;
        assert_eq!((second[0].id, second[0].attempt, second[0].sent_at), (id, 2, first[0].sent_at));
        // The first holder comes too late, whatever it wants.
        let late = [
            queue.ack(ws, &first[0]).await,
            queue.nack(ws, &first[0], 0, "no").await,
            queue.extend(ws, &first[0], LONG).await,
            queue.release(ws, &first[0], 0).await,
        ];
        assert!(late.iter().all(|late| late.as_ref().is_err_and(|e| e.code() == Code::Conflict)), "{late:?}");
        assert!(queue.receive(ws, "mail", 10, LONG).await.unwrap().is_empty());
        assert_eq!(queue.depth(ws, "mail").await.unwrap(), Depth { open: 1, dead: 0 });
        // Another process may say that it is done.
        queue.ack(ws, &second[0]).await.unwrap();
        assert_eq!(other.ack(ws, &second[0]).await.unwrap_err().code(), Code::Conflict);
        assert_eq!(queue.depth(ws, "mail").await.unwrap(), Depth::default());
    })
    .await;
}

#[tokio::test]
async fn a_message_that_keeps_failing_is_set_aside_and_can_be_revived() {
    on_each(2, async |site| {
        let (queue, ws) = (site.queue(), WorkspaceId::at(1));
        let once = SendOptions { dedup: Some("k".into()), ..SendOptions::default() };
        let id = queue.send(ws, "q", json!(1), once.clone()).await.unwrap();
        for round in 0..2 {
            let message = soon(&*queue, ws, "q").await.remove(0);
            assert_eq!((message.id, message.attempt), (id, 1));
            queue.nack(ws, &message, 1, "no").await.unwrap();
            site.pass(1);
            let message = soon(&*queue, ws, "q").await.remove(0);
            assert_eq!(message.attempt, 2);
            if round == 0 {
                // The second holder dies.
                queue.extend(ws, &message, 1).await.unwrap();
                site.pass(1);
            } else {
                queue.nack(ws, &message, 0, "no").await.unwrap();
            }
            until(async || {
                assert!(queue.receive(ws, "q", 1, LONG).await.unwrap().is_empty());
                (queue.depth(ws, "q").await.unwrap() == Depth { open: 0, dead: 1 }).then_some(())
            })
            .await;
            // It is still in the queue, and so is its key.
            assert_eq!(queue.send(ws, "q", json!(2), once.clone()).await.unwrap(), id);
            assert_eq!(queue.revive(ws, "q").await.unwrap(), 1);
            assert_eq!(queue.depth(ws, "q").await.unwrap(), Depth { open: 1, dead: 0 });
        }
        let message = soon(&*queue, ws, "q").await.remove(0);
        assert_eq!((message.attempt, &message.body), (1, &json!(1)));
        queue.ack(ws, &message).await.unwrap();
        assert_eq!((queue.depth(ws, "q").await.unwrap(), queue.revive(ws, "q").await.unwrap()), (Depth::default(), 0));
    })
    .await;
}

#[tokio::test]
async fn what_was_not_tried_does_not_count() {
    on_each(2, async |site| {
        let (queue, ws) = (site.queue(), WorkspaceId::at(1));
        queue.send(ws, "q", json!(1), SendOptions::default()).await.unwrap();
        for _ in 0..4 {
            let message = soon(&*queue, ws, "q").await.remove(0);
            assert_eq!(message.attempt, 1);
            queue.release(ws, &message, 1).await.unwrap();
            site.pass(1);
        }
        assert_eq!(queue.depth(ws, "q").await.unwrap(), Depth { open: 1, dead: 0 });
    })
    .await;
}

#[tokio::test]
async fn a_key_is_held_once_until_it_is_free_and_workspaces_are_apart() {
    on_each(3, async |site| {
        let queue = site.queue();
        let (ours, theirs) = (WorkspaceId::at(1), WorkspaceId::at(1));
        let once = SendOptions { dedup: Some("a key.with *>".into()), delay_ms: 10 };
        let sends = (0..8).map(|n| queue.send(ours, "q", json!(n), once.clone()));
        let ids: Vec<Uuid> = futures::future::join_all(sends).await.into_iter().map(Result::unwrap).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_ne!(queue.send(theirs, "q", json!(8), once.clone()).await.unwrap(), ids[0]);
        assert_ne!(queue.send(ours, "q.b", json!(9), once.clone()).await.unwrap(), ids[0]);
        site.pass(10);
        let got = soon(&*queue, ours, "q").await;
        assert_eq!((got.len(), got[0].id), (1, ids[0]));
        // It is held as long as the message is not done.
        assert_eq!(queue.send(ours, "q", json!(10), once.clone()).await.unwrap(), ids[0]);
        assert_eq!(queue.ack(theirs, &got[0]).await.unwrap_err().code(), Code::Conflict);
        assert_eq!(queue.nack(theirs, &got[0], 0, "no").await.unwrap_err().code(), Code::Conflict);
        queue.ack(ours, &got[0]).await.unwrap();
        let next = queue.send(ours, "q", json!(11), once.clone()).await.unwrap();
        assert_ne!(next, ids[0]);
        site.pass(10);
        assert_eq!(numbers(&soon(&*queue, ours, "q").await), [11]);
        assert_eq!(numbers(&soon(&*queue, theirs, "q").await), [8]);
        assert_eq!(numbers(&soon(&*queue, ours, "q.b").await), [9]);
    })
    .await;
}

#[tokio::test]
async fn holders_at_once_share_the_messages_without_overlap() {
    on_each(3, async |site| {
        let (queue, ws) = (site.queue(), WorkspaceId::at(1));
        for n in 0..40 {
            queue.send(ws, "q", json!(n), SendOptions::default()).await.unwrap();
            // Rows of one millisecond have no order but that of their random ends.
            site.pass(1);
        }
        let holders: Vec<Arc<dyn Queue>> = (0..8).map(|_| site.queue()).collect();
        let mut seen: Vec<i64> = Vec::new();
        while seen.len() < 40 {
            let taken = holders.iter().map(|holder| holder.receive(ws, "q", 5, LONG));
            for taken in futures::future::join_all(taken).await {
                let taken = numbers(&taken.unwrap());
                assert!(taken.is_sorted(), "{taken:?}");
                seen.extend(taken);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..40).collect::<Vec<i64>>());
    })
    .await;
}

#[tokio::test]
async fn the_oldest_are_first_and_a_delay_passes_over_those_that_wait() {
    on_each(3, async |site| {
        let (queue, ws) = (site.queue(), WorkspaceId::at(1));
        for n in 0..12 {
            let delay_ms = if n % 4 == 1 { LONG } else { 0 };
            queue.send(ws, "q", json!(n), SendOptions { delay_ms, dedup: None }).await.unwrap();
            site.pass(1);
        }
        let mut got = Vec::new();
        while got.len() < 9 {
            got.extend(numbers(&queue.receive(ws, "q", 4, LONG).await.unwrap()));
        }
        assert_eq!(got, [0, 2, 3, 4, 6, 7, 8, 10, 11]);
        assert!(queue.receive(ws, "q", 4, LONG).await.unwrap().is_empty());
        assert_eq!(queue.depth(ws, "q").await.unwrap(), Depth { open: 12, dead: 0 });
    })
    .await;
}

#[tokio::test]
async fn bad_names_and_large_bodies_are_refused() {
    on_each(3, async |site| {
        let (queue, ws) = (site.queue(), WorkspaceId::at(1));
        for bad in ["", "a b", "ü", "*", ">", "a.>", &"x".repeat(101)] {
            assert_eq!(queue.send(ws, bad, json!(1), SendOptions::default()).await.unwrap_err().code(), Code::Invalid);
        }
        let large = json!("x".repeat(Limits::default().body));
        assert_eq!(queue.send(ws, "q", large, SendOptions::default()).await.unwrap_err().code(), Code::TooLarge);
        let longest = json!("x".repeat(Limits::default().body - 2));
        queue.send(ws, "q", longest.clone(), SendOptions::default()).await.unwrap();
        assert_eq!(soon(&*queue, ws, "q").await[0].body, longest);
    })
    .await;
}
