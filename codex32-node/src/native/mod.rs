//! A door of JSON texts for Node. A call gives `[ok, json]`; the JavaScript side throws.

#![expect(unreachable_pub, reason = "the macro of napi exports what is public here")]
#![cfg_attr(test, allow(dead_code, reason = "the macro of napi registers nothing in a test build"))]

mod action;
mod door;
mod workflow;
