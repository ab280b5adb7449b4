//! The second factor: codes of an authenticator application, and recovery codes for whoever has lost it. The seed lies
//! sealed, bound to its person; of recovery codes only hashes are kept. What has opened a door once opens none again.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use qrcodegen::{QrCode, QrCodeEcc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    domain::{
        data_key::CommonKey,
        organization::{Factor, SecondFactor, User},
    },
    error::{Error, Result},
    id::UserId,
    ports::store::{Update, Write},
    scope::Scope,
    services::{
        commit::commit,
        identity::{
            Identity, SignedIn,
            check::comparable,
            mail_tokens::write_to,
            passwords::Verdict,
            sessions::{replace, shown},
            sign_in::{Shown, begin_session},
            throttle::Account,
            totp::{self, base32, is_code, step_of},
        },
        proof::require_fresh,
        unit::Unit,
        vault,
    },
};

/// What authenticator applications show beside the address.
const ISSUER: &str = "Dealwright";
/// How many recovery codes one is given.
const RECOVERY_CODES: usize = 10;
/// Bytes of each: with 112 bits or more a plain hash is enough (OWASP ASVS 5.0, 6.5.2).
const RECOVERY_BYTES: usize = 15;

/// What an authenticator application needs to know.
#[derive(Clone, PartialEq, Serialize, JsonSchema)]
pub struct TwoFactorSetup {
    /// The seed in base32, to be typed in.
    pub secret: String,
    /// The same as a link (`otpauth://…`).
    pub otpauth_url: String,
    /// The link as a QR code: an SVG picture in a `data:` URL.
    pub qr: String,
}

/// A code that shows that the application was set up.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableTwoFactor {
    /// The code that the application shows.
    #[schemars(example = "287082")]
    pub code: String,
}

/// What lets somebody in who has lost their application: shown once.
#[derive(Clone, PartialEq, Serialize, JsonSchema)]
pub struct RecoveryCodes {
    /// Each counts once, in the place of a code.
    pub recovery_codes: Vec<String>,
}

/// Proof given afresh, before something dangerous, that whoever asks is who signed in: one of the two.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StepUp {
    /// A code of the application, or a recovery code.
    pub code: Option<String>,
    /// The password.
    pub password: Option<String>,
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
secretive!(TwoFactorSetup, EnableTwoFactor, RecoveryCodes, StepUp);

/// What is kept of a recovery code, however it is typed.
fn recovery_hash(code: &str) -> String {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    STANDARD.encode(Sha256::digest(plain.as_bytes()))
}

/// Spends a code, and answers of which kind it is; none if it does not count. Somebody who was faster with the same makes the
/// commit a write conflict.
fn spend_code(unit: &mut Unit, (factor, key): &(SecondFactor, CommonKey), code: &str) -> Result<Option<Factor>> {
    let code = code.trim();
    if is_code(code) {
        let seed = unit.engine().vault.open(key, &SecondFactor::place_of(factor.user_id), &factor.sealed)?;
        let Some(step) = step_of(&seed, code, unit.now(), factor.last_step)? else { return Ok(None) };
        let update = Update::of(factor).set("last_step", &step).expect("last_step", &factor.last_step);
        unit.note(Write::Update(update.expect("enabled", &factor.enabled)))?;
        return Ok(Some(Factor::Totp));
    }
    let hash = recovery_hash(code);
    let left: Vec<String> = factor.recovery.iter().filter(|it| **it != hash).cloned().collect();
    if !factor.enabled || left.len() == factor.recovery.len() {
        return Ok(None);
    }
    let update = Update::of(factor).set("recovery", &left).expect("recovery", &factor.recovery);
    unit.note(Write::Update(update))?;
    Ok(Some(Factor::RecoveryCode))
}

/// A person's second factor, if one is asked for at sign-in, with what opens it.
pub(super) async fn enabled(unit: &Unit, user: UserId) -> Result<Option<(SecondFactor, CommonKey)>> {
    Ok(unit.store().second_factor(user).await?.filter(|(it, _)| it.enabled))
}

