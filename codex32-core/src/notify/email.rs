//! Notices as mails.

use super::{Notice, Notifier};
use crate::clock::Clock;
use crate::connector::net::{Calling, Guard, Net};
use crate::connector::{Mail, Mailer, OneOrMany};
use crate::error::{Error, Result};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Mails each notice to fixed recipients.
pub struct EmailNotifier {
    mailer: Mailer,
    clock: Arc<dyn Clock>,
    server: SecretString,
    from: String,
    to: Vec<String>,
    /// The operator's own mail server, wherever it is.
    guard: Guard,
}

impl EmailNotifier {
    /// A notifier that hands its mails to `server` (`smtp://` or `smtps://`, with user
    /// and password as the `email` connector takes them).
    ///
    /// # Errors
    /// `invalid` where nobody is named.
    pub fn new(
        net: Arc<Net>,
        clock: Arc<dyn Clock>,
        server: SecretString,
        from: &str,
        to: &[String],
    ) -> Result<EmailNotifier> {
        if to.is_empty() {
            return Err(Error::invalid("nobody is named who should get notices by mail"));
        }
        let guard = Guard::new(&[], false).trusting(server.expose_secret());
        Ok(EmailNotifier { mailer: Mailer::new(net), clock, guard, server, from: from.to_owned(), to: to.to_vec() })
    }
}

#[async_trait::async_trait]
impl Notifier for EmailNotifier {
    fn name(&self) -> &str {
        "email"
    }

    async fn notify(&self, notice: &Notice) -> Result<()> {
        let calling = Calling {
            workspace: notice.workspace,
            idempotency_key: notice.key.clone(),
            deadline: None,
            cancel: CancellationToken::new(),
            clock: self.clock.clone(),
        };
        // A heading is one line, whatever a bot made of it.
        let title: String = notice.title.split_whitespace().collect::<Vec<_>>().join(" ");
        let title: String = title.chars().take(200).collect();
        let about = notice.bot.as_ref().map(|bot| format!("\n\nBot: {bot}")).unwrap_or_default();
        let mail = Mail {
            to: Some(OneOrMany::Many(self.to.clone())),
            cc: None,
            bcc: None,
            reply_to: None,
            subject: format!("[{}] {title}", notice.severity.as_str()),
            text: Some(format!("{}{about}", notice.text)),
            html: None,
            attachments: Vec::new(),
        };
        let connection = json!({"url": self.server.expose_secret(), "from": self.from});
        self.mailer.send(&calling, &self.guard, connection, mail).await.map(|_| ())
    }
}
