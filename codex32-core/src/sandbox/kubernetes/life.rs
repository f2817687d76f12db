//! The life of a Job's pod, followed to its end.

use super::api::Cluster;
use super::frames::{Frames, Told};
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error, Result};
use crate::observe::{LogSink, Stream};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long is waited for the cluster's word on an end that the log has told already.
const LAST_WORD: Duration = Duration::from_secs(5);
/// Between two looks at a pod whose log has ended.
const LOOK: Duration = Duration::from_millis(100);

/// What a container waits for in vain: the reasons of the kubelet, and what they mean.
const HOPELESS: [(&str, &str); 8] = [
    ("ImagePullBackOff", "the image cannot be pulled"),
    ("ErrImageNeverPull", "the image is not on the node and may not be pulled"),
    ("InvalidImageName", "the image's name is not one"),
    ("ImageInspectError", "the image cannot be read"),
    ("SignatureValidationFailed", "the image's signature is not accepted"),
    ("CreateContainerConfigError", "the container cannot be set up"),
    ("CreateContainerError", "the container cannot be created"),
    ("RunContainerError", "the container cannot be started"),
];

/// How the cluster says that it ended.
#[derive(Debug)]
pub(super) enum Last {
    /// The container ended.
    Ended(ContainerStateTerminated),
    /// The container used more memory than allowed.
    OutOfMemory,
    /// The Job's own deadline passed.
    Deadline,
    /// The pod was put out of its node.
    Evicted(String),
    /// Pod or Job were deleted from outside.
    Gone,
    /// The log said that it ended, and the cluster has not said so yet.
    Unsaid,
}

/// Follows one Job.
pub(super) struct Follow<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) job: &'a str,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) log: &'a dyn LogSink,
    pub(super) stop: &'a CancellationToken,
    /// When it must have started.
    pub(super) start_by: Millis,
}

/// What one look at a Job has shown.
enum Look {
    /// Its container has started: the pod's name.
    Started(String),
    /// It has not, and why that may be.
    Waiting(String),
    /// It will not run any more.
    Over(Last),
}

