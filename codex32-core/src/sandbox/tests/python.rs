//! Python: how people write scripts, and what they get to see when one fails.

use super::*;
use crate::error::Code;
use serde_json::json;

async fn run(code: &str, input: Value) -> Result<Value> {
    let rig = Rig::new();
    let result = rig.run(Language::Python, code, input).await;
    rig.assert_clean();
    result
}

#[tokio::test]
async fn main_takes_its_input_whole_or_by_name() {
    let cases = [
        ("def main(input): return input['a'] + 1", json!({"a": 1}), json!(2)),
        ("def main(event): return list(event)", json!({"a": 1, "event": 2}), json!(["a", "event"])),
        ("def main(whatever): return whatever", json!([1, 2]), json!([1, 2])),
        ("def main(a, b=5): return [a, b]", json!({"a": 1, "c": 3}), json!([1, 5])),
        ("def main(name): return 'hello ' + name", json!({"name": "Åse", "age": 3}), json!("hello Åse")),
        ("def main(*, a): return a", json!({"a": 1}), json!(1)),
        ("def main(**fields): return fields", json!({"a": 1, "b": [2]}), json!({"a": 1, "b": [2]})),
        ("def main(a, /, b): return a - b", json!({"a": 5, "b": 3}), json!(2)),
        ("def main(): return None", json!({"a": 1}), json!(null)),
        (
            "async def main(input):\n import asyncio\n await asyncio.sleep(0)\n return input",
            json!({"x": 1}),
            json!({"x": 1}),
        ),
        ("main = lambda input: input['a']", json!({"a": "b"}), json!("b")),
        // The guard of a program does not run where main is called for it.
        ("def main(input): return 1\nif __name__ == '__main__': raise SystemExit(9)", json!({}), json!(1)),
    ];
    let rig = Rig::new();
    let runs = cases.iter().map(|(code, input, _)| rig.run(Language::Python, code, input.clone()));
    for ((code, _, expected), result) in cases.iter().zip(futures::future::join_all(runs).await) {
        assert_eq!(result.as_ref().ok(), Some(expected), "{code}: {result:?}");
    }
    rig.assert_clean();
}

#[tokio::test]
async fn a_plain_script_is_a_program() {
    let code = "import sys, json\ndata = json.load(sys.stdin)\nprint('working on', len(data))\nprint(json.dumps({'n': len(data)}))";
    let rig = Rig::new();
    assert_eq!(rig.run(Language::Python, code, json!([1, 2, 3])).await.unwrap(), json!({"n": 3}));
    assert_eq!(rig.log.of(Stream::Stdout), ["working on 3", "{\"n\": 3}"]);
    assert_eq!(run("print('one')\nprint('two')", json!({})).await.unwrap(), json!("one\ntwo"));
    assert_eq!(run("x = 1", json!({})).await.unwrap(), json!(null));
    assert_eq!(run("if __name__ == '__main__': print(7)", json!({})).await.unwrap(), json!(7));
    assert_eq!(run("import asyncio\nawait asyncio.sleep(0)\nprint('true')", json!({})).await.unwrap(), json!(true));
    assert_eq!(run("print('{}')\nraise SystemExit", json!({})).await.unwrap(), json!({}));
}

#[tokio::test]
async fn values_that_json_has_no_word_for() {
    let code = "import datetime, uuid, decimal, dataclasses, pathlib
@dataclasses.dataclass
class Point:
    x: int
def main(input):
    return [datetime.date(2024, 2, 29), {1}, (2,), Point(3), pathlib.PurePath('a/b'), decimal.Decimal('1.10'), 'é\\ud800']";
    let expected = json!(["2024-02-29", [1], [2], {"x": 3}, "a/b", "1.10", "é?"]);
    assert_eq!(run(code, json!({})).await.unwrap(), expected);

    let error = run("def main(input): return object()", json!({})).await.unwrap_err();
    assert!(error.message().starts_with("TypeError: main() returned a object, which JSON cannot carry"), "{error}");
    let error = run("def main(input): return [float('nan')]", json!({})).await.unwrap_err();
    assert!(error.message().starts_with("ValueError: main() returned what JSON cannot carry"), "{error}");
}

