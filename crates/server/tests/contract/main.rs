//! The contract under fuzz: schemathesis reads the OpenAPI document of a running server and asks what the document allows,
//! and what it does not. Whatever it asks, the server does not fail, answers nothing that the document does not tell, and
//! refuses what the document forbids. Every operation has succeeded at least once, so that none is only ever refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod answers;
mod live;
mod pass;
mod shell;
#[path = "../support/mod.rs"]
mod support;

use dealwright_peers::Schemathesis;

use crate::live::Live;

/// How many questions are too few.
const CASES: u64 = 5_000;

const SWITCHES: &[&str] = &[
    "--phases=examples,coverage,fuzzing,stateful",
    "--checks=all",
    "--seed=1",
    "--continue-on-failure",
    "--no-shrink",
];

/// How much of each kind is asked.
const CONFIG: &str = "
[phases.fuzzing.generation]
max-examples = 10
[phases.stateful]
max-steps = 12
[phases.stateful.generation]
max-examples = 100
";

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
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_under_fuzz() {
    let mut live = Live::start().await;
    let operations = live.operations().await;
    pass::every_operation(&mut live).await;
    shell::every_route(&live).await;
    live.run_loops().await;

    let schemathesis = tokio::task::spawn_blocking(|| Schemathesis::new().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let switches: Vec<&str> = SWITCHES.iter().copied().chain(EXCLUDED.iter().map(|(switch, _)| *switch)).collect();
    let (url, token, path) = (live.document_url(), live.token(), folder.path().to_owned());
    let asked = tokio::task::spawn_blocking(move || schemathesis.run(&url, &token, CONFIG, &switches, &path));
    let report = asked.await.unwrap().unwrap();

    let answers = live.answers();
    println!(
        "contract: {} cases over {} operations, {} failures; {:?}",
        report.cases, report.operations, report.failures, report.phases
    );
    assert!(report.is_good(), "schemathesis is not content:\n{}", report.told);
    assert!(report.cases >= CASES, "only {} cases: raise --max-examples", report.cases);
    assert!(report.in_phase("stateful") > 100, "hardly anything was asked in sequence: {:?}", report.phases);
    assert_eq!(answers.server_errors(), Vec::<String>::new(), "answers of 5xx");
    assert_eq!(answers.never_good(&operations), Vec::<String>::new(), "operations that have never succeeded");
}
