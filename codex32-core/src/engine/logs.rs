//! The logs of a bot: its last executions one after the other, then what comes.

use super::Engine;
use crate::api::bots::BotLogLine;
use crate::error::Result;
use crate::execution::{Event, Filter, WatchItem};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::entity::executions;
use futures::StreamExt;
use futures::stream::BoxStream;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::Value;
use tokio::sync::mpsc;

/// Lines that wait for a slow reader.
const QUEUE: usize = 256;

type Lines = mpsc::Sender<Result<BotLogLine>>;

impl Engine {
    /// The logs of a bot (or of one execution, by its id), oldest first; with `follow`
    /// also those of executions to come.
    pub(crate) async fn logs(
        &self,
        ws: WorkspaceId,
        bot_or_execution: &str,
        tail: u64,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<BotLogLine>>> {
        // Subscribed first, so that nothing that begins meanwhile is missed.
        let events = self.bus().subscribe(ws, None).await?;
        let (bot, last) = self.whose(ws, bot_or_execution, tail).await?;
        let (send, receive) = mpsc::channel(QUEUE);
        let engine = self.clone();
        tokio::spawn(async move {
            let told = tell(&engine, ws, &last, follow, &send).await;
            let (Some(bot), true, true) = (bot, follow, told) else { return };
            let mut events = events;
            while let Some(event) = events.next().await {
                let ours =
                    event.name == "execution.started" && event.data.get("bot_name") == Some(&Value::from(bot.as_str()));
                let id = event.data.get("execution").and_then(Value::as_str).and_then(|id| id.parse().ok());
                if let (true, Some(id)) = (ours, id)
                    && !last.contains(&id)
                    && !tell(&engine, ws, &[id], true, &send).await
                {
                    return;
                }
            }
        });
        Ok(tokio_stream::wrappers::ReceiverStream::new(receive).boxed())
    }

    /// The bot's name where one was named, and the executions to begin with.
    async fn whose(&self, ws: WorkspaceId, named: &str, tail: u64) -> Result<(Option<String>, Vec<ExecutionId>)> {
        match self.registry().find(ws, named).await {
            Ok(bot) => {
                let filter = Filter { bot: Some(bot.name.clone()), ..Filter::default() };
                let page = self.executor().list(ws, &filter, None, tail).await?;
                let mut ids: Vec<ExecutionId> = page.items.into_iter().map(|execution| execution.id).collect();
                ids.reverse();
                Ok((Some(bot.name), ids))
            }
            Err(error) => match named.parse::<ExecutionId>() {
                Ok(id) => {
                    self.executor().get(ws, id).await?;
                    Ok((None, vec![id]))
                }
                Err(_) => Err(error),
            },
        }
    }
}

/// Sends the lines of these executions; false where nobody reads any more.
async fn tell(engine: &Engine, ws: WorkspaceId, executions: &[ExecutionId], follow: bool, send: &Lines) -> bool {
    for id in executions {
        let items = match engine.executor().watch(ws, *id, 0).await {
            Ok(items) => items.boxed(),
            Err(error) => return send.send(Err(error)).await.is_ok(),
        };
        let mut items = if follow { items } else { recorded(engine, ws, *id, items).await };
        while let Some(item) = items.next().await {
            let line = match item {
                Ok(item) => line(*id, &item),
                Err(error) => Some(Err(error)),
            };
            let Some(line) = line else { continue };
            if send.send(line).await.is_err() {
                return false;
            }
        }
    }
    true
}

type Items = BoxStream<'static, Result<WatchItem>>;

/// What is recorded by now of an execution that may still run.
async fn recorded(engine: &Engine, ws: WorkspaceId, id: ExecutionId, items: Items) -> Items {
    match engine.executor().get(ws, id).await {
        Ok(execution) if execution.status.is_finished() => items,
        _ => {
            let last = last_seq(engine, ws, id).await.unwrap_or(0);
            // The item after the last recorded one may be long in coming: stop at it.
            items
                .scan(false, move |done, item| {
                    let go_on = !*done && last > 0;
                    *done |= item.as_ref().map_or(true, |item| item.seq() >= last);
                    futures::future::ready(go_on.then_some(item))
                })
                .boxed()
        }
    }
}

/// Number of the last thing that is recorded.
async fn last_seq(engine: &Engine, ws: WorkspaceId, id: ExecutionId) -> Result<i64> {
    let row: Option<i64> = executions::Entity::find_by_id(id.0)
        .select_only()
        .column(executions::Column::LastSeq)
        .filter(executions::Column::WorkspaceId.eq(ws.0))
        .into_tuple()
        .one(engine.db().read())
        .await?;
    Ok(row.unwrap_or(0))
}

fn line(execution: ExecutionId, item: &WatchItem) -> Option<Result<BotLogLine>> {
    match item {
        WatchItem::Log(log) => {
            let stream = serde_json::to_value(log.stream).ok()?;
            let stream = stream.as_str()?.to_owned();
            Some(Ok(BotLogLine { at: log.at, step: log.step.clone(), stream, text: log.text.clone(), execution }))
        }
        WatchItem::Entry(entry) => {
            let (stream, text) = match &entry.event {
                Event::Held { rule } => ("held", format!("execution {execution} waits: {rule}")),
                Event::Started { .. } => ("started", format!("execution {execution}")),
                Event::StepFailed { error, .. } => ("step_failed", error.message.clone()),
                Event::Finished { status, error, .. } => {
                    let why = error.as_ref().map(|e| format!(": {}", e.message)).unwrap_or_default();
                    ("finished", format!("{status}{why}"))
                }
                _ => return None,
            };
            let step = entry.event.path().to_owned();
            Some(Ok(BotLogLine { at: entry.at, step, stream: stream.to_owned(), text, execution }))
        }
    }
}
