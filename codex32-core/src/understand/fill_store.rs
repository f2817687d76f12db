//! The inputs of actions that store, move and answer, and of any action by its schema.

use serde_json::{Map, Value};

use super::action::is_sql;
use super::clause::Clause;
use super::compose::number;
use super::fill::{leftover_text, subject};
use super::naming;
use super::plan::{Plan, Subject, template};
use super::token::{Kind, Token};
use super::value::{self, Content, content};
use crate::blueprint::{Respond, Trigger};

/// Rows into a table.
pub(super) fn insert(plan: &mut Plan<'_>, clause: &Clause, rest: &[Token]) -> bool {
    let about = plan.text[clause.span()].to_owned();
    let Some(table) = value::table(&clause.tokens).or_else(|| plan.ask("sql.insert.table", "Which table?", &about))
    else {
        return true;
    };
    let mut with = Map::from_iter([("table".to_owned(), Value::from(table.clone()))]);
    let rows = matches!(&plan.subject, Subject::Rows(..)).then(|| plan.subject.whole()).flatten();
    if let Some(rows) = rows {
        with.insert("rows".to_owned(), Value::from(template(&rows)));
    } else {
        let Some(found) = content(plan, rest).or_else(|| subject(plan)) else {
            plan.ask("sql.insert.row", "What should be stored in the table?", &about);
            return true;
        };
        let row = match found {
            Content::Text(text) => Value::Object(Map::from_iter([("text".to_owned(), Value::from(text))])),
            Content::Figure(expr, label) => {
                Value::Object(Map::from_iter([(naming::slug(&label).replace('-', "_"), Value::from(template(&expr)))]))
            }
            found => found.json(),
        };
        with.insert("row".to_owned(), row);
    }
    if let Some(database) = clause.tokens.iter().find_map(Token::path) {
        plan.files.insert(database.to_owned());
        with.insert("database".to_owned(), Value::from(database));
    } else {
        plan.assume_database();
    }
    plan.target_word.get_or_insert(table);
    let step = plan.push_use("insert", "sql.insert", with);
    plan.main.get_or_insert(step);
    true
}

/// The answer to the webhook.
pub(super) fn reply(plan: &mut Plan<'_>, clause: &Clause, rest: &[Token]) -> bool {
    let status = clause.tokens.windows(2).find_map(|w| match &w[1].kind {
        Kind::Number(n) if w[0].any(&["status", "code", "with", "http"]) && (200.0..600.0).contains(n) => {
            Some(*n as i64)
        }
        _ => None,
    });
    let found = content(plan, rest);
    let mut with = Map::new();
    if let Some(status) = status {
        with.insert("status".to_owned(), Value::from(status));
    }
    if let Some(found) = found
        .map(|f| f.json())
        .or_else(|| leftover_text(rest).filter(|_| status.is_none()).map(|t| Value::from(t.to_lowercase())))
    {
        with.insert("body".to_owned(), found);
    }
    if let Some(Trigger::Webhook(hook)) = plan.triggers.iter_mut().find(|t| matches!(t, Trigger::Webhook(_))) {
        hook.respond = Respond::Reply;
    }
    plan.answered_webhook = true;
    plan.push_use("reply", "webhook.reply", with);
    true
}

/// Moving and copying files.
pub(super) fn relocate(plan: &mut Plan<'_>, clause: &Clause, action: &str) -> bool {
    let about = plan.text[clause.span()].to_owned();
    let mut paths: Vec<String> = clause.tokens.iter().filter_map(|t| t.path().map(str::to_owned)).collect();
    let to = paths.pop();
    let Some(to) = to.or_else(|| plan.ask(&format!("{action}.to"), "Which folder should it go to?", &about)) else {
        return true;
    };
    let from = match (paths.pop(), &plan.subject) {
        (Some(path), _) => Some(path),
        (None, Subject::File) => Some(template("input.path")),
        (None, Subject::Item(_)) => Some(template("item.path")),
        _ => plan.ask(&format!("{action}.from"), "Which file?", &about),
    };
    let Some(from) = from else { return true };
    for path in [&from, &to] {
        if path.starts_with('/') && !plan.files.iter().any(|f| path == f || path.starts_with(&format!("{f}/"))) {
            plan.files.insert(path.trim_end_matches('/').to_owned());
        }
    }
    // A path without an extension is a folder; the file keeps its name.
    let last = to.rsplit('/').next().unwrap_or("");
    let to = if last.is_empty() || last.contains('.') { to.clone() } else { format!("{to}/") };
    plan.target_word.get_or_insert_with(|| last.trim_matches('.').to_owned());
    let wanted = action.rsplit('.').next().unwrap_or("move");
    plan.push_use(
        wanted,
        action,
        Map::from_iter([("from".to_owned(), Value::from(from)), ("to".to_owned(), Value::from(to))]),
    );
    true
}

/// Writing files.
pub(super) fn write(plan: &mut Plan<'_>, clause: &Clause, action: &str, rest: &[Token]) -> bool {
    let about = plan.text[clause.span()].to_owned();
    let path = clause.tokens.iter().rev().find_map(|t| t.path().map(str::to_owned));
    let Some(path) = path.or_else(|| plan.ask(&format!("{action}.path"), "Which file?", &about)) else { return true };
    let Some(found) = content(plan, rest).or_else(|| subject(plan)) else {
        plan.ask(&format!("{action}.text"), "What should be written?", &about);
        return true;
    };
    plan.files.insert(path.clone());
    plan.target_word.get_or_insert_with(|| naming::slug(path.rsplit('/').next().unwrap_or("file")));
    let with =
        Map::from_iter([("path".to_owned(), Value::from(path)), ("text".to_owned(), Value::from(found.message()))]);
    let wanted = action.rsplit('.').next().unwrap_or("write");
    plan.push_use(wanted, action, with);
    true
}

