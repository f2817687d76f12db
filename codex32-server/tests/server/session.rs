//! The session cookie of the dashboard.

use crate::support::{Fixture, header, problem};
use codex32_core::api::{self, Kind, Surface};
use serde_json::json;

async fn cookie(server: &Fixture) -> String {
    let request = server.plain("POST", "/api/session").header("x-codex32", "1").json(&json!({ "token": server.token }));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 204);
    let set = header(&response, "set-cookie").to_owned();
    assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
    assert!(!set.contains("Secure") && !set.contains("Max-Age"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_cookie_reads_and_writes_only_from_a_page_of_ours() {
    let server = Fixture::start().await;
    let cookie = cookie(&server).await;
    let read = api::OPERATIONS.iter().map(|o| o.meta()).find(|m| {
        m.authenticated && m.kind == Kind::Read && m.method == api::Method::Get && m.path_fields().is_empty()
    });
    let read = format!("/api/v1{}", read.expect("a read that needs a caller").path);
    let response = server.plain("GET", &read).header("cookie", &cookie).send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    for meta in api::OPERATIONS.iter().map(|o| o.meta()) {
        if meta.kind != Kind::Write || !meta.authenticated || !meta.offered_on(Surface::Rest) {
            continue;
        }
        let path = format!("/api/v1{}", meta.path.replace(['{', '}'], ""));
        let forged = server.plain(meta.method.as_str(), &path).header("cookie", &cookie).send().await.unwrap();
        assert_eq!(problem(forged, 403).await["code"], "forbidden", "{}", meta.name);
    }
}

#[tokio::test]
async fn a_session_begins_with_a_good_token_from_a_page_of_ours() {
    let server = Fixture::start().await;
    let begin = || server.plain("POST", "/api/session");
    problem(begin().json(&json!({ "token": server.token })).send().await.unwrap(), 403).await;
    let bad = begin().header("x-codex32", "1").json(&json!({ "token": "c32_none" })).send().await.unwrap();
    problem(bad, 401).await;
    let odd = begin().header("x-codex32", "1").json(&json!({ "token": server.token, "more": 1 })).send().await.unwrap();
    problem(odd, 422).await;
    let end = server.plain("DELETE", "/api/session").header("x-codex32", "1").send().await.unwrap();
    assert!(header(&end, "set-cookie").starts_with("codex32_session=; "), "{}", header(&end, "set-cookie"));
    assert!(header(&end, "set-cookie").contains("Max-Age=0"));
    let wrong = server.plain("PUT", "/api/session").send().await.unwrap();
    assert!(header(&wrong, "allow").contains("POST"), "{}", header(&wrong, "allow"));
    problem(wrong, 405).await;
}
