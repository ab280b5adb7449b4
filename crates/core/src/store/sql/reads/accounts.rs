//! Accounts, their secrets and cursors. A removed account is listed no more, but still found by id, for its chats, and by
//! handle, for its revival.

use async_trait::async_trait;

use super::{
    list::{Order, and_equal, by_time},
    select::{select, select_by},
};
use crate::{
    domain::account::{Account, SkippedMessage, SyncCursor},
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest},
    ports::store::AccountReads,
    store::sql::SqlStore,
};

#[async_trait]
impl AccountReads for SqlStore {
    async fn account(&self, organization: OrganizationId, id: AccountId) -> Result<Option<Account>> {
        self.record(Some(organization), select_by::<Account>(organization, "id", &id)).await
    }

    async fn accounts(
        &self,
        organization: OrganizationId,
        platform: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Account>> {
        let mut statement = select::<Account>(organization);
        statement.push(" AND t.deleted_at IS NULL");
        and_equal(&mut statement, "platform", platform.map(str::to_owned).as_ref());
        let list = ListKey::of(&("accounts", platform));
        let order = Order::newest("t.created_at");
        self.page_of(organization, statement, order, list, page, |it: &Account| by_time(it.created_at, it.id)).await
    }

    async fn account_by_handle(
        &self,
        organization: OrganizationId,
        platform: &str,
        handle: &str,
    ) -> Result<Option<Account>> {
        let mut statement = select_by::<Account>(organization, "platform", &platform.to_owned());
        statement.push(" AND t.handle = ").bind(&handle.to_owned());
        self.record(Some(organization), statement).await
    }

    async fn account_cursor(&self, organization: OrganizationId, id: AccountId) -> Result<Option<SyncCursor>> {
        self.record(Some(organization), select_by::<SyncCursor>(organization, "account_id", &id)).await
    }

    async fn skipped_messages(
        &self,
        organization: OrganizationId,
        id: AccountId,
        limit: u32,
    ) -> Result<Vec<SkippedMessage>> {
        let mut statement = select_by::<SkippedMessage>(organization, "account_id", &id);
        statement.push(" ORDER BY t.skipped_at DESC, t.provider_id DESC LIMIT ").bind(&i64::from(limit));
        self.records(Some(organization), statement).await
    }
}
