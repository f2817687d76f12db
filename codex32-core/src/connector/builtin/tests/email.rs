use crate::connector::testing::Harness;
use crate::connector::testing::smtp::{Received, smtp};
use crate::error::Code;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

async fn harness() -> (Harness, Arc<Mutex<Vec<Received>>>) {
    let (at, mails) = smtp().await;
    let harness =
        Harness::new().connected(json!({"url": format!("smtp://me%40x:p%2Bw@{at}"), "from": "Bot <bot@example.com>"}));
    (harness, mails)
}

#[tokio::test]
async fn a_mail_arrives_with_all_its_parts() {
    let (harness, mails) = harness().await;
    let out = harness
        .call(
            "email.send",
            json!({
                "to": ["Ann <ann@example.com>", "bob@example.com"], "cc": "cc@example.com", "bcc": "hidden@example.com",
                "reply_to": "re@example.com", "subject": "Grüße", "text": "plain text", "html": "<b>bold</b>",
                "attachments": [{"name": "a.csv", "content_type": "text/csv", "text": "1,2"}, {"name": "b.bin", "base64": "AAE="}]
            }),
        )
        .await
        .unwrap();
    let everyone = json!(["ann@example.com", "bob@example.com", "cc@example.com", "hidden@example.com"]);
    assert_eq!(out["recipients"], everyone);
    let mail = mails.lock().unwrap().remove(0);
    assert_eq!(json!(mail.to), everyone);
    assert!(mail.from.contains("<bot@example.com>"), "{}", mail.from);
    use base64::Engine as _;
    let login = base64::engine::general_purpose::STANDARD.decode(mail.login.unwrap()).unwrap();
    assert_eq!(login, b"\0me@x\0p+w");
    for piece in [
        "From: Bot <bot@example.com>",
        "Cc: cc@example.com",
        "Reply-To: re@example.com",
        "plain text",
        "<b>bold</b>",
        "a.csv",
        "b.bin",
        "AAE=",
    ] {
        assert!(mail.data.contains(piece), "{piece} not in {}", mail.data);
    }
    assert!(mail.data.contains(&format!("Message-ID: {}", out["message_id"].as_str().unwrap())));
    assert!(!mail.data.contains("hidden@example.com"));
}

#[tokio::test]
async fn a_repetition_carries_the_same_message_id() {
    let (mut harness, mails) = harness().await;
    let input = json!({"to": "a@example.com", "subject": "s"});
    let first = harness.call("email.send", input.clone()).await.unwrap();
    assert_eq!(harness.call("email.send", input.clone()).await.unwrap(), first);
    harness.cx.idempotency_key = "another".into();
    assert_ne!(harness.call("email.send", input).await.unwrap()["message_id"], first["message_id"]);
    assert_eq!(mails.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn nothing_can_be_smuggled_into_the_header() {
    let (harness, mails) = harness().await;
    let input = json!({"to": "a@example.com", "subject": "x\r\nBcc: evil@example.com", "text": ".\r\nRCPT TO:<evil@example.com>"});
    harness.call("email.send", input).await.unwrap();
    let mail = mails.lock().unwrap().remove(0);
    assert_eq!(mail.to, ["a@example.com"]);
    assert!(!mail.data.lines().any(|line| line.starts_with("Bcc:")), "{}", mail.data);
    for to in ["a@example.com\r\nBcc: evil@example.com", "no address", "a@example.com, b@example.com>"] {
        let e = harness.call("email.send", json!({"to": to, "subject": "s"})).await.unwrap_err();
        assert_eq!(e.code(), Code::Invalid, "{to:?}");
    }
}

#[tokio::test]
async fn refusals_tell_whether_to_retry() {
    let (harness, mails) = harness().await;
    for (to, code) in [("no-one@example.com", Code::Failed), ("busy-one@example.com", Code::Unavailable)] {
        let e = harness.call("email.send", json!({"to": to, "subject": "s"})).await.unwrap_err();
        assert_eq!(e.code(), code, "{e}");
        assert!(!e.to_string().contains("p+w"));
    }
    assert!(mails.lock().unwrap().is_empty());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let gone = Harness::new().connected(json!({"url": format!("smtp://{dead}"), "from": "b@example.com"}));
    let e = gone.call("email.send", json!({"to": "a@example.com", "subject": "s"})).await.unwrap_err();
    assert_eq!(e.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_mail_server_is_under_guard_too() {
    for (url, code) in [
        ("smtp://169.254.169.254:25", Code::Forbidden),
        ("smtp://[::ffff:169.254.169.254]:25", Code::Forbidden),
        ("smtp://0.0.0.0", Code::Forbidden),
        ("smtp://127.0.0.1:1?tls=odd", Code::Invalid),
    ] {
        let harness = Harness::new().connected(json!({"url": url, "from": "b@example.com"}));
        let e = harness.call("email.send", json!({"to": "a@example.com", "subject": "s"})).await.unwrap_err();
        assert_eq!(e.code(), code, "{url}");
    }
    let none: Value = json!({"to": "a@example.com", "subject": "s"});
    assert_eq!(Harness::new().call("email.send", none).await.unwrap_err().code(), Code::Precondition);
}

#[tokio::test]
async fn a_mail_that_names_nobody_goes_where_the_connection_says() {
    let (mut harness, mails) = harness().await;
    let input = json!({"subject": "s"});
    let e = harness.call("email.send", input.clone()).await.unwrap_err();
    assert_eq!((e.code(), e.faults()[0].pointer.as_str()), (Code::Invalid, "/to"));
    harness.cx.connection.as_mut().unwrap()["to"] = json!(["me@example.com"]);
    harness.call("email.send", input).await.unwrap();
    harness.call("email.send", json!({"subject": "s", "to": "a@example.com"})).await.unwrap();
    let to: Vec<_> = mails.lock().unwrap().iter().map(|mail| mail.to.clone()).collect();
    assert_eq!(to, [["me@example.com"], ["a@example.com"]]);
}
