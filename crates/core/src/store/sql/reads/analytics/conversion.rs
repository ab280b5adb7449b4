//! How contacts and deals go through stages.

use super::{
    super::{pipelines::mover, select::cell},
    group,
};
use crate::{
    domain::{event::SubjectKind, pipeline::MoverKind},
    error::Result,
    id::OrganizationId,
    ports::store::{ConversionFilter, GroupBy, Row, StageConversion},
    store::sql::statement::Statement,
};

/// One row for each stage, or for each stage and group: id, entered, moved on, lost, the two middle times in microseconds
/// (the same one twice for an odd number), and the group. The median is their mean, as SQL's `percentile_cont` has it,
/// which SQLite lacks.
pub(in super::super) fn conversion(organization: OrganizationId, filter: &ConversionFilter) -> Statement {
    let grouped = filter.group_by.is_some();
    let (group, of_group, and_group) =
        if grouped { (", e.grp", ", r.grp", ", s.order_index, r.grp") } else { ("", "", ", s.order_index") };
    let mut statement = Statement::new("WITH ");
    spans(&mut statement, filter);
    statement
        .push("entries AS (SELECT h.to_stage_id AS stage_id, h.left_at - h.moved_at AS spent, n.kind AS next_kind, ");
    statement.push("n.pipeline_id AS next_pipeline, n.order_index AS next_index");
    entries(&mut statement, organization, filter);
    // Nulls are put last by hand: the databases disagree on where they sort.
    statement.push(&format!(
        "), ranked AS (SELECT e.*, COUNT(e.spent) OVER (PARTITION BY e.stage_id{group}) AS departed, ROW_NUMBER() OVER \
         (PARTITION BY e.stage_id{group} ORDER BY CASE WHEN e.spent IS NULL THEN 1 ELSE 0 END, e.spent) AS place \
         FROM entries e) SELECT s.id, COUNT(r.stage_id), \
         COUNT(CASE WHEN r.next_pipeline = s.pipeline_id AND (r.next_kind = 'won' \
         OR r.next_kind <> 'lost' AND r.next_index > s.order_index) THEN 1 END), \
         COUNT(CASE WHEN r.next_kind = 'lost' THEN 1 END), \
         MIN(CASE WHEN r.place = (r.departed + 1) / 2 THEN r.spent END), \
         MIN(CASE WHEN r.place = (r.departed + 2) / 2 THEN r.spent END){of_group} \
         FROM stages s {} JOIN ranked r ON r.stage_id = s.id WHERE s.organization_id = ",
        if grouped { "INNER" } else { "LEFT" }
    ));
    statement.bind(&organization).push(" AND s.pipeline_id = ").bind(&filter.pipeline);
    statement.push(" GROUP BY s.id").push(and_group).push(" ORDER BY s.order_index, s.id");
    statement
}

/// The spans as a table, if the entries are split up by them.
fn spans(statement: &mut Statement, filter: &ConversionFilter) {
    let Some(GroupBy::Spans(spans)) = &filter.group_by else { return };
    statement.push("spans (place, starts, ends) AS (VALUES ");
    for (place, span) in spans.iter().enumerate() {
        statement.push(if place == 0 { "" } else { ", " });
        statement.push(&format!("(CAST({place} AS bigint), CAST(")).bind(&span.from);
        statement.push(" AS bigint), CAST(").bind(&span.to).push(" AS bigint))");
    }
    statement.push("), ");
}

/// The rest of the entries: what they are split up by, where from, and which.
fn entries(statement: &mut Statement, organization: OrganizationId, filter: &ConversionFilter) {
    let deals = filter.subject == MoverKind::Deal;
    let subject = if deals { "d" } else { "c" };
    let owner = filter.group_by == Some(GroupBy::Owner);
    let by_source = filter.group_by == Some(GroupBy::Source) || filter.source.is_some();
    let of_subject = owner || filter.assigned_to.is_some() || filter.team_id.is_some();
    let in_spans = matches!(filter.group_by, Some(GroupBy::Spans(_)));
    statement.push(&match &filter.group_by {
        None => String::new(),
        Some(GroupBy::Owner) => format!(", {subject}.assigned_to AS grp"),
        Some(GroupBy::Source) => ", c.source AS grp".to_owned(),
        Some(GroupBy::Spans(_)) => ", b.place AS grp".to_owned(),
        Some(GroupBy::Month) => ", NULL AS grp".to_owned(),
    });
    // SQLite goes through a CROSS JOIN in the order in which it is written: each span of each stage is one range.
    statement.push(if in_spans {
        " FROM stages p CROSS JOIN spans b CROSS JOIN stage_history h"
    } else {
        " FROM stages p JOIN stage_history h ON h.organization_id = p.organization_id AND h.to_stage_id = p.id"
    });
    if deals && (of_subject || by_source) {
        statement.push(" JOIN deals d ON d.organization_id = h.organization_id AND d.id = h.deal_id");
    }
    if by_source || (of_subject && !deals) {
        let id = if deals { "d.contact_id" } else { "h.contact_id" };
        statement.push(if deals { " LEFT" } else { "" });
        statement.push(&format!(" JOIN contacts c ON c.organization_id = h.organization_id AND c.id = {id}"));
    }
    statement.push(" LEFT JOIN stages n ON n.organization_id = h.organization_id AND n.id = h.left_to");
    statement.push(" WHERE p.organization_id = ").bind(&organization);
    statement.push(" AND p.pipeline_id = ").bind(&filter.pipeline);
    statement.push(" AND h.organization_id = ").bind(&organization);
    let mover = mover(if deals { SubjectKind::Deal } else { SubjectKind::Contact });
    statement.push(" AND h.").push(mover).push(" IS NOT NULL");
    if in_spans {
        statement.push(" AND h.to_stage_id = p.id AND h.moved_at >= b.starts AND h.moved_at < b.ends");
    } else {
        statement.push(" AND h.moved_at >= ").bind(&filter.period.from);
        statement.push(" AND h.moved_at < ").bind(&filter.period.to);
    }
    if let Some(user) = &filter.assigned_to {
        statement.push(&format!(" AND {subject}.assigned_to = ")).bind(user);
    }
    if let Some(team) = &filter.team_id {
        statement.push(&format!(" AND {subject}.team_id = ")).bind(team);
    }
    if let Some(source) = &filter.source {
        statement.push(" AND c.source = ").bind(source);
    }
}

pub(super) fn read(row: Row, by: Option<&GroupBy>) -> Result<StageConversion> {
    let row = &mut row.into_iter();
    let (stage_id, entered, moved_on, lost) = (cell(row)?, cell(row)?, cell(row)?, cell(row)?);
    let middle: (Option<i64>, Option<i64>) = (cell(row)?, cell(row)?);
    let median_seconds = match middle {
        (Some(lower), Some(upper)) => Some((lower as f64 + upper as f64) / 2e6),
        _ => None,
    };
    Ok(StageConversion { group: group(row, by)?, stage_id, entered, moved_on, lost, median_seconds })
}
