//! Secrets sent by mail: made, found again, spent. Whoever shows one reads the mail of its address.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;

use crate::{
    domain::{
        event::EventKind,
        mail_token::{MailPurpose, MailToken},
        organization::User,
    },
    engine::Engine,
    error::{Error, Result},
    id::UserId,
    ports::store::{Update, Write},
    scope::Scope,
    services::{
        mail::{self, NewMail},
        unit::Unit,
    },
};

/// Nobody is sent two mails for one purpose within this time, whoever asks for them.
const PAUSE: Duration = Duration::minutes(1);

/// A person's scope in the first organisation that they joined, in whose name they are written to: people are global, mails
/// are not.
///
/// # Errors
/// `no_organization` (forbidden).
pub(super) async fn home(engine: &Engine, user: UserId) -> Result<Scope> {
    let first = engine.store.memberships(user).await?.into_iter().next().ok_or_else(|| {
        Error::forbidden("you belong to no organisation any more: ask to be invited").code_of("no_organization")
    })?;
    Ok(Scope::user(first.organization_id, user, first.role))
}

/// Makes a new secret in the place of the one before; none if that was sent just now.
pub(super) async fn issue(
    unit: &mut Unit,
    user: &User,
    purpose: MailPurpose,
    counts: Duration,
) -> Result<Option<String>> {
    let now = unit.now();
    let before = unit.store().mail_token(user.id, purpose).await?;
    if before.is_some_and(|it| it.used_at.is_none() && (now - it.created_at).abs() < PAUSE) {
        return Ok(None);
    }
    let token = URL_SAFE_NO_PAD.encode(unit.env().bytes::<32>()?);
    let kept = MailToken {
        user_id: user.id,
        purpose,
        token_hash: MailToken::hash(&token),
        email: user.email.clone(),
        expires_at: now + counts,
        used_at: None,
        created_at: now,
    };
    unit.note(Write::put(&kept))?;
    Ok(Some(token))
}

/// A secret, used or not, whose time has not run out, and its person, whose address it still is.
///
/// # Errors
/// `validation_failed` at `/token`.
pub(super) async fn find(engine: &Engine, token: &str, purpose: MailPurpose) -> Result<(MailToken, User)> {
    let wrong = |code, why: &str| Error::invalid("/token", code, format!("this token {why}: ask for a new one"));
    let found = engine.store.mail_token_by_hash(&MailToken::hash(token)).await?;
    let found = found.filter(|it| it.purpose == purpose);
    let found = found.ok_or_else(|| wrong("unknown", "is none, or a newer one was sent"))?;
    if found.expires_at <= engine.env.now() {
        return Err(wrong("expired", "has run out"));
    }
    let user = engine.store.user(found.user_id).await?.filter(|user| user.email == found.email);
    Ok((found, user.ok_or_else(|| wrong("unknown", "was sent to another address"))?))
}

/// Marks a secret as used; somebody who was faster makes the commit a write conflict.
pub(super) fn spend(unit: &mut Unit, token: &MailToken) -> Result<()> {
    let update = Update::of(token).set("used_at", &Some(unit.now())).expect("used_at", &token.used_at);
    unit.note(Write::Update(update.expect("token_hash", &token.token_hash)))
}

/// Writes that a person's address is theirs.
pub(super) fn verified(unit: &mut Unit, user: &User) -> Result<()> {
    if !user.email_verified {
        unit.fact(EventKind::OrganizationUpdated, unit.organization_id())?
            .data("what", "member.updated")
            .data("user_id", user.id)
            .change("email_verified", false, true)
            .write(Write::Update(Update::of(user).set("email_verified", &true)));
    }
    Ok(())
}

/// How a secret is used: by a link into the console, or by typing it in where nobody knows where the console is.
pub(super) fn how(engine: &Engine, page: &str, token: &str) -> String {
    match &engine.public_url {
        // Behind the `#`: a browser keeps that to itself, so it gets into no server's log. Where it leads is the
        // operator's word alone, never the request's.
        Some(url) => format!("open\n\n{url}/#/{page}/{token}\n"),
        None => format!("enter this token:\n\n{token}\n"),
    }
}

/// Writes to somebody about their own account.
pub(super) async fn write_to(unit: &mut Unit, user: &User, what: &str, subject: &str, text: &str) -> Result<()> {
    let key = format!("{what}:{}:{}", user.id, unit.now().timestamp_micros());
    let new = NewMail {
        to: user.email.clone(),
        to_name: Some(user.name.clone()),
        subject: subject.to_owned(),
        text: format!("Hello {},\n\n{text}", user.name),
        key,
    };
    mail::send(unit, new).await
}
