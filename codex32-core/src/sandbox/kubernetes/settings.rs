//! What an operator says of the cluster.

use crate::blueprint::{Language, Limits};
use crate::error::{Error, Result};
use k8s_openapi::api::core::v1::Toleration;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The label by which a bot asks for the cluster (`runs_on: kubernetes`).
pub const LABEL: &str = "kubernetes";

/// Which scripts are run as Kubernetes Jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// Those of bots that ask for it: `runs_on: kubernetes`.
    #[default]
    Labelled,
    /// All.
    All,
}

/// The image of each language. It needs a shell, `cp`, `mkfifo`, `tee`, `head` and `tail`
/// beside the interpreter, as the usual images have them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// Of Python scripts.
    pub python: String,
    /// Of Node scripts.
    pub node: String,
    /// Of shell scripts.
    pub shell: String,
}

impl Default for Images {
    fn default() -> Self {
        Images {
            python: "docker.io/library/python:3.13-slim".to_owned(),
            node: "docker.io/library/node:22-slim".to_owned(),
            shell: "docker.io/library/debian:13-slim".to_owned(),
        }
    }
}

impl Images {
    /// The image of `language`.
    #[must_use]
    pub fn of(&self, language: Language) -> &str {
        match language {
            Language::Python => &self.python,
            Language::Node => &self.node,
            Language::Shell => &self.shell,
        }
    }
}

/// Settings of a [`KubernetesRuntime`](super::KubernetesRuntime). All have a default.
///
/// ```
/// use codex32_core::sandbox::{KubernetesConfig, Which};
/// let config = KubernetesConfig::from_yaml("scripts: all\nnamespace: bots\nimages: {python: 'python:3.13'}")?;
/// assert_eq!((config.scripts, config.namespace.as_deref()), (Which::All, Some("bots")));
/// # Ok::<(), codex32_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesConfig {
    /// Which scripts.
    pub scripts: Which,
    /// A kubeconfig file. Where absent: `KUBECONFIG` of the engine's environment, else
    /// `~/.kube/config`, else the service account of the pod that the engine runs in.
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one where absent.
    pub context: Option<String>,
    /// Namespace of the Jobs; that of the context or of the engine's own pod where absent.
    pub namespace: Option<String>,
    /// Images by language.
    pub images: Images,
    /// Whether the images have the packages that bots declare. Otherwise a bot that
    /// declares some is refused: nothing is installed in a pod.
    pub packages_in_images: bool,
    /// Names of Secrets with which images are pulled.
    pub image_pull_secrets: Vec<String>,
    /// Service account of the pods. No token of it is mounted.
    pub service_account: Option<String>,
    /// Labels of the nodes that may be used.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are tolerated.
    pub tolerations: Vec<Toleration>,
    /// Runtime class of the pods (`gvisor`).
    pub runtime_class: Option<String>,
    /// Processor that is requested for each pod; `100m` by default.
    pub cpu: String,
    /// Processor that a pod may use at most; no limit where absent.
    pub cpu_limit: Option<String>,
    /// Disk that a pod may use in all; `1Gi` by default.
    pub disk: String,
    /// User and group of the scripts; never 0.
    pub user: u32,
    /// Seconds that an ended Job is kept, for people and for an engine that was killed before
    /// it had noted the result; 300 by default.
    pub keep_seconds: u32,
    /// Seconds that a pod may take to start, with finding a node and pulling the image; 300
    /// by default.
    pub start_seconds: u32,
    /// Seconds that an API server that does not answer is asked again; 60 by default.
    pub patience_seconds: u32,
    /// Whether the engine creates the NetworkPolicies that its pods are to live under. Where
    /// false they are the operator's business.
    pub network_policy: bool,
    /// Limits where a blueprint sets none.
    #[serde(skip)]
    pub limits: Limits,
    /// How long a script that is cancelled or late may take to end by itself.
    #[serde(skip)]
    pub grace: Duration,
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        KubernetesConfig {
            scripts: Which::default(),
            kubeconfig: None,
            context: None,
            namespace: None,
            images: Images::default(),
            packages_in_images: false,
            image_pull_secrets: Vec::new(),
            service_account: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            runtime_class: None,
            cpu: "100m".to_owned(),
            cpu_limit: None,
            disk: "1Gi".to_owned(),
            user: 65_532,
            keep_seconds: 300,
            start_seconds: 300,
            patience_seconds: 60,
            network_policy: true,
            limits: crate::sandbox::default_limits(),
            grace: Duration::from_secs(2),
        }
    }
}

