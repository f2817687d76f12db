//! One round: what was seen, what the interpreter makes of it, written, then done.

use super::compute::{MOST, computed};
use super::run::News;
use super::{Driver, Exit};
use crate::clock::Millis;
use crate::execution::decide::native::Request;
use crate::execution::decide::{Command, Effect, Fact, Finish, Work};
use crate::execution::entry::Event;
use crate::execution::store::{Asked, Commit, Ended, EventWait, Whose};
use crate::execution::types::Status;
use crate::expr::Scope;
use crate::id::{ExecutionId, WorkspaceId};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Tokens of the approvals that are asked for in this round, by path of the asking step.
pub(super) type Tokens = HashMap<String, String>;
/// Executions that are ready to be stored with this round.
type Children = HashMap<ExecutionId, crate::execution::store::New>;

impl Driver {
    /// `Some` where the driver is done.
    pub(super) async fn round(&mut self, news: News) -> Option<Exit> {
        let now = self.inner.clock.now();
        let mut commit = self.empty_commit();
        commit.taken = news.taken;
        commit.lines = self.log.take(self.seq);
        commit.last_seq = commit.lines.last().map_or(self.seq, |line| line.seq);
        let mut children: Children = news.children.into_iter().map(|new| (new.id, new)).collect();
        let was_paused = self.state.is_paused();
        // Behind the end nothing is taken: what came with it goes on to the next execution.
        let mut facts = news.facts;
        if facts.iter().any(|fact| matches!(fact, Fact::Migrate { .. })) {
            self.migrate(now, &mut facts, &mut commit).await;
        }
        if !self.state.is_started() {
            // It was held until now.
            self.append(now, Event::Started { copied: 0 }, &mut commit);
        }
        facts.sort_by_key(|fact| matches!(fact, Fact::Continued { .. }));
        for fact in facts {
            self.take(now, fact, &mut commit, &mut children);
        }
        self.more = false;
        if !self.draining {
            if !commit.entries.is_empty() {
                self.advance_early().await;
            }
            self.decide_all(now, &mut commit, &mut children).await;
        }
        if commit.status.is_none() && self.state.is_paused() != was_paused {
            commit.status = Some(if self.state.is_paused() { Status::Paused } else { Status::Running });
        }
        let effects = self.state.take_effects();
        note(&effects, &mut commit);
        let tokens = self.tokens(&mut commit);
        let finished = commit.ended.is_some();
        if !is_empty(&commit) {
            if let Some(exit) = self.write(commit).await {
                return Some(exit);
            }
            self.held_at = now;
        }
        for effect in &effects {
            if let Effect::Abort { path } = effect {
                self.abort(path);
            }
        }
        if finished {
            return Some(Exit::Finished);
        }
        if !self.state.is_paused() && !self.draining {
            if let Some(exit) = self.lost_meanwhile().await {
                return Some(exit);
            }
            self.perform(tokens);
        }
        None
    }

    /// Whether someone else drives the execution by now. Asked where the process may have
    /// stood still since the lease was known to be held: what is to be done might have been
    /// done meanwhile, and is not to be done again.
    async fn lost_meanwhile(&mut self) -> Option<Exit> {
        let now = self.inner.clock.now();
        if self.dispatch.is_empty() || now.saturating_sub(self.held_at) <= self.inner.config.lease_ms / 2 {
            return None;
        }
        let exit = self.why_not(ExecutionId(self.row.id)).await;
        self.held_at = now;
        exit
    }

    /// Decides what follows, as far as that leads without anything outside, or as much as
    /// is written at a time.
    async fn decide_all(&mut self, now: Millis, commit: &mut Commit, children: &mut Children) {
        let (plan, workspace) = (self.state.plan(), commit.workspace);
        while let Some(command) = self.state.next(now) {
            match computed(&self.inner, &plan, workspace, &command).await {
                Some(fact) => {
                    self.append(now, command.event(), commit);
                    self.take(now, fact, commit, children);
                }
                None => self.decide(now, command, commit),
            }
            if commit.entries.len() >= MOST {
                self.more = commit.ended.is_none();
                return;
            }
        }
    }

    fn empty_commit(&self) -> Commit {
        Commit {
            id: ExecutionId(self.row.id),
            workspace: WorkspaceId(self.row.workspace_id),
            token: self.row.lease_token,
            last_seq: self.seq,
            entries: Vec::new(),
            lines: Vec::new(),
            taken: Vec::new(),
            status: None,
            asked: Vec::new(),
            tokens: Vec::new(),
            waits: Vec::new(),
            forget: Vec::new(),
            close: Vec::new(),
            children: Vec::new(),
            cancel: Vec::new(),
            ended: None,
            successor: None,
            version: None,
        }
    }

