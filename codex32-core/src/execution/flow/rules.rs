//! The block `flow`, compiled.

use super::Pace;
use super::ticket::{Gathering, Paced, Remembered, Room, Single, Ticket};
use crate::blueprint::{self, OnConflict, Span};
use crate::clock::Millis;
use crate::error::{Error, Fault, Result};
use crate::expr::{Program, Scope};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Longest key that is stored as it is, in bytes; of a longer one its hash.
const MAX_KEY: usize = 160;
/// Priorities lie between this and its negative.
const MAX_PRIORITY: f64 = 1_000.0;

/// The rules of a bot.
#[derive(Debug)]
pub(crate) struct Flow {
    rules: blueprint::Flow,
    keys: Vec<(&'static str, Program)>,
    priority: Option<Program>,
}

impl Flow {
    /// The rules of `flow`; `None` where there are none.
    ///
    /// # Errors
    /// `invalid` with every expression that does not compile.
    pub(crate) fn compile(flow: &blueprint::Flow) -> Result<Option<Flow>> {
        if flow.is_empty() {
            return Ok(None);
        }
        let mut faults = Vec::new();
        let mut compile = |place: &str, source: &str| {
            let fault = |e: crate::expr::ExprError| {
                faults.push(Fault { pointer: format!("/flow/{place}"), message: e.message })
            };
            Program::compile(source).map_err(fault).ok()
        };
        let keys = sources(flow);
        let keys = keys.into_iter().filter_map(|(rule, source)| Some((rule, compile(&format!("{rule}/key"), source)?)));
        let keys = keys.collect();
        let priority = flow.priority.as_deref().and_then(|source| compile("priority", source));
        if !faults.is_empty() {
            return Err(
                Error::invalid("the blueprint's `flow` has expressions that do not compile").with_faults(faults)
            );
        }
        Ok(Some(Flow { rules: flow.clone(), keys, priority }))
    }

    /// What they say of a start with `input` by `trigger`.
    ///
    /// # Errors
    /// `invalid` where a key or the priority cannot be worked out of them.
    pub(crate) fn ticket(&self, input: &Value, trigger: &Value) -> Result<Ticket> {
        let rules = &self.rules;
        let scope = self.scope(input, trigger);
        let name = |rule: &'static str| self.name(rule, &scope);
        let paced = |rule: &'static str, pace: &Option<blueprint::Pace>| -> Result<Option<Paced>> {
            let Some(pace) = pace else { return Ok(None) };
            Ok(Some(Paced { name: name(rule)?, pace: Pace { limit: pace.limit, per: millis(pace.per) } }))
        };
        let gather = match (&rules.debounce, &rules.batch) {
            (Some(rule), _) => Some(Gathering::Last {
                name: name("debounce")?,
                wait: millis(rule.wait),
                at_most: rule.at_most.map(millis),
            }),
            (None, Some(rule)) => {
                Some(Gathering::All { name: name("batch")?, size: rule.size.into(), wait: millis(rule.wait) })
            }
            (None, None) => None,
        };
        let idempotency = rules
            .idempotency
            .as_ref()
            .map(|rule| -> Result<_> { Ok(Remembered { name: name("idempotency")?, window: millis(rule.window) }) });
        let singleton = rules.singleton.as_ref().map(|rule| -> Result<_> {
            Ok(Single { name: name("singleton")?, cancel: rule.on_conflict == OnConflict::Cancel })
        });
        let concurrency = rules
            .concurrency
            .as_ref()
            .map(|rule| -> Result<_> { Ok(Room { name: name("concurrency")?, limit: rule.limit.into() }) });
        Ok(Ticket {
            idempotency: idempotency.transpose()?,
            rate: paced("rate", &rules.rate)?,
            gather,
            singleton: singleton.transpose()?,
            throttle: paced("throttle", &rules.throttle)?,
            concurrency: concurrency.transpose()?,
            priority: self.priority(&scope)?,
            start_within: rules.start_within.map(millis),
        })
    }

    /// Whether starts become items of one input.
    pub(crate) fn gathers(&self) -> bool {
        self.rules.batch.is_some()
    }

    fn scope(&self, input: &Value, trigger: &Value) -> Scope {
        let mut scope = Scope::new();
        let programs = || self.keys.iter().map(|(_, program)| program).chain(&self.priority);
        for (variable, value) in [("input", input), ("trigger", trigger)] {
            // Inputs may be large: only what is read is copied.
            if programs().any(|program| program.references().variables().contains(variable)) {
                scope.set(variable, value.clone());
            }
        }
        scope
    }

    fn name(&self, rule: &'static str, scope: &Scope) -> Result<String> {
        let Some((_, program)) = self.keys.iter().find(|(of, _)| *of == rule) else { return Ok(rule.to_owned()) };
        let value = program.eval(scope).map_err(|e| underivable(&format!("{rule}/key"), &e.message))?;
        Ok(format!("{rule}:{}", key(&value)))
    }