/// Any other action: each required property by its name.
pub(super) fn generic(plan: &mut Plan<'_>, clause: &Clause, action: &str, rest: &[Token]) -> bool {
    let Some(spec) = plan.catalogue.action(action) else { return false };
    let about = plan.text[clause.span()].to_owned();
    let properties: Vec<String> = spec
        .input
        .get("properties")
        .and_then(Value::as_object)
        .map(|p| p.keys().cloned().collect())
        .unwrap_or_default();
    let required: Vec<&str> =
        spec.input.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut with = Map::new();
    for property in &properties {
        let needed = required.contains(&property.as_str());
        if let Some(value) = property_value(plan, clause, rest, property, needed) {
            with.insert(property.clone(), value);
        } else if needed {
            let id = format!("{action}.{property}");
            match plan.ask(&id, &format!("What is the {property} for \"{}\"?", spec.title), &about) {
                Some(answer) => with.insert(property.clone(), Value::from(answer)),
                None => continue,
            };
        }
    }
    if required.iter().any(|r| !with.contains_key(*r)) {
        return true;
    }
    let wanted = action.replace('.', "_");
    plan.target_word.get_or_insert_with(|| action.split('.').next().unwrap_or("step").to_owned());
    let step = plan.push_use(&wanted, action, with);
    plan.subject = Subject::Value(format!("steps.{step}"), "the result".to_owned());
    plan.main = Some(step);
    true
}

/// The value of one property, by its name and by "NAME VALUE" in the clause.
fn property_value(plan: &mut Plan<'_>, clause: &Clause, rest: &[Token], property: &str, needed: bool) -> Option<Value> {
    let tokens = &clause.tokens;
    let spoken = property.replace('_', " ");
    let at = tokens.iter().position(|t| t.word == spoken);
    if let Some(at) = at {
        let behind =
            tokens[at + 1..].iter().find(|t| !t.any(&["is", "of", "to", "=", "the", "as"]) && t.punct().is_none());
        let value = behind.and_then(|t| match &t.kind {
            Kind::Quoted(text) | Kind::Url(text) | Kind::Path(text) | Kind::Channel(text) | Kind::Email(text) => {
                Some(Value::from(text.clone()))
            }
            Kind::Number(n) if n.fract() == 0.0 => Some(Value::from(*n as i64)),
            Kind::Number(n) => Some(Value::from(*n)),
            Kind::Json(value) => Some(value.clone()),
            Kind::Word if needed => Some(Value::from(t.word.clone())),
            _ => None,
        });
        if value.is_some() {
            return value;
        }
    }
    if !needed {
        return match property {
            "text" | "data"
                if matches!(plan.subject, Subject::File | Subject::Event | Subject::Webhook(_) | Subject::Http(_)) =>
            {
                subject(plan).map(|c| c.json())
            }
            "value" | "item" => content(plan, rest).map(|c| c.json()),
            _ => None,
        };
    }
    match property {
        "url" => tokens.iter().find_map(|t| t.url()).map(|u| {
            let url = u.to_owned();
            plan.allow(&url);
            Value::from(url)
        }),
        "path" | "dir" | "from" => match tokens.iter().find_map(Token::path) {
            Some(path) => {
                plan.files.insert(path.trim_end_matches('/').to_owned());
                Some(Value::from(path))
            }
            None if plan.subject == Subject::File => Some(Value::from(template("input.path"))),
            None => None,
        },
        "table" => value::table(tokens).map(Value::from),
        "sql" => tokens.iter().find_map(|t| match &t.kind {
            Kind::Quoted(q) if is_sql(q) => Some(Value::from(q.clone())),
            _ => None,
        }),
        "message" | "text" | "value" | "item" | "rows" | "html" | "json" | "data" => {
            let found = content(plan, rest).or_else(|| subject(plan));
            found.map(
                |c| if matches!(property, "message" | "text" | "html") { Value::from(c.message()) } else { c.json() },
            )
        }
        "key" => {
            let named = tokens.windows(2).find(|w| w[0].any(&["as", "under", "key"])).map(|w| w[1].word.clone());
            let field = value::field_names(rest).into_iter().next();
            named.filter(|n| !n.is_empty()).or(field).map(Value::from)
        }
        "name" => tokens.iter().find(|t| t.is_word() && t.word.contains('.')).map(|t| Value::from(t.word.clone())),
        "duration" => (0..tokens.len())
            .find_map(|i| super::condition::length(&mut &tokens[i..]).ok())
            .map(|ms| Value::from(format!("{}s", number((ms / 1_000) as f64)))),
        "method" => tokens
            .iter()
            .find(|t| t.any(&["head", "options", "get", "post", "put", "patch", "delete"]))
            .map(|t| Value::from(t.word.to_uppercase())),
        _ => None,
    }
}

/// Words of a clause that say more than was used.
pub(super) fn leftovers(plan: &mut Plan<'_>, clause: &Clause, used: &[&str]) {
    let odd: Vec<&str> = clause
        .tokens
        .iter()
        .filter(|t| {
            t.is_word()
                && !t.any(used)
                && !t.any(&super::lexicon::FILLERS)
                && super::lexicon::verb(&t.word).is_none()
                && !t.any(&["on", "in", "every", "each", "all"])
        })
        .map(|t| t.word.as_str())
        .collect();
    if odd.len() > 2 {
        plan.unknown.push(odd.join(" "));
        plan.sureness.push(0.3);
    }
}
