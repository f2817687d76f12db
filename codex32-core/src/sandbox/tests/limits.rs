//! What holds a script: time, memory, processes, output, cancellation; and that nothing
//! of it lives on.

use super::*;
use crate::blueprint::{Bytes, Span};
use crate::clock::SimulatedClock;
use crate::error::Code;
use serde_json::json;

/// Leaves a process that has forked twice, has a session and an empty environment of its
/// own and ignores TERM; then waits for ever.
const DAEMON: &str = "
(setsid env -i sh -c 'cd /; trap \"\" TERM; echo daemon $$; while :; do sleep 1000; done' &)
trap '' TERM
while :; do sleep 1000; done";

#[tokio::test]
async fn the_deadline_ends_the_whole_tree() {
    let clock = SimulatedClock::at(1_000);
    let rig = Rig::with(Arc::new(clock.clone()), host_env(&[]));
    let mut job = rig.job(Language::Shell, DAEMON, json!({}));
    job.deadline = Some(31_000);
    let drive = async {
        let pid = rig.log.wait_for("daemon ").await;
        assert!(is_alive(&pid));
        clock.advance(30_000);
        pid
    };
    let (result, pid) = tokio::join!(rig.runtime.run(job), drive);
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
    assert_eq!(error.message(), "the script was not done in time (30 s) and was stopped");
    assert!(!is_alive(&pid));
    rig.assert_clean();
}

#[tokio::test]
async fn cancellation_ends_the_whole_tree() {
    let rig = Rig::new();
    let job = rig.job(Language::Shell, DAEMON, json!({}));
    let cancel = job.cancel.clone();
    let drive = async {
        let pid = rig.log.wait_for("daemon ").await;
        cancel.cancel();
        pid
    };
    let (result, pid) = tokio::join!(rig.runtime.run(job.clone()), drive);
    assert_eq!(result.unwrap_err().code(), Code::Cancelled);
    assert!(!is_alive(&pid));
    assert_eq!(rig.runtime.run(job).await.unwrap_err().code(), Code::Cancelled);
    rig.assert_clean();
}

