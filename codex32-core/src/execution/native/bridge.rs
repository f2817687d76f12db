//! Functions in another language: messages to its side, calls from there.
//!
//! The side of the language keeps the functions, runs them, and settles their futures; all
//! else is here. Messages are JSON objects, `do` says what they are:
//!
//! | `do` | with | comes to |
//! | --- | --- | --- |
//! | `begin` | `run`, `function`, `execution`, `bot`, `now`, `input` | what the function returns |
//! | `tell` | `run`, `call`, `now`, and `value` or `error` | |
//! | `attempt` | `run`, `call`, `step`, `number`, `idempotency_key` | what the body of the step returns |
//! | `stop` | `run`, `call` | the attempt is not wanted any more |
//! | `drop` | `run` | the function is not wanted any more, or has ended |
//! | `settle` | | anything, once what was told before has had its effect |

use super::ctx::Ctx;
use super::functions::DurableFunction;
use super::options::{Attempt, Body, StepOptions, WaitOptions, Wish};
use crate::blueprint::{Backoff, Retry, Span};
use crate::error::{Code, Error, Result};
use futures::channel::oneshot;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Is called with what comes of a message.
pub type Done = Box<dyn FnOnce(Result<Value>) + Send>;

/// The side of another language.
pub trait Host: Send + Sync + 'static {
    /// Hands a message over, without waiting. Messages arrive in the order in which they
    /// were handed over; `done` is called with what comes of this one, or dropped.
    fn send(&self, message: Value, done: Done);
}

/// What another language's side asks by.
pub struct Bridge {
    host: Arc<dyn Host>,
    next: AtomicU64,
    runs: Mutex<HashMap<u64, Run>>,
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridge").finish_non_exhaustive()
    }
}

/// A function that runs.
struct Run {
    ctx: Ctx,
    attempts: HashMap<u64, Attempt>,
}

impl Bridge {
    /// A bridge to `host`.
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Arc<Bridge> {
        Arc::new(Bridge { host, next: AtomicU64::new(1), runs: Mutex::default() })
    }

    /// The function that the other side has as `key`.
    #[must_use]
    pub fn function(self: &Arc<Self>, key: &str) -> Arc<dyn DurableFunction> {
        Arc::new(Bridged { bridge: self.clone(), key: key.to_owned() })
    }

    /// The function of `run` asks for something; `tell` with this `call` says what came of it.
    ///
    /// # Errors
    /// `invalid` for what cannot be asked for, `cancelled` where the run is not wanted any more.
    pub fn ask(self: &Arc<Self>, run: u64, call: u64, ask: &str) -> Result<()> {
        let ask: Ask = serde_json::from_str(ask).map_err(|e| Error::invalid(format!("the call: {e}")))?;
        let ctx = self.runs().get(&run).map(|run| run.ctx.clone()).ok_or_else(super::ctx::aside)?;
        let name = ask.name.clone();
        let wish = ask.wish(|| self.body(run, call))?;
        let (bridge, told) = (self.clone(), ctx.clone());
        let answer = move |result: Result<Value>| {
            let mut message = json!({"do": "tell", "run": run, "call": call, "now": told.now()});
            match result {
                Ok(value) => message["value"] = value,
                Err(error) => message["error"] = serde_json::to_value(error).unwrap_or_default(),
            }
            bridge.host.send(message, Box::new(drop));
        };
        ctx.begin_with(&name, wish, Box::new(answer))
    }

    /// A random id or number for the function of `run`: `{uuid, random}`.
    ///
    /// # Errors
    /// `cancelled` where the run is not wanted any more.
    pub fn draw(&self, run: u64) -> Result<Value> {
        let runs = self.runs();
        let ctx = &runs.get(&run).ok_or_else(super::ctx::aside)?.ctx;
        Ok(json!({"uuid": ctx.uuid(), "random": ctx.random()}))
    }

