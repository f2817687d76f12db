//! Any operation of the table.

use crate::output::Output;
use crate::{input, print};
use base64::Engine as _;
use clap::ArgMatches;
use codex32_core::api::door::Door;
use codex32_core::api::shape::{Shape, Shapes};
use codex32_core::api::{Kind, Surface, table};
use codex32_core::error::{Error, Result};
use futures::StreamExt;
use serde_json::Value;

/// Runs the operation that the words of the command line name.
pub(crate) async fn run(door: &Door, matches: &ArgMatches, output: &Output) -> Result<u8> {
    let shapes = &table()?.shapes;
    let (shape, matches) = find(shapes, matches)?;
    let input = input::of(shapes, shape, matches)?;
    if shape.meta.kind == Kind::Stream {
        return stream(door, shape, input, output).await;
    }
    let value = door.call(shape.meta.name, input).await?;
    if let Some(raw) = shape.meta.raw_output {
        return file(&value, raw.field, matches, output);
    }
    match output.json {
        true => output.document(&value),
        false => output.line(print::result(shapes, shape, &value)),
    }
    Ok(0)
}

/// The operation that `matches` name: by alias, or word by word.
fn find<'a>(shapes: &'a Shapes, matches: &'a ArgMatches) -> Result<(&'a Shape, &'a ArgMatches)> {
    let mut words = Vec::new();
    let mut level = matches;
    while let Some((word, sub)) = level.subcommand() {
        words.push(word);
        level = sub;
    }
    let name = words.join(".");
    let shape = shapes
        .operations
        .iter()
        .filter(|shape| shape.meta.offered_on(Surface::Cli))
        .find(|shape| shape.meta.name == name || shape.meta.alias == Some(name.as_str()));
    shape.map(|shape| (shape, level)).ok_or_else(|| Error::not_found("command", words.join(" ")))
}

async fn stream(door: &Door, shape: &Shape, input: Value, output: &Output) -> Result<u8> {
    let mut items = door.open_stream(shape.meta.name, input).await?;
    while let Some(item) = items.next().await {
        let item = item?;
        match output.json {
            true => output.json_line(&item),
            false => output.line(print::item(&item)),
        }
    }
    Ok(0)
}

fn file(value: &Value, field: &str, matches: &ArgMatches, output: &Output) -> Result<u8> {
    let text = value.get(field).and_then(Value::as_str).unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| Error::internal("the file in the answer is not base64"))?;
    match matches.get_one::<String>("output_file").filter(|path| *path != "-") {
        Some(path) => {
            std::fs::write(path, &bytes).map_err(|e| Error::invalid(format!("write {path}: {e}")))?;
            output.note(format_args!("wrote {} bytes to {path}", bytes.len()));
        }
        None => std::io::Write::write_all(&mut std::io::stdout().lock(), &bytes)
            .map_err(|e| Error::unavailable(format!("write to standard output: {e}")))?,
    }
    Ok(0)
}
