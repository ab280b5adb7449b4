//! Settings of those who vouch for people that sign in.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::Texts;

/// A secret, or where it lies.
#[derive(Clone)]
pub enum ClientSecret {
    /// It stands in the settings.
    Given(String),
    /// It stands in this file.
    In(PathBuf),
}

/// Signing in by Google.
#[derive(Clone)]
pub struct Google {
    /// What Google knows us by.
    pub client_id: String,
    /// What proves that it is us.
    pub client_secret: ClientSecret,
    /// Who issues its tokens.
    pub issuer: String,
}

/// Signing in by GitHub.
#[derive(Clone)]
pub struct GitHub {
    /// What GitHub knows us by.
    pub client_id: String,
    /// What proves that it is us.
    pub client_secret: ClientSecret,
    /// Where people sign in.
    pub url: String,
    /// Where its API is.
    pub api_url: String,
}

/// Signing in by Telegram.
#[derive(Clone)]
pub struct Telegram {
    /// What the bot is known by, its secret included.
    pub bot_token: ClientSecret,
    /// Where people sign in.
    pub url: String,
}

/// A provider's client id and secret, if it is set up.
fn client(texts: &Texts, provider: &str) -> Result<Option<(String, ClientSecret)>> {
    let name = |what: &str| format!("{provider}_{what}");
    let Some(id) = texts.one(&name("client_id")) else { return Ok(None) };
    if texts.one("public_url").is_none() {
        bail!("{} is set, so public_url must be set too: it is where people come back to", name("client_id"));
    }
    let secret = match (texts.one(&name("client_secret")), texts.one(&name("client_secret_file"))) {
        (Some(secret), None) => ClientSecret::Given(secret.to_owned()),
        (None, Some(file)) => ClientSecret::In(file.into()),
        _ => bail!("{0} needs one of {1} and {1}_file", name("client_id"), name("client_secret")),
    };
    Ok(Some((id.to_owned(), secret)))
}

fn needed(texts: &Texts, name: &str) -> Result<String> {
    texts.one(name).map(str::to_owned).with_context(|| format!("{name} is not set"))
}

pub(super) fn google(texts: &Texts) -> Result<Option<Google>> {
    let Some((client_id, client_secret)) = client(texts, "google")? else { return Ok(None) };
    Ok(Some(Google { client_id, client_secret, issuer: needed(texts, "google_issuer")? }))
}

pub(super) fn github(texts: &Texts) -> Result<Option<GitHub>> {
    let Some((client_id, client_secret)) = client(texts, "github")? else { return Ok(None) };
    let (url, api_url) = (needed(texts, "github_url")?, needed(texts, "github_api_url")?);
    Ok(Some(GitHub { client_id, client_secret, url, api_url }))
}

pub(super) fn telegram(texts: &Texts) -> Result<Option<Telegram>> {
    let bot_token = match (texts.one("telegram_bot_token"), texts.one("telegram_bot_token_file")) {
        (None, None) => return Ok(None),
        (Some(token), None) => ClientSecret::Given(token.to_owned()),
        (None, Some(file)) => ClientSecret::In(file.into()),
        (Some(_), Some(_)) => bail!("set one of telegram_bot_token and telegram_bot_token_file, not both"),
    };
    if texts.one("public_url").is_none() {
        bail!("telegram_bot_token is set, so public_url must be set too: it is where people come back to");
    }
    Ok(Some(Telegram { bot_token, url: needed(texts, "telegram_url")? }))
}
