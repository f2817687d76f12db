use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::expr::{Program, Scope, Template};

fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    let nested = leaf.prop_recursive(3, 16, 4, |inner| {
        let fields = vec(("[a-z]{1,3}", inner.clone()), 0..4);
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|f| Value::Object(f.into_iter().collect::<Map<_, _>>())),
        ]
    });
    nested.boxed()
}

/// Sources put together from pieces of CEL, most of them broken, some not.
fn source() -> BoxedStrategy<String> {
    let pieces = vec![
        "x",
        "xs",
        "m",
        "1",
        "2.5",
        "'a'",
        "\"b\"",
        "true",
        "null",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        ".",
        ":",
        "?",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "==",
        "!=",
        "<",
        "&&",
        "||",
        "in",
        "size(",
        ".map(i, ",
        ".filter(i, ",
        ".exists(i, ",
        "has(m.a)",
        "default(m.a.b, 1)",
        ".replace('a', 'aaaa')",
        ".split('')",
        ".join(',')",
        "i",
        "m.a",
        "xs[0]",
        "@",
        "\\",
        "`",
        "lists.range(1000)",
        ".sortBy(i, i)",
        "timestamp('2024-01-01T00:00:00Z')",
        "json('[1]')",
        "é",
        "{{",
        "}}",
        "bytes('a')",
        "m.?a",
        "type(x)",
        "dyn(x)",
        "uint(1)",
        "b'\\xff'",
        "math.greatest(1, x)",
        ".format([x])",
    ];
    vec(select(pieces), 1..14).prop_map(|pieces| pieces.join("")).boxed()
}

fn scope(x: Value) -> Scope {
    Scope::new().with("xs", json!([x, 1, "a", null])).with("m", json!({"a": {"b": x}})).with("x", x)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_source_is_refused_or_evaluated(source in source(), x in value()) {
        if let Ok(program) = Program::compile(&source) {
            let _ = program.eval(&scope(x.clone()));
            prop_assert!(!program.in_words().is_empty());
            let _ = program.as_noun();
        }
        if let Err(error) = Program::compile(&source) {
            prop_assert!(error.offset <= source.len(), "{:?}", error);
        }
        if let Ok(template) = Template::compile_text(&source) {
            let _ = template.render(&scope(x));
        }
    }

    #[test]
    fn any_text_is_refused_or_rendered(text in "\\PC{0,40}|([a-z '\"\\\\{}()\\[\\].,0-9+*-]|\\{\\{|\\}\\}){0,40}", x in value()) {
        match Template::compile_text(&text) {
            Ok(template) => {
                let rendered = template.render(&scope(x));
                if template.is_literal() {
                    prop_assert_eq!(rendered.ok(), Some(Value::from(text)));
                }
            }
            Err(error) => prop_assert!(error.offset <= text.len()),
        }
    }

    #[test]
    fn values_pass_unchanged(x in value()) {
        let scope = scope(x.clone());
        // The first is looked up, the others go through CEL and lose the order of keys only.
        for source in ["x", "xs[0]", "[x][0]", "m.a.b", "true ? x : 1", "[x].map(i, i)[0]", "{'k': x}.k", "default(x, null)"] {
            prop_assert_eq!(Program::compile(source).unwrap().eval(&scope).unwrap(), x.clone(), "{}", source);
        }
    }

    #[test]
    fn literals_of_templates_pass_unchanged(x in value()) {
        prop_assume!(!x.to_string().contains("{{"));
        prop_assert_eq!(Template::compile(&x).unwrap().render(&Scope::new()).unwrap(), x);
    }

    #[test]
    fn json_is_read_as_it_was_written(n in any::<i64>(), s in "\\PC{0,12}") {
        let scope = Scope::new().with("v", json!({"n": n, "s": s, "l": [n, null]}));
        let source = "json(toJson(v)) == v && json(toJson(v.s)) == v.s";
        prop_assert!(Program::compile(source).unwrap().condition(&scope).unwrap());
    }

    #[test]
    fn sums_and_orders_agree_with_rust(mut xs in vec(-1_000_i64..1_000, 1..20)) {
        let scope = Scope::new().with("xs", json!(xs));
        let eval = |source: &str| Program::compile(source).unwrap().eval(&scope).unwrap();
        prop_assert_eq!(eval("sum(xs)"), json!(xs.iter().sum::<i64>()));
        prop_assert_eq!(eval("max(xs)"), json!(xs.iter().max()));
        prop_assert_eq!(eval("min(xs)"), json!(xs.iter().min()));
        prop_assert_eq!(eval("size(xs)"), json!(xs.len()));
        xs.sort_unstable();
        prop_assert_eq!(eval("sort(xs)"), json!(xs));
        xs.dedup();
        prop_assert_eq!(eval("sort(unique(xs))"), json!(xs));
    }
}
