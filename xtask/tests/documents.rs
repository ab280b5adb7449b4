//! Paths that the documents name exist, and the table of OWASP ASVS says what the tests are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    ASVS,
    "bindings/README.md",
    "plugins/README.md",
];
const FOLDERS: &[&str] = &["crates/", "docs/", "examples/", "xtask/", "bindings/", "plugins/", "fuzz/"];

/// What stands in backticks or as a link's target and looks like a path of this repository, up to its first variable
/// part.
fn paths(text: &str) -> Vec<&str> {
    let code = text.split('`').skip(1).step_by(2);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    code.chain(links)
        .filter_map(|it| it.split(['<', '*', '{', '#']).next())
        .filter_map(|it| it.split("::").next())
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

/// The table of OWASP ASVS.
const ASVS: &str = "docs/asvs.md";
/// Requirements of levels 1 and 2 in ASVS 5.0.0.
const REQUIREMENTS: usize = 253;
/// Behind this heading rows are of neither level, and not counted.
const BEYOND: &str = "## Beyond level 2";
/// What a row begins with.
const STATES: &[&str] = &["tested", "by construction", "does not apply", "missing in part", "missing"];
const TESTED: &str = STATES[0];

/// A line of the table.
struct Row<'t> {
    line: &'t str,
    sections: Vec<String>,
    state: &'t str,
    /// `path::function`.
    tests: Vec<&'t str>,
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let lines =
        text.lines().filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()));
    lines
        .map(|line| {
            let [sections, _, state, tests] = cells(line)[..] else { panic!("not four cells: {line}") };
            let state = state.split("**").nth(1).unwrap_or_default();
            assert!(STATES.contains(&state), "begins with none of {STATES:?}: {line}");
            let tests = tests.split('`').skip(1).step_by(2).collect();
            Row { line, sections: numbers(sections), state, tests }
        })
        .collect()
}

/// The numbers of sections in a text (`6.5`, `6.5.2`), those between two with a `to` as well.
fn numbers(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut through = false;
    for word in text.split(|c: char| c.is_whitespace() || ",;:()|".contains(c)).filter(|word| !word.is_empty()) {
        let word = word.trim_matches('.');
        let parts: Option<Vec<u32>> = word.split('.').map(|part| part.parse().ok()).collect();
        if let Some([.., last]) = parts.as_deref().filter(|parts| (2..=3).contains(&parts.len())) {
            if let Some((above, first)) = found.last().filter(|_| through).and_then(|it| it.rsplit_once('.')) {
                let (above, first) = (above.to_owned(), first.parse::<u32>().unwrap());
                found.extend((first + 1..=*last).map(|number| format!("{above}.{number}")));
            } else {
                found.push(word.to_owned());
            }
        }
        through = word == "to";
    }
    found
}

#[test]
fn numbers_of_sections_are_read() {
    for (text, expected) in [
        ("5.0, 3.4.1, 3.4.3 to 3.4.5 and 3.5.", &["5.0", "3.4.1", "3.4.3", "3.4.4", "3.4.5", "3.5"][..]),
        ("(6.2.4: two of 3,000; 1.2.3.4)", &["6.2.4"]),
    ] {
        assert_eq!(numbers(text), expected);
    }
}

/// Whether a file has a function that is run as a test: by its attribute, or by the list of its suite.
fn is_a_test(path: &Path, function: &str) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let named = |line: &&str| line.contains(&format!("fn {function}(")) && !line.starts_with("//");
    let Some(place) = lines.iter().position(named) else { return false };
    let above = lines[..place].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    if above.into_iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test")) {
        return true;
    }
    // The list stands in the file, or where its suite begins.
    let lists = ["main.rs", "mod.rs"].map(|name| fs::read_to_string(path.with_file_name(name)).unwrap_or_default());
    [text].iter().chain(&lists).any(|text| {
        let lists = ["cases!", "checks!"].into_iter().flat_map(|name| text.split(name).skip(1));
        lists
            .filter_map(bracketed)
            .any(|list| list.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|it| it == function))
    })
}

/// What stands in the brackets that a text begins with.
fn bracketed(text: &str) -> Option<&str> {
    let text = text.trim_start().strip_prefix(['(', '[', '{'])?;
    let mut depth = 1;
    let end = text.find(|c| {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        depth == 0
    })?;
    Some(&text[..end])
}

#[test]
fn each_test_of_the_asvs_table_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join(ASVS)).unwrap();
    let mut wrong = Vec::new();
    for row in rows(&text) {
        if row.state == TESTED && row.tests.is_empty() {
            wrong.push(format!("{TESTED}, by no test: {}", row.line));
        }
        for test in &row.tests {
            let (path, function) = test.split_once("::").unwrap_or_else(|| panic!("no path::function: {}", row.line));
            if !is_a_test(&root.join(path), function) {
                wrong.push(format!("{test} is no test: {}", row.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!is_a_test(&root.join(file!()), "bracketed"), "this test is blind");
    assert!(!is_a_test(&root.join("crates/core/tests/identity/tokens.rs"), "base64"), "this test is blind");
}

#[test]
fn the_asvs_table_has_each_requirement_once_and_counts_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join(ASVS)).unwrap();
    let counted = text.split(BEYOND).next().unwrap();
    let (mut seen, mut counts) = (BTreeSet::new(), BTreeMap::new());
    for row in rows(counted) {
        for section in row.sections {
            assert!(seen.insert(section.clone()), "{section} has a row already: {}", row.line);
            *counts.entry(row.state).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), REQUIREMENTS, "rows for so many sections of levels 1 and 2");
    for state in STATES {
        let line = format!("| {state} | {} |", counts.get(state).unwrap_or(&0));
        assert!(counted.lines().any(|it| it.starts_with(&line)), "the counts at the top of {ASVS} do not say {line}");
    }
}

/// Every Rust file below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_section_that_a_comment_names_is_in_the_asvs_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join(ASVS)).unwrap();
    let known: BTreeSet<String> = rows(&text).into_iter().flat_map(|row| row.sections).collect();
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files);
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in files {
        let code = fs::read_to_string(&file).unwrap();
        for line in code.lines().filter(|line| line.trim_start().starts_with("//")) {
            let Some((_, named)) = line.split_once("ASVS") else { continue };
            // Behind these the numbers are of other documents.
            let end = ["NIST", "RFC", "CWE"].into_iter().filter_map(|name| named.find(name)).min();
            let named = named[..end.unwrap_or(named.len())].trim_start();
            for section in numbers(named.strip_prefix("5.0").unwrap_or(named)) {
                seen += 1;
                // Two numbers are a whole group of sections.
                let group = format!("{section}.");
                if !known.contains(&section) && !known.iter().any(|it| it.starts_with(&group)) {
                    wrong.push(format!("{section} has no row: {}: {}", file.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 150, "only {seen} sections were found: does this test still read the comments?");
}
