//! Telegram's Login Widget (core.telegram.org/widgets/login): who came back stands in fields that are authenticated by a
//! secret shared with the bot. They are bound to no attempt, so they count for five minutes, and once.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chrono::{DateTime, Duration, Utc};
use dealwright::{
    Error, Result,
    ports::sign_in_provider::{Attempt, Once, SignInProvider, Vouched},
};
use hmac::{Hmac, KeyInit, Mac};
use oauth2::url::Url;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{address, proves_nothing};

const NAME: &str = "telegram";
const SITE: &str = "https://oauth.telegram.org";
/// What its answer stands under, as JSON in base64; `false` if the person does not want to.
const ANSWER: &str = "tgAuthResult";
const REFUSED: &str = "false";
/// How long an answer counts: it is made as the person agrees, and comes with the same click.
const FRESH: Duration = Duration::minutes(5);
/// How far its clock may be ahead of ours.
const SKEW: Duration = Duration::minutes(1);
/// Whether it pads has no meaning.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Signing in by a Telegram account.
pub struct Telegram {
    bot: String,
    /// SHA-256 of the bot's token: what answers are authenticated with.
    key: [u8; 32],
    site: Url,
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram").field("bot", &self.bot).finish_non_exhaustive()
    }
}

impl Telegram {
    /// A client of Telegram by a bot, or of another site that speaks the same.
    ///
    /// # Errors
    /// `validation_failed` for what is no bot's token, or no address.
    pub fn new(bot_token: &str, site: Option<&str>) -> Result<Self> {
        let (bot, secret) = bot_token.split_once(':').unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = !bot.is_empty() && bot.bytes().all(|byte| byte.is_ascii_digit());
        if !fits || secret.is_empty() || !secret.bytes().all(plain) {
            // Whatever it is, it may be a secret: it is not told.
            let detail = "this is no token of a bot: NUMBER:SECRET is expected, as @BotFather gives it";
            return Err(Error::invalid("/bot_token", "invalid", detail));
        }
        let site = address(&format!("{}/auth", site.unwrap_or(SITE).trim_end_matches('/')))?;
        Ok(Self { bot: bot.to_owned(), key: Sha256::digest(bot_token).into(), site })
    }

    /// Who these fields say it is, if this bot's Telegram wrote them just now.
    fn checked(&self, mut fields: BTreeMap<String, String>, now: DateTime<Utc>) -> Result<Vouched> {
        let hash = fields.remove("hash").as_deref().and_then(bytes);
        let hash = hash.ok_or_else(|| proves_nothing(NAME, "it has no hash"))?;
        let lines = fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n");
        let mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .map_err(|e| Error::internal("no HMAC has a key of 32 bytes").with_source(e))?;
        // In constant time.
        mac.chain_update(&lines)
            .verify_slice(&hash)
            .map_err(|_| proves_nothing(NAME, "its hash is not that of the bot's token"))?;

        let number = |name: &str| fields.get(name).and_then(|text| text.parse::<i64>().ok()).filter(|it| *it > 0);
        let at = number("auth_date").and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let at = at.ok_or_else(|| proves_nothing(NAME, "it does not say when it was made"))?;
        if at > now + SKEW {
            return Err(proves_nothing(NAME, "it was made in the future: look at this machine's clock"));
        }
        let until = at + FRESH;
        if until <= now {
            return Err(proves_nothing(NAME, "it was made more than five minutes ago"));
        }
        let id = number("id").ok_or_else(|| proves_nothing(NAME, "it does not say whose it is"))?;
        let names = ["first_name", "last_name"].map(|name| fields.get(name).map(String::as_str).unwrap_or_default());
        let name = names.join(" ").trim().to_owned();
        Ok(Vouched {
            subject: id.to_string(),
            email: None,
            email_verified: false,
            name: Some(name).filter(|name| !name.is_empty()),
            once: Some(Once { proof: lines, until }),
        })
    }
}

/// The fields of an answer.
fn fields(answer: &str) -> Result<BTreeMap<String, String>> {
    if answer == REFUSED {
        return Err(Error::forbidden(format!("{NAME} let nobody in")).code_of("access_denied"));
    }
    let json = BASE64.decode(answer).ok().and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
    let json = json.ok_or_else(|| proves_nothing(NAME, "it holds no fields"))?;
    json.into_iter().map(|(name, value)| field(name, value)).collect()
}

