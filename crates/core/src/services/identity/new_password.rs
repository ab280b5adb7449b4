//! A password in the place of another: by whoever reads the mail of its user, or by whoever knows the present one. Either
//! ends the sessions that were begun with the old one.

use std::{fmt, sync::Arc};

use chrono::Duration;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    domain::{
        mail_token::{MailPurpose, MailToken},
        organization::{Credential, User},
        text::Flaws,
    },
    engine::Engine,
    error::{Error, Result},
    id::{SessionId, UserId},
    ports::store::{Update, Write},
    scope::Scope,
    services::{
        commit::commit,
        identity::{
            Identity, Origin,
            check::{self, comparable},
            mail_tokens::{find, home, how, issue, spend, verified, write_to},
            passwords::Verdict,
            sessions::revoke_all,
            throttle::Account,
        },
        unit::Unit,
    },
};

/// How long the mailed token counts, which lets its reader in (OWASP ASVS 5.0, 6.5.5).
const COUNTS: Duration = Duration::minutes(10);

/// Somebody who has forgotten their password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotPassword {
    /// Their e-mail address.
    #[schemars(example = "una@acme.example")]
    pub email: String,
}

/// A new password by a token that came by mail.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The token.
    pub token: String,
    /// The new password, 8 to 200 characters, none that many people have.
    #[schemars(example = "correct horse battery", length(min = 8, max = 200))]
    pub password: String,
}

/// A new password by the present one.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The present password.
    pub current_password: String,
    /// The new password, 8 to 200 characters, none that many people have.
    #[schemars(example = "correct horse battery", length(min = 8, max = 200))]
    pub password: String,
}

macro_rules! secretive {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        }
    )*};
}
secretive!(ResetPassword, ChangePassword);

/// Checks a new password of somebody who has signed up.
async fn acceptable(engine: &Engine, user: &User, password: &str) -> Result<()> {
    let belongings = engine.store.belongings(user.id).await?;
    let names = belongings.iter().map(|(_, organization)| organization.name.as_str());
    let about: Vec<&str> = [user.email.as_str(), user.name.as_str()].into_iter().chain(names).collect();
    let mut flaws = Flaws::default();
    flaws.take("/password", check::password(password, &about));
    flaws.end()
}

/// Writes a new password and what follows from it; a session that goes on is `kept`.
async fn replace(
    unit: &mut Unit,
    user: &User,
    password_hash: String,
    kept: Option<SessionId>,
    origin: Option<&Origin>,
) -> Result<()> {
    let before = unit.store().credential(user.id).await?;
    // Another instant than before, whatever the clock does: sign-ins that are under way look at it.
    let after = before.map_or(unit.now(), |it| unit.now().max(it.updated_at + Duration::microseconds(1)));
    unit.note(Write::put(&Credential { user_id: user.id, password_hash, updated_at: after }))?;
    revoke_all(unit, user.id, kept).await?;
    let when = unit.now().format("%Y-%m-%d %H:%M");
    let from = origin.and_then(|it| it.address).map(|address| format!(" from {address}")).unwrap_or_default();
    let text = format!(
        "your password was changed on {when} UTC{from}, and you were signed out elsewhere.\n\n\
         If it was not you, ask for a new password at once (\"forgot password\" where you sign in) and tell an admin of \
         your organisation.\n"
    );
    write_to(unit, user, "password-changed", "Your password was changed", &text).await
}

/// Ends what was begun with the old password while it was replaced: nothing can be begun with it after that.
async fn sweep(engine: &Arc<Engine>, scope: &Scope, user: UserId, kept: Option<SessionId>) -> Result<()> {
    commit(engine, scope, move |unit| Box::pin(async move { revoke_all(unit, user, kept).await })).await
}

/// Sends somebody the means to choose a new password, if anybody has this address.
async fn send_reset(engine: &Arc<Engine>, email: &str) -> Result<()> {
    let Some(user) = engine.store.user_by_email(email).await? else { return Ok(()) };
    let scope = home(engine, user.id).await?;
    commit(engine, &scope, move |unit| {
        let user = user.clone();
        Box::pin(async move {
            let token = issue(unit, &user, MailPurpose::ResetPassword, COUNTS).await?;
            let Some(token) = token else { return Ok(()) };
            let how = how(unit.engine(), "reset-password", &token);
            let text = format!(
                "somebody, probably you, has forgotten the password for this address. To choose a new one, {how}\n\
                 It counts for ten minutes, once. If it was not you, do nothing: the password stays as it is.\n"
            );
            write_to(unit, &user, "reset-password", "Choose a new password", &text).await
        })
    })
    .await
}

