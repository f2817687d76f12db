//! What starts a bot.

use serde_json::Value;

use super::expressions::Place;
use super::{Fields, Reader, shortened};
use crate::blueprint::tree::{Data, Node};
use crate::blueprint::types::{
    BotEnd, BotTrigger, EventTrigger, Missed, PollTrigger, Respond, ScheduleTrigger, Span, Trigger, WebhookTrigger,
};
use crate::expr::suggest;

/// Most triggers of a bot.
const MAX_TRIGGERS: usize = 100;

/// How often a connector looks for news where the blueprint does not say: 5 minutes.
pub(in crate::blueprint) const POLL_EVERY: Span = Span(300_000);

const KINDS: [&str; 5] = ["schedule", "webhook", "event", "bot", "use"];
const ALL_KEYS: &[&str] = &[
    "schedule",
    "timezone",
    "missed",
    "jitter",
    "input",
    "webhook",
    "method",
    "secret",
    "require",
    "respond",
    "event",
    "where",
    "bot",
    "when",
    "use",
    "with",
    "connection",
    "every",
    "manual",
];
const SCHEDULE: &[&str] = &["schedule", "timezone", "missed", "jitter", "input"];
const WEBHOOK: &[&str] = &["webhook", "method", "secret", "require", "respond"];
const EVENT: &[&str] = &["event", "where"];
const BOT: &[&str] = &["bot", "when"];
const POLL: &[&str] = &["use", "with", "connection", "every"];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

impl Reader {
    /// The list of triggers; one alone may stand without a list.
    pub(super) fn triggers(&mut self, node: &Node) -> Vec<Trigger> {
        match &node.data {
            Data::List(items) => {
                if items.len() > MAX_TRIGGERS {
                    self.error(node, format!("a bot has at most {MAX_TRIGGERS} triggers"), None);
                }
                // A trigger that cannot be read leaves its place, so that pointers fit the text.
                items.iter().map(|item| self.trigger(item).unwrap_or(Trigger::Manual)).collect()
            }
            Data::Null => Vec::new(),
            _ => self.trigger(node).into_iter().collect(),
        }
    }

    fn trigger(&mut self, node: &Node) -> Option<Trigger> {
        let entries = match &node.data {
            Data::Text(text, _) => return self.word(node, text),
            Data::Map(entries) => entries,
            _ => {
                self.wrong(node, "a trigger", Some("for example `- schedule: every 5 minutes`".to_owned()));
                return None;
            }
        };
        let fields = Fields { entries };
        if fields.has("manual") {
            self.error(node, "a manual start takes no settings", Some("write `- manual`".to_owned()));
            return None;
        }
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
        let kind = match kinds.as_slice() {
            [kind] => *kind,
            [] => {
                self.unknown_keys(node, entries, "a trigger", ALL_KEYS);
                if entries.iter().all(|(key, _)| ALL_KEYS.contains(&&*key.name)) {
                    let hint = "it is one of `schedule`, `webhook`, `event`, `bot`, `use`, `manual`".to_owned();
                    self.error(node, "this trigger has no kind", Some(hint));
                }
                return None;
            }
            [first, second, ..] => {
                let message = format!("a trigger is one thing: this has `{first}` and `{second}`");
                self.error(node, message, Some("begin a new item with `- `".to_owned()));
                return None;
            }
        };
        match kind {
            "schedule" => self.schedule(node).map(Trigger::Schedule),
            "webhook" => self.webhook(node).map(Trigger::Webhook),
            "event" => self.event_trigger(node).map(Trigger::Event),
            "bot" => self.bot_trigger(node).map(Trigger::Bot),
            _ => self.poll(node).map(Trigger::Poll),
        }
    }

