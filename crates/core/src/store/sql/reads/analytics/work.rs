//! What people did: messages, answers, deals won. Each is one range of an index over the period.

use super::{super::select::cell, amount, summed};
use crate::{
    error::Result,
    id::OrganizationId,
    ports::store::{MessageCount, Row, Waits, WonSum, WorkFilter},
    store::sql::statement::Statement,
};

/// How many messages people sent, how many replies came, and how many answered somebody who waited.
pub(in super::super) fn messages(organization: OrganizationId, filter: &WorkFilter) -> Statement {
    let mut statement = credits(organization, filter, "");
    statement.push(
        "SELECT p.user_id, COUNT(CASE WHEN p.kind = 'sent' THEN 1 END), COUNT(CASE WHEN p.kind = 'reply' THEN 1 END), \
         COUNT(p.waited_us) FROM picked p GROUP BY p.user_id",
    );
    statement
}

/// Percentiles of how long people let contacts wait, by nearest rank: the time at place ⌈share × number⌉ of all in their
/// order. The last row is of all people together.
pub(in super::super) fn waits(organization: OrganizationId, filter: &WorkFilter) -> Statement {
    let mut statement = credits(organization, filter, " AND t.waited_us IS NOT NULL");
    statement.push(
        ", ranked AS (SELECT p.user_id, p.waited_us, ROW_NUMBER() OVER (PARTITION BY p.user_id ORDER BY p.waited_us) AS \
         place, COUNT(*) OVER (PARTITION BY p.user_id) AS answers, ROW_NUMBER() OVER (ORDER BY p.waited_us) AS \
         place_in_all, COUNT(*) OVER () AS all_answers FROM picked p) ",
    );
    let at = |place: &str, of: &str| {
        let share =
            |percent| format!("MIN(CASE WHEN r.{place} = (r.{of} * {percent} + 99) / 100 THEN r.waited_us END)");
        [50, 90, 95].map(share).join(", ")
    };
    statement.push(&format!(
        "SELECT r.user_id, {} FROM ranked r GROUP BY r.user_id UNION ALL SELECT NULL, {} FROM ranked r",
        at("place", "answers"),
        at("place_in_all", "all_answers"),
    ));
    statement
}

/// The credits of the period.
fn credits(organization: OrganizationId, filter: &WorkFilter, and: &str) -> Statement {
    let mut statement = Statement::new(
        "WITH picked AS MATERIALIZED (SELECT t.user_id, t.kind, t.waited_us FROM message_credits t \
         WHERE t.organization_id = ",
    );
    statement.bind(&organization);
    statement.push(" AND t.at >= ").bind(&filter.period.from).push(" AND t.at < ").bind(&filter.period.to).push(and);
    of_people(&mut statement, organization, filter, "user_id");
    statement.push(") ");
    statement
}

/// Deals that are won, and were so in the period, by who looks after them and by currency.
pub(in super::super) fn won(organization: OrganizationId, filter: &WorkFilter) -> Statement {
    let mut statement = Statement::new(
        "WITH picked AS MATERIALIZED (SELECT t.assigned_to, t.value_currency, t.value_amount FROM deals t \
         WHERE t.organization_id = ",
    );
    statement.bind(&organization).push(" AND t.deleted_at IS NULL");
    statement.push(" AND t.closed_at >= ").bind(&filter.period.from);
    statement.push(" AND t.closed_at < ").bind(&filter.period.to);
    statement.push(" AND CASE WHEN t.status = 'won' THEN 1 ELSE 0 END <> 0");
    of_people(&mut statement, organization, filter, "assigned_to");
    statement.push(") SELECT p.assigned_to, p.value_currency, COUNT(*), ").push(&summed("p.value_amount"));
    statement.push(" FROM picked p GROUP BY p.assigned_to, p.value_currency");
    statement
}

/// Of whom, if of some alone. Tested row by row: the range of the period is what is walked.
fn of_people(statement: &mut Statement, organization: OrganizationId, filter: &WorkFilter, column: &str) {
    if let Some(user) = &filter.user_id {
        statement.push(&format!(" AND CASE WHEN t.{column} = ")).bind(user).push(" THEN 1 ELSE 0 END <> 0");
    }
    if let Some(team) = &filter.team_id {
        statement.push(&format!(" AND t.{column} IN (SELECT m.user_id FROM team_members m WHERE m.organization_id = "));
        statement.bind(&organization).push(" AND m.team_id = ").bind(team).push(")");
    }
}

pub(super) fn message_count(row: Row) -> Result<MessageCount> {
    let row = &mut row.into_iter();
    Ok(MessageCount { user_id: cell(row)?, sent: cell(row)?, replies: cell(row)?, answers: cell(row)? })
}

/// A row of percentiles; `None` where nobody was answered.
pub(super) fn read_waits(row: Row) -> Result<Option<Waits>> {
    let row = &mut row.into_iter();
    let user_id = cell(row)?;
    let (p50, p90, p95): (Option<i64>, Option<i64>, Option<i64>) = (cell(row)?, cell(row)?, cell(row)?);
    let all = p50.zip(p90).zip(p95);
    Ok(all.map(|((p50, p90), p95)| Waits { user_id, p50, p90, p95 }))
}

pub(super) fn won_sum(row: Row) -> Result<WonSum> {
    let row = &mut row.into_iter();
    Ok(WonSum { user_id: cell(row)?, currency: cell(row)?, count: cell(row)?, amount: amount(row)? })
}
