//! The floors of ARCHITECTURE.md: a room imports from its own floor or lower ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, path::Path};

/// Each module of the crate's root, and its floor.
const FLOORS: &[(&str, u8)] = &[
    ("error", 0),
    ("id", 0),
    ("scope", 0),
    ("page", 0),
    ("patch", 0),
    ("input", 0),
    ("env", 0),
    ("cipher", 0),
    ("domain", 1),
    ("ports", 2),
    // An adapter: nobody but the doors knows it, and it knows no floor above the ports.
    ("store", 2),
    // An adapter too, but the engine's own: what counts unless told otherwise.
    ("limiter", 2),
    // What services share; below them, but for the rules that it holds ready.
    ("engine", 3),
    ("bell", 3),
    ("services", 3),
    ("runtime", 4),
    ("doors", 5),
    ("testkit", 6),
];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The modules that a text names after `crate::`, those in braces included.
fn imports(text: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "$_".contains(c)) {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        if !rest.starts_with('{') {
            found.push(name(rest));
            continue;
        }
        let (mut depth, mut begins) = (0, true);
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                c if c.is_alphabetic() && begins && depth == 1 => {
                    found.push(name(&rest[at..]));
                    begins = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    // Types of the root (`crate::Error`) are words.
    found.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    found
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, visit);
        } else if path.extension().is_some_and(|it| it == "rs") {
            visit(&path);
        }
    }
}

/// ASVS 8.3.1.
#[test]
fn each_room_imports_from_its_own_floor_or_lower_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut arrows) = (Vec::new(), 0);
    walk(&root, &mut |path| {
        let inner = path.strip_prefix(&root).unwrap();
        let module = inner.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            return;
        }
        let here = floor(&module).unwrap_or_else(|| panic!("{module} has no floor: give it one in FLOORS"));
        // A room's tests look at it from above.
        let here = if inner.ends_with("tests.rs") { 6 } else { here };
        for import in imports(&fs::read_to_string(path).unwrap()) {
            // Macros and functions of the root have no floor.
            let Some(there) = floor(&import) else { continue };
            arrows += 1;
            let into_adapter = import == "store" && module != "store" && here < 5;
            if there > here || into_adapter {
                wrong.push(format!("{} imports {import}", inner.display()));
            }
        }
    });
    assert!(arrows > 50, "imports are not found any more: {arrows}");
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn grouped_imports_are_seen() {
    let text = "use crate::{\n    doors::crm::{Crm, Handle},\n    error::Result,\n};\nuse crate::id::UserId; $crate::page::Page";
    assert_eq!(imports(text), ["doors", "error", "id"]);
}