    fn priority(&self, scope: &Scope) -> Result<i32> {
        let Some(program) = &self.priority else { return Ok(0) };
        let value = program.eval(scope).map_err(|e| underivable("priority", &e.message))?;
        let number = value.as_f64().ok_or_else(|| underivable("priority", "it is not a number"))?;
        #[expect(clippy::cast_possible_truncation, reason = "it lies within the bounds")]
        Ok(number.clamp(-MAX_PRIORITY, MAX_PRIORITY) as i32)
    }
}

/// Keys by rule.
fn sources(flow: &blueprint::Flow) -> Vec<(&'static str, &str)> {
    let keys = [
        ("concurrency", flow.concurrency.as_ref().and_then(|rule| rule.key.as_deref())),
        ("rate", flow.rate.as_ref().and_then(|rule| rule.key.as_deref())),
        ("throttle", flow.throttle.as_ref().and_then(|rule| rule.key.as_deref())),
        ("debounce", flow.debounce.as_ref().and_then(|rule| rule.key.as_deref())),
        ("batch", flow.batch.as_ref().and_then(|rule| rule.key.as_deref())),
        ("singleton", flow.singleton.as_ref().and_then(|rule| rule.key.as_deref())),
        ("idempotency", flow.idempotency.as_ref().map(|rule| &*rule.key)),
    ];
    keys.into_iter().filter_map(|(rule, source)| Some((rule, source?))).collect()
}

/// A key as it is stored: a text as it is, so that people know it again.
fn key(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // PostgreSQL stores no NUL.
    if text.len() <= MAX_KEY && !text.contains('\0') {
        return text;
    }
    format!("#{}", hex::encode(Sha256::digest(text)))
}

fn millis(span: Span) -> Millis {
    Millis::try_from(span.0).unwrap_or(Millis::MAX / 4)
}

fn underivable(place: &str, why: &str) -> Error {
    Error::invalid(format!("`flow/{place}` of the bot cannot be worked out for this start: {why}"))
        .at("/input", "the rules of the bot read something that is not there")
        .hint("give what it reads, or let the bot say `default(input.x, \"none\")`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flow(text: &str) -> Flow {
        let text = format!("codex32: v1\nname: x\nflow:\n{text}\nsteps: [{{wait: 1s}}]\n");
        let blueprint = blueprint::parse(&text).unwrap_or_else(|found| panic!("{}", found.render(&text, false)));
        Flow::compile(&blueprint.flow).unwrap().unwrap()
    }

    #[test]
    fn a_bot_without_rules_has_none() {
        assert!(Flow::compile(&blueprint::Flow::default()).unwrap().is_none());
    }

    #[test]
    fn keys_are_worked_out_of_the_start() {
        let flow = flow(
            "  concurrency: {limit: 5, key: input.customer}\n  rate: {limit: 2, per: 1m, key: trigger.type}\n  \
             throttle: {limit: 9, per: 1s}\n  priority: \"input.vip ? 10 : 0\"\n  idempotency: {key: input.n, window: 1h}",
        );
        let ticket =
            flow.ticket(&json!({"customer": "acme", "vip": true, "n": 7}), &json!({"type": "manual"})).unwrap();
        assert_eq!(
            ticket.names(),
            ["idempotency:7", "rate:manual", "throttle", "concurrency:acme"].map(str::to_owned).to_vec()
        );
        assert_eq!((ticket.priority, ticket.concurrency.map(|room| room.limit)), (10, Some(5)));
        let missing = flow.ticket(&json!({"vip": true, "n": 7}), &json!({"type": "manual"})).unwrap_err();
        assert_eq!(missing.code(), crate::error::Code::Invalid);
        assert!(missing.message().contains("flow/concurrency/key"), "{missing}");
    }

    #[test]
    fn a_priority_is_a_number_within_bounds() {
        let flow = flow("  priority: input.p");
        let priority = |p: Value| flow.ticket(&json!({"p": p}), &Value::Null).map(|ticket| ticket.priority);
        assert_eq!(priority(json!(-1e9)).unwrap(), -1_000);
        assert_eq!(priority(json!(2.9)).unwrap(), 2);
        assert!(priority(json!("high")).is_err());
    }

    #[test]
    fn long_keys_are_hashed_and_short_ones_are_not() {
        assert_eq!(key(&json!("acme")), "acme");
        assert_eq!(key(&json!({"a": [1, null]})), r#"{"a":[1,null]}"#);
        let long = |c: &str| key(&json!(c.repeat(200)));
        assert_eq!((long("x").len(), long("x") == long("x"), long("x") == long("y")), (65, true, false));
        assert!(key(&json!("a\0b")).starts_with('#'));
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written() {
        let flow = flow("  throttle: {limit: 9, per: 1s}\n  singleton: {on_conflict: cancel}\n  start_within: 5m");
        let ticket = flow.ticket(&json!({}), &Value::Null).unwrap();
        let text = serde_json::to_string(&ticket).unwrap();
        assert_eq!(serde_json::from_str::<Ticket>(&text).unwrap(), ticket);
    }
}
