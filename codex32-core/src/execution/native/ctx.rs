//! What a native function is given.

use super::line::{Answer, Line};
use super::options::{Attempt, StepOptions, WaitOptions, Wish};
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::id::ExecutionId;
use futures::channel::oneshot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use uuid::Uuid;

/// What a native function is given to do its work durably. Cheap to clone.
///
/// What is awaited here is recorded in the journal of the execution. When the function is
/// run again, after a wait or a crash, the same calls are answered from there. For that the
/// function must do the same each time outside of steps: no clock, no randomness, no I/O,
/// but [`Ctx::now`] and [`Ctx::uuid`].
///
/// Calls are told apart by name and number, so several may be awaited at the same time. A
/// call goes on where its future is dropped.
#[derive(Clone)]
pub struct Ctx {
    line: Arc<Line>,
}

impl std::fmt::Debug for Ctx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ctx").field("execution", &self.line.execution).finish_non_exhaustive()
    }
}

impl Ctx {
    pub(crate) fn new(line: Arc<Line>) -> Ctx {
        Ctx { line }
    }

    /// The execution.
    #[must_use]
    pub fn execution(&self) -> ExecutionId {
        self.line.execution
    }

    /// Name of its bot.
    #[must_use]
    pub fn bot(&self) -> &str {
        &self.line.bot
    }

    /// The time, UTC milliseconds: of the last result that the function was told, or of the
    /// start. It is the same whenever the function is run again.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.line.now()
    }

    /// A random id, the same whenever the function is run again.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.drawn()).into_uuid()
    }

    /// A random number from 0 up to 1, the same whenever the function is run again.
    #[must_use]
    pub fn random(&self) -> f64 {
        let [a, b, c, d, e, f, g, ..] = self.drawn();
        let bits = u64::from_be_bytes([0, a, b, c, d, e, f, g]) >> 3;
        bits as f64 / (1_u64 << 53) as f64
    }

    fn drawn(&self) -> [u8; 16] {
        let digest = Sha256::digest(format!("{}:random:{}", self.line.execution, self.line.draw()).as_bytes());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
        bytes
    }

    /// Writes a line to the log of the execution, once: not when the function is run again.
    pub fn log(&self, text: &str) {
        self.line.say(text);
    }

    /// Does something once and gives its result, also when the function is run again.
    /// `body` begins after the intent is durable; its result is durable when this returns.
    /// After a crash in between it is called again.
    ///
    /// ```
    /// use codex32_core::execution::Ctx;
    /// use serde_json::{Value, json};
    ///
    /// async fn order(ctx: Ctx, input: Value) -> codex32_core::Result<Value> {
    ///     let amount = input["amount"].as_u64().unwrap_or(0);
    ///     let receipt: u64 = ctx.step("charge", move || async move { Ok(amount * 100) }).await?;
    ///     Ok(json!({"receipt": receipt}))
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of `body`; `cancelled` where the execution is, `too_large` for a result over 1 MiB,
    /// `internal` where `body` panics.
    pub async fn step<T, F, Fut>(&self, name: &str, mut body: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        self.step_with(name, StepOptions::default(), move |_| body()).await
    }

    /// [`Ctx::step`] with options; the body is told which attempt it is.
    ///
    /// # Errors
    /// Those of [`Ctx::step`], and `timeout`.
    pub async fn step_with<T, F, Fut>(&self, name: &str, options: StepOptions, mut body: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Attempt) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let body = move |attempt: Attempt| -> futures::future::BoxFuture<'static, Result<Value>> {
            let result = body(attempt);
            Box::pin(async move {
                let result = result.await?;
                serde_json::to_value(result)
                    .map_err(|e| Error::new(Code::Failed, format!("the result cannot be written as JSON: {e}")))
            })
        };
        let value = self.begin(name, Wish::Step(options, Box::new(body))).await?;
        serde_json::from_value(value)
            .map_err(|e| Error::new(Code::Failed, format!("read the recorded result of `{name}`: {e}")))
    }

    /// Lets a time pass. The execution is put aside meanwhile and costs nothing.
    ///
    /// # Errors
    /// `cancelled` where the execution is.
    pub async fn sleep(&self, name: &str, span: Duration) -> Result<()> {
        self.begin(name, Wish::Sleep(span)).await.map(drop)
    }

    /// Waits for a time, UTC milliseconds.
    ///
    /// # Errors
    /// `cancelled` where the execution is.
    pub async fn sleep_until(&self, name: &str, at: Millis) -> Result<()> {
        self.begin(name, Wish::SleepUntil(at)).await.map(drop)
    }

    /// Waits for the signal `name` and gives what was sent with it. One that came before is
    /// taken at once.
    ///
    /// # Errors
    /// `cancelled` where the execution is.
    pub async fn signal(&self, name: &str) -> Result<Value> {
        self.begin(name, Wish::Signal(WaitOptions::default())).await
    }

    /// [`Ctx::signal`] for no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`Ctx::signal`], and `timeout`.
    pub async fn signal_within(&self, name: &str, timeout: Duration) -> Result<Value> {
        self.begin(name, Wish::Signal(WaitOptions { timeout: Some(timeout), filter: None })).await
    }

    /// Waits for the event `name` on the bus and gives its data.
    ///
    /// # Errors
    /// `cancelled` where the execution is, `timeout`, `invalid` for a filter that is no CEL.
    pub async fn event(&self, name: &str, options: WaitOptions) -> Result<Value> {
        self.begin(name, Wish::Event(options)).await
    }

    /// Runs another bot to its end and gives its output.
    ///
    /// # Errors
    /// Those that the other bot failed with; `not_found`, `precondition` where it is not
    /// deployed, `cancelled` where this execution is.
    pub async fn child(&self, bot: &str, input: impl Serialize) -> Result<Value> {
        let input = serde_json::to_value(input).map_err(|e| Error::invalid(format!("the input of `{bot}`: {e}")))?;
        self.begin(bot, Wish::Child(input, WaitOptions::default())).await
    }

    /// Asks for something, at once: what is awaited is only its result.
    pub fn begin(&self, name: &str, wish: Wish) -> Reply {
        let (send, receive) = oneshot::channel();
        let answer = Box::new(move |result| {
            // Who does not listen any more does not mind.
            let _ = send.send(result);
        });
        Reply(self.begin_with(name, wish, answer).map(|()| receive).map_err(Some))
    }

    /// [`Ctx::begin`] with what is called with the result.
    pub(super) fn begin_with(&self, name: &str, wish: Wish, answer: Answer) -> Result<()> {
        self.line.ask(name, wish, answer)
    }
}

/// The result of something that was asked for. What was asked for goes on where this is
/// dropped.
#[must_use = "what was asked for goes on, but nobody knows what came of it"]
pub struct Reply(Result<oneshot::Receiver<Result<Value>>, Option<Error>>);

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

impl Future for Reply {
    type Output = Result<Value>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Value>> {
        Poll::Ready(match &mut self.0 {
            Ok(answer) => ready!(Pin::new(answer).poll(cx)).unwrap_or_else(|_| Err(aside())),
            Err(error) => Err(error.take().unwrap_or_else(aside)),
        })
    }
}

/// The function is not run any more.
pub(super) fn aside() -> Error {
    Error::new(Code::Cancelled, "the execution was put aside")
}
