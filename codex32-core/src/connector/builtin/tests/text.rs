use crate::connector::testing::Harness;
use crate::error::Code;
use serde_json::{Value, json};

async fn call(action: &str, input: Value) -> Result<Value, Code> {
    Harness::new().call(&format!("text.{action}"), input).await.map_err(|e| e.code())
}

#[tokio::test]
async fn templates_are_filled() {
    let data = json!({"orders": [{"id": 1, "by": "<Ann>"}, {"id": 2, "by": "Bob"}]});
    let template = "[# list #][% for o in orders %]\n- [[ o.id ]] [[ o.by | upper ]]\n[% endfor %]\n{{ kept }}";
    let out = call("render", json!({"template": template, "data": data})).await.unwrap();
    assert_eq!(out["text"], "- 1 <ANN>\n- 2 BOB\n{{ kept }}");
    let html = call("render", json!({"template": "[[ orders[0].by ]]", "data": data, "html": true})).await.unwrap();
    assert_eq!(html["text"], "&lt;Ann&gt;");
    for (template, code) in [
        ("[% for %]", Code::Invalid),
        ("[[ x | nofilter ]]", Code::Invalid),
        ("[[ missing ]]", Code::Failed),
        ("[% include 'x' %]", Code::Invalid),
    ] {
        assert_eq!(call("render", json!({"template": template})).await, Err(code), "{template}");
    }
}

#[tokio::test]
async fn templates_that_never_end_or_fill_the_memory_are_ended() {
    let doubling = format!("[% set a = 'x' %]{}[[ a ]]", "[% set a = a ~ a %]".repeat(60));
    let nested = "[% for a in range(9999) %][% for b in range(9999) %][% for c in range(9999) %][% endfor %][% endfor %][% endfor %]";
    let product = "[[ 'x' * 99999999 ]]";
    let recursive = "[% macro m() %][[ m() ]][% endmacro %][[ m() ]]";
    for template in [doubling.as_str(), nested, product, recursive] {
        let outcome = call("render", json!({"template": template})).await;
        assert!(matches!(outcome, Err(Code::TooLarge | Code::Failed)), "{template:.40}: {outcome:?}");
    }
}

#[tokio::test]
async fn patterns_match_replace_and_split() {
    let text = "12 EUR, 7 USD";
    let out = call("match", json!({"text": text, "pattern": "(\\d+) (?P<cur>[A-Z]+)"})).await.unwrap();
    assert_eq!((&out["matched"], out["matches"].as_array().unwrap().len()), (&json!(true), 2));
    assert_eq!(out["first"], json!({"text": "12 EUR", "groups": ["12", "EUR"], "names": {"cur": "EUR"}}));
    let none = call("match", json!({"text": text, "pattern": "GBP"})).await.unwrap();
    assert_eq!(none, json!({"matched": false, "first": null, "matches": []}));
    let out =
        call("replace", json!({"text": text, "pattern": "(?P<n>\\d+) ([A-Z]+)", "with": "$2 ${n}"})).await.unwrap();
    assert_eq!(out, json!({"text": "EUR 12, USD 7", "replaced": 2}));
    let out = call("replace", json!({"text": "aaa", "pattern": "a", "with": "b", "limit": 2})).await.unwrap();
    assert_eq!(out["text"], "bba");
    let split = |input: Value| async move { call("split", input).await.map(|out| out["parts"].clone()) };
    assert_eq!(split(json!({"text": "a, b,,c", "at": ","})).await.unwrap(), json!(["a", "b", "c"]));
    assert_eq!(split(json!({"text": "a, b,", "at": ",", "trim": false})).await.unwrap(), json!(["a", " b", ""]));
    assert_eq!(split(json!({"text": "a1b22c", "pattern": "\\d+"})).await.unwrap(), json!(["a", "b", "c"]));
    assert_eq!(split(json!({"text": "x\r\ny\n"})).await.unwrap(), json!(["x", "y"]));
    assert_eq!(split(json!({"text": "x", "at": "a", "pattern": "b"})).await, Err(Code::Invalid));
}

