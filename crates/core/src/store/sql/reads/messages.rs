//! Chats, messages and media. Bodies are returned as they are: who may read them is decided above.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    list::{self, Conditions, Order, by_time},
    select::{cell, columns, portions, select, select_by, split},
};
use crate::{
    domain::{chat::Chat, media::Media, message::Message},
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest},
    ports::store::{ChatFilter, InboxRow, MessageReads, Row},
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl MessageReads for SqlStore {
    async fn chat(&self, organization: OrganizationId, id: ChatId) -> Result<Option<Chat>> {
        self.record(Some(organization), select_by::<Chat>(organization, "id", &id)).await
    }

    async fn chats_by_keys(
        &self,
        organization: OrganizationId,
        account: AccountId,
        keys: &[String],
    ) -> Result<Vec<Chat>> {
        let mut found = Vec::new();
        for keys in portions(keys) {
            let mut statement = select_by::<Chat>(organization, "account_id", &account);
            statement.push(" AND t.chat_key IN (").bind_all(&keys).push(")");
            found.extend(self.records(Some(organization), statement).await?);
        }
        Ok(found)
    }

    async fn chats_by_references(
        &self,
        organization: OrganizationId,
        account: AccountId,
        references: &[String],
    ) -> Result<Vec<(String, Chat)>> {
        let mut found = Vec::new();
        for references in portions(references) {
            for mut row in self.rows(Some(organization), by_references(organization, account, &references)).await? {
                let chat = split(&mut row)?;
                found.push((cell(&mut row.into_iter())?, chat));
            }
        }
        Ok(found)
    }

    async fn latest_chat(
        &self,
        organization: OrganizationId,
        contact: ContactId,
        account: Option<AccountId>,
    ) -> Result<Option<Chat>> {
        self.record(Some(organization), latest(organization, contact, account)).await
    }

    async fn inbox(
        &self,
        organization: OrganizationId,
        filter: &ChatFilter,
        page: &PageRequest,
    ) -> Result<Page<InboxRow>> {
        let list = ListKey::of(&("inbox", filter));
        let (mut statement, order) = inbox(organization, filter);
        let limit = order.finish(&mut statement, list, page)?;
        let rows = self.rows(Some(organization), statement).await?;
        list::page(rows, limit, list, inbox_row, |it| by_time(it.chat.last_message_at, it.chat.id))
    }

    async fn message(&self, organization: OrganizationId, id: MessageId) -> Result<Option<Message>> {
        self.record(Some(organization), select_by::<Message>(organization, "id", &id)).await
    }

    async fn messages(&self, organization: OrganizationId, chat: ChatId, page: &PageRequest) -> Result<Page<Message>> {
        let (statement, order) = of_chat(organization, chat);
        let list = ListKey::of(&("messages", chat));
        self.page_of(organization, statement, order, list, page, |it: &Message| by_time(it.timestamp, it.id)).await
    }

    async fn known_provider_ids(
        &self,
        organization: OrganizationId,
        account: AccountId,
        ids: &[String],
    ) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for ids in portions(ids) {
            let mut statement = Statement::new("SELECT t.provider_id FROM messages t WHERE t.organization_id = ");
            statement.bind(&organization).push(" AND t.account_id = ").bind(&account);
            statement.push(" AND t.provider_id IN (").bind_all(&ids).push(")");
            found.extend(self.texts(organization, statement).await?);
        }
        Ok(found)
    }

    async fn is_preceded(
        &self,
        organization: OrganizationId,
        chat: ChatId,
        message: MessageId,
        since: DateTime<Utc>,
    ) -> Result<bool> {
        let preceding = preceding(organization, chat, message, since);
        Ok(!self.rows(Some(organization), preceding).await?.is_empty())
    }

    async fn sent_since(
        &self,
        organization: OrganizationId,
        accounts: &[AccountId],
        since: DateTime<Utc>,
    ) -> Result<Vec<(AccountId, i64)>> {
        let mut counted = Vec::new();
        for accounts in portions(accounts) {
            for row in self.rows(Some(organization), sent_since(organization, &accounts, since)).await? {
                let row = &mut row.into_iter();
                counted.push((cell(row)?, cell(row)?));
            }
        }
        Ok(counted)
    }

    async fn references(&self, organization: OrganizationId, chat: ChatId, limit: u32) -> Result<Vec<String>> {
        let mut newest = self.texts(organization, references(organization, chat, limit)).await?;
        newest.reverse();
        Ok(newest)
    }

    async fn messages_by_references(
        &self,
        organization: OrganizationId,
        account: AccountId,
        references: &[String],
    ) -> Result<Vec<Message>> {
        let mut found = Vec::new();
        for references in portions(references) {
            let mut statement = select_by::<Message>(organization, "account_id", &account);
            statement.push(" AND t.direction = 'outgoing' AND t.reference IN (").bind_all(&references).push(")");
            found.extend(self.records(Some(organization), statement).await?);
        }
        Ok(found)
    }

    async fn unread_messages(
        &self,
        organization: OrganizationId,
        chat: ChatId,
        until: DateTime<Utc>,
    ) -> Result<Vec<MessageId>> {
        let rows = self.rows(Some(organization), unread(organization, chat, until)).await?;
        rows.into_iter().map(|row| cell(&mut row.into_iter())).collect()
    }

    async fn media(&self, organization: OrganizationId, id: MediaId) -> Result<Option<Media>> {
        self.record(Some(organization), select_by::<Media>(organization, "id", &id)).await
    }
}

