//! Functions of the embedding program as bots.

use super::Engine;
use crate::blueprint::{self, Native};
use crate::error::{Code, Error, Result};
use crate::execution::{Ctx, DurableFunction};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A function that becomes a bot of its name. Everything but the name may be left out.
///
/// ```
/// use codex32_core::engine::Workflow;
/// use serde_json::json;
/// let nightly = Workflow::new("report").revision("2").on(vec![json!({"schedule": "every day at 3am"})]);
/// assert_eq!(nightly.name(), "report");
/// ```
#[derive(Debug, Clone)]
pub struct Workflow {
    native: Native,
    description: Option<String>,
    inputs: Option<Value>,
    on: Vec<Value>,
    timeout: Option<Duration>,
    environment: Option<String>,
    deploy: bool,
}

/// What a program in another language tells of a function; `timeout` in milliseconds.
#[derive(Deserialize)]
struct Spec {
    name: String,
    revision: Option<String>,
    description: Option<String>,
    inputs: Option<Value>,
    #[serde(default)]
    on: Vec<Value>,
    #[serde(alias = "timeout_ms")]
    timeout: Option<u64>,
    environment: Option<String>,
    deploy: Option<bool>,
}

impl Workflow {
    /// What a program in another language tells of a function, as a JSON object: `name`, and
    /// `revision`, `description`, `inputs`, `on`, `timeout` (milliseconds), `environment` and
    /// `deploy` where they are not left out.
    ///
    /// # Errors
    /// `invalid` where it is none.
    pub fn read(spec: &str) -> Result<Workflow> {
        let spec: Spec = serde_json::from_str(spec).map_err(|e| Error::invalid(format!("the workflow: {e}")))?;
        Ok(Workflow {
            native: Native { function: spec.name, revision: spec.revision },
            description: spec.description,
            inputs: spec.inputs,
            on: spec.on,
            timeout: spec.timeout.map(Duration::from_millis),
            environment: spec.environment,
            deploy: spec.deploy.unwrap_or(true),
        })
    }

    /// A function called `name`, as the name of a bot: lower-case letters, digits, hyphens.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Workflow {
            native: Native { function: name.into(), revision: None },
            description: None,
            inputs: None,
            on: Vec::new(),
            timeout: None,
            environment: None,
            deploy: true,
        }
    }
    /// The name of the function and of its bot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.native.function
    }
    /// The state of the code. Executions go on with the revision that they were started
    /// with; one that no program has registered any more waits for a program that does.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.native.revision = Some(revision.into());
        self
    }
    /// What it is for, in a sentence.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
    /// JSON Schema of the input, an object.
    #[must_use]
    pub fn inputs(mut self, schema: Value) -> Self {
        self.inputs = Some(schema);
        self
    }
    /// What starts it, as below `on` in a blueprint.
    #[must_use]
    pub fn on(mut self, triggers: Vec<Value>) -> Self {
        self.on = triggers;
        self
    }
    /// Longest time for a whole execution; waiting counts.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
    /// Where it is put to work; by default the workspace's environment.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }
    /// Only executions that exist go on, as for an earlier revision: the bot stays as it is.
    #[must_use]
    pub fn only_finishes(mut self) -> Self {
        self.deploy = false;
        self
    }

    /// The blueprint of its bot.
    fn text(&self) -> Result<String> {
        let native = match &self.native.revision {
            Some(revision) => json!({"function": self.name(), "revision": revision}),
            None => json!(self.name()),
        };
        let mut json = json!({"codex32": "v1", "name": self.name(), "native": native});
        let fields = [
            ("description", self.description.clone().map(Value::from)),
            ("inputs", self.inputs.clone()),
            ("on", (!self.on.is_empty()).then(|| Value::from(self.on.clone()))),
            ("timeout", self.timeout.map(|timeout| format!("{}ms", timeout.as_millis()).into())),
        ];
        for (key, value) in fields {
            if let Some(value) = value {
                json[key] = value;
            }
        }
        let read = blueprint::from_json(&json);
        read.map(|blueprint| blueprint::print(&blueprint)).map_err(|found| {
            let what = found.into_iter().next().map(|first| first.message.clone()).unwrap_or_default();
            Error::invalid(format!("the workflow \"{}\": {what}", self.name().escape_debug()))
        })
    }

    /// Whether it says more of its bot than which function it is.
    fn says_more(&self) -> bool {
        self.description.is_some() || self.inputs.is_some() || !self.on.is_empty() || self.timeout.is_some()
    }
}

