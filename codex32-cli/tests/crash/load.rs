//! Bots, and callers who start them and signal them while nodes come and go.

use crate::api::Api;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Callers at once.
const CALLERS: usize = 6;
/// Pause of a caller between two starts.
const PAUSE: Duration = Duration::from_millis(100);

/// The bots: steps in a row, rounds beside each other, a timer, a child, a signal.
pub(crate) fn bots(counterpart: &str, header: &str) -> Vec<String> {
    let head = |name: &str| {
        format!("codex32: v1\nname: {name}\n{header}permissions: {{network: [\"{counterpart}\"]}}\nsteps:\n")
    };
    let post = |id: &str, indent: usize| {
        let pad = " ".repeat(indent);
        format!(
            "{pad}- id: {id}\n{pad}  use: http.post\n\
             {pad}  with: {{url: \"http://{counterpart}/do\", json: {{n: \"{{{{ input.n }}}}\"}}}}\n\
             {pad}  retry: {{attempts: 50, delay: 50ms, backoff: constant}}\n"
        )
    };
    let rounds = format!("  - id: each\n    foreach: \"[1, 2, 3]\"\n    concurrency: 3\n    steps:\n{}", post("r", 6));
    let chain = [
        head("chain"),
        post("first", 2),
        rounds,
        "  - id: rest\n    wait: 80ms\n".to_owned(),
        "  - id: child\n    call: leaf\n    with: {n: \"{{ input.n }}\"}\n".to_owned(),
        post("last", 2),
    ];
    let waiting =
        [head("waiting"), post("before", 2), "  - id: go\n    wait: {event: load.go}\n".to_owned(), post("after", 2)];
    vec![chain.concat(), waiting.concat(), format!("{}{}", head("leaf"), post("only", 2))]
}

/// A bot whose one step is answered when the counterpart is told to, on nodes with the label `work`.
pub(crate) fn held_bot(counterpart: &str) -> String {
    format!(
        "codex32: v1\nname: held\nruns_on: [work]\npermissions: {{network: [\"{counterpart}\"]}}\nsteps:\n  \
         - id: held\n    use: http.post\n    with: {{url: \"http://{counterpart}/held\", json: {{}}}}\n"
    )
}

/// Callers who go on until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(api: &Api) -> Load {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let next = Arc::new(AtomicUsize::new(0));
        let caller = |_| {
            let (api, stop, acknowledged, next) = (api.clone(), stop.clone(), acknowledged.clone(), next.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let bot = if n % 3 == 0 { "waiting" } else { "chain" };
                    let id = api.start(bot, &format!("load-{n}"), json!({ "n": n })).await;
                    acknowledged.lock().unwrap().push(id.clone());
                    if bot == "waiting" {
                        signal(&api, &id).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Load { stop, acknowledged, callers }
    }

    /// How many starts were acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Ends the load; the starts that were acknowledged. A node must be there to answer
    /// what is still asked.
    pub(crate) async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        std::mem::take(&mut *self.acknowledged.lock().unwrap())
    }
}

/// Sends the signal. Where an earlier try was taken without an answer, it may be over already.
async fn signal(api: &Api, id: &str) {
    let body: Value = json!({ "name": "load.go" });
    api.insist(true, &format!("/executions/{id}/signal"), &body, &[409, 412]).await;
}
