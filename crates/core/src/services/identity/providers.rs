//! Signing in by somebody who vouches for people (Google, GitHub, …): there, back, and in. A browser is sent away with a
//! token and comes back with it and the provider's answer; what that proves waits under a code that the same browser
//! trades in. Whom the provider knows is told by the provider's own name for them. An address alone lets nobody into an
//! account that exists already: whoever owns both signs in to it as ever and links them (OWASP ASVS 5.0, 6.8.1; 10.1.2).

use std::{collections::BTreeMap, fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::{
    domain::{
        linked_identity::{LinkedIdentity, LoginState},
        organization::Factor,
        text::{self, Flaws},
    },
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::UserId,
    ports::{
        sign_in_provider::{Attempt, Once, Vouched},
        store::{Update, Write},
    },
    scope::Scope,
    services::{
        commit::commit,
        identity::{
            Identity, IdentityView, SignedIn, StepUp, identities, login_states,
            mail_tokens::{home, verified},
            sign_in::{Entry, Shown, begin_session},
            throttle::Account,
            two_factor,
        },
        unit::Unit,
    },
};

/// Tokens of these kinds wait.
const STATE: &str = "state";
const CODE: &str = "code";
/// And what a provider said, if it is bound to no attempt.
const SAID: &str = "said";

/// A browser that is sent to a provider.
#[derive(Clone)]
pub struct SentAway {
    /// Where to.
    pub location: String,
    /// What the browser keeps for itself until it is back.
    pub browser: String,
}

/// A browser that has come back from a provider.
pub struct CameBack {
    /// Where it wanted to go on.
    pub return_to: String,
    /// The code that it trades in, or why the provider's answer counts for nothing.
    pub outcome: Result<String>,
}

/// A proof to be traded in for a sign-in.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSignIn {
    /// What the browser came back with: `oauth_code`.
    #[schemars(length(max = 200))]
    pub code: String,
    /// For whoever signs up: what people call the organisation that they found. Of no meaning for whoever is known.
    #[serde(default)]
    #[schemars(example = &"Acme", length(min = 1, max = 200))]
    pub organization_name: Option<String>,
    /// For whoever signs up: the token of the invitation that they accept; its address must be theirs.
    #[serde(default)]
    pub invite_token: Option<String>,
    /// For whoever signs up: what people call them, if not as the provider says.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// The code that their authenticator application shows, or a recovery code: for those who have a second factor.
    #[serde(default)]
    pub totp_code: Option<String>,
}

/// A proof to be traded in for a further way in. Who signed in longer ago than ten minutes proves afresh who they are, by
/// one of the two.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkIdentity {
    /// What the browser came back with: `oauth_code`.
    #[schemars(length(max = 200))]
    pub code: String,
    /// The password.
    #[serde(default)]
    pub password: Option<String>,
    /// A code of the authenticator application, or a recovery code.
    #[serde(default)]
    pub totp_code: Option<String>,
}

macro_rules! secretive {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        }
    )*};
}
secretive!(SentAway, CameBack, ProviderSignIn, LinkIdentity);

/// What a browser that was sent away comes back to.
#[derive(Serialize, Deserialize)]
struct Away {
    provider: String,
    nonce: String,
    verifier: String,
    return_to: String,
}

/// What a provider has vouched for, as long as nobody has traded it in.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Proven {
    provider: String,
    subject: String,
    /// An address that the provider says is theirs.
    email: Option<String>,
    name: Option<String>,
}

fn unknown_state() -> Error {
    let message = "this sign-in was not begun in this browser, was gone on with, or took too long: begin again";
    Error::unauthenticated("invalid_oauth_state", message)
}

fn shown_before(provider: &str) -> Error {
    let message = format!("the answer of {provider} does not count: it was shown before");
    Error::unauthenticated("invalid_provider_answer", message)
}

fn unknown_code() -> Error {
    let message = "this code was not made for this browser, was traded in, or took too long: sign in again";
    Error::unauthenticated("invalid_oauth_code", message)
}

/// A scope for what belongs to no organisation.
fn nowhere(engine: &Engine) -> Result<Scope> {
    Ok(Scope::system(engine.env.id()?))
}

