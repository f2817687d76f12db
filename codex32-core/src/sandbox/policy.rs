//! What a process may use: the blueprint's limits over the engine's defaults.

use crate::blueprint::{Bytes, Limits, Span};
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// Limits of one run, resolved. How they are enforced is the launcher's (per
/// process, by the kernel) and the watchdog's (over the whole tree) business.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Bytes of memory of the tree.
    pub(crate) memory: u64,
    /// Bytes by which the kernel's limit for a single process lies above `memory`.
    pub(crate) memory_slack: u64,
    /// Processor time of the tree in milliseconds.
    pub(crate) cpu_ms: Option<u64>,
    /// Processes and threads of the tree.
    pub(crate) processes: u32,
    /// Bytes of output kept, and of the result.
    pub(crate) output: u64,
    /// Bytes of the largest file it may write.
    pub(crate) file_size: u64,
    /// Open files of each process.
    pub(crate) open_files: u64,
    /// How long a process that was asked to end may take before it is killed.
    pub(crate) grace: Duration,
}

/// The limits of a script whose blueprint sets none: 512 MiB, 128 processes and
/// threads, 4 MiB of output, no limit on processor time.
#[must_use]
pub fn default_limits() -> Limits {
    Limits { memory: Some(Bytes(512 * MIB)), cpu: None, processes: Some(128), output: Some(Bytes(4 * MIB)) }
}

impl Policy {
    /// The policy of a script.
    pub(crate) fn of(limits: &Limits, defaults: &Limits, grace: Duration) -> Self {
        let fallback = default_limits();
        let bytes = |pick: fn(&Limits) -> Option<Bytes>| {
            pick(limits).or_else(|| pick(defaults)).or_else(|| pick(&fallback)).unwrap_or_default().0
        };
        Policy {
            memory: bytes(|l| l.memory),
            memory_slack: 0,
            cpu_ms: limits.cpu.or(defaults.cpu).map(|Span(ms)| ms),
            processes: limits.processes.or(defaults.processes).unwrap_or(128),
            output: bytes(|l| l.output),
            file_size: 1024 * MIB,
            open_files: 4096,
            grace,
        }
    }

    /// The policy of a package manager: generous, and still finite.
    pub(crate) fn of_installer() -> Self {
        Policy {
            memory: 4096 * MIB,
            memory_slack: 0,
            cpu_ms: Some(30 * 60 * 1_000),
            processes: 512,
            output: 16 * MIB,
            file_size: 8192 * MIB,
            open_files: 8192,
            grace: Duration::from_secs(1),
        }
    }

    /// With room for what a runtime reserves without ever using it.
    pub(crate) fn with_slack(mut self, bytes: u64) -> Self {
        self.memory_slack = bytes;
        self
    }
}

/// `268435456` as people write it: `256 MiB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value.fract() < 0.05 { format!("{value:.0} {}", UNITS[unit]) } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `90500` milliseconds as people write it: `1m 30s`.
pub(crate) fn human_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => {
            let tenths = ms / 100;
            if tenths.is_multiple_of(10) {
                format!("{} s", tenths / 10)
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blueprint_over_configuration_over_default() {
        let own = Limits { memory: Some(Bytes(7)), ..Limits::default() };
        let configured = Limits { memory: Some(Bytes(8)), processes: Some(9), ..Limits::default() };
        let policy = Policy::of(&own, &configured, Duration::ZERO);
        assert_eq!((policy.memory, policy.processes, policy.output), (7, 9, 4 * MIB));
        assert_eq!(policy.cpu_ms, None);
    }

    #[test]
    fn figures_for_people() {
        assert_eq!(human_bytes(256 * MIB), "256 MiB");
        assert_eq!(human_bytes(1_572_864), "1.5 MiB");
        assert_eq!(human_bytes(12), "12 bytes");
        assert_eq!(human_ms(250), "250 ms");
        assert_eq!(human_ms(1_500), "1.5 s");
        assert_eq!(human_ms(90_500), "1 min 30 s");
    }
}
