//! Custom fields, their values' index, and external ids.

use async_trait::async_trait;

use super::select::{portions, select, select_by};
use crate::{
    domain::{
        custom_field::{CustomField, CustomValue, Noun},
        external_id::ExternalId,
    },
    error::Result,
    id::*,
    ports::store::FieldReads,
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl FieldReads for SqlStore {
    async fn custom_fields(&self, organization: OrganizationId) -> Result<Vec<CustomField>> {
        let mut statement = select::<CustomField>(organization);
        statement.push(" ORDER BY t.object, t.key");
        self.records(Some(organization), statement).await
    }

    async fn any_custom_value(
        &self,
        organization: OrganizationId,
        field: FieldId,
        key: Option<&str>,
    ) -> Result<Option<CustomValue>> {
        let mut statement = select_by::<CustomValue>(organization, "field_id", &field);
        if let Some(key) = key {
            statement.push(" AND t.value = ").bind(&key.to_owned());
        }
        statement.push(" LIMIT 1");
        self.record(Some(organization), statement).await
    }

    async fn custom_values(
        &self,
        organization: OrganizationId,
        fields: &[FieldId],
        key: &str,
        limit: u32,
    ) -> Result<Vec<CustomValue>> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        self.records(Some(organization), custom_values(organization, fields, key, limit)).await
    }

    async fn external_ids(
        &self,
        organization: OrganizationId,
        object: Noun,
        ids: &[(String, String)],
    ) -> Result<Vec<ExternalId>> {
        let mut found = Vec::new();
        for ids in portions(ids) {
            found.extend(self.records(Some(organization), external_ids(organization, object, &ids)).await?);
        }
        Ok(found)
    }
}

/// The values of a few fields with one key.
pub(super) fn custom_values(organization: OrganizationId, fields: &[FieldId], key: &str, limit: u32) -> Statement {
    let mut statement = select_by::<CustomValue>(organization, "value", &key.to_owned());
    statement.push(" AND t.field_id IN (").bind_all(fields).push(") LIMIT ").bind(&i64::from(limit));
    statement
}

/// Who has any of these external ids.
pub(super) fn external_ids(organization: OrganizationId, object: Noun, ids: &[(String, String)]) -> Statement {
    let mut statement = select_by::<ExternalId>(organization, "object", &object);
    statement.push(" AND (t.system, t.external_id) IN (VALUES ");
    for (place, (system, id)) in ids.iter().enumerate() {
        statement.push(if place == 0 { "(" } else { ", (" }).bind(system).push(", ").bind(id).push(")");
    }
    statement.push(")");
    statement
}
