//! Kubernetes' own word on what an object may look like.

use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The published definitions, cut as the file itself says.
const API: &str = include_str!("api.json");

const KINDS: [(&str, &str); 5] = [
    ("Job", "io.k8s.api.batch.v1.Job"),
    ("Secret", "io.k8s.api.core.v1.Secret"),
    ("Pod", "io.k8s.api.core.v1.Pod"),
    ("NetworkPolicy", "io.k8s.api.networking.v1.NetworkPolicy"),
    ("DeleteOptions", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"),
];

static VALIDATORS: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| {
    let api: Value = serde_json::from_str(API).unwrap();
    let validator = |definition: &str| {
        let schema = json!({"$ref": format!("#/$defs/{definition}"), "$defs": api["$defs"]});
        jsonschema::draft202012::new(&schema).unwrap()
    };
    KINDS.into_iter().map(|(kind, definition)| (kind, validator(definition))).collect()
});

/// What is wrong with an object.
pub(super) fn faults(kind: &str, object: &Value) -> Vec<String> {
    let mut faults: Vec<String> = VALIDATORS[kind]
        .iter_errors(object)
        .map(|error| format!("{kind} {}: {error}", error.instance_path()))
        .collect();
    let name = object["metadata"]["name"].as_str().unwrap_or("none");
    if kind != "DeleteOptions" && !is(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", name) {
        faults.push(format!("{kind}: the name {name}"));
    }
    for place in ["/metadata/labels", "/spec/template/metadata/labels", "/spec/nodeSelector"] {
        for (key, value) in object.pointer(place).and_then(Value::as_object).into_iter().flatten() {
            let key_fits = is(r"^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$", key);
            if !key_fits || !is(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$", value.as_str().unwrap_or("?")) {
                faults.push(format!("{kind}: the label {key}: {value}"));
            }
        }
    }
    for key in object["data"].as_object().into_iter().flatten().map(|(key, _)| key) {
        if !is(r"^[-._A-Za-z0-9]{1,253}$", key) {
            faults.push(format!("{kind}: the key {key}"));
        }
    }
    faults
}

fn is(pattern: &str, text: &str) -> bool {
    regex::Regex::new(pattern).unwrap().is_match(text)
}

#[test]
fn the_definitions_refuse_what_kubernetes_does() {
    let job = |spec: Value| json!({"kind": "Job", "metadata": {"name": "a"}, "spec": spec});
    let containers = json!([{"name": "a", "image": "b"}]);
    let template = json!({"spec": {"containers": containers}});
    assert_eq!(faults("Job", &job(json!({"template": template}))), Vec::<String>::new());
    assert_eq!(faults("Job", &job(json!({}))).len(), 1, "a template is required");
    assert_eq!(faults("Job", &job(json!({"template": template, "backofLimit": 0}))).len(), 1, "a misspelt field");
    assert_eq!(faults("Job", &job(json!({"template": template, "backoffLimit": "0"}))).len(), 1, "a wrong type");
}
