//! Signing up and signing in by e-mail address and password.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        organization::{Credential, Factor, Organization, SignInSession, User},
        text::{self, Flaws},
    },
    engine::Engine,
    error::{Error, Result},
    id::{Id, OrganizationId, UserId},
    ports::{
        limiter::network,
        store::{Update, Write},
    },
    scope::{Role, Scope},
    services::{
        commit::commit,
        identity::{
            Identity, Origin, access,
            check::{self, comparable},
            invitations::{redeem, redeemable},
            mail_tokens::home,
            organizations::{Person, credential, email_taken, found},
            passwords::Verdict,
            providers::Proof,
            refresh_token::RefreshToken,
            sessions::{KEPT, hold},
            throttle::Account,
            two_factor, verification,
        },
        unit::Unit,
    },
};

/// So much is kept of what a client calls itself.
const MAX_USER_AGENT: usize = 300;

/// Somebody who signs up: to found an organisation, or to join the one that has invited them.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// Their e-mail address; unique among all users.
    #[schemars(example = "una@acme.example", email, length(max = 254))]
    pub email: String,
    /// Their password, 8 to 200 characters, none that many people have.
    #[schemars(example = "correct horse battery", length(min = 8, max = 200))]
    pub password: String,
    /// What people call them.
    #[schemars(example = &"Una", length(min = 1, max = 200))]
    pub name: String,
    /// What people call the organisation that they found. Either this or `invite_token` is needed.
    #[serde(default)]
    #[schemars(example = &"Acme", length(min = 1, max = 200))]
    pub organization_name: Option<String>,
    /// The token of the invitation that they accept; its address must be theirs.
    #[serde(default)]
    pub invite_token: Option<String>,
}

/// Somebody who signs in.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Their e-mail address.
    #[schemars(example = "una@acme.example")]
    pub email: String,
    /// Their password.
    #[schemars(example = "correct horse battery")]
    pub password: String,
    /// The code that their authenticator application shows, or a recovery code: for those who have a second factor.
    #[serde(default)]
    pub totp_code: Option<String>,
}

/// Where to go on.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// An organisation that one belongs to.
    pub organization_id: OrganizationId,
}

macro_rules! secretive {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).field("email", &self.email).finish_non_exhaustive()
            }
        }
    )*};
}
secretive!(SignUp, SignIn);

/// What a sign-in gives: who, where, and a pair of tokens.
#[derive(Clone, Serialize, JsonSchema)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// Where.
    pub organization: Organization,
    /// Shown with every call as `Authorization: Bearer …`.
    pub access_token: String,
    /// Gives the next pair, once.
    pub refresh_token: String,
    /// Always `Bearer`.
    #[schemars(extend("const" = "Bearer"))]
    pub token_type: &'static str,
    /// How long the access token counts, in seconds.
    pub expires_in: i64,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("user", &self.user.id).finish_non_exhaustive()
    }
}

impl SignedIn {
    pub(super) fn new(
        engine: &Engine,
        user: User,
        organization: Organization,
        session: &SignInSession,
        token: &RefreshToken,
    ) -> Result<Self> {
        Ok(Self {
            user,
            organization,
            access_token: access::issue(engine, session, engine.env.now())?,
            refresh_token: token.text(),
            token_type: "Bearer",
            expires_in: access::LIFETIME.num_seconds(),
        })
    }
}

/// By what, and when, somebody has shown who they are.
pub(super) struct Shown {
    factors: Vec<Factor>,
    at: DateTime<Utc>,
}

impl Shown {
    /// Just now.
    pub(super) fn now(unit: &Unit, factors: Vec<Factor>) -> Self {
        Self { factors, at: unit.now() }
    }

    /// As in a session that they have already. Without one it is the process that embeds the engine that answers for them.
    fn before(unit: &Unit, session: Option<SignInSession>) -> Self {
        match session {
            Some(session) => Self { factors: session.factors, at: session.proven_at },
            None => Self::now(unit, Vec::new()),
        }
    }
}

/// Writes a new session in the unit's organisation.
pub(super) fn begin_session(
    unit: &mut Unit,
    user: UserId,
    shown: Shown,
    origin: Option<Origin>,
) -> Result<(SignInSession, RefreshToken)> {
    let Origin { address, user_agent } = origin.unwrap_or_default();
    let id = unit.id()?;
    let token = RefreshToken::first(&unit.engine().identity.keys, unit.env(), id)?;
    let session = SignInSession {
        id,
        user_id: user,
        organization_id: unit.organization_id(),
        refresh_hash: token.hash(),
        previous_hash: None,
        refreshed_at: unit.now(),
        expires_at: unit.now() + KEPT,
        revoked_at: None,
        address: address.map(|address| address.to_string()),
        network: address.map(|address| network(address).to_string()),
        user_agent: user_agent.and_then(|text| text::salvage_line(&text, MAX_USER_AGENT)),
        factors: shown.factors,
        proven_at: shown.at,
        created_at: unit.now(),
    };
    unit.note(Write::insert(&session))?;
    Ok((session, token))
}