impl Engine {
    /// Makes an `async` function a bot: its executions are durable, and all that holds for
    /// other bots holds for it. Register before [`Engine::start`], so that what was
    /// interrupted goes on.
    ///
    /// ```no_run
    /// # async fn run(engine: codex32_core::engine::Engine) -> codex32_core::Result<()> {
    /// use codex32_core::execution::Ctx;
    /// use serde_json::{Value, json};
    /// use std::time::Duration;
    ///
    /// engine
    ///     .workflow("order", |ctx: Ctx, input: Value| async move {
    ///         let receipt: Value = ctx.step("charge", move || {
    ///             let input = input.clone();
    ///             async move { Ok(json!({"charged": input["amount"]})) }
    ///         }).await?;
    ///         ctx.sleep("cool-off", Duration::from_secs(3_600)).await?;
    ///         let paid = ctx.signal("paid").await?;
    ///         Ok(json!({"receipt": receipt, "paid": paid}))
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Engine::workflow_with`].
    pub async fn workflow<F, Fut>(&self, name: &str, function: F) -> Result<()>
    where
        F: Fn(Ctx, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value>> + Send + 'static,
    {
        self.workflow_with(Workflow::new(name), Arc::new(function)).await.map(drop)
    }

    /// [`Engine::workflow`] with more said about the bot. Gives the number of its version,
    /// 0 where it was only registered.
    ///
    /// The bot is made where there is none. It gets another version where the revision, or
    /// what is said about it, is another; one that was edited by hand and names this
    /// function in this revision stays.
    ///
    /// # Errors
    /// `invalid` for a name, revision, schema or trigger that is none; `conflict` where there
    /// is a bot of this name that is something else.
    pub async fn workflow_with(&self, workflow: Workflow, function: Arc<dyn DurableFunction>) -> Result<u32> {
        let text = workflow.text()?;
        let (owner, bot) = (self.local_owner().await?, workflow.name().to_owned());
        if !workflow.deploy {
            self.executor().register(&workflow.native, function).await;
            return Ok(0);
        }
        let present = match self.call(Some(&owner), "bots.get", json!({"bot": bot})).await {
            Ok(present) => Some(present),
            Err(error) if error.code() == Code::NotFound => None,
            Err(error) => return Err(error),
        };
        let note = "registered by the program";
        let saved = match &present {
            None => self.call(Some(&owner), "bots.create", json!({"blueprint": text, "note": note})).await?,
            Some(present) if stays(&workflow, present)? => {
                json!({"changed": false, "version": {"number": present["latest"]}})
            }
            Some(_) => {
                let version = json!({"bot": bot, "blueprint": text, "note": note});
                self.call(Some(&owner), "versions.create", version).await?
            }
        };
        // Before it is deployed: what a trigger starts at once is driven here.
        self.executor().register(&workflow.native, function).await;
        if saved["changed"] == true || !is_deployed(&workflow, present.as_ref()) {
            let deployment = json!({"bot": bot, "environment": workflow.environment});
            self.call(Some(&owner), "deployments.create", deployment).await?;
        }
        Ok(saved["version"]["number"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default())
    }
}

/// Whether the bot that is there needs no other text.
fn stays(workflow: &Workflow, present: &Value) -> Result<bool> {
    let held = present["blueprint"].as_str().and_then(|text| blueprint::parse(text).ok()).and_then(|b| b.native);
    match held {
        Some(held) if held.function == workflow.name() => Ok(held == workflow.native && !workflow.says_more()),
        _ => Err(Error::conflict(format!("the bot \"{}\" is there and is no function of a program", workflow.name()))
            .hint("give the workflow another name, or delete the bot")),
    }
}

fn is_deployed(workflow: &Workflow, present: Option<&Value>) -> bool {
    let deployments = present.and_then(|present| present["deployments"].as_array());
    deployments.into_iter().flatten().any(|deployment| {
        workflow.environment.as_deref().is_none_or(|environment| deployment["environment"] == environment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Config;

    async fn engine(folder: &std::path::Path) -> Engine {
        Engine::open(Config::in_file(folder.join("data.db"))).await.unwrap()
    }

    fn gives(value: Value) -> Arc<dyn DurableFunction> {
        Arc::new(move |ctx: Ctx, _: Value| {
            let value = value.clone();
            async move {
                let step = move || {
                    let value = value.clone();
                    async move { Ok(value) }
                };
                ctx.step("give", step).await
            }
        })
    }

    async fn run(engine: &Engine, input: Value) -> Value {
        let owner = engine.local_owner().await.unwrap();
        let start = json!({"bot": "order", "input": input, "wait": true});
        engine.call(Some(&owner), "executions.start", start).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn registering_makes_a_bot_and_another_revision_a_version() {
        let folder = tempfile::tempdir().unwrap();
        let one = engine(folder.path()).await;
        let order = || Workflow::new("order");
        assert_eq!(one.workflow_with(order(), gives(json!(1))).await.unwrap(), 1);
        one.start().await.unwrap();
        let ended = run(&one, json!({})).await;
        assert_eq!((&ended["output"], &ended["status"]), (&json!(1), &json!("succeeded")));
        assert_eq!(one.workflow_with(order(), gives(json!(2))).await.unwrap(), 1, "nothing is new about the bot");
        assert_eq!(run(&one, json!({})).await["output"], 2, "the function is another one");
        let second = order().revision("2").inputs(json!({"type": "object", "required": ["n"]}));
        assert_eq!(one.workflow_with(second.clone(), gives(json!(3))).await.unwrap(), 2);
        assert_eq!(one.workflow_with(second, gives(json!(3))).await.unwrap(), 2);
        assert_eq!(run(&one, json!({"n": 1})).await["output"], 3);
        assert_eq!(one.workflow_with(order().only_finishes(), gives(json!(4))).await.unwrap(), 0);
        one.shutdown().await;
        drop(one);
        let again = engine(folder.path()).await;
        again.workflow_with(order().revision("2"), gives(json!(5))).await.unwrap();
        again.start().await.unwrap();
        let ended = run(&again, json!({"n": 1})).await;
        assert_eq!((&ended["output"], &ended["runs_on"]), (&json!(5), &json!(["native:order@2"])));
        again.shutdown().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bot_that_is_something_else_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await;
        let owner = engine.local_owner().await.unwrap();
        let text = "codex32: v1\nname: order\nsteps: [{wait: 1s}]\n";
        engine.call(Some(&owner), "bots.create", json!({"blueprint": text})).await.unwrap();
        let error = engine.workflow_with(Workflow::new("order"), gives(json!(1))).await.unwrap_err();
        assert_eq!(error.code(), Code::Conflict, "{error}");
        for wrong in [Workflow::new("Order!"), Workflow::new("o").revision("A b"), Workflow::new("o").inputs(json!([]))]
        {
            let error = engine.workflow_with(wrong, gives(json!(1))).await.unwrap_err();
            assert_eq!(error.code(), Code::Invalid, "{error}");
        }
        engine.shutdown().await;
    }
}
