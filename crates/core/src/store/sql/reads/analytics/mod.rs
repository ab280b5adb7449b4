//! Analytics: ranges of indexes, folded. What is split up is picked first and folded then, so that no planner walks a whole
//! table in the order of the groups.

mod conversion;
mod value;
mod work;

use async_trait::async_trait;

pub(super) use self::{
    conversion::conversion,
    value::sums,
    work::{messages, waits, won},
};
use super::select::cell;
use crate::{
    error::{Error, Result},
    id::*,
    ports::store::{
        AnalyticsReads, ConversionFilter, DealSum, Group, GroupBy, MessageCount, StageConversion, Value, ValueFilter,
        Waits, WonSum, WorkFilter,
    },
    store::sql::SqlStore,
};

/// Amounts are summed up in two parts, above and below this: neither sum leaves 64 bits, however many deals there are.
const PART: i64 = 1_000_000_000;

#[async_trait]
impl AnalyticsReads for SqlStore {
    async fn conversion(
        &self,
        organization: OrganizationId,
        filter: &ConversionFilter,
    ) -> Result<Vec<StageConversion>> {
        let rows = self.rows(Some(organization), conversion(organization, filter)).await?;
        rows.into_iter().map(|row| conversion::read(row, filter.group_by.as_ref())).collect()
    }

    async fn deal_sums(
        &self,
        organization: OrganizationId,
        pipeline: PipelineId,
        filter: &ValueFilter,
    ) -> Result<Vec<DealSum>> {
        let rows = self.rows(Some(organization), sums(organization, pipeline, filter)).await?;
        rows.into_iter().map(|row| value::read(row, filter.group_by.as_ref())).collect()
    }

    async fn message_counts(&self, organization: OrganizationId, filter: &WorkFilter) -> Result<Vec<MessageCount>> {
        let rows = self.rows(Some(organization), messages(organization, filter)).await?;
        rows.into_iter().map(work::message_count).collect()
    }

    async fn waits(&self, organization: OrganizationId, filter: &WorkFilter) -> Result<Vec<Waits>> {
        let rows = self.rows(Some(organization), waits(organization, filter)).await?;
        rows.into_iter().filter_map(|row| work::read_waits(row).transpose()).collect()
    }

    async fn won(&self, organization: OrganizationId, filter: &WorkFilter) -> Result<Vec<WonSum>> {
        let rows = self.rows(Some(organization), won(organization, filter)).await?;
        rows.into_iter().map(work::won_sum).collect()
    }
}

/// Reads the column that says of what a row is.
fn group(row: &mut std::vec::IntoIter<Value>, by: Option<&GroupBy>) -> Result<Group> {
    Ok(match by {
        None => Group::All,
        Some(GroupBy::Owner) => Group::Owner(cell(row)?),
        Some(GroupBy::Source) => Group::Source(cell(row)?),
        Some(GroupBy::Spans(_)) => Group::Span(cell(row)?),
        Some(GroupBy::Month) => Group::Month(cell(row)?),
    })
}

/// Both parts of a sum.
fn amount(row: &mut std::vec::IntoIter<Value>) -> Result<i128> {
    let (above, below): (Option<i64>, Option<i64>) = (cell(row)?, cell(row)?);
    let (above, below) = (above.unwrap_or_default(), below.unwrap_or_default());
    (i128::from(above).checked_mul(i128::from(PART)))
        .and_then(|above| above.checked_add(i128::from(below)))
        .ok_or_else(|| Error::internal("a sum has no end"))
}

/// The sum of a column in two parts.
fn summed(column: &str) -> String {
    format!("CAST(SUM({column} / {PART}) AS bigint), CAST(SUM({column} % {PART}) AS bigint)")
}
