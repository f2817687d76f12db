use crate::connector::testing::Harness;
use crate::error::Code;
use serde_json::{Value, json};

async fn call(full: &str, input: Value) -> Result<Value, Code> {
    Harness::new().call(full, input).await.map_err(|e| e.code())
}

#[tokio::test]
async fn a_value_passes_through() {
    for value in [json!({"a": [1, null]}), Value::Null, json!("x")] {
        let output =
            Harness::new().connectors.call("transform.value", &Harness::new().cx, json!({"value": value})).await;
        assert_eq!(output.unwrap(), value);
    }
}

#[tokio::test]
async fn csv_is_read() {
    let out = call("csv.parse", json!({"text": "\u{feff}id, name\n1, x \n"})).await.unwrap();
    assert_eq!(out["rows"], json!([{"id": "1", "name": "x"}]));
    let out = call("csv.parse", json!({"text": "id;name\n1;\"a;\"\"b\"\"\n\nc\"\n", "delimiter": ";"})).await.unwrap();
    assert_eq!(out["rows"], json!([{"id": "1", "name": "a;\"b\"\n\nc"}]));
    assert_eq!((&out["columns"], &out["count"]), (&json!(["id", "name"]), &json!(1)));
    let out = call("csv.parse", json!({"text": "1,2\n3\n", "header": false})).await.unwrap();
    assert_eq!(out["rows"], json!([["1", "2"], ["3"]]));
    for bad in ["a,b\n1\n", "a,a\n1,2\n"] {
        assert_eq!(call("csv.parse", json!({"text": bad})).await, Err(Code::Failed), "{bad}");
    }
    assert_eq!(call("csv.parse", json!({"text": "a", "delimiter": "ä"})).await, Err(Code::Invalid));
    let e = Harness::new().call("csv.parse", json!({"text": "a,b\n1,2\n3\n"})).await.unwrap_err();
    assert_eq!(e.to_string(), "line 3 has 1 fields, the header 2");
}

#[tokio::test]
async fn csv_is_written_and_read_again() {
    let rows = json!([{"id": 1, "name": "a,\"b\"\nc"}, {"name": "x", "extra": null}]);
    let text = call("csv.format", json!({"rows": rows})).await.unwrap()["text"].clone();
    assert_eq!(text, "id,name,extra\n1,\"a,\"\"b\"\"\nc\",\n,x,\n");
    let again = call("csv.parse", json!({"text": text})).await.unwrap();
    assert_eq!(again["rows"][0]["name"], "a,\"b\"\nc");
    let some = call("csv.format", json!({"rows": rows, "columns": ["name"], "header": false, "delimiter": "\t"}))
        .await
        .unwrap();
    assert_eq!(some["text"], "\"a,\"\"b\"\"\nc\"\nx\n");
    let lists = call("csv.format", json!({"rows": [[1, true], ["x"]]})).await.unwrap();
    assert_eq!(lists["text"], "1,true\nx\n");
    // Nothing that a spreadsheet would run.
    let rows = json!([{"a": "=1+2", "b": "-5", "c": "@x", "d": -5, "e": "+49 30 1"}]);
    let safe = call("csv.format", json!({"rows": rows, "header": false})).await.unwrap();
    assert_eq!(safe["text"], "'=1+2,-5,'@x,-5,'+49 30 1\n");
    let raw = call("csv.format", json!({"rows": rows, "header": false, "formulas": true})).await.unwrap();
    assert_eq!(raw["text"], "=1+2,-5,@x,-5,+49 30 1\n");
}

#[tokio::test]
async fn json_is_read_written_and_looked_into() {
    assert_eq!(call("json.parse", json!({"text": "{\"a\":[1]}"})).await.unwrap()["value"], json!({"a": [1]}));
    assert_eq!(
        call("json.parse", json!({"text": "1\n\n{\"a\":2}\n", "lines": true})).await.unwrap()["value"],
        json!([1, {"a": 2}])
    );
    let e = Harness::new().call("json.parse", json!({"text": "1\n{\"s3cret\n", "lines": true})).await.unwrap_err();
    assert_eq!((e.code(), e.to_string().contains("line 2")), (Code::Failed, true));
    assert!(!e.to_string().contains("s3cret"));
    assert_eq!(call("json.parse", json!({"text": "[".repeat(100_000)})).await, Err(Code::Failed));
    assert_eq!(call("json.format", json!({"value": {"a": 1}})).await.unwrap()["text"], "{\"a\":1}");
    assert_eq!(
        call("json.format", json!({"value": {"a": 1}, "pretty": true})).await.unwrap()["text"],
        "{\n  \"a\": 1\n}"
    );
    let query =
        |pointer: &str| call("json.query", json!({"value": {"a/b": [{"c": null}]}, "pointer": pointer, "default": 9}));
    assert_eq!(query("/a~1b/0/c").await.unwrap(), json!({"found": true, "value": null}));
    assert_eq!(query("/a~1b/1").await.unwrap(), json!({"found": false, "value": 9}));
    assert_eq!(query("").await.unwrap()["found"], true);
    assert_eq!(query("a").await, Err(Code::Invalid));
}

