//! Every frontend offers every operation of the table: asked of the real binary, its
//! server and its tools, and read in the clients that are generated from the table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn codex32(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex32"));
    command.args(args).stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// The table, as the binary tells it.
fn operations() -> Vec<Value> {
    let done = codex32(&["operations", "--json"]).output().unwrap();
    assert!(done.status.success());
    let table: Vec<Value> = serde_json::from_slice(&done.stdout).unwrap();
    assert!(table.len() > 50, "{} operations", table.len());
    table
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap()
}

fn names(table: &[Value]) -> BTreeSet<String> {
    table.iter().map(|operation| text(operation, "/name").to_owned()).collect()
}

/// A child that is ended with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        Running(command.stdout(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fields of an operation's input.
fn fields(operation: &Value) -> Vec<String> {
    let input = &operation["input"];
    let schema = match input["$ref"].as_str() {
        Some(reference) => input.pointer(reference.trim_start_matches('#')).unwrap(),
        None => input,
    };
    schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

#[test]
fn the_command_line_takes_every_operation_with_every_field() {
    for operation in operations() {
        let name = text(&operation, "/name");
        let mut words: Vec<&str> = name.split('.').collect();
        words.push("--help");
        let done = codex32(&words).output().unwrap();
        let help = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{name}");
        for field in fields(&operation) {
            let flag = format!("--{}", field.replace('_', "-"));
            let place = format!("<{}>", field.to_uppercase());
            let optional = format!("[{}]", field.to_uppercase());
            assert!([flag, place, optional].iter().any(|way| help.contains(way)), "{name}: no {field} in\n{help}");
        }
    }
}

#[tokio::test]
async fn http_and_the_tools_of_an_assistant_offer_every_operation() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let table = operations();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut up =
        Running::start(&mut codex32(&["up", "--json", "--listen", "127.0.0.1:0", "--log", "error", "--data", data]));
    let mut line = String::new();
    BufReader::new(up.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let greeting: Value = serde_json::from_str(&line).unwrap();
    let (address, token) = (text(&greeting, "/address"), text(&greeting, "/token"));

    let url = format!("{address}/api/v1/openapi.json");
    let document: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    for operation in &table {
        let method = text(operation, "/route/method").to_lowercase();
        let described = &document["paths"][text(operation, "/route/path")][method];
        assert_eq!(described["operationId"], operation["name"]);
    }

    let mut mcp = codex32(&["mcp", "--url", address, "--token", token]);
    let mut mcp = Running::start(mcp.stdin(Stdio::piped()));
    let mut to = mcp.0.stdin.take().unwrap();
    let client = json!({"name": "parity", "version": "1"});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
    ] {
        writeln!(to, "{message}").unwrap();
    }
    let answers = BufReader::new(mcp.0.stdout.take().unwrap()).lines();
    let answers = answers.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let listed = answers.into_iter().find(|answer| answer["id"] == 2).unwrap();
    let tools: BTreeSet<String> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| text(tool, "/name").to_owned()).collect();
    assert_eq!(tools, names(&table).iter().map(|name| name.replace('.', "_")).collect());
}

#[test]
fn the_generated_clients_call_every_operation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (file, quote) in [
        ("codex32-py/python/codex32/_operations.py", '"'),
        ("codex32-node/operations.js", '\''),
        ("codex32-server/dashboard/src/operations.ts", '\''),
    ] {
        let client = std::fs::read_to_string(root.join(file)).unwrap();
        for name in names(&operations()) {
            assert!(client.contains(&format!("{quote}{name}{quote}")), "{file} does not call {name}");
        }
    }
    let reference = std::fs::read_to_string(root.join("docs/reference/operations.md")).unwrap();
    for name in names(&operations()) {
        assert!(reference.contains(&name), "the reference does not tell of {name}");
    }
}