    fn word(&mut self, node: &Node, text: &str) -> Option<Trigger> {
        if text == "manual" {
            return Some(Trigger::Manual);
        }
        let hint = match suggest(text, ["manual"]) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("for a time, write `schedule: {}`", shortened(text)),
        };
        self.error(node, format!("`{}` is not a trigger", shortened(text)), Some(hint));
        None
    }

    fn schedule(&mut self, node: &Node) -> Option<ScheduleTrigger> {
        let fields = self.fields(node, "a schedule", SCHEDULE)?;
        let schedule = fields.get("schedule").and_then(|n| self.filled(n, "a phrase or a cron expression"));
        let timezone = fields.get("timezone").and_then(|n| self.timezone(n));
        let choices = [("skip", Missed::Skip), ("once", Missed::Once), ("all", Missed::All)];
        let missed = fields.get("missed").and_then(|n| self.choice(n, &choices)).unwrap_or_default();
        let jitter = fields.get("jitter").and_then(|n| self.span(n));
        let input = fields.get("input").and_then(|n| self.literal_input(n));
        Some(ScheduleTrigger { schedule: schedule?, timezone, missed, jitter, input })
    }

    fn timezone(&mut self, node: &Node) -> Option<String> {
        let name = self.filled(node, "the name of a time zone")?;
        if name.parse::<chrono_tz::Tz>().is_ok() {
            return Some(name);
        }
        let zones = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        // People write the city alone.
        let city = zones.clone().find(|zone| zone.rsplit('/').next().is_some_and(|c| c.eq_ignore_ascii_case(&name)));
        let hint = match city.or_else(|| suggest(&name, zones)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write it like `Europe/Berlin` or `UTC`".to_owned(),
        };
        self.error(node, format!("there is no time zone `{}`", shortened(&name)), Some(hint));
        None
    }

    /// An input that is known when the bot is deployed: no templates.
    fn literal_input(&mut self, node: &Node) -> Option<Value> {
        match &node.data {
            Data::Null => None,
            Data::Map(_) => {
                self.refuse_templates(node);
                Some(node.to_json())
            }
            _ => {
                self.wrong(node, "a map of inputs", None);
                None
            }
        }
    }

    fn refuse_templates(&mut self, node: &Node) {
        match &node.data {
            Data::Text(text, _) if text.contains("{{") => {
                let hint = "compute it in a step".to_owned();
                self.error(node, "templates are not evaluated in the input of a schedule", Some(hint));
            }
            Data::List(items) => items.iter().for_each(|item| self.refuse_templates(item)),
            Data::Map(entries) => entries.iter().for_each(|(_, item)| self.refuse_templates(item)),
            _ => {}
        }
    }

    fn webhook(&mut self, node: &Node) -> Option<WebhookTrigger> {
        let fields = self.fields(node, "a webhook", WEBHOOK)?;
        let path = fields.get("webhook").and_then(|n| self.webhook_path(n));
        let method = fields.get("method").and_then(|n| self.method(n)).unwrap_or_else(|| "POST".to_owned());
        let secret = fields.get("secret").and_then(|n| {
            let name = self.filled(n, "the name of a secret")?;
            self.secret_name(n, &name);
            Some(name)
        });
        let require = fields.get("require").map(|n| self.texts(n, "a list of fields")).unwrap_or_default();
        let choices = [("accepted", Respond::Accepted), ("reply", Respond::Reply)];
        let respond = fields.get("respond").and_then(|n| self.choice(n, &choices)).unwrap_or_default();
        Some(WebhookTrigger { path: path?, method, secret, require, respond })
    }

    fn webhook_path(&mut self, node: &Node) -> Option<String> {
        let path = self.filled(node, "a path")?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
        let shape = !path.starts_with('/') && !path.ends_with('/') && !path.contains("//");
        if shape && path.len() <= 200 && path.chars().all(allowed) {
            return Some(path);
        }
        let hint = "for example `leads` or `shop/orders`".to_owned();
        self.error(node, "the path is made of letters, digits, `-`, `_` and `/` between them", Some(hint));
        None
    }

    fn method(&mut self, node: &Node) -> Option<String> {
        let text = self.filled(node, "an HTTP method")?;
        if METHODS.contains(&text.as_str()) {
            return Some(text);
        }
        let upper = text.to_uppercase();
        let hint = match METHODS.contains(&upper.as_str()) {
            true => format!("write `{upper}`"),
            false => "it is one of `GET`, `POST`, `PUT`, `PATCH`, `DELETE`".to_owned(),
        };
        self.error(node, format!("`{}` is not possible here", shortened(&text)), Some(hint));
        None
    }

    fn event_trigger(&mut self, node: &Node) -> Option<EventTrigger> {
        let fields = self.fields(node, "an event trigger", EVENT)?;
        let event = fields.get("event").and_then(|n| self.event_name(n));
        let filter = fields.get("where").and_then(|n| self.condition(n, &Place::EVENT));
        Some(EventTrigger { event: event?, filter })
    }

    /// The name of an event; a trailing `*` matches any rest.
    pub(super) fn event_name(&mut self, node: &Node) -> Option<String> {
        let name = self.filled(node, "the name of an event")?;
        let stem = name.strip_suffix('*').unwrap_or(&name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.len() <= 128 && stem.chars().all(allowed) {
            return Some(name);
        }
        let hint = "for example `order.created` or `order.*`".to_owned();
        self.error(node, "the name of an event is made of letters, digits, `.`, `_` and `-`", Some(hint));
        None
    }

    fn bot_trigger(&mut self, node: &Node) -> Option<BotTrigger> {
        let fields = self.fields(node, "a bot trigger", BOT)?;
        let bot = fields.get("bot").and_then(|n| {
            let name = self.bot_name(n)?;
            if name == self.known.bot {
                let hint = "to keep a bot running, write `restart: always`".to_owned();
                self.error(n, "a bot cannot be started by its own end", Some(hint));
            }
            Some(name)
        });
        let choices = [("succeeded", BotEnd::Succeeded), ("failed", BotEnd::Failed), ("finished", BotEnd::Finished)];
        let when = fields.get("when").and_then(|n| self.choice(n, &choices)).unwrap_or_default();
        Some(BotTrigger { bot: bot?, when })
    }

    fn poll(&mut self, node: &Node) -> Option<PollTrigger> {
        let fields = self.fields(node, "a connector's trigger", POLL)?;
        let source = fields.get("use").and_then(|n| self.dotted(n, "rss.new_item"));
        let with = match fields.get("with") {
            Some(n) => {
                self.template(n, &Place::POLL);
                self.input(n)
            }
            None => Value::Object(serde_json::Map::new()),
        };
        let connection = fields.get("connection").and_then(|n| self.filled(n, "the name of a connection"));
        let every = fields.get("every").and_then(|n| self.positive_span(n)).unwrap_or(POLL_EVERY);
        Some(PollTrigger { source: source?, with, connection, every })
    }
}
