//! The JavaScript package: the engine for Node (napi), and its pure ground for the
//! browser (wasm-bindgen): the very code with which the server reads, checks, drafts
//! and schedules. Everything typed and everything that a person sees is JavaScript,
//! beside this crate's manifest.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
