//! `text`: templates, regular expressions, HTML.

use super::html;
use crate::connector::input::{interruptible, no_action, read};
use crate::connector::net::{MAX_ANSWER, within};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use regex::{Captures, Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a template may use up, in minijinja's measure: it bounds both time and memory (64 bytes each).
const FUEL: u64 = 1_000_000;
/// Longest time for any of it, in milliseconds.
const LIMIT_MS: u64 = 30_000;
/// Largest compiled regular expression, in bytes.
const MAX_REGEX: usize = 2 * 1024 * 1024;

pub(super) struct Text;

#[derive(Deserialize)]
struct Render {
    template: String,
    data: Map<String, Value>,
    html: bool,
}

#[derive(Deserialize)]
struct Find {
    text: String,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    with: String,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    trim: bool,
}

#[async_trait::async_trait]
impl Connector for Text {
    fn name(&self) -> &str {
        "text"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        let action = action.to_owned();
        let work = interruptible(move |stop| match action.as_str() {
            "render" => render(read(input)?),
            "match" => find(&read(input)?),
            "replace" => replace(&read(input)?),
            "split" => split(&read(input)?),
            "html_extract" => html::extract(read(input)?, stop),
            "html_to_text" => {
                let text = html::to_text(input["html"].as_str().unwrap_or_default(), stop)?;
                Ok(json!({"text": text}))
            }
            other => Err(no_action("text", other)),
        });
        within(cx, LIMIT_MS, "working on the text", work).await
    }
}

fn render(input: Render) -> Result<Value> {
    let mut jinja = Environment::new();
    let syntax = SyntaxConfig::builder()
        .block_delimiters("[%", "%]")
        .variable_delimiters("[[", "]]")
        .comment_delimiters("[#", "#]")
        .trim_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .map_err(|e| Error::internal(format!("the template syntax is not right: {e}")))?;
    jinja.set_syntax(syntax);
    jinja.set_fuel(Some(FUEL));
    jinja.set_recursion_limit(100);
    jinja.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    jinja.set_auto_escape_callback(move |_| if input.html { AutoEscape::Html } else { AutoEscape::None });
    let text = jinja.render_str(&input.template, minijinja::value::Serde(&input.data)).map_err(|e| {
        let place = e.line().map(|line| format!(" at line {line}")).unwrap_or_default();
        match e.kind() {
            ErrorKind::SyntaxError | ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest => {
                Error::invalid(format!("the template is not right{place}: {e}")).at("/template", e.to_string())
            }
            ErrorKind::OutOfFuel => Error::new(Code::TooLarge, format!("the template does too much{place}")),
            _ => Error::new(Code::Failed, format!("the template cannot be filled{place}: {e}")),
        }
    })?;
    sized(text).map(|text| json!({"text": text}))
}

fn sized(text: String) -> Result<String> {
    if text.len() > MAX_ANSWER {
        return Err(Error::new(Code::TooLarge, format!("the text is larger than {MAX_ANSWER} bytes")));
    }
    Ok(text)
}

fn compile(pattern: &str) -> Result<Regex> {
    RegexBuilder::new(pattern).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).build().map_err(|e| {
        let why = match e {
            regex::Error::CompiledTooBig(_) => "is too large when it is compiled".to_owned(),
            // The library draws the place over several lines; its last one says what is wrong.
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        };
        Error::invalid(format!("the pattern is not right: {why}"))
            .at("/pattern", why)
            .hint("look-around and back-references are not supported")
    })
}

fn find(input: &Find) -> Result<Value> {
    let regex = compile(input.pattern.as_deref().unwrap_or_default())?;
    let found: Vec<Value> = regex.captures_iter(&input.text).take(input.limit).map(|c| told(&regex, &c)).collect();
    Ok(json!({"matched": !found.is_empty(), "first": found.first(), "matches": found}))
}

fn told(regex: &Regex, captures: &Captures<'_>) -> Value {
    let group = |m: Option<regex::Match<'_>>| m.map(|m| m.as_str().to_owned());
    let groups: Vec<_> = captures.iter().skip(1).map(group).collect();
    let names: Map<String, Value> =
        regex.capture_names().flatten().map(|name| (name.to_owned(), json!(group(captures.name(name))))).collect();
    json!({"text": group(captures.get(0)), "groups": groups, "names": names})
}

fn replace(input: &Find) -> Result<Value> {
    let regex = compile(input.pattern.as_deref().unwrap_or_default())?;
    let limit = if input.limit == 0 { usize::MAX } else { input.limit };
    let (mut out, mut end, mut replaced) = (String::new(), 0, 0usize);
    for captures in regex.captures_iter(&input.text).take(limit) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&input.text[end..whole.start()]);
        captures.expand(&input.with, &mut out);
        (end, replaced) = (whole.end(), replaced + 1);
        // Checked as it grows: many matches of a long replacement would fill the memory.
        if out.len() > MAX_ANSWER {
            break;
        }
    }
    out.push_str(&input.text[end..]);
    Ok(json!({"text": sized(out)?, "replaced": replaced}))
}

fn split(input: &Find) -> Result<Value> {
    let parts: Vec<&str> = match (&input.at, &input.pattern) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("the text is to be split in two ways").hint("give `at` or `pattern`"));
        }
        (Some(at), None) => input.text.split(at.as_str()).collect(),
        (None, Some(pattern)) => compile(pattern)?.split(&input.text).collect(),
        (None, None) => input.text.lines().collect(),
    };
    let parts: Vec<&str> = match input.trim {
        true => parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect(),
        false => parts,
    };
    Ok(json!({"parts": parts}))
}
