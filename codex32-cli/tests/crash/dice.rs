//! Chance that can be had again: SplitMix64 from a seed.

/// A source of numbers.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..sides`.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.next() % sides.max(1)
    }
}

/// The seed of this run: `CODEX32_SEED`, or another each time. Printed, so that a failure
/// can be looked at again (what the operating system does in between is not in it).
pub(crate) fn seed(test: &str) -> u64 {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(7, |t| t.as_nanos() as u64);
    let seed = std::env::var("CODEX32_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(now);
    println!("{test}: CODEX32_SEED={seed}");
    seed
}

/// How often to kill: `CODEX32_KILLS`, or a few times.
pub(crate) fn kills(few: u32) -> u32 {
    std::env::var("CODEX32_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}
