//! `email`: mail over SMTP.

use crate::connector::input::{self, OneOrMany, no_action, read};
use crate::connector::net::{Calling, Guard, Net, within};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use rand::RngExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// Longest time for handing a mail to the server, in milliseconds.
const LIMIT_MS: u64 = 60_000;
/// Most bytes of a mail.
const MAX_MAIL: usize = 30 * 1024 * 1024;

pub(super) struct Email(Mailer);

impl Email {
    pub(super) fn new(mailer: Mailer) -> Email {
        Email(mailer)
    }
}

/// A mail to be sent.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mail {
    /// Those of the connection where absent.
    pub(crate) to: Option<OneOrMany>,
    pub(crate) cc: Option<OneOrMany>,
    pub(crate) bcc: Option<OneOrMany>,
    pub(crate) reply_to: Option<String>,
    pub(crate) subject: String,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
    #[serde(default)]
    pub(crate) attachments: Vec<File>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct File {
    name: String,
    content_type: String,
    text: Option<String>,
    base64: Option<String>,
}

#[derive(Deserialize)]
struct Server {
    url: String,
    from: String,
    to: Option<OneOrMany>,
}

#[async_trait::async_trait]
impl Connector for Email {
    fn name(&self) -> &str {
        "email"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "send" {
            return Err(no_action("email", action));
        }
        let connection = cx.connection.clone().ok_or_else(|| Error::precondition("there is no mail connection"))?;
        self.0.send(cx, &Guard::of(cx), connection, read(input)?).await
    }
}

/// Hands mails to SMTP servers, through the guard.
#[derive(Debug, Clone)]
pub(crate) struct Mailer {
    net: Arc<Net>,
}

impl Mailer {
    pub(crate) fn new(net: Arc<Net>) -> Mailer {
        Mailer { net }
    }

    /// Sends `mail` by the server of `connection` (`{url, from, to}`).
    ///
    /// # Errors
    /// `invalid` for addresses, `unavailable` where the server is not there or refuses
    /// for now, `failed` where it refuses for good, `forbidden`, `timeout`, `cancelled`.
    pub(crate) async fn send(
        &self,
        calling: impl Into<Calling>,
        guard: &Guard,
        connection: Value,
        mut mail: Mail,
    ) -> Result<Value> {
        let calling: Calling = calling.into();
        let server: Server = read(connection)?;
        if mail.to.is_none() {
            let nobody = || {
                Error::invalid("the mail goes to nobody")
                    .at("/to", "is missing, and the connection names nobody either")
                    .hint("write `to: me@example.com`, or add \"to\" to the connection")
            };
            mail.to = Some(server.to.ok_or_else(nobody)?);
        }
        let (message, id) = compose(&calling, &server.from, mail)?;
        let recipients: Vec<String> = message.envelope().to().iter().map(ToString::to_string).collect();
        within(&calling, LIMIT_MS, "the mail server", self.deliver(guard, &server.url, message)).await?;
        Ok(json!({"message_id": id, "recipients": recipients}))
    }

    async fn deliver(&self, guard: &Guard, url: &str, message: Message) -> Result<()> {
        let url = Url::parse(url).map_err(|_| Error::invalid("the address of the mail server is not right"))?;
        let host = url.host_str().ok_or_else(|| Error::invalid("the address of the mail server has no host"))?;
        let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let (port, tls) = match (url.scheme(), tls.as_deref()) {
            ("smtps", _) => (465, Tls::Wrapper(parameters(host)?)),
            ("smtp", None | Some("none")) => (25, Tls::None),
            ("smtp", Some("required")) => (587, Tls::Required(parameters(host)?)),
            ("smtp", Some("opportunistic")) => (587, Tls::Opportunistic(parameters(host)?)),
            _ => {
                return Err(Error::invalid("the address of the mail server is of an unknown kind")
                    .hint("use smtps://, smtp:// or smtp://...?tls=required"));
            }
        };
        let port = url.port().unwrap_or(port);
        let at = reachable(self.net.addresses(guard, host, port).await?).await?;
        transport(&url, at, tls)?.send(message).await.map(|_| ()).map_err(|e| refused(&e))
    }
}

/// The first address that answers.
async fn reachable(addresses: Vec<SocketAddr>) -> Result<SocketAddr> {
    if let [only] = addresses[..] {
        return Ok(only);
    }
    for address in addresses {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(address);
        }
    }
    Err(Error::unavailable("the mail server cannot be connected to"))
}

