//! The JavaScript client: `operations.js` runs, `operations.d.ts` types it.

use super::NOTICE;
use super::tree::{Group, class, parameters, shortcuts};
use crate::api::operation::{Kind, Surface};
use crate::api::shape::{Definition, Field, Shape, Shapes, Type};
use std::fmt::Write;

/// `set_enabled` as `setEnabled`.
fn camel(name: &str) -> String {
    let class = class(&[name]);
    let mut letters = class.chars();
    letters.next().map(|first| first.to_lowercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// Words that cannot name a parameter.
fn safe(name: &str) -> String {
    let name = camel(name);
    match name.as_str() {
        "new" | "delete" | "default" | "in" | "with" | "class" | "function" | "package" | "import" | "export" => {
            format!("{name}_")
        }
        _ => name,
    }
}

/// `operations.js`.
pub(super) fn module(shapes: &Shapes) -> String {
    let root = Group::of(shapes, Surface::Node);
    let mut text = format!(
        "// {NOTICE}\n'use strict'\n\nclass Group {{\n  constructor(door) {{\n    this._door = door\n  }}\n}}\n"
    );
    root.walk(&mut Vec::new(), &mut |path, group| {
        let _ = writeln!(text, "\nclass {} extends Group {{", class(path));
        members(&mut text, path, group);
        text.push_str("}\n");
    });
    text.push_str("\nclass Operations extends Group {\n");
    members(&mut text, &[], &root);
    for (alias, shape) in shortcuts(shapes, Surface::Node) {
        if !root.groups.contains_key(alias) {
            method(&mut text, alias, shape);
        }
    }
    text.push_str("}\n\nmodule.exports = { Operations }\n");
    text
}

/// One typed module for the dashboard, which the browser loads as it is.
pub(super) fn client(shapes: &Shapes) -> String {
    let root = Group::of(shapes, Surface::Rest);
    let mut text = format!("// {NOTICE}\n\n/** Any JSON. */\nexport type Json = unknown\n");
    for (name, definition) in &shapes.definitions {
        define(&mut text, name, definition);
    }
    text.push_str("\n/** How operations are asked. */\nexport interface Door {\n");
    text.push_str("  call(name: string, input: object): Promise<any>\n");
    text.push_str("  stream(name: string, input: object): AsyncIterableIterator<any>\n}\n");
    root.walk(&mut Vec::new(), &mut |path, group| {
        typed_class(&mut text, &format!("{}Operations", class(path)), path, group);
    });
    typed_class(&mut text, "Operations", &[], &root);
    text
}

fn typed_class(text: &mut String, name: &str, path: &[&'static str], group: &Group<'_>) {
    let _ = writeln!(text, "\nexport class {name} {{");
    for inner in group.groups.keys() {
        let _ = writeln!(text, "  readonly {}: {}Operations", camel(inner), class(&[path, &[*inner]].concat()));
    }
    let kept = if group.operations.is_empty() { "" } else { "private readonly " };
    let _ = writeln!(text, "  constructor({kept}door: Door) {{");
    for inner in group.groups.keys() {
        let _ =
            writeln!(text, "    this.{} = new {}Operations(door)", camel(inner), class(&[path, &[*inner]].concat()));
    }
    text.push_str("  }\n");
    for (verb, shape) in &group.operations {
        let (list, fields, output) = parts(shape);
        let call = if shape.meta.kind == Kind::Stream { "stream" } else { "call" };
        let _ = writeln!(
            text,
            "  /** {} */\n  {}({list}): {output} {{\n    return this.door.{call}('{}', {{ {fields} }})\n  }}",
            shape.meta.summary,
            camel(verb),
            shape.meta.name
        );
    }
    text.push_str("}\n");
}

/// Typed parameters, the fields of the input that they make, and the result's type.
fn parts(shape: &Shape) -> (String, String, String) {
    let (placed, named) = parameters(shape);
    let mut list: Vec<String> = placed.iter().map(|f| parameter(f, &safe(&f.name))).collect();
    let mut input: Vec<String> = placed.iter().map(|f| format!("{}: {}", f.name, safe(&f.name))).collect();
    if !named.is_empty() {
        let fields: Vec<String> = named.iter().map(|f| parameter(f, &f.name)).collect();
        list.push(format!("options?: {{ {} }}", fields.join("; ")));
        input.push("...options".to_owned());
    }
    let output = hint(&shape.output, false);
    let output = match shape.meta.kind {
        Kind::Stream => format!("AsyncIterableIterator<{output}>"),
        _ => format!("Promise<{output}>"),
    };
    (list.join(", "), input.join(", "), output)
}

fn members(text: &mut String, path: &[&'static str], group: &Group<'_>) {
    if !group.groups.is_empty() {
        text.push_str("  constructor(door) {\n    super(door)\n");
        for name in group.groups.keys() {
            let _ = writeln!(text, "    this.{} = new {}(door)", camel(name), class(&[path, &[*name]].concat()));
        }
        text.push_str("  }\n");
    }
    for (verb, shape) in &group.operations {
        method(text, verb, shape);
    }
}

fn method(text: &mut String, name: &str, shape: &Shape) {
    let (placed, named) = parameters(shape);
    let mut list: Vec<String> = placed.iter().map(|f| safe(&f.name)).collect();
    let mut fields: Vec<String> = placed.iter().map(|f| format!("{}: {}", f.name, safe(&f.name))).collect();
    if !named.is_empty() {
        list.push("options = {}".to_owned());
        fields.push("...options".to_owned());
    }
    let call = if shape.meta.kind == Kind::Stream { "stream" } else { "call" };
    let _ = writeln!(
        text,
        "  /** {} */\n  {}({}) {{\n    return this._door.{call}('{}', {{ {} }})\n  }}",
        shape.meta.summary,
        camel(name),
        list.join(", "),
        shape.meta.name,
        fields.join(", ")
    );
}

/// `operations.d.ts`.
pub(super) fn types(shapes: &Shapes) -> String {
    let mut text = format!("// {NOTICE}\n\n/** Any JSON. */\nexport type Json = unknown\n");
    for (name, definition) in &shapes.definitions {
        define(&mut text, name, definition);
    }
    let root = Group::of(shapes, Surface::Node);
    root.walk(&mut Vec::new(), &mut |path, group| {
        let _ = writeln!(text, "\nexport declare class {}Operations {{", class(path));
        signatures(&mut text, path, group);
        text.push_str("}\n");
    });
    text.push_str("\n/** Every operation of the engine. */\nexport declare class Operations {\n");
    signatures(&mut text, &[], &root);
    for (alias, shape) in shortcuts(shapes, Surface::Node) {
        if !root.groups.contains_key(alias) {
            signature(&mut text, alias, shape);
        }
    }
    text.push_str("}\n");
    text
}

fn signatures(text: &mut String, path: &[&'static str], group: &Group<'_>) {
    for name in group.groups.keys() {
        let _ = writeln!(text, "  readonly {}: {}Operations", camel(name), class(&[path, &[*name]].concat()));
    }
    for (verb, shape) in &group.operations {
        signature(text, verb, shape);
    }
}

fn signature(text: &mut String, name: &str, shape: &Shape) {
    let (list, _, output) = parts(shape);
    let _ = writeln!(text, "  /** {} */\n  {}({list}): {output}", shape.meta.summary, camel(name));
}

fn parameter(field: &Field, name: &str) -> String {
    let mark = if field.required { "" } else { "?" };
    format!("{name}{mark}: {}", hint(&field.ty, field.nullable))
}

fn define(text: &mut String, name: &str, definition: &Definition) {
    match definition {
        Definition::Enumeration { doc, values } => {
            let values: Vec<String> = values.iter().map(|(v, _)| format!("'{v}'")).collect();
            let _ = writeln!(text, "\n/** {} */\nexport type {name} = {}", one_line(doc), values.join(" | "));
        }
        Definition::Object { doc, fields } => {
            let _ = writeln!(text, "\n/** {} */\nexport interface {name} {{", one_line(doc));
            for field in fields {
                let _ = writeln!(text, "  /** {} */\n  {}", one_line(&field.doc), parameter(field, &field.name));
            }
            text.push_str("}\n");
        }
    }
}

fn one_line(doc: &str) -> String {
    doc.replace('\n', " ").replace("*/", "* /")
}

fn hint(ty: &Type, nullable: bool) -> String {
    let name = match ty {
        Type::Any => return "Json".to_owned(),
        Type::String => "string".to_owned(),
        Type::Integer | Type::Number => "number".to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::List(item) => format!("Array<{}>", hint(item, false)),
        Type::Map(value) => format!("Record<string, {}>", hint(value, false)),
        Type::Ref(name) => name.clone(),
    };
    if nullable { format!("{name} | null") } else { name }
}