#[tokio::test]
async fn a_script_that_is_cancelled_may_clean_up() {
    let mut rig = Rig::new();
    let mut config = ProcessConfig::new(rig.dir.path(), host_env(&[]));
    config.grace = Duration::from_secs(600);
    rig.runtime = ProcessRuntime::new(config, Arc::new(SystemClock)).unwrap();
    let code = "import os, signal, sys\ndef stop(*_):\n    os.write(1, b'cleaned up\\n')\n    sys.exit(0)\nsignal.signal(signal.SIGTERM, stop)\nprint('ready')\nsignal.pause()";
    let job = rig.job(Language::Python, code, json!({}));
    let cancel = job.cancel.clone();
    let drive = async {
        rig.log.wait_for("ready").await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(rig.runtime.run(job), drive);
    assert_eq!(result.unwrap_err().code(), Code::Cancelled);
    assert_eq!(rig.log.of(Stream::Stdout), ["ready", "cleaned up"]);
}

#[tokio::test]
async fn a_script_that_ends_leaves_nothing_behind() {
    let rig = Rig::new();
    let code = "mkfifo gate
(setsid env -i sh -c 'cd /; echo daemon $$; echo done >\"$0/gate\"; exec sleep 1000' \"$PWD\" &)
read x <gate; echo bye";
    rig.run(Language::Shell, code, json!({})).await.unwrap();
    let pid = rig.log.wait_for("daemon ").await;
    assert!(!is_alive(&pid));
    rig.assert_clean();
}

/// Leaves a process that goes on in a child of its own again and again, then does `after`.
fn hopper(after: &str) -> String {
    format!(
        "import os, signal
gate, inside = os.pipe()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.environ.clear()
    os.chdir('/')
    print('hopping', flush=True)
    os.write(inside, b'x')
    while True:
        if os.fork():
            os._exit(0)
os.read(gate, 1)
{after}"
    )
}

/// Processes whose command line holds `mark`.
fn with_mark(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

#[tokio::test]
async fn a_process_that_hops_is_caught() {
    let rig = Rig::new();
    let mark = rig.dir.path().to_str().unwrap();
    // By the guardian, when the script ends.
    rig.run(Language::Python, &hopper("print('bye')"), json!({})).await.unwrap();
    assert_eq!(with_mark(mark), 0);
    // By the engine, when it is cancelled.
    let rig = Rig::new();
    let mark = rig.dir.path().to_str().unwrap();
    let job = rig.job(Language::Python, &hopper("signal.pause()"), json!({}));
    let cancel = job.cancel.clone();
    let run = rig.runtime.run(job);
    let (result, ()) = tokio::join!(run, async {
        rig.log.wait_for("hopping").await;
        assert!(with_mark(mark) > 0);
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err().code(), Code::Cancelled);
    assert_eq!(with_mark(mark), 0);
}

#[tokio::test]
async fn dropping_a_run_ends_its_tree() {
    let rig = Rig::new();
    let job = rig.job(Language::Shell, DAEMON, json!({}));
    let pid = tokio::select! {
        result = rig.runtime.run(job) => panic!("{result:?}"),
        pid = rig.log.wait_for("daemon ") => pid,
    };
    gone(&pid).await;
}

/// Returns once the process is gone, as the kernel tells.
#[expect(deprecated, reason = "the safe constructor; an owned descriptor keeps what its successor demands")]
pub(super) async fn gone(pid: &str) {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    if let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) {
        let fd = tokio::io::unix::AsyncFd::with_interest(fd, tokio::io::Interest::READABLE).unwrap();
        let _ = fd.readable().await.unwrap();
    }
}

#[tokio::test]
async fn a_script_that_kills_its_guardian_is_swept_away() {
    let rig = Rig::new();
    let code = "mkfifo gate
(setsid sh -c 'trap \"\" TERM; echo daemon $$; echo x >gate; while :; do sleep 1000; done' &)
read x <gate; echo self $$; kill -KILL $PPID; while :; do sleep 1000; done";
    let error = rig.run(Language::Shell, code, json!({})).await.unwrap_err();
    assert_eq!(error.message(), "the script's process tree was killed from outside");
    for name in ["daemon ", "self "] {
        gone(&rig.log.wait_for(name).await).await;
    }
    rig.assert_clean();
}

#[tokio::test]
async fn memory_of_one_process() {
    let rig = Rig::new();
    let mut job = rig.job(Language::Python, "def main(input):\n    return len(bytearray(400 << 20))", json!({}));
    job.limits.memory = Some(Bytes(128 << 20));
    let error = rig.runtime.run(job).await.unwrap_err();
    assert_eq!(error.code(), Code::Failed);
    assert!(error.message().starts_with("the script ran out of its memory limit of 128 MiB"), "{error}");

    let mut job =
        rig.job(Language::Node, "const a = []; while (true) a.push(new Array(10000).fill(a.length))", json!({}));
    job.limits.memory = Some(Bytes(96 << 20));
    let error = rig.runtime.run(job).await.unwrap_err();
    assert!(error.message().starts_with("the script ran out of its memory limit of 96 MiB"), "{error}");
    assert!(error.hint_text().unwrap().contains("limits.memory"));
}

#[tokio::test]
async fn memory_of_the_whole_tree() {
    let rig = Rig::new();
    // Each child stays below the limit, all together do not.
    let code = "import os, signal\nfor _ in range(4):\n    if os.fork() == 0:\n        a = bytearray(b'x') * (40 << 20)\n        signal.pause()\nsignal.pause()";
    let mut job = rig.job(Language::Python, code, json!({}));
    job.limits.memory = Some(Bytes(100 << 20));
    let error = rig.runtime.run(job).await.unwrap_err();
    assert!(error.message().contains("memory limit of 100 MiB, with "), "{error}");
    rig.assert_clean();
}

#[tokio::test]
async fn processor_time() {
    let rig = Rig::new();
    for code in ["while True: pass", "import os\nos.fork(); os.fork()\nwhile True: pass"] {
        let mut job = rig.job(Language::Python, code, json!({}));
        job.limits.cpu = Some(Span(1_000));
        let error = rig.runtime.run(job).await.unwrap_err();
        assert_eq!(error.message(), "the script used up its processor time of 1 s");
    }
}

#[tokio::test]
async fn number_of_processes() {
    let rig = Rig::new();
    let code = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done; wait";
    let mut job = rig.job(Language::Shell, code, json!({}));
    job.limits.processes = Some(6);
    let error = rig.runtime.run(job).await.unwrap_err();
    assert!(error.message().ends_with("processes and threads; its limit is 6"), "{error}");
    rig.assert_clean();
}

#[tokio::test]
async fn output_in_the_log_is_capped_with_a_mark() {
    let rig = Rig::new();
    let code = "def main(input):\n    for i in range(20000): print('line', i)\n    return 'fine'";
    let mut job = rig.job(Language::Python, code, json!({}));
    job.limits.output = Some(Bytes(10_000));
    assert_eq!(rig.runtime.run(job).await.unwrap(), json!("fine"));
    let kept: usize = rig.log.of(Stream::Stdout).iter().map(|line| line.len() + 1).sum();
    assert!(kept <= 10_000, "{kept}");
    let marks = rig.log.of(Stream::System);
    assert_eq!(marks.len(), 1, "{marks:?}");
    assert!(marks[0].starts_with("output limit of 9.8 KiB reached"), "{marks:?}");
}

#[tokio::test]
async fn a_result_over_the_limit_is_refused() {
    let rig = Rig::new();
    for (language, code) in [
        (Language::Python, "def main(input): return 'x' * 100000"),
        (Language::Node, "module.exports = () => 'x'.repeat(100000)"),
        (Language::Shell, "head -c 100000 /dev/zero | tr '\\0' x"),
    ] {
        let mut job = rig.job(language, code, json!({}));
        job.limits.output = Some(Bytes(10_000));
        let error = rig.runtime.run(job).await.unwrap_err();
        assert_eq!(error.code(), Code::TooLarge, "{language:?}: {error}");
    }
    // A plain program's text is cut instead, and says so.
    let mut job = rig.job(Language::Python, "print('a' * 20000); print('the end')", json!({}));
    job.limits.output = Some(Bytes(10_000));
    let text = rig.runtime.run(job).await.unwrap();
    let text = text.as_str().unwrap();
    assert!(text.starts_with("[the first ") && text.ends_with("the end"));
}

#[tokio::test]
async fn files_it_writes_are_bounded_and_cores_are_not_left() {
    let rig = Rig::new();
    let limits = rig.run(Language::Shell, "ulimit -c; ulimit -n; ulimit -f", json!({})).await.unwrap();
    assert_eq!(limits, json!("0\n4096\n2097152"));
    let error = rig.run(Language::Shell, "ulimit -n 5000", json!({})).await.unwrap_err();
    assert_eq!(error.code(), Code::Failed);
}

#[tokio::test]
async fn it_cannot_gain_privileges() {
    let rig = Rig::new();
    let line = rig.run(Language::Shell, "grep NoNewPrivs /proc/self/status", json!({})).await.unwrap();
    assert_eq!(line.as_str().unwrap().split_whitespace().collect::<Vec<_>>(), ["NoNewPrivs:", "1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_do_not_mix() {
    let rig = Rig::new();
    let run = |n: u32| {
        let rig = &rig;
        async move {
            let (language, code) = match n % 3 {
                0 => (Language::Python, "def main(n): return [n, open('own', 'w').write(str(n))]"),
                1 => (
                    Language::Node,
                    "module.exports = ({ n }) => { require('fs').writeFileSync('own', `${n}`); return [n, 1] }",
                ),
                _ => (Language::Shell, "sed 's/.*:\\(.*\\)}/[\\1, 1]/' >own; cat own"),
            };
            (n, rig.run(language, code, json!({"n": n})).await)
        }
    };
    for (n, result) in futures::future::join_all((0..12).map(run)).await {
        assert_eq!(result.as_ref().unwrap()[0], json!(n), "{result:?}");
    }
    rig.assert_clean();
}

#[tokio::test]
async fn the_doctor_tells_what_is_here() {
    let report = Rig::new().runtime.doctor().await;
    let python = report.interpreters.iter().find(|r| r.language == "python").unwrap();
    assert!(python.available && python.version.as_deref().unwrap().starts_with("3."), "{python:?}");
    assert!(report.limits.iter().any(|limit| limit.name == "memory" && limit.enforced));
    assert!(report.limits.iter().any(|limit| limit.name == "network" && !limit.enforced));

    let report = Rig::with(Arc::new(SystemClock), vec![("PATH".into(), "/nonexistent".into())]).runtime.doctor().await;
    let node = report.interpreters.iter().find(|r| r.language == "node").unwrap();
    assert!(!node.available && node.help.as_deref().unwrap().contains("install Node.js"), "{node:?}");
}