impl SqlStore {
    /// The one column of a statement.
    async fn texts(&self, organization: OrganizationId, statement: Statement) -> Result<Vec<String>> {
        let rows = self.rows(Some(organization), statement).await?;
        rows.into_iter().map(|row| cell(&mut row.into_iter())).collect()
    }
}

/// The contact's chat with the newest message.
pub(super) fn latest(organization: OrganizationId, contact: ContactId, account: Option<AccountId>) -> Statement {
    let mut statement = select::<Chat>(organization);
    let mut conditions = Conditions::new();
    conditions.equal("contact_id", Some(&contact));
    conditions.equal("account_id", account.as_ref());
    conditions.push(&mut statement);
    statement.push(" ORDER BY t.last_message_at DESC, t.id DESC LIMIT 1");
    statement
}

/// Chats with the references by which they were found, each pair once however many messages carry it.
pub(super) fn by_references(organization: OrganizationId, account: AccountId, references: &[String]) -> Statement {
    let mut statement = Statement::new(format!("SELECT {}, r.reference FROM (", columns::<Chat>("t")));
    statement.push("SELECT DISTINCT m.reference, m.chat_id FROM messages m WHERE m.organization_id = ");
    statement.bind(&organization).push(" AND m.account_id = ").bind(&account);
    statement.push(" AND m.reference IN (").bind_all(references).push(")) AS r ");
    statement.push("JOIN chats t ON t.id = r.chat_id WHERE t.organization_id = ").bind(&organization);
    statement
}

/// Chats with what the inbox shows of their contact and account. Of an account that is gone nobody reads the bodies.
pub(super) fn inbox(organization: OrganizationId, filter: &ChatFilter) -> (Statement, Order) {
    let mut statement = Statement::new(format!(
        "SELECT {}, c.name, a.owner_id, COALESCE(a.visibility, 'owner') FROM chats t \
         LEFT JOIN contacts c ON c.organization_id = t.organization_id AND c.id = t.contact_id \
         LEFT JOIN accounts a ON a.organization_id = t.organization_id AND a.id = t.account_id \
         WHERE t.organization_id = ",
        columns::<Chat>("t")
    ));
    statement.bind(&organization);
    let mut conditions = Conditions::new();
    conditions.equal("contact_id", filter.contact_id.as_ref());
    conditions.plain((filter.unread == Some(true)).then_some("t.unread_count > 0"));
    conditions.equal("assigned_to", filter.assigned_to.as_ref());
    conditions.equal("account_id", filter.account_id.as_ref());
    conditions.equal("state", filter.state.as_ref());
    conditions.plain((filter.unread == Some(false)).then_some("t.unread_count <= 0"));
    conditions.push(&mut statement);
    (statement, Order::newest("t.last_message_at"))
}

fn inbox_row(mut row: Row) -> Result<InboxRow> {
    let chat = split(&mut row)?;
    let row = &mut row.into_iter();
    Ok(InboxRow { chat, contact_name: cell(row)?, account_owner: cell(row)?, visibility: cell(row)? })
}

/// A chat's messages, newest first.
pub(super) fn of_chat(organization: OrganizationId, chat: ChatId) -> (Statement, Order) {
    (select_by::<Message>(organization, "chat_id", &chat), Order::newest("t.timestamp"))
}

/// References of what really went one way or the other: an answer must not refer to what nobody got.
pub(super) fn references(organization: OrganizationId, chat: ChatId, limit: u32) -> Statement {
    let mut statement = Statement::new("SELECT t.reference FROM messages t WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.chat_id = ").bind(&chat).push(
        " AND t.reference IS NOT NULL AND (t.direction = 'incoming' OR t.status IN ('sent', 'delivered', 'read')) \
         ORDER BY t.timestamp DESC, t.id DESC",
    );
    statement.limit(limit);
    statement
}

/// One of the messages that go into a chat before this one.
pub(super) fn preceding(
    organization: OrganizationId,
    chat: ChatId,
    message: MessageId,
    since: DateTime<Utc>,
) -> Statement {
    let mut statement = Statement::new("SELECT 1 FROM messages t WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.chat_id = ").bind(&chat);
    statement.push(" AND t.id < ").bind(&message).push(" AND (t.status = 'queued' OR t.status = 'sending')");
    statement.push(" AND (t.status = 'sending' OR (t.error IS NULL AND t.created_at > ").bind(&since);
    statement.push(")) LIMIT 1");
    statement
}

/// How many messages providers took from accounts since an instant.
pub(super) fn sent_since(organization: OrganizationId, accounts: &[AccountId], since: DateTime<Utc>) -> Statement {
    let mut statement = Statement::new("SELECT t.account_id, COUNT(*) FROM messages t WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.account_id IN (").bind_all(accounts).push(")");
    statement.push(" AND t.direction = 'outgoing' AND t.timestamp >= ").bind(&since);
    statement.push(" AND t.status IN ('sent', 'delivered', 'read') GROUP BY t.account_id");
    statement
}

/// What a chat has unread up to an instant.
pub(super) fn unread(organization: OrganizationId, chat: ChatId, until: DateTime<Utc>) -> Statement {
    let mut statement = Statement::new("SELECT t.id FROM messages t WHERE t.organization_id = ");
    statement.bind(&organization).push(" AND t.chat_id = ").bind(&chat);
    statement.push(" AND NOT t.read AND t.direction = 'incoming' AND t.timestamp <= ").bind(&until);
    statement.push(" ORDER BY t.timestamp, t.id");
    statement
}
