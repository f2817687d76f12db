//! Notices as signed HTTP requests.

use super::{Notice, Notifier};
use crate::clock::Clock;
use crate::connector::net::{Calling, Guard, Net, Outgoing};
use crate::connector::post_signed;
use crate::error::{Code, Error, Result};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Posts each notice as JSON to one address, signed with HMAC-SHA256 in
/// `X-Signature-256` where a secret is given.
pub struct WebhookNotifier {
    net: Arc<Net>,
    clock: Arc<dyn Clock>,
    url: Url,
    secret: Option<SecretString>,
    /// The operator's own address, wherever it is.
    guard: Guard,
}

impl WebhookNotifier {
    /// A notifier for `url`.
    ///
    /// # Errors
    /// `invalid` where `url` is no http or https address.
    pub fn new(
        net: Arc<Net>,
        clock: Arc<dyn Clock>,
        url: &str,
        secret: Option<SecretString>,
    ) -> Result<WebhookNotifier> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let parsed = parsed.ok_or_else(|| {
            Error::invalid("the address for notices is not right")
                .hint("write it whole, such as https://example.com/hook")
        })?;
        Ok(WebhookNotifier { net, clock, guard: Guard::new(&[], false).trusting(url), url: parsed, secret })
    }
}

#[async_trait::async_trait]
impl Notifier for WebhookNotifier {
    fn name(&self) -> &str {
        "webhook"
    }

    async fn notify(&self, notice: &Notice) -> Result<()> {
        let calling = Calling {
            workspace: notice.workspace,
            idempotency_key: notice.key.clone(),
            deadline: None,
            cancel: CancellationToken::new(),
            clock: self.clock.clone(),
        };
        let body = serde_json::to_value(notice).map_err(|e| Error::internal(format!("a notice is no JSON: {e}")))?;
        let secret = self.secret.as_ref().map(SecretString::expose_secret);
        let request = Outgoing::new(Method::POST, self.url.clone());
        let answer = post_signed(&self.net, &calling, &self.guard, request, &body, secret).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let code = if answer.status.is_client_error() { Code::Failed } else { Code::Unavailable };
        Err(Error::new(code, format!("the receiver of notices answered {}", answer.status)))
    }
}
