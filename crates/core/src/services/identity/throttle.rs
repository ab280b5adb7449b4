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

/// Whose failures are counted together. What somebody calls themselves is never taken for an id, which would let them
/// spend another person's tries.
#[derive(Debug, Clone)]
pub(super) enum Account {
    /// Whoever is called so: an e-mail address, as it was given.
    Called(String),
    /// This user, known before the attempt.
    User(UserId),
}

impl Account {
    fn key(&self) -> Key {
        match self {
            Self::Called(name) => Key::text(Subject::FailedAccount, &name.trim().to_lowercase()),
            Self::User(id) => Key::id(Subject::FailedAccount, id.uuid()),
        }
    }
}

impl Identity<'_> {
    /// Tries to prove that somebody is who they say. An error that says they are not is a failure; success lets the account
    /// begin anew, but not the address.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait, without trying; else what the attempt says.
    pub(super) async fn attempt<T>(&self, account: Account, tried: impl Future<Output = Result<T>>) -> Result<T> {
        let limiter = &self.0.limiter;
        let by_account = Charge::one(account.key(), BY_ACCOUNT);
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
            Ok(_) => limiter.forget(by_account.key).await,
            Err(_) if !failed => limiter.give_back(by_account).await,
            Err(error) => self.note_failure(account, error),
        }
        if let Some(by_address) = by_address.filter(|_| !failed) {
            limiter.give_back(by_address).await;
        }
        answer
    }

    /// Writes a failure into the audit log of whom it concerns, if that is anybody: beside the answer, which takes as long
    /// whoever it is.
    fn note_failure(&self, account: Account, error: &Error) {
        let (engine, origin) = (Arc::clone(self.0), self.1.cloned());
        let code = error.fields().first().map_or(error.code(), |field| field.code.as_ref()).to_owned();
        // Who is signed in already is told what is wrong with what they gave, and not who they are.
        let signed_in = error.kind() == ErrorKind::Invalid;
        tokio::spawn(async move {
            if let Err(error) = write_failure(&engine, account, signed_in, code, origin).await {
                tracing::warn!(%error, "a failed sign-in was not written into the audit log");
            }
        });
    }
}

/// Whoever is signed in has failed to prove it afresh; of anybody else nobody knows who tried.
async fn write_failure(
    engine: &Arc<Engine>,
    account: Account,
    signed_in: bool,
    code: String,
    origin: Option<Origin>,
) -> Result<()> {
    let user = match &account {
        Account::User(id) => engine.store.user(*id).await?,
        Account::Called(name) => engine.store.user_by_email(&check::sought(name)).await?,
    };
    let Some(user) = user else { return Ok(()) };
    let Some(place) = engine.store.memberships(user.id).await?.into_iter().next() else { return Ok(()) };
    let (actor, operation) = match account {
        Account::User(id) if signed_in => (Actor::User { id }, "auth.proof_failed"),
        _ => (Actor::System, "auth.sign_in_failed"),
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
