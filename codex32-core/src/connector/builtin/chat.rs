//! `slack`, `discord` and `telegram`: messages to chats.

use super::http::status_error;
use crate::connector::input::{no_action, read};
use crate::connector::net::{Guard, Incoming, Net, Outgoing};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use url::Url;

pub(super) struct Slack(pub(super) Arc<Net>);
pub(super) struct Discord(pub(super) Arc<Net>);
pub(super) struct Telegram(pub(super) Arc<Net>);

/// A connection of any of the three.
#[derive(Deserialize, Default)]
struct Account {
    webhook_url: Option<String>,
    token: Option<String>,
    channel: Option<String>,
    chat_id: Option<Value>,
    base_url: Option<String>,
}

impl Account {
    fn of(cx: &ActionContext) -> Result<Account> {
        cx.connection.clone().map_or_else(|| Err(Error::precondition("there is no connection")), read)
    }

    fn base(&self, default: &str) -> String {
        self.base_url.as_deref().unwrap_or(default).trim_end_matches('/').to_owned()
    }
}

/// Posts `body` to `url` and reads the answer's JSON; null where it has none.
async fn post(
    net: &Net,
    cx: &ActionContext,
    url: &str,
    token: Option<String>,
    body: Value,
) -> Result<(Incoming, Value)> {
    let target = Url::parse(url).map_err(|_| Error::invalid("the connection holds an address that is none"))?;
    let mut request = Outgoing::new(Method::POST, target).json(&body);
    request.follow = 0;
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&token)
            .map_err(|_| Error::invalid("the token holds characters that cannot be sent"))?;
        value.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, value);
    }
    let answer = net.send(cx, &Guard::of(cx).trusting(url), request).await?;
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    Ok((answer, body))
}

/// A field of `map` that is only there when it is given.
fn put(map: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(name.into(), value.into());
    }
}

#[derive(Deserialize)]
struct SlackMessage {
    text: String,
    channel: Option<String>,
    thread: Option<String>,
    blocks: Option<Vec<Value>>,
}

#[async_trait::async_trait]
impl Connector for Slack {
    fn name(&self) -> &str {
        "slack"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "send" {
            return Err(no_action("slack", action));
        }
        let (account, message): (Account, SlackMessage) = (Account::of(cx)?, read(input)?);
        let mut body = Map::new();
        put(&mut body, "text", Some(message.text));
        put(&mut body, "blocks", message.blocks);
        let Some(token) = account.token.clone() else {
            if message.channel.is_some() || message.thread.is_some() {
                return Err(needs_token("a Slack webhook has one channel", "channel or thread"));
            }
            let (answer, _) =
                post(&self.0, cx, account.webhook_url.as_deref().unwrap_or_default(), None, body.into()).await?;
            return match answer.status.is_success() {
                true => Ok(json!({"channel": null, "ts": null})),
                false => Err(status_error(cx.clock.now(), &answer)),
            };
        };
        let channel = message.channel.or_else(|| account.channel.clone()).ok_or_else(|| no_target("channel"))?;
        put(&mut body, "channel", Some(channel));
        put(&mut body, "thread_ts", message.thread);
        let url = format!("{}/chat.postMessage", account.base("https://slack.com/api"));
        let (answer, said) = post(&self.0, cx, &url, Some(format!("Bearer {token}")), body.into()).await?;
        if !answer.status.is_success() {
            return Err(status_error(cx.clock.now(), &answer));
        }
        // Slack says 200 to everything and means it only with `ok`.
        if said["ok"] != true {
            let why = said["error"].as_str().unwrap_or("an answer that is not Slack's");
            let code = match why {
                "ratelimited" | "rate_limited" => Code::RateLimited,
                "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => Code::Unavailable,
                _ => Code::Failed,
            };
            return Err(Error::new(code, format!("Slack did not take the message: {why}")));
        }
        Ok(json!({"channel": said["channel"], "ts": said["ts"]}))
    }
}

#[derive(Deserialize)]
struct DiscordMessage {
    text: String,
    channel: Option<String>,
    username: Option<String>,
    embeds: Option<Vec<Value>>,
}

