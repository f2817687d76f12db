//! Every example runs.

use codex32_core::blueprint;
use codex32_core::catalogue::Catalogue;
use std::process::Command;

#[test]
fn hello_says_hello() {
    let done = Command::new(env!("CARGO_BIN_EXE_hello")).arg("Ada").output().expect("the example starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "HELLO ADA");
}

#[test]
fn an_order_is_charged_and_waits_for_its_parcel() {
    let done = Command::new(env!("CARGO_BIN_EXE_order")).arg("7").output().expect("the example starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = r#"{"charged":7,"parcel":"P-1","mail":"sent"}"#;
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), said);
}

#[test]
fn the_blueprints_are_valid() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("blueprints");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a readable blueprint");
        let (valid, faults) = blueprint::check(&text, Catalogue::builtin());
        assert!(valid.is_some(), "{}: {faults:?}", path.display());
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    assert_eq!(names, ["fair-import", "heartbeat", "order-approval", "price-watch"]);
}
