//! A batch as a script. The order of its statements is the same for every batch, so that two commits take PostgreSQL's
//! locks in one order: subjects, guards, rows by table, events, work. Every write is checked to stay inside the
//! organisation: the first of the two walls (ARCHITECTURE, decision 5).

use crate::{
    error::{Error, Result},
    id::OrganizationId,
    ports::store::{Batch, Column, Guard, Must, Row, TABLES, Table, Update, Value, Write, batch::Cell, record::SEATS},
    store::sql::{
        db::Db,
        events,
        script::{Check, Otherwise, Script},
        statement::Statement,
        work,
    },
};

/// Tables that foreign keys of others point at. Their rows go last, after what pointed at them.
pub(crate) const REFERENCED: &[&str] = &[
    "organizations",
    "master_keys",
    "common_keys",
    "data_keys",
    "users",
    "teams",
    "pipelines",
    "stages",
    "contacts",
    "companies",
    "custom_fields",
    "deals",
    "accounts",
    "chats",
];

/// The script of a batch.
///
/// # Errors
/// `internal` for a write into another organisation or one that makes no sense; `malformed` for a text that no database
/// keeps.
pub(crate) fn render(db: Db, organization: OrganizationId, batch: Batch) -> Result<Script> {
    let seats = batch.writes.iter().any(|write| SEATS.contains(&write.table().name));
    let mut script = Script { seats, ..Script::default() };
    events::lock_subjects(db, organization, &batch, &mut script)?;
    for guard in batch.guards {
        script.steps.extend([render_guard(db, organization, guard)?]);
    }
    render_writes(db, organization, batch.writes, &mut script)?;
    events::insert(organization, batch.events.as_slice(), &mut script)?;
    work::render(db, organization, &batch.events, batch.work, batch.removed_work, batch.ends, &mut script)?;
    let nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    if script.steps.iter().any(|step| step.statement.values.iter().any(nul)) {
        return Err(Error::malformed("a text holds the character U+0000, which cannot be kept: remove it"));
    }
    Ok(script)
}