#[tokio::test]
async fn xml_is_read() {
    let text = "<?xml version=\"1.0\"?><!-- c --><o id='7' n=\"&lt;&#x41;\"><i>a</i><i>b &amp; c</i><e/><t> x <![CDATA[<raw>]]></t><m k='v'>text</m></o>";
    let value = call("xml.parse", json!({"text": text})).await.unwrap()["value"].clone();
    let expected = json!({"o": {"@id": "7", "@n": "<A", "i": ["a", "b & c"], "e": "", "t": "x <raw>", "m": {"@k": "v", "#text": "text"}}});
    assert_eq!(value, expected);
    let one = call("xml.parse", json!({"text": "<o><i>a</i></o>", "lists": ["i"]})).await.unwrap();
    assert_eq!(one["value"], json!({"o": {"i": ["a"]}}));
    for bad in ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a b=c/>", "<a>&nope;</a>", "<a x='1' x='2'/>"] {
        assert_eq!(call("xml.parse", json!({"text": bad})).await, Err(Code::Failed), "{bad}");
    }
}

#[tokio::test]
async fn xml_bombs_and_foreign_entities_are_refused() {
    let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>";
    let file = "<!DOCTYPE l [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><l>&f;</l>";
    for bad in [laughs, file] {
        assert_eq!(call("xml.parse", json!({"text": bad})).await, Err(Code::Failed));
    }
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    assert_eq!(call("xml.parse", json!({"text": deep})).await, Err(Code::TooLarge));
}

#[tokio::test]
async fn xml_is_written_and_read_again() {
    let value = json!({"o": {"@id": "<7\">", "i": ["a", {"@k": "v", "#text": "b & c"}], "e": null, "n": 5}});
    let text = call("xml.format", json!({"value": value})).await.unwrap()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><o id="), "{text}");
    let again = call("xml.parse", json!({"text": text})).await.unwrap();
    assert_eq!(
        again["value"],
        json!({"o": {"@id": "<7\">", "i": ["a", {"@k": "v", "#text": "b & c"}], "e": "", "n": "5"}})
    );
    let plain =
        call("xml.format", json!({"value": {"a": {"b": 1}}, "declaration": false, "pretty": true})).await.unwrap();
    assert_eq!(plain["text"], "<a>\n  <b>1</b>\n</a>");
    for bad in [
        json!({"a b": 1}),
        json!({"a": {"x><y": 1}}),
        json!({"a": {"@x=": 1}}),
        json!({"a": [1]}),
        json!({"a": "\u{1}"}),
        json!({}),
    ] {
        assert_eq!(call("xml.format", json!({"value": bad})).await, Err(Code::Invalid), "{bad}");
    }
}

#[tokio::test]
async fn hashes_and_signatures_are_those_of_the_standards() {
    let digest = |full: &'static str, input: Value| async move { call(full, input).await.unwrap()["digest"].clone() };
    assert_eq!(
        digest("crypto.hash", json!({"text": "abc"})).await,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        digest("crypto.hash", json!({"text": "abc", "algorithm": "sha1"})).await,
        "a9993e364706816aba3e25717850c26c9cd0d89d"
    );
    assert_eq!(
        digest("crypto.hash", json!({"base64": "YWJj", "encoding": "base64"})).await,
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    );
    assert_eq!(digest("crypto.hash", json!({"text": "", "algorithm": "sha384"})).await.as_str().unwrap().len(), 96);
    // RFC 4231, case 2.
    let input = json!({"text": "what do ya want for nothing?", "key": "Jefe"});
    let right = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(digest("crypto.hmac", input.clone()).await, right);
    for (signature, valid) in [
        (right.to_owned(), true),
        (format!("sha256={right}"), true),
        (right.replace('5', "6"), false),
        ("zz".into(), false),
        (String::new(), false),
    ] {
        let mut input = input.clone();
        input["signature"] = json!(signature);
        assert_eq!(call("crypto.verify", input).await.unwrap()["valid"], valid, "{signature}");
    }
    let base64 = json!({"text": "x", "key": "k", "encoding": "base64", "algorithm": "sha512"});
    let mut verify = base64.clone();
    verify["signature"] = digest("crypto.hmac", base64).await;
    assert_eq!(call("crypto.verify", verify).await.unwrap()["valid"], true);
    assert_eq!(call("crypto.hash", json!({})).await, Err(Code::Invalid));
}

#[tokio::test]
async fn random_things_are_random_and_base64_goes_both_ways() {
    let id = || async { call("crypto.uuid", json!({})).await.unwrap()["uuid"].as_str().unwrap().to_owned() };
    let (a, b) = (id().await, id().await);
    assert_ne!(a, b);
    assert_eq!(a.parse::<uuid::Uuid>().unwrap().get_version_num(), 4);
    let token = call("crypto.token", json!({})).await.unwrap()["token"].as_str().unwrap().to_owned();
    assert_eq!(token.len(), 43);
    assert_eq!(
        call("crypto.token", json!({"bytes": 8, "encoding": "hex"})).await.unwrap()["token"].as_str().unwrap().len(),
        16
    );
    assert_eq!(call("crypto.token", json!({"bytes": 1})).await, Err(Code::Invalid));
    for (text, url_safe, coded) in [("??>ä", false, "Pz8+w6Q="), ("??>ä", true, "Pz8-w6Q")] {
        let out = call("crypto.base64_encode", json!({"text": text, "url_safe": url_safe})).await.unwrap();
        assert_eq!(out["base64"], coded);
        assert_eq!(call("crypto.base64_decode", json!({"base64": coded})).await.unwrap()["text"], text);
    }
    for bad in ["*", "/w=="] {
        assert_eq!(call("crypto.base64_decode", json!({"base64": bad})).await, Err(Code::Failed), "{bad}");
    }
}
