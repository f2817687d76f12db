//! What is asked of the API server, and what its answers mean.
//!
//! Invariant: a call that fails for want of an answer is made again until patience ends,
//! and each call may be made twice.

use super::manifest::{self, Order};
use super::settings::chain;
use crate::error::{Code, Error, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, WatchParams};
use kube::core::Status;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// First and longest time between two tries.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(15);

/// A namespace of a cluster.
pub(super) struct Cluster {
    jobs: Api<Job>,
    secrets: Api<Secret>,
    pods: Api<Pod>,
    policies: Api<NetworkPolicy>,
    namespace: String,
    patience: Duration,
    ready: OnceCell<()>,
}

/// Pods of a Job and the version of the list, to watch from.
pub(super) struct Pods {
    pub(super) found: Vec<Pod>,
    pub(super) version: String,
}

impl Cluster {
    pub(super) fn new(config: kube::Config, patience: Duration) -> Result<Self> {
        let namespace = config.default_namespace.clone();
        let client = kube::Client::try_from(config)
            .map_err(|e| Error::invalid(format!("prepare to speak to the Kubernetes cluster: {}", chain(&e))))?;
        Ok(Cluster {
            jobs: Api::namespaced(client.clone(), &namespace),
            secrets: Api::namespaced(client.clone(), &namespace),
            pods: Api::namespaced(client.clone(), &namespace),
            policies: Api::namespaced(client, &namespace),
            namespace,
            patience,
            ready: OnceCell::new(),
        })
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Sees once that the policies are there that scripts are to live under. A script is not
    /// run before: without them it could reach what its bot does not declare.
    pub(super) async fn guard(&self, stop: &CancellationToken) -> Result<()> {
        let doing = "create a NetworkPolicy";
        let create = || async {
            for policy in manifest::network_policies() {
                match self.create(doing, &self.policies, &policy, stop).await {
                    Err(Refusal::Api(status)) if status.is_already_exists() => {}
                    Err(refusal) => {
                        return Err(self.error(doing, refusal).hint(
                            "let the engine create NetworkPolicies, or create your own and set `network_policy: false`",
                        ));
                    }
                    Ok(_) => {}
                }
            }
            Ok(())
        };
        self.ready.get_or_try_init(create).await.map(|_| ())
    }

    /// The Job of the order: a new one, or the one that an earlier engine has made.
    pub(super) async fn claim(&self, order: &Order, stop: &CancellationToken) -> Result<Job> {
        loop {
            let doing = "create a Job";
            match self.create(doing, &self.jobs, &order.job, stop).await {
                Ok(job) => return Ok(job),
                Err(Refusal::Api(status)) if status.is_already_exists() => {}
                Err(refusal) => return Err(self.error(doing, refusal)),
            }
            match self.job(&order.name, stop).await? {
                Some(job) if job.metadata.deletion_timestamp.is_some() => self.pause(BACKOFF.0 * 5, stop).await?,
                Some(job) if !order.is_ours(&job) => {
                    return Err(Error::conflict(format!("the Job {} exists and is not the engine's", order.name)));
                }
                Some(job) => return Ok(job),
                None => {}
            }
        }
    }

    /// Lets a claimed Job run, where it does not or has not yet.
    pub(super) async fn begin(&self, order: &Order, job: &Job, stop: &CancellationToken) -> Result<()> {
        if job.spec.as_ref().and_then(|spec| spec.suspend) != Some(true) {
            return Ok(());
        }
        self.give(order, job.metadata.uid.as_deref().unwrap_or_default(), stop).await?;
        let doing = "start a Job";
        let resume = Patch::Merge(json!({"spec": {"suspend": false}}));
        let params = PatchParams::default();
        self.insist(doing, stop, || self.jobs.patch(&order.name, &params, &resume))
            .await
            .map_err(|refusal| self.error(doing, refusal))?;
        Ok(())
    }

    /// Creates the Secret of a Job that has not begun, in place of one that is left.
    async fn give(&self, order: &Order, owner: &str, stop: &CancellationToken) -> Result<()> {
        let doing = "create a Secret";
        let secret = order.secret(owner);
        loop {
            match self.create(doing, &self.secrets, &secret, stop).await {
                Ok(_) => return Ok(()),
                // Of this Job, half made, or of one by this name that is gone: then it goes soon, too.
                Err(Refusal::Api(status)) if status.is_already_exists() => self.take_back(&order.name, stop).await?,
                Err(refusal) => return Err(self.error(doing, refusal)),
            }
        }
    }

    /// Removes the Secret of a Job.
    pub(super) async fn take_back(&self, name: &str, stop: &CancellationToken) -> Result<()> {
        self.remove("delete a Secret", &self.secrets, name, DeleteParams::default(), stop).await
    }

    /// Deletes a Job with its pods. It is gone when they are.
    pub(super) async fn delete(&self, name: &str, stop: &CancellationToken) -> Result<()> {
        self.remove("delete a Job", &self.jobs, name, DeleteParams::foreground(), stop).await
    }

    /// The Job, where it exists.
    pub(super) async fn job(&self, name: &str, stop: &CancellationToken) -> Result<Option<Job>> {
        let doing = "read a Job";
        self.insist(doing, stop, || self.jobs.get_opt(name)).await.map_err(|refusal| self.error(doing, refusal))
    }

    /// The pods of a Job.
    pub(super) async fn pods(&self, job: &str, stop: &CancellationToken) -> Result<Pods> {
        let doing = "list pods";
        let params = ListParams::default().labels(&selector(job));
        let listed = self.insist(doing, stop, || self.pods.list(&params)).await;
        let listed = listed.map_err(|refusal| self.error(doing, refusal))?;
        Ok(Pods { version: listed.metadata.resource_version.unwrap_or_default(), found: listed.items })
    }

    /// Returns when something has happened to the pods of a Job, or a while has passed. A
    /// lost watch costs that while, never more: the list is the truth.
    pub(super) async fn stirs(&self, job: &str, version: &str) {
        const WHILE: Duration = Duration::from_secs(3);
        let params = WatchParams::default().labels(&selector(job)).timeout(30);
        let event = async {
            match self.pods.watch(&params, version).await {
                Ok(events) => {
                    let mut events = std::pin::pin!(events);
                    match futures::StreamExt::next(&mut events).await {
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => std::future::pending().await,
                    }
                }
                Err(_) => std::future::pending().await,
            }
        };
        let _ = tokio::time::timeout(WHILE, event).await;
    }

    /// The log of a pod from its beginning, followed while it runs. `None` where it cannot be
    /// had just now.
    pub(super) async fn log(&self, pod: &str) -> Result<Option<impl futures::AsyncBufRead + use<>>> {
        let container = Some(manifest::CONTAINER.to_owned());
        let params = LogParams { container, follow: true, ..LogParams::default() };
        match self.pods.log_stream(pod, &params).await {
            Ok(log) => Ok(Some(log)),
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
                Err(self.error("read the log of a pod", Refusal::Api(status)))
            }
            Err(error) => {
                tracing::debug!(pod, error = chain(&error), "the log of a pod cannot be had now");
                Ok(None)
            }
        }
    }

