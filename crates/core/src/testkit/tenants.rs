//! Everything that a database keeps of one organisation, to be compared with what it kept before.

use std::collections::BTreeMap;

use crate::{
    error::Result,
    id::OrganizationId,
    ports::store::{Row, TABLES, Value},
    store::sql::{SqlStore, statement::Statement},
};

/// Tables that no record stands for, and their columns.
const OTHERS: &[(&str, &str)] = &[
    ("subjects", "subject_id, subject_kind, seq, consumed_seq"),
    ("work", "lane, id, due_at, lease_owner, lease_until, token, generation"),
];

/// The rows of an organisation by table, as texts in order; of the people their own rows too.
///
/// # Errors
/// `unavailable` if the database does not answer.
pub async fn rows_of(store: &SqlStore, organization: OrganizationId) -> Result<BTreeMap<&'static str, Vec<String>>> {
    let mut all = BTreeMap::new();
    let tables = TABLES.iter().map(|table| (table.name, table.columns.join(", ")));
    for (table, columns) in tables.chain(OTHERS.iter().map(|(table, columns)| (*table, (*columns).to_owned()))) {
        let mut statement = Statement::new(format!("SELECT {columns} FROM {table} WHERE "));
        let members = "(SELECT user_id FROM memberships WHERE organization_id = ";
        match table {
            "organizations" => statement.push("id = ").bind(&organization),
            "users" => statement.push("id IN ").push(members).bind(&organization).push(")"),
            "credentials" => statement.push("user_id IN ").push(members).bind(&organization).push(")"),
            _ => statement.push("organization_id = ").bind(&organization),
        };
        let rows = store.rows(Some(organization), statement).await?;
        let mut lines: Vec<String> =
            rows.into_iter().map(|row| format!("{:?}", row.into_iter().map(readable).collect::<Row>())).collect();
        lines.sort();
        all.insert(table, lines);
    }
    Ok(all)
}

/// SQLite keeps an id as its bytes.
fn readable(value: Value) -> Value {
    match &value {
        Value::Bytes(bytes) => uuid::Uuid::from_slice(bytes).map_or(value, Value::Uuid),
        _ => value,
    }
}
