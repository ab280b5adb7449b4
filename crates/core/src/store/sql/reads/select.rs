//! SELECTs that follow a record's columns, so that a row reads back as the record. In every statement made here the
//! record's table has the alias `t`, and the organisation is the first predicate.

use crate::{
    error::{Error, Result},
    id::OrganizationId,
    ports::store::{Column, Record, Row, Value},
    store::sql::{SqlStore, statement::Statement},
};

/// The most inputs that one statement takes: far below the placeholders either database allows.
const CHUNK: usize = 500;
/// SQLite takes 500 parts in one compound SELECT.
const PARTS: usize = 400;

/// Every column of `T`'s table, in order, behind `alias`; behind those of a personal row the key that opens it.
pub(super) fn columns<T: Record>(alias: &str) -> String {
    let mut columns: Vec<_> = T::TABLE.columns.iter().map(|column| format!("{alias}.{column}")).collect();
    if T::TABLE.personal {
        columns.push(format!(
            "(SELECT k.key FROM contact_keys k WHERE k.organization_id = {alias}.organization_id AND k.contact_id = \
             {alias}.sealed_by) AS key"
        ));
    }
    columns.join(", ")
}

/// The organisation's rows of `T`: goes on with ` AND …` or ` ORDER BY …`.
pub(super) fn select<T: Record>(organization: OrganizationId) -> Statement {
    let mut statement = select_global::<T>();
    statement.push("t.organization_id = ").bind(&organization);
    statement
}

/// The rows of a global table: goes on with a predicate.
pub(super) fn select_global<T: Record>() -> Statement {
    let mut statement = Statement::default();
    push_select::<T>(&mut statement);
    statement
}

fn push_select<T: Record>(statement: &mut Statement) {
    statement.push(&format!("SELECT {} FROM {} t WHERE ", columns::<T>("t"), T::TABLE.name));
}

/// The organisation's row of `T` whose `column` is `value`.
pub(super) fn select_by<T: Record>(organization: OrganizationId, column: &str, value: &impl Column) -> Statement {
    let mut statement = select::<T>(organization);
    statement.push(" AND t.").push(column).push(" = ").bind(value);
    statement
}

/// The organisation's rows of `T` with one of these ids.
pub(super) fn select_by_ids<T: Record>(organization: OrganizationId, ids: &[impl Column]) -> Statement {
    let mut statement = select::<T>(organization);
    statement.push(" AND t.id IN (").bind_all(ids).push(")");
    statement
}

/// The inputs without repeats, in portions that one statement takes.
pub(super) fn portions<T: Ord + Clone>(inputs: &[T]) -> Vec<Vec<T>> {
    let mut inputs = inputs.to_vec();
    inputs.sort();
    inputs.dedup();
    inputs.chunks(CHUNK).map(<[T]>::to_vec).collect()
}

/// The same for inputs that each become a part of one compound SELECT; one empty portion for none.
pub(super) fn portions_of_parts<T: Ord + Clone>(inputs: &[T]) -> Vec<Vec<T>> {
    let mut inputs = inputs.to_vec();
    inputs.sort();
    inputs.dedup();
    if inputs.is_empty() { vec![inputs] } else { inputs.chunks(PARTS).map(<[T]>::to_vec).collect() }
}

/// The organisation's rows of `T` by several limited selects, one for each of `parts`; in no order. `end` ends a part
/// that has come as far as [`select`].
pub(super) fn union<T: Record, P>(
    organization: OrganizationId,
    parts: &[P],
    mut end: impl FnMut(&P, &mut Statement),
) -> Statement {
    let mut statement = Statement::default();
    for (place, part) in parts.iter().enumerate() {
        statement.push(if place == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
        push_select::<T>(&mut statement);
        statement.push("t.organization_id = ").bind(&organization);
        end(part, &mut statement);
        statement.push(&format!(") AS u{place}"));
    }
    statement
}

/// Takes the next columns of a joined row, those of `T`, off its front.
pub(super) fn split<T: Record>(row: &mut Row) -> Result<T> {
    let count = T::TABLE.columns.len() + usize::from(T::TABLE.personal);
    if row.len() < count {
        return Err(Error::internal(format!("a joined row ends before {}", T::TABLE.name)));
    }
    let rest = row.split_off(count);
    T::from_row(std::mem::replace(row, rest))
}

/// Reads one column of a row that follows no record.
pub(super) fn cell<T: Column>(row: &mut std::vec::IntoIter<Value>) -> Result<T> {
    T::from_value(row.next().ok_or_else(|| Error::internal("a row ends too early"))?)
}

impl SqlStore {
    /// All records of a statement that selects exactly `T`'s columns.
    pub(super) async fn records<T: Record>(
        &self,
        organization: Option<OrganizationId>,
        statement: Statement,
    ) -> Result<Vec<T>> {
        self.rows(organization, statement).await?.into_iter().map(T::from_row).collect()
    }

    /// Several rows of `T` by their ids, in any order.
    pub(super) async fn by_ids<T: Record, I: Column + Ord + Clone>(
        &self,
        organization: OrganizationId,
        ids: &[I],
    ) -> Result<Vec<T>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in portions(ids) {
            found.extend(self.records(Some(organization), select_by_ids::<T>(organization, &ids)).await?);
        }
        Ok(found)
    }

    /// The first record of a statement that selects exactly `T`'s columns.
    pub(super) async fn record<T: Record>(
        &self,
        organization: Option<OrganizationId>,
        statement: Statement,
    ) -> Result<Option<T>> {
        self.rows(organization, statement).await?.into_iter().next().map(T::from_row).transpose()
    }
}
