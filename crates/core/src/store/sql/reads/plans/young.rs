//! A database that nobody has analysed yet: PostgreSQL guesses that an organisation has few rows of a table and keeps the
//! plan it made while that was so, which must not be one that grows with each row.

use dealwright_peers::shared_postgres;

use super::*;

#[tokio::test]
async fn holders_are_found_by_what_they_hold_before_there_are_statistics() {
    let urls = shared_postgres().unwrap().fresh_database("young").unwrap();
    migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
    let identities = [
        (IdentityKind::Email, "ann@lee.example".into()),
        (IdentityKind::Email, "lee@lee.example".into()),
        (IdentityKind::Phone, "+14165550100".into()),
    ];
    let plan = generic(&urls.app, &contacts::holders(Db::Postgres, n(1), &identities));
    let by_value = |line: &str| line.contains("Index Cond") && line.contains("kind = ") && line.contains("value = ");
    assert!(plan.lines().any(by_value), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains("Join Filter"), "{plan}");
}
