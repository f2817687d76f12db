//! Scripts as Kubernetes Jobs, against an API server that checks what it is sent and really
//! runs the container's command.

mod engine;
mod kubelet;
mod lives;
mod refusals;
mod schema;
mod scripts;
mod stub;

use super::*;
use crate::clock::{Clock, SimulatedClock};
use serde_json::json;
use std::path::PathBuf;
use stub::{Play, Stub};

/// A cluster and the settings by which it is found.
pub(crate) struct Cluster {
    stub: Stub,
    dir: TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Cluster {
        let cluster = Cluster { stub: Stub::start().await, dir: tempfile::tempdir().unwrap() };
        cluster.point_to(cluster.stub.address);
        cluster
    }

    /// Writes the kubeconfig.
    fn point_to(&self, address: std::net::SocketAddr) {
        let text = json!({
            "clusters": [{"name": "stub", "cluster": {"server": format!("http://{address}")}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "", "namespace": "bots"}}],
            "current-context": "stub",
        });
        std::fs::write(self.kubeconfig(), text.to_string()).unwrap();
    }

    fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    pub(crate) fn config(&self) -> KubernetesConfig {
        KubernetesConfig {
            kubeconfig: Some(self.kubeconfig()),
            patience_seconds: 20,
            grace: Duration::from_secs(1),
            ..KubernetesConfig::default()
        }
    }

    /// How many Jobs were ever made.
    pub(crate) fn jobs_made(&self) -> usize {
        self.stub.objects().created.iter().filter(|object| object["kind"] == "Job").count()
    }

    /// Waits until a script has said that it is at work, and gives the log so far.
    pub(crate) async fn at_work(&self, said: &str) -> String {
        let log = |objects: &stub::Objects| {
            objects.logs.values().map(|log| String::from_utf8_lossy(log).into_owned()).find(|log| log.contains(said))
        };
        self.stub.until(|objects| log(objects).is_some()).await;
        log(&self.stub.objects()).unwrap()
    }

    pub(crate) fn assert_right(&self) {
        assert_eq!(self.stub.objects().wrong, Vec::<String>::new());
    }
}

/// A runtime over a cluster of its own.
struct Pods {
    cluster: Cluster,
    runtime: KubernetesRuntime,
    log: Arc<Lines>,
    clock: SimulatedClock,
}

impl Pods {
    async fn new() -> Pods {
        Pods::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut KubernetesConfig)) -> Pods {
        let cluster = Cluster::start().await;
        let clock = SimulatedClock::at(1_000_000);
        let mut config = cluster.config();
        change(&mut config);
        let runtime = KubernetesRuntime::new(config, &[], Arc::new(clock.clone())).await.unwrap();
        Pods { cluster, runtime, log: Arc::default(), clock }
    }

    /// Another engine on the same cluster.
    async fn another(&self) -> KubernetesRuntime {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        KubernetesRuntime::new(self.cluster.config(), &[], clock).await.unwrap()
    }

    fn stub(&self) -> &Stub {
        &self.cluster.stub
    }

    fn play(&self, play: Play) {
        *self.stub().play.lock().unwrap() = play;
    }

    fn job(&self, language: Language, code: &str, input: Value) -> Job {
        super::job(self.log.clone(), language, code, input)
    }

    async fn run(&self, job: Job) -> Result<Value> {
        let result = tokio::time::timeout(Duration::from_secs(60), self.runtime.run(job)).await.expect("it ends");
        self.cluster.assert_right();
        result
    }

    /// Runs a Python script.
    async fn python(&self, code: &str, input: Value) -> Result<Value> {
        self.run(self.job(Language::Python, code, input)).await
    }

    fn created(&self, kind: &str) -> Vec<Value> {
        self.stub().objects().created.iter().filter(|object| object["kind"] == kind).cloned().collect()
    }

    fn asked(&self, what: &str) -> usize {
        self.stub().objects().asked.iter().filter(|asked| *asked == what).count()
    }
}
