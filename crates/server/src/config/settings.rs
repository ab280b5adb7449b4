//! The one table of settings. Flags, variables, the file, `--help` and `docs/configuration.md` all come from it.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the file: `metrics_listen`. The flag is `--metrics-listen`, the variable
    /// `DEALWRIGHT_METRICS_LISTEN`.
    pub name: &'static str,
    /// What its value is, for people; `None`: it is on or off.
    pub value: Option<&'static str>,
    /// What counts if it is not set.
    pub default: Option<&'static str>,
    /// Whether it may be given several times; in a variable with commas between.
    pub many: bool,
    /// What it does.
    pub about: &'static str,
}

const fn setting(name: &'static str, value: &'static str, about: &'static str) -> Setting {
    Setting { name, value: Some(value), default: None, many: false, about }
}

const fn switch(name: &'static str, about: &'static str) -> Setting {
    Setting { name, value: None, default: None, many: false, about }
}

impl Setting {
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    /// Its flag, without the dashes before it.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Its variable.
    pub fn variable(&self) -> String {
        format!("DEALWRIGHT_{}", self.name.to_uppercase())
    }
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    setting("config", "FILE", "A TOML file with any of these settings under their names"),
    setting("listen", "ADDRESS", "Where the server answers").or("127.0.0.1:8080"),
    setting(
        "tls_cert",
        "FILE",
        "Answer over TLS with this certificate and those that lead to its authority (PEM); read again when the files change \
         and at SIGHUP",
    ),
    setting("tls_key", "FILE", "Its private key (PEM), which not everybody on the machine may read"),
    switch(
        "hsts_subdomains",
        "Over HTTPS, tell browsers for a year that every host below this one answers over HTTPS alone, too \
         (includeSubDomains): set it where that is so",
    ),
    switch(
        "allow_plaintext_http",
        "Answer an address that the network reaches though neither tls_cert is set nor a proxy is named in trusted_proxies; \
         the server refuses to start otherwise, as everybody on the way would read passwords and tokens",
    ),
    setting(
        "trusted_proxies",
        "NETWORK",
        "Proxies of one's own (10.0.0.7, 10.0.0.0/8, fd00::/8) whose X-Forwarded-For and X-Forwarded-Proto count; from \
         anybody else these headers say nothing, and Forwarded never does",
    )
    .many(),
    setting(
        "cors_origins",
        "ORIGIN",
        "Sites beside this server's own (https://app.acme.example) whose pages may call it with their users' cookies and \
         read the answers; none if left out",
    )
    .many(),
    setting(
        "rate_limit_address",
        "RATE",
        "Calls a minute that an address may make without a credential that counts, or off; 60:30 is 60 a minute, at most 30 \
         at once. Of what comes by itself (health, polls of live connections, preflights) it may be 20 times as many",
    )
    .or("60"),
    setting("rate_limit_user", "RATE", "Calls a minute that a user may make, or off").or("1200:600"),
    setting("rate_limit_key", "RATE", "Calls a minute that an API key may make, or off").or("1200:600"),
    setting("rate_limit_organization", "RATE", "Calls a minute that an organisation may make, or off").or("12000:6000"),
    setting(
        "redis_url",
        "URL",
        "Where several servers over one database count together: redis://:PASSWORD@HOST:6379, or rediss://… with TLS; better \
         as a variable than as a flag. Without one each counts for itself, as it does while Redis does not answer",
    ),
    setting("metrics_listen", "ADDRESS", "Where /metrics is answered; off for nowhere").or("127.0.0.1:9464"),
    setting(
        "data_dir",
        "FOLDER",
        "Where the database, the keys and the files lie unless told otherwise; made if missing",
    )
    .or("./dealwright-data"),
    setting(
        "database",
        "URL",
        "sqlite://PATH (relative without a leading slash), or postgres://USER:PASSWORD@HOST/NAME of a role that is \
         bound by row-level security; crm.db in the data folder if left out",
    ),
    setting("database_connections", "NUMBER", "Connections to PostgreSQL at most").or("16"),
    switch("durable", "SQLite: wait at each commit until the disk has it, for loss of power"),
    setting(
        "secrets_key_file",
        "FILE",
        "The keys that seal accounts' secrets; secrets.key in the data folder, made if missing",
    ),
    setting(
        "tokens_key_file",
        "FILE",
        "The keys that sign tokens, one a line: the newest first, which signs, while all of them verify; tokens.key in \
         the data folder, made if missing",
    ),
    setting("extra_ca", "FILE", "Certificates (PEM) of authorities to trust beside the public ones").many(),
    switch(
        "public_hosts_only",
        "Refuse mail servers with private addresses that people connect, but those of private_mail_networks",
    ),
    setting(
        "private_mail_networks",
        "NETWORK",
        "Networks of one's own (10.0.0.7, 10.0.0.0/8, fd00::/8) in which mail servers may lie all the same",
    )
    .many(),
    setting(
        "mail_ports",
        "PORT",
        "Ports of mail servers that people may connect, or any; if left out any, and with public_hosts_only 25, 143, \
         465, 587, 993 and 2525",
    )
    .many(),
    switch("allow_plaintext_mail", "Let people connect mail servers without TLS"),
    setting(
        "smtp_url",
        "URL",
        "The mail server for invitations and notifications: smtps://USER:PASSWORD@HOST, smtp://USER:PASSWORD@HOST \
         (STARTTLS), or smtp://HOST:25?tls=none; better as a variable than as a flag. Without one mails are only logged",
    ),
    setting("mail_from", "ADDRESS", "Whom these mails come from: crm@acme.example or Acme CRM <crm@acme.example>"),
    setting("public_url", "URL", "Where people reach this server, for links in mails: https://crm.acme.example"),
    setting("google_client_id", "ID", "Let people sign in by Google; public_url must be set, and is where they come back to"),
    setting("google_client_secret", "SECRET", "Google's secret for it; better as a variable than as a flag"),
    setting("google_client_secret_file", "FILE", "The same in a file"),
    setting("google_issuer", "URL", "Another provider of OpenID Connect in Google's place").or("https://accounts.google.com"),
    setting("github_client_id", "ID", "Let people sign in by GitHub; public_url must be set, and is where they come back to"),
    setting("github_client_secret", "SECRET", "GitHub's secret for it; better as a variable than as a flag"),
    setting("github_client_secret_file", "FILE", "The same in a file"),
    setting("github_url", "URL", "Another GitHub, of one's own").or("https://github.com"),
    setting("github_api_url", "URL", "Its API").or("https://api.github.com"),
    setting(
        "telegram_bot_token",
        "TOKEN",
        "Let people sign in by Telegram, with this bot; its domain (/setdomain) must be public_url's; better as a variable \
         than as a flag",
    ),
    setting("telegram_bot_token_file", "FILE", "The same in a file"),
    setting("telegram_url", "URL", "Where people sign in by Telegram").or("https://oauth.telegram.org"),
    setting("s3_bucket", "NAME", "Keep files in this bucket instead of the data folder"),
    setting("s3_endpoint", "URL", "The object store's address, for those that are not AWS"),
    setting("s3_region", "NAME", "The bucket's region").or("us-east-1"),
    setting("s3_access_key", "KEY", "The object store's access key"),
    setting("s3_secret_key", "KEY", "The object store's secret key; better as a variable than as a flag"),
    setting("log_level", "LEVEL", "error, warn, info, debug, trace, or a filter such as info,dealwright=debug")
        .or("info"),
    setting("log_format", "FORMAT", "json or text").or("json"),
];

/// The table as Markdown.
pub fn markdown() -> String {
    let mut text = "| flag | variable | in the file | default | what it does |\n|---|---|---|---|---|\n".to_owned();
    for it in SETTINGS {
        let value = it.value.map(|value| format!(" {value}")).unwrap_or_default();
        let repeat = if it.many { ", repeatable" } else { "" };
        let default = it.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let (flag, variable, name, about) = (it.flag(), it.variable(), it.name, it.about);
        let name = if name == "config" { String::new() } else { format!("`{name}`") };
        text.push_str(&format!("| `--{flag}{value}`{repeat} | `{variable}` | {name} | {default} | {about} |\n"));
    }
    text
}
