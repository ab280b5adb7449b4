//! Sessions: families of refresh tokens. Each token gives the next pair once; one that comes back after its time ends the
//! whole family, for it was copied.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::EventKind,
        organization::{Factor, Member, SignInSession},
    },
    error::{Error, Result},
    id::{OrganizationId, SessionId, UserId},
    page::{Page, PageRequest},
    ports::store::{Update, Write},
    scope::{Actor, Scope},
    services::{
        commit::commit,
        identity::{Identity, SignedIn, refresh_token::RefreshToken},
        unit::Unit,
    },
};

/// A session ends this long after its last refresh.
pub const KEPT: Duration = Duration::days(30);
/// However often it is refreshed, a session ends this long after it began: whoever took its tokens unseen does not keep
/// them for ever (OWASP ASVS 5.0, 7.3.2).
const LONGEST: Duration = Duration::days(90);
/// A token that was spent less than this ago belongs to a client that refreshed twice, not to a thief.
const TOLERANCE: Duration = Duration::seconds(10);

/// A refresh token to be spent.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The newest refresh token of the session.
    pub refresh_token: String,
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresh(…)")
    }
}

/// Whose sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMemberSessions {
    /// The member.
    pub id: UserId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A session that stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// For which organisation.
    pub organization_id: OrganizationId,
    /// Whether it is the one that this call was made with.
    pub current: bool,
    /// The network address that it was begun from, if it is known.
    pub address: Option<String>,
    /// What the client called itself then, if it did.
    pub user_agent: Option<String>,
    /// By what its user has shown who they are.
    pub factors: Vec<Factor>,
    /// When they last did: what is dangerous asks for proof that is no older than ten minutes.
    pub proven_at: DateTime<Utc>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When its tokens were last refreshed.
    pub refreshed_at: DateTime<Utc>,
    /// When it ends unless they are refreshed again.
    pub expires_at: DateTime<Utc>,
}

/// The caller's sessions, in whichever organisation.
pub(crate) async fn list(unit: &mut Unit, page: PageRequest) -> Result<Page<SessionView>> {
    let user = unit.scope().require_user()?;
    let current = unit.scope().session_id;
    let found = unit.store().sessions(user, None, unit.now(), &page).await?;
    Ok(found.map(|session| view(session, current)))
}

fn view(session: SignInSession, current: Option<SessionId>) -> SessionView {
    SessionView {
        id: session.id,
        organization_id: session.organization_id,
        current: Some(session.id) == current,
        address: session.address,
        user_agent: session.user_agent,
        factors: session.factors,
        proven_at: session.proven_at,
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        expires_at: session.expires_at,
    }
}

/// Ends one of the caller's sessions.
pub(crate) async fn revoke_one(unit: &mut Unit, id: SessionId) -> Result<()> {
    let (user, now) = (unit.scope().require_user()?, unit.now());
    let found = unit.store().session(id).await?;
    let own = found.filter(|it| it.user_id == user && it.revoked_at.is_none() && it.expires_at > now);
    revoke(unit, &own.ok_or_else(|| Error::not_found("session", id))?)
}

/// Ends all sessions of the caller but the one that the call was made with.
pub(crate) async fn revoke_others(unit: &mut Unit, (): ()) -> Result<()> {
    let user = unit.scope().require_user()?;
    let kept = unit.scope().session_id;
    revoke_all(unit, user, kept).await
}

/// A member of the organisation in whose name the caller may do everything already: who is above them is none of theirs.
async fn below(unit: &Unit, id: UserId) -> Result<Member> {
    let member = unit.store().member(unit.organization_id(), id).await?;
    let member = member.ok_or_else(|| Error::not_found("member", id))?;
    unit.scope().require_rank(member.role, member.permissions)?;
    Ok(member)
}

/// A member's sessions in the caller's organisation.
pub(crate) async fn list_of_member(unit: &mut Unit, input: ListMemberSessions) -> Result<Page<SessionView>> {
    let (member, current) = (below(unit, input.id).await?, unit.scope().session_id);
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    let found = unit.store().sessions(member.user_id, Some(unit.organization_id()), unit.now(), &page).await?;
    Ok(found.map(|session| view(session, current)))
}

