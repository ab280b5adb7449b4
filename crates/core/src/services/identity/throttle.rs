//! Guessing costs: whoever fails to prove who they are is counted by account and by address, and is soon told to wait.
//! An attempt is counted before it is tried, so that many at once get no more tries than one after the other; what was no
//! failure is given back. Nobody is ever held waiting: who is too early is told so at once.
//!
//! Accounts that do not exist are counted the same way, so that nobody learns by it which do.

use std::{sync::Arc, time::Duration};

use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::{Id, UserId},
    ports::limiter::{Charge, Key, Quota, Subject},
    scope::{Actor, Scope},
    services::{
        audit,
        commit::commit,
        identity::{Identity, Origin, check},
    },
};

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Failures in a row that an account may have within the window (OWASP ASVS 5.0, 6.3.1).
const BY_ACCOUNT: Quota = Quota::new(5, WINDOW);
/// Failures that an address may have within the window, whatever succeeds between: others may sit behind it too.
const BY_ADDRESS: Quota = Quota::new(30, WINDOW);

/// Whether an attempt has shown who somebody is not. Who is asked for their second factor has shown the first, and a new
/// password that is too short says nothing of the old one.
fn is_failure(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Unauthenticated => error.code() != "two_factor_required",
        ErrorKind::Invalid => error.fields().iter().any(|it| it.code == "wrong" || it.code == "invalid_totp"),
        _ => false,
    }
}

/// What somebody who is signed in is known by when they prove it afresh.
pub(super) fn of_user(id: UserId) -> String {
    format!("user:{id}")
}

impl Identity<'_> {
    /// Tries to prove that somebody is who they say: `account` is what they are known by, such as their e-mail address or
    /// the id of a sign-in that waits for its second factor. An error that says they are not is a failure; success lets the
    /// account begin anew, but not the address.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait, without trying; else what the attempt says.
    pub(super) async fn attempt<T>(&self, account: &str, tried: impl Future<Output = Result<T>>) -> Result<T> {
        let limiter = &self.0.limiter;
        let known_by = account;
        let account = Key::text(Subject::FailedAccount, &account.trim().to_lowercase());
        let by_account = Charge::one(account, BY_ACCOUNT);
        let by_address =
            self.address().map(|address| Charge::one(Key::address(Subject::FailedAddress, address), BY_ADDRESS));
        let verdict = match by_address {
            Some(by_address) => limiter.take(&[by_account, by_address]).await,
            None => limiter.take(&[by_account]).await,
        };
        if let Some((_, after)) = verdict.refused {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            let message = format!("too many failed attempts: try again in {seconds} s");
            return Err(Error::new(ErrorKind::RateLimited, message).with_retry_after(Duration::from_secs(seconds)));
        }
        let answer = tried.await;
        let failed = answer.as_ref().is_err_and(is_failure);
        match &answer {
            Ok(_) => limiter.forget(account).await,
            Err(_) if !failed => limiter.give_back(by_account).await,
            Err(error) => self.note_failure(known_by, error),
        }
        if let Some(by_address) = by_address.filter(|_| !failed) {
            limiter.give_back(by_address).await;
        }
        answer
    }

    /// Writes a failure into the audit log of whom it concerns, if that is anybody: beside the answer, which takes as long
    /// whoever it is.
    fn note_failure(&self, account: &str, error: &Error) {
        let (engine, origin) = (Arc::clone(self.0), self.1.cloned());
        let code = error.fields().first().map_or(error.code(), |field| field.code.as_ref()).to_owned();
        // Whoever signs in may call themselves as they like: that they are signed in is told by what they failed at.
        let signed_in = error.kind() == ErrorKind::Invalid;
        let account = account.to_owned();
        tokio::spawn(async move {
            if let Err(error) = write_failure(&engine, &account, signed_in, code, origin).await {
                tracing::warn!(%error, "a failed sign-in was not written into the audit log");
            }
        });
    }
}

/// Whoever is signed in has failed to prove it afresh; of anybody else nobody knows who tried.
async fn write_failure(
    engine: &Arc<Engine>,
    account: &str,
    signed_in: bool,
    code: String,
    origin: Option<Origin>,
) -> Result<()> {
    let signed_in = account.strip_prefix("user:").filter(|_| signed_in).and_then(|id| id.parse::<UserId>().ok());
    let user = match signed_in {
        Some(id) => engine.store.user(id).await?,
        None => engine.store.user_by_email(&check::sought(account)).await?,
    };
    let Some(user) = user else { return Ok(()) };
    let Some(place) = engine.store.memberships(user.id).await?.into_iter().next() else { return Ok(()) };
    let (actor, operation) = match signed_in {
        Some(id) => (Actor::User { id }, "auth.proof_failed"),
        None => (Actor::System, "auth.sign_in_failed"),
    };
    let origin = origin.map(Arc::new);
    let scope = Scope { actor, origin, ..Scope::system(place.organization_id).doing(operation) };
    let id = user.id.uuid();
    commit(engine, &scope, move |unit| {
        let code = code.clone();
        Box::pin(async move { audit::tell_failure(unit, id, &code) })
    })
    .await
}
