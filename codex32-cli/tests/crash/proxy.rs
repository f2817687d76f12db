//! A line between a node and its database that can be cut, slowed, and held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A TCP proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    line: Arc<Line>,
}

struct Line {
    to: String,
    delay_ms: AtomicU64,
    /// Counts the cuts.
    cuts: watch::Sender<u64>,
    held: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn start(to: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line {
            to: to.to_owned(),
            delay_ms: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
            held: watch::Sender::new(false),
        });
        let serving = line.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let line = serving.clone();
                tokio::spawn(async move {
                    // A server that is down is what this is for.
                    if let Ok(far) = TcpStream::connect(&line.to).await {
                        join(&line, near, far).await;
                    }
                });
            }
        });
        Proxy { port, line }
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.line.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Makes everything later by this long.
    pub(crate) fn delay(&self, ms: u64) {
        self.line.delay_ms.store(ms, Ordering::Relaxed);
    }

    /// Lets nothing through, and ends nothing, until it is let go.
    pub(crate) fn hold(&self, held: bool) {
        self.line.held.send_replace(held);
    }
}

async fn join(line: &Arc<Line>, near: TcpStream, far: TcpStream) {
    let mut cuts = line.cuts.subscribe();
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = copy(line, near_in, far_out) => {}
        () = copy(line, far_in, near_out) => {}
        _ = cuts.changed() => {}
    }
}

async fn copy(line: &Line, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut held = line.held.subscribe();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let _ = held.wait_for(|held| !held).await;
        tokio::time::sleep(Duration::from_millis(line.delay_ms.load(Ordering::Relaxed))).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
