//! Contacts and who holds which identity. Lists are in `contact_list`.

use async_trait::async_trait;

use super::{
    contact_list::{Path, choose, probe, statement},
    in_stages::deleted_in_stages,
    list,
    select::{cell, portions, select, select_by},
};
use crate::{
    domain::contact::{Contact, IdentityKind},
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest},
    ports::store::{ContactFilter, ContactReads, ContactSort, Holder, Sort},
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl ContactReads for SqlStore {
    async fn contact(&self, organization: OrganizationId, id: ContactId) -> Result<Option<Contact>> {
        self.record(Some(organization), select_by::<Contact>(organization, "id", &id)).await
    }

    async fn contacts_by_ids(&self, organization: OrganizationId, ids: &[ContactId]) -> Result<Vec<Contact>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in portions(ids) {
            let mut statement = select::<Contact>(organization);
            statement.push(" AND t.id IN (").bind_all(&ids).push(")");
            found.extend(self.records(Some(organization), statement).await?);
        }
        Ok(found)
    }

    async fn contacts(
        &self,
        organization: OrganizationId,
        filter: &ContactFilter,
        sort: Sort<ContactSort>,
        page: &PageRequest,
    ) -> Result<Page<Contact>> {
        let list = ListKey::of(&("contacts", sort, filter));
        let mut path = choose(filter, sort.field);
        if let Path::Probe(conditions) = &path {
            // A wrong cursor or limit is told before the database is asked anything.
            statement(organization, filter, sort, None, list, page)?;
            let counts = self.rows(Some(organization), probe(organization, conditions)).await?;
            let counts = counts.into_iter().next().unwrap_or_default();
            path = Path::decide(conditions, counts)?;
        }
        let (statement, limit) = statement(organization, filter, sort, path.collected(), list, page)?;
        let rows = self.rows(Some(organization), statement).await?;
        list::page(rows, limit, list, crate::ports::store::Record::from_row, |it: &Contact| {
            super::contact_list::position(sort.field, it)
        })
    }

    async fn holders(
        &self,
        organization: OrganizationId,
        identities: &[(IdentityKind, String)],
    ) -> Result<Vec<Holder>> {
        let mut found = Vec::new();
        for identities in portions(identities) {
            for row in self.rows(Some(organization), holders(organization, &identities)).await? {
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

/// Who holds any of these identities.
pub(super) fn holders(organization: OrganizationId, identities: &[(IdentityKind, String)]) -> Statement {
    let mut statement = Statement::new(
        "SELECT i.kind, i.value, i.contact_id, t.name, i.claimed FROM contact_identities i \
         JOIN contacts t ON t.organization_id = i.organization_id AND t.id = i.contact_id \
         WHERE t.deleted_at IS NULL AND i.organization_id = ",
    );
    statement.bind(&organization).push(" AND (i.kind, i.value) IN (VALUES ");
    for (place, (kind, value)) in identities.iter().enumerate() {
        statement.push(if place == 0 { "(" } else { ", (" }).bind(kind).push(", ").bind(value).push(")");
    }
    statement.push(")");
    statement
}
