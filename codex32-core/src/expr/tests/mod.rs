mod properties;

use serde_json::{Value, json};

use super::{Program, Scope, Template};

fn scope() -> Scope {
    Scope::new()
        .with("input", json!({"usd": 41_000, "name": "Ada", "tags": ["a", "b"], "none": null}))
        .with("steps", json!({"price": {"body": {"usd": 6.5, "items": [{"n": 1, "s": "open"}, {"n": 2, "s": "closed"}]}}, "skipped": null}))
}

fn eval(source: &str) -> Result<Value, String> {
    Program::compile(source).and_then(|p| p.eval(&scope())).map_err(|e| match e.hint {
        Some(hint) => format!("{}..{}: {}; {hint}", e.offset, e.offset + e.length, e.message),
        None => format!("{}..{}: {}", e.offset, e.offset + e.length, e.message),
    })
}

#[test]
fn expressions_have_their_values() {
    let cases = [
        ("1 + 2", json!(3)),
        ("input.usd < 50000", json!(true)),
        ("steps.price.body.usd * 2", json!(13.0)),
        ("input.usd * 1.5", json!(61_500.0)),
        ("7 / 2", json!(3)),
        ("7 / 2.0", json!(3.5)),
        ("'a' + \"b\"", json!("ab")),
        ("[1] + [2]", json!([1, 2])),
        ("steps.price.body.items.filter(i, i.s == 'open').map(i, i.n)", json!([1])),
        ("steps.price.body.items.exists(i, i.n > 1)", json!(true)),
        ("steps.price.body.items[0]", json!({"n": 1, "s": "open"})),
        ("has(steps.price.body)", json!(true)),
        ("has(steps.price.nothing.at.all)", json!(false)),
        ("has(steps.skipped.body)", json!(false)),
        ("has(input.none)", json!(true)),
        ("default(steps.skipped.body.usd, 0)", json!(0)),
        ("default(steps.price.body.items[5].n, -1)", json!(-1)),
        ("default(input.none, 'x')", json!("x")),
        ("default(input.name, 'x')", json!("Ada")),
        ("'A,b'.lowerAscii().split(',')", json!(["a", "b"])),
        ("'a-b'.replace('-', '+')", json!("a+b")),
        ("' x '.trim()", json!("x")),
        ("[1, 'a', null, true].join(', ')", json!("1, a, , true")),
        ("input.name.startsWith('A') && input.name.endsWith('a') && input.name.contains('d')", json!(true)),
        ("'x1'.matches('^x[0-9]$')", json!(true)),
        ("json('{\"a\": [1, 2]}').a", json!([1, 2])),
        ("toJson({'b': 1, 'a': [null]})", json!("{\"a\":[null],\"b\":1}")),
        ("first(input.tags)", json!("a")),
        ("input.tags.last()", json!("b")),
        ("first([])", json!(null)),
        ("sum([1, 2, 3])", json!(6)),
        ("sum([1, 2.5])", json!(3.5)),
        ("avg([1, 2])", json!(1.5)),
        ("min([3, 1, 2])", json!(1)),
        ("max(3, 4)", json!(4)),
        ("unique([1, 2, 1])", json!([1, 2])),
        ("[1, 2, 1].distinct()", json!([1, 2])),
        ("sort(['b', 'a'])", json!(["a", "b"])),
        ("[3, 1].sort()", json!([1, 3])),
        ("[{'n': 2}, {'n': 1}].sortBy(x, x.n)", json!([{"n": 1}, {"n": 2}])),
        ("round(2.567, 2)", json!(2.57)),
        ("round(2.5)", json!(3)),
        ("'hällo'.indexOf('l')", json!(2)),
        ("{'b': 1, 'a': 2}.map(k, k)", json!(["a", "b"])),
        ("timestamp('2024-02-29T10:00:00Z') + duration('36h')", json!("2024-03-01T22:00:00Z")),
        ("duration('90s')", json!("90s")),
        ("int('5') + int(2.9)", json!(7)),
        ("string(5) + 'x'", json!("5x")),
        ("size('häl') + size([1]) + size({'a': 1})", json!(5)),
        ("'a' in input.tags && 'usd' in input", json!(true)),
        ("math.greatest(1, 2)", json!(2)),
        ("input.?nothing.orValue(7)", json!(7)),
        ("lists.range(3)", json!([0, 1, 2])),
        ("input.usd > 1 ? 'yes' : 'no'", json!("yes")),
    ];
    for (source, expected) in cases {
        assert_eq!(eval(source), Ok(expected), "{source}");
    }
}

