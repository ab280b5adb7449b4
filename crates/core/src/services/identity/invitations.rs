//! Invitations: a one-time secret by which somebody becomes a member, as long as they have the address that was invited.
//! Of the secret only the SHA-256 is kept.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        event::EventKind,
        organization::{Invitation, InvitationStatus, Organization, User},
        role::GivenRole,
        team::TeamMember,
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::{InvitationId, TeamId, UserId},
    input::read_input,
    page::{Page, PageRequest},
    ports::store::{Update, Write},
    scope::{Permission, Resource, Role, RoleKey, Scope},
    services::{
        commit::commit,
        idempotency,
        identity::{Identity, organizations::membership},
        mail::{self, NewMail},
        organization::Belonging,
        proof::require_fresh,
        team::{give_role, named_role},
        unit::Unit,
    },
};

/// How long an invitation can be accepted.
const KEPT: Duration = Duration::days(7);
/// What accepting is called where idempotency keys are kept.
const ACCEPT: &str = "invitations.accept";

/// Somebody to be invited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// The address of whom it is for, and with which they will sign in.
    #[schemars(example = "max@acme.example", email, length(max = 254))]
    pub email: String,
    /// Their role, by its name or id; it allows at most what the inviter may.
    pub role: GivenRole,
    /// The team that they will be in.
    #[serde(default)]
    pub team_id: Option<TeamId>,
}

/// Which invitations.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListInvitations {
    /// That have come to this.
    pub status: Option<InvitationStatus>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// An invitation that is accepted.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// The invitation's token.
    pub token: String,
}

impl std::fmt::Debug for AcceptInvitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AcceptInvitation(…)")
    }
}

/// An invitation as clients see it.
#[derive(Clone, PartialEq, Serialize, JsonSchema)]
pub struct InvitationView {
    /// Its id.
    pub id: InvitationId,
    /// Whom it is for.
    pub email: String,
    /// Their role: a built-in one, or the id of one of the organisation's own.
    pub role: RoleKey,
    /// The team that they will be in.
    pub team_id: Option<TeamId>,
    /// Who invited them.
    pub invited_by: Option<UserId>,
    /// What has become of it.
    pub status: InvitationStatus,
    /// Until when it can be accepted.
    pub expires_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The secret by which it is accepted: shown once, to whom made it; `null` from then on.
    pub token: Option<String>,
}

impl std::fmt::Debug for InvitationView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvitationView").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

fn view(invitation: Invitation, now: DateTime<Utc>) -> InvitationView {
    InvitationView {
        status: invitation.status_at(now),
        id: invitation.id,
        email: invitation.email,
        role: invitation.role,
        team_id: invitation.team_id,
        invited_by: invitation.invited_by,
        expires_at: invitation.expires_at,
        created_at: invitation.created_at,
        token: None,
    }
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.trim().as_bytes()).to_vec()
}

pub(crate) async fn create(unit: &mut Unit, input: NewInvitation) -> Result<InvitationView> {
    let role = named_role(unit, "/role", &input.role).await?;
    unit.scope().require_rank(role.key, role.permissions)?;
    if role.key == Role::Owner {
        require_fresh(unit).await?;
    }
    let organization = unit.organization().await?;
    let mut flaws = Flaws::default();
    let email = flaws.take("/email", text::account_email(&input.email)).unwrap_or_default();
    if let Some(team) = input.team_id
        && unit.store().team(organization.id, team).await?.is_none()
    {
        flaws.add("/team_id", "unknown", format!("team {team} does not exist"));
    }
    flaws.end()?;
    if let Some(user) = unit.store().user_by_email(&email).await?
        && unit.store().membership(organization.id, user.id).await?.is_some()
    {
        return Err(Error::conflict("already_member", format!("{email} is a member already")));
    }
    if let Some(before) = unit.store().open_invitation(organization.id, &email).await? {
        end(unit, &before, InvitationStatus::Revoked, "invitation.replaced")?;
    }
    let token = URL_SAFE_NO_PAD.encode(unit.env().bytes::<32>()?);
    let invitation = Invitation {
        id: unit.id()?,
        organization_id: organization.id,
        email,
        role: role.key,
        team_id: input.team_id,
        invited_by: unit.scope().user_id(),
        token_hash: hash(&token),
        status: InvitationStatus::Pending,
        expires_at: unit.now() + KEPT,
        created_at: unit.now(),
    };
    let view = view(invitation.clone(), unit.now());
    unit.fact(EventKind::InvitationChanged, organization.id)?
        .data("what", "invitation.created")
        .data("invitation_id", invitation.id)
        .changes(None, &view)
        // After the one that it replaces has ended: one is pending at a time.
        .write(Write::insert(&invitation));
    give_role(unit, &role);
    let inviter = match invitation.invited_by {
        Some(user) => unit.store().user(user).await?.map(|user| user.name),
        None => None,
    };
    mail::send(
        unit,
        letter(unit.engine().public_url.as_deref(), &organization, inviter, &invitation, &role.name, &token),
    )
    .await?;
    Ok(InvitationView { token: Some(token), ..view })
}

