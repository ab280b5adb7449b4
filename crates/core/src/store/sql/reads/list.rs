//! Keyset pages: one SELECT with one row more than the page holds, along an index on (sort key, id). Rows that come or
//! go between two pages neither repeat nor hide others.

use crate::{
    error::Result,
    id::{Id, OrganizationId},
    page::{ListKey, Page, PageRequest, Position, SortValue, invalid_cursor},
    ports::store::{Column, Record, Row, Value},
    store::sql::{SqlStore, statement::Statement},
};

/// The order of a list: a sort key that is never null and, unless no two rows share one, the id to break ties, both in
/// one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// The sort key as the index has it.
    pub(super) key: &'static str,
    /// Whether the key is a text; else it is a number.
    pub(super) text: bool,
    /// Largest first.
    pub(super) descending: bool,
    /// Whether no two rows of the list have the same key.
    pub(super) unique: bool,
    /// The id that breaks ties.
    pub(super) id: &'static str,
}

impl Order {
    /// Largest, hence newest, first by a number or time.
    pub(super) const fn newest(key: &'static str) -> Self {
        Self { key, text: false, descending: true, unique: false, id: "t.id" }
    }

    /// Largest first by a number that only one row has.
    pub(super) const fn last(key: &'static str) -> Self {
        Self { key, text: false, descending: true, unique: true, id: "t.id" }
    }

    /// Ends a statement whose last clause is a `WHERE`: the rows after the cursor, in order, one more than the page's
    /// limit, which is returned.
    ///
    /// # Errors
    /// `invalid_cursor`; `invalid_parameter` for a limit out of bounds.
    pub(super) fn finish(self, statement: &mut Statement, list: ListKey, request: &PageRequest) -> Result<usize> {
        let limit = request.checked_limit()?;
        let (than, direction) = if self.descending { (" < ", " DESC") } else { (" > ", "") };
        if let Some(cursor) = &request.cursor {
            let position = Position::decode(cursor, list)?;
            statement.push(" AND (").push(self.key);
            if !self.unique {
                statement.push(", ").push(self.id);
            }
            statement.push(")").push(than).push("(");
            match &position.value {
                SortValue::Int(value) if !self.text => statement.bind(value),
                // PostgreSQL keeps no NUL in a text, so no row of ours has given us this one.
                SortValue::Text(value) if self.text && !value.contains('\0') => statement.bind(value),
                _ => return Err(invalid_cursor()),
            };
            if !self.unique {
                statement.push(", ").bind(&position.id);
            }
            statement.push(")");
        }
        statement.push(" ORDER BY ").push(self.key).push(direction);
        if !self.unique {
            statement.push(", ").push(self.id).push(direction);
        }
        statement.limit(i64::from(limit) + 1);
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }
}

/// The position of a row by a number.
pub(super) fn by_number(value: i64, id: impl Id) -> Position {
    Position { value: SortValue::Int(value), id: id.uuid() }
}

/// The position of a row by a time.
pub(super) fn by_time(time: chrono::DateTime<chrono::Utc>, id: impl Id) -> Position {
    by_number(time.timestamp_micros(), id)
}

/// The page that the rows of a finished statement make.
pub(super) fn page<T>(
    rows: Vec<Row>,
    limit: usize,
    list: ListKey,
    read: impl Fn(Row) -> Result<T>,
    place: impl Fn(&T) -> Position,
) -> Result<Page<T>> {
    let more = rows.len() > limit;
    let data = rows.into_iter().take(limit).map(read).collect::<Result<Vec<T>>>()?;
    let next_cursor = data.last().filter(|_| more).map(|last| place(last).encode(list));
    Ok(Page { data, next_cursor })
}

impl SqlStore {
    /// A page of the records of an unfinished statement.
    pub(super) async fn page_of<T: Record>(
        &self,
        organization: OrganizationId,
        mut statement: Statement,
        order: Order,
        list: ListKey,
        request: &PageRequest,
        place: impl Fn(&T) -> Position,
    ) -> Result<Page<T>> {
        let limit = order.finish(&mut statement, list, request)?;
        page(self.rows(Some(organization), statement).await?, limit, list, T::from_row, place)
    }
}

/// Adds ` AND t.column = value` for a value that is there.
pub(super) fn and_equal(statement: &mut Statement, column: &str, value: Option<&impl Column>) {
    if let Some(value) = value {
        statement.push(" AND t.").push(column).push(" = ").bind(value);
    }
}

/// The conditions of a list, the most telling one first: its index is walked, the others are tested row by row. SQLite
/// has no idea which of two indexes has fewer rows for a value, and either may be wrong by a factor of a million.
pub(super) struct Conditions<'a>(Vec<Condition<'a>>);

enum Condition<'a> {
    Equal(&'static str, &'a dyn Bind),
    Plain(&'static str),
}

trait Bind {
    fn value(&self) -> Value;
}

impl<T: Column> Bind for T {
    fn value(&self) -> Value {
        self.to_value()
    }
}

impl<'a> Conditions<'a> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// A column has this value, if there is one.
    pub(super) fn equal(&mut self, column: &'static str, value: Option<&'a impl Column>) {
        self.0.extend(value.map(|value| Condition::Equal(column, value as &dyn Bind)));
    }

    /// A predicate holds, if there is one.
    pub(super) fn plain(&mut self, predicate: Option<&'static str>) {
        self.0.extend(predicate.map(Condition::Plain));
    }

    /// Adds them to a statement's `WHERE`.
    pub(super) fn push(self, statement: &mut Statement) {
        let more = self.0.len() > 1;
        for (place, condition) in self.0.into_iter().enumerate() {
            statement.push(if place == 1 { OPAQUE } else { " AND " });
            match condition {
                Condition::Equal(column, value) => {
                    statement.push("t.").push(column).push(" = ").bind_value(value.value())
                }
                Condition::Plain(predicate) => statement.push(predicate),
            };
        }
        if more {
            statement.push(OPAQUE_END);
        }
    }
}

/// Behind a `CASE` no planner takes a condition for a reason to leave the index of those before; PostgreSQL, which cannot
/// see into it, takes `<> 0` to hold for nearly all rows, where it would take `= 1` to hold for few and sort those.
pub(in super::super) const OPAQUE: &str = " AND CASE WHEN ";
/// Ends what [`OPAQUE`] begins.
pub(in super::super) const OPAQUE_END: &str = " THEN 1 ELSE 0 END <> 0";
