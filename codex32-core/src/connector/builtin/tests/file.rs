use crate::clock::SimulatedClock;
use crate::connector::Connectors;
use crate::connector::testing::Harness;
use crate::error::Code;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn house() -> (tempfile::TempDir, Harness) {
    let folder = tempfile::tempdir().unwrap();
    let harness = Harness::new().touching(&[folder.path()]);
    (folder, harness)
}

fn at(folder: &Path, rel: &str) -> String {
    folder.join(rel).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn files_are_written_read_and_appended() {
    let (folder, harness) = house();
    let path = at(folder.path(), "new/deep/a.txt");
    let out = harness.call("file.write", json!({"path": path, "text": "one\n"})).await.unwrap();
    assert_eq!((&out["name"], &out["size"], &out["path"]), (&json!("a.txt"), &json!(4), &json!(path)));
    harness.call("file.append", json!({"path": path, "text": "two"})).await.unwrap();
    assert_eq!(harness.call("file.read", json!({"path": path})).await.unwrap()["text"], "one\ntwo\n");
    harness.call("file.write", json!({"path": path, "base64": "eyJhIjoxfQ=="})).await.unwrap();
    assert_eq!(harness.call("file.read", json!({"path": path, "as": "json"})).await.unwrap()["json"], json!({"a": 1}));
    assert_eq!(
        harness.call("file.read", json!({"path": path, "as": "base64"})).await.unwrap()["base64"],
        "eyJhIjoxfQ=="
    );
    fs::write(&path, b"\xff").unwrap();
    for (shape, code) in [("text", Code::Failed), ("json", Code::Failed)] {
        assert_eq!(harness.call("file.read", json!({"path": path, "as": shape})).await.unwrap_err().code(), code);
    }
    assert_eq!(harness.call("file.delete", json!({"path": path})).await.unwrap(), json!({"deleted": true}));
    assert_eq!(harness.call("file.delete", json!({"path": path})).await.unwrap(), json!({"deleted": false}));
    assert_eq!(harness.call("file.read", json!({"path": path})).await.unwrap_err().code(), Code::NotFound);
    // Nothing is left behind.
    assert_eq!(fs::read_dir(folder.path().join("new/deep")).unwrap().count(), 0);
}

#[tokio::test]
async fn files_are_moved_and_copied() {
    let (folder, harness) = house();
    let (a, done) = (at(folder.path(), "a.txt"), at(folder.path(), "done"));
    fs::write(&a, "x").unwrap();
    let shift = json!({"from": a, "to": format!("{done}/")});
    let out = harness.call("file.move", shift.clone()).await.unwrap();
    assert_eq!((&out["moved"], &out["path"]), (&json!(true), &json!(format!("{done}/a.txt"))));
    assert!(!Path::new(&a).exists());
    // The same step again, after a crash: it is done already.
    assert_eq!(harness.call("file.move", shift.clone()).await.unwrap()["moved"], false);
    // Another file of that name does not replace the first unless that is wanted.
    fs::write(&a, "y").unwrap();
    let into = json!({"from": a, "to": done});
    assert_eq!(harness.call("file.move", into).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(harness.call("file.copy", shift).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(fs::read_to_string(format!("{done}/a.txt")).unwrap(), "x");
    harness.call("file.copy", json!({"from": a, "to": done, "overwrite": true})).await.unwrap();
    assert_eq!(fs::read_to_string(format!("{done}/a.txt")).unwrap(), "y");
    let renamed = harness.call("file.move", json!({"from": a, "to": at(folder.path(), "b.txt")})).await.unwrap();
    assert_eq!(renamed["name"], "b.txt");
    let missing = json!({"from": at(folder.path(), "zzz"), "to": at(folder.path(), "yyy")});
    assert_eq!(harness.call("file.move", missing.clone()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(harness.call("file.copy", missing).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn no_action_leads_out_of_the_folder() {
    let house = tempfile::tempdir().unwrap();
    let inside = house.path().join("in");
    fs::create_dir(&inside).unwrap();
    fs::write(house.path().join("secret"), "s3cret").unwrap();
    fs::write(inside.join("mine"), "m").unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
    std::os::unix::fs::symlink("..", inside.join("up")).unwrap();
    let harness = Harness::new().touching(&[&inside]);
    let (link, up, mine) = (at(&inside, "link"), at(&inside, "up/secret"), at(&inside, "mine"));
    let outside = at(house.path(), "secret");
    for path in [&link, &up, &outside, &at(&inside, "../secret")] {
        for (action, input) in [
            ("read", json!({"path": path})),
            ("append", json!({"path": path, "text": "x"})),
            ("copy", json!({"from": path, "to": at(&inside, "copy")})),
            ("list", json!({"dir": Path::new(path).parent().unwrap().join("../in/up").to_str().unwrap()})),
        ] {
            let outcome = harness.call(&format!("file.{action}"), input).await;
            assert!(outcome.is_err(), "{action} {path}: {outcome:?}");
        }
    }
    for path in [&up, &outside] {
        for (action, input) in [
            ("write", json!({"path": path, "text": "x"})),
            ("delete", json!({"path": path})),
            ("move", json!({"from": mine, "to": path, "overwrite": true})),
            ("move", json!({"from": path, "to": at(&inside, "moved")})),
        ] {
            assert!(harness.call(&format!("file.{action}"), input).await.is_err(), "{action} {path}");
        }
    }
    // Writing to a link replaces the link itself.
    harness.call("file.write", json!({"path": link, "text": "x"})).await.unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "s3cret");
    assert_eq!(Harness::new().call("file.read", json!({"path": mine})).await.unwrap_err().code(), Code::Forbidden);
}

#[tokio::test]
async fn pipes_and_large_files_do_not_hold_up_the_engine() {
    let (folder, harness) = house();
    let pipe = at(folder.path(), "pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(harness.call("file.read", json!({"path": pipe})).await.unwrap_err().code(), Code::Invalid);
    assert!(harness.call("file.append", json!({"path": pipe, "text": "x"})).await.is_err());
    let big = at(folder.path(), "big");
    fs::File::create(&big).unwrap().set_len(11 * 1024 * 1024).unwrap();
    assert_eq!(harness.call("file.read", json!({"path": big})).await.unwrap_err().code(), Code::TooLarge);
}

#[tokio::test]
async fn folders_are_listed() {
    let (folder, harness) = house();
    for name in ["b.csv", "a.csv", "c.txt", "sub/d.csv"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let dir = folder.path().to_str().unwrap();
    let names = |out: Value| -> Vec<String> {
        out["files"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
    };
    let list = |input: Value| harness.call("file.list", input);
    assert_eq!(names(list(json!({"dir": dir, "pattern": "*.csv"})).await.unwrap()), ["a.csv", "b.csv"]);
    assert_eq!(
        names(list(json!({"dir": dir, "pattern": "*.csv", "recursive": true})).await.unwrap()),
        ["a.csv", "b.csv", "d.csv"]
    );
    let cut = list(json!({"dir": dir, "limit": 1})).await.unwrap();
    assert_eq!((&cut["truncated"], names(cut.clone())), (&json!(true), vec!["a.csv".to_owned()]));
    assert_eq!(list(json!({"dir": format!("{dir}/none")})).await.unwrap_err().code(), Code::NotFound);
}

/// Sets when a file was last changed, counted from the clock's present.
fn touch(path: &Path, now: i64, age_ms: i64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis((now - age_ms) as u64);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[tokio::test]
async fn each_new_file_is_seen_once_when_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let now = 1_800_000_000_000;
    let harness = Harness::with(Connectors::default(), Arc::new(SimulatedClock::at(now))).touching(&[folder.path()]);
    let look = |cursor| {
        let input = json!({"dir": folder.path(), "pattern": "*.csv"});
        let harness = &harness;
        async move { harness.poll("file.new_file", input, cursor).await.unwrap() }
    };
    let put = |name: &str, text: &str, age: i64| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        touch(&path, now, age);
        path
    };
    let names = |events: &[Value]| events.iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    put("old.csv", "x", 60_000);
    let first = look(None).await;
    assert_eq!(names(&first.events), Vec::<String>::new());

    put("second.csv", "x", 5_000);
    put("first.csv", "x", 9_000);
    for ignored in ["other.txt", ".hidden.csv", "load.csv.part"] {
        put(ignored, "x", 9_000);
    }
    put("growing.csv", "x", 100);
    let news = look(Some(first.cursor)).await;
    assert_eq!(names(&news.events), ["first.csv", "second.csv"]);
    // It has grown since: not yet. Then it has not: now.
    put("growing.csv", "xy", 50);
    let later = look(Some(news.cursor)).await;
    assert_eq!(names(&later.events), Vec::<String>::new());
    let done = look(Some(later.cursor)).await;
    assert_eq!(names(&done.events), ["growing.csv"]);
    let nothing = look(Some(done.cursor)).await;
    assert_eq!(names(&nothing.events), Vec::<String>::new());
    // Moved away and another put in its place between two looks.
    fs::rename(folder.path().join("first.csv"), folder.path().join("first.done")).unwrap();
    put("first.csv", "z", 9_000);
    let again = look(Some(nothing.cursor)).await;
    assert_eq!(names(&again.events), ["first.csv"]);
    // The cursor only holds what is there.
    assert_eq!(again.cursor["seen"].as_object().unwrap().len(), 4);
    let all =
        harness.poll("file.new_file", json!({"dir": folder.path(), "existing": true, "pattern": "*.csv"}), None).await;
    // All but the one that may still be growing.
    assert_eq!(names(&all.unwrap().events), ["old.csv", "first.csv", "second.csv"]);
}

#[tokio::test]
async fn a_folder_that_is_not_declared_is_not_watched() {
    let folder = tempfile::tempdir().unwrap();
    let e = Harness::new().poll("file.new_file", json!({"dir": folder.path()}), None).await.unwrap_err();
    assert_eq!(e.code(), Code::Forbidden);
}
