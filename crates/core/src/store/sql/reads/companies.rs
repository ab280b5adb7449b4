//! Companies. Lists are in `listing`.

use async_trait::async_trait;

use super::select::select_by;
use crate::{
    domain::company::Company,
    error::Result,
    id::*,
    page::{Page, PageRequest},
    ports::store::{CompanyReads, Filter, SortBy},
    store::sql::SqlStore,
};

#[async_trait]
impl CompanyReads for SqlStore {
    async fn company(&self, organization: OrganizationId, id: CompanyId) -> Result<Option<Company>> {
        self.record(Some(organization), select_by::<Company>(organization, "id", &id)).await
    }

    async fn companies_by_ids(&self, organization: OrganizationId, ids: &[CompanyId]) -> Result<Vec<Company>> {
        self.by_ids(organization, ids).await
    }

    async fn companies(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        sort: &SortBy,
        page: &PageRequest,
    ) -> Result<Page<Company>> {
        self.listing(organization, filter, sort, page).await
    }
}
