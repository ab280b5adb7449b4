//! Who one is: the caller's own profile. People belong to themselves: what they say of themselves holds in every
//! organisation that they belong to.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::EventKind,
        notification::Preferences,
        organization::{Organization, User},
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::UserId,
    scope::RoleKey,
    services::unit::{Unit, check_version},
};

/// The caller's own profile.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Profile {
    /// Who.
    pub id: UserId,
    /// The address they sign in with.
    pub email: String,
    /// Whether they have shown that it is theirs.
    pub email_verified: bool,
    /// What people call them.
    pub name: String,
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// IANA time zone; the organisation's if it is `null`.
    pub time_zone: Option<String>,
    /// BCP 47 tag of their language; the organisation's if it is `null`.
    pub locale: Option<String>,
    /// What they want to be told, and how.
    pub preferences: Preferences,
    /// Whether a second factor is asked for at sign-in.
    pub two_factor_enabled: bool,
    /// When they signed up.
    pub created_at: DateTime<Utc>,
    /// Counts their edits, from 1.
    pub version: i64,
    /// Where they are signed in.
    pub organization: Organization,
    /// As what.
    pub role: Option<RoleKey>,
}

/// What people say of themselves: all of it is replaced, and what is left out is as if it had never been said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceProfile {
    /// What people call them, 1…200 characters.
    pub name: String,
    /// Where their picture is: an `https` address.
    #[serde(default)]
    pub avatar_url: Option<String>,
    /// IANA time zone, for example `Europe/Berlin`.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// BCP 47 tag, for example `en` or `de-AT`.
    #[serde(default)]
    pub locale: Option<String>,
    /// What they want to be told, and how.
    #[serde(default)]
    pub preferences: Preferences,
    /// Only if the profile is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

async fn user(unit: &Unit) -> Result<User> {
    let id = unit.scope().require_person()?;
    unit.store().user(id).await?.ok_or_else(|| Error::not_found("user", id))
}

async fn view(unit: &mut Unit, user: User) -> Result<Profile> {
    Ok(Profile {
        id: user.id,
        email: user.email,
        email_verified: user.email_verified,
        name: user.name,
        avatar_url: user.avatar_url,
        time_zone: user.time_zone,
        locale: user.locale,
        preferences: user.preferences.complete(),
        two_factor_enabled: unit.store().second_factor(user.id).await?.is_some_and(|(it, _)| it.enabled),
        created_at: user.created_at,
        version: user.version,
        organization: unit.organization().await?,
        role: unit.scope().role,
    })
}

pub(crate) async fn get(unit: &mut Unit, (): ()) -> Result<Profile> {
    let user = user(unit).await?;
    view(unit, user).await
}

pub(crate) async fn replace(unit: &mut Unit, input: ReplaceProfile) -> Result<Profile> {
    let before = user(unit).await?;
    check_version("profile", input.if_version, before.version)?;
    let mut flaws = Flaws::default();
    let name = flaws.take("/name", text::name(&input.name)).unwrap_or_default();
    let mut optional = |pointer: &str, given: Option<String>, check: fn(&str) -> text::Checked<String>| {
        given.and_then(|given| flaws.take(pointer, check(&given)))
    };
    let avatar_url = optional("/avatar_url", input.avatar_url, text::https_url);
    let time_zone = optional("/time_zone", input.time_zone, text::time_zone);
    let locale = optional("/locale", input.locale, text::locale);
    flaws.end()?;
    let after = User { name, avatar_url, time_zone, locale, preferences: input.preferences, ..before.clone() };
    if after == before {
        return view(unit, before).await;
    }
    // A member of this organisation has another name; what else people say of themselves is nobody's event.
    let (fact, after) = unit.fact(EventKind::OrganizationUpdated, unit.organization_id())?.edit(&before, &after)?;
    fact.data("what", "member.updated").data("user_id", after.id).changes(Some(&before), &after);
    view(unit, after).await
}
