//! Organisations and their members, for the process that embeds the engine: the system's scope.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        currency::Currency,
        event::EventKind,
        notification::Preferences,
        organization::{Credential, Member, Membership, Organization, User},
        text::{self, Flaws},
    },
    engine::Engine,
    error::{Error, Result},
    id::{OrganizationId, UserId},
    ports::store::Write,
    scope::{Role, RoleKey, Scope},
    services::{
        commit::commit,
        identity::{Organizations, check},
        unit::Unit,
    },
};

/// The time zone of a new organisation.
const TIME_ZONE: &str = "UTC";
/// Its language.
const LOCALE: &str = "en";

/// An organisation to be made.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// What people call it.
    pub name: String,
    /// Who owns it: a new user.
    pub owner: NewUser,
}

/// A person to be made.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Their e-mail address; unique among all users.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// Their password, 8 to 200 characters; without one they cannot sign in by password.
    #[serde(default)]
    pub password: Option<String>,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("email", &self.email).field("name", &self.name).finish_non_exhaustive()
    }
}

/// An organisation and who owns it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OrganizationWithOwner {
    /// The organisation.
    pub organization: Organization,
    /// Its owner.
    pub owner: User,
}

/// A person whose input was checked and whose password was hashed; not yet written.
#[derive(Clone)]
pub(super) struct Person {
    pub user: User,
    pub password_hash: Option<String>,
}

impl Person {
    /// A checked new person. Fails early if the e-mail address is taken, before the costly hash.
    pub async fn new(engine: &Engine, email: String, name: String, password: Option<&str>) -> Result<Self> {
        if engine.store.user_by_email(&email).await?.is_some() {
            return Err(email_taken(&email));
        }
        let password_hash = match password {
            Some(password) => Some(engine.identity.passwords.hash(&engine.env, password).await?),
            None => None,
        };
        let user = User {
            id: engine.env.id()?,
            email,
            name,
            avatar_url: None,
            time_zone: None,
            locale: None,
            preferences: Preferences::default(),
            email_verified: false,
            created_at: engine.env.now(),
            version: 1,
        };
        Ok(Self { user, password_hash })
    }

    /// The same, whose address a provider has said to be theirs if `yes`.
    pub fn vouched_for(mut self, yes: bool) -> Self {
        self.user.email_verified = yes;
        self
    }
}

pub(super) fn email_taken(email: &str) -> Error {
    Error::conflict("email_taken", format!("{email} has signed up already: sign in instead"))
}

/// Writes a new person as a member; part of whatever fact the unit states of the organisation.
pub(super) async fn join(
    unit: &mut Unit,
    organization: &Organization,
    is_new: bool,
    person: &Person,
    role: Role,
) -> Result<()> {
    // Again inside the unit: somebody may have signed up since. The unique index has the last word.
    if unit.store().user_by_email(&person.user.email).await?.is_some() {
        return Err(email_taken(&person.user.email));
    }
    let fact = unit.fact(EventKind::OrganizationUpdated, organization.id)?;
    let fact = if is_new { fact.changes(None, organization).insert(organization) } else { fact };
    fact.change("members", None::<UserId>, person.user.id)
        .data("what", "member.added")
        .data("user_id", person.user.id)
        .data("role", role)
        .insert(&person.user);
    membership(unit, organization.id, person.user.id, role)?;
    credential(unit, person)
}

/// Writes a new person's password, if they have one.
pub(super) fn credential(unit: &mut Unit, person: &Person) -> Result<()> {
    if let Some(password_hash) = person.password_hash.clone() {
        let credential = Credential { user_id: person.user.id, password_hash, updated_at: unit.now() };
        unit.note(Write::insert(&credential))?;
    }
    Ok(())
}

pub(super) fn membership(
    unit: &mut Unit,
    organization: OrganizationId,
    user: UserId,
    role: impl Into<RoleKey>,
) -> Result<()> {
    let membership =
        Membership { organization_id: organization, user_id: user, role: role.into(), created_at: unit.now() };
    unit.note(Write::insert(&membership))
}

