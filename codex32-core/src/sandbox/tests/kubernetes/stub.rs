//! An API server small enough for a test: it keeps objects, checks what it is sent by
//! Kubernetes' own definitions, tells watchers, and has a kubelet that really runs the
//! container's command (`kubelet`), or plays what a test says.

use super::{kubelet, schema};
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// What becomes of a Job that may run.
#[derive(Clone)]
pub(super) enum Play {
    /// Its command is run.
    Run,
    /// Its pod has this status for good.
    Stuck(Value),
    /// Its pod prints this, and then its container ends with this exit code and reason.
    Ends(&'static str, i32, &'static str),
    /// Its deadline passes before a pod has started.
    Late,
    /// Its command is run, and then it was the kernel who ended it.
    OutOfMemory,
}

#[derive(Default)]
pub(super) struct Objects {
    pub(super) jobs: BTreeMap<String, Value>,
    pub(super) secrets: BTreeMap<String, Value>,
    pub(super) policies: BTreeMap<String, Value>,
    pub(super) pods: BTreeMap<String, Value>,
    pub(super) logs: BTreeMap<String, Vec<u8>>,
    /// Pods whose log is complete.
    pub(super) silent: Vec<String>,
    events: Vec<Value>,
    /// What was asked, in order: `POST jobs`, `GET pods`.
    pub(super) asked: Vec<String>,
    /// Bodies that were created.
    pub(super) created: Vec<Value>,
    /// What Kubernetes would have refused.
    pub(super) wrong: Vec<String>,
    /// What is refused, and as what; 0 is no answer at all.
    pub(super) refused: Option<(String, u16)>,
    /// How many more requests are answered with 503.
    pub(super) dizzy: u32,
    /// A log breaks off once, after so many bytes.
    pub(super) torn: Option<usize>,
    pub(super) kubelets: HashMap<String, tokio_util::sync::CancellationToken>,
    number: u64,
}

#[derive(Clone)]
pub(super) struct Stub {
    pub(super) objects: Arc<Mutex<Objects>>,
    pub(super) play: Arc<Mutex<Play>>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) address: std::net::SocketAddr,
}

impl Stub {
    pub(super) async fn start() -> Stub {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let play = Arc::new(Mutex::new(Play::Run));
        let stub = Stub { objects: Arc::default(), play, changed: watch::Sender::new(0), address };
        let router = Router::new()
            .route("/apis/batch/v1/namespaces/bots/jobs", post(create_job))
            .route("/apis/batch/v1/namespaces/bots/jobs/{name}", get(read_job).patch(patch_job).delete(delete_job))
            .route("/api/v1/namespaces/bots/secrets", post(create_secret))
            .route("/api/v1/namespaces/bots/secrets/{name}", axum::routing::delete(delete_secret))
            .route("/api/v1/namespaces/bots/pods", get(list_pods))
            .route("/api/v1/namespaces/bots/pods/{name}/log", get(read_log))
            .route("/apis/networking.k8s.io/v1/namespaces/bots/networkpolicies", post(create_policy))
            .layer(middleware::from_fn_with_state(stub.clone(), note))
            .with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stub
    }

    pub(super) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    /// Changes objects and tells who waits.
    pub(super) fn change<T>(&self, work: impl FnOnce(&mut Objects) -> T) -> T {
        let result = work(&mut self.objects());
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// Waits until something holds.
    pub(super) async fn until(&self, holds: impl Fn(&Objects) -> bool) {
        let mut changed = self.changed.subscribe();
        let waited = async {
            while !holds(&self.objects()) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), waited).await.expect("it happens in time");
    }

    /// Sets what a pod is, as the kubelet does.
    pub(super) fn set_pod(&self, job: &str, status: Value) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("{job}-x1"), "labels": {"batch.kubernetes.io/job-name": job},
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"containers": [{"name": "script", "image": "any"}]},
            "status": status,
        });
        let faults = schema::faults("Pod", &pod);
        self.change(|objects| {
            objects.wrong.extend(faults);
            objects.put_pod(&format!("{job}-x1"), pod);
        });
    }

    fn refuse(&self, kind: &str, object: &Value) -> Option<Response> {
        let faults = schema::faults(kind, object);
        let text = faults.join("\n");
        self.objects().wrong.extend(faults);
        (!text.is_empty()).then(|| status(422, "Invalid", &text))
    }
}