    /// Waits, and fails where the caller is told to stop meanwhile.
    pub(super) async fn pause(&self, time: Duration, stop: &CancellationToken) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = stop.cancelled() => Err(stopped()),
        }
    }

    async fn create<K>(&self, doing: &str, to: &Api<K>, object: &K, stop: &CancellationToken) -> Result<K, Refusal>
    where
        K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let params = PostParams::default();
        self.insist(doing, stop, || to.create(&params, object)).await
    }

    /// Deletes what may be gone already.
    async fn remove<K>(
        &self,
        doing: &str,
        from: &Api<K>,
        name: &str,
        how: DeleteParams,
        stop: &CancellationToken,
    ) -> Result<()>
    where
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        match self.insist(doing, stop, || from.delete(name, &how)).await {
            Ok(_) => Ok(()),
            Err(Refusal::Api(status)) if status.is_not_found() => Ok(()),
            Err(refusal) => Err(self.error(doing, refusal)),
        }
    }

    /// Makes a call until it is answered.
    async fn insist<T, F>(&self, doing: &str, stop: &CancellationToken, call: impl Fn() -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let began = Instant::now();
        let mut wait = BACKOFF.0;
        loop {
            let refusal = match tokio::time::timeout(ANSWER, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(kube::Error::Api(status))) if !is_passing(&status) => return Err(Refusal::Api(status)),
                Ok(Err(kube::Error::Api(status))) => Refusal::Silent(status.to_string()),
                Ok(Err(error)) => Refusal::Silent(chain(&error)),
                Err(_) => Refusal::Silent(format!("no answer within {} s", ANSWER.as_secs())),
            };
            if began.elapsed() + wait > self.patience {
                return Err(refusal);
            }
            if let Refusal::Silent(why) = &refusal {
                tracing::debug!(doing, why, "the Kubernetes API server did not answer; trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return Err(Refusal::Stopped),
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    fn error(&self, doing: &str, refusal: Refusal) -> Error {
        let place = format!("{doing} in the namespace {}", self.namespace);
        match refusal {
            Refusal::Stopped => stopped(),
            Refusal::Silent(why) => Error::unavailable(format!("{place}: the Kubernetes API server is away: {why}"))
                .hint("the engine asks again for `patience_seconds`; see whether the cluster can be reached"),
            Refusal::Api(status) => {
                let (code, hint) = match status.code {
                    401 => (Code::Unauthenticated, "the engine's credentials for the cluster are not accepted"),
                    403 => (Code::Forbidden, "the guide on Kubernetes has the Role that the engine needs"),
                    404 => (Code::NotFound, "create the namespace, or name another one in the settings"),
                    413 => (Code::TooLarge, "hand over less"),
                    _ => (Code::Invalid, "the cluster refused what the engine's settings ask for"),
                };
                let said = if status.message.is_empty() { &status.reason } else { &status.message };
                Error::new(code, format!("{place}: the cluster refuses: {said}")).hint(hint)
            }
        }
    }
}

/// Why a call came to nothing.
enum Refusal {
    /// The server said no.
    Api(Box<Status>),
    /// It said nothing, or to come again.
    Silent(String),
    /// The caller was told to stop.
    Stopped,
}

/// Whether the same call may succeed later.
fn is_passing(status: &Status) -> bool {
    matches!(status.code, 429 | 500 | 502 | 503 | 504)
}

fn selector(job: &str) -> String {
    format!("batch.kubernetes.io/job-name={job}")
}

pub(super) fn stopped() -> Error {
    Error::new(Code::Cancelled, "the script was cancelled")
}
