//! One statement on one connection, and values on their way in and out.

use rusqlite::{
    Connection, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    error::{Error, Result},
    ports::store::{Row, Value},
    store::sql::{error::from_sqlite, script::Outcome, statement::Statement},
};

/// Runs a statement without values or answer.
pub(super) fn execute(connection: &Connection, sql: &str) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    statement.raw_execute().map(drop).map_err(from_sqlite)
}

/// Runs one statement.
pub(crate) fn run(connection: &Connection, statement: &Statement) -> Result<Outcome> {
    let mut prepared = connection.prepare_cached(&statement.text).map_err(from_sqlite)?;
    if prepared.parameter_count() != statement.values.len() {
        return Err(Error::internal(format!(
            "a statement has {} placeholders and {} values: {}",
            prepared.parameter_count(),
            statement.values.len(),
            statement.text
        )));
    }
    for (place, value) in (1..).zip(&statement.values) {
        prepared.raw_bind_parameter(place, value).map_err(from_sqlite)?;
    }
    let columns = prepared.column_count();
    if columns == 0 {
        let count = prepared.raw_execute().map_err(from_sqlite)?;
        return Ok(Outcome { count: count as u64, rows: Vec::new() });
    }
    let mut answer = prepared.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = answer.next().map_err(from_sqlite)? {
        let values = (0..columns).map(|place| row.get_ref(place).map_err(from_sqlite).and_then(value));
        rows.push(values.collect::<Result<Row>>()?);
    }
    Ok(Outcome { count: rows.len() as u64, rows })
}

fn value(value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(
            String::from_utf8(text.to_vec())
                .map_err(|e| Error::internal("a text in the database is not UTF-8").with_source(e))?,
        ),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Uuid(value) => ValueRef::Blob(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}