impl KubernetesConfig {
    /// Reads settings, written in YAML.
    ///
    /// # Errors
    /// `invalid` for what is not YAML, for unknown settings and for what cannot be.
    pub fn from_yaml(text: &str) -> Result<KubernetesConfig> {
        let wrong = |e: String| Error::invalid(format!("read the settings of Kubernetes: {e}"));
        let config: KubernetesConfig = serde_saphyr::from_str(text).map_err(|e| wrong(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Whether it can be worked with.
    pub(super) fn check(&self) -> Result<()> {
        if self.user == 0 {
            return Err(Error::invalid("scripts do not run as root: `user` must not be 0"));
        }
        Ok(())
    }

    /// How the API server is reached. `env` is the engine's environment.
    pub(super) async fn client(&self, env: &[(OsString, OsString)]) -> Result<kube::Config> {
        let wrong = |e: &dyn std::error::Error| {
            Error::invalid(format!("find the Kubernetes cluster: {}", chain(e)))
                .hint("set `kubeconfig`, or KUBECONFIG, or run the engine in a pod with a service account")
        };
        let mut config = match self.kubeconfig(env).map_err(|e| wrong(&e))? {
            Some(file) => {
                let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
                kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|e| wrong(&e))?
            }
            // By name, and not by variables: this room reads no environment.
            None => kube::Config::incluster_dns()
                .map_err(|e| wrong(&e).context("there is no kubeconfig, and no service account of a pod either"))?,
        };
        if let Some(namespace) = &self.namespace {
            config.default_namespace.clone_from(namespace);
        }
        // How often is asked again is `api`'s business.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        Ok(config)
    }

    fn kubeconfig(&self, env: &[(OsString, OsString)]) -> Result<Option<Kubeconfig>, kube::config::KubeconfigError> {
        if let Some(path) = &self.kubeconfig {
            return Kubeconfig::read_from(path).map(Some);
        }
        let variable = |name: &str| {
            let found = env.iter().find(|(key, _)| key == name).map(|(_, value)| value);
            found.filter(|value| !value.is_empty())
        };
        if let Some(paths) = variable("KUBECONFIG") {
            let mut merged = Kubeconfig::default();
            for path in std::env::split_paths(paths).filter(|path| path.exists()) {
                merged = merged.merge(Kubeconfig::read_from(path)?)?;
            }
            return Ok(Some(merged));
        }
        let home = variable("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
        home.filter(|path| path.exists()).map(Kubeconfig::read_from).transpose()
    }
}

/// An error with all that it came from.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        inner = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_mistakes_named() {
        let text = "namespace: bots\nimages: {node: 'node:24'}\nnode_selector: {pool: scripts}\n\
                    tolerations: [{key: dedicated, operator: Equal, value: scripts, effect: NoSchedule}]\n";
        let config = KubernetesConfig::from_yaml(text).unwrap();
        assert_eq!(config.images.of(Language::Node), "node:24");
        assert_eq!(config.images.of(Language::Shell), Images::default().shell);
        assert_eq!(config.tolerations[0].key.as_deref(), Some("dedicated"));
        assert_eq!((config.scripts, config.keep_seconds), (Which::Labelled, 300));
        for (text, said) in [("namespaces: x", "namespaces"), ("user: 0", "root"), ("scripts: some", "some")] {
            let error = KubernetesConfig::from_yaml(text).unwrap_err();
            assert!(error.code() == crate::Code::Invalid && error.message().contains(said), "{error}");
        }
    }

    #[tokio::test]
    async fn a_cluster_that_cannot_be_found_is_said() {
        let missing = KubernetesConfig { kubeconfig: Some("/nonexistent/kubeconfig".into()), ..Default::default() };
        let error = missing.client(&[]).await.unwrap_err();
        assert!(error.message().contains("/nonexistent/kubeconfig"), "{error}");
        let error = KubernetesConfig::default().client(&[]).await.unwrap_err();
        assert!(error.message().starts_with("there is no kubeconfig"), "{error}");
    }

    #[tokio::test]
    async fn the_environment_names_the_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        let text = "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n\
                    contexts: [{name: a, context: {cluster: c, user: '', namespace: one}}]\ncurrent-context: a\n";
        std::fs::write(&file, text).unwrap();
        let env = [("KUBECONFIG".into(), file.into_os_string())];
        assert_eq!(KubernetesConfig::default().client(&env).await.unwrap().default_namespace, "one");
        let two = KubernetesConfig { namespace: Some("two".to_owned()), ..Default::default() };
        assert_eq!(two.client(&env).await.unwrap().default_namespace, "two");
    }
}
