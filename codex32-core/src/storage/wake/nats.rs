//! Words by NATS, where the deployment has one.

use super::{Carrier, Ear, Word};
use crate::error::{Error, Result};
use futures::StreamExt as _;
use uuid::Uuid;

/// Words by a NATS server (subject `codex32.CLUSTER.wake`). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Nats {
    client: async_nats::Client,
    cluster: String,
}

impl Nats {
    /// Connects to `url` (`nats://[user:password@]host:port`, several separated by commas)
    /// for the nodes that share the database `cluster`. A server that does not answer is
    /// tried for again and again: nothing depends on it.
    ///
    /// # Errors
    /// `invalid` for the address.
    pub async fn connect(url: &str, cluster: &str) -> Result<Nats> {
        let servers: Vec<async_nats::ServerAddr> = url
            .split(',')
            .map(|one| one.trim().parse())
            .collect::<std::io::Result<_>>()
            .map_err(|e| Error::invalid(format!("the address of NATS: {e}")).hint("nats://host:4222"))?;
        let client = async_nats::ConnectOptions::new()
            .name("codex32")
            .retry_on_initial_connect()
            .event_callback(|event| async move { tracing::info!(%event, "NATS") })
            .connect(servers)
            .await
            .map_err(|e| Error::invalid(format!("connect to NATS: {e}")))?;
        Ok(Nats { client, cluster: cluster.to_owned() })
    }

    /// The connection.
    pub(crate) fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// Names the database among those that share the server: letters, digits, `_`.
    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }

    fn subject(&self) -> String {
        format!("codex32.{}.wake", self.cluster)
    }
}

#[async_trait::async_trait]
impl Carrier for Nats {
    async fn send(&self, text: String) -> Result<()> {
        let sent = self.client.publish(self.subject(), text.into()).await;
        sent.map_err(|e| Error::unavailable(format!("send by NATS: {e}")))?;
        self.client.flush().await.map_err(|e| Error::unavailable(format!("send by NATS: {e}")))
    }

    async fn listen(&self) -> Result<Box<dyn Ear>> {
        let lost = |e: String| Error::unavailable(format!("listen to NATS: {e}"));
        let mut subscriber = self.client.subscribe(self.subject()).await.map_err(|e| lost(e.to_string()))?;
        // The server takes things in their order: once a word of nobody has come back, or
        // anybody's, it knows of the subscription.
        self.send(Word::default().to_text(Uuid::nil())).await?;
        let first = subscriber.next().await.ok_or_else(|| lost("the subscription has ended".to_owned()))?;
        Ok(Box::new(NatsEar { first: Some(first), subscriber, client: self.client.clone() }))
    }
}

struct NatsEar {
    first: Option<async_nats::Message>,
    subscriber: async_nats::Subscriber,
    client: async_nats::Client,
}

#[async_trait::async_trait]
impl Ear for NatsEar {
    async fn next(&mut self) -> Result<String> {
        let text = |message: async_nats::Message| String::from_utf8_lossy(&message.payload).into_owned();
        if let Some(first) = self.first.take() {
            return Ok(text(first));
        }
        loop {
            tokio::select! {
                message = self.subscriber.next() => {
                    return message.map(text).ok_or_else(|| Error::unavailable("the subscription to NATS has ended"));
                }
                // The client connects again by itself; what was said meanwhile is lost.
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {
                    if self.client.connection_state() != async_nats::connection::State::Connected {
                        return Err(Error::unavailable("the connection to NATS was lost"));
                    }
                }
            }
        }
    }
}