/// Writes by table in the order of [`TABLES`], which puts what is pointed at first; in one table as they were given.
/// Removals of what is pointed at come last, the other way round.
fn render_writes(db: Db, organization: OrganizationId, writes: Vec<Write>, script: &mut Script) -> Result<()> {
    let rank = |write: &Write| {
        let table = write.table();
        let place = TABLES.iter().position(|it| it.name == table.name).unwrap_or(TABLES.len());
        let last = matches!(write, Write::Delete { .. }) && REFERENCED.contains(&table.name);
        if last { 2 * TABLES.len() - place } else { place }
    };
    let mut ranked: Vec<_> = writes.into_iter().map(|write| (rank(&write), write)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut inserts = Inserts::default();
    for (_, write) in ranked {
        match write {
            Write::Insert { table, row } => inserts.add(organization, table, false, row, script)?,
            Write::InsertOrSkip { table, row } => inserts.add(organization, table, true, row, script)?,
            other => {
                inserts.flush(script);
                render_write(db, organization, other, script)?;
            }
        }
    }
    inserts.flush(script);
    Ok(())
}

/// Rows that go into one table one after the other: one statement inserts several.
#[derive(Default)]
struct Inserts {
    into: Option<(&'static Table, bool)>,
    rows: Vec<Row>,
}

impl Inserts {
    fn add(
        &mut self,
        organization: OrganizationId,
        table: &'static Table,
        skip: bool,
        row: Row,
        script: &mut Script,
    ) -> Result<()> {
        check_row(organization, table, &row)?;
        if self.into.is_some_and(|(into, skips)| into.name != table.name || skips != skip) {
            self.flush(script);
        }
        self.into = Some((table, skip));
        self.rows.push(row);
        Ok(())
    }

    fn flush(&mut self, script: &mut Script) {
        let Some((table, skip)) = self.into.take() else { return };
        let mut rows = std::mem::take(&mut self.rows).into_iter();
        while rows.len() > 0 {
            let mut statement = insert_into(table);
            let size = piece(rows.len());
            for (place, row) in rows.by_ref().take(size).enumerate() {
                statement.push(if place == 0 { "(" } else { ", (" });
                bind_row(&mut statement, row);
                statement.push(")");
            }
            if skip {
                statement.push(" ON CONFLICT DO NOTHING");
            }
            script.push(statement, Check::Any);
        }
    }
}

/// How many of `rows` one statement takes: few different sizes, so that the prepared statements stay few.
pub(crate) fn piece(rows: usize) -> usize {
    if rows <= 8 { rows } else { 1 << rows.min(64).ilog2() }
}

pub(crate) fn insert_into(table: &Table) -> Statement {
    Statement::new(format!("INSERT INTO {} ({}) VALUES ", table.name, table.columns.join(", ")))
}

fn bind_row(statement: &mut Statement, row: Row) {
    for (place, value) in row.into_iter().enumerate() {
        if place > 0 {
            statement.push(", ");
        }
        statement.bind_value(value);
    }
}

fn render_write(db: Db, organization: OrganizationId, write: Write, script: &mut Script) -> Result<()> {
    match write {
        Write::Insert { .. } | Write::InsertOrSkip { .. } => {}
        Write::Put { table, row } => {
            check_row(organization, table, &row)?;
            script.push(put(table, row), Check::Any);
        }
        Write::Update(update) => {
            let table = update.table.name;
            check_key(organization, &update)?;
            let check = Check::Exactly(1, Otherwise::Changed(table));
            script.push(render_update(db, update), check);
        }
        Write::Delete { table, filter, .. } => {
            check_filter(organization, table, &filter)?;
            let mut statement = Statement::new(format!("DELETE FROM {}", table.name));
            conditions(&mut statement, filter);
            script.push(statement, Check::Any);
        }
    }
    Ok(())
}

fn put(table: &Table, row: Row) -> Statement {
    let mut statement = insert_into(table);
    statement.push("(");
    bind_row(&mut statement, row);
    statement.push(") ON CONFLICT (").push(&table.key.join(", ")).push(") DO ");
    let rest: Vec<_> = table.columns.iter().filter(|column| !table.key.contains(column)).collect();
    if rest.is_empty() {
        statement.push("NOTHING");
    }
    for (place, column) in rest.iter().enumerate() {
        statement.push(if place == 0 { "UPDATE SET " } else { ", " });
        statement.push(column).push(" = excluded.").push(column);
    }
    statement
}

fn render_update(db: Db, update: Update) -> Statement {
    let table = update.table;
    let mut statement = Statement::default();
    let mut first = true;
    let mut begin = |statement: &mut Statement, column: &str| {
        let before =
            if std::mem::replace(&mut first, false) { format!("UPDATE {} SET ", table.name) } else { ", ".into() };
        statement.push(&before).push(column).push(" = ");
    };
    for (column, value) in update.set {
        begin(&mut statement, column);
        statement.bind_value(value);
    }
    for (column, by) in update.add {
        begin(&mut statement, column);
        statement.push(column).push(" + ").bind(&by);
    }
    // The larger of anything and nothing is what is there already.
    for (column, value) in update.max.into_iter().filter(|(_, value)| *value != Value::Null) {
        begin(&mut statement, column);
        statement.push(db.greatest()).push("(COALESCE(").push(column).push(", ");
        statement.bind_value(value).push("), ").rebind().push(")");
    }
    let changes = !first;
    if !changes {
        statement.push("SELECT 1 FROM ").push(table.name);
    }
    let key = table.key.iter().copied().zip(update.key);
    conditions(&mut statement, key.chain(update.expect));
    if !changes {
        statement.push(db.for_update());
    }
    statement
}

fn render_guard(db: Db, organization: OrganizationId, guard: Guard) -> Result<crate::store::sql::script::Step> {
    check_filter(organization, guard.table, &guard.filter)?;
    let mut statement = Statement::new(format!("SELECT 1 FROM {}", guard.table.name));
    conditions(&mut statement, guard.filter);
    let (code, sentence) = guard.otherwise;
    let otherwise = Otherwise::Conflict(code, sentence);
    let check = match guard.must {
        Must::BeLocked => {
            statement.push(db.for_update());
            Check::Some(otherwise)
        }
        Must::BeAbsent => {
            statement.push(" LIMIT 1");
            Check::None(otherwise)
        }
    };
    Ok(crate::store::sql::script::Step { statement, check })
}

/// Appends ` WHERE` and that every column has its value; null is a value here.
fn conditions(statement: &mut Statement, cells: impl IntoIterator<Item = Cell>) {
    for (place, (column, value)) in cells.into_iter().enumerate() {
        statement.push(if place == 0 { " WHERE " } else { " AND " }).push(column);
        match value {
            Value::Null => statement.push(" IS NULL"),
            value => statement.push(" = ").bind_value(value),
        };
    }
}

pub(crate) fn outside(table: &Table) -> Error {
    Error::internal(format!("a write to {} does not name the organisation that it is committed for", table.name))
}

fn check_row(organization: OrganizationId, table: &Table, row: &Row) -> Result<()> {
    if row.len() != table.columns.len() {
        return Err(Error::internal(format!("a row of {} has {} columns", table.name, row.len())));
    }
    let own = organization.to_value();
    if table.global || row.get(table.position("organization_id")?) == Some(&own) { Ok(()) } else { Err(outside(table)) }
}

fn check_key(organization: OrganizationId, update: &Update) -> Result<()> {
    let table = update.table;
    if update.key.len() != table.key.len() {
        return Err(Error::internal(format!("a key of {} has {} values", table.name, update.key.len())));
    }
    let own = organization.to_value();
    let named = table.key.iter().zip(&update.key).any(|(column, value)| *column == "organization_id" && *value == own);
    let moved = update.set.iter().any(|(column, value)| *column == "organization_id" && *value != own);
    if table.global || (named && !moved) { Ok(()) } else { Err(outside(table)) }
}

fn check_filter(organization: OrganizationId, table: &Table, filter: &[Cell]) -> Result<()> {
    let own = organization.to_value();
    let named = filter.iter().any(|(column, value)| *column == "organization_id" && *value == own);
    if named || (table.global && !filter.is_empty()) { Ok(()) } else { Err(outside(table)) }
}
