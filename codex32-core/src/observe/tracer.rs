//! What the engine says about itself.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people: a line of text, coloured on a terminal.
    #[default]
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err(Error::invalid(format!("there is no log format \"{text}\"")).hint("use pretty or json")),
        }
    }
}

/// Writes the engine's log to standard error from now on, for the whole process. An
/// embedding program that has its own `tracing` subscriber does not call this.
///
/// `filter` is a list of directives: `info`, `codex32_core=debug,warn`.
///
/// # Errors
/// `invalid` for the filter, `precondition` where the process has a subscriber already.
pub fn init_tracing(format: LogFormat, filter: &str) -> Result<()> {
    let colour = std::io::stderr().is_terminal();
    let subscriber = subscriber(format, filter, colour, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| Error::precondition("this process has a log already").hint("set it up once, at the start"))
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colour: bool,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).map_err(|e| {
        Error::invalid(format!("the log filter is malformed: {e}")).hint("write it as info, or codex32_core=debug,warn")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(writer);
    Ok(match format {
        LogFormat::Pretty => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, filter: &str) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(format, filter, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("execution", id = "e-1");
            let _inside = span.enter();
            tracing::info!(step = "fetch", "done");
            tracing::debug!("not shown");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_carry_fields_and_spans() {
        let text = written(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "done");
        assert_eq!(line["step"], "fetch");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["span"]["id"], "e-1");
    }

    #[test]
    fn lines_for_people_are_text_and_the_filter_holds() {
        let text = written(LogFormat::Pretty, "info");
        assert!(text.contains("done") && text.contains("step=\"fetch\""), "{text}");
        assert!(!text.contains("not shown"));
        assert_eq!(written(LogFormat::Pretty, "error"), "");
    }

    #[test]
    fn bad_settings_are_named() {
        assert!(init_tracing(LogFormat::Json, "a=b=c").unwrap_err().message().contains("filter"));
        assert!("yaml".parse::<LogFormat>().is_err());
    }
}
