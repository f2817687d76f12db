//! Package sets, from a folder of wheels and a registry that the tests make themselves.

use super::*;
use crate::error::Code;
use axum::Router;
use axum::routing::get;
use serde_json::json;
use std::path::Path;

/// Writes `tiny-1.0-py3-none-any.whl` into `dir`.
fn wheel(dir: &Path) {
    let script = "import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/tiny-1.0-py3-none-any.whl', 'w') as z:
    z.writestr('tiny.py', 'NAME = \"tiny\"\\n')
    z.writestr('tiny-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')
    z.writestr('tiny-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('tiny-1.0.dist-info/RECORD', 'tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\ntiny-1.0.dist-info/RECORD,,\\n')
";
    let done = std::process::Command::new("python3").args(["-c", script]).arg(dir).status().unwrap();
    assert!(done.success());
}

/// A rig whose pip knows only the wheels in a folder, and that folder.
fn python_rig() -> (Rig, TempDir) {
    let wheels = tempfile::tempdir().unwrap();
    wheel(wheels.path());
    let env = host_env(&[("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", wheels.path().to_str().unwrap())]);
    (Rig::with(Arc::new(SystemClock), env), wheels)
}

fn python_job(rig: &Rig, specs: &[&str]) -> Job {
    let mut job =
        rig.job(Language::Python, "import tiny\ndef main(input): return [tiny.NAME, tiny.__file__]", json!({}));
    job.dependencies.pip = specs.iter().map(|spec| (*spec).to_owned()).collect();
    job
}

fn installs(rig: &Rig) -> Vec<String> {
    rig.log.of(Stream::System).into_iter().filter(|line| line.starts_with("installing ")).collect()
}

/// What stands in the directory of package sets, locks left out.
fn sets(rig: &Rig) -> Vec<String> {
    let entries = std::fs::read_dir(rig.dir.path().join("packages")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[tokio::test]
async fn pip_packages_are_installed_once_for_all_who_ask() {
    let (rig, _wheels) = python_rig();
    let runs = (0..3).map(|_| rig.runtime.run(python_job(&rig, &["tiny==1.0"])));
    for result in futures::future::join_all(runs).await {
        assert_eq!(result.unwrap()[0], json!("tiny"));
    }
    assert_eq!(installs(&rig), ["installing tiny==1.0 with pip (once; kept for later runs)"]);
    let progress = rig.log.of(Stream::System);
    assert!(progress.iter().any(|line| line.contains("Successfully installed tiny-1.0")), "{progress:?}");
    assert!(progress.iter().any(|line| line.starts_with("installed tiny==1.0 in ")), "{progress:?}");
    assert_eq!(progress.iter().filter(|line| line.starts_with("waiting for the same packages")).count(), 2);

    // A second engine over the same directory finds them installed.
    let config = ProcessConfig::new(rig.dir.path(), host_env(&[]));
    let second = ProcessRuntime::new(config, Arc::new(SystemClock)).unwrap();
    let result = second.run(python_job(&rig, &["tiny==1.0"])).await.unwrap();
    assert_eq!(installs(&rig).len(), 1);

    let installed = Path::new(result[1].as_str().unwrap());
    assert!(std::fs::metadata(installed).unwrap().permissions().readonly());
    assert_eq!(sets(&rig).len(), 1);
    rig.assert_clean();
}

#[tokio::test]
async fn two_engines_install_one_set_together() {
    let (rig, wheels) = python_rig();
    let env = host_env(&[("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", wheels.path().to_str().unwrap())]);
    let second = ProcessRuntime::new(ProcessConfig::new(rig.dir.path(), env), Arc::new(SystemClock)).unwrap();
    let job = || python_job(&rig, &["tiny==1.0"]);
    let (one, two) = tokio::join!(rig.runtime.run(job()), second.run(job()));
    assert_eq!((one.unwrap()[0].clone(), two.unwrap()[0].clone()), (json!("tiny"), json!("tiny")));
    assert_eq!(installs(&rig).len(), 1);
}

#[tokio::test]
async fn a_failed_install_leaves_nothing_and_says_why() {
    let (rig, _wheels) = python_rig();
    let error = rig.runtime.run(python_job(&rig, &["tiny==2.0"])).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().starts_with("pip could not install tiny==2.0: ERROR: "), "{error}");
    assert!(error.message().contains("No matching distribution found for tiny==2.0"), "{error}");
    assert!(sets(&rig).is_empty());
    // The next one may succeed.
    assert_eq!(rig.runtime.run(python_job(&rig, &["tiny==1.0"])).await.unwrap()[0], json!("tiny"));

    let error = rig.runtime.run(python_job(&rig, &["tiny>=1.0"])).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Invalid, "the pip package \"tiny>=1.0\" is not pinned"));
    rig.assert_clean();
}

