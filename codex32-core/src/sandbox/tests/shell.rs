//! Shell: input on stdin and at `$INPUT`, the result from stdout.

use super::*;
use crate::error::Code;
use serde_json::json;

#[tokio::test]
async fn stdout_is_the_result() {
    let rig = Rig::new();
    let cases = [
        ("echo hello", json!("hello")),
        ("printf 'one\\ntwo\\n'", json!("one\ntwo")),
        ("echo '{\"a\": [1]}'", json!({"a": [1]})),
        ("echo 12", json!(12)),
        ("true", json!(null)),
        ("cat", json!({"in": "ü"})),
        ("cat $INPUT; cat $INPUT >/dev/null", json!({"in": "ü"})),
        ("#!/bin/bash\n[[ $BASH_VERSION ]] && echo yes", json!("yes")),
        ("cat >/dev/null & wait; echo $CODEX32_STEP $CODEX32_IDEMPOTENCY_KEY", json!("work key-1")),
    ];
    for (code, expected) in cases {
        let result = rig.run(Language::Shell, code, json!({"in": "ü"})).await;
        assert_eq!(result.as_ref().ok(), Some(&expected), "{code}: {result:?}");
    }
    rig.assert_clean();
}

#[tokio::test]
async fn a_failure_names_the_exit_code_and_the_last_line() {
    let rig = Rig::new();
    let error =
        rig.run(Language::Shell, "echo starting >&2; echo 'no such order' >&2; exit 7", json!({})).await.unwrap_err();
    assert_eq!(error.code(), Code::Failed);
    assert_eq!(error.message(), "the script ended with exit code 7: no such order");
    assert_eq!(error.hint_text(), Some("the last lines it wrote:\nstarting\nno such order"));

    let error = rig.run(Language::Shell, "false; echo never", json!({})).await.unwrap_err();
    assert_eq!(error.message(), "the script ended with exit code 1");
    let error = rig.run(Language::Shell, "\nnonexistent-command", json!({})).await.unwrap_err();
    assert!(error.message().contains("exit code 127, a command that was not found"), "{error}");
    assert!(error.message().contains("main.sh: 2:"), "{error}");
    rig.assert_clean();
}

#[tokio::test]
async fn sees_nothing_of_the_engines_environment() {
    let env = host_env(&[("DATABASE_PASSWORD", "hunter2"), ("HTTPS_PROXY", "http://me:pw@proxy"), ("TZ", "UTC")]);
    let rig = Rig::with(Arc::new(SystemClock), env);
    let mut job = rig.job(Language::Shell, "env -0 | tr '\\0\\n' '\\n ' | sort; pwd; umask", json!({}));
    job.env = vec![("OWN_KEY".to_owned(), "a value".to_owned())];
    let text = rig.runtime.run(job).await.unwrap().as_str().unwrap().to_owned();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let allowed = [
        "CODEX32_ATTEMPT",
        "CODEX32_EXECUTION",
        "CODEX32_IDEMPOTENCY_KEY",
        "CODEX32_STEP",
        "CURL_CA_BUNDLE",
        "HOME",
        "INPUT",
        "LANG",
        "NODE_EXTRA_CA_CERTS",
        "OWN_KEY",
        "PATH",
        "PWD",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TMPDIR",
        "TZ",
        "_",
        "OLDPWD",
        "SHLVL",
    ];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    assert!(names.contains(&"OWN_KEY") && !text.contains("hunter2") && !text.contains("me:pw"));
    let tail: Vec<&str> = text.lines().rev().take(2).collect();
    assert!(tail[1].ends_with("/work") && tail[0] == "0077", "{tail:?}");
}

#[tokio::test]
async fn refuses_variables_that_cannot_be_or_are_the_engines() {
    let rig = Rig::new();
    for (name, value) in [("A=B", "x"), ("", "x"), ("1A", "x"), ("CODEX32_STEP", "x"), ("GOOD", "a\0b")] {
        let mut job = rig.job(Language::Shell, "true", json!({}));
        job.env = vec![(name.to_owned(), value.to_owned())];
        let error = rig.runtime.run(job).await.unwrap_err();
        assert_eq!(error.code(), Code::Invalid, "{name}");
    }
    rig.assert_clean();
}

#[tokio::test]
async fn only_its_own_descriptors_are_open() {
    let rig = Rig::new();
    // A descriptor of the embedding program that exec would not close by itself.
    let file = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let listed = rig
        .run(Language::Shell, "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> \\(.*\\)/\\1 \\2/p'", json!({}))
        .await
        .unwrap();
    let open: Vec<&str> = listed.as_str().unwrap().lines().filter(|line| !line.contains("/proc/")).collect();
    let inputs = open.iter().filter(|line| line.contains("codex32-input")).count();
    // Standard input and $INPUT, stdout and stderr; nothing else.
    assert_eq!((inputs, open.len()), (2, 4), "{open:?}");
}

#[tokio::test]
async fn lines_arrive_while_the_script_runs() {
    let rig = Rig::new();
    let job = rig.job(
        Language::Shell,
        "echo first; echo on-stderr >&2; mkfifo gate; pwd; read x <gate; echo second $x",
        json!({}),
    );
    let run = rig.runtime.run(job);
    let drive = async {
        rig.log.wait_for("first").await;
        rig.log.wait_for("on-stderr").await;
        let home = rig.log.wait_for("/").await;
        assert!(!rig.log.text().contains("second"));
        tokio::fs::write(format!("/{home}/gate"), "go\n").await.unwrap();
    };
    let (result, ()) = tokio::join!(run, drive);
    assert!(result.unwrap().as_str().unwrap().ends_with("second go"));
    assert_eq!(rig.log.of(Stream::Stderr), ["on-stderr"]);
}
