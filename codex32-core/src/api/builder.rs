//! `builder`: from a sentence to a bot.

use super::operation::{Meta, Method, Operation};
use crate::access::{Caller, Permission};
use crate::blueprint;
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::recur::Schedule;
use crate::registry::{Bot, Deployment, Files, Version};
use crate::understand::{Draft, Question};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// A sentence.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftInput {
    /// What should be automated, in plain words.
    #[schemars(length(max = 20000))]
    pub text: String,
    /// Name of the bot; by default from the sentence.
    #[serde(default)]
    pub name: Option<String>,
    /// Answers to questions of an earlier draft: question id to text.
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
}

/// What a sentence would become.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DraftOutput {
    /// The blueprint; absent where a question must be answered first.
    pub blueprint: Option<String>,
    /// What it does, read back in plain words.
    pub explanation: String,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// What must be asked.
    pub questions: Vec<Question>,
    /// Parts of the sentence that nothing came of.
    pub not_understood: Vec<String>,
    /// How sure the draft is, 0 to 1.
    pub confidence: f64,
    /// How long it took, in microseconds.
    pub micros: u64,
}

async fn draft(engine: &Engine, caller: &Caller, input: &DraftInput) -> Result<(Draft, u64)> {
    if input.text.trim().is_empty() {
        return Err(Error::invalid("the sentence is empty")
            .at("/text", "needs words")
            .hint("try \"every hour check https://example.org and tell me on telegram if it is down\""));
    }
    let begun = Instant::now();
    let mut draft = engine.draft(caller, &input.text, &input.answers).await?;
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    if let (Some(name), Some(blueprint)) = (&input.name, &mut draft.blueprint) {
        blueprint.name.clone_from(name);
    }
    Ok((draft, micros))
}

/// Drafts a bot.
pub struct MakeDraft;

impl Operation for MakeDraft {
    const META: Meta = Meta::read(
        "builder.draft",
        Method::Post,
        "/builder/draft",
        "Show what a sentence would become, and store nothing.",
    )
    .needs(Permission::BuilderUse)
    .alias("draft")
    .positional(&["text"])
    .example(r#"{"text": "every hour check https://example.org and tell me on telegram if it is down"}"#);
    type Input = DraftInput;
    type Output = DraftOutput;
    async fn run(engine: &Engine, caller: &Caller, input: DraftInput) -> Result<DraftOutput> {
        let (draft, micros) = draft(engine, caller, &input).await?;
        Ok(DraftOutput {
            blueprint: draft.blueprint.as_ref().map(blueprint::print),
            explanation: draft.explanation,
            assumptions: draft.assumptions,
            questions: draft.questions,
            not_understood: draft.not_understood,
            confidence: draft.confidence,
            micros,
        })
    }
}

/// Makes a bot of a sentence.
pub struct Make;

/// A bot that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Made {
    /// The bot.
    pub bot: Bot,
    /// Its version.
    pub version: Version,
    /// Its deployment.
    pub deployment: Deployment,
    /// Its text.
    pub blueprint: String,
    /// What it does, read back in plain words.
    pub explanation: String,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// What would be good to know; nothing that stops it.
    pub questions: Vec<Question>,
}

impl Operation for Make {
    const META: Meta =
        Meta::write("builder.make", Method::Post, "/builder/make", "Make a bot of a sentence, and deploy it.")
            .needs(Permission::BotsDeploy)
            .errors(&[Code::Conflict, Code::Precondition, Code::NotFound])
            .status(201)
            .alias("make")
            .positional(&["text"])
            .example(r#"{"text": "every hour check https://example.org and tell me on telegram if it is down"}"#);
    type Input = DraftInput;
    type Output = Made;
    async fn run(engine: &Engine, caller: &Caller, input: DraftInput) -> Result<Made> {
        caller.require(Permission::BotsWrite)?;
        let (draft, _) = draft(engine, caller, &input).await?;
        let Some(blueprint) = &draft.blueprint else { return Err(unanswered(&draft)) };
        let text = blueprint::print(blueprint);
        let note = format!("made from: {}", input.text.chars().take(900).collect::<String>());
        let saved = engine.registry().create(caller, &text, &Files::new(), Some(&note)).await?;
        let deployment = engine.registry().deploy(caller, saved.bot.id, None, None).await?;
        engine.wake();
        Ok(Made {
            bot: engine.registry().get(caller.workspace, saved.bot.id).await?,
            version: saved.version,
            deployment,
            blueprint: text,
            explanation: draft.explanation,
            assumptions: draft.assumptions,
            questions: draft.questions,
        })
    }
}

/// Why no bot came of a sentence.
fn unanswered(draft: &Draft) -> Error {
    let mut error = match draft.questions.is_empty() {
        true => Error::invalid("the sentence was not understood"),
        false => Error::invalid("something must be answered first"),
    };
    for question in &draft.questions {
        error = error.at(format!("/answers/{}", question.id), question.text.clone());
    }
    for part in &draft.not_understood {
        error = error.at("/text", format!("not understood: \"{part}\""));
    }
    error.hint("answer with `answers` (--answer ID=TEXT), or say it in other words")
}

/// Reads a blueprint back.
pub struct Explain;

/// A blueprint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainInput {
    /// The text of the blueprint.
    pub blueprint: String,
}

