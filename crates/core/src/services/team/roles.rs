//! The roles that there are, and what each may do.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::Result,
    page::Page,
    scope::{Permission, Resource, Role},
    services::unit::Unit,
};

/// A role and what its members may do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoleView {
    /// Its name.
    pub name: Role,
    /// Its permissions, for example `contacts:write`.
    pub permissions: Vec<String>,
}

/// The roles, strongest first. There are five: no page goes on.
pub(crate) async fn list(_: &mut Unit, (): ()) -> Result<Page<RoleView>> {
    let view = |role: &Role| {
        let held = role.permissions();
        let both = |resource: &Resource| [Permission::read(*resource), Permission::write(*resource)];
        let permissions = Resource::ALL.iter().flat_map(both).filter(|it| held.contains(*it));
        RoleView { name: *role, permissions: permissions.map(|it| it.to_string()).collect() }
    };
    Ok(Page { data: Role::ALL.iter().rev().map(view).collect(), next_cursor: None })
}
