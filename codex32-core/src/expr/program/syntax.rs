//! What is wrong with the syntax, in words.

use cel::ParseErrors;

use crate::expr::MAX_DEPTH;
use crate::expr::error::ExprError;

/// Most operators, dots and brackets in an expression.
const MAX_OPERATORS: usize = 1_000;

/// Refuses nesting and chains that are too long before the parser recurses into them.
pub(super) fn check_shape(source: &str) -> Result<(), ExprError> {
    let mut depth = 0_usize;
    let mut operators = 0_usize;
    let mut prefix = 0_usize;
    let mut text = None;
    let mut escaped = false;
    for (offset, c) in source.char_indices() {
        if let Some(quote) = text {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                text = None;
            }
            continue;
        }
        match c {
            '"' | '\'' => text = Some(c),
            '(' | '[' | '{' | '?' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // `!!!!x` and `----x` nest too.
        prefix = match c {
            '!' | '-' => prefix + 1,
            ' ' => prefix,
            _ => 0,
        };
        operators += usize::from(c.is_ascii_punctuation() && c != '_' && c != ',');
        if operators > MAX_OPERATORS {
            let message = format!("the expression has more than {MAX_OPERATORS} operators and brackets");
            return Err(ExprError::at(offset, 1, message));
        }
        if depth > MAX_DEPTH || prefix > MAX_DEPTH {
            let message = format!("the expression is nested deeper than {MAX_DEPTH} levels");
            return Err(ExprError::at(offset, 1, message));
        }
    }
    Ok(())
}

/// The first of the parser's errors, as people would put it.
pub(super) fn explain(source: &str, errors: &ParseErrors) -> ExprError {
    let Some(first) = errors.errors.first() else { return ExprError::at(0, source.len(), "the expression is not CEL") };
    let offset = byte_offset(source, first.pos);
    if source.trim_start().starts_with("{{") {
        let open = source.len() - source.trim_start().len();
        return ExprError::at(open, 2, "an expression stands here without `{{ }}`").hint("remove the braces");
    }
    let raw = first.msg.as_str();
    if raw.contains("recursion") {
        let message = format!("the expression is nested deeper than {MAX_DEPTH} levels");
        return ExprError::at(offset, 0, message);
    }
    if raw.contains("'<EOF>'") {
        return ExprError::at(source.len(), 0, "the expression ends too early")
            .hint("a bracket or an operand is missing");
    }
    if let Some(found) = quoted_after(raw, "token recognition error at: ") {
        return unknown_token(offset, &found);
    }
    for marker in ["mismatched input ", "extraneous input ", "no viable alternative at input "] {
        if let Some(found) = quoted_after(raw, marker) {
            return unexpected(offset, &found);
        }
    }
    let message = raw.trim_start_matches("Syntax error: ").trim();
    ExprError::at(offset, 0, lower_first(message))
}

fn unknown_token(offset: usize, found: &str) -> ExprError {
    let found = found.trim_end();
    if found.starts_with('=') {
        return ExprError::at(offset, 1, "`=` is not an operator").hint("to compare, write `==`");
    }
    if found.starts_with('&') || found.starts_with('|') {
        let sign = &found[..1];
        return ExprError::at(offset, 1, format!("`{sign}` is not an operator")).hint(format!("write `{sign}{sign}`"));
    }
    if found.starts_with(['"', '\'']) {
        return ExprError::at(offset, found.len(), "the text is not closed")
            .hint("end it with the quote it began with");
    }
    ExprError::at(offset, found.len(), format!("unexpected `{found}`"))
}

fn unexpected(offset: usize, found: &str) -> ExprError {
    let error = ExprError::at(offset, found.len(), format!("unexpected `{found}`"));
    match found {
        "and" => error.hint("write `&&`"),
        "or" => error.hint("write `||`"),
        "not" => error.hint("write `!`"),
        "is" => error.hint("write `==`"),
        _ => error.hint("an operator may be missing before it"),
    }
}

/// The text in quotes that follows `marker`.
fn quoted_after(message: &str, marker: &str) -> Option<String> {
    let rest = &message[message.find(marker)? + marker.len()..];
    let inner = rest.strip_prefix('\'')?;
    let end = inner.find("' expecting").or_else(|| inner.rfind('\''))?;
    Some(inner[..end].to_owned())
}

/// Line and column of the parser, both from 1, as an offset in bytes.
fn byte_offset(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(0).saturating_sub(1);
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &source[start.min(source.len())..];
    let column = usize::try_from(column).unwrap_or(0).saturating_sub(1);
    start + rest.char_indices().nth(column).map_or(rest.len(), |(i, _)| i)
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
