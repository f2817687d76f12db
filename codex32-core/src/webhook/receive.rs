//! From a request to a durable start.

use super::{Outcome, Request, Webhooks, body, signature};
use crate::error::{Code, Error, Result};
use crate::execution::Started;
use crate::id::{TriggerId, WorkspaceId};
use crate::storage::entity::triggers;
use crate::trigger::{Cause, Kind, Spec, firing, store};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::PoisonError;

/// Headers by which senders number their deliveries, in the order in which they count.
const DELIVERY_HEADERS: [&str; 7] = [
    "idempotency-key",
    "webhook-id",
    "svix-id",
    "x-github-delivery",
    "x-gitlab-event-uuid",
    "x-shopify-webhook-id",
    "x-delivery-id",
];
/// Longest key that a sender may give, in bytes.
const MAX_KEY: usize = 512;
/// `last_fired` of a busy webhook is written this often at most, in milliseconds.
const NOTE_EVERY_MS: i64 = 1_000;

impl Webhooks {
    /// Takes a request that came in at `/hooks/{workspace}/{path}` and says what to
    /// answer. Dropping the future (the sender hung up) loses nothing that was started.
    ///
    /// # Errors
    /// `not_found` where no enabled trigger has the path, `too_large` for the body,
    /// `unauthenticated` for the signature, `invalid` for a body that cannot be read,
    /// lacks a required field or does not satisfy the bot's `inputs`, `busy` at capacity.
    pub async fn receive(&self, workspace: WorkspaceId, path: &str, request: Request) -> Result<Outcome> {
        let path = path.trim_matches('/');
        let read = store::by_path(self.parts.db.read(), workspace, path);
        let row = self.triggers.get((workspace, path.to_owned()), read).await?.filter(|row| row.enabled);
        let row = row.ok_or_else(|| Error::new(Code::NotFound, "there is no webhook at this path"))?;
        let Spec::Webhook { method, secret, require, reply } = Spec::from_text(&row.spec)? else {
            return Err(Error::internal("a webhook's row has the settings of another kind"));
        };
        if !request.method.eq_ignore_ascii_case(&method) {
            return Ok(Outcome::MethodNotAllowed { allow: method });
        }
        let (size, limit) = (request.body.len(), self.parts.config.max_body);
        if size > limit {
            return Err(Error::new(Code::TooLarge, format!("the body has {size} bytes, more than {limit}")));
        }
        if let Some(name) = &secret {
            self.check_signature(workspace, &row, name, &request).await?;
        }
        let input = body::input(&request)?;
        body::require(&input, &require)?;
        let cause = self.cause(path, &request, &input)?;
        let started = self.parts.starter.start(firing(&row, cause, input)).await?;
        self.note(&row).await;
        metrics::counter!("codex32_trigger_fired_total", "kind" => "webhook").increment(1);
        if reply {
            return self.answer(workspace, started.id, started.existing).await;
        }
        let Started { id, existing, .. } = started;
        Ok(Outcome::Accepted { execution: id, existing })
    }

    async fn check_signature(
        &self,
        workspace: WorkspaceId,
        row: &triggers::Model,
        name: &str,
        request: &Request,
    ) -> Result<()> {
        let Some(key) = self.parts.signer.key(workspace, name).await? else {
            // Which secret is missing is for the bot's people; the sender has no name yet.
            let missing = Error::precondition(format!("the signing secret \"{name}\" is not set"));
            tracing::warn!(trigger = %row.id, bot = %row.bot_name, "a webhook's signing secret is not set");
            let (id, now) = (row.id, self.parts.clock.now());
            self.parts
                .db
                .write(move |tx| Box::pin(async move { store::note_error(tx, id, &missing, now).await }))
                .await?;
            return Err(Error::new(Code::Unauthenticated, "the request's signature cannot be checked"));
        };
        signature::verify(request, key.expose_secret().as_bytes(), self.parts.clock.now())
    }

    fn cause(&self, path: &str, request: &Request, input: &Value) -> Result<Cause> {
        let now = self.parts.clock.now();
        let given = DELIVERY_HEADERS.iter().find_map(|name| Some((*name, request.header(name)?)));
        let key = match given {
            Some((name, key)) if !key.is_empty() && key.len() <= MAX_KEY => {
                // A digest, since the sender's text may be anything; the path keeps two hooks of a bot apart.
                let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(key).finalize();
                format!("webhook:{path}:{}", hex::encode(&digest[..16]))
            }
            Some((name, _)) => {
                return Err(Error::invalid(format!("the header {name} is empty or longer than {MAX_KEY} bytes")));
            }
            None => format!("webhook:{path}:{}", TriggerId::at(now)),
        };
        let more = json!({
            "method": request.method.to_ascii_uppercase(),
            "path": path,
            "query": body::fields(request.query.as_bytes()),
            "headers": body::headers(request),
            "body": input,
            "remote": request.remote,
        });
        Ok(Cause { kind: Kind::Webhook, at: now, depth: 0, more, key })
    }

    /// Notes when the trigger last fired; not for each request of a busy one.
    async fn note(&self, row: &triggers::Model) {
        let (id, now) = (row.id, self.parts.clock.now());
        {
            let mut fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
            fired.retain(|_, at| now - *at < NOTE_EVERY_MS);
            if fired.contains_key(&id) {
                return;
            }
            fired.insert(id, now);
        }
        let noted = self
            .parts
            .db
            .write(move |tx| {
                Box::pin(async move {
                    match store::locked(tx, id).await? {
                        Some(row) => store::fired(tx, &row, now).await,
                        None => Ok(()),
                    }
                })
            })
            .await;
        if let Err(error) = noted {
            // The start is durable; when it was is only for show.
            tracing::warn!(trigger = %id, %error, "the time of a webhook's start could not be noted");
        }
    }
}