/// Asks for the second factor of somebody who signs in, if they have one; answers which they have shown.
///
/// # Errors
/// `two_factor_required` without a code, `invalid_totp` with one that does not count.
pub(super) async fn pass(unit: &mut Unit, user: UserId, code: Option<&str>) -> Result<Option<Factor>> {
    let Some(factor) = enabled(unit, user).await? else { return Ok(None) };
    let Some(code) = code else {
        let message = "send totp_code too: the code that your authenticator application shows, or a recovery code";
        return Err(Error::unauthenticated("two_factor_required", message));
    };
    match spend_code(unit, &factor, code)? {
        Some(shown) => Ok(Some(shown)),
        None => {
            let message = "this code does not count: wait for the next one that the application shows";
            Err(Error::unauthenticated("invalid_totp", message))
        }
    }
}

/// The link by which an application takes a seed over.
fn otpauth_url(user: &User, secret: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let account: String = user
        .email
        .bytes()
        .map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("otpauth://totp/{ISSUER}:{account}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30")
}

/// A text as a QR code: an SVG picture as a `data:` URL. The quiet zone is four modules wide (ISO/IEC 18004).
fn qr(text: &str) -> Result<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)
        .map_err(|e| Error::internal("the link is too long for a QR code").with_source(e))?;
    let (size, mut path) = (code.size(), String::new());
    for y in 0..size {
        for x in (0..size).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + 4, y + 4));
        }
    }
    let side = size + 8;
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0,0h{side}v{side}H0z\"/><path d=\"{path}\"/></svg>"
    );
    Ok(format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)))
}

fn invalid_code() -> Error {
    Error::invalid(
        "/code",
        "invalid_totp",
        "this code does not count: wait for the next one that the application shows",
    )
}

