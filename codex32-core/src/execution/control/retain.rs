//! Removing what is old, and writing it to the archive before.

use super::Executor;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::execution::store::{Of, Old};
use crate::execution::types::Execution;
use crate::id::{BotId, WorkspaceId};
use crate::storage::Archive;
use chrono::{DateTime, Datelike as _};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;
use tokio_util::sync::CancellationToken;

/// Entries and lines that are read at a time.
const PAGE: u64 = 200;

/// How long the finished executions of a bot are kept.
#[derive(Debug, Clone)]
pub struct Keep {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub bot_name: String,
    /// Those that ended longer ago go, in milliseconds.
    pub age: Option<Millis>,
    /// Of the latest executions, those beyond this number go.
    pub count: Option<u64>,
    /// Where they are written before.
    pub archive: Option<Archive>,
}

impl Executor {
    /// Removes the executions that `keep` does not keep, some at a time, until all are gone
    /// or `stop` ends. Gives how many were removed. Those that are not finished stay, and
    /// count. With an archive, none is removed before it is written there.
    ///
    /// # Errors
    /// Those of the database and of the archive; what was removed by then is.
    pub async fn retain(&self, keep: &Keep, stop: &CancellationToken) -> Result<u64> {
        let store = &self.inner.store;
        let of = Of { workspace: keep.workspace, bot: keep.bot, bot_name: keep.bot_name.clone() };
        let up_to = match keep.count {
            Some(count) => store.beyond(&of, count).await?,
            None => None,
        };
        let ended_before = keep.age.map(|age| self.inner.clock.now().saturating_sub(age));
        let mut old = Old { after: None, ended_before, up_to };
        let mut removed = 0;
        while !stop.is_cancelled() {
            let some = store.old(&of, old).await?;
            if !some.executions.is_empty() {
                if let Some(archive) = &keep.archive {
                    self.archive(archive, &of, &some.executions).await?;
                }
                removed += store.remove(&some.executions).await?;
            }
            match some.next {
                Some(next) => old.after = Some(next),
                None => break,
            }
        }
        metrics::counter!("codex32_executions_removed_total").increment(removed);
        Ok(removed)
    }

    /// Writes executions as one file of lines of JSON, compressed: of each the execution,
    /// then its journal, then its log.
    async fn archive(&self, archive: &Archive, of: &Of, executions: &[(Execution, i64)]) -> Result<()> {
        let mut file = GzEncoder::new(Vec::new(), Compression::default());
        let mut add =
            |line: Value| writeln!(file, "{line}").map_err(|e| Error::internal(format!("write for the archive: {e}")));
        for (execution, _) in executions {
            add(json!({"type": "execution", "execution": execution}))?;
            let mut after = 0;
            loop {
                let entries = self.inner.store.entries(execution.id, after, PAGE).await?;
                let Some(last) = entries.last() else { break };
                after = last.seq;
                for entry in &entries {
                    add(json!({"type": "entry", "execution": execution.id, "entry": entry}))?;
                }
            }
            let mut after = 0;
            loop {
                let lines = self.inner.store.lines(execution.id, after, PAGE).await?;
                let Some(last) = lines.last() else { break };
                after = last.seq;
                for line in &lines {
                    add(json!({"type": "log", "execution": execution.id, "line": line}))?;
                }
            }
        }
        let bytes = file.finish().map_err(|e| Error::internal(format!("compress for the archive: {e}")))?;
        archive.put(&name(of, executions), bytes).await
    }
}

/// `WORKSPACE/BOT/YYYY/MM/DD/FIRST.jsonl.gz`, by the day on which the first began.
fn name(of: &Of, executions: &[(Execution, i64)]) -> String {
    let (first, at) =
        executions.first().map_or_else(Default::default, |(first, _)| (first.id.to_string(), first.created_at));
    let day = DateTime::from_timestamp_millis(at).unwrap_or_default();
    let (year, month, day) = (day.year(), day.month(), day.day());
    format!("{}/{}/{year:04}/{month:02}/{day:02}/{first}.jsonl.gz", of.workspace, of.bot_name)
}