/// How somebody who signs up gets in.
pub(super) enum Entry {
    /// They found an organisation of this name.
    Founding(String),
    /// They have been invited: the invitation's token.
    By(String),
}

impl Entry {
    /// One of the two is needed; what is wrong is noted.
    pub(super) fn read(flaws: &mut Flaws, organization_name: Option<&str>, invite_token: Option<String>) -> Self {
        let founding = match (organization_name, invite_token) {
            (Some(name), None) => flaws.take("/organization_name", text::name(name)),
            (None, Some(token)) => return Self::By(token),
            (None, None) => {
                flaws.add("/organization_name", "required", "name the organisation to found, or send an invite_token");
                None
            }
            (Some(_), Some(_)) => {
                let detail = "who is invited joins that organisation: leave organization_name or invite_token out";
                flaws.add("/organization_name", "invalid", detail);
                None
            }
        };
        Self::Founding(founding.unwrap_or_default())
    }
}

/// Writes how somebody new signs in, if not by a password; else their address is still to be shown to be theirs.
async fn settle(unit: &mut Unit, user: &User, proof: Option<Proof>) -> Result<Shown> {
    let factor = match proof {
        Some(proof) => {
            proof.link(unit, user.id).await?;
            Factor::Provider
        }
        None => {
            verification::ask(unit, user).await?;
            Factor::Password
        }
    };
    Ok(Shown::now(unit, vec![factor]))
}

