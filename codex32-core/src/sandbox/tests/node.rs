//! Node: modules of both kinds, plain scripts, and what a failure shows.

use super::*;
use crate::error::Code;
use serde_json::json;

async fn run(code: &str, input: Value) -> Result<Value> {
    let rig = Rig::new();
    let result = rig.run(Language::Node, code, input).await;
    rig.assert_clean();
    result
}

#[tokio::test]
async fn functions_in_every_way_of_exporting_them() {
    let cases = [
        ("export default async function (input) { return input.a + 1 }", json!({"a": 1}), json!(2)),
        ("export default (input) => ({ ...input, b: 2 })", json!({"a": 1}), json!({"a": 1, "b": 2})),
        ("module.exports = async (input) => input.text.toUpperCase()", json!({"text": "größe"}), json!("GRÖSSE")),
        ("exports.main = (input) => input.length", json!([1, 2]), json!(2)),
        ("export function main() {}", json!({}), json!(null)),
        ("import os from 'node:os'; export default () => typeof os.EOL", json!({}), json!("string")),
        ("import 'node:fs'; const path = require('node:path'); export default () => path.sep", json!({}), json!("/")),
        ("const n = await Promise.resolve(4); export default () => n", json!({}), json!(4)),
    ];
    let rig = Rig::new();
    for (code, input, expected) in cases {
        let result = rig.run(Language::Node, code, input).await;
        assert_eq!(result.as_ref().ok(), Some(&expected), "{code}: {result:?}");
    }
    rig.assert_clean();
}

#[tokio::test]
async fn a_plain_script_is_a_program() {
    let code = "let text = ''; process.stdin.on('data', d => text += d).on('end', () => {
        console.error('read'); console.log(JSON.stringify({ got: JSON.parse(text) })) })";
    let rig = Rig::new();
    assert_eq!(rig.run(Language::Node, code, json!({"x": "é"})).await.unwrap(), json!({"got": {"x": "é"}}));
    assert_eq!(rig.log.of(Stream::Stderr), ["read"]);
    assert_eq!(run("console.log('a'); console.log('b')", json!({})).await.unwrap(), json!("a\nb"));
    assert_eq!(run("const x = 1", json!({})).await.unwrap(), json!(null));
    let error = run("console.log('going'); process.exit(4)", json!({})).await.unwrap_err();
    assert_eq!(error.message(), "the script ended with exit code 4");
    assert_eq!(error.hint_text(), Some("the last lines it wrote:\ngoing"));
}

#[tokio::test]
async fn an_exception_shows_the_scripts_own_lines() {
    let code = "function price(text) {
  return JSON.parse(text)
}
export default async function main(input) {
  await null
  return price(input.text)
}";
    let error = run(code, json!({"text": "{"})).await.unwrap_err();
    assert_eq!(error.code(), Code::Failed);
    let lines: Vec<&str> = error.message().lines().collect();
    assert!(lines[0].starts_with("SyntaxError: "), "{error}");
    assert_eq!(lines[1].trim(), "at price (main.mjs:2:15)", "{error}");
    assert_eq!(lines[2].trim(), "at main (main.mjs:6:10)", "{error}");
    assert_eq!(lines.len(), 3, "{error}");

    let error = run("setTimeout(() => { throw new TypeError('late') }, 1)", json!({})).await.unwrap_err();
    assert!(error.message().starts_with("TypeError: late\n"), "{error}");
    let error = run("Promise.reject(new Error('nobody listens'))", json!({})).await.unwrap_err();
    assert!(error.message().starts_with("Error: nobody listens\n"), "{error}");
    let error = run("throw 'just text'", json!({})).await.unwrap_err();
    assert_eq!(error.message(), "string: just text");
}

#[tokio::test]
async fn mistakes_are_named() {
    let error = run("export default function (input) {\n  retrun input\n}", json!({})).await.unwrap_err();
    assert!(error.message().starts_with("SyntaxError: Unexpected identifier"), "{error}");
    assert!(error.message().contains("main.mjs:2") && error.message().contains("retrun input"), "{error}");
    let error = run("const a = ;", json!({})).await.unwrap_err();
    assert!(error.message().contains("main.js:1"), "{error}");
    let error = run("export default () => 10n", json!({})).await.unwrap_err();
    assert!(error.message().contains("BigInt"), "{error}");
    let error = run("export default () => new Promise(() => {})", json!({})).await.unwrap_err();
    assert!(error.message().contains("the function never finished"), "{error}");
}

#[tokio::test]
async fn open_handles_do_not_keep_a_finished_function() {
    let code = "export default async () => { setInterval(() => {}, 1000); return 'done' }";
    assert_eq!(run(code, json!({})).await.unwrap(), json!("done"));
}

#[tokio::test]
async fn imports_the_files_of_its_version() {
    let rig = Rig::new();
    let code = "import { price } from './lib/price.js'; export default () => price";
    let mut job = rig.job(Language::Node, code, json!({}));
    job.files = files(&[
        ("lib/price.js", "export const price = 42"),
        ("package.json", "{\"type\":\"module\"}"),
        ("app.js", code),
    ]);
    assert_eq!(rig.runtime.run(job).await.unwrap(), json!(42));
}

#[tokio::test]
async fn large_input_and_output_pass_through() {
    let rig = Rig::new();
    let input = json!({"text": "ä🤖x".repeat(800_000)});
    let mut job = rig.job(Language::Node, "module.exports = (input) => input", input.clone());
    job.limits.output = Some(crate::blueprint::Bytes(32 << 20));
    assert!(rig.runtime.run(job).await.unwrap() == input);
}