/// What the invited person reads.
fn letter(
    public_url: Option<&str>,
    organization: &Organization,
    inviter: Option<String>,
    invitation: &Invitation,
    role: &str,
    token: &str,
) -> NewMail {
    let who = inviter.unwrap_or_else(|| organization.name.clone());
    let how = match public_url {
        // Behind the `#`: a browser keeps that to itself, so it gets into no server's log.
        Some(url) => format!("To accept, open\n\n{url}/#/invitation/{token}\n"),
        None => format!("To accept, sign in or sign up with this address and enter this token:\n\n{token}\n"),
    };
    let text = format!(
        "Hello,\n\n{who} invites you to join {} as {}.\n\n{how}\nThe invitation is for {} alone and counts until {} UTC.\n",
        organization.name,
        role,
        invitation.email,
        invitation.expires_at.format("%Y-%m-%d %H:%M"),
    );
    NewMail {
        to: invitation.email.clone(),
        to_name: None,
        subject: format!("{who} invites you to join {}", organization.name),
        text,
        key: format!("invitation:{}", invitation.id),
    }
}

/// Writes what an invitation has come to; somebody who was faster makes the commit a write conflict.
fn end(unit: &mut Unit, before: &Invitation, status: InvitationStatus, what: &str) -> Result<()> {
    let after = Invitation { status, ..before.clone() };
    let update = Update::between(before, &after).expect("status", &before.status);
    unit.fact(EventKind::InvitationChanged, before.organization_id)?
        .data("what", what)
        .data("invitation_id", before.id)
        .change("status", before.status, status)
        .write(Write::Update(update));
    Ok(())
}

async fn find(unit: &Unit, id: InvitationId) -> Result<Invitation> {
    let found = unit.store().invitation(unit.organization_id(), id).await?;
    found.ok_or_else(|| Error::not_found("invitation", id))
}

pub(crate) async fn get(unit: &mut Unit, id: InvitationId) -> Result<InvitationView> {
    Ok(view(find(unit, id).await?, unit.now()))
}

pub(crate) async fn list(unit: &mut Unit, input: ListInvitations) -> Result<Page<InvitationView>> {
    let now = unit.now();
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    let found = unit.store().invitations(unit.organization_id(), input.status, now, &page).await?;
    Ok(found.map(|invitation| view(invitation, now)))
}

/// Takes an invitation back. One that was taken back already, or has run out, is fine.
pub(crate) async fn revoke(unit: &mut Unit, id: InvitationId) -> Result<()> {
    let invitation = find(unit, id).await?;
    match invitation.status {
        InvitationStatus::Pending => end(unit, &invitation, InvitationStatus::Revoked, "invitation.revoked"),
        InvitationStatus::Accepted => {
            let message = "the invitation was accepted: remove the member instead";
            Err(Error::conflict("invitation_accepted", message))
        }
        InvitationStatus::Revoked | InvitationStatus::Expired => Ok(()),
    }
}

/// The invitation of a token that counts for `email`; `pointer` names where the token stood.
pub(super) async fn redeemable(unit: &Unit, pointer: &'static str, token: &str, email: &str) -> Result<Invitation> {
    let found = unit.store().invitation_by_token(&hash(token)).await?;
    let invitation = found.ok_or_else(|| {
        Error::invalid(pointer, "unknown", "this token belongs to no invitation: ask to be invited again")
    })?;
    if invitation.email != email {
        let message = "the invitation is for another address: use the account that has the invited one";
        return Err(Error::forbidden(message).code_of("wrong_address"));
    }
    let ended =
        |code, what: &str| Err(Error::conflict(code, format!("the invitation {what}: ask to be invited again")));
    match invitation.status_at(unit.now()) {
        InvitationStatus::Pending => {}
        InvitationStatus::Accepted => return ended("invitation_accepted", "was accepted before"),
        InvitationStatus::Revoked => return ended("invitation_revoked", "was taken back"),
        InvitationStatus::Expired => return ended("invitation_expired", "has run out"),
    }
    // Who invited must still be somebody who may: what they were given may have been taken from them since.
    if let Some(inviter) = invitation.invited_by {
        let organization = invitation.organization_id;
        let (seat, own) =
            futures::try_join!(unit.store().seat(organization, inviter), unit.store().own_roles(organization))?;
        let own = own.into_iter().find(|role| RoleKey::Own(role.id) == invitation.role);
        let allowed = invitation.role.permissions(own.map(|role| role.permissions));
        let may = seat.is_some_and(|seat| {
            (invitation.role != Role::Owner || seat.membership.role == Role::Owner)
                && allowed.with(Permission::write(Resource::Team)).beyond(seat.grant.permissions).is_none()
        });
        if !may {
            return ended("invitation_revoked", "came from somebody who may invite no more");
        }
    }
    Ok(invitation)
}