impl Objects {
    fn version(&mut self) -> String {
        self.number += 1;
        self.number.to_string()
    }

    fn put_pod(&mut self, name: &str, mut pod: Value) {
        pod["metadata"]["resourceVersion"] = self.version().into();
        let kind = if self.pods.contains_key(name) { "MODIFIED" } else { "ADDED" };
        self.events.push(json!({"type": kind, "object": pod}));
        self.pods.insert(name.to_owned(), pod);
    }

    /// Removes a Job, its pods, and what it owns.
    pub(super) fn remove_job(&mut self, name: &str) {
        let Some(job) = self.jobs.remove(name) else { return };
        let uid = job["metadata"]["uid"].clone();
        self.secrets.retain(|_, secret| secret["metadata"]["ownerReferences"][0]["uid"] != uid);
        if let Some(mut pod) = self.pods.remove(&format!("{name}-x1")) {
            pod["metadata"]["resourceVersion"] = self.version().into();
            self.events.push(json!({"type": "DELETED", "object": pod}));
        }
        self.silent.push(format!("{name}-x1"));
    }
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

/// Notes every request, and refuses what a test wants refused.
async fn note(State(stub): State<Stub>, request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let thing = path.split("/bots/").nth(1).unwrap_or(&path);
    let thing = thing.split('/').next().unwrap_or_default();
    let follows = if path.ends_with("/log") { "log" } else { thing };
    let asked = format!("{} {follows}", request.method());
    let answer = stub.change(|objects| {
        objects.asked.push(asked.clone());
        if objects.dizzy > 0 {
            objects.dizzy -= 1;
            return Some(status(503, "ServiceUnavailable", "the server is starting"));
        }
        let refused = objects.refused.as_ref().filter(|(what, _)| *what == asked)?;
        if refused.1 == 0 {
            return Some(StatusCode::IM_A_TEAPOT.into_response());
        }
        Some(status(refused.1, "Forbidden", &format!("{follows} is forbidden: User \"engine\" cannot do this")))
    });
    match answer {
        // Never, as far as the caller can tell.
        Some(answer) if answer.status() == StatusCode::IM_A_TEAPOT => std::future::pending().await,
        Some(answer) => answer,
        None => next.run(request).await,
    }
}

/// Keeps a new object, unless there is one.
fn create(stub: &Stub, kind: &str, body: &Bytes, at: fn(&mut Objects) -> &mut BTreeMap<String, Value>) -> Response {
    let mut object: Value = serde_json::from_slice(body).unwrap();
    if let Some(refused) = stub.refuse(kind, &object) {
        return refused;
    }
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    stub.change(|objects| {
        if at(objects).contains_key(&name) {
            return status(409, "AlreadyExists", &format!("{kind} \"{name}\" already exists"));
        }
        objects.created.push(object.clone());
        let version = objects.version();
        object["metadata"]["uid"] = format!("uid-{version}").into();
        object["metadata"]["resourceVersion"] = version.into();
        at(objects).insert(name, object.clone());
        (StatusCode::CREATED, Json(object)).into_response()
    })
}

async fn create_job(State(stub): State<Stub>, body: Bytes) -> Response {
    create(&stub, "Job", &body, |objects| &mut objects.jobs)
}

async fn create_secret(State(stub): State<Stub>, body: Bytes) -> Response {
    create(&stub, "Secret", &body, |objects| &mut objects.secrets)
}

async fn create_policy(State(stub): State<Stub>, body: Bytes) -> Response {
    create(&stub, "NetworkPolicy", &body, |objects| &mut objects.policies)
}

async fn read_job(State(stub): State<Stub>, Path(name): Path<String>) -> Response {
    match stub.objects().jobs.get(&name) {
        Some(job) => Json(job.clone()).into_response(),
        None => status(404, "NotFound", "no such job"),
    }
}

/// A merge of one level of `spec`, which is all that is asked.
async fn patch_job(State(stub): State<Stub>, Path(name): Path<String>, body: Bytes) -> Response {
    let patch: Value = serde_json::from_slice(&body).unwrap();
    let patched = stub.change(|objects| {
        let job = objects.jobs.get_mut(&name)?;
        for (key, value) in patch["spec"].as_object().into_iter().flatten() {
            job["spec"][key] = value.clone();
        }
        Some(job.clone())
    });
    let Some(job) = patched else { return status(404, "NotFound", "no such job") };
    if let Some(refused) = stub.refuse("Job", &job) {
        return refused;
    }
    if job["spec"]["suspend"] == false {
        kubelet::start(&stub, &name, &job);
    }
    Json(job).into_response()
}

async fn delete_job(State(stub): State<Stub>, Path(name): Path<String>, body: Bytes) -> Response {
    if !body.is_empty()
        && let Some(refused) = stub.refuse("DeleteOptions", &serde_json::from_slice(&body).unwrap())
    {
        return refused;
    }
    let found = stub.change(|objects| {
        let job = objects.jobs.get_mut(&name)?;
        job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let kubelet = objects.kubelets.get(&name).cloned();
        if kubelet.is_none() {
            objects.remove_job(&name);
        }
        Some(kubelet)
    });
    match found {
        None => status(404, "NotFound", "no such job"),
        Some(kubelet) => {
            // The Job is there until its pod has ended.
            kubelet.inspect(|kubelet| kubelet.cancel());
            Json(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})).into_response()
        }
    }
}