impl Identity<'_> {
    /// Gives the caller a new seed for their authenticator application. Nothing is asked for at sign-in before
    /// [`Identity::enable_two_factor`] was shown a code of it. Either takes a session whose user has shown who they are just
    /// now: else whoever has taken it over would lock them out.
    ///
    /// # Errors
    /// `two_factor_enabled` (conflict) if a code is asked for already; `step_up_required` (forbidden):
    /// [`Identity::renew_session`].
    pub async fn set_up_two_factor(&self, caller: &Scope) -> Result<TwoFactorSetup> {
        let engine = self.0;
        let id = caller.require_user()?;
        let user = engine.store.user(id).await?.ok_or_else(|| Error::not_found("user", id))?;
        let seed = Zeroizing::new(engine.env.bytes::<{ totp::SEED }>()?);
        let secret = base32(seed.as_slice());
        let scope = self.doing(caller, "auth.set_up_two_factor");
        commit(engine, &scope, move |unit| {
            let seed = seed.clone();
            Box::pin(async move {
                if enabled(unit, id).await?.is_some() {
                    let message = "a second factor is asked for already: disable it first to set up another one";
                    return Err(Error::conflict("two_factor_enabled", message));
                }
                require_fresh(unit).await?;
                let (key_id, sealed) = vault::seal(unit, &SecondFactor::place_of(id), seed.as_slice()).await?;
                let factor = SecondFactor {
                    user_id: id,
                    key_id,
                    sealed,
                    enabled: false,
                    last_step: 0,
                    recovery: Vec::new(),
                    created_at: unit.now(),
                };
                unit.note(Write::put(&factor))
            })
        })
        .await?;
        let otpauth_url = otpauth_url(&user, &secret);
        Ok(TwoFactorSetup { qr: qr(&otpauth_url)?, secret, otpauth_url })
    }

    /// From here on a code is asked for when the caller signs in. Answers recovery codes, once.
    ///
    /// # Errors
    /// `two_factor_not_set_up` and `two_factor_enabled` as conflicts; `step_up_required`; `validation_failed` at `/code` (`invalid_totp`);
    /// `rate_limited` after too many of them.
    pub async fn enable_two_factor(&self, caller: &Scope, given: EnableTwoFactor) -> Result<RecoveryCodes> {
        let id = caller.require_user()?;
        self.attempt(Account::User(id), self.enable_untried(caller, id, given)).await
    }

    async fn enable_untried(&self, caller: &Scope, id: UserId, given: EnableTwoFactor) -> Result<RecoveryCodes> {
        let engine = self.0;
        let mut codes = Vec::with_capacity(RECOVERY_CODES);
        for _ in 0..RECOVERY_CODES {
            let plain = base32(&engine.env.bytes::<RECOVERY_BYTES>()?);
            let groups: Vec<String> =
                plain.as_bytes().chunks(4).map(|it| String::from_utf8_lossy(it).into_owned()).collect();
            codes.push(groups.join("-"));
        }
        let hashes: Vec<String> = codes.iter().map(|code| recovery_hash(code)).collect();
        let scope = self.doing(caller, "auth.enable_two_factor");
        commit(engine, &scope, move |unit| {
            let (given, hashes) = (given.clone(), hashes.clone());
            Box::pin(async move {
                let found = unit.store().second_factor(id).await?.ok_or_else(|| {
                    Error::conflict("two_factor_not_set_up", "set it up first: there is no seed yet that a code is of")
                })?;
                let factor = &found.0;
                if factor.enabled {
                    return Err(Error::conflict("two_factor_enabled", "a second factor is asked for already"));
                }
                require_fresh(unit).await?;
                if !is_code(given.code.trim()) || spend_code(unit, &found, &given.code)?.is_none() {
                    return Err(invalid_code());
                }
                shown(unit, unit.scope().session_id, Factor::Totp).await?;
                let update = Update::of(factor).set("enabled", &true).set("recovery", &hashes);
                unit.note(Write::Update(update.expect("sealed", &factor.sealed)))?;
                let text = "from now on a code of your authenticator application is asked for when you sign in.\n\n\
                            If it was not you, ask for a new password at once and tell an admin of your organisation.\n";
                tell(unit, id, "Two-factor authentication was switched on", text).await
            })
        })
        .await?;
        Ok(RecoveryCodes { recovery_codes: codes })
    }

    /// No code is asked for any more when the caller signs in.
    ///
    /// # Errors
    /// `two_factor_not_enabled` (conflict); otherwise as [`Identity::step_up`].
    pub async fn disable_two_factor(&self, caller: &Scope, proof: StepUp) -> Result<()> {
        let engine = self.0;
        let id = caller.require_user()?;
        let missing = || Error::conflict("two_factor_not_enabled", "no second factor is asked for");
        engine.store.second_factor(id).await?.filter(|(it, _)| it.enabled).ok_or_else(missing)?;
        self.step_up(caller, proof).await?;
        let scope = self.doing(caller, "auth.disable_two_factor");
        commit(engine, &scope, move |unit| {
            Box::pin(async move {
                let (factor, _) = enabled(unit, id).await?.ok_or_else(missing)?;
                unit.note(Write::delete(&factor))?;
                let text = "no code is asked for any more when you sign in.\n\n\
                            If it was not you, ask for a new password at once and tell an admin of your organisation.\n";
                tell(unit, id, "Two-factor authentication was switched off", text).await
            })
        })
        .await
    }

    /// Asks the caller, before something dangerous, to prove afresh who they are: by a code if they have a second factor, or
    /// by their password, which is not enough in a session that was begun without the second factor that they have.
    ///
    /// # Errors
    /// `step_up_required` (forbidden) without what it takes; `validation_failed` at `/code` (`invalid_totp`) or `/password`
    /// (`wrong`); `rate_limited` after too many of them.
    pub async fn step_up(&self, caller: &Scope, proof: StepUp) -> Result<()> {
        self.prove(caller, proof).await.map(drop)
    }

    /// The same; begins a session in the place of the caller's, which ends, so that what is dangerous asks for no further
    /// proof for ten minutes. Whoever has taken over the one before has nothing of it (OWASP ASVS 5.0, 7.2.4).
    ///
    /// # Errors
    /// As [`Identity::step_up`].
    pub async fn renew_session(&self, caller: &Scope, proof: StepUp) -> Result<SignedIn> {
        let (engine, origin) = (self.0, self.1.cloned());
        let factor = self.prove(caller, proof).await?;
        let (id, place, former) = (caller.require_user()?, caller.organization_id, caller.session_id);
        let (user, organization) = futures::try_join!(engine.store.user(id), engine.store.organization(place))?;
        let user = user.ok_or_else(|| Error::not_found("user", id))?;
        let organization = organization.ok_or_else(|| Error::not_found("organization", place))?;
        let (session, token) = commit(engine, &self.doing(caller, "auth.step_up"), move |unit| {
            let origin = origin.clone();
            Box::pin(async move {
                let former = replace(unit, former).await?;
                let factors = former.map_or(vec![factor], |it| it.factors_with(factor));
                let shown = Shown::now(unit, factors);
                begin_session(unit, id, shown, origin)
            })
        })
        .await?;
        SignedIn::new(engine, user, organization, &session, &token)
    }

    async fn prove(&self, caller: &Scope, proof: StepUp) -> Result<Factor> {
        let id = caller.require_user()?;
        self.attempt(Account::User(id), self.prove_untried(caller, id, proof)).await
    }

    async fn prove_untried(&self, caller: &Scope, id: UserId, proof: StepUp) -> Result<Factor> {
        let engine = self.0;
        if let Some(code) = proof.code {
            let scope = self.doing(caller, "auth.step_up");
            return commit(engine, &scope, move |unit| {
                let code = code.clone();
                Box::pin(async move {
                    let factor = enabled(unit, id).await?.ok_or_else(invalid_code)?;
                    spend_code(unit, &factor, &code)?.ok_or_else(invalid_code)
                })
            })
            .await;
        }
        let Some(password) = proof.password else {
            let message = "prove afresh who you are: send a code of your authenticator application, or your password";
            return Err(Error::forbidden(message).code_of("step_up_required"));
        };
        if self.lacks_its_second_factor(caller, id).await? {
            let message = "prove afresh who you are: send a code of your authenticator application, which this session was \
                           begun without";
            return Err(Error::forbidden(message).code_of("step_up_required"));
        }
        let wrong = || Error::invalid("/password", "wrong", "this is not your password");
        if !comparable(&password) {
            return Err(wrong());
        }
        let hash = engine.store.credential(id).await?.map(|credential| credential.password_hash);
        match engine.identity.passwords.compare(&engine.env, &password, hash).await? {
            Verdict::Right { .. } => Ok(Factor::Password),
            Verdict::Wrong => Err(wrong()),
        }
    }

    /// Whether the caller's session was begun without the second factor that they have.
    async fn lacks_its_second_factor(&self, caller: &Scope, id: UserId) -> Result<bool> {
        let Some(session) = caller.session_id else { return Ok(false) };
        let (session, factor) = futures::try_join!(self.0.store.session(session), self.0.store.second_factor(id))?;
        Ok(factor.is_some_and(|(it, _)| it.enabled) && session.is_some_and(|it| !it.has_second_factor()))
    }
}

/// Tells somebody by mail what was done with their account.
async fn tell(unit: &mut Unit, id: UserId, subject: &str, text: &str) -> Result<()> {
    let user = unit.store().user(id).await?.ok_or_else(|| Error::not_found("user", id))?;
    write_to(unit, &user, "two-factor", subject, text).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_is_the_same_however_it_is_typed() {
        let hash = recovery_hash("ABCD-EFGH-2345");
        for typed in ["abcd-efgh-2345", " ABCDEFGH2345 ", "abcd efgh 2345"] {
            assert_eq!(recovery_hash(typed), hash);
        }
        assert_ne!(recovery_hash("ABCD-EFGH-2346"), hash);
    }

    #[test]
    fn a_link_is_a_picture_that_is_a_picture() {
        let url = qr("otpauth://totp/Dealwright:una%40acme.example?secret=MZXW6YTB").unwrap();
        let svg = STANDARD.decode(url.strip_prefix("data:image/svg+xml;base64,").unwrap()).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        assert!(svg.starts_with("<svg ") && svg.matches("h1v1h-1z").count() > 200, "{svg}");
    }
}
