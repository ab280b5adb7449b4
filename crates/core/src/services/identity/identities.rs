//! What somebody is elsewhere: the ways in that are no password of ours. One never gives up the last way in.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{linked_identity::LinkedIdentity, organization::Credential},
    error::{Error, Result},
    id::{IdentityId, UserId},
    page::Page,
    ports::store::{Column, Guard, Must, Record, Write},
    services::{identity::mail_tokens::write_to, proof::require_fresh, unit::Unit},
};

/// One of the caller's own identities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityView {
    /// Its id.
    pub id: IdentityId,
    /// Who vouches for them: `google`, `github`, ….
    pub provider: String,
    /// The address that the provider knew when it was linked.
    pub email: Option<String>,
    /// When it last let them in.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was linked.
    pub created_at: DateTime<Utc>,
}

pub(super) fn view(identity: LinkedIdentity) -> IdentityView {
    IdentityView {
        id: identity.id,
        provider: identity.provider,
        email: identity.email,
        last_used_at: identity.last_used_at,
        created_at: identity.created_at,
    }
}

/// Writes that a user is somebody elsewhere.
pub(super) fn insert(
    unit: &mut Unit,
    user_id: UserId,
    provider: String,
    subject: String,
    email: Option<String>,
) -> Result<LinkedIdentity> {
    let (id, now) = (unit.id()?, unit.now());
    let identity = LinkedIdentity { id, user_id, provider, subject, email, last_used_at: None, created_at: now };
    unit.note(Write::insert(&identity))?;
    Ok(identity)
}

/// The caller's own identities, oldest first.
pub(crate) async fn list(unit: &mut Unit, (): ()) -> Result<Page<IdentityView>> {
    let user = unit.scope().require_user()?;
    let data = unit.store().identities(user).await?.into_iter().map(view).collect();
    Ok(Page { data, next_cursor: None })
}

/// Gives up one of the caller's identities, who has shown who they are just now: it lets nobody in from now on.
pub(crate) async fn unlink(unit: &mut Unit, id: IdentityId) -> Result<()> {
    let user = unit.scope().require_user()?;
    let all = unit.store().identities(user).await?;
    let Some(given_up) = all.iter().find(|it| it.id == id) else { return Err(Error::not_found("identity", id)) };
    require_fresh(unit).await?;
    let others = all.iter().filter(|it| it.id != id);
    keep_a_way_in(unit, user, others).await?;
    unit.note(Write::delete(given_up))?;
    tell(unit, user, &given_up.provider, "was unlinked from your account: it lets you in no more").await
}

/// Tells somebody by mail what became of their ways in (ASVS 6.3.7).
pub(super) async fn tell(unit: &mut Unit, user: UserId, provider: &str, what: &str) -> Result<()> {
    let user = unit.store().user(user).await?.ok_or_else(|| Error::not_found("user", user))?;
    let subject = format!("Your sign-in by {provider} was changed");
    let text = format!(
        "a sign-in by {provider} {what}.\n\n\
         If it was not you, ask for a new password at once and tell an admin of your organisation.\n"
    );
    write_to(unit, &user, "identity", &subject, &text).await
}

/// Sees to it that another way in stays. Two that are given up at once each lock the other, and the one that comes second
/// finds it gone.
async fn keep_a_way_in<'i>(
    unit: &mut Unit,
    user: UserId,
    mut others: impl Iterator<Item = &'i LinkedIdentity>,
) -> Result<()> {
    let (table, filter) = if unit.store().credential(user).await?.is_some() {
        (Credential::TABLE, vec![("user_id", user.to_value())])
    } else {
        // One whose provider is not set up any more lets nobody in.
        let providers = &unit.engine().registry.sign_in_providers;
        let other = others.find(|it| providers.contains_key(it.provider.as_str())).ok_or_else(|| {
            let message = "this is your last way in: set a password, or link another sign-in, first";
            Error::conflict("last_way_in", message)
        })?;
        (LinkedIdentity::TABLE, vec![("id", other.id.to_value())])
    };
    let otherwise = ("write_conflict", "another way in was given up meanwhile".to_owned());
    unit.batch.guard(Guard { table, filter, must: Must::BeLocked, otherwise });
    Ok(())
}