impl Follow<'_> {
    /// Follows the Job to its end; what the log tells goes into `frames`.
    ///
    /// # Errors
    /// `unavailable` for a pod that does not start, and where the API server is away.
    pub(super) async fn to_the_end(&self, mut frames: Frames<'_>) -> Result<(Last, Told)> {
        let pod = match self.started().await? {
            Ok(pod) => pod,
            Err(last) => return Ok((last, frames.finish())),
        };
        let mut ended = None;
        loop {
            if let Some(log) = self.cluster.log(&pod).await?
                && let Err(error) = frames.read(log).await
            {
                tracing::debug!(job = self.job, %error, "the log of a pod broke off");
            }
            if frames.code() == Some(0) {
                return Ok((Last::Unsaid, frames.finish()));
            }
            if frames.code().is_some() {
                let last = self.last_word(&pod).await?;
                return Ok((last, frames.finish()));
            }
            if let Some(last) = ended {
                return Ok((last, frames.finish()));
            }
            // It broke off, or the container is over: then it is read once more in whole.
            ended = self.state(&pod).await?;
            if ended.is_none() {
                self.cluster.pause(LOOK * 2, self.stop).await?;
            }
        }
    }

    /// Waits until the container runs or has run.
    async fn started(&self) -> Result<Result<String, Last>> {
        let mut told = String::new();
        loop {
            let pods = self.cluster.pods(self.job, self.stop).await?;
            let why = match self.look(&pods.found).await? {
                Look::Started(pod) => return Ok(Ok(pod)),
                Look::Over(last) => return Ok(Err(last)),
                Look::Waiting(why) => why,
            };
            if !why.is_empty() && why != told {
                self.log.line(Stream::System, &format!("waiting for the cluster: {why}"));
                told.clone_from(&why);
            }
            tokio::select! {
                biased;
                () = self.clock.sleep_until(self.start_by) => return Err(never_started(&why, self.job)),
                () = self.cluster.stirs(self.job, &pods.version) => {}
            }
        }
    }

    async fn look(&self, pods: &[Pod]) -> Result<Look> {
        let alive = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let Some(pod) = alive.max_by_key(|pod| pod.metadata.creation_timestamp.clone()) else {
            return match self.cluster.job(self.job, self.stop).await? {
                None => Ok(Look::Over(Last::Gone)),
                Some(job) => Ok(over(&job).map_or_else(|| Look::Waiting(String::new()), Look::Over)),
            };
        };
        let name = pod.metadata.name.clone().unwrap_or_default();
        match container(pod) {
            Some(ContainerState { running: Some(_), .. } | ContainerState { terminated: Some(_), .. }) => {
                return Ok(Look::Started(name));
            }
            Some(ContainerState { waiting: Some(waiting), .. }) => {
                let reason = waiting.reason.as_deref().unwrap_or_default();
                let said = waiting.message.as_deref().unwrap_or_default();
                if let Some((_, meaning)) = HOPELESS.iter().find(|(known, _)| *known == reason) {
                    return Err(Error::unavailable(format!("{meaning} ({reason}): {said}"))
                        .hint("see `images` and `image_pull_secrets` in the settings of Kubernetes"));
                }
                if reason == "ErrImagePull" {
                    return Ok(Look::Waiting(format!("{reason}: {said}")));
                }
            }
            _ => {}
        }
        Ok(match ended(pod) {
            Some(last) => Look::Over(last),
            None => Look::Waiting(unschedulable(pod).unwrap_or_default()),
        })
    }

    /// How the pod ended, where it did.
    async fn state(&self, name: &str) -> Result<Option<Last>> {
        let pods = self.cluster.pods(self.job, self.stop).await?;
        let pod = pods.found.iter().find(|pod| pod.metadata.name.as_deref() == Some(name));
        if let Some(pod) = pod.filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            return Ok(ended(pod));
        }
        let job = self.cluster.job(self.job, self.stop).await?;
        let last = job.as_ref().and_then(over);
        Ok(match (last, pod) {
            (Some(last), _) => Some(last),
            // It is told to end, and why is said when it has.
            (None, Some(pod)) => ended(pod),
            (None, None) => Some(Last::Gone),
        })
    }

    /// The cluster's word on a script that failed: its memory may have run out.
    async fn last_word(&self, pod: &str) -> Result<Last> {
        let said = async {
            loop {
                if let Some(last) = self.state(pod).await? {
                    return Ok(last);
                }
                self.cluster.pause(LOOK, self.stop).await?;
            }
        };
        tokio::time::timeout(LAST_WORD, said).await.unwrap_or(Ok(Last::Unsaid))
    }
}

fn container(pod: &Pod) -> Option<&ContainerState> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()?.state.as_ref()
}

fn ended(pod: &Pod) -> Option<Last> {
    let status = pod.status.as_ref()?;
    let message = || status.message.clone().unwrap_or_default();
    match (status.phase.as_deref(), status.reason.as_deref()) {
        (Some("Failed"), Some("DeadlineExceeded")) => return Some(Last::Deadline),
        (Some("Failed"), Some("Evicted")) => return Some(Last::Evicted(message())),
        _ => {}
    }
    match container(pod).and_then(|state| state.terminated.as_ref()) {
        Some(end) if end.reason.as_deref() == Some("OOMKilled") => Some(Last::OutOfMemory),
        Some(end) => Some(Last::Ended(end.clone())),
        None if status.phase.as_deref() == Some("Failed") => {
            let reason = status.reason.as_deref().unwrap_or("the pod failed");
            Some(Last::Evicted(format!("{reason}: {}", message())))
        }
        None => None,
    }
}

/// How a Job without pods ended, where it did.
fn over(job: &Job) -> Option<Last> {
    if job.metadata.deletion_timestamp.is_some() {
        return Some(Last::Gone);
    }
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions.iter().find(|one| one.type_ == "Failed" || one.type_ == "FailureTarget")?;
    match failed.reason.as_deref() {
        Some("DeadlineExceeded") => Some(Last::Deadline),
        _ => Some(Last::Gone),
    }
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False")?;
    let said = scheduled.message.as_deref().unwrap_or_default();
    Some(format!("no node takes the pod ({}): {said}", scheduled.reason.as_deref().unwrap_or("Unschedulable")))
}

fn never_started(why: &str, job: &str) -> Error {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    Error::new(Code::Unavailable, format!("the script did not start in the cluster in time{why}"))
        .hint(format!("`kubectl describe job {job}` says more; `start_seconds` sets the time"))
}
