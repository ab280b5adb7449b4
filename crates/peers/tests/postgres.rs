#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
use dealwright_peers::{Postgres, psql};

#[test]
fn both_roles_work_and_row_level_security_binds_even_the_owner() {
    let postgres = Postgres::start().unwrap();
    let urls = postgres.create_database("walls").unwrap();
    psql(
        &urls.owner,
        "create table t (id int, tenant text); insert into t values (1, 'a'), (2, 'b');
         alter table t enable row level security; alter table t force row level security;
         create policy p on t using (tenant = current_setting('app.tenant', true)); grant select on t to crm_app;",
    )
    .unwrap();
    assert_eq!(psql(&urls.app, "set app.tenant = 'a'; select id from t").unwrap(), "1");
    assert_eq!(psql(&urls.owner, "select count(*) from t").unwrap(), "0");
    let roles = "select rolname, rolsuper, rolbypassrls from pg_roles where rolname like 'crm%' order by 1";
    assert_eq!(postgres.sql(roles).unwrap(), "crm_app|f|f\ncrm_owner|f|f");
    let wrong = psql(&urls.app.replace(":app@", ":wrong@"), "select 1").unwrap_err();
    assert!(wrong.to_string().contains("password authentication failed"), "{wrong}");
}

#[test]
fn a_stopped_server_comes_back_with_its_data() {
    let postgres = Postgres::start().unwrap();
    let urls = postgres.fresh_database("back").unwrap();
    psql(&urls.owner, "create table kept (n int); insert into kept values (7)").unwrap();
    postgres.stop().unwrap();
    assert!(psql(&urls.owner, "select 1").unwrap_err().to_string().contains("refused"));
    postgres.start_again().unwrap();
    assert_eq!(psql(&urls.owner, "select n from kept").unwrap(), "7");
}

#[test]
fn a_name_that_would_need_quoting_is_refused() {
    let postgres = Postgres::start().unwrap();
    for name in ["", "1st", "a-b", "a; drop", "Upper"] {
        assert!(postgres.create_database(name).unwrap_err().to_string().contains("lower-case"), "{name}");
    }
}
