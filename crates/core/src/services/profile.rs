//! Who one is: the caller's own profile.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    domain::organization::{Organization, User},
    error::{Error, Result},
    scope::Role,
    services::unit::Unit,
};

/// The caller's own profile.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Profile {
    /// Who.
    #[serde(flatten)]
    pub user: User,
    /// Where.
    pub organization: Organization,
    /// As what.
    pub role: Option<Role>,
}

pub(crate) async fn get(unit: &mut Unit, (): ()) -> Result<Profile> {
    let id = unit.scope().require_user()?;
    let organization = unit.organization_id();
    let user = unit.store().user(id).await?.ok_or_else(|| Error::not_found("user", id))?;
    let organization =
        unit.store().organization(organization).await?.ok_or_else(|| Error::not_found("organization", organization))?;
    Ok(Profile { user, organization, role: unit.scope().role })
}
