//! What a node does with a Job: its files laid out, its command run, its output kept.

use super::stub::{Play, Stub};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

/// Begins with a Job that may run.
pub(super) fn start(stub: &Stub, name: &str, job: &Value) {
    let (stub, name, job) = (stub.clone(), name.to_owned(), job.clone());
    let stop = CancellationToken::new();
    if stub.change(|objects| objects.kubelets.insert(name.clone(), stop.clone())).is_some() {
        return;
    }
    tokio::spawn(async move {
        let play = stub.play.lock().unwrap().clone();
        match play {
            Play::Run => run(&stub, &name, &job, &stop, None).await,
            Play::OutOfMemory => run(&stub, &name, &job, &stop, Some("OOMKilled")).await,
            Play::Stuck(status) => stub.set_pod(&name, status),
            Play::Ends(log, code, reason) => {
                stub.change(|objects| objects.logs.insert(format!("{name}-x1"), log.into()));
                end(&stub, &name, code, reason);
            }
            Play::Late => stub.change(|objects| {
                let failed = json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]);
                if let Some(job) = objects.jobs.get_mut(&name) {
                    job["status"] = json!({"conditions": failed});
                }
            }),
        }
        stop.cancelled().await;
        stub.change(|objects| objects.remove_job(&name));
    });
}

fn container(state: Value) -> Value {
    json!([{"name": "script", "image": "any", "imageID": "any", "ready": false, "restartCount": 0, "state": state}])
}

fn end(stub: &Stub, name: &str, code: i32, reason: &str) {
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let state = json!({"terminated": {"exitCode": code, "reason": reason}});
    stub.set_pod(name, json!({"phase": phase, "containerStatuses": container(state)}));
    stub.change(|objects| objects.silent.push(format!("{name}-x1")));
}

/// Runs the container's command in a folder that stands for the container's root.
async fn run(stub: &Stub, name: &str, job: &Value, stop: &CancellationToken, ended: Option<&str>) {
    stub.set_pod(name, json!({"phase": "Pending"}));
    let root = tempfile::tempdir().unwrap();
    let mut command = lay(stub, name, job, &root);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    stub.set_pod(name, json!({"phase": "Running", "containerStatuses": container(running)}));
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let life = async {
        tokio::select! {
            status = child.wait() => status.unwrap(),
            () = stop.cancelled() => {
                let id = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())).unwrap();
                // As the kubelet does it: the first process is asked, and after a while all are killed.
                rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
                let asked = tokio::time::timeout(std::time::Duration::from_secs(1), child.wait()).await;
                let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
                match asked {
                    Ok(status) => status.unwrap(),
                    Err(_) => child.wait().await.unwrap(),
                }
            }
        }
    };
    let (status, (), ()) = tokio::join!(life, keep(stub, name, stdout), keep(stub, name, stderr));
    let code = status.code().unwrap_or(137);
    end(stub, name, code, ended.unwrap_or(if code == 0 { "Completed" } else { "Error" }));
}

async fn keep(stub: &Stub, name: &str, mut from: impl tokio::io::AsyncRead + Unpin) {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut chunk).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        let log = format!("{name}-x1");
        stub.change(|objects| objects.logs.entry(log).or_default().extend_from_slice(&chunk[..count]));
    }
}

/// Mounts the volumes and prepares the command.
fn lay(stub: &Stub, name: &str, job: &Value, root: &TempDir) -> tokio::process::Command {
    let secret = stub.objects().secrets[name].clone();
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], job["metadata"]["uid"]);
    let bytes = |key: &str| {
        use base64::Engine;
        let text = secret["data"][key].as_str().unwrap_or_else(|| panic!("the Secret has a {key}"));
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    };
    let spec = &job["spec"]["template"]["spec"];
    let inside = |path: &str| match path.strip_prefix("/codex32") {
        Some(rest) => root.path().join("codex32").join(rest.trim_start_matches('/')),
        None => Path::new(path).to_owned(),
    };
    let container = &spec["containers"][0];
    for mount in container["volumeMounts"].as_array().unwrap() {
        let path = inside(mount["mountPath"].as_str().unwrap());
        std::fs::create_dir_all(&path).unwrap();
        let volume = spec["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        for item in volume["secret"]["items"].as_array().into_iter().flatten() {
            let file = path.join(item["path"].as_str().unwrap());
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes(item["key"].as_str().unwrap())).unwrap();
        }
    }
    let codex32 = root.path().join("codex32").display().to_string();
    let text = |value: &Value| value.as_str().unwrap().replace("$$", "$").replace("/codex32", &codex32);
    let words: Vec<String> = container["command"].as_array().unwrap().iter().map(text).collect();
    let mut command = tokio::process::Command::new(&words[0]);
    command.args(&words[1..]).current_dir(inside(container["workingDir"].as_str().unwrap()));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        match variable["valueFrom"]["secretKeyRef"]["key"].as_str() {
            Some(key) => command.env(name, String::from_utf8(bytes(key)).unwrap()),
            None => command.env(name, text(&variable["value"])),
        };
    }
    command
}
