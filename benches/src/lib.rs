//! Measures live in `benches/`, one file each; `cargo bench -p codex32-benches` runs them.
