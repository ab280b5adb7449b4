//! Whether an e-mail address is its user's own. One that is not shown to be blocks no work.

use std::fmt;

use chrono::Duration;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    domain::{mail_token::MailPurpose, organization::User},
    error::{Error, Result},
    scope::Scope,
    services::{
        commit::commit,
        identity::{
            Identity,
            mail_tokens::{find, home, how, issue, spend, verified, write_to},
        },
        unit::Unit,
    },
};

/// How long the mailed token counts. It lets nobody in, so it may wait for whoever reads their mail on Monday.
const COUNTS: Duration = Duration::days(3);

/// A token that came by mail.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    /// The token.
    pub token: String,
}

impl fmt::Debug for VerifyEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyEmail(…)")
    }
}

/// Asks somebody by mail to show that their address is theirs.
pub(super) async fn ask(unit: &mut Unit, user: &User) -> Result<()> {
    let Some(token) = issue(unit, user, MailPurpose::VerifyEmail, COUNTS).await? else { return Ok(()) };
    let how = how(unit.engine(), "verify-email", &token);
    let text = format!(
        "To confirm that this is your address, {how}\nIt counts for three days. If you have not signed up, do nothing.\n"
    );
    write_to(unit, user, "verify-email", "Confirm your e-mail address", &text).await
}

impl Identity<'_> {
    /// Marks the address that a mailed token was sent to as its user's own. A token that was used before says so again.
    ///
    /// # Errors
    /// `validation_failed` at `/token`: `unknown` or `expired`.
    pub async fn verify_email(&self, given: VerifyEmail) -> Result<()> {
        let engine = self.0;
        let (found, _) = find(engine, &given.token, MailPurpose::VerifyEmail).await?;
        let scope = self.doing(&home(engine, found.user_id).await?, "auth.verify_email");
        commit(engine, &scope, move |unit| {
            let token = given.token.clone();
            Box::pin(async move {
                let (found, user) = find(unit.engine(), &token, MailPurpose::VerifyEmail).await?;
                if found.used_at.is_none() {
                    spend(unit, &found)?;
                }
                verified(unit, &user)
            })
        })
        .await
    }

    /// Sends the caller the mail again by which they show that their address is theirs. Nothing is sent if they have, or
    /// if one was sent within the last minute.
    ///
    /// # Errors
    /// `no_organization` (forbidden) for somebody who was removed from everywhere.
    pub async fn send_verification(&self, caller: &Scope) -> Result<()> {
        let engine = self.0;
        let id = caller.require_user()?;
        let scope = home(engine, id).await?;
        commit(engine, &scope, move |unit| {
            Box::pin(async move {
                let user = unit.store().user(id).await?.ok_or_else(|| Error::not_found("user", id))?;
                if user.email_verified { Ok(()) } else { ask(unit, &user).await }
            })
        })
        .await
    }
}
