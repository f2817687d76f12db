//! Which triggers an event concerns.

use super::spec::{Kind, Spec};
use crate::error::{Error, Result};
use crate::event::{Event, MAX_NAME, is_reserved};
use crate::expr::{Program, Scope};
use crate::storage::entity::triggers;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use std::collections::HashSet;
use uuid::Uuid;

/// The event that a bot's end is.
pub(super) const FINISHED: &str = "execution.finished";

/// A trigger that an event concerns.
pub(super) struct Match {
    pub(super) row: triggers::Model,
    /// An error where its condition could not be answered.
    pub(super) passes: Result<()>,
}

/// Name of the bot whose execution ended.
pub(super) fn bot_name(event: &Event) -> &str {
    event.data.get("bot_name").or_else(|| event.data.get("bot")).and_then(Value::as_str).unwrap_or_default()
}

/// The triggers that `event` fires, in the order of their arming.
pub(super) async fn find(db: &impl ConnectionTrait, event: &Event) -> Result<Vec<Match>> {
    let mut wanted = Condition::any().add(
        Condition::all()
            .add(triggers::Column::Kind.eq(Kind::Event.as_str()))
            .add(triggers::Column::Topic.is_in(topics(&event.name))),
    );
    if event.name == FINISHED {
        wanted = wanted.add(
            Condition::all()
                .add(triggers::Column::Kind.eq(Kind::Bot.as_str()))
                .add(triggers::Column::Topic.eq(bot_name(event))),
        );
    }
    let rows = triggers::Entity::find()
        .filter(triggers::Column::WorkspaceId.eq(event.workspace.0))
        .filter(wanted)
        .filter(triggers::Column::Active.eq(true))
        .filter(triggers::Column::Enabled.eq(true))
        .filter(triggers::Column::AfterSeq.lt(event.seq))
        .order_by_asc(triggers::Column::Id)
        .all(db)
        .await?;
    let mut found = Vec::new();
    for row in rows {
        match passes(&row, event) {
            Ok(true) => found.push(Match { row, passes: Ok(()) }),
            Ok(false) => {}
            Err(error) => found.push(Match { row, passes: Err(error) }),
        }
    }
    Ok(found)
}

/// Which of these workspaces have a trigger that listens to anything.
pub(super) async fn listening(db: &impl ConnectionTrait, workspaces: HashSet<Uuid>) -> Result<HashSet<Uuid>> {
    let found = triggers::Entity::find()
        .select_only()
        .column(triggers::Column::WorkspaceId)
        .distinct()
        .filter(triggers::Column::WorkspaceId.is_in(workspaces))
        .filter(triggers::Column::Topic.is_not_null())
        .into_tuple::<Uuid>()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}

/// What a trigger may listen to so that an event of this name reaches it: the name, or
/// one of its beginnings with a star. A star alone does not stand for the engine's own
/// events: whoever wants `execution.*` says so.
fn topics(name: &str) -> Vec<String> {
    let from = if is_reserved(name) { name.find('.').map_or(name.len(), |dot| dot + 1) } else { 0 };
    let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]).filter(|end| *end >= from);
    ends.take(MAX_NAME + 1).map(|end| format!("{}*", &name[..end])).chain([name.to_owned()]).collect()
}

fn passes(row: &triggers::Model, event: &Event) -> Result<bool> {
    match Spec::from_text(&row.spec)? {
        // Its own executions are not news to a bot.
        Spec::Event { .. } if is_own(row, event) => Ok(false),
        Spec::Event { filter: None, .. } => Ok(true),
        Spec::Event { filter: Some(filter), .. } => condition(&filter, &event.data),
        Spec::Bot { when, .. } => {
            let text = |name: &str| event.data.get(name).and_then(Value::as_str);
            // A bot under test in one environment does not set off those of another.
            let here = text("environment").is_none_or(|environment| environment == row.environment);
            Ok(here && text("status").is_some_and(|status| when.counts(status)))
        }
        _ => Ok(false),
    }
}

fn is_own(row: &triggers::Model, event: &Event) -> bool {
    let bot = event.data.get("bot").and_then(Value::as_str);
    is_reserved(&event.name) && bot.is_some_and(|bot| bot == row.bot_id.to_string())
}

fn condition(filter: &str, data: &Value) -> Result<bool> {
    let wrong = |e: crate::expr::ExprError| Error::invalid(format!("the condition of an event trigger: {e}"));
    let program = Program::compile(filter).map_err(wrong)?;
    let mut scope = Scope::new();
    scope.set("event", data.clone());
    program.condition(&scope).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_reached_by_itself_and_its_beginnings() {
        let topics = topics("a.b");
        for topic in ["a.b", "*", "a*", "a.*", "a.b*"] {
            assert!(topics.iter().any(|t| t == topic), "{topic}");
        }
        assert_eq!(topics.len(), 5);
    }

    #[test]
    fn a_star_alone_does_not_reach_the_engine_s_own_events() {
        let topics = topics("execution.finished");
        assert!(topics.iter().any(|t| t == "execution.*") && topics.iter().any(|t| t == "execution.finished"));
        assert!(topics.iter().all(|t| t.starts_with("execution.")));
    }
}
