//! Load from outside, by `wrk`.

use crate::Failure;
use std::path::Path;
use tokio::process::Command;

/// What a load came to.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Answers with a status below 400, each second.
    pub per_second: f64,
    /// Half of the answers took no longer than this, in milliseconds.
    pub p50_ms: f64,
    /// All but one in a hundred took no longer than this, in milliseconds.
    pub p99_ms: f64,
    /// Answers with another status, and connections that broke.
    pub failed: u64,
}

/// Posts `body` to `url` over so many connections for so long. `scratch` is a folder for
/// the script that tells `wrk` what to send and how to report.
///
/// # Errors
/// Where `wrk` is not installed or says something unexpected.
pub async fn post(url: &str, body: &str, connections: u32, seconds: u32, scratch: &Path) -> Result<Load, Failure> {
    let script = scratch.join("post.lua");
    std::fs::write(&script, format!("{HEAD}wrk.body = [=[{body}]=]\n{REPORT}"))?;
    let done = Command::new("wrk")
        .args(["--threads", "1", "--timeout", "30s", "--latency"])
        .args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")])
        .arg("--script")
        .arg(&script)
        .arg(url)
        .output()
        .await
        .map_err(|error| format!("run wrk (Debian's package wrk): {error}"))?;
    let text = String::from_utf8_lossy(&done.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("REPORT ")).ok_or_else(|| format!("wrk said: {text}"))?;
    let figures: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let &[answers, errors, microseconds, p50, p99] = figures.as_slice() else {
        return Err(format!("wrk said: {line}").into());
    };
    Ok(Load {
        per_second: (answers - errors) / (microseconds / 1e6),
        p50_ms: p50 / 1e3,
        p99_ms: p99 / 1e3,
        failed: errors as u64,
    })
}

const HEAD: &str = "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n";

const REPORT: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  local errors = e.status + e.connect + e.read + e.write + e.timeout
  io.write(string.format("REPORT %d %d %d %d %d\n", summary.requests, errors, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
"#;