async fn delete_secret(State(stub): State<Stub>, Path(name): Path<String>) -> Response {
    match stub.change(|objects| objects.secrets.remove(&name)) {
        Some(_) => Json(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})).into_response(),
        None => status(404, "NotFound", "no such secret"),
    }
}

async fn list_pods(State(stub): State<Stub>, Query(query): Query<HashMap<String, String>>) -> Response {
    let job = query["labelSelector"].strip_prefix("batch.kubernetes.io/job-name=").unwrap().to_owned();
    let of_job = move |pod: &Value| pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == *job;
    if query.get("watch").map(String::as_str) != Some("true") {
        let objects = stub.objects();
        let items: Vec<&Value> = objects.pods.values().filter(|pod| of_job(pod)).collect();
        let version = objects.number.to_string();
        let list = json!({
            "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items,
        });
        return Json(list).into_response();
    }
    let since: u64 = query["resourceVersion"].parse().unwrap();
    let number =
        |event: &Value| event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    let next = move |(stub, since): (Stub, u64)| {
        let of_job = of_job.clone();
        async move {
            let mut changed = stub.changed.subscribe();
            loop {
                let found = {
                    let objects = stub.objects();
                    objects.events.iter().find(|event| number(event) > since && of_job(&event["object"])).cloned()
                };
                if let Some(event) = found {
                    return Some((Ok::<_, std::io::Error>(format!("{event}\n")), (stub, number(&event))));
                }
                changed.changed().await.ok()?;
            }
        }
    };
    Body::from_stream(futures::stream::unfold((stub, since), next)).into_response()
}

/// The log as far as it goes, and what comes.
async fn read_log(State(stub): State<Stub>, Path(name): Path<String>, method: Method) -> Response {
    assert_eq!(method, Method::GET);
    if !stub.objects().pods.contains_key(&name) {
        return status(404, "NotFound", "no such pod");
    }
    let torn = stub.objects().torn.take();
    let next = move |(stub, at): (Stub, usize)| {
        let name = name.clone();
        async move {
            let mut changed = stub.changed.subscribe();
            loop {
                let (part, over) = {
                    let objects = stub.objects();
                    let all = objects.logs.get(&name).map(Vec::as_slice).unwrap_or_default();
                    let end = torn.unwrap_or(all.len()).min(all.len());
                    (all[at.min(end)..end].to_vec(), objects.silent.contains(&name) || torn == Some(end))
                };
                if !part.is_empty() {
                    let at = at + part.len();
                    return Some((Ok::<_, std::io::Error>(part), (stub, at)));
                }
                if over {
                    return None;
                }
                changed.changed().await.ok()?;
            }
        }
    };
    Body::from_stream(futures::stream::unfold((stub, 0), next)).into_response()
}
