use crate::clock::{Clock as _, SimulatedClock};
use crate::connector::testing::Harness;
use crate::connector::{Connectors, KvChange};
use crate::error::Code;
use crate::observe::Stream;
use crate::queue::SendOptions;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn what_the_engine_does_is_asked_of_the_engine() {
    let harness = Harness::new();
    let done = &harness.done;
    harness.call("event.publish", json!({"name": "order.created", "data": {"id": 7}})).await.unwrap();
    assert_eq!(*done.events.lock().unwrap(), [("order.created".to_owned(), json!({"id": 7}))]);
    harness.call("queue.send", json!({"queue": "q", "body": 7, "delay": "2s", "key": "k"})).await.unwrap();
    harness.call("queue.send", json!({"queue": "q"})).await.unwrap();
    let sent = |delay_ms, dedup: &str| SendOptions { delay_ms, dedup: Some(dedup.to_owned()) };
    assert_eq!(
        *done.messages.lock().unwrap(),
        [("q".into(), json!(7), sent(2_000, "key:k")), ("q".into(), Value::Null, sent(0, "step:key-1"))]
    );
    harness.call("webhook.reply", json!({"body": {"ok": true}})).await.unwrap();
    harness.call("webhook.reply", json!({"status": 404, "headers": {"x": "y"}, "body": "no"})).await.unwrap();
    assert_eq!(
        *done.replies.lock().unwrap(),
        [(200, json!({}), json!({"ok": true})), (404, json!({"x": "y"}), json!("no"))]
    );
    harness.call("notify.send", json!({"text": "t"})).await.unwrap();
    harness.call("notify.send", json!({"text": "t", "title": "T", "severity": "critical"})).await.unwrap();
    let notices = done.notices.lock().unwrap().clone();
    assert_eq!(notices[0], ("tester".into(), "t".into(), "info".into()));
    assert_eq!(notices[1], ("T".into(), "t".into(), "critical".into()));
    harness.call("log.write", json!({"message": "a\nb"})).await.unwrap();
    harness.call("log.write", json!({"message": {"n": 1}, "level": "error"})).await.unwrap();
    let lines = done.lines.lock().unwrap().clone();
    let expected = [(Stream::Stdout, "a"), (Stream::Stdout, "b"), (Stream::Stderr, "error: {\"n\":1}")];
    assert_eq!(lines, expected.map(|(stream, text)| (stream, text.to_owned())));
}

#[tokio::test]
async fn the_engine_s_own_events_cannot_be_forged() {
    let harness = Harness::new();
    for name in
        ["execution.finished", "bot.deleted", "deployment.changed", "incident.opened", "nodot", "A.b", "a..b", "a.b c"]
    {
        let e = harness.call("event.publish", json!({"name": name})).await.unwrap_err();
        assert_eq!(e.code(), Code::Invalid, "{name}");
    }
    assert!(harness.done.events.lock().unwrap().is_empty());
}

#[tokio::test]
async fn memory_is_asked_of_the_engine() {
    let harness = Harness::new();
    let call = |action: &str, input: Value| {
        let (full, harness) = (format!("kv.{action}"), &harness);
        async move { harness.call(&full, input).await.unwrap() }
    };
    assert_eq!(call("get", json!({"key": "known"})).await, json!({"found": true, "value": 7}));
    assert_eq!(call("get", json!({"key": "unknown", "default": 3})).await, json!({"found": false, "value": 3}));
    assert_eq!(call("set", json!({"key": "k", "value": [1]})).await, json!({"value": [1]}));
    assert_eq!(call("add", json!({"key": "k"})).await, json!({"value": 1.0}));
    assert_eq!(call("append", json!({"key": "k", "item": 4})).await, json!({"value": [4]}));
    assert_eq!(call("changed", json!({"key": "k", "value": 5})).await["changed"], true);
    assert_eq!(call("delete", json!({"key": "k"})).await, json!({"before": "gone"}));
    assert_eq!(call("list", json!({"prefix": "p/"})).await, json!({"keys": ["p/a", "p/b"]}));
    let changes: Vec<KvChange> =
        harness.done.updates.lock().unwrap().iter().map(|(_, change)| change.clone()).collect();
    let append = KvChange::Append { item: json!(4), keep: 1_000 };
    assert_eq!(
        changes,
        [KvChange::Set(json!([1])), KvChange::Add(1.0), append, KvChange::Swap(json!(5)), KvChange::Delete]
    );
}

#[tokio::test]
async fn a_pause_lasts_as_long_as_the_clock_says() {
    let clock = Arc::new(SimulatedClock::at(1_000));
    let harness = Harness::with(Connectors::default(), clock.clone());
    let pause = harness.call("delay.for", json!({"duration": "2s"}));
    tokio::pin!(pause);
    assert!(futures::poll!(&mut pause).is_pending());
    clock.advance(1_999);
    assert!(futures::poll!(&mut pause).is_pending());
    clock.advance(1);
    assert_eq!(pause.await.unwrap(), json!({"waited_ms": 2_000}));

    let cut = harness.call("delay.for", json!({"duration": "2s"}));
    tokio::pin!(cut);
    assert!(futures::poll!(&mut cut).is_pending());
    harness.cx.cancel.cancel();
    assert_eq!(cut.await.unwrap_err().code(), Code::Cancelled);
    let mut hurried = Harness::with(Connectors::default(), clock.clone());
    hurried.cx.deadline = Some(clock.now() + 1_000);
    for (duration, code) in [("2s", Code::Timeout), ("6m", Code::Invalid), ("x", Code::Invalid)] {
        assert_eq!(
            hurried.call("delay.for", json!({"duration": duration})).await.unwrap_err().code(),
            code,
            "{duration}"
        );
    }
}
