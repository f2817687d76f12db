//! The poller over the engine's connectors.

use super::poll::{Look, Poller};
use crate::clock::Clock;
use crate::connector::{ActionContext, Connectors, Polled, Services};
use crate::error::{Code, Error, Result};
use crate::expr::{Scope, Template};
use crate::observe::NoSink;
use crate::secret::Secrets;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Asks the connectors, with the secrets and the connection that the trigger may use.
/// What an error says is redacted, since it is stored.
#[derive(Clone)]
pub struct ConnectorPoller {
    connectors: Arc<Connectors>,
    secrets: Secrets,
    services: Arc<dyn Services>,
    clock: Arc<dyn Clock>,
}

impl ConnectorPoller {
    /// A poller over these connectors.
    #[must_use]
    pub fn new(
        connectors: Arc<Connectors>,
        secrets: Secrets,
        services: Arc<dyn Services>,
        clock: Arc<dyn Clock>,
    ) -> ConnectorPoller {
        ConnectorPoller { connectors, secrets, services, clock }
    }

    async fn look(&self, look: Look) -> Result<Polled> {
        let input = self.settings(&look).await?;
        let connector = look.source.split('.').next().unwrap_or_default();
        let connection = look.connection.as_deref().unwrap_or(connector);
        let cx = ActionContext {
            workspace: look.workspace,
            bot: Some(look.bot),
            bot_name: look.bot_name,
            execution: None,
            step: String::new(),
            attempt: 1,
            idempotency_key: format!("poll:{}", look.trigger),
            deadline: Some(look.deadline),
            network: look.network,
            connection: self.secrets.connection(look.workspace, connection).await?,
            cancel: look.cancel,
            log: Arc::new(NoSink),
            clock: self.clock.clone(),
            services: self.services.clone(),
        };
        self.connectors.poll(&look.source, &cx, input, look.cursor).await
    }

    /// The trigger's settings with the secrets that they name.
    async fn settings(&self, look: &Look) -> Result<Value> {
        let wrong = |place: &str, e: &dyn std::fmt::Display| {
            Error::invalid(format!("the settings of the trigger at {place}: {e}"))
        };
        let template = Template::compile(&look.with).map_err(|all| match all.first() {
            Some((place, e)) => wrong(place, e),
            None => wrong("/", &"they cannot be read"),
        })?;
        let mut names = Vec::new();
        for name in template.references().secrets() {
            if !look.secrets.iter().any(|allowed| allowed == name) {
                return Err(Error::new(Code::Forbidden, format!("the bot may not use the secret \"{name}\""))
                    .hint("name it under permissions: secrets"));
            }
            names.push(name.to_owned());
        }
        let values = self.secrets.resolve(look.workspace, &names).await?;
        let values: Map<String, Value> = values.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        let scope = Scope::new().with("secrets", Value::Object(values));
        template.render(&scope).map_err(|e| wrong("/with", &e))
    }
}

#[async_trait::async_trait]
impl Poller for ConnectorPoller {
    async fn poll(&self, look: Look) -> Result<Polled> {
        let workspace = look.workspace;
        match self.look(look).await {
            Ok(polled) => Ok(polled),
            // Without a redactor nothing of the error may be let through.
            Err(error) => match self.secrets.redactor(workspace).await {
                Ok(redactor) => Err(redactor.error(error)),
                Err(_) => Err(Error::new(error.code(), "the look for news failed, and its reason cannot be redacted")),
            },
        }
    }
}