impl Identity<'_> {
    /// Sends a browser to a provider. `callback` is where the provider sends it back to, `return_to` where it wants to go
    /// on then, which the door has checked; `browser` what it keeps from another try.
    ///
    /// # Errors
    /// `unknown_provider` for one that is not set up; `unavailable` if it does not answer.
    pub async fn begin_at_provider(
        &self,
        provider: &str,
        callback: &str,
        return_to: &str,
        browser: Option<&str>,
    ) -> Result<SentAway> {
        let engine = self.0;
        let at = engine.sign_in_provider(provider)?;
        // One that was begun in another tab goes on too.
        let browser = match browser.filter(|text| login_states::is_token(text)) {
            Some(browser) => browser.to_owned(),
            None => login_states::token(&engine.env)?,
        };
        let attempt = Attempt {
            state: login_states::token(&engine.env)?,
            nonce: login_states::token(&engine.env)?,
            verifier: login_states::token(&engine.env)?,
            callback: callback.to_owned(),
            now: engine.env.now(),
        };
        let location = at.begin(&attempt).await?;
        engine.store.forget_login_states(attempt.now).await?;
        let (kept, return_to, provider) = (browser.clone(), return_to.to_owned(), provider.to_owned());
        commit(engine, &nowhere(engine)?, move |unit| {
            let away = Away {
                provider: provider.clone(),
                nonce: attempt.nonce.clone(),
                verifier: attempt.verifier.clone(),
                return_to: return_to.clone(),
            };
            let (state, browser) = (attempt.state.clone(), kept.clone());
            Box::pin(async move { login_states::wait(unit, STATE, &state, &browser, &away).await })
        })
        .await?;
        Ok(SentAway { location, browser })
    }

    /// Whether a provider's answer stands behind the `#`, so that a page of the door's has to bring it.
    ///
    /// # Errors
    /// `unknown_provider` for one that is not set up.
    pub fn answers_behind_hash(&self, provider: &str) -> Result<bool> {
        Ok(self.0.sign_in_provider(provider)?.answers_behind_hash())
    }

    /// Takes a browser back from a provider, with the parameters that it brings. What was begun is gone on with once,
    /// whatever comes of it.
    ///
    /// # Errors
    /// `invalid_oauth_state` for what was not begun in this browser, or not just now. What the provider's answer is worth
    /// is [`CameBack::outcome`]: `access_denied`, `invalid_provider_answer`, `email_unverified`, `unavailable`.
    pub async fn back_from_provider(
        &self,
        provider: &str,
        callback: &str,
        answer: &BTreeMap<String, String>,
        browser: Option<&str>,
    ) -> Result<CameBack> {
        let engine = self.0;
        let at = engine.sign_in_provider(provider)?;
        let (Some(state), Some(browser)) = (answer.get("state"), browser) else { return Err(unknown_state()) };
        let away = self.spend_state(provider, state, browser).await?;
        let attempt = Attempt {
            state: state.clone(),
            nonce: away.nonce,
            verifier: away.verifier,
            callback: callback.to_owned(),
            now: engine.env.now(),
        };
        let outcome = async {
            let vouched = at.finish(&attempt, answer).await?;
            self.keep_proof(provider, vouched, browser).await
        };
        let outcome = outcome.await;
        if let Err(error) = &outcome {
            info!(provider, code = Error::code(error), %error, "a sign-in by a provider has failed");
        }
        Ok(CameBack { return_to: away.return_to, outcome })
    }

    /// What was known when this browser was sent away, which it comes back from once.
    async fn spend_state(&self, provider: &str, state: &str, browser: &str) -> Result<Away> {
        let engine = self.0;
        let (provider, state, browser) = (provider.to_owned(), state.to_owned(), browser.to_owned());
        commit(engine, &nowhere(engine)?, move |unit| {
            let (provider, state, browser) = (provider.clone(), state.clone(), browser.clone());
            Box::pin(async move {
                let found = login_states::find::<Away>(unit, STATE, &state, &browser).await?;
                // A callback of another provider's is a mix-up (RFC 9700, 4.4).
                let (found, away) = found.filter(|(_, away)| away.provider == provider).ok_or_else(unknown_state)?;
                login_states::spend(unit, &found)?;
                Ok(away)
            })
        })
        .await
    }

    /// Keeps what a provider vouched for; answers the code that it waits under.
    async fn keep_proof(&self, provider: &str, vouched: Vouched, browser: &str) -> Result<String> {
        let engine = self.0;
        let known = engine.store.identity(provider, &vouched.subject).await?.is_some();
        if vouched.email.is_some() && !vouched.email_verified && !known {
            let message = format!("{provider} does not say that your e-mail address is yours: confirm it there first");
            return Err(Error::forbidden(message).code_of("email_unverified"));
        }
        let email = vouched.email.as_deref().filter(|_| vouched.email_verified);
        let proven = Proven {
            provider: provider.to_owned(),
            subject: vouched.subject,
            email: email.and_then(|email| text::account_email(email).ok()),
            name: vouched.name.and_then(|name| text::salvage_name(&name)),
        };
        let (code, browser) = (login_states::token(&engine.env)?, browser.to_owned());
        let (token, once) = (code.clone(), vouched.once);
        commit(engine, &nowhere(engine)?, move |unit| {
            let (token, browser, proven, once) = (token.clone(), browser.clone(), proven.clone(), once.clone());
            Box::pin(async move {
                if let Some(Once { proof, until }) = once
                    && !login_states::shown_first(unit, SAID, &format!("{}\n{proof}", proven.provider), until).await?
                {
                    return Err(shown_before(&proven.provider));
                }
                login_states::wait(unit, CODE, &token, &browser, &proven).await
            })
        })
        .await?;
        Ok(code)
    }

    /// Trades a proof in for a session: of whom the provider knows, or of somebody new. A code that was refused for what
    /// is missing beside it still counts.
    ///
    /// # Errors
    /// `invalid_oauth_code`; `link_required` (conflict) if the address belongs to somebody who signs in otherwise, or the
    /// provider tells none: sign in as ever, then link; what [`Identity::sign_up`] says of an organisation's name and an
    /// invitation; `two_factor_required`, `invalid_totp` and `rate_limited` as [`Identity::sign_in`]; `no_organization`.
    pub async fn sign_in_by_provider(&self, given: ProviderSignIn, browser: Option<&str>) -> Result<SignedIn> {
        let engine = self.0;
        let proof = Proof::of(&given.code, browser)?;
        let probe = Unit::new(Arc::clone(engine), nowhere(engine)?);
        let (_, proven) = proof.read(&probe).await?;
        if let Some(identity) = engine.store.identity(&proven.provider, &proven.subject).await? {
            let account = Account::User(identity.user_id);
            return self.attempt(account, self.enter_known(identity, proof, given.totp_code)).await;
        }
        let Some(email) = proven.email.clone() else {
            let message = format!(
                "{} tells no e-mail address: sign in or sign up with one, then link this sign-in to your account",
                proven.provider
            );
            return Err(Error::conflict("link_required", message));
        };
        if engine.store.user_by_email(&email).await?.is_some() {
            let message = format!(
                "{email} has an account that {} is not linked to: sign in to it as ever, then link this sign-in",
                proven.provider
            );
            return Err(Error::conflict("link_required", message));
        }
        let mut flaws = Flaws::default();
        let name = match &given.name {
            Some(name) => flaws.take("/name", text::name(name)),
            None => Some(proven.name.clone().unwrap_or_else(|| local_part(&email))),
        };
        let entry = Entry::read(&mut flaws, given.organization_name.as_deref(), given.invite_token);
        flaws.end()?;
        self.enter(entry, email, name.unwrap_or_default(), None, Some(proof)).await
    }

    /// Begins a session of whoever an identity belongs to, at home. The provider's word is the first factor.
    async fn enter_known(&self, identity: LinkedIdentity, proof: Proof, code: Option<String>) -> Result<SignedIn> {
        let (engine, origin, id) = (self.0, self.1.cloned(), identity.user_id);
        let scope = self.doing(&home(engine, id).await?, "auth.oauth_sign_in");
        let (user, organization) =
            futures::try_join!(engine.store.user(id), engine.store.organization(scope.organization_id))?;
        let (Some(user), Some(organization)) = (user, organization) else { return Err(unknown_code()) };
        let (session, token) = commit(engine, &scope, move |unit| {
            let (proof, code, origin) = (proof.clone(), code.clone(), origin.clone());
            Box::pin(async move {
                let (state, proven) = proof.read(unit).await?;
                let present = unit.store().identity(&proven.provider, &proven.subject).await?;
                // Unlinked, or linked to somebody else, in this very moment.
                let present = present.filter(|it| it.user_id == id).ok_or_else(unknown_code)?;
                let second = two_factor::pass(unit, id, code.as_deref()).await?;
                unit.note(Write::Update(Update::of(&present).set("last_used_at", &Some(unit.now()))))?;
                login_states::spend(unit, &state)?;
                let shown = Shown::now(unit, [Factor::Provider].into_iter().chain(second).collect());
                begin_session(unit, id, shown, origin)
            })
        })
        .await?;
        SignedIn::new(engine, user, organization, &session, &token)
    }

    /// Links what a proof proves to the caller: that they are signed in, by a session that began just now or with proof
    /// given afresh, is their consent (ASVS 7.5.1). They are told by mail.
    ///
    /// # Errors
    /// `invalid_oauth_code`; `identity_taken` (conflict) if somebody else signs in by it; `email_unverified` (forbidden) if
    /// the caller's address is not shown to be theirs and this does not either; `step_up_required` and what else
    /// [`Identity::step_up`] says; `forbidden` for keys.
    pub async fn link_identity(
        &self,
        caller: &Scope,
        given: LinkIdentity,
        browser: Option<&str>,
    ) -> Result<IdentityView> {
        let user = caller.require_user()?;
        let proof = Proof::of(&given.code, browser)?;
        if !self.has_just_signed_in(caller).await? {
            self.step_up(caller, StepUp { code: given.totp_code, password: given.password }).await?;
        }
        let caller = self.doing(caller, "identities.link");
        commit(self.0, &caller, move |unit| {
            let proof = proof.clone();
            Box::pin(async move {
                let identity = proof.link(unit, user).await?;
                trust(unit, user, identity.email.as_deref()).await?;
                identities::tell(unit, user, &identity.provider, "was linked to your account: it lets you in").await?;
                Ok(identities::view(identity))
            })
        })
        .await
    }

    /// Whether it is so short a while ago that the caller has shown who they are that whoever has the session is who signed
    /// in.
    async fn has_just_signed_in(&self, caller: &Scope) -> Result<bool> {
        let Some(id) = caller.session_id else { return Ok(false) };
        let session = self.0.store.session(id).await?;
        Ok(session.is_some_and(|session| session.is_fresh(self.0.env.now())))
    }
}