#[async_trait::async_trait]
impl Connector for Discord {
    fn name(&self) -> &str {
        "discord"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "send" {
            return Err(no_action("discord", action));
        }
        let (account, message): (Account, DiscordMessage) = (Account::of(cx)?, read(input)?);
        let mut body = Map::new();
        put(&mut body, "content", Some(message.text));
        put(&mut body, "embeds", message.embeds);
        // A bot's text is data: it must not be able to ring for everyone.
        put(&mut body, "allowed_mentions", Some(json!({"parse": ["users", "roles"]})));
        let (answer, said) = if let Some(token) = account.token.clone() {
            if message.username.is_some() {
                return Err(
                    Error::invalid("a Discord bot has one name").at("/username", "needs a webhook, not a token")
                );
            }
            let channel = message.channel.or_else(|| account.channel.clone()).ok_or_else(|| no_target("channel"))?;
            if !channel.chars().all(|c| c.is_ascii_digit()) {
                return Err(Error::invalid("a Discord channel is named by its number").at("/channel", "must be digits"));
            }
            // Discord drops a second message with the same nonce.
            let nonce = hex::encode(&Sha256::digest(&cx.idempotency_key)[..12]);
            put(&mut body, "nonce", Some(nonce));
            put(&mut body, "enforce_nonce", Some(true));
            let url = format!("{}/channels/{channel}/messages", account.base("https://discord.com/api/v10"));
            post(&self.0, cx, &url, Some(format!("Bot {token}")), body.into()).await?
        } else {
            if message.channel.is_some() {
                return Err(needs_token("a Discord webhook has one channel", "channel"));
            }
            put(&mut body, "username", message.username);
            let mut url = Url::parse(account.webhook_url.as_deref().unwrap_or_default())
                .map_err(|_| Error::invalid("the connection holds an address that is none"))?;
            url.query_pairs_mut().append_pair("wait", "true");
            post(&self.0, cx, url.as_str(), None, body.into()).await?
        };
        if !answer.status.is_success() {
            return Err(status_error(cx.clock.now(), &answer));
        }
        Ok(json!({"id": said["id"], "channel": said["channel_id"]}))
    }
}

#[derive(Deserialize)]
struct TelegramMessage {
    text: String,
    chat_id: Option<Value>,
    format: String,
    silent: bool,
}

#[async_trait::async_trait]
impl Connector for Telegram {
    fn name(&self) -> &str {
        "telegram"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "send" {
            return Err(no_action("telegram", action));
        }
        let (account, message): (Account, TelegramMessage) = (Account::of(cx)?, read(input)?);
        let token = account.token.clone().unwrap_or_default();
        // The token becomes part of a path: nothing in it may lead to another place.
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-')) {
            return Err(Error::invalid("the Telegram token is none").hint("it looks like 123456:ABC-DEF"));
        }
        let chat = message.chat_id.or_else(|| account.chat_id.clone()).ok_or_else(|| no_target("chat_id"))?;
        let mut body = Map::new();
        put(&mut body, "chat_id", Some(chat));
        put(&mut body, "text", Some(message.text));
        put(&mut body, "disable_notification", message.silent.then_some(true));
        let mode = match message.format.as_str() {
            "html" => Some("HTML"),
            "markdown" => Some("MarkdownV2"),
            _ => None,
        };
        put(&mut body, "parse_mode", mode);
        let url = format!("{}/bot{token}/sendMessage", account.base("https://api.telegram.org"));
        let (answer, said) = post(&self.0, cx, &url, None, body.into()).await?;
        if said["ok"] != true {
            let mut error = status_error(cx.clock.now(), &answer);
            if let Some(why) = said["description"].as_str() {
                error = Error::new(error.code(), format!("Telegram did not take the message: {why}"));
            } else if answer.status.is_success() {
                error = Error::new(Code::Failed, "Telegram did not take the message: an answer that is not Telegram's");
            }
            return Err(match said["parameters"]["retry_after"].as_u64() {
                Some(seconds) => error.retry_after_ms(seconds.saturating_mul(1_000)),
                None => error,
            });
        }
        Ok(json!({"message_id": said["result"]["message_id"], "chat_id": said["result"]["chat"]["id"]}))
    }
}

fn needs_token(why: &str, what: &str) -> Error {
    Error::invalid(format!("{why}, so that {what} cannot be chosen")).hint("store a connection with a token")
}

fn no_target(field: &str) -> Error {
    Error::invalid(format!("neither the step nor the connection names a {field}"))
        .at(format!("/{field}"), "is missing")
        .hint(format!("set `{field}` in the step's `with` or in the connection"))
}
