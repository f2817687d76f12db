use super::*;
use crate::clock::SystemClock;
use crate::connector::Net;
use crate::connector::testing::serve;
use crate::connector::testing::smtp::smtp;
use crate::error::Code;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use std::sync::Mutex;

fn notice(severity: Severity) -> Notice {
    Notice {
        workspace: WorkspaceId::at(1),
        at: 1_000,
        severity,
        title: "Price\r\nlow".into(),
        text: "It is 49000.".into(),
        bot: Some("btc-watch".into()),
        key: "k-1".into(),
    }
}

#[tokio::test]
async fn a_notice_is_posted_with_its_signature() {
    let seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
    let keep = seen.clone();
    let app = Router::new()
        .route(
            "/hook",
            post(move |headers: HeaderMap, body: Bytes| async move { keep.lock().unwrap().push((headers, body)) }),
        )
        .route("/busy", post(|| async { StatusCode::SERVICE_UNAVAILABLE }));
    let at = serve(app).await;
    let webhook = |path: &str| {
        let url = format!("http://{at}{path}");
        WebhookNotifier::new(Arc::new(Net::default()), Arc::new(SystemClock), &url, Some(SecretString::from("s3cret")))
            .unwrap()
    };
    let given = notice(Severity::Critical);
    webhook("/hook").notify(&given).await.unwrap();
    let (headers, body) = seen.lock().unwrap().remove(0);
    let sent: Notice = serde_json::from_slice(&body).unwrap();
    assert_eq!(sent, given);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"s3cret").unwrap();
    mac.update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(headers["x-signature-256"], signature);
    assert_eq!(headers["idempotency-key"], "k-1");
    assert_eq!(webhook("/busy").notify(&notice(Severity::Info)).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(webhook("/none").notify(&notice(Severity::Info)).await.unwrap_err().code(), Code::Failed);
    for bad in ["", "ftp://x/", "x"] {
        assert!(WebhookNotifier::new(Arc::new(Net::default()), Arc::new(SystemClock), bad, None).is_err());
    }
}

#[tokio::test]
async fn a_notice_is_mailed() {
    let (at, mails) = smtp().await;
    let server = SecretString::from(format!("smtp://{at}"));
    let to = ["ann@example.com".to_owned(), "bob@example.com".to_owned()];
    let net = Arc::new(Net::default());
    let email =
        EmailNotifier::new(net.clone(), Arc::new(SystemClock), server.clone(), "bots@example.com", &to).unwrap();
    email.notify(&notice(Severity::Warning)).await.unwrap();
    let mail = mails.lock().unwrap().remove(0);
    assert_eq!(mail.to, to);
    for piece in ["Subject: [warning] Price low", "It is 49000.", "Bot: btc-watch"] {
        assert!(mail.data.contains(piece), "{piece} not in {}", mail.data);
    }
    assert!(EmailNotifier::new(net, Arc::new(SystemClock), server, "bots@example.com", &[]).is_err());
}

struct Recorder(Mutex<u32>, bool);

#[async_trait::async_trait]
impl Notifier for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }
    async fn notify(&self, _notice: &Notice) -> Result<()> {
        *self.0.lock().unwrap() += 1;
        if self.1 { Ok(()) } else { Err(Error::unavailable("gone")) }
    }
}

#[tokio::test]
async fn everyone_is_told_what_concerns_them() {
    let (works, fails, grave) = (
        Arc::new(Recorder(Mutex::new(0), true)),
        Arc::new(Recorder(Mutex::new(0), false)),
        Arc::new(Recorder(Mutex::new(0), true)),
    );
    let all = Everyone::default()
        .and(Severity::Info, fails.clone())
        .and(Severity::Info, works.clone())
        .and(Severity::Critical, grave.clone());
    all.notify(&notice(Severity::Warning)).await.unwrap();
    all.notify(&notice(Severity::Critical)).await.unwrap();
    let counts = [&works, &fails, &grave].map(|r| *r.0.lock().unwrap());
    assert_eq!(counts, [2, 2, 1]);
    let none = Everyone::default().and(Severity::Info, fails);
    assert_eq!(none.notify(&notice(Severity::Info)).await.unwrap_err().code(), Code::Unavailable);
    LogNotifier.notify(&notice(Severity::Info)).await.unwrap();
    for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
        assert_eq!(severity.as_str().parse::<Severity>().unwrap(), severity);
    }
}