    /// Records a fact.
    fn take(&mut self, now: Millis, fact: Fact, commit: &mut Commit, children: &mut Children) {
        for event in self.state.facts(now, fact) {
            match &event {
                Event::ChildStarted { id, .. } => commit.children.extend(children.remove(id)),
                Event::Continued { id, .. } => commit.successor = children.remove(id).map(|new| self.succeeding(new)),
                Event::Finished { status, output, error } => {
                    let (status, output, error) = (*status, output.clone(), error.clone());
                    commit.ended = Some(ended(&self.row, now, Finish { status, output, error }));
                }
                _ => {}
            }
            self.append(now, event, commit);
        }
    }

    pub(super) fn append(&mut self, now: Millis, event: Event, commit: &mut Commit) {
        commit.last_seq += 1;
        self.state.apply(now, &event);
        commit.entries.push((commit.last_seq, now, event));
    }

    /// Records what is to be done, and what has to be stored with it.
    fn decide(&mut self, now: Millis, command: Command, commit: &mut Commit) {
        self.append(now, command.event(), commit);
        match command {
            Command::Run(_) | Command::StartChild(..) | Command::Continue(_) => self.dispatch.push(command),
            Command::Native(work) => match &work.request {
                Request::Event { name, filter, .. } => commit.waits.push(EventWait {
                    execution: commit.id,
                    path: work.path,
                    event: name.clone(),
                    filter: filter.clone(),
                    scope: json!({}),
                    after: 0,
                }),
                Request::Step { .. } | Request::Child { .. } => self.dispatch.push(Command::Native(work)),
                Request::Sleep(_) | Request::Signal { .. } => {}
            },
            Command::AwaitEvent { .. } => commit.waits.extend(event_wait(commit.id, &command)),
            Command::AskApproval { path, message, due } => {
                commit.asked.push(Asked { path, bot_name: self.row.bot_name.clone(), message, expires_at: due });
            }
            Command::Finish(finish) => commit.ended = Some(ended(&self.row, now, finish)),
            _ => {}
        }
    }

    /// A token for each question that is to be asked, its hash stored with the round. Also
    /// for one that is asked again after a crash: nobody but the asked one knows the first.
    fn tokens(&self, commit: &mut Commit) -> Tokens {
        if self.state.is_paused() || self.draining {
            return Tokens::new();
        }
        let asking = self.dispatch.iter().filter_map(|command| match command {
            Command::Run(work) if work.asks && self.state.is_current(&work.path, work.attempt) => Some(work),
            _ => None,
        });
        asking.map(|work: &Work| super::ask::mint(work, commit)).collect()
    }
}

/// The row of a step that waits for an event; `None` for other commands.
pub(super) fn event_wait(execution: ExecutionId, command: &Command) -> Option<EventWait> {
    let Command::AwaitEvent { path, event, filter, scope, .. } = command else { return None };
    Some(EventWait {
        execution,
        path: path.clone(),
        event: event.clone(),
        filter: filter.clone(),
        scope: object(scope),
        after: 0,
    })
}

/// The end of an execution, and what the workspace is told of it.
pub(super) fn ended(row: &crate::storage::entity::executions::Model, at: Millis, finish: Finish) -> Ended {
    let trigger: Value = serde_json::from_str(&row.trigger).unwrap_or(Value::Null);
    let about = json!({
        "execution": row.id, "bot": row.bot_id, "bot_name": row.bot_name, "version": row.version_id,
        "deployment": row.deployment_id, "environment": row.environment, "trigger": trigger,
        "caller": row.caller, "parent": row.parent_id, "retry_of": row.retry_of, "created_at": row.created_at,
    });
    let parent = row.parent_id.filter(|_| row.parent_waits).map(ExecutionId);
    let flow = Whose::of(row);
    Ended { status: finish.status, at, output: finish.output, error: finish.error, about, parent, flow }
}

fn note(effects: &[Effect], commit: &mut Commit) {
    for effect in effects {
        match effect {
            Effect::Abort { .. } => {}
            Effect::CancelChild { id } => commit.cancel.push(*id),
            Effect::ForgetWait { path } => {
                commit.waits.retain(|wait| wait.path != *path);
                commit.forget.push(path.clone());
            }
            Effect::CloseApproval { path } => {
                commit.asked.retain(|asked| asked.path != *path);
                commit.close.push(path.clone());
            }
        }
    }
}

fn is_empty(commit: &Commit) -> bool {
    commit.entries.is_empty() && commit.lines.is_empty() && commit.taken.is_empty() && commit.tokens.is_empty()
}

/// The variables of a scope as an object.
fn object(scope: &Scope) -> Value {
    let fields = scope.names().filter_map(|name| Some((name.to_owned(), scope.get(name)?)));
    Value::Object(fields.collect::<Map<_, _>>())
}