/// What a blueprint does.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explanation {
    /// In plain words.
    pub explanation: String,
}

impl Operation for Explain {
    const META: Meta = Meta::read(
        "builder.explain",
        Method::Post,
        "/builder/explain",
        "Read a blueprint back in plain words.",
    )
    .needs(Permission::BotsRead)
    .positional(&["blueprint"])
    .example(r#"{"blueprint": "codex32: v1\nname: hello\nsteps:\n  - use: log.write\n    with: {message: hello}\n"}"#);
    type Input = ExplainInput;
    type Output = Explanation;
    async fn run(engine: &Engine, _: &Caller, input: ExplainInput) -> Result<Explanation> {
        let blueprint = blueprint::parse(&input.blueprint)?;
        Ok(Explanation { explanation: blueprint::explain(&blueprint, &engine.connectors().catalogue()) })
    }
}

/// Reads a phrase of time.
pub struct ReadSchedule;

/// A phrase of time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleInput {
    /// "every weekday at 9am", or a cron expression.
    #[schemars(length(max = 1000))]
    pub phrase: String,
    /// IANA zone; by default the workspace's.
    #[serde(default)]
    pub tz: Option<String>,
    /// From when on, RFC 3339 or UTC milliseconds; by default now.
    #[serde(default)]
    pub from: Option<String>,
}

/// What a phrase of time means.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ScheduleOutput {
    /// As a cron expression, where one says it.
    pub cron: Option<String>,
    /// In plain words.
    pub rule: String,
    /// IANA zone.
    pub timezone: String,
    /// The next five times, RFC 3339 with the zone's offset.
    pub next: Vec<String>,
}

impl Operation for ReadSchedule {
    const META: Meta = Meta::read(
        "builder.schedule",
        Method::Post,
        "/builder/schedule",
        "Tell what a phrase of time means, and its next five times.",
    )
    .needs(Permission::BuilderUse)
    .alias("schedule")
    .positional(&["phrase"])
    .example(r#"{"phrase": "every weekday at 9am", "tz": "Europe/Berlin"}"#);
    type Input = ScheduleInput;
    type Output = ScheduleOutput;
    async fn run(engine: &Engine, caller: &Caller, input: ScheduleInput) -> Result<ScheduleOutput> {
        let workspace = engine.access().workspace(caller).await?;
        let from = match &input.from {
            Some(text) => instant(text)?,
            None => engine.clock().now(),
        };
        let zone = zone(input.tz.as_deref().unwrap_or(&workspace.timezone))?;
        let schedule = Schedule::parse_at(&input.phrase, from, zone)?;
        // A zone in the phrase itself is what the person said last.
        let zone = schedule.zone().unwrap_or(zone);
        let next = schedule.upcoming(from, zone, 5);
        Ok(ScheduleOutput {
            cron: schedule.cron().map(|all| all.join(" | ")),
            rule: schedule.describe(),
            timezone: zone.name().to_owned(),
            next: next.into_iter().filter_map(|ms| local(ms, zone)).collect(),
        })
    }
}

fn zone(name: &str) -> Result<chrono_tz::Tz> {
    name.parse().map_err(|_| {
        Error::invalid(format!("there is no time zone \"{name}\""))
            .at("/tz", "not a zone")
            .hint("use an IANA name such as Europe/Berlin")
    })
}

fn instant(text: &str) -> Result<Millis> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    chrono::DateTime::parse_from_rfc3339(text).map(|t| t.timestamp_millis()).map_err(|_| {
        Error::invalid(format!("\"{text}\" is no time"))
            .at("/from", "not a time")
            .hint("write 2026-01-31T09:00:00Z or UTC milliseconds")
    })
}

fn local(ms: Millis, zone: chrono_tz::Tz) -> Option<String> {
    chrono::DateTime::from_timestamp_millis(ms).map(|t| t.with_timezone(&zone).to_rfc3339())
}