    /// Writes a line to the log of an execution: of the function, or of the attempt of a call.
    pub fn log(&self, run: u64, call: Option<u64>, text: &str) {
        let runs = self.runs();
        let Some(run) = runs.get(&run) else { return };
        match call.and_then(|call| run.attempts.get(&call)) {
            Some(attempt) => attempt.log(text),
            None => run.ctx.log(text),
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<u64, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What does a step whose body is on the other side.
    fn body(self: &Arc<Self>, run: u64, call: u64) -> Body {
        let bridge = self.clone();
        Box::new(move |attempt: Attempt| {
            let message = json!({
                "do": "attempt", "run": run, "call": call, "step": attempt.step, "number": attempt.number,
                "idempotency_key": attempt.idempotency_key,
            });
            if let Some(run) = bridge.runs().get_mut(&run) {
                run.attempts.insert(call, attempt);
            }
            let over = Over { bridge: bridge.clone(), message: Some(json!({"do": "stop", "run": run, "call": call})) };
            bridge.answered(message, over)
        })
    }

    /// What comes of a message. Where nobody waits for that any more, the other side is told.
    fn answered(self: &Arc<Self>, message: Value, mut over: Over) -> BoxFuture<'static, Result<Value>> {
        let (send, receive) = oneshot::channel();
        self.host.send(
            message,
            Box::new(move |result| {
                // Who does not listen any more does not mind.
                let _ = send.send(result);
            }),
        );
        Box::pin(async move {
            let result = receive.await;
            over.answered();
            result.unwrap_or_else(|_| Err(Error::new(Code::Cancelled, "the other side of the function is gone")))
        })
    }
}

/// Says to the other side that something is not wanted any more.
struct Over {
    bridge: Arc<Bridge>,
    message: Option<Value>,
}

impl Over {
    /// An attempt that has ended need not be stopped; a function that has is forgotten.
    fn answered(&mut self) {
        self.message.take_if(|message| message["do"] == "stop");
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        let Some(message) = self.message.take() else { return };
        if let Some(run) = message["run"].as_u64().filter(|_| message["do"] == "drop") {
            self.bridge.runs().remove(&run);
        }
        self.bridge.host.send(message, Box::new(drop));
    }
}

/// A function on the other side.
struct Bridged {
    bridge: Arc<Bridge>,
    key: String,
}

impl DurableFunction for Bridged {
    fn run(&self, ctx: Ctx, input: Value) -> BoxFuture<'static, Result<Value>> {
        let bridge = self.bridge.clone();
        let run = bridge.next.fetch_add(1, Ordering::Relaxed);
        let message = json!({
            "do": "begin", "run": run, "function": self.key, "execution": ctx.execution(), "bot": ctx.bot(),
            "now": ctx.now(), "input": input,
        });
        bridge.runs().insert(run, Run { ctx, attempts: HashMap::new() });
        let over = Over { bridge: bridge.clone(), message: Some(json!({"do": "drop", "run": run})) };
        bridge.answered(message, over)
    }

    fn settle(&self) -> BoxFuture<'static, ()> {
        let (send, receive) = oneshot::channel();
        let done = move |_| {
            // Who does not listen any more does not mind.
            let _ = send.send(());
        };
        self.bridge.host.send(json!({"do": "settle"}), Box::new(done));
        Box::pin(async move {
            // Where the other side is gone there is nothing to wait for.
            let _ = receive.await;
        })
    }
}

/// What the other side asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    name: String,
    kind: Kind,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    retry: Option<Tries>,
    #[serde(default)]
    filter: Option<String>,
    /// How long to sleep, or until when.
    #[serde(default)]
    ms: u64,
    #[serde(default)]
    input: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Step,
    Sleep,
    SleepUntil,
    Signal,
    Event,
    Child,
}

/// A number of attempts, or more said about them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tries {
    Attempts(u32),
    Policy(Policy),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Policy {
    attempts: u32,
    backoff: Grows,
    delay_ms: u64,
    max_ms: u64,
    jitter: f64,
    on: Vec<Code>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Grows {
    Constant,
    Linear,
    Exponential,
}

impl Default for Policy {
    fn default() -> Self {
        let Retry { attempts, delay, max, jitter, .. } = Retry::default();
        Policy { attempts, backoff: Grows::Exponential, delay_ms: delay.0, max_ms: max.0, jitter, on: Vec::new() }
    }
}

impl Ask {
    fn wish(self, body: impl FnOnce() -> Body) -> Result<Wish> {
        let timeout = self.timeout_ms.map(Duration::from_millis);
        let options = WaitOptions { filter: self.filter, timeout };
        Ok(match self.kind {
            Kind::Step => {
                let retry = self.retry.map(Tries::retry).transpose()?;
                Wish::Step(StepOptions { retry, timeout }, body())
            }
            Kind::Sleep => Wish::Sleep(Duration::from_millis(self.ms)),
            Kind::SleepUntil => Wish::SleepUntil(i64::try_from(self.ms).unwrap_or(i64::MAX)),
            Kind::Signal => Wish::Signal(options),
            Kind::Event => Wish::Event(options),
            Kind::Child => Wish::Child(self.input, options),
        })
    }
}

impl Tries {
    fn retry(self) -> Result<Retry> {
        let policy = match self {
            Tries::Attempts(attempts) => Policy { attempts, ..Policy::default() },
            Tries::Policy(policy) => policy,
        };
        if !(1..=100).contains(&policy.attempts) || !(0.0..=1.0).contains(&policy.jitter) {
            return Err(Error::invalid("`retry` makes 1 to 100 attempts, and its jitter is from 0 to 1"));
        }
        Ok(Retry {
            attempts: policy.attempts,
            backoff: match policy.backoff {
                Grows::Constant => Backoff::Constant,
                Grows::Linear => Backoff::Linear,
                Grows::Exponential => Backoff::Exponential,
            },
            delay: Span(policy.delay_ms),
            max: Span(policy.max_ms),
            jitter: policy.jitter,
            on: policy.on.into_iter().map(|code| code.as_str().to_owned()).collect(),
        })
    }
}
