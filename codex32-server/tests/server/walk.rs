//! Every operation of the table, by its route.

use crate::support::{Fixture, any_problem, header, problem};
use codex32_core::api::{self, Erased, Kind, Meta, Surface};
use serde_json::json;

fn operations() -> impl Iterator<Item = &'static dyn Erased> {
    api::OPERATIONS.iter().copied().filter(|operation| operation.meta().offered_on(Surface::Rest))
}

/// The address of an operation with `value` in each place of the path.
fn address(meta: &Meta, value: &str) -> String {
    let parts: Vec<&str> = meta.path.split('/').map(|part| if part.starts_with('{') { value } else { part }).collect();
    format!("/api/v1{}", parts.join("/"))
}

#[tokio::test]
async fn without_a_token_only_what_is_public_is_answered() {
    let server = Fixture::start().await;
    for operation in operations() {
        let meta = operation.meta();
        let response = server.plain(meta.method.as_str(), &address(meta, "1")).send().await.unwrap();
        let status = response.status().as_u16();
        if meta.authenticated {
            assert_eq!(header(&response, "www-authenticate"), "Bearer realm=\"codex32\"", "{}", meta.name);
            assert_eq!(problem(response, 401).await["code"], "unauthenticated", "{}", meta.name);
        } else {
            // Where the path names something there may be no such thing; the route is there.
            let route = status != 404 || response.text().await.unwrap().contains("there is no ");
            assert!(status < 500 && status != 405 && status != 401 && route, "{}: {status}", meta.name);
        }
    }
}

#[tokio::test]
async fn a_token_that_is_none_is_refused_everywhere() {
    let server = Fixture::start().await;
    for operation in operations().filter(|o| o.meta().authenticated) {
        let meta = operation.meta();
        for bad in ["c32_nonsense", "x", &format!("{}x", server.token)] {
            let request = server.plain(meta.method.as_str(), &address(meta, "1")).bearer_auth(bad);
            problem(request.send().await.unwrap(), 401).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_json_is_refused_with_a_problem() {
    let server = Fixture::start().await;
    let bodies = ["", "{", "[]", "null", "1", "\"x\"", "{\"no_such_field\": 1}", "{\"a\": 1, \"a\": 2}", "\u{0}"];
    for operation in operations().filter(|o| o.meta().method.has_body() && o.meta().raw_input.is_none()) {
        let meta = operation.meta();
        for body in bodies.iter().skip(1) {
            let request = server.owner(meta.method.as_str(), &address(meta, "1")).body(*body);
            let response = request.header("content-type", "application/json").send().await.unwrap();
            any_problem(response).await;
        }
        let request = server.owner(meta.method.as_str(), &address(meta, "1")).body("a=1");
        let response = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        problem(response, 415).await;
        let request = server.owner(meta.method.as_str(), &address(meta, "1")).body("{}");
        problem(request.send().await.unwrap(), 415).await;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let request = server.owner(meta.method.as_str(), &address(meta, "1")).body(deep);
        any_problem(request.header("content-type", "application/json").send().await.unwrap()).await;
    }
}

#[tokio::test]
async fn unknown_and_repeated_names_of_the_query_are_refused() {
    let server = Fixture::start().await;
    let table = api::table().unwrap();
    for operation in operations() {
        let meta = operation.meta();
        let path = address(meta, "1");
        let request = server.owner(meta.method.as_str(), &format!("{path}?no_such_name=1"));
        let found = problem(request.send().await.unwrap(), 422).await;
        assert_eq!(found["faults"][0]["pointer"], "/no_such_name", "{}", meta.name);
        let request = server.owner(meta.method.as_str(), &format!("{path}?token={}", server.token));
        problem(request.send().await.unwrap(), 422).await;
        if meta.method.has_body() && meta.raw_input.is_none() {
            continue;
        }
        let shape = table.shapes.operation(meta.name).unwrap();
        for field in shape.input.iter().filter(|f| meta.raw_input.is_none_or(|raw| raw.field != f.name)) {
            let query = format!("{path}?{0}=1&{0}=1", field.name);
            any_problem(server.owner(meta.method.as_str(), &query).send().await.unwrap()).await;
        }
        for name in meta.path_fields() {
            let request = server.owner(meta.method.as_str(), &format!("{path}?{name}=x"));
            any_problem(request.send().await.unwrap()).await;
        }
    }
}

#[tokio::test]
async fn odd_names_in_the_path_are_never_the_servers_fault() {
    let server = Fixture::start().await;
    let long = "a".repeat(5_000);
    let odd = ["%00", "%FF", "%2e%2e%2f%2e%2e", "%F0%9F%92%A5", "'%20or%201=1--", "{}", long.as_str(), "0", "-1"];
    for operation in operations().filter(|o| !o.meta().path_fields().is_empty()) {
        let meta = operation.meta();
        for value in odd {
            let mut request = server.owner(meta.method.as_str(), &address(meta, value));
            if meta.method.has_body() {
                request = request.json(&json!({}));
            }
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            assert!(status < 500, "{} of {value}: {status} {}", meta.name, response.text().await.unwrap());
        }
    }
}

#[tokio::test]
async fn reads_without_input_are_answered() {
    let server = Fixture::start().await;
    let table = api::table().unwrap();
    for operation in operations().filter(|o| o.meta().kind == Kind::Read && o.meta().method == api::Method::Get) {
        let meta = operation.meta();
        if table.shapes.operation(meta.name).unwrap().input.iter().any(|f| f.required) {
            continue;
        }
        let response = server.owner("GET", &address(meta, "1")).send().await.unwrap();
        let status = response.status().as_u16();
        assert!(status == meta.status || (400..500).contains(&status), "{}: {status}", meta.name);
        let head = server.owner("HEAD", &address(meta, "1")).send().await.unwrap();
        assert_eq!(head.status().as_u16(), status, "{}", meta.name);
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn methods_that_are_not_offered_are_refused_by_name() {
    let server = Fixture::start().await;
    for operation in operations() {
        let path = address(operation.meta(), "1");
        let options = server.plain("OPTIONS", &path).send().await.unwrap();
        assert_eq!(options.status(), 204);
        let allowed = header(&options, "allow").to_owned();
        let offered: Vec<&str> = allowed.split(", ").collect();
        assert!(offered.contains(&operation.meta().method.as_str()), "{path}: {allowed}");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            if offered.contains(&method) {
                continue;
            }
            let response = server.owner(method, &path).send().await.unwrap();
            assert_eq!(header(&response, "allow"), allowed, "{method} {path}");
            problem(response, 405).await;
        }
    }
}

#[tokio::test]
async fn there_is_nothing_where_the_table_has_nothing() {
    let server = Fixture::start().await;
    for path in ["/api/v1/nothing", "/api/v1", "/api/v1/health/", "/api/v2/health", "/api", "/hooks", "/docs/nothing"] {
        for method in ["GET", "POST", "DELETE"] {
            let request = server.owner(method, path).header("accept", "text/html");
            let response = request.send().await.unwrap();
            assert_eq!(problem(response, 404).await["code"], "not_found", "{method} {path}");
        }
    }
    problem(server.plain("POST", "/").send().await.unwrap(), 404).await;
}
