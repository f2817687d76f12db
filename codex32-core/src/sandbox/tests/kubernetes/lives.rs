//! Ends that are not the script's own: cancelled, late, killed, found again.

use super::*;
use crate::error::Code;

/// Waits for a word in a fifo beside it, whose place it tells, and answers with the word.
const WAITS: &str = "mkfifo gate\necho \"at $PWD/gate\" >&2\nread -r word < gate\necho \"\\\"$word\\\"\"";

pub(super) async fn gate(cluster: &Cluster) -> PathBuf {
    let log = cluster.at_work("/gate").await;
    let line = log.lines().find_map(|line| line.split_once(" at ")).unwrap();
    PathBuf::from(line.1.to_owned())
}

pub(super) async fn open(gate: PathBuf) {
    tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n").unwrap()).await.unwrap();
}

#[tokio::test]
async fn cancelling_deletes_the_job() {
    let pods = Pods::new().await;
    let job = pods.job(Language::Shell, WAITS, json!({}));
    let cancel = job.cancel.clone();
    let (result, ()) = tokio::join!(pods.run(job), async {
        pods.log.wait_for("at ").await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err().code(), Code::Cancelled);
    assert_eq!(pods.asked("DELETE jobs"), 1);
    assert!(pods.stub().objects().jobs.is_empty() && pods.stub().objects().secrets.is_empty());
}

#[tokio::test]
async fn a_late_script_is_stopped() {
    let pods = Pods::new().await;
    let mut job = pods.job(Language::Shell, WAITS, json!({}));
    job.deadline = Some(pods.clock.now() + 2_000);
    let (result, ()) = tokio::join!(pods.run(job), async {
        pods.log.wait_for("at ").await;
        pods.clock.advance(2_000);
    });
    let error = result.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::Timeout, "the script was not done in time (2 s) and was stopped")
    );
    assert!(pods.stub().objects().jobs.is_empty());
}

#[tokio::test]
async fn the_clusters_own_deadline_is_a_timeout_too() {
    let pods = Pods::new().await;
    pods.play(Play::Late);
    let mut job = pods.job(Language::Shell, "true", json!({}));
    job.deadline = Some(pods.clock.now() + 2_000);
    assert_eq!(pods.run(job).await.unwrap_err().code(), Code::Timeout);
}

#[tokio::test]
async fn work_that_is_handed_over_is_found_again() {
    let pods = Pods::new().await;
    let job = pods.job(Language::Shell, WAITS, json!({}));
    let again = Job { cancel: CancellationToken::new(), left: CancellationToken::new(), ..job.clone() };
    let (cancel, left) = (job.cancel.clone(), job.left.clone());
    let (result, ()) = tokio::join!(pods.run(job), async {
        pods.log.wait_for("at ").await;
        left.cancel();
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err().code(), Code::Cancelled);
    assert_eq!(pods.stub().objects().jobs.len(), 1);
    assert_eq!(pods.asked("DELETE jobs"), 0);
    let next = pods.another().await;
    let (result, ()) = tokio::join!(next.run(again), async { open(gate(&pods.cluster).await).await });
    assert_eq!(result.unwrap(), json!("go"));
    assert_eq!(pods.cluster.jobs_made(), 1);
}

#[tokio::test]
async fn what_a_killed_engine_has_begun_is_found_running_or_ended() {
    let pods = Pods::new().await;
    let job = pods.job(Language::Shell, WAITS, json!({}));
    tokio::select! {
        _ = pods.run(job.clone()) => panic!("it waits"),
        _ = pods.log.wait_for("at ") => {}
    }
    open(gate(&pods.cluster).await).await;
    pods.stub().until(|objects| !objects.silent.is_empty()).await;
    let result = pods.another().await.run(job).await;
    assert_eq!((result.unwrap(), pods.cluster.jobs_made()), (json!("go"), 1));
    pods.cluster.assert_right();
}

#[tokio::test]
async fn a_job_without_its_secret_is_completed() {
    let pods = Pods::new().await;
    pods.stub().objects().refused = Some(("POST secrets".to_owned(), 0));
    let job = pods.job(Language::Shell, "echo 1", json!({}));
    tokio::select! {
        _ = pods.run(job.clone()) => panic!("it has no answer"),
        () = pods.stub().until(|objects| objects.asked.contains(&"POST secrets".to_owned())) => {}
    }
    pods.stub().objects().refused = None;
    assert_eq!(pods.another().await.run(job).await.unwrap(), json!(1));
    assert_eq!(pods.cluster.jobs_made(), 1);
}

#[tokio::test]
async fn another_attempt_is_another_job() {
    let pods = Pods::new().await;
    for attempt in 1..=2 {
        let job = Job { attempt, ..pods.job(Language::Shell, "echo $CODEX32_ATTEMPT", json!({})) };
        assert_eq!(pods.run(job).await.unwrap(), json!(attempt));
    }
    assert_eq!(pods.cluster.jobs_made(), 2);
}

#[tokio::test]
async fn a_log_that_breaks_off_is_read_again() {
    let pods = Pods::new().await;
    pods.stub().objects().torn = Some(9);
    let code = "echo one >&2\necho two >&2\necho three >&2\necho 4";
    assert_eq!(pods.run(pods.job(Language::Shell, code, json!({}))).await.unwrap(), json!(4));
    assert_eq!(pods.log.of(Stream::Stderr), ["one", "two", "three"]);
    assert!(pods.asked("GET log") >= 2);
}

#[tokio::test]
async fn memory_that_ran_out_is_named() {
    let pods = Pods::new().await;
    pods.play(Play::Ends("o1 working\n", 137, "OOMKilled"));
    let whole = pods.python("def main(input): return 1", json!({})).await.unwrap_err();
    let pods = Pods::new().await;
    pods.play(Play::OutOfMemory);
    let child = pods.python("import os\ndef main(input): os.kill(os.getpid(), 9)", json!({})).await.unwrap_err();
    for error in [whole, child] {
        assert_eq!(error.message(), "the script ran out of its memory limit of 512 MiB");
        assert!(error.hint_text().unwrap().contains("limits.memory"));
    }
}

#[tokio::test]
async fn a_container_that_dies_says_how() {
    let pods = Pods::new().await;
    pods.play(Play::Ends("sh: mkfifo: not found\n", 126, "Error"));
    let error = pods.python("def main(input): return 1", json!({})).await.unwrap_err();
    assert_eq!(error.message(), "the script's container ended with exit code 126, a command that cannot be executed");
    assert_eq!(error.hint_text(), Some("the last lines it wrote:\nsh: mkfifo: not found"));
}

#[tokio::test]
async fn a_job_that_somebody_deletes_is_missed() {
    let pods = Pods::new().await;
    let job = pods.job(Language::Shell, WAITS, json!({}));
    let (result, ()) = tokio::join!(pods.run(job), async {
        let name = pods.log.wait_for("at ").await;
        assert!(!name.is_empty());
        pods.stub().change(|objects| objects.kubelets.values().for_each(CancellationToken::cancel));
    });
    // Killed with its pod, it may still have said that it was.
    let error = result.unwrap_err();
    assert!(matches!(error.code(), Code::Unavailable | Code::Failed), "{error}");
}
