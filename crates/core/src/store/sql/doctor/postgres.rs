//! What must be true of a PostgreSQL database: the schema, a role that row-level security binds, a policy on every table.

use chrono::{DateTime, Utc};

use super::{AUDIT, CLOCK, Finding, Level, ROLE, SCHEMA, WALL, clock, drift, is_global, text};
use crate::{
    env::Env,
    error::{Error, Result},
    ports::store::{Column, Value},
    store::sql::{Db, migrate, postgres::Postgres, statement::Statement},
};

/// Fails unless the schema is this program's and row-level security binds the role.
pub(crate) async fn check_postgres(postgres: &Postgres) -> Result<()> {
    migrate::check_postgres(postgres).await?;
    let unfit = role(postgres).await?.into_iter().filter(|finding| finding.level == Level::Broken);
    let unfit: Vec<_> = unfit.map(|finding| finding.sentence).collect();
    if unfit.is_empty() { Ok(()) } else { Err(Error::conflict("role_unfit", unfit.join("; "))) }
}

pub(super) async fn examine(postgres: &Postgres, env: &Env) -> Result<Vec<Finding>> {
    let mut findings = match migrate::check_postgres(postgres).await {
        Ok(()) => schema(postgres).await?,
        Err(error) if error.kind() == crate::ErrorKind::Unavailable => return Err(error),
        Err(error) => vec![Finding::broken(SCHEMA, error.message())],
    };
    findings.extend(role(postgres).await?);
    findings.extend(walls(postgres).await?);
    findings.extend(log(postgres).await?);
    findings.push(skew(postgres, env).await?);
    Ok(findings)
}

async fn schema(postgres: &Postgres) -> Result<Vec<Finding>> {
    let columns = "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
                   WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
                   AND a.attnum > 0 AND NOT a.attisdropped";
    let indexes = "SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
                   WHERE i.relnamespace = current_schema()::regnamespace AND x.indisvalid";
    let columns = postgres.read(None, &Statement::new(columns)).await?;
    let indexes = postgres.read(None, &Statement::new(indexes)).await?;
    drift::findings(Db::Postgres, columns, indexes)
}

/// How far this machine's clock and the database's are apart.
async fn skew(postgres: &Postgres, env: &Env) -> Result<Finding> {
    let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)";
    let before = env.now();
    let rows = postgres.read(None, &Statement::new(sql)).await?;
    let after = env.now();
    let there = rows.into_iter().flatten().next().unwrap_or(Value::Null);
    let there = DateTime::<Utc>::from_value(there)?;
    // The answer is from in between.
    Ok(match (before - there).max(there - after) {
        apart if apart > clock::MOST => Finding::broken(
            CLOCK,
            format!("the database's clock and this machine's are {} s apart: {}", apart.num_seconds(), clock::REMEDY),
        ),
        _ => Finding::fine(CLOCK, "the database's and this machine's agree"),
    })
}

/// A log that the role may rewrite shows what whoever has the role wants it to show.
async fn log(postgres: &Postgres) -> Result<Option<Finding>> {
    let sql = "SELECT has_table_privilege(c.oid, 'DELETE') OR has_table_privilege(c.oid, 'TRUNCATE') OR EXISTS (SELECT 1 \
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               AND a.attname NOT IN ('payload', 'seq', 'seal', 'sealed_by', 'sealed') AND has_column_privilege(c.oid, a.attnum, 'UPDATE')) \
               FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = 'audit_entries'";
    let open = postgres.read(None, &Statement::new(sql)).await?.into_iter().flatten().next() == Some(Value::Bool(true));
    let sentence = "the role may remove or rewrite what the audit log tells: run `dealwright-server migrate` again, which takes \
                    that from it";
    Ok(open.then(|| Finding::broken(AUDIT, sentence)))
}

/// A row-level security that the role is not bound by is none.
async fn role(postgres: &Postgres) -> Result<Vec<Finding>> {
    let sql = "SELECT rolname::text, rolsuper, rolbypassrls, EXISTS (SELECT 1 FROM pg_class \
               WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') \
               AND pg_has_role(current_user, relowner, 'MEMBER')) FROM pg_roles WHERE rolname = current_user";
    let rows = postgres.read(None, &Statement::new(sql)).await?;
    let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
    let name = text(row.next())?;
    let [superuser, bypasses, owns] = [row.next(), row.next(), row.next()].map(|it| it == Some(Value::Bool(true)));
    let mut findings = Vec::new();
    let mut broken = |is: bool, what: &str, remedy: &str| {
        if is {
            findings.push(Finding::broken(
                ROLE,
                format!("the role {name} {what}, so organisations are not kept apart: {remedy}"),
            ));
        }
    };
    let alter = format!("ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS, or use another one");
    broken(superuser, "is a superuser", &alter);
    broken(bypasses, "may bypass row-level security", &alter);
    // A superuser may act as every owner; that has been said.
    let remedy = "use a role of its own for the engine, and the owner for `dealwright-server migrate` alone";
    broken(
        owns && !superuser,
        "owns tables, or may act as their owner, and could switch row-level security off",
        remedy,
    );
    if findings.is_empty() {
        findings.push(Finding::fine(ROLE, format!("row-level security binds the role {name}")));
    }
    Ok(findings)
}

async fn walls(postgres: &Postgres) -> Result<Vec<Finding>> {
    let sql = "SELECT relname::text, relrowsecurity, relforcerowsecurity, \
               (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid), \
               (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid AND polcmd = '*' \
               AND pg_get_expr(polqual, polrelid) LIKE '%organization_id = %app.organization_id%' \
               AND pg_get_expr(polwithcheck, polrelid) LIKE '%organization_id = %app.organization_id%') \
               FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') \
               ORDER BY relname";
    let mut findings = Vec::new();
    let mut bound = 0;
    for row in postgres.read(None, &Statement::new(sql)).await? {
        let mut row = row.into_iter();
        let table = text(row.next())?;
        if is_global(&table) || !drift::is_known(&table) {
            continue;
        }
        let [enabled, forced] = [row.next(), row.next()].map(|it| it == Some(Value::Bool(true)));
        let (all, ours) = (row.next(), row.next());
        let sentence = if !enabled {
            format!("is off for {table}: ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        } else if !forced {
            format!("does not bind the owner of {table}: ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        } else if ours == Some(Value::Int(0)) {
            format!("of {table} lacks the policy that compares organization_id with app.organization_id")
        } else if all != ours {
            format!("of {table} has a further policy, which lets more rows through: drop it")
        } else {
            bound += 1;
            continue;
        };
        findings.push(Finding::broken(WALL, sentence));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(WALL, format!("is forced for all {bound} tables of organisations")));
    }
    Ok(findings)
}
