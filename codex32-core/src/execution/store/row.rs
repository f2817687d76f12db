//! Between rows and types.

use super::super::entry::{Entry, Event};
use super::super::labels;
use super::super::types::{Execution, Line};
use super::commit::Ended;
use crate::error::{Error, Result};
use crate::id::{BotId, DeploymentId, ExecutionId, VersionId, WorkspaceId};
use crate::observe::Stream;
use crate::storage::entity::{execution_logs, executions, journal};
use sea_orm::ActiveValue::Set;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What a stored text says.
pub(super) fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::internal(format!("read a stored {what}: {e}")))
}

pub(super) fn write<T: serde::Serialize>(what: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal(format!("write a {what}: {e}")))
}

pub(super) fn execution(row: executions::Model) -> Result<Execution> {
    Ok(Execution {
        id: ExecutionId(row.id),
        workspace: WorkspaceId(row.workspace_id),
        bot: BotId(row.bot_id),
        bot_name: row.bot_name,
        version: VersionId(row.version_id),
        deployment: row.deployment_id.map(DeploymentId),
        environment: row.environment,
        status: row.status.parse()?,
        input: read("input", &row.input)?,
        output: row.output.as_deref().map(|text| read("output", text)).transpose()?,
        error: row.error.as_deref().map(|text| read("error", text)).transpose()?,
        trigger: read("trigger", &row.trigger)?,
        caller: row.caller,
        parent: row.parent_id.map(ExecutionId),
        parent_step: row.parent_path,
        retry_of: row.retry_of.map(ExecutionId),
        continues: row.continues.map(ExecutionId),
        continued_as: row.continued_as.map(ExecutionId),
        idempotency_key: row.idempotency_key,
        runs_on: labels::read(&row.runs_on),
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
    })
}

/// A journal row: kind, path and attempt in columns of their own, the rest as JSON.
/// The execution that `row` was before, ended.
pub(crate) fn ended_row(row: &executions::Model, ended: &Ended) -> Result<Execution> {
    let mut execution = execution(row.clone())?;
    execution.status = ended.status;
    execution.output = ended.output.as_deref().cloned();
    execution.error = ended.error.clone();
    execution.finished_at = Some(ended.at);
    Ok(execution)
}

pub(super) fn journal_row(
    workspace: WorkspaceId,
    id: ExecutionId,
    seq: i64,
    at: i64,
    event: &Event,
) -> Result<journal::ActiveModel> {
    let (kind, path, attempt, data) = columns(event)?;
    Ok(journal::ActiveModel {
        execution_id: Set(id.0),
        seq: Set(seq),
        workspace_id: Set(workspace.0),
        at: Set(at),
        kind: Set(kind),
        path: Set(path),
        attempt: Set(attempt),
        data: Set(data),
    })
}

/// What of a step's result stands in `data`: a result may be large and is not copied.
#[derive(serde::Serialize)]
struct Succeeded<'a> {
    output: &'a Value,
    ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    copied: bool,
}

/// An event by columns: kind, path, attempt, and the rest as JSON.
pub(super) fn columns(event: &Event) -> Result<(String, String, i32, String)> {
    if let Event::StepSucceeded { path, attempt, output, ms, copied } = event {
        let data = write("journal entry", &Succeeded { output, ms: *ms, copied: *copied })?;
        return Ok(("step_succeeded".to_owned(), path.clone(), i32::try_from(*attempt).unwrap_or(0), data));
    }
    let Ok(Value::Object(mut data)) = serde_json::to_value(event) else {
        return Err(Error::internal("write a journal entry: it is not an object"));
    };
    let mut take = |key: &str| data.shift_remove(key);
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (kind, path) = (text(take("kind")), text(take("path")));
    let attempt = take("attempt").and_then(|attempt| attempt.as_i64()).and_then(|n| i32::try_from(n).ok());
    Ok((kind, path, attempt.unwrap_or(0), write("journal entry", &data)?))
}

pub(super) fn entry(row: journal::Model) -> Result<Entry> {
    let mut fields: Map<String, Value> = read("journal entry", &row.data)?;
    fields.insert("kind".into(), row.kind.into());
    fields.insert("path".into(), row.path.into());
    fields.insert("attempt".into(), row.attempt.into());
    let event = serde_json::from_value(Value::Object(fields))
        .map_err(|e| Error::internal(format!("read the journal entry {} of {}: {e}", row.seq, row.execution_id)))?;
    Ok(Entry { seq: row.seq, at: row.at, event })
}

pub(super) fn line_row(workspace: WorkspaceId, id: ExecutionId, line: &Line) -> execution_logs::ActiveModel {
    let stream = match line.stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::System => "system",
    };
    execution_logs::ActiveModel {
        execution_id: Set(id.0),
        seq: Set(line.seq),
        workspace_id: Set(workspace.0),
        at: Set(line.at),
        step: Set(line.step.clone()),
        stream: Set(stream.to_owned()),
        text: Set(line.text.clone()),
    }
}

pub(super) fn line(row: execution_logs::Model) -> Line {
    let stream = match row.stream.as_str() {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => Stream::System,
    };
    Line { seq: row.seq, at: row.at, step: row.step, stream, text: row.text }
}
