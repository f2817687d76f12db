//! Metrics, in Prometheus' text format.

use crate::error::{Error, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeterKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, in seconds.
    Histogram,
}

/// One metric of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: MeterKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

const fn meter(name: &'static str, kind: MeterKind, labels: &'static [&'static str], help: &'static str) -> Meter {
    Meter { name, kind, labels, help }
}

/// The metrics of the engine.
pub const METRICS: &[Meter] = &[
    meter("codex32_operations_total", MeterKind::Counter, &["operation", "code"], "Calls of operations, by outcome."),
    meter("codex32_operation_seconds", MeterKind::Histogram, &["operation"], "Time of calls of operations."),
    meter(
        "codex32_http_requests_total",
        MeterKind::Counter,
        &["method", "route", "status"],
        "Requests that the server answered.",
    ),
    meter("codex32_http_request_seconds", MeterKind::Histogram, &["method", "route"], "Time until answers began."),
    meter("codex32_executions_total", MeterKind::Counter, &["status"], "Executions that ended, by status."),
    meter("codex32_executions_removed_total", MeterKind::Counter, &[], "Executions that were removed as too old."),
    meter("codex32_executions_active", MeterKind::Gauge, &[], "Executions that are being driven."),
    meter(
        "codex32_executions_unplaced",
        MeterKind::Gauge,
        &[],
        "Executions that are ready and ask for labels that no worker has; told by the node that leads.",
    ),
    meter(
        "codex32_executions_waiting_to_begin",
        MeterKind::Gauge,
        &[],
        "Executions of all nodes that are queued or held, as counted last.",
    ),
    meter(
        "codex32_starts_refused_total",
        MeterKind::Counter,
        &["by"],
        "Starts that were refused because too much waits.",
    ),
    meter(
        "codex32_fenced_writes_total",
        MeterKind::Counter,
        &[],
        "Writes that were refused because another node had taken the execution over.",
    ),
    meter(
        "codex32_node_leads",
        MeterKind::Gauge,
        &[],
        "1 on the node of a PostgreSQL that fires schedules, polls and supervises.",
    ),
    meter("codex32_wakes_total", MeterKind::Counter, &["way"], "Wake-ups between nodes, sent and heard."),
    meter("codex32_execution_write_seconds", MeterKind::Histogram, &["what"], "Time of writes to the journal."),
    meter(
        "codex32_execution_batches_total",
        MeterKind::Counter,
        &[],
        "Transactions that starts and rounds were written in; how many share one shows under load.",
    ),
    meter("codex32_steps_total", MeterKind::Counter, &["outcome"], "Attempts of steps, by outcome."),
    meter("codex32_step_seconds", MeterKind::Histogram, &[], "Time of attempts of steps."),
    meter("codex32_trigger_fired_total", MeterKind::Counter, &["kind"], "Executions that triggers started, by kind."),
    meter(
        "codex32_trigger_failures_total",
        MeterKind::Counter,
        &[],
        "Triggers that could not do what they were due for.",
    ),
    meter("codex32_supervisor_restarts_total", MeterKind::Counter, &[], "Bots that the supervisor started again."),
    meter("codex32_incidents_opened_total", MeterKind::Counter, &["kind"], "Incidents that were opened, by kind."),
];

/// Upper bounds of the histograms' buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

static INSTALLED: OnceLock<Metrics> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());

/// Collects the process's metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Collects metrics from now on, for the whole process; a second call gives the first
    /// collector. An embedding program that has its own `metrics` recorder does not call this.
    ///
    /// # Errors
    /// `precondition` where the process has another recorder.
    pub fn install() -> Result<Metrics> {
        // One at a time: two engines may be opened in one moment.
        let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = INSTALLED.get() {
            return Ok(metrics.clone());
        }
        let recorder = recorder()?;
        let metrics = Metrics { handle: recorder.handle() };
        metrics::set_global_recorder(recorder)
            .map_err(|_| Error::precondition("this process collects its metrics elsewhere"))?;
        describe();
        Ok(INSTALLED.get_or_init(|| metrics).clone())
    }

    /// What was collected, in Prometheus' text format (`text/plain; version=0.0.4`).
    #[must_use]
    pub fn render(&self) -> String {
        // Moves what was measured since the last time into the buckets; without it memory would grow.
        self.handle.run_upkeep();
        self.handle.render()
    }
}

fn recorder() -> Result<PrometheusRecorder> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .map_err(|e| Error::internal(format!("set up the metrics: {e}")))?;
    Ok(builder.build_recorder())
}

fn describe() {
    for meter in METRICS {
        match meter.kind {
            MeterKind::Counter => metrics::describe_counter!(meter.name, meter.help),
            MeterKind::Gauge => metrics::describe_gauge!(meter.name, meter.help),
            MeterKind::Histogram => metrics::describe_histogram!(meter.name, metrics::Unit::Seconds, meter.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let recorder = recorder().unwrap();
        let metrics = Metrics { handle: recorder.handle() };
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::counter!("codex32_trigger_fired_total", "kind" => "poll").increment(2);
            metrics::histogram!("codex32_operation_seconds", "operation" => "bots.list").record(0.004);
        });
        let text = metrics.render();
        for line in [
            "# TYPE codex32_trigger_fired_total counter",
            "codex32_trigger_fired_total{kind=\"poll\"} 2",
            "# TYPE codex32_operation_seconds histogram",
            "codex32_operation_seconds_bucket{operation=\"bots.list\",le=\"0.0025\"} 0",
            "codex32_operation_seconds_bucket{operation=\"bots.list\",le=\"0.005\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn names_are_well_formed_and_single() {
        for (at, meter) in METRICS.iter().enumerate() {
            assert!(meter.name.starts_with("codex32_"), "{}", meter.name);
            assert!(METRICS[..at].iter().all(|other| other.name != meter.name), "{}", meter.name);
            let unit = match meter.kind {
                MeterKind::Counter => meter.name.ends_with("_total"),
                MeterKind::Histogram => meter.name.ends_with("_seconds"),
                MeterKind::Gauge => !meter.name.ends_with("_total"),
            };
            assert!(unit, "{}", meter.name);
        }
    }

    /// Every metric that a source file of this crate or of the server counts is in the table,
    /// and every entry of the table is counted somewhere.
    #[test]
    fn the_table_says_what_is_counted() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let counted = regex::Regex::new(r#"(?:counter|gauge|histogram)!\(\s*"(codex32_[a-z_]+)""#).unwrap();
        let mut names = std::collections::BTreeSet::new();
        for folder in [root.join("src"), root.join("../codex32-server/src")] {
            for text in sources(&folder) {
                names.extend(counted.captures_iter(&text).map(|found| found[1].to_owned()));
            }
        }
        let table: std::collections::BTreeSet<String> = METRICS.iter().map(|meter| meter.name.to_owned()).collect();
        assert_eq!(names, table);
    }

    fn sources(folder: &std::path::Path) -> Vec<String> {
        let mut texts = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                texts.extend(sources(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(std::fs::read_to_string(&path).unwrap());
            }
        }
        texts
    }

    #[test]
    fn a_second_installation_gives_the_first_collector() {
        let first = Metrics::install().unwrap();
        let second = Metrics::install().unwrap();
        metrics::counter!("codex32_incidents_opened_total", "kind" => "test").increment(1);
        assert!(first.render().contains("kind=\"test\""));
        assert!(second.render().contains("kind=\"test\""));
    }
}
