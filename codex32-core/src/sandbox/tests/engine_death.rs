//! An engine that is killed takes its scripts with it.

use super::limits::gone;
use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Set for the process that plays the engine.
const VICTIM: &str = "SANDBOX_TEST_VICTIM";

#[tokio::test]
#[ignore = "not a test of its own: the engine that the other test kills"]
async fn victim() {
    let Some(dir) = std::env::var_os(VICTIM) else { return };
    struct Print;
    impl LogSink for Print {
        fn line(&self, _: Stream, text: &str) {
            println!("\n{text}");
        }
    }
    let runtime = ProcessRuntime::new(ProcessConfig::new(dir, host_env(&[])), Arc::new(SystemClock)).unwrap();
    let rig = Rig::new();
    let code = "(setsid env -i sh -c 'cd /; trap \"\" TERM HUP; echo daemon $$; sleep 1000 & echo below $!; wait; while :; do sleep 1000; done' &)
trap '' TERM HUP; echo script $$; while :; do sleep 1000; done";
    let mut job = rig.job(Language::Shell, code, serde_json::json!({}));
    job.log = Arc::new(Print);
    let _ = runtime.run(job).await;
}

#[tokio::test]
async fn a_killed_engine_takes_its_scripts_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "sandbox::tests::engine_death::victim", "--nocapture", "--test-threads=1"])
        .env(VICTIM, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pids = BTreeMap::new();
    for line in BufReader::new(engine.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((name @ ("daemon" | "below" | "script"), pid)) = line.split_once(' ') {
            pids.insert(name.to_owned(), pid.to_owned());
        }
        if pids.len() == 3 {
            break;
        }
    }
    assert!(pids.values().all(|pid| is_alive(pid)), "{pids:?}");
    engine.kill().unwrap();
    engine.wait().unwrap();
    for pid in pids.values() {
        gone(pid).await;
    }
    // What it left on the disk goes when the next engine opens the same directory.
    let run = dir.path().join("run");
    let engines = || std::fs::read_dir(&run).unwrap().flatten().filter(|e| e.file_name() != ".lock").count();
    assert_eq!(engines(), 1);
    let next = ProcessRuntime::new(ProcessConfig::new(dir.path(), host_env(&[])), Arc::new(SystemClock)).unwrap();
    assert_eq!(engines(), 1);
    drop(next);
    assert_eq!(engines(), 0);
}
