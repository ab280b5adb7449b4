//! Contacts and who holds which identity. Lists are in `listing`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    in_stages::deleted_in_stages,
    select::{cell, portions, select_by},
};
use crate::{
    domain::contact::{Contact, IdentityKind},
    error::Result,
    id::*,
    page::{Page, PageRequest},
    ports::store::{ContactReads, Filter, Holder, SortBy},
    store::sql::{Db, SqlStore, statement::Statement},
};

#[async_trait]
impl ContactReads for SqlStore {
    async fn contact(&self, organization: OrganizationId, id: ContactId) -> Result<Option<Contact>> {
        self.record(Some(organization), select_by::<Contact>(organization, "id", &id)).await
    }

    async fn contacts_by_ids(&self, organization: OrganizationId, ids: &[ContactId]) -> Result<Vec<Contact>> {
        self.by_ids(organization, ids).await
    }

    async fn contacts(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        sort: &SortBy,
        page: &PageRequest,
    ) -> Result<Page<Contact>> {
        self.listing(organization, filter, sort, page).await
    }

    async fn contacts_found(
        &self,
        organization: OrganizationId,
        filter: &Filter,
        after: Option<(DateTime<Utc>, ContactId)>,
        limit: u32,
    ) -> Result<Vec<Contact>> {
        self.found(organization, filter, after, limit).await
    }

    async fn holders(
        &self,
        organization: OrganizationId,
        identities: &[(IdentityKind, String)],
    ) -> Result<Vec<Holder>> {
        let mut found = Vec::new();
        for identities in portions(identities) {
            for row in self.rows(Some(organization), holders(self.db(), organization, &identities)).await? {
                let row = &mut row.into_iter();
                found.push(Holder {
                    kind: cell(row)?,
                    value: cell(row)?,
                    contact_id: cell(row)?,
                    name: cell(row)?,
                    claimed: cell(row)?,
                });
            }
        }
        Ok(found)
    }

    async fn deleted_contacts_in_stages(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        limit: u32,
    ) -> Result<Vec<Contact>> {
        self.records(Some(organization), deleted_in_stages::<Contact>(organization, stages, limit)).await
    }

    async fn contacts_in_stages(
        &self,
        organization: OrganizationId,
        stages: &[StageId],
        after: Option<ContactId>,
        limit: u32,
    ) -> Result<Vec<Contact>> {
        self.first_in_stages(organization, stages, after, limit, |it: &Contact| it.id).await
    }
}

/// Who holds any of these identities: one lookup for each, and the contact asked row by row. Nothing can be joined the
/// wrong way round in a database that is too young to have statistics.
pub(super) fn holders(db: Db, organization: OrganizationId, identities: &[(IdentityKind, String)]) -> Statement {
    let mut statement = Statement::new("SELECT i.kind, i.value, i.contact_id, (SELECT c.name FROM contacts c WHERE ");
    statement.push(OF_CONTACT).push("), i.claimed FROM (VALUES ");
    for (place, (kind, value)) in identities.iter().enumerate() {
        statement.push(if place == 0 { "(" } else { ", (" }).bind(kind).push(", ").bind(value).push(")");
    }
    let (begin, end) = db.looked_up("contact_identities i");
    statement.push(") v ").push(&begin).push("i.organization_id = ").bind(&organization);
    statement.push(" AND i.kind = v.column1 AND i.value = v.column2").push(&end);
    statement.push("(SELECT c.deleted_at FROM contacts c WHERE ").push(OF_CONTACT).push(") IS NULL");
    statement
}

/// The contact that holds an identity.
const OF_CONTACT: &str = "c.organization_id = i.organization_id AND c.id = i.contact_id";
