//! Paths that the documents name exist.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

const DOCUMENTS: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bindings/README.md", "plugins/README.md"];
const FOLDERS: &[&str] = &["crates/", "docs/", "examples/", "xtask/", "bindings/", "plugins/", "fuzz/"];

/// What stands in backticks or as a link's target and looks like a path of this repository, up to its first variable
/// part.
fn paths(text: &str) -> Vec<&str> {
    let code = text.split('`').skip(1).step_by(2);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    code.chain(links)
        .filter_map(|it| it.split(['<', '*', '{', '#']).next())
        // What a reader puts a name of their own in, and what only a run makes.
        .filter(|it| !it.contains("TARGET"))
        .filter(|it| !it.contains("://") && !it.contains(char::is_whitespace))
        .filter(|it| FOLDERS.iter().any(|folder| it.starts_with(folder)) || it.ends_with(".md"))
        .collect()
}

#[test]
fn paths_that_the_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let folder = root.join(document).parent().unwrap().to_owned();
        for path in paths(&text) {
            assert!(root.join(path).exists() || folder.join(path).exists(), "{document} names {path}");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} paths were found: does this test still read the documents?");
}