/// Spends an invitation: its person becomes a member, and is in its team if that is still there. The unit is one of the
/// invitation's organisation.
pub(super) async fn redeem(unit: &mut Unit, invitation: &Invitation, user: &User, is_new: bool) -> Result<()> {
    end(unit, invitation, InvitationStatus::Accepted, "invitation.accepted")?;
    let organization = invitation.organization_id;
    let fact = unit
        .fact(EventKind::OrganizationUpdated, organization)?
        .data("what", "member.added")
        .data("user_id", user.id)
        .data("role", invitation.role)
        .data("invitation_id", invitation.id)
        .change("members", None::<UserId>, user.id);
    if is_new {
        fact.insert(user);
    }
    membership(unit, organization, user.id, invitation.role)?;
    let role = named_role(unit, "/role", &invitation.role.into()).await?;
    give_role(unit, &role);
    if let Some(team_id) = invitation.team_id
        && unit.store().team(organization, team_id).await?.is_some()
    {
        let place = TeamMember { organization_id: organization, team_id, user_id: user.id, created_at: unit.now() };
        unit.fact(EventKind::TeamChanged, organization)?
            .data("what", "team.member_added")
            .data("team_id", team_id)
            .data("user_id", user.id)
            .change("members", None::<UserId>, user.id)
            .insert(&place);
    }
    Ok(())
}

impl Identity<'_> {
    /// Makes the caller, who is signed in to whichever organisation, a member of the one that an invitation is of.
    ///
    /// # Errors
    /// `validation_failed` at `/token` for a token that is none; `wrong_address` (forbidden) for somebody else's;
    /// `invitation_accepted`, `invitation_revoked`, `invitation_expired`, `already_member` as conflicts.
    pub async fn accept_invitation(&self, caller: &Scope, given: AcceptInvitation) -> Result<Belonging> {
        let caller = Scope { idempotency_key: None, ..caller.clone() };
        self.accept_invitation_once(&caller, given).await.map(|(belonging, _)| belonging)
    }

    /// The same, remembered for 24 hours under the caller's idempotency key, if there is one; and whether it was answered
    /// before.
    ///
    /// # Errors
    /// As [`Identity::accept_invitation`]; `idempotency_key_reused` for a key that another token was accepted by.
    pub async fn accept_invitation_once(&self, caller: &Scope, given: AcceptInvitation) -> Result<(Belonging, bool)> {
        let engine = &self.0;
        let id = caller.require_user()?;
        let user = engine.store.user(id).await?.ok_or_else(|| Error::not_found("user", id))?;
        // Which organisation the unit is of is known by the token alone; everything is looked at again inside.
        let found = engine.store.invitation_by_token(&hash(&given.token)).await?;
        let organization = found.map_or(caller.organization_id, |invitation| invitation.organization_id);
        // The key stays: it is remembered in the invitation's organisation.
        let scope = Scope { organization_id: organization, ..caller.doing(ACCEPT) };
        commit(engine, &scope, move |unit| {
            let (given, user) = (given.clone(), user.clone());
            Box::pin(async move {
                let digest = idempotency::digest(unit.engine(), unit.scope(), &json!({ "token": given.token }))?;
                if let Some(answer) = idempotency::replay(unit, ACCEPT, &digest).await? {
                    return Ok((read_input(answer)?, true));
                }
                let belonging = accept(unit, &given.token, &user).await?;
                idempotency::remember(unit, ACCEPT, digest, json!(belonging))?;
                Ok((belonging, false))
            })
        })
        .await
    }
}

async fn accept(unit: &mut Unit, token: &str, user: &User) -> Result<Belonging> {
    let invitation = redeemable(unit, "/token", token, &user.email).await?;
    if unit.store().membership(invitation.organization_id, user.id).await?.is_some() {
        return Err(Error::conflict("already_member", "you are a member of this organisation already"));
    }
    redeem(unit, &invitation, user, false).await?;
    Ok(Belonging { organization: unit.organization().await?, role: invitation.role })
}
