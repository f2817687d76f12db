//! TLS with a certificate made for the test.

use crate::support::{Fixture, client, header};
use codex32_core::engine::{Config, Engine};
use codex32_server::{ServerConfig, serve};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn with_a_certificate_the_server_speaks_tls_only() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = Fixture::with(ServerConfig::at("127.0.0.1:0").with_tls(&certificate, &key)).await;
    assert!(server.url.starts_with("https://"));

    let trusted = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let trusting = client().tls_certs_only([trusted]).build().unwrap();
    let response = trusting.get(format!("{}/api/v1/health", server.url)).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(header(&response, "strict-transport-security"), "max-age=31536000");
    assert_eq!(response.json::<Value>().await.unwrap()["status"], "ok");
    let session = trusting.post(format!("{}/api/session", server.url)).header("x-codex32", "1");
    let session = session.json(&json!({ "token": server.token })).send().await.unwrap();
    assert!(header(&session, "set-cookie").contains("; Secure"));

    assert!(server.plain("GET", "/api/v1/health").send().await.is_err(), "an unknown certificate was trusted");
    let plain = server.url.replace("https://", "http://");
    assert!(server.client.get(format!("{plain}/api/v1/health")).send().await.is_err(), "plain HTTP was answered");
}

#[tokio::test]
async fn a_certificate_that_is_none_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Config::in_folder(folder.path())).await.unwrap();
    let file = folder.path().join("nonsense.pem");
    std::fs::write(&file, "nonsense").unwrap();
    for (certificate, key) in [(file.clone(), file.clone()), (folder.path().join("missing.pem"), file)] {
        let config = ServerConfig::at("127.0.0.1:0").with_tls(certificate, key);
        let error = serve(engine.clone(), config, CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.code(), codex32_core::Code::Invalid);
        assert!(error.message().contains(".pem"), "{error}");
    }
}