#[test]
fn errors_say_what_and_where() {
    let cases: Vec<String> = [
        "steps.pricee.body",
        "steps.price.body.usdd > 5",
        "steps.skipped.body.usd > 5",
        "input.name.first.second",
        "inputs.usd",
        "input.name + 5",
        "input.usd > 'x'",
        "input.usd = 5",
        "input.usd == 5 and true",
        "(1 + 2",
        "'ä' + fooo(1)",
        "now() > 1",
        "'abc",
        "",
        "1 / 0",
        "input.tags[9]",
        "steps.price.body.items.map(i, i.nn)",
        "json('{')",
        "sum(['a'])",
        "{{ input.usd }} > 5",
        "Foo{a: 1}",
    ]
    .into_iter()
    .map(|source| format!("{source}\n    {}", eval(source).expect_err(source)))
    .collect();
    insta::assert_snapshot!(cases.join("\n"));
}

#[test]
fn conditions_are_true_or_false() {
    let program = Program::compile("input.usd").unwrap();
    let error = program.condition(&scope()).unwrap_err();
    assert_eq!(error.message, "the condition is a number, not true or false");
}

#[test]
fn templates_keep_types_and_interpolate() {
    let template = json!({
        "typed": "{{ steps.price.body.items }}",
        "text": "{{ input.name }}: {{ input.usd }}{{ input.none }} {{ input.tags }}",
        "map": "{{ {'a': {'b': 1}} }}",
        "quoted": "{{ '}}' + \"{{\" }}",
        "raw": "{{ r'\\' }}",
        "plain": ["x", 1, true, null, {"k": "v"}],
        "one": ["{{ 1 }}"],
        "padded": " {{ 1 }}",
    });
    let rendered = Template::compile(&template).unwrap().render(&scope()).unwrap();
    let expected = json!({
        "typed": [{"n": 1, "s": "open"}, {"n": 2, "s": "closed"}],
        "text": "Ada: 41000 [\"a\",\"b\"]",
        "map": {"a": {"b": 1}},
        "quoted": "}}{{",
        "raw": "\\",
        "plain": ["x", 1, true, null, {"k": "v"}],
        "one": [1],
        "padded": " 1",
    });
    assert_eq!(rendered, expected);
}

#[test]
fn all_mistakes_of_a_template_are_reported() {
    let errors = Template::compile(&json!({"a": "x {{ 1 + }}", "b/c": ["{{ fo() }}", "{{ open"]})).unwrap_err();
    let pointers: Vec<&str> = errors.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(pointers, ["/a", "/b~1c/0", "/b~1c/1"]);
}

