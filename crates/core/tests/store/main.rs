//! Holds the SQL store to what every store must keep to, on each database, and to what is its own on each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod encrypted;
mod places;
mod postgres;
mod schema;
mod sqlite;
mod trips;

use std::{future::Future, pin::Pin};

use dealwright::testkit::store_cases;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::places::Place;

pub type Check = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// Names each check of a room once.
#[macro_export]
macro_rules! checks {
    ($room:ident: $($name:ident),+ $(,)?) => {
        [$((concat!(stringify!($room), "::", stringify!($name)), (|| Box::pin($room::$name())) as $crate::Check)),+]
    };
}

fn main() {
    if let Some(path) = std::env::args().skip_while(|it| it != sqlite::WRITE_UNTIL_KILLED).nth(1) {
        return run(sqlite::write_until_killed(&path));
    }
    let mut trials = Vec::new();
    for place in Place::ALL {
        for case in store_cases() {
            let check = move || {
                run(async {
                    let (store, _keep) = place.open().await;
                    (case.run)(store).await.map_err(Failed::from)
                })
            };
            trials.push(Trial::test(format!("{}::{}", place.name(), case.name), check));
        }
    }
    let own = checks!(sqlite:
        only_one_process_may_have_the_file_open,
        a_url_that_names_no_database_is_refused,
        commits_survive_a_killed_process,
        a_stopped_process_leaves_no_claims,
        readers_see_what_was_committed_before,
        changes_of_who_may_what_are_counted,
        doctor_finds_a_damaged_file,
    )
    .into_iter()
    .chain(checks!(schema:
        both_databases_have_the_tables_of_the_records,
        a_newer_database_is_refused,
        a_database_of_edited_migrations_is_refused,
        an_empty_postgres_is_refused_with_the_remedy,
        a_postgres_that_cannot_fold_letters_is_refused,
        migrations_of_several_processes_take_turns,
    ))
    .chain(checks!(postgres:
        raw_sql_sees_the_set_organisation_alone,
        a_role_that_the_wall_does_not_bind_is_refused,
        doctor_finds_what_opens_the_wall,
        the_engines_role_cannot_rewrite_the_audit_log,
        an_application_role_that_cannot_be_bound_is_refused,
        a_connection_that_breaks_is_replaced,
        a_server_that_falls_silent_is_given_up,
        opposite_orders_of_rows_do_not_deadlock_for_good,
        the_claims_of_other_replicas_stay_theirs,
    ))
    .chain(checks!(trips:
        a_commit_is_two_trips_and_a_read_is_one,
        a_contact_takes_four_trips_to_make_and_one_to_read,
        a_schedule_reads_the_contacts_of_deals_at_once,
    ))
    .chain(checks!(encrypted: a_certificate_is_checked_against_authorities_and_name));
    trials.extend(own.map(|(name, check)| {
        Trial::test(name, move || {
            run(check());
            Ok(())
        })
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}