impl Identity<'_> {
    /// Makes a user and a session, in one commit, and with them an organisation with its default pipeline, or a place in
    /// the one that has invited them.
    ///
    /// # Errors
    /// `email_taken`; `validation_failed` with pointers; with a token what
    /// [`Identity::accept_invitation`] says of it.
    pub async fn sign_up(&self, new: SignUp) -> Result<SignedIn> {
        let mut flaws = Flaws::default();
        let email = flaws.take("/email", text::account_email(&new.email)).unwrap_or_default();
        let about = [new.email.as_str(), new.name.as_str(), new.organization_name.as_deref().unwrap_or_default()];
        flaws.take("/password", check::password(&new.password, &about));
        let name = flaws.take("/name", text::name(&new.name)).unwrap_or_default();
        let entry = Entry::read(&mut flaws, new.organization_name.as_deref(), new.invite_token);
        flaws.end()?;
        self.enter(entry, email, name, Some(&new.password), None).await
    }

    /// Signs up somebody whose input was checked: by a password, or by what a provider has vouched for.
    pub(super) async fn enter(
        &self,
        entry: Entry,
        email: String,
        name: String,
        password: Option<&str>,
        proof: Option<Proof>,
    ) -> Result<SignedIn> {
        let organization_name = match entry {
            Entry::By(token) => return self.join_by(token, email, name, password, proof).await,
            Entry::Founding(name) => name,
        };
        let (engine, origin) = (self.0, self.1.cloned());
        let owner = Person::new(engine, email, name, password).await?.vouched_for(proof.is_some());
        let scope = self.doing(&Scope::user(engine.env.id()?, owner.user.id, Role::Owner), "auth.sign_up");
        let user = owner.user.clone();
        let (organization, session, token) = commit(engine, &scope, move |unit| {
            let (name, owner, origin) = (organization_name.clone(), owner.clone(), origin.clone());
            let proof = proof.clone();
            Box::pin(async move {
                let organization = found(unit, name, &owner).await?;
                let shown = settle(unit, &owner.user, proof).await?;
                let (session, token) = begin_session(unit, owner.user.id, shown, origin)?;
                Ok((organization, session, token))
            })
        })
        .await?;
        SignedIn::new(engine, user, organization, &session, &token)
    }

    /// Signs up by an invitation.
    async fn join_by(
        &self,
        token: String,
        email: String,
        name: String,
        password: Option<&str>,
        proof: Option<Proof>,
    ) -> Result<SignedIn> {
        let (engine, origin) = (self.0, self.1.cloned());
        // Before the costly hash, and to know whose organisation it is; everything is looked at again in the unit.
        let probe = Unit::new(Arc::clone(engine), Scope::system(engine.env.id()?));
        let invitation = redeemable(&probe, "/invite_token", &token, &email).await?;
        let person = Person::new(engine, email, name, password).await?.vouched_for(proof.is_some());
        let scope = Scope::user(invitation.organization_id, person.user.id, invitation.role);
        let scope = self.doing(&scope, "auth.sign_up");
        let user = person.user.clone();
        let (organization, session, refresh) = commit(engine, &scope, move |unit| {
            let (token, person, origin) = (token.clone(), person.clone(), origin.clone());
            let proof = proof.clone();
            Box::pin(async move {
                let invitation = redeemable(unit, "/invite_token", &token, &person.user.email).await?;
                // Somebody may have signed up since. The unique index has the last word.
                if unit.store().user_by_email(&person.user.email).await?.is_some() {
                    return Err(email_taken(&person.user.email));
                }
                redeem(unit, &invitation, &person.user, true).await?;
                credential(unit, &person)?;
                // The inviter has seen the invitation's token too: it proves no address.
                let shown = settle(unit, &person.user, proof).await?;
                let organization = unit.organization().await?;
                let (session, refresh) = begin_session(unit, person.user.id, shown, origin)?;
                Ok((organization, session, refresh))
            })
        })
        .await?;
        SignedIn::new(engine, user, organization, &session, &refresh)
    }

    /// Begins a session of the caller in another organisation that they belong to. The one they have goes on.
    ///
    /// # Errors
    /// `not_found` if they are no member of it.
    pub async fn switch(&self, caller: &Scope, to: Switch) -> Result<SignedIn> {
        let (engine, origin) = (self.0, self.1.cloned());
        let (user_id, id, from) = (caller.require_user()?, to.organization_id, caller.session_id);
        let (user, membership, organization) = futures::try_join!(
            engine.store.user(user_id),
            engine.store.membership(id, user_id),
            engine.store.organization(id)
        )?;
        let (Some(user), Some(membership), Some(organization)) = (user, membership, organization) else {
            return Err(Error::not_found("organization", id));
        };
        let scope = self.doing(&Scope::user(id, user_id, membership.role), "auth.switch");
        let (session, token) = commit(engine, &scope, move |unit| {
            let origin = origin.clone();
            Box::pin(async move {
                let former = hold(unit, from).await?;
                let shown = Shown::before(unit, former);
                begin_session(unit, user_id, shown, origin)
            })
        })
        .await?;
        SignedIn::new(engine, user, organization, &session, &token)
    }

    /// How many times a password was hashed or compared: each takes 19 MiB and tens of milliseconds.
    pub fn password_computations(&self) -> u64 {
        self.0.identity.passwords.computed()
    }

    /// Begins a session in the first organisation that the user joined. A password that was hashed with less than today is
    /// hashed anew.
    ///
    /// # Errors
    /// `invalid_credentials`, the same and after the same time whether the address or the password is wrong; of those who
    /// have a second factor `two_factor_required` without a code and `invalid_totp` with one that does not count;
    /// `rate_limited`, with the time to wait, after too many of them.
    pub async fn sign_in(&self, given: SignIn) -> Result<SignedIn> {
        let account = Account::Called(given.email.clone());
        self.attempt(account, self.sign_in_untried(given)).await
    }

    /// The same, whatever was tried before.
    async fn sign_in_untried(&self, given: SignIn) -> Result<SignedIn> {
        let (engine, origin) = (self.0, self.1.cloned());
        if !comparable(&given.password) {
            return Err(wrong());
        }
        let user = engine.store.user_by_email(&check::sought(&given.email)).await?;
        // Asked for nobody's too, and compared with nothing: an unknown address takes the same way.
        let id = user.as_ref().map_or_else(|| UserId::from_uuid(uuid::Uuid::nil()), |user| user.id);
        let credential = engine.store.credential(id).await?;
        let hash = credential.as_ref().map(|credential| credential.password_hash.clone());
        let verdict = engine.identity.passwords.compare(&engine.env, &given.password, hash).await?;
        let (Some(user), Some(credential), Verdict::Right { renewed }) = (user, credential, verdict) else {
            return Err(wrong());
        };
        let scope = self.doing(&home(engine, user.id).await?, "auth.sign_in");
        let id = scope.organization_id;
        let organization = engine.store.organization(id).await?.ok_or_else(|| Error::not_found("organization", id))?;

        let (session, token) = commit(engine, &scope, move |unit| {
            let (credential, renewed, origin) = (credential.clone(), renewed.clone(), origin.clone());
            let code = given.totp_code.clone();
            Box::pin(async move {
                let second = two_factor::pass(unit, credential.user_id, code.as_deref()).await?;
                still_counts(unit, &credential, renewed).await?;
                let shown = Shown::now(unit, [Factor::Password].into_iter().chain(second).collect());
                begin_session(unit, credential.user_id, shown, origin)
            })
        })
        .await?;
        SignedIn::new(engine, user, organization, &session, &token)
    }
}

/// The one answer to whoever does not know an address and its password.
fn wrong() -> Error {
    Error::unauthenticated("invalid_credentials", "the e-mail address or the password is wrong")
}

/// Holds on to the password that was compared until the session is written: one that is changed meanwhile opens no session,
/// and its change ends all of them. With `renewed`, its hash takes the place of the weaker one.
async fn still_counts(unit: &mut Unit, compared: &Credential, renewed: Option<String>) -> Result<()> {
    let present = unit.store().credential(compared.user_id).await?;
    let present = present.filter(|it| it.updated_at == compared.updated_at).ok_or_else(wrong)?;
    let hold = Update::of(&present).expect("password_hash", &present.password_hash);
    // Another sign-in may have renewed it already.
    let renewed = renewed.filter(|_| present.password_hash == compared.password_hash);
    unit.note(Write::Update(match &renewed {
        Some(hash) => hold.set("password_hash", hash),
        None => hold,
    }))
}
