//! The service that the bots speak to: it does each thing once, by its idempotency key,
//! and keeps account of what it has done.

use crate::dice::Dice;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What was done for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deed {
    /// What was answered, each time the same.
    pub(crate) value: u64,
    /// How often it was done. More than once would be this service's own fault.
    pub(crate) done: u32,
    /// How often it was asked for.
    pub(crate) asked: u32,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Counterpart {
    pub(crate) address: String,
    deeds: Arc<Mutex<BTreeMap<String, Deed>>>,
    dice: Arc<Mutex<Dice>>,
    held: Arc<watch::Sender<bool>>,
    asked_held: Arc<AtomicU32>,
    without_key: Arc<Mutex<u32>>,
}

impl Counterpart {
    pub(crate) async fn start(seed: u64) -> Counterpart {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let counterpart = Counterpart {
            address: listener.local_addr().unwrap().to_string(),
            deeds: Arc::default(),
            dice: Arc::new(Mutex::new(Dice::new(seed))),
            held: Arc::new(watch::Sender::new(true)),
            asked_held: Arc::default(),
            without_key: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(counterpart.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        counterpart
    }

    /// All that was done, by key.
    pub(crate) fn deeds(&self) -> BTreeMap<String, Deed> {
        assert_eq!(*self.without_key.lock().unwrap(), 0, "every request carries its key");
        self.deeds.lock().unwrap().clone()
    }

    /// How often `/held` was asked.
    pub(crate) fn asked_held(&self) -> u32 {
        self.asked_held.load(Ordering::SeqCst)
    }

    /// Answers what was asked of `/held`, and all that comes.
    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    fn roll(&self, sides: u64) -> u64 {
        self.dice.lock().unwrap().below(sides)
    }

    /// Does what was asked for, once for each key.
    fn deed(&self, key: &str) -> Deed {
        let mut deeds = self.deeds.lock().unwrap();
        let next = deeds.len() as u64 + 1_000;
        let deed = deeds.entry(key.to_owned()).or_insert(Deed { value: next, done: 1, asked: 0 });
        deed.asked += 1;
        deed.clone()
    }
}

async fn answer(State(counterpart): State<Counterpart>, uri: Uri, headers: HeaderMap, _body: Bytes) -> Response {
    let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()) else {
        *counterpart.without_key.lock().unwrap() += 1;
        return StatusCode::BAD_REQUEST.into_response();
    };
    tokio::time::sleep(Duration::from_millis(counterpart.roll(15))).await;
    // It may be down before it has done anything,
    if uri.path() == "/do" && counterpart.roll(40) == 0 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let deed = counterpart.deed(key);
    if uri.path() == "/held" {
        counterpart.asked_held.fetch_add(1, Ordering::SeqCst);
        let _ = counterpart.held.subscribe().wait_for(|held| !held).await;
    }
    // or fail to say that it has.
    if uri.path() == "/do" && counterpart.roll(40) == 0 {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    Json(json!({ "key": key, "value": deed.value })).into_response()
}
