//! What cannot be run in the cluster, and a cluster that does not want to or is away.

use super::*;
use crate::blueprint::Permissions;
use crate::error::Code;

const ONE: &str = "def main(input): return 1";

fn waiting(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [{
        "name": "script", "image": "any", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }]})
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_named() {
    let pods = Pods::new().await;
    pods.play(Play::Stuck(waiting("ImagePullBackOff", "Back-off pulling image \"python:3.99\"")));
    let error = pods.python(ONE, json!({})).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let expected = "the image cannot be pulled (ImagePullBackOff): Back-off pulling image \"python:3.99\"";
    assert_eq!(error.message(), expected);
    assert!(pods.stub().objects().jobs.is_empty(), "it does not start later");
}

#[tokio::test]
async fn an_image_that_runs_as_root_is_named() {
    let pods = Pods::new().await;
    pods.play(Play::Stuck(waiting(
        "CreateContainerConfigError",
        "container has runAsNonRoot and image will run as root",
    )));
    let error = pods.python(ONE, json!({})).await.unwrap_err();
    assert!(error.message().contains("runAsNonRoot"), "{error}");
}

#[tokio::test]
async fn a_pod_that_no_node_takes_is_waited_for_and_named() {
    let pods = Pods::new().await;
    let condition = json!([{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory.",
    }]);
    pods.play(Play::Stuck(json!({"phase": "Pending", "conditions": condition})));
    let (result, ()) = tokio::join!(pods.python(ONE, json!({})), async {
        pods.log.wait_for("waiting for the cluster: no node takes the pod").await;
        pods.clock.advance(300_000);
    });
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("(Unschedulable): 0/3 nodes are available: 3 Insufficient memory."), "{error}");
    assert!(pods.stub().objects().jobs.is_empty());
}

#[tokio::test]
async fn an_eviction_may_be_tried_again() {
    let pods = Pods::new().await;
    let status = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    pods.play(Play::Stuck(status));
    let error = pods.python(ONE, json!({})).await.unwrap_err();
    assert_eq!(error.message(), "the cluster ended the script's pod: The node was low on resource: memory.");
    assert!(error.code().is_retriable());
}

#[tokio::test]
async fn a_cluster_that_refuses_is_quoted() {
    for (what, said) in [
        ("POST jobs", "create a Job in the namespace bots: the cluster refuses: jobs is forbidden"),
        ("POST secrets", "create a Secret in the namespace bots: the cluster refuses: secrets is forbidden"),
        ("GET pods", "list pods in the namespace bots: the cluster refuses: pods is forbidden"),
        ("GET log", "read the log of a pod in the namespace bots: the cluster refuses: log is forbidden"),
        ("POST networkpolicies", "create a NetworkPolicy in the namespace bots: the cluster refuses"),
    ] {
        let pods = Pods::new().await;
        pods.stub().objects().refused = Some((what.to_owned(), 403));
        let error = pods.python(ONE, json!({})).await.unwrap_err();
        assert_eq!(error.code(), Code::Forbidden);
        assert!(error.message().starts_with(said), "{error}");
        assert!(pods.stub().objects().jobs.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn an_operator_may_look_after_the_network() {
    let pods = Pods::with(|config| config.network_policy = false).await;
    pods.stub().objects().refused = Some(("POST networkpolicies".to_owned(), 403));
    assert_eq!(pods.python(ONE, json!({})).await.unwrap(), json!(1));
}

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again() {
    let pods = Pods::new().await;
    pods.stub().objects().dizzy = 3;
    assert_eq!(pods.python(ONE, json!({})).await.unwrap(), json!(1));
    assert_eq!(pods.cluster.jobs_made(), 1);
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let cluster = Cluster::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    cluster.point_to(closed.local_addr().unwrap());
    drop(closed);
    let config = KubernetesConfig { patience_seconds: 1, ..cluster.config() };
    let runtime = KubernetesRuntime::new(config, &[], Arc::new(SystemClock)).await.unwrap();
    let error = runtime.run(super::super::job(Arc::default(), Language::Python, ONE, json!({}))).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("the Kubernetes API server is away"), "{error}");
}

#[tokio::test]
async fn what_a_pod_does_not_have_is_refused_before_it_is_made() {
    let pods = Pods::new().await;
    let mut packages = pods.job(Language::Python, ONE, json!({}));
    packages.dependencies.pip = vec!["requests==2.32.3".to_owned()];
    let mut folder = pods.job(Language::Shell, "true", json!({}));
    folder.permissions = Arc::new(Permissions { files: vec!["/srv/data".to_owned()], ..Permissions::default() });
    for (job, said) in [(packages.clone(), "requests==2.32.3"), (folder, "/srv/data")] {
        let error = pods.run(job).await.unwrap_err();
        assert!(error.code() == Code::Unsupported && error.message().contains(said), "{error}");
    }
    let large = pods.job(Language::Python, ONE, json!("x".repeat(1 << 20)));
    assert_eq!(pods.run(large).await.unwrap_err().code(), Code::TooLarge);
    let mut variable = pods.job(Language::Python, ONE, json!({}));
    variable.env = vec![("CODEX32_STEP".to_owned(), "mine".to_owned())];
    assert_eq!(pods.run(variable).await.unwrap_err().code(), Code::Invalid);
    assert_eq!(pods.cluster.jobs_made(), 0);
    let pods = Pods::with(|config| config.packages_in_images = true).await;
    assert_eq!(pods.run(packages).await.unwrap(), json!(1));
}

#[tokio::test]
async fn bots_ask_for_the_cluster_by_a_label() {
    let pods = Pods::new().await;
    let mut job = pods.job(Language::Python, ONE, json!({}));
    assert!(!pods.runtime.takes(&job));
    job.runs_on = vec!["eu".to_owned(), KUBERNETES_LABEL.to_owned()];
    assert!(pods.runtime.takes(&job));
    let all = Pods::with(|config| config.scripts = Which::All).await;
    assert!(all.runtime.takes(&pods.job(Language::Python, ONE, json!({}))));
}
