//! Scripts as Kubernetes Jobs.
//!
//! Invariants: one attempt of a step is one Job, found by its name: an engine that was
//! killed, or hands its work over, leaves the Job, and who makes the attempt again follows
//! the same one. What the script gets lies in a Secret that the Job owns and that goes when
//! the script has ended. A Job whose result nobody wants is deleted. The pod has no token of
//! the cluster, no privileges and a root that it cannot write to.
//!
//! | file | is |
//! | --- | --- |
//! | `settings` | what an operator says, and how the cluster is found |
//! | `manifest` | a job as Job, Secret and NetworkPolicies |
//! | `api` | calls and what answers mean |
//! | `life`, `frames` | a pod followed to its end, its log taken apart |
//! | `../runner/pod.sh` | what runs in the container around the script |

mod api;
mod frames;
mod life;
mod manifest;
mod settings;

pub use settings::{Images, KubernetesConfig, LABEL, Which};

use super::lines::Budget;
use super::policy::Policy;
use super::supervise::{End, Outcome};
use super::{Job, Runtime, script};
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use api::Cluster;
use frames::{Frames, Told};
use life::{Follow, Last};
use manifest::Order;
use serde_json::Value;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs scripts as Kubernetes Jobs.
pub struct KubernetesRuntime {
    config: KubernetesConfig,
    clock: Arc<dyn Clock>,
    cluster: Cluster,
}

impl std::fmt::Debug for KubernetesRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesRuntime").field("namespace", &self.cluster.namespace()).finish_non_exhaustive()
    }
}

impl KubernetesRuntime {
    /// Finds the cluster that `config` names, or that the engine's environment (`host_env`)
    /// or its pod tells of. Nothing is asked of it yet.
    ///
    /// # Errors
    /// `invalid` where there is none, or the settings cannot be.
    pub async fn new(
        config: KubernetesConfig,
        host_env: &[(OsString, OsString)],
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        config.check()?;
        let patience = Duration::from_secs(config.patience_seconds.into());
        let cluster = Cluster::new(config.client(host_env).await?, patience)?;
        Ok(KubernetesRuntime { config, clock, cluster })
    }

    /// Follows the attempt's Job, made now or found; `claimed` tells once there is one.
    async fn follow(&self, job: &Job, order: &Order, policy: &Policy, claimed: &AtomicBool) -> Result<(Last, Told)> {
        if self.config.network_policy {
            self.cluster.guard(&job.cancel).await?;
        }
        let claim = self.cluster.claim(order, &job.cancel).await?;
        claimed.store(true, Ordering::Relaxed);
        self.cluster.begin(order, &claim, &job.cancel).await?;
        let start = i64::from(self.config.start_seconds) * 1_000;
        let budget = Budget::new(policy.output, self.clock.clone());
        let frames = Frames::new(job.log.as_ref(), &budget, policy, script::keep(job.language, policy));
        let follow = Follow {
            cluster: &self.cluster,
            job: &order.name,
            clock: &self.clock,
            log: job.log.as_ref(),
            stop: &job.cancel,
            start_by: self.clock.now().saturating_add(start),
        };
        follow.to_the_end(frames).await
    }

    /// Deletes a Job that nobody wants and waits a moment for its pod to be gone. An error
    /// is for the engine's log: the Job's own deadline is what is left then.
    async fn delete(&self, name: &str, grace: Duration) {
        let stop = CancellationToken::new();
        let gone = async {
            self.cluster.delete(name, &stop).await?;
            while self.cluster.job(name, &stop).await?.is_some() {
                self.cluster.pause(Duration::from_millis(100), &stop).await?;
            }
            Ok::<(), Error>(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(grace + Duration::from_secs(2), gone).await {
            tracing::warn!(job = name, %error, "could not delete a Job that nobody wants");
        }
    }

    /// Takes the Secret of an ended Job back; the Job itself stays for a while.
    async fn clear(&self, name: &str) {
        if let Err(error) = self.cluster.take_back(name, &CancellationToken::new()).await {
            tracing::warn!(job = name, %error, "could not delete the Secret of a Job that has ended");
        }
    }
}

#[async_trait::async_trait]
impl Runtime for KubernetesRuntime {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn takes(&self, job: &Job) -> bool {
        self.config.scripts == Which::All || job.runs_on.iter().any(|label| label == LABEL)
    }

    async fn run(&self, job: Job) -> Result<Value> {
        if job.cancel.is_cancelled() {
            return Err(Error::new(Code::Cancelled, "the script was cancelled before it began"));
        }
        let policy = Policy::of(&job.limits, &self.config.limits, self.config.grace);
        let allowed = job.deadline.map(|at| u64::try_from(at - self.clock.now()).unwrap_or_default());
        let order = Order::new(&job, &self.config, &policy, allowed)?;
        let late = async {
            match job.deadline {
                Some(at) => self.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let claimed = AtomicBool::new(false);
        let result = tokio::select! {
            biased;
            () = job.cancel.cancelled() => Err(End::Cancelled),
            () = late => Err(End::Deadline),
            result = self.follow(&job, &order, &policy, &claimed) => Ok(result),
        };
        match result {
            Ok(Ok((last, told))) => {
                self.clear(&order.name).await;
                verdict(&job, &policy, allowed, last, told)
            }
            Ok(Err(error)) => {
                // What cannot start must not do so later, when another attempt is made.
                if claimed.load(Ordering::Relaxed) {
                    self.delete(&order.name, policy.grace).await;
                }
                Err(error)
            }
            Err(End::Cancelled) if job.left.is_cancelled() => Err(api::stopped()),
            Err(end) => {
                self.delete(&order.name, policy.grace).await;
                let outcome =
                    Outcome { end, stdout: Default::default(), stderr: Default::default(), result: Vec::new() };
                script::verdict(job.language, &outcome, &policy, allowed, job.log.as_ref())
            }
        }
    }
}

/// What the end means for the step.
fn verdict(job: &Job, policy: &Policy, allowed: Option<u64>, last: Last, told: Told) -> Result<Value> {
    let Told { stdout, stderr, result, code } = told;
    let mut outcome = Outcome { end: End::Exited(code.unwrap_or_default()), stdout, stderr, result };
    let failed = |message: String| Error::new(Code::Failed, message);
    let error = match (last, code) {
        (Last::OutOfMemory, _) => script::out_of_memory(policy, None),
        (Last::Deadline, None) => {
            outcome.end = End::Deadline;
            return script::verdict(job.language, &outcome, policy, allowed, job.log.as_ref());
        }
        (_, Some(_)) => return script::verdict(job.language, &outcome, policy, allowed, job.log.as_ref()),
        (Last::Ended(end), None) if end.exit_code == 0 => {
            Error::unavailable("the script has ended, and the log that has its result cannot be read")
        }
        (Last::Ended(end), None) => {
            let reason = end.reason.filter(|reason| reason != "Error" && reason != "Completed");
            let said = [reason, end.message].into_iter().flatten().map(|text| format!(": {}", text.trim()));
            let said: String = said.collect();
            failed(format!("the script's container ended with {}{said}", script::exit_name(end.exit_code)))
        }
        (Last::Evicted(why), None) => Error::unavailable(format!("the cluster ended the script's pod: {why}")),
        (Last::Gone | Last::Unsaid, None) => {
            Error::unavailable("the script's pod was deleted from outside before it had ended")
        }
    };
    Err(script::with_output(error, &outcome))
}
