//! The reference chapter of the book.

use super::NOTICE;
use crate::api::operation::{Kind, Surface};
use crate::api::shape::{Field, Shape, Shapes, Type};
use std::fmt::Write;

/// `operations.md`.
pub(super) fn chapter(shapes: &Shapes) -> String {
    let mut text = format!("<!-- {NOTICE} -->\n\n# Operations\n\n");
    text.push_str("One table, offered by every frontend: REST, the command line, MCP, Python and Node.\n");
    let mut group = "";
    for shape in &shapes.operations {
        if shape.meta.group() != group {
            group = shape.meta.group();
            let _ = write!(text, "\n## {group}\n");
        }
        operation(&mut text, shape);
    }
    text
}

fn operation(text: &mut String, shape: &Shape) {
    let meta = shape.meta;
    let _ = write!(text, "\n### `{}`\n\n{}\n", meta.name, meta.summary);
    if !meta.description.is_empty() {
        let _ = write!(text, "\n{}\n", meta.description);
    }
    let kind = match meta.kind {
        Kind::Read => "read",
        Kind::Write => "write",
        Kind::Stream => "stream",
    };
    let permission = match (meta.permission, meta.authenticated) {
        (Some(permission), _) => format!("needs `{permission}`"),
        (None, true) => "needs a token".to_owned(),
        (None, false) => "open to everyone".to_owned(),
    };
    let _ = write!(text, "\n`{} /api/v1{}` · {kind} · {permission}", meta.method.as_str(), meta.path);
    if meta.offered_on(Surface::Cli) {
        let _ = write!(text, " · `codex32 {}`", meta.alias.map_or_else(|| meta.name.replace('.', " "), str::to_owned));
    }
    text.push('\n');
    if !shape.input.is_empty() {
        text.push_str("\n| input | type | |\n| --- | --- | --- |\n");
        for field in &shape.input {
            row(text, field);
        }
    }
    let _ = write!(text, "\nGives {}.\n", name(&shape.output));
    if meta.example != "{}" {
        let _ = write!(text, "\n```json\n{}\n```\n", meta.example);
    }
}

fn row(text: &mut String, field: &Field) {
    let need = if field.required { " **required**" } else { "" };
    let doc = field.doc.replace('\n', " ").replace('|', "\\|");
    let _ = writeln!(text, "| `{}` | {} | {doc}{need} |", field.name, name(&field.ty));
}

fn name(ty: &Type) -> String {
    match ty {
        Type::Any => "JSON".to_owned(),
        Type::String => "text".to_owned(),
        Type::Integer => "integer".to_owned(),
        Type::Number => "number".to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::List(item) => format!("list of {}", name(item)),
        Type::Map(value) => format!("map of {}", name(value)),
        Type::Ref(name) => format!("`{name}`"),
    }
}
