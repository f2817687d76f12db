//! What a crash between two writes leaves in the stream, and streams made by others.

use super::*;
use async_nats::jetstream::{self, stream};

struct Scene {
    nats: Nats,
    queue: NatsQueue,
    ws: WorkspaceId,
}

async fn scene(attempts: u32) -> Option<Scene> {
    let nats = nats(&testing::nats().await?).await;
    let limits = Limits { attempts, ..Limits::default() };
    let queue = NatsQueue::new(nats.clone(), Arc::new(SystemClock), limits);
    Some(Scene { nats, queue, ws: WorkspaceId::at(1) })
}

impl Scene {
    fn context(&self) -> jetstream::Context {
        jetstream::new(self.nats.client().clone())
    }

    /// Forgets which messages are dead, as if the notes had never been written.
    async fn lose_notes(&self) {
        let stream = self.context().get_stream(crate::queue::nats::stream_name(self.nats.cluster())).await.unwrap();
        stream.purge().filter(format!("codex32.{}.dead.>", self.nats.cluster())).await.unwrap();
    }

    async fn depth(&self) -> Depth {
        self.queue.depth(self.ws, "q").await.unwrap()
    }

    async fn send(&self, body: i64) {
        self.queue.send(self.ws, "q", json!(body), SendOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_message_whose_note_was_not_written_is_noted_when_it_is_seen() {
    let Some(scene) = scene(1).await else { return };
    scene.send(1).await;
    let message = soon(&scene.queue, scene.ws, "q").await.remove(0);
    scene.queue.nack(scene.ws, &message, 0, "no").await.unwrap();
    assert_eq!(scene.depth().await, Depth { open: 0, dead: 1 });
    scene.lose_notes().await;
    assert_eq!(scene.depth().await, Depth { open: 1, dead: 0 });
    assert!(scene.queue.receive(scene.ws, "q", 1, LONG).await.unwrap().is_empty());
    assert_eq!(scene.depth().await, Depth { open: 0, dead: 1 });
    assert_eq!(scene.queue.revive(scene.ws, "q").await.unwrap(), 1);
    assert_eq!(scene.depth().await, Depth { open: 1, dead: 0 });
    remove(&scene.nats).await;
}

#[tokio::test]
async fn a_note_that_outlived_its_message_goes_with_the_next_revival() {
    let Some(scene) = scene(1).await else { return };
    scene.send(1).await;
    let message = soon(&scene.queue, scene.ws, "q").await.remove(0);
    scene.queue.nack(scene.ws, &message, 0, "no").await.unwrap();
    let stream = scene.context().get_stream(crate::queue::nats::stream_name(scene.nats.cluster())).await.unwrap();
    // The crash came between reviving the message and removing the note.
    stream.purge().filter(format!("codex32.{}.queues.>", scene.nats.cluster())).await.unwrap();
    assert_eq!(scene.queue.revive(scene.ws, "q").await.unwrap(), 0);
    assert_eq!(scene.depth().await, Depth::default());
    remove(&scene.nats).await;
}

#[tokio::test]
async fn what_is_done_does_not_come_again_where_the_delivery_was_not_answered() {
    let Some(scene) = scene(3).await else { return };
    scene.send(1).await;
    let message = soon(&scene.queue, scene.ws, "q").await.remove(0);
    // The crash came between removing the message and answering its delivery.
    scene.queue.extend(scene.ws, &message, 1).await.unwrap();
    let stream = scene.context().get_stream(crate::queue::nats::stream_name(scene.nats.cluster())).await.unwrap();
    let last = stream.get_info().await.unwrap().state.last_sequence;
    let _ = stream.delete_message(last).await;
    // What comes after it is not held up.
    for n in 2..5 {
        scene.send(n).await;
        assert_eq!(numbers(&soon(&scene.queue, scene.ws, "q").await), [n]);
    }
    remove(&scene.nats).await;
}

#[tokio::test]
async fn a_queue_goes_on_where_its_consumer_or_its_stream_was_removed() {
    let Some(scene) = scene(3).await else { return };
    scene.send(1).await;
    assert_eq!(numbers(&soon(&scene.queue, scene.ws, "q").await), [1]);
    let name = crate::queue::nats::stream_name(scene.nats.cluster());
    let stream = scene.context().get_stream(&name).await.unwrap();
    let consumer = format!("{}-q", scene.ws.0.simple());
    stream.delete_consumer(&consumer).await.unwrap();
    // Who is held is forgotten with it; the message is not.
    let again = until(async || scene.queue.receive(scene.ws, "q", 1, LONG).await.ok().filter(|m| !m.is_empty())).await;
    assert_eq!(numbers(&again), [1]);
    scene.context().delete_stream(&name).await.unwrap();
    until(async || scene.queue.send(scene.ws, "q", json!(2), SendOptions::default()).await.ok()).await;
    let next = until(async || scene.queue.receive(scene.ws, "q", 1, LONG).await.ok().filter(|m| !m.is_empty())).await;
    assert_eq!(numbers(&next), [2]);
    remove(&scene.nats).await;
}

#[tokio::test]
async fn a_stream_that_would_lose_messages_is_refused() {
    let Some(scene) = scene(3).await else { return };
    let config = stream::Config {
        name: crate::queue::nats::stream_name(scene.nats.cluster()),
        subjects: vec![format!("codex32.{}.queues.>", scene.nats.cluster())],
        max_age: Duration::from_secs(60),
        ..Default::default()
    };
    scene.context().create_stream(config).await.unwrap();
    let refused = scene.queue.send(scene.ws, "q", json!(1), SendOptions::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Precondition);
    remove(&scene.nats).await;
}
