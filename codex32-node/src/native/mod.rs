//! A door of JSON texts for Node. A call gives `[ok, json]`; the JavaScript side throws.

#![expect(unreachable_pub, reason = "the macro of napi exports what is public here")]

mod action;
mod door;
