//! Everything that a database keeps of one organisation, to be compared with what it kept before.

use std::collections::BTreeMap;

use crate::{
    domain::{
        data_key::{CommonKey, MasterKey},
        linked_identity::LoginState,
    },
    error::Result,
    id::{Id, OrganizationId},
    ports::store::{Batch, Record, Row, Store, TABLES, Value, Write},
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
    // Steps of signing in are nobody's yet, and these keys everybody's.
    let nobodys = [LoginState::TABLE.name, MasterKey::TABLE.name, CommonKey::TABLE.name];
    let tables = tables.filter(|(table, _)| !nobodys.contains(table));
    for (table, columns) in tables.chain(OTHERS.iter().map(|(table, columns)| (*table, (*columns).to_owned()))) {
        let mut statement = Statement::new(format!("SELECT {columns} FROM {table} WHERE "));
        let members = "(SELECT user_id FROM memberships WHERE organization_id = ";
        match table {
            "organizations" => statement.push("id = ").bind(&organization),
            "users" => statement.push("id IN ").push(members).bind(&organization).push(")"),
            "credentials" | "identities" | "mail_tokens" | "second_factors" => {
                statement.push("user_id IN ").push(members).bind(&organization).push(")")
            }
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

/// Writes all that a database keeps of one organisation behind its wall once more for another one, ids included: what
/// forgets to say whose rows it means then meets two of each.
///
/// # Errors
/// `unavailable` if the database does not answer.
pub async fn copy_rows(store: &SqlStore, from: OrganizationId, to: OrganizationId) -> Result<()> {
    for &table in TABLES.iter().filter(|table| !table.global) {
        let text = format!("SELECT {} FROM {} WHERE organization_id = ", table.columns.join(", "), table.name);
        let mut statement = Statement::new(text);
        statement.bind(&from);
        let mut batch = Batch::default();
        let owner = table.columns.iter().position(|column| *column == "organization_id");
        for row in store.rows(Some(from), statement).await? {
            let mut row: Row = row.into_iter().map(readable).collect();
            for (at, cell) in row.iter_mut().enumerate() {
                match cell {
                    _ if Some(at) == owner => *cell = Value::Uuid(to.uuid()),
                    // Hashes of secrets, of which the whole database has one each.
                    Value::Bytes(bytes) => bytes.iter_mut().for_each(|byte| *byte = !*byte),
                    _ => {}
                }
            }
            // Facts without their events, as nobody may write them but a test.
            batch.writes.push(Write::Insert { table, row });
        }
        // Table by table: the rows that others refer to come first.
        store.commit(to, batch).await?;
    }
    Ok(())
}

/// SQLite keeps an id as its bytes.
fn readable(value: Value) -> Value {
    match &value {
        Value::Bytes(bytes) => uuid::Uuid::from_slice(bytes).map_or(value, Value::Uuid),
        _ => value,
    }
}
