//! The example runs, and prints what its rule did.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_rule_moves_and_tags_the_contact() {
    let run = Command::new(env!("CARGO_BIN_EXE_example-01-embed")).output().unwrap();
    let (said, complained) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    assert!(run.status.success(), "{complained}");
    assert_eq!(said, "Ada is tagged [\"met\"]\ncontact.created → rule met-at-the-fair v1 → this stage\n");
}