/// Writes a new organisation with its owner and its default pipeline.
pub(super) async fn found(unit: &mut Unit, name: String, owner: &Person) -> Result<Organization> {
    let now = unit.now();
    let organization = Organization {
        id: unit.organization_id(),
        name,
        time_zone: TIME_ZONE.to_owned(),
        locale: LOCALE.to_owned(),
        currency: Currency::default(),
        require_two_factor: false,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    join(unit, &organization, true, owner, Role::Owner).await?;
    crate::services::pipeline::create_default(unit).await?;
    Ok(organization)
}

/// The checked e-mail address and name of a new user of `organization`; empty where a flaw was noted.
fn entered(flaws: &mut Flaws, under: &str, new: &NewUser, organization: &str) -> (String, String) {
    let email = flaws.take(format!("{under}/email"), text::account_email(&new.email));
    let name = flaws.take(format!("{under}/name"), text::name(&new.name));
    if let Some(password) = &new.password {
        let about = [new.email.as_str(), new.name.as_str(), organization];
        flaws.take(format!("{under}/password"), check::password(password, &about));
    }
    (email.unwrap_or_default(), name.unwrap_or_default())
}

impl Organizations<'_> {
    /// Makes an organisation with its owner and a default pipeline, in one commit.
    ///
    /// # Errors
    /// `email_taken`; `validation_failed` with pointers such as `/owner/email`.
    pub async fn create(&self, new: NewOrganization) -> Result<OrganizationWithOwner> {
        let work = async {
            let engine = &self.0;
            let mut flaws = Flaws::default();
            let name = flaws.take("/name", text::name(&new.name)).unwrap_or_default();
            let (email, owner_name) = entered(&mut flaws, "/owner", &new.owner, &new.name);
            flaws.end()?;
            let owner = Person::new(engine, email, owner_name, new.owner.password.as_deref()).await?;
            let scope = Scope::system(engine.env.id()?).doing("organizations.create");
            let user = owner.user.clone();
            let organization = commit(engine, &scope, move |unit| {
                let (name, owner) = (name.clone(), owner.clone());
                Box::pin(async move { found(unit, name, &owner).await })
            })
            .await?;
            Ok(OrganizationWithOwner { organization, owner: user })
        };
        work.await.map_err(|error: Error| error.in_operation("organizations.create"))
    }

    /// Makes a person a member. Somebody who has signed up already joins as they are; a password for them is refused.
    ///
    /// # Errors
    /// `not_found` for an unknown organisation; `already_member`; `email_taken` if a password is given for somebody who
    /// has signed up; `validation_failed` with pointers.
    pub async fn add_member(&self, organization: OrganizationId, new: NewUser, role: Role) -> Result<Member> {
        let work = async {
            let engine = &self.0;
            let organization = self.get(organization).await?;
            let mut flaws = Flaws::default();
            let (email, name) = entered(&mut flaws, "", &new, &organization.name);
            flaws.end()?;
            let scope = Scope::system(organization.id).doing("organizations.add_member");
            if new.password.is_none()
                && let Some(user) = engine.store.user_by_email(&email).await?
            {
                return commit(engine, &scope, move |unit| Box::pin(admit(unit, user.clone(), role))).await;
            }
            let person = Person::new(engine, email, name, new.password.as_deref()).await?;
            commit(engine, &scope, move |unit| {
                let (organization, person) = (organization.clone(), person.clone());
                Box::pin(async move {
                    join(unit, &organization, false, &person, role).await?;
                    Ok(member(person.user, role, unit.now()))
                })
            })
            .await
        };
        work.await.map_err(|error: Error| error.in_operation("organizations.add_member"))
    }

    /// One organisation.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get(&self, id: OrganizationId) -> Result<Organization> {
        let organization = self.0.store.organization(id).await?;
        organization.ok_or_else(|| Error::not_found("organization", id))
    }

    /// The ids of all organisations.
    ///
    /// # Errors
    /// Only if the store fails.
    pub async fn ids(&self) -> Result<Vec<OrganizationId>> {
        self.0.store.organization_ids().await
    }

    /// The organisations that a user belongs to, oldest membership first.
    ///
    /// # Errors
    /// Only if the store fails: an unknown user belongs nowhere.
    pub async fn list_for(&self, user: UserId) -> Result<Vec<Organization>> {
        let store = &self.0.store;
        let mut organizations = Vec::new();
        for membership in store.memberships(user).await? {
            organizations.extend(store.organization(membership.organization_id).await?);
        }
        Ok(organizations)
    }
}

/// Writes somebody who has signed up already as a member.
async fn admit(unit: &mut Unit, user: User, role: Role) -> Result<Member> {
    let organization = unit.organization_id();
    if unit.store().membership(organization, user.id).await?.is_some() {
        return Err(Error::conflict("already_member", format!("{} is a member already", user.email)));
    }
    unit.fact(EventKind::OrganizationUpdated, organization)?
        .change("members", None::<UserId>, user.id)
        .data("what", "member.added")
        .data("user_id", user.id)
        .data("role", role);
    membership(unit, organization, user.id, role)?;
    Ok(member(user, role, unit.now()))
}

fn member(user: User, role: Role, created_at: chrono::DateTime<chrono::Utc>) -> Member {
    Member {
        user_id: user.id,
        email: user.email,
        name: user.name,
        role: role.into(),
        permissions: role.permissions(),
        created_at,
    }
}
