//! The tables are whole, and the pages made from them are up to date.

use std::{collections::BTreeSet, path::PathBuf};

use dealwright::{operation, operations};
use dealwright_server::{config, docs, routes::routes, shell::SHELL_ROUTES};

#[test]
fn every_operation_has_a_route_and_every_route_an_operation() {
    let routed: BTreeSet<&str> = routes()
        .map(|route| route.operation)
        .chain(SHELL_ROUTES.iter().flat_map(|route| route.stands_for.iter().copied()))
        .collect();
    for operation in operations() {
        assert!(routed.contains(operation.name), "{} has no line in routes.rs", operation.name);
        assert!(!operation.doc.trim().is_empty(), "{} says nothing of itself", operation.name);
    }
    for name in routed {
        assert!(operation(name).is_some(), "routes.rs names {name}, which is no operation");
    }
}

#[test]
fn no_two_routes_share_an_address() {
    let mut seen = BTreeSet::new();
    let all = routes()
        .map(|it| (it.method.as_str(), it.path))
        .chain(SHELL_ROUTES.iter().map(|it| (it.method.as_str(), it.path)));
    for address in all {
        assert!(seen.insert(address), "{address:?} stands twice");
    }
}

/// Compares a page with what the tables say; with `UPDATE` set, writes it.
fn page(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/{name} is out of date: run this test with UPDATE=1");
}

#[test]
fn the_page_of_calls_is_what_the_tables_say() {
    page("api.md", &docs::api());
}

/// ASVS 5, 8.1.1: the rules of access are written down.
#[test]
fn the_page_of_access_is_what_the_tables_say() {
    page("access.md", &docs::access());
}

#[test]
fn the_page_of_settings_is_what_the_table_says() {
    page("configuration.md", &docs::configuration());
    let help = config::command().render_long_help().to_string();
    for setting in config::SETTINGS {
        assert!(help.contains(&format!("--{}", setting.flag())), "--{} is not in --help", setting.flag());
    }
}
