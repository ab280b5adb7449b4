//! Deals, and what they are worth. Lists are in `listing`.

use async_trait::async_trait;

use super::{
    in_stages::deleted_in_stages,
    list::Conditions,
    pipelines::first_cards,
    select::{cell, portions_of_parts, select_by},
};
use crate::{
    domain::deal::Deal,
    error::Result,
    id::*,
    page::{Page, PageRequest},
    ports::store::{DealReads, DealSum, Filter, Row, SortBy, ValueFilter},
    store::sql::{SqlStore, statement::Statement},
};

/// Amounts are summed up in two parts, above and below this: neither sum leaves 64 bits, however many deals there are.
const PART: i64 = 1_000_000_000;

#[async_trait]
impl DealReads for SqlStore {
    async fn deal(&self, organization: OrganizationId, id: DealId) -> Result<Option<Deal>> {
        self.record(Some(organization), select_by::<Deal>(organization, "id", &id)).await
    }

    async fn deals(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        sort: &SortBy,
        page: &PageRequest,
    ) -> Result<Page<Deal>> {
        self.listing(organization, filter, sort, page).await
    }

    async fn deleted_deals_in_stages(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        limit: u32,
    ) -> Result<Vec<Deal>> {
        self.records(Some(organization), deleted_in_stages::<Deal>(organization, stages, limit)).await
    }

    async fn deals_in_stages(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        after: Option<DealId>,
        limit: u32,
    ) -> Result<Vec<Deal>> {
        self.first_in_stages(organization, stages, after, limit, |it: &Deal| it.id).await
    }

    async fn deal_cards(&self, organization: OrganizationId, stages: &[StageId], cards: u32) -> Result<Vec<Deal>> {
        let mut found: Vec<Deal> = Vec::new();
        for stages in portions_of_parts(stages).iter().filter(|stages| !stages.is_empty()) {
            found.extend(
                self.records::<Deal>(Some(organization), first_cards::<Deal>(organization, stages, cards)).await?,
            );
        }
        found.sort_by_key(|it| std::cmp::Reverse((it.stage_entered_at, it.id)));
        Ok(found)
    }

    async fn deal_sums(
        &self,
        organization: OrganizationId,
        pipeline: PipelineId,
        filter: &ValueFilter,
    ) -> Result<Vec<DealSum>> {
        let rows = self.rows(Some(organization), sums(organization, pipeline, filter)).await?;
        rows.into_iter().map(deal_sum).collect()
    }
}

/// What the deals of a pipeline are worth, by stage, currency and probability: a range of an index that has all of it.
pub(super) fn sums(organization: OrganizationId, pipeline: PipelineId, filter: &ValueFilter) -> Statement {
    let summed = format!(
        "SELECT t.stage_id, t.value_currency, t.probability, COUNT(*), CAST(SUM(t.value_amount / {PART}) AS bigint), \
         CAST(SUM(t.value_amount % {PART}) AS bigint) FROM"
    );
    let grouped = " GROUP BY t.stage_id, t.value_currency, t.probability";
    // One user's deals are picked first: SQLite would rather walk all deals in the order of the groups.
    let picked = filter.assigned_to.is_some();
    let mut statement = Statement::new(if picked {
        "WITH picked AS MATERIALIZED (SELECT t.stage_id, t.value_currency, t.probability, t.value_amount FROM deals t"
            .to_owned()
    } else {
        format!("{summed} deals t")
    });
    statement.push(" WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.deleted_at IS NULL");
    // One user's deals are few beside those of a pipeline.
    let mut conditions = Conditions::new();
    conditions.equal("assigned_to", filter.assigned_to.as_ref());
    conditions.equal("pipeline_id", Some(&pipeline));
    conditions.push(&mut statement);
    if let Some(source) = &filter.source {
        statement.push(" AND EXISTS (SELECT 1 FROM contacts c WHERE c.organization_id = ").bind(&organization);
        statement.push(" AND c.id = t.contact_id AND c.source = ").bind(source).push(")");
    }
    if picked {
        statement.push(") ").push(&summed.replace("t.", "p.")).push(" picked p");
    }
    statement.push(&if picked { grouped.replace("t.", "p.") } else { grouped.to_owned() });
    statement
}

fn deal_sum(row: Row) -> Result<DealSum> {
    let row = &mut row.into_iter();
    let (stage_id, currency, probability, count) = (cell(row)?, cell(row)?, cell(row)?, cell(row)?);
    let (above, below): (Option<i64>, Option<i64>) = (cell(row)?, cell(row)?);
    let amount = i128::from(above.unwrap_or_default()) * i128::from(PART) + i128::from(below.unwrap_or_default());
    Ok(DealSum { stage_id, currency, probability, count, amount })
}
