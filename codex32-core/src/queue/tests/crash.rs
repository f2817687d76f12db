//! A NATS server that is killed.

use super::*;
use std::collections::BTreeSet;

const SENT: i64 = 300;

/// What is known of the messages at the end, by their numbers.
#[derive(Default)]
struct Known {
    sent: BTreeSet<i64>,
    /// Sending failed: they are there or not.
    unsure: BTreeSet<i64>,
    done: BTreeSet<i64>,
    /// Acknowledging failed: they are done or not.
    half_done: BTreeSet<i64>,
}

async fn send(queue: &dyn Queue, ws: WorkspaceId, n: i64, known: &mut Known) {
    match queue.send(ws, "q", json!(n), SendOptions::default()).await {
        Ok(_) => known.sent.insert(n),
        Err(error) => {
            assert_eq!(error.code(), Code::Unavailable, "{error}");
            known.unsure.insert(n)
        }
    };
}

async fn work(queue: &dyn Queue, ws: WorkspaceId, lease_ms: u64, known: &mut Known) -> usize {
    let messages = match queue.receive(ws, "q", 7, lease_ms).await {
        Ok(messages) => messages,
        Err(error) => {
            assert_eq!(error.code(), Code::Unavailable, "{error}");
            return 0;
        }
    };
    for message in &messages {
        let n = message.body.as_i64().unwrap();
        assert!(!known.done.contains(&n), "{n} was acknowledged and comes again");
        match queue.ack(ws, message).await {
            Ok(()) => {
                known.done.insert(n);
            }
            Err(error) if error.code() == Code::Unavailable => {
                known.half_done.insert(n);
            }
            // Its lease has ended, or it was acknowledged and the server could not say so.
            Err(error) => assert_eq!(error.code(), Code::Conflict, "{error}"),
        }
    }
    messages.len()
}

#[tokio::test]
async fn a_server_that_is_killed_loses_and_repeats_nothing() {
    let Some(mut server) = Server::start().await else { return };
    let nats = nats(&server.url()).await;
    // However often the machine makes this test wait, no message is given up.
    let limits = Limits { attempts: 10_000, ..Limits::default() };
    let (queue, ws) = (NatsQueue::new(nats, Arc::new(SystemClock), limits), WorkspaceId::at(1));
    let mut known = Known::default();
    let once = SendOptions { dedup: Some("key".into()), delay_ms: LONG };
    let keyed = until(async || queue.send(ws, "q", json!(-1), once.clone()).await.ok()).await;
    for n in 0..SENT {
        send(&queue, ws, n, &mut known).await;
        if n % 5 == 0 {
            work(&queue, ws, 200, &mut known).await;
        }
        if n % 100 == 60 {
            // Some are held meanwhile, whose holder is forgotten.
            queue.receive(ws, "q", 3, 200).await.unwrap();
            server.kill();
            until(async || queue.send(ws, "other", json!(n), SendOptions::default()).await.err()).await;
            server.restart().await;
            // Those who send and receive come back by themselves.
            until(async || queue.depth(ws, "other").await.ok()).await;
        }
    }
    let all = |known: &Known| known.sent.iter().all(|n| known.done.contains(n) || known.half_done.contains(n));
    let working = async {
        while !all(&known) {
            if work(&queue, ws, 200, &mut known).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), working).await.expect("some did not come");
    assert!(known.sent.len() > 250, "most were sent: {}", known.sent.len());
    // What waits and its key are still there.
    assert_eq!(queue.send(ws, "q", json!(-2), once).await.unwrap(), keyed);
    assert_eq!(queue.depth(ws, "q").await.unwrap().dead, 0);
}

#[tokio::test]
async fn where_there_is_no_server_it_is_said_at_once() {
    let nats = Nats::connect("nats://127.0.0.1:1", "nowhere").await.unwrap();
    let (queue, ws) = (NatsQueue::new(nats, Arc::new(SystemClock), Limits::default()), WorkspaceId::at(1));
    let sent = queue.send(ws, "q", json!(1), SendOptions::default()).await.unwrap_err();
    let received = queue.receive(ws, "q", 1, LONG).await.unwrap_err();
    let counted = queue.depth(ws, "q").await.unwrap_err();
    assert!([sent, received, counted].iter().all(|error| error.code() == Code::Unavailable));
}
