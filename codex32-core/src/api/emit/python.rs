//! The Python client: `_operations.py` runs, `_operations.pyi` types it.

use super::NOTICE;
use super::tree::{Group, class, parameters, shortcuts};
use crate::api::operation::{Kind, Surface};
use crate::api::shape::{Definition, Field, Shape, Shapes, Type};
use std::fmt::Write;

const KEYWORDS: [&str; 12] =
    ["from", "global", "import", "in", "is", "lambda", "not", "or", "pass", "class", "self", "with"];

fn safe(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

fn doc(shape: &Shape, pad: &str) -> String {
    let more = if shape.meta.description.is_empty() {
        String::new()
    } else {
        format!("\n\n{pad}{}\n{pad}", shape.meta.description)
    };
    format!("{pad}\"\"\"{}{more}\"\"\"\n", shape.meta.summary.replace('\\', "\\\\"))
}

/// `_operations.py`.
pub(super) fn module(shapes: &Shapes) -> String {
    let root = Group::of(shapes, Surface::Python);
    let mut text = format!("# {NOTICE}\n\"\"\"The operations of the engine, by group.\"\"\"\n\n\n");
    text.push_str("class Group:\n    def __init__(self, door):\n        self._door = door\n");
    root.walk(&mut Vec::new(), &mut |path, group| {
        let _ = write!(text, "\n\nclass {}(Group):\n", class(path));
        if !group.groups.is_empty() {
            text.push_str("    def __init__(self, door):\n        super().__init__(door)\n");
            for name in group.groups.keys() {
                let _ = writeln!(text, "        self.{} = {}(door)", safe(name), class(&[path, &[*name]].concat()));
            }
        }
        for (verb, shape) in &group.operations {
            method(&mut text, verb, shape);
        }
    });
    text.push_str("\n\nclass Operations(Group):\n    \"\"\"Every operation of the engine.\"\"\"\n\n");
    text.push_str("    def __init__(self, door):\n        super().__init__(door)\n");
    for name in root.groups.keys() {
        let _ = writeln!(text, "        self.{} = {}(door)", safe(name), class(&[*name]));
    }
    for (alias, shape) in shortcuts(shapes, Surface::Python) {
        if !root.groups.contains_key(alias) {
            method(&mut text, alias, shape);
        }
    }
    text
}

fn method(text: &mut String, name: &str, shape: &Shape) {
    let (placed, named) = parameters(shape);
    let mut list = vec!["self".to_owned()];
    list.extend(placed.iter().map(|f| parameter(f)));
    if !named.is_empty() {
        list.push("*".to_owned());
        list.extend(named.iter().map(|f| parameter(f)));
    }
    let fields: Vec<String> =
        placed.iter().chain(&named).map(|f| format!("\"{}\": {}", f.name, safe(&f.name))).collect();
    let call = if shape.meta.kind == Kind::Stream { "stream" } else { "call" };
    let _ = write!(text, "\n    def {}({}):\n", safe(name), list.join(", "));
    text.push_str(&doc(shape, "        "));
    let _ = writeln!(text, "        return self._door.{call}(\"{}\", {{{}}})", shape.meta.name, fields.join(", "));
}

fn parameter(field: &Field) -> String {
    if field.required { safe(&field.name) } else { format!("{}=None", safe(&field.name)) }
}

/// `_operations.pyi`.
pub(super) fn stub(shapes: &Shapes) -> String {
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "from typing import Any, AsyncIterator, Awaitable, Dict, Iterator, List, Literal, Optional, TypedDict\n",
    );
    text.push_str("from typing_extensions import NotRequired\n\n");
    for (name, definition) in &shapes.definitions {
        define(&mut text, name, definition);
    }
    let root = Group::of(shapes, Surface::Python);
    for flavour in [Flavour::Sync, Flavour::Async] {
        root.walk(&mut Vec::new(), &mut |path, group| {
            let _ = writeln!(text, "class {}{}:", flavour.prefix(), class(path));
            for name in group.groups.keys() {
                let inner = class(&[path, &[*name]].concat());
                let _ = writeln!(text, "    {}: {}{inner}", safe(name), flavour.prefix());
            }
            for (verb, shape) in &group.operations {
                signature(&mut text, verb, shape, flavour);
            }
            text.push('\n');
        });
        let _ = writeln!(text, "class {}Operations:", flavour.prefix());
        for name in root.groups.keys() {
            let _ = writeln!(text, "    {}: {}{}", safe(name), flavour.prefix(), class(&[*name]));
        }
        for (alias, shape) in shortcuts(shapes, Surface::Python) {
            if !root.groups.contains_key(alias) {
                signature(&mut text, alias, shape, flavour);
            }
        }
        text.push('\n');
    }
    text
}

#[derive(Clone, Copy, PartialEq)]
enum Flavour {
    Sync,
    Async,
}

impl Flavour {
    const fn prefix(self) -> &'static str {
        match self {
            Flavour::Sync => "",
            Flavour::Async => "Async",
        }
    }
}

fn define(text: &mut String, name: &str, definition: &Definition) {
    match definition {
        Definition::Enumeration { values, .. } => {
            let values: Vec<String> = values.iter().map(|(v, _)| format!("\"{v}\"")).collect();
            let _ = writeln!(text, "{name} = Literal[{}]\n", values.join(", "));
        }
        Definition::Object { doc, fields } => {
            // The functional form takes names that are keywords.
            let _ = writeln!(text, "class {name}(TypedDict):");
            if !doc.is_empty() {
                let _ = writeln!(text, "    \"\"\"{}\"\"\"", doc.replace('\n', " "));
            }
            for field in fields {
                let of = hint(&field.ty, field.nullable);
                let of = if field.required { of } else { format!("NotRequired[{of}]") };
                let _ = writeln!(text, "    {}: {of}", safe(&field.name));
            }
            if fields.is_empty() {
                text.push_str("    ...\n");
            }
            text.push('\n');
        }
    }
}

fn signature(text: &mut String, name: &str, shape: &Shape, flavour: Flavour) {
    let (placed, named) = parameters(shape);
    let typed = |field: &&Field| {
        let of = hint(&field.ty, field.nullable || !field.required);
        if field.required {
            format!("{}: {of}", safe(&field.name))
        } else {
            format!("{}: {of} = ...", safe(&field.name))
        }
    };
    let mut list = vec!["self".to_owned()];
    list.extend(placed.iter().map(typed));
    if !named.is_empty() {
        list.push("*".to_owned());
        list.extend(named.iter().map(typed));
    }
    let output = hint(&shape.output, false);
    let output = match (shape.meta.kind == Kind::Stream, flavour) {
        (true, Flavour::Sync) => format!("Iterator[{output}]"),
        (true, Flavour::Async) => format!("AsyncIterator[{output}]"),
        (false, Flavour::Sync) => output,
        (false, Flavour::Async) => format!("Awaitable[{output}]"),
    };
    let _ = writeln!(text, "    def {}({}) -> {output}:", safe(name), list.join(", "));
    text.push_str(&doc(shape, "        "));
    text.push_str("        ...\n");
}

fn hint(ty: &Type, nullable: bool) -> String {
    let name = match ty {
        Type::Any => return "Any".to_owned(),
        Type::String => "str".to_owned(),
        Type::Integer => "int".to_owned(),
        Type::Number => "float".to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::List(item) => format!("List[{}]", hint(item, false)),
        Type::Map(value) => format!("Dict[str, {}]", hint(value, false)),
        Type::Ref(name) => format!("\"{name}\""),
    };
    if nullable { format!("Optional[{name}]") } else { name }
}