#[tokio::test]
async fn cancelling_stops_an_install() {
    let (rig, _wheels) = python_rig();
    let job = python_job(&rig, &["tiny==1.0"]);
    let cancel = job.cancel.clone();
    let drive = async {
        rig.log.wait_for("installing ").await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(rig.runtime.run(job), drive);
    assert_eq!(result.unwrap_err().code(), Code::Cancelled);
    assert!(sets(&rig).is_empty());
}

/// A registry with one package, `tiny` 1.2.3, and its address.
async fn registry() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in [
        (
            "package/package.json",
            "{\"name\":\"tiny\",\"version\":\"1.2.3\",\"main\":\"index.js\",\"scripts\":{\"install\":\"touch ran\"}}",
        ),
        ("package/index.js", "exports.ran = require('fs').existsSync(__dirname + '/ran'); exports.name = 'tiny'"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let tarball = archive.into_inner().unwrap().finish().unwrap();
    let version = json!({"name": "tiny", "version": "1.2.3", "hasInstallScript": true,
        "dist": {"tarball": format!("{address}/tiny/-/tiny-1.2.3.tgz")}});
    let manifest =
        json!({"name": "tiny", "dist-tags": {"latest": "1.2.3"}, "versions": {"1.2.3": version}}).to_string();
    let routes = Router::new()
        .route("/tiny", get(move || async move { ([("content-type", "application/json")], manifest) }))
        .route("/tiny/-/tiny-1.2.3.tgz", get(move || async move { tarball }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

#[tokio::test]
async fn npm_packages_come_from_the_systems_registry_and_run_no_scripts() {
    let address = registry().await;
    let cache = tempfile::tempdir().unwrap();
    let env = [
        ("npm_config_registry", address.as_str()),
        ("npm_config_cache", cache.path().to_str().unwrap()),
        ("npm_config_fetch_retries", "0"),
    ];
    let rig = Rig::with(Arc::new(SystemClock), host_env(&env));
    let job = |code: &str, spec: &str| {
        let mut job = rig.job(Language::Node, code, json!({}));
        job.dependencies.npm = vec![spec.to_owned()];
        job
    };
    let module = job("import tiny from 'tiny'; export default () => [tiny.name, tiny.ran]", "tiny@1.2.3");
    assert_eq!(rig.runtime.run(module).await.unwrap(), json!(["tiny", false]));
    let common = job("module.exports = () => require('tiny').name", "tiny@1.2.3");
    assert_eq!(rig.runtime.run(common).await.unwrap(), json!("tiny"));
    assert_eq!(installs(&rig).len(), 1);

    let error = rig.runtime.run(job("1", "tiny@9.9.9")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("No matching version found for tiny@9.9.9"), "{error}");
    assert_eq!(sets(&rig).len(), 1);
    rig.assert_clean();
}

#[tokio::test]
async fn a_package_of_the_real_index() {
    let rig = Rig::new();
    let mut job = rig.job(Language::Python, "import six\ndef main(input): return six.__version__", json!({}));
    job.dependencies.pip = vec!["six==1.16.0".to_owned()];
    match rig.runtime.run(job).await {
        Ok(version) => assert_eq!(version, json!("1.16.0")),
        // Without a network there is nothing to see; the folder of wheels proves the rest.
        Err(error) => assert_eq!(error.code(), Code::Unavailable, "{error}"),
    }
}
