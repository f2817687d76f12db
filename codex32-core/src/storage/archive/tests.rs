//! The archive in a folder, and in a bucket of a small server.

use super::Archive;
use crate::error::Code;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::put;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};

type Seen = Arc<Mutex<Vec<(String, String, Bytes)>>>;

async fn bucket() -> (String, Seen) {
    async fn keep(
        State(seen): State<Seen>,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> [(&'static str, &'static str); 1] {
        let signed = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        seen.lock().unwrap().push((uri.path().to_owned(), signed, body));
        [("etag", "\"1\"")]
    }
    let seen = Seen::default();
    let app = Router::new().route("/{*key}", put(keep)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, seen)
}

fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[tokio::test]
async fn a_file_is_put_into_a_bucket_with_a_signature() {
    let (address, seen) = bucket().await;
    let env = env(&[
        ("AWS_ENDPOINT_URL", &address),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "ann"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
        ("OTHER", "x"),
    ]);
    let archive = Archive::open("s3://bots/old", &env).unwrap();
    archive.put("w/b/1.jsonl.gz", b"hello".to_vec()).await.unwrap();
    let seen = seen.lock().unwrap();
    let (path, signed, body) = &seen[0];
    assert_eq!((path.as_str(), &body[..]), ("/bots/old/w/b/1.jsonl.gz", &b"hello"[..]));
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=ann/") && signed.contains("/eu-central-1/s3/"), "{signed}");
}

#[tokio::test]
async fn a_folder_is_made_and_a_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("a/b");
    for place in [place.display().to_string(), format!("file://{}", place.display())] {
        let archive = Archive::open(&place, &[]).unwrap();
        archive.put("w/1", b"one".to_vec()).await.unwrap();
        archive.put("w/1", b"two".to_vec()).await.unwrap();
    }
    assert_eq!(std::fs::read(place.join("w/1")).unwrap(), b"two");
}

#[test]
fn other_places_are_refused_without_their_passwords() {
    for place in ["ftp://ann:hidden@host/x", "gs://bucket/x", "s4://x"] {
        let error = Archive::open(place, &[]).unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        assert!(!error.message().contains("hidden"), "{error}");
    }
}