/// A field as it is authenticated: a line. Whoever is called by two lines would be somebody else.
fn field(name: String, value: Value) -> Result<(String, String)> {
    let value = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return Err(proves_nothing(NAME, "a field is neither text nor number")),
    };
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if !plain || value.contains(char::is_control) {
        return Err(proves_nothing(NAME, "a field is no single line"));
    }
    Ok((name, value))
}

/// The bytes of an HMAC written in hexadecimal.
fn bytes(hash: &str) -> Option<[u8; 32]> {
    let mut all = [0; 32];
    if hash.len() != 2 * all.len() {
        return None;
    }
    for (byte, pair) in all.iter_mut().zip(hash.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |sum, digit| {
            let digit = char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())?;
            Some(sum << 4 | digit)
        })?;
    }
    Some(all)
}

#[async_trait]
impl SignInProvider for Telegram {
    fn name(&self) -> &'static str {
        NAME
    }

    fn answers_behind_hash(&self) -> bool {
        true
    }

    async fn begin(&self, attempt: &Attempt) -> Result<String> {
        let mut back =
            Url::parse(&attempt.callback).map_err(|e| Error::internal("public_url is no address").with_source(e))?;
        back.query_pairs_mut().append_pair("state", &attempt.state);
        let mut url = self.site.clone();
        url.query_pairs_mut()
            .append_pair("bot_id", &self.bot)
            .append_pair("origin", &back.origin().ascii_serialization())
            .append_pair("return_to", back.as_str());
        Ok(url.into())
    }

    async fn finish(&self, attempt: &Attempt, answer: &BTreeMap<String, String>) -> Result<Vouched> {
        let shown = answer.get(ANSWER).ok_or_else(|| proves_nothing(NAME, format!("it brings no {ANSWER}")))?;
        self.checked(fields(shown)?, attempt.now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Of no bot that exists.
    const TOKEN: &str = "4242424242:AAHexampleExampleExampleExampleExample";
    /// `HMAC-SHA256(key = SHA-256(TOKEN))` of Ada's fields, made by Python's `hmac` and not by this code.
    const HASH: &str = "5d3c586725abfacbf50b57cad25c8eedcce5acaf12287d6d757976a20efc9df7";
    const MADE: i64 = 1_795_000_000;

    fn ada() -> Value {
        json!({
            "id": 99_000_001, "first_name": "Ada", "last_name": "Lovelace", "username": "ada",
            "photo_url": "https://t.me/i/userpic/320/ada.jpg", "auth_date": MADE, "hash": HASH,
        })
    }

    fn with(name: &str, value: impl Into<Value>) -> Value {
        let mut fields = ada();
        fields[name] = value.into();
        fields
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(MADE + seconds, 0).unwrap()
    }

    fn shown(fields: &Value, now: DateTime<Utc>) -> Result<Vouched> {
        let telegram = Telegram::new(TOKEN, None).unwrap();
        telegram.checked(super::fields(&BASE64.encode(fields.to_string()))?, now)
    }

    fn refused(fields: &Value, why: &str) {
        let error = shown(fields, at(1)).unwrap_err();
        assert_eq!(error.code(), "invalid_provider_answer");
        assert!(error.message().contains(why), "{fields}: {error}");
    }

    /// The same fields with a hash that is right: for what Telegram would authenticate, and would be wrong nevertheless.
    fn signed(mut fields: Value) -> Value {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let all = fields.as_object().unwrap().iter().filter(|(name, _)| *name != "hash");
        let lines: BTreeMap<_, _> = all.map(|(name, value)| (name.clone(), text(value))).collect();
        let lines: Vec<_> = lines.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mac = Hmac::<Sha256>::new_from_slice(&Sha256::digest(TOKEN)).unwrap().chain_update(lines.join("\n"));
        let hash: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        fields["hash"] = hash.into();
        fields
    }

    #[test]
    fn who_came_back_is_whom_telegram_names() {
        let vouched = shown(&ada(), at(1)).unwrap();
        assert_eq!((vouched.subject.as_str(), vouched.name.as_deref()), ("99000001", Some("Ada Lovelace")));
        assert_eq!((vouched.email, vouched.email_verified), (None, false));
        let once = vouched.once.unwrap();
        assert_eq!(once.until, at(300));
        // However it is written, it is the same proof.
        let odd = shown(&with("hash", HASH.to_uppercase()), at(1)).unwrap();
        assert_eq!(shown(&with("id", "99000001"), at(1)).unwrap().once, odd.once);
        assert_eq!(odd.once, Some(once));
        assert_eq!(signed(ada()), ada());
    }

    /// OWASP ASVS 5.0, 11.4.
    #[test]
    fn forged_fields_are_refused() {
        let not_its = "not that of the bot's token";
        for (name, value) in [
            ("id", json!(99_000_002)),
            ("first_name", json!("Eve")),
            ("auth_date", json!(MADE + 1)),
            ("photo_url", json!("https://evil.example/x.jpg")),
            ("added", json!("x")),
            ("hash", json!("0".repeat(64))),
            ("hash", json!(format!("{}0", &HASH[..63]))),
        ] {
            refused(&with(name, value), not_its);
        }
        let mut fewer = ada();
        fewer.as_object_mut().unwrap().remove("last_name");
        refused(&fewer, not_its);
        for hash in [json!(""), json!(HASH[..62]), json!(format!("+{}", &HASH[1..])), json!(format!("{HASH}00"))] {
            refused(&with("hash", hash), "it has no hash");
        }
        let other = Telegram::new(&TOKEN.replace("AAH", "AAI"), None).unwrap();
        let fields = fields(&BASE64.encode(ada().to_string())).unwrap();
        assert_eq!(other.checked(fields, at(1)).unwrap_err().code(), "invalid_provider_answer");
    }

    #[test]
    fn an_answer_counts_for_five_minutes() {
        for seconds in [-60, 0, 299] {
            assert!(shown(&ada(), at(seconds)).is_ok(), "{seconds}");
        }
        for (seconds, why) in [(-61, "in the future"), (300, "five minutes ago"), (86_400, "five minutes ago")] {
            let error = shown(&ada(), at(seconds)).unwrap_err();
            assert!(error.code() == "invalid_provider_answer" && error.message().contains(why), "{error}");
        }
    }

    /// Somebody whose name is several lines would be anybody: the text that is authenticated is the same.
    #[test]
    fn nobody_is_called_by_several_lines() {
        let called = json!({ "auth_date": MADE, "first_name": "Eve\nid=99000001\nlast_name=x", "id": 666 });
        refused(&signed(called.clone()), "no single line");
        let read_as = json!({ "auth_date": MADE, "first_name": "Eve", "id": "99000001", "last_name": "x\nid=666" });
        assert_eq!(signed(called)["hash"], signed(read_as.clone())["hash"]);
        refused(&signed(read_as), "no single line");
        refused(&signed(json!({ "auth_date": MADE, "id": 1, "a=b": "c" })), "no single line");
    }

    #[test]
    fn what_is_missing_is_told() {
        refused(&signed(json!({ "id": 1 })), "when it was made");
        refused(&signed(json!({ "auth_date": MADE })), "whose it is");
        refused(&signed(json!({ "auth_date": MADE, "id": -1 })), "whose it is");
        refused(&with("first_name", json!(null)), "neither text nor number");
        for (text, code) in [("false", "access_denied"), ("", "invalid_provider_answer"), ("e30", "")] {
            assert_eq!(fields(text).err().map_or("", |error| if error.code() == code { code } else { "other" }), code);
        }
    }

    #[tokio::test]
    async fn a_browser_is_sent_to_telegram_with_where_it_comes_back_to() {
        for bad in ["", "4242", ":x", "bot:x", "4242:", "42:a b"] {
            let error = Telegram::new(bad, None).unwrap_err();
            assert!(
                error.code() == "validation_failed" && (bad.is_empty() || !error.to_string().contains(bad)),
                "{bad}"
            );
        }
        let telegram = Telegram::new(TOKEN, None).unwrap();
        assert!(!format!("{telegram:?}").contains("AAH"));
        let attempt = Attempt {
            state: "s-1".to_owned(),
            nonce: String::new(),
            verifier: String::new(),
            callback: "https://crm.acme.example/api/auth/oauth/telegram/landing".to_owned(),
            now: at(0),
        };
        let url = telegram.begin(&attempt).await.unwrap();
        let url = Url::parse(&url).unwrap();
        assert_eq!(url.as_str().split('?').next(), Some("https://oauth.telegram.org/auth"));
        let expected = [
            ("bot_id", "4242424242"),
            ("origin", "https://crm.acme.example"),
            ("return_to", "https://crm.acme.example/api/auth/oauth/telegram/landing?state=s-1"),
        ];
        let pairs: Vec<_> = url.query_pairs().collect();
        assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
    }
}