/// A transport to the checked address; the name only serves the certificate.
fn transport(url: &Url, at: SocketAddr, tls: Tls) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    let bad = || Error::invalid("the address of the mail server is not right");
    let mut direct = url.clone();
    direct.set_query(None);
    direct.set_scheme("smtp").map_err(|()| bad())?;
    direct.set_ip_host(at.ip()).map_err(|()| bad())?;
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(direct.as_str()).map_err(|_| bad())?;
    Ok(builder.port(at.port()).tls(tls).timeout(Some(Duration::from_millis(LIMIT_MS))).build())
}

fn parameters(host: &str) -> Result<TlsParameters> {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    TlsParameters::new(host).map_err(|e| Error::unavailable(format!("TLS cannot be set up: {e}")))
}

fn refused(e: &lettre::transport::smtp::Error) -> Error {
    let code = if e.is_timeout() {
        Code::Timeout
    } else if e.is_permanent() || e.is_client() {
        Code::Failed
    } else {
        Code::Unavailable
    };
    let why = std::error::Error::source(e).map_or_else(|| e.to_string(), |inner| format!("{e}: {inner}"));
    Error::new(code, format!("the mail server did not take the mail: {why}"))
}

/// The message with its Message-ID, which is the same for every attempt of a step.
fn compose(calling: &Calling, from: &str, mail: Mail) -> Result<(Message, String)> {
    let from = mailbox(from, "from")?;
    let key = hex::encode(&Sha256::digest(format!("{}/{}", calling.workspace, calling.idempotency_key))[..16]);
    let unique =
        if calling.idempotency_key.is_empty() { format!("{:032x}", rand::rng().random::<u128>()) } else { key };
    let id = format!("<{unique}@{}>", from.email.domain());
    let date = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(calling.clock.now()).unwrap_or(0));
    let mut builder = Message::builder().from(from).message_id(Some(id.clone())).date(date).subject(mail.subject);
    let lists = [("to", mail.to), ("cc", mail.cc), ("bcc", mail.bcc)];
    for (field, list) in lists {
        for address in list.map(OneOrMany::into_vec).unwrap_or_default() {
            let address = mailbox(&address, field)?;
            builder = match field {
                "to" => builder.to(address),
                "cc" => builder.cc(address),
                _ => builder.bcc(address),
            };
        }
    }
    if let Some(address) = mail.reply_to {
        builder = builder.reply_to(mailbox(&address, "reply_to")?);
    }
    let message = body(builder, mail.text, mail.html, mail.attachments)?;
    if message.formatted().len() > MAX_MAIL {
        return Err(Error::new(Code::TooLarge, format!("the mail is larger than {MAX_MAIL} bytes")));
    }
    Ok((message, id))
}

fn mailbox(text: &str, field: &str) -> Result<Mailbox> {
    text.trim().parse().map_err(|e: lettre::address::AddressError| {
        Error::invalid(format!("`{field}` holds something that is no mail address: {e}"))
            .at(format!("/{field}"), "is no mail address")
            .hint("write me@example.com or Me <me@example.com>")
    })
}

fn body(builder: MessageBuilder, text: Option<String>, html: Option<String>, files: Vec<File>) -> Result<Message> {
    let bad = |e: lettre::error::Error| Error::invalid(format!("the mail cannot be written: {e}"));
    let content = match (text, html) {
        (text, None) => Content::Single(SinglePart::plain(text.unwrap_or_default())),
        (None, Some(html)) => Content::Single(SinglePart::html(html)),
        (Some(text), Some(html)) => Content::Both(MultiPart::alternative_plain_html(text, html)),
    };
    if files.is_empty() {
        return match content {
            Content::Single(part) => builder.singlepart(part).map_err(bad),
            Content::Both(part) => builder.multipart(part).map_err(bad),
        };
    }
    let mut mixed = match content {
        Content::Single(part) => MultiPart::mixed().singlepart(part),
        Content::Both(part) => MultiPart::mixed().multipart(part),
    };
    for file in files {
        let media = ContentType::parse(&file.content_type)
            .map_err(|_| Error::invalid(format!("\"{}\" is no media type", file.content_type)))?;
        let bytes = input::bytes(file.text, file.base64, &format!("the attachment {}", file.name))?;
        // Always base64: the library would send small files with control characters as they are.
        let contents = Body::new_with_encoding(bytes, ContentTransferEncoding::Base64)
            .map_err(|_| Error::internal("an attachment cannot be encoded"))?;
        mixed = mixed.singlepart(Attachment::new(file.name).body(contents, media));
    }
    builder.multipart(mixed).map_err(bad)
}

enum Content {
    Single(SinglePart),
    Both(MultiPart),
}