#[tokio::test]
async fn patterns_that_would_cost_too_much_are_refused() {
    for pattern in ["(", "(?=x)", "\\1", "x{1000}{1000}"] {
        assert_eq!(call("match", json!({"text": "x", "pattern": pattern})).await, Err(Code::Invalid), "{pattern}");
    }
    // Ruinous with backtracking, linear here.
    let out = call("match", json!({"text": "a".repeat(100_000), "pattern": "(a+)+$"})).await.unwrap();
    assert_eq!(out["matched"], true);
    let grown = call("replace", json!({"text": "a".repeat(100_000), "pattern": "a", "with": "b".repeat(10_000)})).await;
    assert_eq!(grown, Err(Code::TooLarge));
}

const PAGE: &str = r#"<html><head><title>T</title><style>p{}</style></head><body><script>alert(1)</script>
  <h1>Head  line</h1><p>First <b>bold</b>&nbsp;text.<br>Next</p>
  <ul><li><a href="/1">One</a></li><li><a href="/2">Two</a></li></ul><pre>a
  b</pre></body></html>"#;

#[tokio::test]
async fn elements_are_picked_from_a_page() {
    let pick = |more: Value| {
        let mut input = json!({"html": PAGE});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        async move { call("html_extract", input).await }
    };
    let out = pick(json!({"selector": "li a"})).await.unwrap();
    assert_eq!(out, json!({"first": "One", "all": ["One", "Two"], "count": 2}));
    assert_eq!(pick(json!({"selector": "li a", "attribute": "href", "limit": 1})).await.unwrap()["all"], json!(["/1"]));
    assert_eq!(pick(json!({"selector": "h1"})).await.unwrap()["first"], "Head line");
    assert_eq!(pick(json!({"selector": "li", "as": "html"})).await.unwrap()["first"], "<a href=\"/1\">One</a>");
    let fields = json!({"name": {"selector": "a"}, "link": {"selector": "a", "attribute": "href"}, "none": {"selector": "b"}, "own": {}});
    let out = pick(json!({"selector": "li", "fields": fields})).await.unwrap();
    assert_eq!(out["first"], json!({"name": "One", "link": "/1", "none": null, "own": "One"}));
    assert_eq!(pick(json!({"selector": "table"})).await.unwrap(), json!({"first": null, "all": [], "count": 0}));
    assert_eq!(pick(json!({"selector": "li["})).await, Err(Code::Invalid));
}

#[tokio::test]
async fn a_page_is_read_as_text() {
    let out = call("html_to_text", json!({"html": PAGE})).await.unwrap();
    assert_eq!(out["text"], "Head line\n\nFirst bold text.\nNext\n\nOne\nTwo\n\na\n  b");
    let deep = format!("{}x{}", "<div>".repeat(1_000), "</div>".repeat(1_000));
    assert_eq!(call("html_to_text", json!({"html": deep})).await.unwrap()["text"], "x");
}

#[tokio::test]
async fn pages_that_blow_up_are_ended() {
    let deep = "<div>".repeat(3_000);
    // Each paragraph opens all of the letters again: 300 times 10,000 elements.
    let bold: String = (0..300).map(|n| format!("<b id={n}>")).collect();
    let many = format!("<p>{bold}{}", "<p>x".repeat(10_000));
    for html in [&deep, &many] {
        assert_eq!(call("html_to_text", json!({"html": html})).await, Err(Code::TooLarge));
        assert_eq!(call("html_extract", json!({"html": html, "selector": "a"})).await, Err(Code::TooLarge));
    }
    let repeated = format!("{}{}", "<div>".repeat(1_500), "x".repeat(100_000));
    assert_eq!(call("html_extract", json!({"html": repeated, "selector": "div"})).await, Err(Code::TooLarge));
}
