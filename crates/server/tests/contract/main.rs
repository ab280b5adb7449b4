//! The contract under fuzz: schemathesis reads the OpenAPI document of a running server and asks what the document allows,
//! and what it does not. Whatever it asks, the server does not fail, answers nothing that the document does not tell, and
//! refuses what the document forbids. Every operation has succeeded at least once, so that none is only ever refused: what
//! the fuzzing has not reached by itself is named, and was reached by the test's own pass over all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod answers;
mod live;
mod pass;
mod shell;
#[path = "../support/mod.rs"]
mod support;

use dealwright_peers::Schemathesis;

use crate::{live::Live, support::world::World};

/// How many questions are too few, on all databases together.
const CASES: u64 = 5_000;

const SWITCHES: &[&str] =
    &["--phases=examples,coverage,fuzzing,stateful", "--checks=all", "--continue-on-failure", "--no-shrink"];

/// How much of each kind is asked.
fn config(examples: u32, sequences: u32) -> String {
    format!(
        "[phases.fuzzing.generation]\nmax-examples = {examples}\n[phases.stateful]\nmax-steps = 12\n\
         [phases.stateful.generation]\nmax-examples = {sequences}\n"
    )
}

/// What is left out, each with its reason. Everything else is asked.
const EXCLUDED: &[(&str, &str)] = &[
    (
        "--exclude-checks=positive_data_acceptance",
        "the contract refuses well-formed data that makes no sense (an unknown stage, a second owner), which no schema \
         tells; in its place every operation must have succeeded at least once",
    ),
    (
        "--exclude-path=/api/auth/signout",
        "it ends the sign-in that all requests go by; the test signs somebody else out",
    ),
    (
        "--exclude-path=/api/auth/sessions/{id}",
        "the list of sessions tells the id of that sign-in, and this would end it; the test ends another session",
    ),
    (
        "--exclude-operation-id=members.sign_out",
        "the list of members tells the id of whoever asks, and this would end that sign-in; the test signs somebody else out",
    ),
];

/// ASVS 2.1.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_under_fuzz() {
    let sqlite = fuzzed("sqlite", World::sqlite().await, "--seed=1", &config(6, 60)).await;
    let postgres = fuzzed("postgres", World::postgres().await, "--seed=2", &config(2, 30)).await;
    assert!(sqlite + postgres >= CASES, "only {sqlite} and {postgres} cases: raise the examples");
}

/// Asks a server over one database; tells how many questions that were.
async fn fuzzed(database: &str, world: World, seed: &'static str, config: &str) -> u64 {
    let mut live = Live::start(world).await;
    let operations = live.operations().await;
    pass::every_operation(&mut live).await;
    shell::every_route(&live).await;
    live.run_loops().await;
    assert_eq!(live.answers().server_errors(), Vec::<String>::new(), "answers of 5xx to the pass");
    let passed = live.answers().good_since();

    let schemathesis = tokio::task::spawn_blocking(|| Schemathesis::new().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let excluded = EXCLUDED.iter().map(|(switch, _)| *switch);
    let switches: Vec<&str> = SWITCHES.iter().copied().chain([seed]).chain(excluded).collect();
    let (url, token, path) = (live.document_url(), live.token(), folder.path().to_owned());
    let config = config.to_owned();
    let asked = tokio::task::spawn_blocking(move || schemathesis.run(&url, &token, &config, &switches, &path));
    let report = asked.await.unwrap().unwrap();

    assert_eq!(live.answers().server_errors(), Vec::<String>::new(), "answers of 5xx on {database}");
    let reached = live.answers().good_since();
    let (mut both, mut passed_alone, mut never) = (0, Vec::new(), Vec::new());
    for operation in &operations {
        match (reached.contains(operation), passed.contains(operation)) {
            (true, _) => both += 1,
            (false, true) => passed_alone.push(operation),
            (false, false) => never.push(operation),
        }
    }
    println!(
        "contract: {database}: {} cases over {} operations, {} failures; {:?}; {both} of {} operations succeeded for the \
         fuzzing itself, by the pass alone: {passed_alone:?}",
        report.cases,
        report.operations,
        report.failures,
        report.phases,
        operations.len()
    );
    assert!(report.is_good(), "schemathesis is not content on {database}:\n{}", report.told);
    assert!(report.in_phase("stateful") > 50, "hardly anything was asked in sequence: {:?}", report.phases);
    assert_eq!(never, Vec::<&String>::new(), "operations that have never succeeded on {database}");
    assert!(both * 2 > operations.len(), "the fuzzing itself is refused nearly everywhere: {passed_alone:?}");
    live.still_owns().await;
    report.cases
}