#[tokio::test]
async fn an_exception_shows_the_scripts_own_lines() {
    let code = "import json

def price(text):
    print('reading')
    return json.loads(text)

def main(input):
    try:
        return price(input['text'])
    except ValueError as error:
        raise RuntimeError('no price') from error
";
    let rig = Rig::new();
    let error = rig.run(Language::Python, code, json!({"text": "{"})).await.unwrap_err();
    assert_eq!(error.code(), Code::Failed);
    let expected = "RuntimeError: no price
  File \"main.py\", line 11, in main
    raise RuntimeError('no price') from error
caused by JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)
  File \"main.py\", line 9, in main
    return price(input['text'])
  File \"main.py\", line 5, in price
    return json.loads(text)";
    assert_eq!(error.message(), expected);
    assert_eq!(error.hint_text(), Some("the last lines it wrote:\nreading"));
    assert!(rig.log.of(Stream::Stderr).contains(&"RuntimeError: no price".to_owned()));
}

#[tokio::test]
async fn mistakes_are_named() {
    let error = run("def main(input):\n    retrun 1\n", json!({})).await.unwrap_err();
    assert_eq!(error.message(), "SyntaxError: invalid syntax\n  File \"main.py\", line 2\n    retrun 1\n           ^");
    let error = run("def main(a, b): return 1", json!({"b": 1, "c": 2})).await.unwrap_err();
    assert!(error.message().starts_with("TypeError: main() needs a; the input has b, c"), "{error}");
    let error = run("import nonexistent_package\n", json!({})).await.unwrap_err();
    assert!(error.message().contains("No module named 'nonexistent_package'"), "{error}");
}

#[tokio::test]
async fn exit_codes_are_kept() {
    let error = run("import sys\nprint('bad luck', file=sys.stderr)\nsys.exit(3)", json!({})).await.unwrap_err();
    assert_eq!(error.message(), "the script ended with exit code 3: bad luck");
    let error = run("def main(input):\n import sys\n sys.exit('no such file')", json!({})).await.unwrap_err();
    assert_eq!(error.message(), "the script ended with exit code 1: no such file");
    assert_eq!(run("def main(input):\n import sys\n sys.exit(0)", json!({})).await.unwrap(), json!(null));
    let error = run("import os\nos.kill(os.getpid(), 11)", json!({})).await.unwrap_err();
    assert!(error.message().contains("exit code 139, as after the signal SIGSEGV"), "{error}");
}

#[tokio::test]
async fn imports_the_files_of_its_version() {
    let rig = Rig::new();
    let code = "from lib.prices import PRICE\ndef main(input): return [PRICE, open('data.txt').read()]";
    let mut job = rig.job(Language::Python, code, json!({}));
    job.files = files(&[("lib/prices.py", "PRICE = 42"), ("data.txt", "ü"), ("app.py", code)]);
    assert_eq!(rig.runtime.run(job).await.unwrap(), json!([42, "ü"]));

    let mut job = rig.job(Language::Python, "1", json!({}));
    job.files = files(&[("../outside.py", "x")]);
    assert_eq!(rig.runtime.run(job).await.unwrap_err().code(), Code::Invalid);
    rig.assert_clean();
}

#[tokio::test]
async fn large_input_and_output_pass_through() {
    let rig = Rig::new();
    let input = json!({"text": "ä🤖x".repeat(800_000)});
    let mut job = rig.job(Language::Python, "def main(input): return input", input.clone());
    job.limits.output = Some(crate::blueprint::Bytes(32 << 20));
    assert!(rig.runtime.run(job).await.unwrap() == input);
}
