//! Guessing costs: whoever fails to prove who they are is counted by account and by address, and is soon told to wait.
//! An attempt is counted before it is tried, so that many at once get no more tries than one after the other; what was no
//! failure is given back. Nobody is ever held waiting: who is too early is told so at once.
//!
//! Accounts that do not exist are counted the same way, so that nobody learns by it which do.
//!
//! Where somebody has signed in to an account from an address before, what fails there is counted apart: else whoever keeps
//! failing for an account, from wherever, would keep its owner out (OWASP ASVS 5.0, 6.1.1).

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::{Id, UserId},
    ports::limiter::{Charge, Key, Quota, Subject, network},
    scope::{Actor, Scope},
    services::{
        audit,
        commit::commit,
        identity::{Identity, Origin, check},
    },
};

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Failures in a row that an account may have, and again from each address that it was signed in from, within the window
/// (OWASP ASVS 5.0, 6.3.1).
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

/// What counts the failures for an account from an address, which may be one that it has been signed in from before.
async fn counter(engine: &Engine, account: &Account, address: Option<IpAddr>) -> Result<Key> {
    let name = match account {
        Account::Called(name) => name.trim().to_lowercase(),
        Account::User(id) => return Ok(Key::id(Subject::FailedAccount, id.uuid())),
    };
    if let Some(network) = address.map(|address| network(address).to_string())
        && engine.store.has_signed_in_from(&check::sought(&name), &network).await?
    {
        return Ok(Key::text(Subject::FailedKnown, &format!("{network} {name}")));
    }
    Ok(Key::text(Subject::FailedAccount, &name))
}

/// Too early.
fn refused(after: Duration) -> Error {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    let message = format!("too many failed attempts: try again in {seconds} s");
    Error::new(ErrorKind::RateLimited, message).with_retry_after(Duration::from_secs(seconds))
}

impl Identity<'_> {
    /// Tries to prove that somebody is who they say. An error that says they are not is a failure; success lets the account
    /// begin anew, but not the address.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait, without trying; else what the attempt says.
    pub(super) async fn attempt<T>(&self, account: Account, tried: impl Future<Output = Result<T>>) -> Result<T> {
        let limiter = &self.0.limiter;
        let (by_account, by_address) = self.count(&account).await?;
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

    /// Counts an attempt before it is tried: for the account, and for the address. Of what is refused neither is spent.
    async fn count(&self, account: &Account) -> Result<(Charge, Option<Charge>)> {
        let by_address =
            self.address().map(|address| Charge::one(Key::address(Subject::FailedAddress, address), BY_ADDRESS));
        // First, and without asking the store: a flood from one address costs nothing more.
        if let Some(by_address) = by_address {
            self.take(by_address).await?;
        }
        let by_account = async {
            let by_account = Charge::one(counter(self.0, account, self.address()).await?, BY_ACCOUNT);
            self.take(by_account).await.map(|()| by_account)
        };
        let by_account = by_account.await;
        if let (Err(_), Some(by_address)) = (&by_account, by_address) {
            self.0.limiter.give_back(by_address).await;
        }
        Ok((by_account?, by_address))
    }

    async fn take(&self, charge: Charge) -> Result<()> {
        match self.0.limiter.take(&[charge]).await.refused {
            None => Ok(()),
            Some((_, after)) => Err(refused(after)),
        }
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