#[test]
fn references_are_known_without_running() {
    let program = Program::compile("steps.a.b + steps['c'].d + secrets.key + xs.map(x, x.y + input.z)").unwrap();
    let references = program.references();
    assert_eq!(references.steps().into_iter().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(references.secrets().into_iter().collect::<Vec<_>>(), ["key"]);
    assert_eq!(references.variables().into_iter().collect::<Vec<_>>(), ["input", "secrets", "steps", "xs"]);
}

#[test]
fn what_costs_too_much_is_refused_in_time() {
    let many: Vec<Value> = (0..400).map(|i| json!(i)).collect();
    let scope = Scope::new().with("xs", json!(many)).with("text", json!("a".repeat(1_000_000)));
    let cases = [
        "xs.map(a, xs.map(b, xs.map(c, a + b + c)))",
        "xs.all(a, xs.all(b, xs.all(c, a + b + c >= 0)))",
        "xs.exists(a, xs.exists(b, xs.exists(c, a + b + c < 0))) || true",
        "xs.map(x, xs).map(x, xs.map(y, xs))",
        "xs.map(x, text + text)",
        "xs.map(x, text.replace('a', text))",
        "text.replace('a', text)",
        "xs.filter(x, text.contains('b'))",
        "xs.filter(x, text == text + 'a')",
        "xs.map(x, text.upperAscii())",
        "xs.map(x, text.split(''))",
        "xs.map(x, lists.range(1000000))",
        "xs.filter(x, 'a'.matches('(a|b){1,500}'))  .map(y, xs.filter(x, 'a'.matches('(a|b){1,500}')))",
        "[text].map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a)",
    ];
    for source in cases {
        let error = Program::compile(source).unwrap().eval(&scope).expect_err(source);
        assert!(error.message.contains("units of work"), "{source}: {error}");
    }
    let deep = "xs.map(a, xs.map(b, xs.map(c, xs.map(d, xs.map(e, 1)))))";
    assert!(Program::compile(deep).unwrap_err().message.contains("loops"));
}

#[test]
fn sources_are_bounded() {
    let nested = [
        "(".repeat(4_000) + "1" + &")".repeat(4_000),
        "[".repeat(8_000),
        "!".repeat(8_000) + "true",
        "-".repeat(8_000) + "1",
        "1+".repeat(4_000) + "1",
        "a.b".to_owned() + &".c".repeat(4_000),
        "a".to_owned() + &"[0]".repeat(2_700),
        "true ? 1 : ".repeat(700) + "1",
        "f(".repeat(4_000),
        "{1:".repeat(2_700),
        "1 ".repeat(4_000),
        "true && ".repeat(1_000) + "true",
        "x".repeat(1_000_000),
        "! - ".repeat(2_000) + "1",
    ];
    for source in nested {
        // Some are fine (a balanced chain of `&&`), none may overflow the stack.
        let _ = Program::compile(&source);
    }
}

#[test]
fn usual_work_on_much_data_is_within_the_budget() {
    let rows: Vec<Value> =
        (0..10_000).map(|i| json!({"id": i, "name": format!("row {i}"), "open": i % 7 == 0, "usd": 0.5})).collect();
    let scope = Scope::new().with("steps", json!({"list": {"body": rows, "text": "a b ".repeat(100_000)}}));
    let cases = [
        ("size(steps.list.body.filter(r, r.open && r.usd < 1.0))", json!(1_429)),
        ("sum(steps.list.body.map(r, r.usd * 2))", json!(10_000.0)),
        ("steps.list.body.exists(r, r.name == 'row 9999')", json!(true)),
        ("steps.list.body.all(r, r.name.startsWith('row'))", json!(true)),
        ("size(steps.list.text.split(' ')) + size(steps.list.text.replace('a', 'bb'))", json!(700_001)),
        ("first(steps.list.body.sortBy(r, -r.id)).id", json!(9_999)),
    ];
    for (source, expected) in cases {
        let value = Program::compile(source).and_then(|p| p.eval(&scope));
        assert_eq!(value.map_err(|e| e.message), Ok(expected), "{source}");
    }
}

#[test]
fn places_are_counted_in_bytes() {
    let source = "'ä€' + foo.bar.baz + xs[0].y";
    let program = Program::compile(source).unwrap();
    let places: Vec<&str> = program.references().iter().map(|r| &source[r.offset..r.offset + r.length]).collect();
    assert_eq!(places, ["foo.bar.baz", "xs"]);
    let text = "ä {{ 'é' + foo.bar }}";
    let template = Template::compile_text(text).unwrap();
    let places: Vec<&str> = template.references().iter().map(|r| &text[r.offset..r.offset + r.length]).collect();
    assert_eq!(places, ["foo.bar"]);
}
