//! What the deals of a pipeline are worth.

use super::{
    super::{list::Conditions, select::cell},
    amount, group, summed,
};
use crate::{
    error::Result,
    id::{OrganizationId, PipelineId},
    ports::store::{DealSum, GroupBy, Row, ValueFilter},
    store::sql::statement::Statement,
};

/// What the deals of a pipeline are worth, by stage, currency and probability, and by group: a range of an index that has
/// all of it.
pub(in super::super) fn sums(organization: OrganizationId, pipeline: PipelineId, filter: &ValueFilter) -> Statement {
    // What is split up, and one user's or team's deals, are picked first: SQLite would rather walk all deals in the order
    // of the groups.
    let picked = filter.assigned_to.is_some() || filter.team_id.is_some() || filter.group_by.is_some();
    let by_source = filter.group_by == Some(GroupBy::Source);
    let mut statement = Statement::new(if picked {
        "WITH picked AS MATERIALIZED (SELECT t.stage_id, t.value_currency, t.probability, t.value_amount"
    } else {
        "SELECT t.stage_id, t.value_currency, t.probability, COUNT(*), "
    });
    statement.push(match &filter.group_by {
        None => "",
        Some(GroupBy::Owner) => ", t.assigned_to AS grp",
        Some(GroupBy::Source) => ", c.source AS grp",
        Some(GroupBy::Month) => ", substr(t.expected_close_on, 1, 7) AS grp",
        Some(GroupBy::Spans(_)) => ", CAST(NULL AS bigint) AS grp",
    });
    if !picked {
        statement.push(&summed("t.value_amount"));
    }
    statement.push(" FROM deals t");
    if by_source {
        statement.push(" LEFT JOIN contacts c ON c.organization_id = t.organization_id AND c.id = t.contact_id");
    }
    statement.push(" WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.deleted_at IS NULL");
    // One user's deals are few beside those of a pipeline.
    let mut conditions = Conditions::new();
    conditions.equal("assigned_to", filter.assigned_to.as_ref());
    conditions.equal("team_id", filter.team_id.as_ref());
    conditions.equal("pipeline_id", Some(&pipeline));
    conditions.push(&mut statement);
    for (than, day) in [(">=", &filter.from), ("<", &filter.to)] {
        if let Some(day) = day {
            statement.push(&format!(" AND t.expected_close_on {than} ")).bind(day);
        }
    }
    if let Some(source) = &filter.source {
        statement.push(" AND EXISTS (SELECT 1 FROM contacts o WHERE o.organization_id = ").bind(&organization);
        statement.push(" AND o.id = t.contact_id AND o.source = ").bind(source).push(")");
    }
    if !picked {
        statement.push(" GROUP BY t.stage_id, t.value_currency, t.probability");
        return statement;
    }
    let grp = if filter.group_by.is_some() { ", p.grp" } else { "" };
    statement.push(") SELECT p.stage_id, p.value_currency, p.probability, COUNT(*), ").push(&summed("p.value_amount"));
    statement.push(grp).push(" FROM picked p GROUP BY p.stage_id, p.value_currency, p.probability").push(grp);
    statement
}

pub(super) fn read(row: Row, by: Option<&GroupBy>) -> Result<DealSum> {
    let row = &mut row.into_iter();
    let (stage_id, currency, probability, count) = (cell(row)?, cell(row)?, cell(row)?, cell(row)?);
    let amount = amount(row)?;
    Ok(DealSum { group: group(row, by)?, stage_id, currency, probability, count, amount })
}
