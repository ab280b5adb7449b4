//! Deals. Lists are in `listing`, what deals are worth in `analytics`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    in_stages::deleted_in_stages,
    pipelines::first_cards,
    select::{portions_of_parts, select_by},
};
use crate::{
    domain::deal::Deal,
    error::Result,
    id::*,
    page::{Page, PageRequest},
    ports::store::{DealReads, Filter, SortBy},
    store::sql::SqlStore,
};

#[async_trait]
impl DealReads for SqlStore {
    async fn deal(&self, organization: OrganizationId, id: DealId) -> Result<Option<Deal>> {
        self.record(Some(organization), select_by::<Deal>(organization, "id", &id)).await
    }

    async fn deals_by_ids(&self, organization: OrganizationId, ids: &[DealId]) -> Result<Vec<Deal>> {
        self.by_ids(organization, ids).await
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

    async fn deals_found(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        after: Option<(DateTime<Utc>, DealId)>,
        limit: u32,
    ) -> Result<Vec<Deal>> {
        self.found(organization, filter, after, limit).await
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
}
