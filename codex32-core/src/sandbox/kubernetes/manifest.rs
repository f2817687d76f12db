//! A job of the engine as objects of Kubernetes.
//!
//! Invariants: what may be secret (input, environment, code, files) is in the Secret and
//! nowhere else; the name says execution, step and attempt, so that the same attempt always
//! asks for the same Job.

use super::settings::KubernetesConfig;
use crate::blueprint::Language;
use crate::error::{Code, Error, Result};
use crate::sandbox::policy::{Policy, human_bytes};
use crate::sandbox::process::check_variable;
use crate::sandbox::workdir::{entry_name, inner_path};
use crate::sandbox::{Job as Work, script};
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, KeyToPath, LocalObjectReference,
    PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile, Secret, SecretKeySelector,
    SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Name of the container.
pub(super) const CONTAINER: &str = "script";
/// Where everything lies in the container.
const ROOT: &str = "/codex32";
/// Bytes that a Secret may hold.
const MAX_SECRET: usize = 1024 * 1024;
/// Who made an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Whether the pod may use the network.
const NETWORK: &str = "codex32/network";
/// How much longer than the engine the cluster waits for a late script: it is there for
/// an engine that has died.
const BACKSTOP_MS: u64 = 10_000;

/// What is asked of the cluster for one job.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) name: String,
    pub(super) job: Job,
    secret: Secret,
}

/// What runs in the container, and with what.
struct Program {
    command: Vec<String>,
    data: BTreeMap<String, ByteString>,
    items: Vec<KeyToPath>,
    env: Vec<EnvVar>,
}

impl Order {
    /// The order for `work`; `allowed_ms` is the time that it has.
    ///
    /// # Errors
    /// `unsupported` for what a pod does not have, `too_large` for more than a Secret holds,
    /// `invalid` for names that cannot be.
    pub(super) fn new(
        work: &Work,
        config: &KubernetesConfig,
        policy: &Policy,
        allowed_ms: Option<u64>,
    ) -> Result<Self> {
        refuse(work, config)?;
        let name = name(work);
        let program = Program::new(work, &name, policy)?;
        let size: usize = program.data.values().map(|value| value.0.len()).sum();
        if size > MAX_SECRET {
            let (size, limit) = (human_bytes(size as u64), human_bytes(MAX_SECRET as u64));
            let message = format!("input, code and files of the script have {size}; a Kubernetes Secret holds {limit}");
            return Err(Error::new(Code::TooLarge, message).hint("hand over an address to fetch it from"));
        }
        let labels = labels(work);
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.clone()), labels: Some(labels.clone()), ..ObjectMeta::default() },
            immutable: Some(true),
            data: Some(program.data.clone()),
            ..Secret::default()
        };
        let annotations = [("codex32/step", work.step.clone()), ("codex32/attempt", work.attempt.to_string())];
        let job = Job {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(labels.clone()),
                annotations: Some(annotations.map(|(key, value)| (key.to_owned(), value)).into()),
                ..ObjectMeta::default()
            },
            spec: Some(JobSpec {
                // Until its Secret is there, which it is to own.
                suspend: Some(true),
                // The engine itself tries again.
                backoff_limit: Some(0),
                parallelism: Some(1),
                completions: Some(1),
                pod_replacement_policy: Some("Failed".to_owned()),
                active_deadline_seconds: allowed_ms.map(|ms| seconds(ms.saturating_add(BACKSTOP_MS))),
                ttl_seconds_after_finished: Some(i32::try_from(config.keep_seconds).unwrap_or(i32::MAX)),
                template: PodTemplateSpec {
                    metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                    spec: Some(pod(work, config, policy, &name, program)),
                },
                ..JobSpec::default()
            }),
            ..Job::default()
        };
        Ok(Order { name, job, secret })
    }

    /// The Secret, which goes when its Job does.
    pub(super) fn secret(&self, owner: &str) -> Secret {
        let owner = OwnerReference {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            name: self.name.clone(),
            uid: owner.to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        let mut secret = self.secret.clone();
        secret.metadata.owner_references = Some(vec![owner]);
        secret
    }

    /// Whether `job` was made for the same execution.
    pub(super) fn is_ours(&self, job: &Job) -> bool {
        let execution = |job: &Job| job.metadata.labels.as_ref()?.get("codex32/execution").cloned();
        execution(job).is_some() && execution(job) == execution(&self.job)
    }
}

