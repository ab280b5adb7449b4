//! The example runs, prints what its rule did, and is the one that the project's README shows.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_rule_moves_and_tags_the_contact() {
    let run = Command::new(env!("CARGO_BIN_EXE_example-01-embed")).output().unwrap();
    let (said, complained) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    assert!(run.status.success(), "{complained}");
    assert_eq!(said, "Ada is tagged [\"met\"]\ncontact.created → rule met-at-the-fair v1 → this stage\n");
}

#[test]
fn the_readme_shows_this_example() {
    let readme = include_str!("../../../README.md");
    let shown = readme.split_once("<!-- example: examples/01-embed/src/main.rs -->\n```rust\n").unwrap().1;
    assert_eq!(shown.split_once("```").unwrap().0, include_str!("../src/main.rs"));
}
