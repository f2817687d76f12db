//! What scripts get and give, and what the cluster gets to see.

use super::*;
use crate::blueprint::{Bytes, Permissions, Span};
use crate::error::Code;

#[tokio::test]
async fn python_gives_its_result_and_its_log() {
    let pods = Pods::new().await;
    let code = "import sys\nfrom lib.prices import PRICE\ndef main(n):\n    print('counting')\n    \
                print('careful', file=sys.stderr)\n    open('note.txt', 'w').write('x')\n    return {'n': n * PRICE}";
    let mut job = pods.job(Language::Python, code, json!({"n": 2}));
    job.files = files(&[("lib/prices.py", "PRICE = 21"), ("app.py", code)]);
    assert_eq!(pods.run(job).await.unwrap(), json!({"n": 42}));
    assert_eq!(pods.log.of(Stream::Stdout), ["counting"]);
    assert_eq!(pods.log.of(Stream::Stderr), ["careful"]);
    assert!(pods.stub().objects().secrets.is_empty(), "what the script got is taken back");
    assert_eq!(pods.stub().objects().jobs.len(), 1, "the Job stays for a while");
}

#[tokio::test]
async fn a_plain_program_and_the_shell_answer_on_stdout() {
    let pods = Pods::new().await;
    let code = "import sys, json\ndata = json.load(sys.stdin)\nprint('working')\nprint(json.dumps({'n': len(data)}))";
    assert_eq!(pods.python(code, json!([1, 2, 3])).await.unwrap(), json!({"n": 3}));
    let pods = Pods::new().await;
    let code = "line=$(cat)\necho \"$line and $ASKED\" >&2\nprintf '{\"home\": \"%s\",\\n\"step\": \"%s\"}' \"${HOME##*/}\" \"$CODEX32_STEP\"";
    let mut job = pods.job(Language::Shell, code, json!({"a": 1}));
    job.env = vec![("ASKED".to_owned(), "$(HOME) 'ü'".to_owned())];
    assert_eq!(pods.run(job).await.unwrap(), json!({"home": "work", "step": "work"}));
    assert_eq!(pods.log.of(Stream::Stderr), ["{\"a\":1} and $(HOME) 'ü'"]);
}

#[tokio::test]
async fn node_runs_as_well() {
    let pods = Pods::new().await;
    let code = "export default async function (input) { console.log('hi'); return input.n + 1 }";
    assert_eq!(pods.run(pods.job(Language::Node, code, json!({"n": 1}))).await.unwrap(), json!(2));
    assert_eq!(pods.log.of(Stream::Stdout), ["hi"]);
}

#[tokio::test]
async fn a_failing_script_is_seen_as_it_is_on_a_machine() {
    let pods = Pods::new().await;
    let error = pods.python("def main(input):\n    print('so far')\n    raise ValueError('no price')", json!({})).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::Failed);
    assert_eq!(
        error.message(),
        "ValueError: no price\n  File \"main.py\", line 3, in main\n    raise ValueError('no price')"
    );
    assert_eq!(error.hint_text(), Some("the last lines it wrote:\nso far"));
    let pods = Pods::new().await;
    let error = pods.run(pods.job(Language::Shell, "echo gone >&2\nexit 3", json!({}))).await.unwrap_err();
    assert_eq!(error.message(), "the script ended with exit code 3: gone");
}

#[tokio::test]
async fn results_are_held_to_their_limit() {
    let pods = Pods::new().await;
    let text = "ä🤖x".repeat(100_000);
    let given = json!({"text": text});
    assert_eq!(pods.python("def main(input):\n return input", given.clone()).await.unwrap(), given);
    let small = |pods: &Pods, language, code| {
        let mut job = pods.job(language, code, json!({}));
        job.limits.output = Some(Bytes(1_000));
        job
    };
    for (language, code) in [
        (Language::Python, "def main(input): return 'x' * 2000"),
        (Language::Shell, "head -c 2000 /dev/zero | tr '\\0' x"),
    ] {
        let pods = Pods::new().await;
        let error = pods.run(small(&pods, language, code)).await.unwrap_err();
        assert_eq!(error.code(), Code::TooLarge, "{error}");
    }
}