/// Links nothing to an account whose address may be somebody else's, but what shows whose it is: else whoever signed up with
/// it first would keep a way in when its owner comes.
async fn trust(unit: &mut Unit, id: UserId, email: Option<&str>) -> Result<()> {
    let user = unit.store().user(id).await?.ok_or_else(|| Error::not_found("user", id))?;
    if !user.email_verified && email != Some(user.email.as_str()) {
        let message = "your e-mail address is not confirmed: follow the link in the mail that was sent to it, first";
        return Err(Error::forbidden(message).code_of("email_unverified"));
    }
    verified(unit, &user)
}

/// What somebody is called of whom nothing else is known.
fn local_part(email: &str) -> String {
    email.split('@').next().unwrap_or(email).to_owned()
}

/// A code and the browser that brings it.
#[derive(Clone)]
pub(super) struct Proof {
    code: String,
    browser: String,
}

impl Proof {
    fn of(code: &str, browser: Option<&str>) -> Result<Self> {
        let browser = browser.ok_or_else(unknown_code)?;
        Ok(Self { code: code.trim().to_owned(), browser: browser.to_owned() })
    }

    async fn read(&self, unit: &Unit) -> Result<(LoginState, Proven)> {
        login_states::find(unit, CODE, &self.code, &self.browser).await?.ok_or_else(unknown_code)
    }

    /// Trades it in: what it proves belongs to the user from now on.
    pub(super) async fn link(&self, unit: &mut Unit, user: UserId) -> Result<LinkedIdentity> {
        let (state, proven) = self.read(unit).await?;
        login_states::spend(unit, &state)?;
        match unit.store().identity(&proven.provider, &proven.subject).await? {
            Some(identity) if identity.user_id == user => Ok(identity),
            Some(_) => {
                let message = format!(
                    "somebody else signs in by this {} account: unlink it there first, or use another one",
                    proven.provider
                );
                Err(Error::new(ErrorKind::Conflict, message).code_of("identity_taken"))
            }
            None => identities::insert(unit, user, proven.provider, proven.subject, proven.email),
        }
    }
}