/// Ends all of a member's sessions in the caller's organisation; those in others are none of its business.
pub(crate) async fn revoke_of_member(unit: &mut Unit, id: UserId) -> Result<()> {
    let (member, organization, now) = (below(unit, id).await?, unit.organization_id(), unit.now());
    let open = unit.store().open_sessions(member.user_id, Some(organization), now).await?;
    if open.is_empty() {
        return Ok(());
    }
    let mut fact = unit.fact(EventKind::OrganizationUpdated, organization)?;
    fact = fact.data("what", "member.signed_out").data("user_id", member.user_id);
    for session in &open {
        fact = fact.write(Write::Update(ending(session, now)));
    }
    Ok(())
}

/// Holds on to a session until the unit is written: one that is ended meanwhile gives no other.
pub(super) async fn hold(unit: &mut Unit, id: Option<SessionId>) -> Result<Option<SignInSession>> {
    let Some(id) = id else { return Ok(None) };
    let session = standing(unit, id).await?;
    unit.note(Write::Update(Update::of(&session).expect("revoked_at", &session.revoked_at)))?;
    Ok(Some(session))
}

/// A session that was not ended.
async fn standing(unit: &Unit, id: SessionId) -> Result<SignInSession> {
    unit.store().session(id).await?.filter(|session| session.revoked_at.is_none()).ok_or_else(ended)
}

/// Ends a session that another one takes the place of; answers it as it was.
pub(super) async fn replace(unit: &mut Unit, id: Option<SessionId>) -> Result<Option<SignInSession>> {
    let Some(id) = id else { return Ok(None) };
    let session = standing(unit, id).await?;
    revoke(unit, &session)?;
    Ok(Some(session))
}

/// Writes that the user of a session has shown this factor too.
pub(super) async fn shown(unit: &mut Unit, id: Option<SessionId>, factor: Factor) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    let session = standing(unit, id).await?;
    let update = Update::of(&session).set("factors", &session.factors_with(factor));
    unit.note(Write::Update(update.expect("factors", &session.factors).expect("revoked_at", &session.revoked_at)))
}

/// The session is over.
pub(super) fn ended() -> Error {
    Error::unauthenticated("session_ended", "the session of this access token was ended: sign in again")
}

/// Ends all of a user's sessions but one.
pub(super) async fn revoke_all(unit: &mut Unit, user: UserId, kept: Option<SessionId>) -> Result<()> {
    for session in unit.store().open_sessions(user, None, unit.now()).await? {
        if Some(session.id) != kept {
            revoke(unit, &session)?;
        }
    }
    Ok(())
}

/// What a refresh came to. Ending a family is written, so it cannot be an error of the unit.
enum Outcome {
    Next(Box<SignInSession>, RefreshToken),
    Reused,
    Unknown,
}