#[tokio::test]
async fn processor_time_is_limited() {
    let pods = Pods::new().await;
    let mut job = pods.job(Language::Python, "def main(input):\n while True: pass", json!({}));
    job.limits.cpu = Some(Span(1_000));
    let error = pods.run(job).await.unwrap_err();
    assert!(error.message().starts_with("the script used up its processor time of 1 s"), "{error}");
}

#[tokio::test]
async fn what_is_secret_is_in_the_secret_alone() {
    let pods = Pods::new().await;
    let mut job = pods.job(
        Language::Python,
        "import os\ndef main(input): return os.environ['KEY'] == input['key']",
        json!({"key": "hunter2"}),
    );
    job.env = vec![("KEY".to_owned(), "hunter2".to_owned())];
    assert_eq!(pods.run(job).await.unwrap(), json!(true));
    let [made] = pods.created("Job").try_into().unwrap();
    let text = made.to_string();
    assert!(!text.contains("hunter2") && !text.contains("os.environ"), "{text}");
    let [secret] = pods.created("Secret").try_into().unwrap();
    assert_eq!(secret["metadata"]["ownerReferences"][0]["name"], made["metadata"]["name"]);
    assert_eq!(secret["immutable"], true);
}

#[tokio::test]
async fn the_pod_is_confined() {
    let pods = Pods::with(|config| {
        config.service_account = Some("scripts".to_owned());
        config.node_selector = [("pool".to_owned(), "scripts".to_owned())].into();
        config.image_pull_secrets = vec!["registry".to_owned()];
        config.cpu_limit = Some("2".to_owned());
    })
    .await;
    let mut job = pods.job(Language::Python, "def main(input): return 1", json!({}));
    job.deadline = Some(pods.clock.now() + 90_000);
    job.limits.memory = Some(Bytes(64 << 20));
    pods.run(job).await.unwrap();
    let [job] = pods.created("Job").try_into().unwrap();
    let spec = &job["spec"];
    assert_eq!((&spec["backoffLimit"], &spec["ttlSecondsAfterFinished"]), (&json!(0), &json!(300)));
    assert_eq!((&spec["activeDeadlineSeconds"], &spec["suspend"]), (&json!(100), &json!(true)));
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!((&pod["restartPolicy"], &pod["serviceAccountName"]), (&json!("Never"), &json!("scripts")));
    assert_eq!(
        (&pod["nodeSelector"]["pool"], &pod["imagePullSecrets"][0]["name"]),
        (&json!("scripts"), &json!("registry"))
    );
    let expected = json!({
        "fsGroup": 65532, "runAsGroup": 65532, "runAsNonRoot": true, "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    assert_eq!(pod["securityContext"], expected);
    let container = &pod["containers"][0];
    let expected = json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
    });
    assert_eq!(container["securityContext"], expected);
    let expected = json!({
        "limits": {"cpu": "2", "ephemeral-storage": "1Gi", "memory": "67108864"}, "requests": {"cpu": "100m"},
    });
    assert_eq!(container["resources"], expected);
}

#[tokio::test]
async fn the_network_is_refused_to_whom_it_is_not_declared() {
    let pods = Pods::new().await;
    let network = |job: &Value| job["spec"]["template"]["metadata"]["labels"]["codex32/network"].clone();
    pods.python("def main(input): return 1", json!({})).await.unwrap();
    let mut declared = pods.job(Language::Python, "def main(input): return 1", json!({}));
    declared.step = "other".to_owned();
    declared.permissions = Arc::new(Permissions { network: vec!["example.com".to_owned()], ..Permissions::default() });
    pods.run(declared).await.unwrap();
    let networks: Vec<Value> = pods.created("Job").iter().map(network).collect();
    assert_eq!(networks, ["none", "declared"]);
    let policies = pods.stub().objects().policies.clone();
    let policy = &policies["codex32-no-network"]["spec"];
    assert_eq!(
        policy,
        &json!({"podSelector": {"matchLabels": {"codex32/network": "none"}}, "policyTypes": ["Egress"]})
    );
    assert_eq!(policies["codex32-no-ingress"]["spec"]["policyTypes"], json!(["Ingress"]));
    assert_eq!(pods.asked("POST networkpolicies"), 2, "they are looked after once");
}