impl Identity<'_> {
    /// Sends a mail with a token for a new password to this address, if somebody has it. Nothing tells whether somebody
    /// does: what is done for those who do is done after the answer. Must be called inside a tokio runtime.
    pub fn forgot_password(&self, given: &ForgotPassword) {
        let (engine, email) = (Arc::clone(self.0), check::sought(&given.email));
        tokio::spawn(async move {
            if let Err(error) = send_reset(&engine, &email).await {
                tracing::warn!(%error, "a mail for a new password could not be written");
            }
        });
    }

    /// Replaces the password of whom a mailed token was sent to. All of their sessions end, and their address is shown to
    /// be theirs.
    ///
    /// # Errors
    /// `validation_failed` at `/token` (`unknown`, `expired`, `used`) or at `/password`.
    pub async fn reset_password(&self, given: ResetPassword) -> Result<()> {
        let (engine, origin) = (self.0, self.1.cloned());
        let purpose = MailPurpose::ResetPassword;
        let unused = |found: &MailToken| match found.used_at {
            None => Ok(()),
            Some(_) => Err(Error::invalid("/token", "used", "this token was used before: ask for a new one")),
        };
        let (found, user) = find(engine, &given.token, purpose).await?;
        // Before the costly hash; everything is looked at again in the unit.
        unused(&found)?;
        acceptable(engine, &user, &given.password).await?;
        let hash = engine.identity.passwords.hash(&engine.env, &given.password).await?;
        let scope = self.doing(&home(engine, user.id).await?, "auth.reset_password");
        commit(engine, &scope, move |unit| {
            let (token, hash, origin) = (given.token.clone(), hash.clone(), origin.clone());
            Box::pin(async move {
                let (found, user) = find(unit.engine(), &token, purpose).await?;
                unused(&found)?;
                spend(unit, &found)?;
                verified(unit, &user)?;
                replace(unit, &user, hash, None, origin.as_ref()).await
            })
        })
        .await?;
        sweep(engine, &scope, user.id, None).await
    }

    /// Replaces the caller's password, who knows the present one. All of their other sessions end.
    ///
    /// # Errors
    /// `validation_failed` at `/current_password` (`wrong`) or at `/password`; `no_password` (conflict) for somebody who
    /// has none: [`Identity::forgot_password`] gives them one; `rate_limited` after too many failures.
    pub async fn change_password(&self, caller: &Scope, given: ChangePassword) -> Result<()> {
        let id = caller.require_user()?;
        self.attempt(Account::User(id), self.change_untried(caller, id, given)).await
    }

    async fn change_untried(&self, caller: &Scope, id: UserId, given: ChangePassword) -> Result<()> {
        let (engine, origin) = (self.0, self.1.cloned());
        let kept = caller.session_id;
        let wrong = || Error::invalid("/current_password", "wrong", "this is not your present password");
        let user = engine.store.user(id).await?.ok_or_else(|| Error::not_found("user", id))?;
        acceptable(engine, &user, &given.password).await?;
        let credential = engine.store.credential(id).await?.ok_or_else(|| {
            Error::conflict("no_password", "you have no password yet: ask for one as if you had forgotten it")
        })?;
        if !comparable(&given.current_password) {
            return Err(wrong());
        }
        let present = Some(credential.password_hash.clone());
        let verdict = engine.identity.passwords.compare(&engine.env, &given.current_password, present).await?;
        if verdict == Verdict::Wrong {
            return Err(wrong());
        }
        let hash = engine.identity.passwords.hash(&engine.env, &given.password).await?;
        let scope = self.doing(caller, "auth.change_password");
        commit(engine, &scope, move |unit| {
            let (user, hash, origin) = (user.clone(), hash.clone(), origin.clone());
            let compared = credential.updated_at;
            Box::pin(async move {
                let present = unit.store().credential(user.id).await?;
                // Somebody may have changed it meanwhile.
                let present = present.filter(|it| it.updated_at == compared).ok_or_else(wrong)?;
                unit.note(Write::Update(Update::of(&present).expect("updated_at", &present.updated_at)))?;
                replace(unit, &user, hash, kept, origin.as_ref()).await
            })
        })
        .await?;
        sweep(engine, &scope, id, kept).await
    }
}
