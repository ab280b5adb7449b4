//! An engine made from settings: folders, key files, database, object store, connectors, rule engines.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result};
use dealwright::{
    Crm, Error, Registry,
    cipher::Cipher,
    env::Env,
    ports::mailer::Mailer,
    services::identity::TokenKeys,
    store::sql::{SqlStore, StoreOptions},
};
use dealwright_connectors::{
    email::{EmailConnector, EmailOptions, SmtpMailer},
    log_mailer::LogMailer,
    oauth::{GitHub, Google, OAuthClient, OAuthHttp, OAuthOptions, Telegram},
    redis::RedisLimiter,
};
use object_store::{ClientOptions, ObjectStore, aws::AmazonS3Builder, local::LocalFileSystem};
use zeroize::Zeroizing;

use crate::config::{ClientSecret, Config, S3};

/// Makes the engine. Its loops are not started.
///
/// # Errors
/// Whatever is missing or does not answer, with what to do.
pub async fn engine(config: &Config) -> Result<Crm> {
    make_folder(&config.data_dir)?;
    let env = Env::system();
    key_file(&config.secrets_key_file, || Cipher::new_key_file(&env))?;
    let secrets = config.secrets_key_file.clone();
    let tokens = key_file(&config.tokens_key_file, || TokenKeys::new_key_file(&env))?;
    let store = SqlStore::open(&config.database, store_options(config)).await?;
    let mut builder = Crm::builder();
    if let Some(url) = &config.public_url {
        builder = builder.public_url(url);
    }
    if let Some(url) = &config.redis_url {
        let limiter = RedisLimiter::new(url, env.clone()).context("redis_url is no address of a Redis")?;
        builder = builder.limiter(Arc::new(limiter));
    }
    let crm = builder
        .store(Arc::new(store))
        .registry(registry(config, &env)?)
        .cipher(master_keys(&secrets)?)
        .read_keys(move || master_keys(&secrets))
        .token_keys(TokenKeys::from_key_file(&tokens).with_context(|| config.tokens_key_file.display().to_string())?)
        .objects(objects(config)?)
        .mailer(mailer(config)?)
        .env(env)
        .build()
        .await?;
    Ok(crm)
}

/// The master keys, as their file has them now.
///
/// # Errors
/// `unavailable` if the file cannot be read; `validation_failed` if it holds no keys.
pub fn master_keys(file: &Path) -> dealwright::Result<Cipher> {
    let name = file.display();
    let text = fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|e| Error::unavailable(format!("the key file {name} cannot be read: {e}")))?;
    Cipher::from_key_file(&text)
        .map_err(|e| Error::internal(format!("the key file {name}: {}", e.message())).with_source(e))
}

/// How the store is opened.
pub fn store_options(config: &Config) -> StoreOptions {
    let options = StoreOptions::default().durable(config.durable).connections(config.database_connections);
    config.extra_ca.iter().fold(options, |options, file| options.certificate(file))
}

fn email_options(config: &Config) -> Result<EmailOptions> {
    let mut options = EmailOptions {
        allow_plaintext: config.allow_plaintext_mail,
        public_hosts_only: config.mail_hosts.public_only,
        private_networks: config.mail_hosts.private_networks.clone(),
        ports: config.mail_hosts.ports.clone(),
        ..EmailOptions::default()
    };
    for file in &config.extra_ca {
        let pem = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        options = options.trust_pem(&pem).with_context(|| file.display().to_string())?;
    }
    Ok(options)
}

/// Where our own mails go out: the operator's mail server, else the log.
fn mailer(config: &Config) -> Result<Arc<dyn Mailer>> {
    Ok(match &config.smtp {
        Some(smtp) => Arc::new(SmtpMailer::new(&smtp.url, &smtp.from, &email_options(config)?)?),
        None => Arc::new(LogMailer),
    })
}

fn registry(config: &Config, env: &Env) -> Result<Registry> {
    let mut registry = Registry::new();
    registry.connector(EmailConnector::new(email_options(config)?, env.clone())?);
    registry.rule_engine(dealwright_rules::declarative::Declarative);
    sign_in_providers(config, &mut registry)?;
    Ok(registry)
}

/// Who vouches for people that sign in.
fn sign_in_providers(config: &Config, registry: &mut Registry) -> Result<()> {
    if let Some(telegram) = &config.telegram {
        let token = secret(&telegram.bot_token)?;
        let provider = Telegram::new(&token, Some(&telegram.url));
        registry.sign_in_provider(provider.context("telegram_bot_token or telegram_url")?);
    }
    if config.google.is_none() && config.github.is_none() {
        return Ok(());
    }
    let mut options = OAuthOptions::default();
    for file in &config.extra_ca {
        let pem = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        options = options.trust_pem(&pem).with_context(|| file.display().to_string())?;
    }
    let http = OAuthHttp::new(&options)?;
    if let Some(google) = &config.google {
        let client = oauth_client(&google.client_id, &google.client_secret)?;
        let provider = Google::new(client, Some(&google.issuer), http.clone()).context("google_issuer")?;
        registry.sign_in_provider(provider);
    }
    if let Some(github) = &config.github {
        let client = oauth_client(&github.client_id, &github.client_secret)?;
        let provider = GitHub::new(client, Some(&github.url), Some(&github.api_url), http);
        registry.sign_in_provider(provider.context("github_url or github_api_url")?);
    }
    Ok(())
}

fn oauth_client(id: &str, given: &ClientSecret) -> Result<OAuthClient> {
    Ok(OAuthClient { id: id.to_owned(), secret: secret(given)? })
}

fn secret(given: &ClientSecret) -> Result<String> {
    match given {
        ClientSecret::Given(secret) => Ok(secret.clone()),
        ClientSecret::In(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            Ok(text.trim().to_owned())
        }
    }
}

fn objects(config: &Config) -> Result<Arc<dyn ObjectStore>> {
    let Some(s3) = &config.s3 else {
        let folder = config.data_dir.join("media");
        make_folder(&folder)?;
        return Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true)));
    };
    let S3 { bucket, endpoint, region, access_key, secret_key } = s3;
    let mut client = ClientOptions::new();
    for file in &config.extra_ca {
        let pem = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        for certificate in object_store::Certificate::from_pem_bundle(&pem)? {
            client = client.with_root_certificate(certificate);
        }
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_access_key_id(access_key)
        .with_secret_access_key(secret_key);
    if let Some(endpoint) = endpoint {
        // Stores that are not AWS seldom have a name for each bucket.
        client = client.with_allow_http(endpoint.starts_with("http://"));
        builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
    }
    Ok(Arc::new(builder.with_client_options(client).build()?))
}

/// Makes a folder that nobody else may look into.
fn make_folder(folder: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))
}

/// The text of a key file; a missing one is made, readable for nobody else.
fn key_file(path: &Path, new: impl FnOnce() -> dealwright::Result<String>) -> Result<Zeroizing<String>> {
    let name = || format!("the key file {}", path.display());
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        text => return text.map(Zeroizing::new).with_context(name),
    }
    let text = Zeroizing::new(new()?);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match file {
        // Another process was faster: its key counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return fs::read_to_string(path).map(Zeroizing::new).with_context(name);
        }
        file => file.with_context(name)?,
    };
    file.write_all(text.as_bytes()).with_context(name)?;
    file.sync_all().with_context(name)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// ASVS 13.3.2.
    #[test]
    fn a_key_file_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.key");
        let env = Env::system();
        let first = key_file(&path, || TokenKeys::new_key_file(&env)).unwrap();
        let again = key_file(&path, || TokenKeys::new_key_file(&env)).unwrap();
        assert_eq!(first, again);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
