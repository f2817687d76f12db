//! Every example runs.

use std::process::Command;

#[test]
fn hello_says_hello() {
    let done = Command::new(env!("CARGO_BIN_EXE_hello")).arg("Ada").output().expect("the example starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "HELLO ADA");
}
