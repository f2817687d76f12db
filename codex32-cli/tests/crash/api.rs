//! Asking a node that may be killed at any moment.

use crate::history::{Entry, History};
use crate::node::{PATIENCE, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

/// Executions of a page.
const PAGE: usize = 200;

/// The API of a node.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    pub(crate) fn new(address: &str, token: &str) -> Api {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Api { http, base: format!("{address}/api/v1"), token: token.to_owned() }
    }

    /// The same at another node.
    pub(crate) fn at(&self, address: &str) -> Api {
        Api { base: format!("{address}/api/v1"), ..self.clone() }
    }

    /// Asks once.
    async fn ask(&self, post: bool, path: &str, body: &Value) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let request = if post { self.http.post(url).json(body) } else { self.http.get(url) };
        let answer = request.bearer_auth(&self.token).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// Asks until it is answered, whatever happens to the node meanwhile.
    pub(crate) async fn insist(&self, post: bool, path: &str, body: &Value, fine: &[u16]) -> Value {
        let end = tokio::time::Instant::now() + PATIENCE;
        let mut last = None;
        while tokio::time::Instant::now() < end {
            match self.ask(post, path, body).await {
                Some((status, answer)) if (200..300).contains(&status) || fine.contains(&status) => return answer,
                // It is busy, going down, or cannot reach its database.
                Some((status @ (429 | 500..), answer)) => last = Some((status, answer)),
                Some((status, answer)) => panic!("{path}: {status} {answer}"),
                None => {}
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        panic!("{path} is not answered; the last answer was {last:?}")
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.insist(false, path, &Value::Null, &[]).await
    }

    /// Makes and deploys these bots.
    pub(crate) async fn deploy(&self, blueprints: &[String]) {
        let documents: Vec<Value> =
            blueprints.iter().map(|text| json!({ "source": "bot.yaml", "blueprint": text, "files": {} })).collect();
        self.insist(true, "/bots/apply", &json!({ "documents": documents }), &[]).await;
    }

    /// Starts a bot; its id, once that is acknowledged.
    pub(crate) async fn start(&self, bot: &str, key: &str, input: Value) -> String {
        let body = json!({ "bot": bot, "idempotency_key": key, "input": input });
        let started = self.insist(true, "/executions", &body, &[]).await;
        started["id"].as_str().unwrap().to_owned()
    }

    /// Id and status of all executions, and how many of them are not finished.
    async fn executions(&self) -> (Vec<(String, String)>, usize) {
        let (mut found, mut open, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let page = self.get(&format!("/executions?limit={PAGE}{cursor}")).await;
            for item in page["items"].as_array().unwrap() {
                let text = |name: &str| item[name].as_str().unwrap().to_owned();
                found.push((text("id"), text("status")));
                open += usize::from(item["finished_at"].is_null());
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (found, open),
            }
        }
    }

    /// Everything about all executions, once they are finished.
    pub(crate) async fn histories(&self) -> Vec<History> {
        let all = wait_until("all executions finish", async || {
            let (all, open) = self.executions().await;
            (open == 0).then_some(all)
        })
        .await;
        let mut histories = Vec::with_capacity(all.len());
        for some in all.chunks(8) {
            let some = some.iter().map(|(id, status)| self.history(id, status));
            histories.extend(futures::future::join_all(some).await);
        }
        histories
    }

    async fn history(&self, id: &str, status: &str) -> History {
        let mut entries: Vec<Entry> = Vec::new();
        for what in ["journal", "logs"] {
            // Lines are among the numbers of the entries.
            if what == "logs" && entries.iter().zip(1..).all(|(entry, number)| entry.seq == number) {
                break;
            }
            let mut after = 0;
            loop {
                let page = self.get(&format!("/executions/{id}/{what}?limit=1000&after={after}")).await;
                let items = page["items"].as_array().unwrap();
                let Some(last) = items.last() else { break };
                after = last["seq"].as_i64().unwrap();
                entries.extend(items.iter().map(Entry::read));
            }
        }
        entries.sort_by_key(|entry| entry.seq);
        History { id: id.to_owned(), status: status.to_owned(), entries }
    }
}
