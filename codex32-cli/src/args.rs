//! The command line, derived from the operation table.

use crate::commands;
use clap::{Arg, ArgAction, Command, ValueHint};
use codex32_core::api::shape::{Definition, Field, Shape, Shapes, Type};
use codex32_core::api::{Meta, Surface, table};
use codex32_core::error::Result;
use std::collections::BTreeMap;

/// The whole command.
pub(crate) fn command() -> Result<Command> {
    let shapes = &table()?.shapes;
    let mut root = Command::new("codex32")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Say in plain words what should be automated and get a bot.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help("Start with: codex32 up, then codex32 make \"every 5 minutes fetch URL and ...\"")
        .args(globals());
    let hand_made: Vec<Command> = commands::hand_made();
    let taken: Vec<String> = hand_made.iter().map(|c| c.get_name().to_owned()).collect();
    root = root.subcommands(hand_made);
    let shown = || shapes.operations.iter().filter(|shape| shape.meta.offered_on(Surface::Cli));
    let groups: Vec<&str> = shown().map(|shape| shape.meta.group()).collect();
    for shape in shown() {
        let free = |alias: &&str| !taken.iter().any(|t| t == alias) && !groups.contains(alias);
        if let Some(alias) = shape.meta.alias.filter(free) {
            root = root.subcommand(operation(shapes, shape, alias));
        }
    }
    let mut tree = Tree::default();
    for shape in shown() {
        tree.insert(&shape.meta.name.split('.').collect::<Vec<_>>(), shape);
    }
    for (name, group) in tree.children {
        let mut command = group.command(shapes, name).about(format!("Operations on {name}"));
        // `codex32 versions BOT` beside `codex32 versions get BOT 2`.
        if let Some(shape) = shown().find(|shape| shape.meta.alias == Some(name)) {
            for arg in operation(shapes, shape, name).get_arguments() {
                command = command.arg(arg.clone());
            }
            command = command
                .args_conflicts_with_subcommands(true)
                .subcommand_negates_reqs(true)
                .subcommand_required(false)
                .about(shape.meta.summary);
        }
        root = root.subcommand(command);
    }
    Ok(root)
}

/// Groups of operations by the parts of their names.
#[derive(Default)]
struct Tree<'a> {
    leaf: Option<&'a Shape>,
    children: BTreeMap<&'static str, Tree<'a>>,
}

impl<'a> Tree<'a> {
    fn insert(&mut self, path: &[&'static str], shape: &'a Shape) {
        match path {
            [] => self.leaf = Some(shape),
            [first, rest @ ..] => self.children.entry(first).or_default().insert(rest, shape),
        }
    }
    fn command(self, shapes: &Shapes, name: &'static str) -> Command {
        let mut command = match self.leaf {
            Some(shape) => operation(shapes, shape, name),
            None => Command::new(name).subcommand_required(true).arg_required_else_help(true),
        };
        for (name, child) in self.children {
            command = command.subcommand(child.command(shapes, name));
        }
        command
    }
}

/// The command of one operation, called `name`.
pub(crate) fn operation(shapes: &Shapes, shape: &Shape, name: &'static str) -> Command {
    let meta = shape.meta;
    let mut command = Command::new(name).about(meta.summary);
    if !meta.description.is_empty() {
        command = command.long_about(format!("{}\n\n{}", meta.summary, meta.description));
    }
    if name == "get" {
        command = command.visible_alias("show");
    }
    let positional = positional(meta);
    for (index, field) in positional.iter().enumerate() {
        if let Some(field) = shape.input.iter().find(|f| f.name == *field) {
            command = command.arg(argument(shapes, meta, field).index(index + 1).required(field.required));
        }
    }
    for field in shape.input.iter().filter(|f| !positional.contains(&f.name.as_str())) {
        let mut arg = argument(shapes, meta, field).long(field.name.replace('_', "-")).required(field.required);
        if field.name == "follow" {
            arg = arg.short('f');
        }
        if matches!(field.ty, Type::Boolean) {
            // "run --wait BOT": the next word is no value of the flag.
            arg = arg.require_equals(true);
        }
        command = command.arg(arg);
    }
    if meta.raw_output.is_some() {
        command = command.arg(
            Arg::new("output_file")
                .long("output")
                .short('o')
                .value_hint(ValueHint::FilePath)
                .help("Write to this file"),
        );
    }
    command
}

/// Fields that are given by their place.
pub(crate) fn positional(meta: &'static Meta) -> Vec<&'static str> {
    if meta.positional.is_empty() { meta.path_fields() } else { meta.positional.to_vec() }
}

fn argument(shapes: &Shapes, meta: &Meta, field: &Field) -> Arg {
    let mut help = field.doc.clone();
    let mut arg = Arg::new(field.name.clone()).value_name(field.name.to_uppercase());
    if meta.raw_input.is_some_and(|raw| raw.field == field.name) {
        return arg.value_hint(ValueHint::FilePath).help(format!("{help} A file, or - for standard input."));
    }
    match &field.ty {
        Type::Boolean => {
            arg = arg.num_args(0..=1).default_missing_value("true").value_parser(["true", "false"]);
        }
        Type::List(_) => arg = arg.action(ArgAction::Append),
        Type::Any | Type::Map(_) => help.push_str(" JSON, or @FILE."),
        Type::Ref(name) => match shapes.definitions.get(name) {
            Some(Definition::Enumeration { values, .. }) => {
                arg = arg.value_parser(values.iter().map(|(value, _)| value.clone()).collect::<Vec<_>>());
            }
            _ => help.push_str(" JSON, or @FILE."),
        },
        Type::Integer | Type::Number => arg = arg.allow_negative_numbers(true),
        Type::String => {}
    }
    if let Some(default) = &field.default {
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        help.push_str(&format!(" [default: {default}]"));
    }
    arg.help(help)
}

fn globals() -> Vec<Arg> {
    let global = |name: &'static str, env: &'static str, help: &'static str| {
        Arg::new(name).long(name).env(env).global(true).help(help).help_heading("Where")
    };
    vec![
        global("data", "CODEX32_DATA", "Work embedded over this folder (default ./data or the user's data folder)")
            .value_name("DIR"),
        global("store", "CODEX32_STORE", "Database URL instead of the SQLite file in the folder").value_name("URL"),
        global(
            "key_file",
            "CODEX32_KEY_FILE",
            "Key of the secrets, instead of the file in the folder (or CODEX32_KEY)",
        )
        .long("key-file")
        .value_name("FILE"),
        global("url", "CODEX32_URL", "Work against the server at this address").value_name("URL"),
        global("token", "CODEX32_TOKEN", "API token for the server").value_name("TOKEN").hide_env_values(true),
        Arg::new("json").long("json").global(true).num_args(0).action(ArgAction::SetTrue).help("Print JSON"),
    ]
}
