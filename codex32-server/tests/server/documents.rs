//! The OpenAPI document and the pages.

use crate::support::{Fixture, header};
use codex32_core::api::{self, Surface};
use serde_json::Value;
use std::collections::HashSet;

async fn document(server: &Fixture) -> Value {
    server.plain("GET", "/api/v1/openapi.json").send().await.unwrap().json().await.unwrap()
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_has_every_operation_and_contradicts_itself_nowhere() {
    let server = Fixture::start().await;
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    for target in found {
        let pointer = target.strip_prefix('#').expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
    let mut names = HashSet::new();
    for operation in api::OPERATIONS.iter().filter(|o| o.meta().offered_on(Surface::Rest)) {
        let meta = operation.meta();
        let described = &document["paths"][format!("/api/v1{}", meta.path)][meta.method.as_str().to_lowercase()];
        assert_eq!(described["operationId"], meta.name);
        assert!(names.insert(meta.name), "{} is there twice", meta.name);
        let parameters: Vec<&str> = described["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|p| p["in"] == "path")
            .filter_map(|p| p["name"].as_str())
            .collect();
        let mut fields = meta.path_fields();
        fields.sort_unstable();
        let mut parameters_sorted = parameters.clone();
        parameters_sorted.sort_unstable();
        assert_eq!(parameters_sorted, fields, "{}", meta.name);
        assert!(described["responses"][meta.status.to_string()].is_object(), "{}", meta.name);
        assert_eq!(
            described["security"].as_array().is_some_and(|s| !s.is_empty()),
            meta.authenticated,
            "{}",
            meta.name
        );
    }
}

#[tokio::test]
async fn the_pages_need_no_other_host_and_no_script_of_their_own() {
    let server = Fixture::start().await;
    for path in
        ["/docs", "/docs/errors", "/docs/api/", "/docs/api/swagger-ui-bundle.js", "/docs/redoc", "/docs/style.css"]
    {
        let response = server.plain("GET", path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let policy = header(&response, "content-security-policy").to_owned();
        assert!(policy.contains("default-src 'self'") && policy.contains("script-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-eval") || policy.contains("'wasm-unsafe-eval'"), "{path}: {policy}");
        assert!(!policy.contains("script-src 'self' 'unsafe-inline'"), "{path}: {policy}");
        if path.ends_with(".js") {
            continue;
        }
        let text = response.text().await.unwrap();
        for tag in text.split("<script").skip(1) {
            assert!(tag.split('>').next().unwrap_or_default().contains("src="), "an inline script in {path}");
        }
        for remote in ["src=\"http", "src=\"//", "href=\"http", "href=\"//", "@import", "url(http"] {
            assert!(!text.contains(remote), "{path} loads from another host");
        }
    }
    let to = server.plain("GET", "/docs/api").send().await.unwrap();
    assert_eq!(header(&to, "location"), "/docs/api/");
    let redoc = server.plain("GET", "/docs/redoc/redoc.js").send().await.unwrap();
    assert!(redoc.bytes().await.unwrap().len() > 500_000);
}

#[tokio::test]
async fn every_problem_type_is_on_the_page_of_codes() {
    let server = Fixture::start().await;
    let page = server.plain("GET", "/docs/errors").send().await.unwrap().text().await.unwrap();
    for code in codex32_core::Code::ALL {
        assert!(page.contains(&format!("id=\"{code}\"")), "{code}");
    }
}

#[tokio::test]
async fn the_old_name_of_the_builder_leads_to_the_new() {
    let server = Fixture::start().await;
    let response = server.plain("POST", "/api/v1/intelligent-bots/draft?x=1").send().await.unwrap();
    assert_eq!(response.status(), 308);
    assert_eq!(header(&response, "location"), "/api/v1/builder/draft?x=1");
}

#[tokio::test]
async fn a_client_route_gives_the_page_and_a_missing_file_does_not() {
    let server = Fixture::start().await;
    for path in ["/", "/bots/btc-watch"] {
        let page = server.plain("GET", path).header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        assert!(header(&page, "content-type").starts_with("text/html"), "{path}");
    }
    let missing = server.plain("GET", "/assets/none.js").header("accept", "*/*").send().await.unwrap();
    assert_eq!(missing.status(), 404);
    let outside = server.plain("GET", "/..%2f..%2fCargo.toml").header("accept", "*/*").send().await.unwrap();
    assert_eq!(outside.status(), 404);
}