/// Refuses what a script has on a machine and not in a pod.
fn refuse(work: &Work, config: &KubernetesConfig) -> Result<()> {
    let packages = match work.language {
        Language::Python => &work.dependencies.pip,
        Language::Node => &work.dependencies.npm,
        Language::Shell => return refuse_files(work),
    };
    if !packages.is_empty() && !config.packages_in_images {
        let message = format!("nothing is installed in a pod, and the bot needs {}", packages.join(", "));
        return Err(Error::new(Code::Unsupported, message)
            .hint("build an image that has the packages, and say so: `packages_in_images: true`"));
    }
    refuse_files(work)
}

fn refuse_files(work: &Work) -> Result<()> {
    if work.permissions.files.is_empty() {
        return Ok(());
    }
    let message = format!("a pod has no files of the machine, and the bot needs {}", work.permissions.files.join(", "));
    Err(Error::new(Code::Unsupported, message).hint("let the bot run where its files are, by `runs_on`"))
}

/// The same for the same attempt of the same step.
fn name(work: &Work) -> String {
    let mut hash = Sha256::new();
    for part in [
        work.workspace.to_string(),
        work.execution.to_string(),
        work.step.clone(),
        work.attempt.to_string(),
        work.idempotency_key.clone(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    format!("codex32-{}", hex::encode(&hash.finalize()[..16]))
}

fn labels(work: &Work) -> BTreeMap<String, String> {
    let network = if work.permissions.network.is_empty() { "none" } else { "declared" };
    [
        (MANAGED_BY, "codex32".to_owned()),
        ("codex32/workspace", work.workspace.to_string()),
        ("codex32/bot", work.bot.to_string()),
        ("codex32/execution", work.execution.to_string()),
        (NETWORK, network.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn seconds(ms: u64) -> i64 {
    i64::try_from(ms.div_ceil(1_000).max(1)).unwrap_or(i64::MAX)
}

impl Program {
    fn new(work: &Work, secret: &str, policy: &Policy) -> Result<Self> {
        let mut program = Program { command: Vec::new(), data: BTreeMap::new(), items: Vec::new(), env: Vec::new() };
        let input = serde_json::to_vec(&work.input).map_err(|e| Error::internal(format!("write the input: {e}")))?;
        program.put("input.json", "input.json", input);
        program.put("pod.sh", "pod.sh", include_bytes!("../runner/pod.sh").to_vec());
        for (number, (name, text)) in work.files.iter().enumerate() {
            program.put(
                &format!("file-{number}"),
                &format!("work/{}", inner_path(name)?.display()),
                text.clone().into(),
            );
        }
        let entry = entry_name(&work.code, &work.files, script::file_name(work.language));
        if !work.files.contains_key(&entry) {
            program.put("code", &format!("work/{entry}"), work.code.clone().into());
        }
        if work.language == Language::Node && !work.files.contains_key("package.json") {
            // Without it Node would take that of a directory above.
            program.put("package", "work/package.json", b"{\"private\":true}\n".to_vec());
        }
        program.command(work, &entry, policy);
        program.environment(work, secret)?;
        Ok(program)
    }

    fn put(&mut self, key: &str, path: &str, bytes: Vec<u8>) {
        self.data.insert(key.to_owned(), ByteString(bytes));
        self.items.push(KeyToPath { key: key.to_owned(), path: path.to_owned(), mode: None });
    }

    fn command(&mut self, work: &Work, entry: &str, policy: &Policy) {
        let keep = script::keep(work.language, policy).saturating_add(1);
        let processor = policy.cpu_ms.map_or(0, |ms| ms.div_ceil(1_000).max(1));
        let mut command = vec!["/bin/sh".to_owned(), format!("{ROOT}/in/pod.sh"), keep.to_string()];
        command.extend([policy.output.saturating_add(1).to_string(), processor.to_string()]);
        let interpreter = match work.language {
            Language::Python => "python3",
            Language::Node => "node",
            Language::Shell => script::shell(&work.code),
        };
        command.push(interpreter.to_owned());
        command.extend(script::options(work.language, policy));
        if let Some((name, text)) = script::runner(work.language) {
            self.put(name, name, text.into());
            command.push(format!("{ROOT}/in/{name}"));
            command.extend(["8", "9"].map(str::to_owned));
            command.push(format!("{ROOT}/work/{entry}"));
        } else {
            command.push(format!("./{entry}"));
        }
        // Kubernetes would put variables in for `$(NAME)`.
        self.command = command.into_iter().map(|word| word.replace('$', "$$")).collect();
    }

    fn environment(&mut self, work: &Work, secret: &str) -> Result<()> {
        let plain = |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
        self.env.extend([
            plain("HOME", format!("{ROOT}/work")),
            plain("TMPDIR", "/tmp".to_owned()),
            plain("LANG", "C.UTF-8".to_owned()),
            plain("CODEX32_EXECUTION", work.execution.to_string()),
            plain("CODEX32_STEP", work.step.replace('$', "$$")),
            plain("CODEX32_ATTEMPT", work.attempt.to_string()),
            plain("CODEX32_IDEMPOTENCY_KEY", work.idempotency_key.replace('$', "$$")),
        ]);
        if work.language == Language::Shell {
            self.env.push(plain("INPUT", format!("{ROOT}/in/input.json")));
        }
        for (name, value) in &work.env {
            check_variable(name, value)?;
            let key = format!("env.{name}");
            self.data.insert(key.clone(), ByteString(value.clone().into()));
            let source = SecretKeySelector { key, name: secret.to_owned(), optional: None };
            let from = EnvVarSource { secret_key_ref: Some(source), ..EnvVarSource::default() };
            self.env.push(EnvVar { name: name.clone(), value: None, value_from: Some(from) });
        }
        Ok(())
    }
}

fn pod(work: &Work, config: &KubernetesConfig, policy: &Policy, secret: &str, program: Program) -> PodSpec {
    let volumes = [("work", format!("{ROOT}/work")), ("run", format!("{ROOT}/run")), ("tmp", "/tmp".to_owned())];
    let mount = |name: &str, path: &str, read_only: Option<bool>| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only,
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount("in", &format!("{ROOT}/in"), Some(true))];
    mounts.extend(volumes.iter().map(|(name, path)| mount(name, path, None)));
    let container = Container {
        name: CONTAINER.to_owned(),
        image: Some(config.images.of(work.language).to_owned()),
        command: Some(program.command),
        env: Some(program.env),
        working_dir: Some(format!("{ROOT}/work")),
        resources: Some(resources(config, policy)),
        volume_mounts: Some(mounts),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    };
    let source = SecretVolumeSource {
        secret_name: Some(secret.to_owned()),
        items: Some(program.items),
        // The copies in the working directory are to be written to.
        default_mode: Some(0o640),
        ..SecretVolumeSource::default()
    };
    let mut all = vec![Volume { name: "in".to_owned(), secret: Some(source), ..Volume::default() }];
    let empty = EmptyDirVolumeSource { size_limit: Some(Quantity(config.disk.clone())), medium: None };
    all.extend(volumes.map(|(name, _)| Volume {
        name: name.to_owned(),
        empty_dir: Some(empty.clone()),
        ..Volume::default()
    }));
    let pull = config.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    PodSpec {
        containers: vec![container],
        volumes: Some(all),
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        service_account_name: config.service_account.clone(),
        node_selector: Some(config.node_selector.clone()).filter(|labels| !labels.is_empty()),
        tolerations: Some(config.tolerations.clone()).filter(|taints| !taints.is_empty()),
        image_pull_secrets: Some(pull.collect::<Vec<_>>()).filter(|names| !names.is_empty()),
        runtime_class_name: config.runtime_class.clone(),
        termination_grace_period_seconds: i64::try_from(policy.grace.as_secs().max(1)).ok(),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(config.user.into()),
            run_as_group: Some(config.user.into()),
            fs_group: Some(config.user.into()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

fn resources(config: &KubernetesConfig, policy: &Policy) -> ResourceRequirements {
    let quantity = |name: &str, value: String| (name.to_owned(), Quantity(value));
    let own = [quantity("memory", policy.memory.to_string()), quantity("ephemeral-storage", config.disk.clone())];
    let mut limits = BTreeMap::from(own);
    limits.extend(config.cpu_limit.clone().map(|cpu| quantity("cpu", cpu)));
    // What is not requested is requested as it is limited.
    let requests = BTreeMap::from([quantity("cpu", config.cpu.clone())]);
    ResourceRequirements { limits: Some(limits), requests: Some(requests), claims: None }
}

/// The policies that scripts live under: nobody reaches them, and those of bots that declare
/// no network reach nobody.
pub(super) fn network_policies() -> [NetworkPolicy; 2] {
    let policy = |name: &str, key: &str, value: &str, direction: &str| NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(MANAGED_BY.to_owned(), "codex32".to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
                match_expressions: None,
            }),
            policy_types: Some(vec![direction.to_owned()]),
            ..NetworkPolicySpec::default()
        }),
    };
    [
        policy("codex32-no-ingress", MANAGED_BY, "codex32", "Ingress"),
        policy("codex32-no-network", NETWORK, "none", "Egress"),
    ]
}