impl Identity<'_> {
    /// Spends a refresh token for the next pair, and gives the session its full time again.
    ///
    /// # Errors
    /// `refresh_token_reused` for one that was spent before, with which the whole session ends;
    /// `invalid_refresh_token` for any other that does not count.
    pub async fn refresh(&self, given: Refresh) -> Result<SignedIn> {
        let engine = &self.0;
        let unknown =
            || Error::unauthenticated("invalid_refresh_token", "this refresh token does not count: sign in again");
        let token = RefreshToken::read(&given.refresh_token).ok_or_else(unknown)?;
        let hash = token.hash();
        let session = match engine.store.session_by_refresh_hash(&hash).await? {
            Some(session) => Some(session),
            // Spent so long ago that its hash is forgotten, or made up.
            None if token.is_ours(&engine.identity.keys)? => engine.store.session(token.session()).await?,
            None => None,
        };
        let session = session.ok_or_else(unknown)?;

        let scope = self.doing(&Scope::system(session.organization_id), "auth.refresh");
        let id = session.id;
        let outcome = commit(engine, &scope, move |unit| {
            let given = given.clone();
            Box::pin(async move {
                let token = RefreshToken::read(&given.refresh_token);
                match token {
                    Some(token) => rotate(unit, id, &token).await,
                    None => Ok(Outcome::Unknown),
                }
            })
        })
        .await?;
        let (session, next) = match outcome {
            Outcome::Next(session, next) => (session, next),
            Outcome::Unknown => return Err(unknown()),
            Outcome::Reused => {
                return Err(Error::unauthenticated(
                    "refresh_token_reused",
                    "this refresh token was spent before, so its session has been ended: sign in again",
                ));
            }
        };
        let (user, organization, membership) = futures::try_join!(
            engine.store.user(session.user_id),
            engine.store.organization(session.organization_id),
            engine.store.membership(session.organization_id, session.user_id),
        )?;
        let (Some(user), Some(organization), Some(_)) = (user, organization, membership) else {
            return Err(unknown());
        };
        SignedIn::new(engine, user, organization, &session, &next)
    }

    /// Ends the session of this refresh token, which may have been spent; one that is unknown, or ended already, is fine.
    ///
    /// # Errors
    /// Only if the store fails.
    pub async fn sign_out_by(&self, given: Refresh) -> Result<()> {
        let Some(token) = RefreshToken::read(&given.refresh_token) else { return Ok(()) };
        match self.0.store.session_by_refresh_hash(&token.hash()).await? {
            Some(session) => self.sign_out(session.id).await,
            None => Ok(()),
        }
    }

    /// Ends a session: its tokens count no more. A session that has ended already, or never was, is fine.
    ///
    /// # Errors
    /// Only if the store fails.
    pub async fn sign_out(&self, session: SessionId) -> Result<()> {
        let engine = &self.0;
        let Some(found) = engine.store.session(session).await? else { return Ok(()) };
        let actor = Actor::User { id: found.user_id };
        let scope = self.doing(&Scope { actor, ..Scope::system(found.organization_id) }, "auth.sign_out");
        commit(engine, &scope, move |unit| {
            Box::pin(async move {
                match unit.store().session(session).await? {
                    Some(session) if session.revoked_at.is_none() => revoke(unit, &session),
                    _ => Ok(()),
                }
            })
        })
        .await
    }
}

async fn rotate(unit: &mut Unit, id: SessionId, token: &RefreshToken) -> Result<Outcome> {
    let now = unit.now();
    let Some(session) = unit.store().session(id).await? else { return Ok(Outcome::Unknown) };
    if session.revoked_at.is_some() || session.expires_at <= now {
        return Ok(Outcome::Unknown);
    }
    let hash = token.hash();
    let next = token.next(&unit.engine().identity.keys)?;
    if session.refresh_hash == hash {
        let after = SignInSession {
            refresh_hash: next.hash(),
            previous_hash: Some(hash),
            refreshed_at: now,
            expires_at: (now + KEPT).min(session.created_at + LONGEST),
            ..session.clone()
        };
        let update = Update::between(&session, &after).expect("refresh_hash", &session.refresh_hash);
        unit.note(Write::Update(update))?;
        return Ok(Outcome::Next(Box::new(after), next));
    }
    // By a clock that was set back it was never just now.
    let just_spent = session.previous_hash.as_ref() == Some(&hash) && (now - session.refreshed_at).abs() <= TOLERANCE;
    // Only the very successor: a key that was changed meanwhile makes another one.
    if just_spent && next.hash() == session.refresh_hash {
        return Ok(Outcome::Next(Box::new(session), next));
    }
    revoke(unit, &session)?;
    Ok(Outcome::Reused)
}

fn revoke(unit: &mut Unit, session: &SignInSession) -> Result<()> {
    let update = ending(session, unit.now());
    unit.note(Write::Update(update))
}

fn ending(session: &SignInSession, now: DateTime<Utc>) -> Update {
    Update::of(session).set("revoked_at", &Some(now)).expect("revoked_at", &session.revoked_at)
}
