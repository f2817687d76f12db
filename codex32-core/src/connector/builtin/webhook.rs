//! `webhook`: answers to incoming webhooks, and outgoing signed ones.

use super::http::{Shape, decode, header, plain, status_error};
use crate::connector::input::{millis, no_action, read};
use crate::connector::net::{Calling, Guard, Incoming, Net, Outgoing};
use crate::connector::{ActionContext, Connector};
use crate::error::{Error, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::sync::Arc;
use url::Url;

pub(super) struct Webhook(pub(super) Arc<Net>);

#[derive(Deserialize)]
struct Reply {
    status: u16,
    headers: Value,
    body: Value,
}

#[derive(Deserialize)]
struct Send {
    url: String,
    json: Value,
    secret: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    timeout: String,
}

#[async_trait::async_trait]
impl Connector for Webhook {
    fn name(&self) -> &str {
        "webhook"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        match action {
            "reply" => {
                let reply: Reply = read(input)?;
                cx.services.reply(cx, reply.status, reply.headers, reply.body).await?;
                Ok(json!({"status": reply.status}))
            }
            "send" => {
                let send: Send = read(input)?;
                let url = Url::parse(&send.url)
                    .map_err(|e| Error::invalid(format!("the url is not right: {e}")).at("/url", e.to_string()))?;
                let mut request = Outgoing::new(Method::POST, url);
                for (name, value) in &send.headers {
                    let (name, value) = header(name, &plain(value))?;
                    request.headers.insert(name, value);
                }
                request.timeout_ms = millis(&send.timeout)?;
                let answer =
                    post_signed(&self.0, cx, &Guard::of(cx), request, &send.json, send.secret.as_deref()).await?;
                if !answer.status.is_success() {
                    return Err(status_error(cx.clock.now(), &answer));
                }
                Ok(json!({"status": answer.status.as_u16(), "body": decode(&answer, Shape::Auto)?}))
            }
            _ => Err(no_action("webhook", action)),
        }
    }
}

/// Posts `body` with its HMAC-SHA256 signature, in the form that the engine's own
/// webhooks check: `X-Signature-256: sha256=HEX` over the bytes of the body.
pub(crate) async fn post_signed(
    net: &Net,
    calling: impl Into<Calling>,
    guard: &Guard,
    request: Outgoing,
    body: &Value,
    secret: Option<&str>,
) -> Result<Incoming> {
    let mut request = request.json(body);
    if let Some(secret) = secret {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map_err(|_| Error::invalid("the secret cannot be a key"))?;
        mac.update(&request.body);
        let text = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let value = HeaderValue::from_str(&text).map_err(|_| Error::internal("a signature is no header value"))?;
        request.headers.insert("x-signature-256", value);
    }
    // A signed body only goes to the receiver that it was signed for.
    request.follow = 0;
    net.send(calling, guard, request).await
}
