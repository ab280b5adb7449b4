//! What must be true of a server before people trust it with their work: its settings and its files. What must be true of
//! its database, the engine looks at itself.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use dealwright::store::sql::Finding;

use crate::config::{Config, is_local, is_open};

const KEYS: &str = "key file";
const CONFIGURATION: &str = "configuration";
const TLS: &str = "tls";

/// Looks at the settings and at the files that they name.
pub fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in [&config.secrets_key_file, &config.tokens_key_file] {
        findings.push(key_file(path));
    }
    if let Some(files) = &config.tls {
        findings.push(match files.load() {
            Ok(_) => Finding::fine(TLS, "certificate and key are a pair, and the key is nobody else's to read"),
            Err(error) => Finding::broken(TLS, format!("{error:#}")),
        });
    }
    let (weak, trusting) = (weaknesses(config), trusts_members(config));
    if weak.is_empty() && trusting.is_none() {
        findings.push(Finding::fine(CONFIGURATION, "nothing in it is weak"));
    }
    findings.extend(weak.into_iter().map(|sentence| Finding::broken(CONFIGURATION, sentence)));
    findings.extend(trusting.map(|sentence| Finding::warning(CONFIGURATION, sentence)));
    findings
}

/// A key opens every secret of every organisation, or makes anybody's token.
fn key_file(path: &Path) -> Finding {
    let shown = path.display();
    match fs::metadata(path).map(|it| it.mode()) {
        Ok(mode) if mode & 0o007 != 0 => Finding::broken(
            KEYS,
            format!(
                "everybody on this machine may read or write {shown}: run `chmod go= {shown}`, and replace the keys"
            ),
        ),
        Ok(mode) if mode & 0o070 != 0 => Finding::warning(
            KEYS,
            format!(
                "the group of {shown} may read or write it: run `chmod g= {shown}` unless it is the server's own group"
            ),
        ),
        Ok(_) => Finding::fine(KEYS, format!("{shown} is nobody else's to read")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::fine(KEYS, format!("there is no {shown} yet: the server makes it when it starts"))
        }
        Err(error) => Finding::broken(KEYS, format!("{shown} cannot be looked at: {error}")),
    }
}

/// What members find out by it is no stranger's to know, and may be theirs.
fn trusts_members(config: &Config) -> Option<String> {
    let (hosts, others_reach_it) = (&config.mail_hosts, !config.is_for_this_machine_alone());
    let remedy = match (hosts.public_only, &hosts.ports) {
        (false, _) => "public_hosts_only is off: set it, and name networks of mail servers in private_mail_networks",
        (true, None) => "mail_ports is any: name those of the mail servers",
        (true, Some(_)) => return None,
    };
    others_reach_it.then(|| {
        format!("whoever connects a mail account finds out what answers in the server's network, as {remedy}, unless all may know")
    })
}

/// Settings that work, but under which strangers read or do what they must not; each with its remedy.
fn weaknesses(config: &Config) -> Vec<String> {
    let mut weak = Vec::new();
    let mut say = |is: bool, sentence: &str| weak.extend(is.then(|| sentence.to_owned()));
    say(
        config.listens_in_the_clear(),
        "listen is open to the network without TLS, so passwords and tokens travel in the clear: set tls_cert and tls_key, \
         or put a proxy that speaks TLS before it and name that in trusted_proxies",
    );
    say(
        config.metrics_listen.is_some_and(is_open),
        "metrics_listen is open to the network and asks nobody who they are: let it listen at 127.0.0.1, or at an address \
         that only your monitoring reaches",
    );
    for (url, name) in [
        (config.public_url.as_deref(), "public_url"),
        (config.s3.as_ref().and_then(|it| it.endpoint.as_deref()), "s3_endpoint"),
    ] {
        let told = format!("{name} is plain HTTP, which everybody on the way reads and changes: use https://");
        say(url.is_some_and(|url| is_plain(url, "http://")), &told);
    }
    say(
        config.origins.iter().any(|origin| is_plain(origin, "http://")),
        "cors_origins lets pages of plain HTTP call with people's cookies, which everybody on the way can rewrite: use \
         https://",
    );
    say(
        config.redis_url.as_deref().is_some_and(|url| is_plain(url, "redis://")),
        "redis_url goes over the network in the clear, its password with it: use rediss://",
    );
    say(
        config.database.starts_with("postgres")
            && !is_local(&config.database)
            && !config.database.contains("sslmode=require")
            && !config.database.contains("sslmode=verify"),
        "database may be asked without TLS, by whoever says that they cannot: add ?sslmode=require",
    );
    say(
        config.smtp.as_ref().is_some_and(|it| is_plain(&it.url, "smtp://") && it.url.contains('@')),
        "smtp_url sends its password before it is known whether there is TLS: use smtps://",
    );
    say(
        config.allow_plaintext_mail,
        "allow_plaintext_mail lets people connect mail servers to which their passwords go in the clear: leave it out",
    );
    let unlimited = config.limits.unlimited();
    let told = format!("{} is off, so nothing slows whoever tries passwords or floods: set it", unlimited.join(", "));
    say(!unlimited.is_empty(), &told);
    weak
}

fn is_plain(url: &str, scheme: &str) -> bool {
    url.starts_with(scheme) && !is_local(url)
}

#[cfg(test)]
mod tests {
    use dealwright::store::sql::Level;

    use super::*;
    use crate::config::{SETTINGS, read};

    fn findings(arguments: &[&str]) -> Vec<Finding> {
        let arguments = ["dealwright-server"].iter().chain(arguments).map(Into::into).collect();
        let (_, texts) = read(arguments, |_| None).unwrap();
        examine(&Config::new(&texts).unwrap())
    }

    #[test]
    fn a_server_of_ones_own_is_well() {
        let bad: Vec<_> = findings(&[]).into_iter().filter(|it| it.level != Level::Fine).collect();
        assert_eq!(bad, []);
    }

    /// OWASP ASVS 5.0, 13.1 and 13.2: each weak setting is named with its remedy.
    /// ASVS 12.2.1 and 12.3.1.
    #[test]
    fn what_is_weak_is_named_with_its_remedy() {
        for (arguments, names, remedy) in [
            (&["--listen", "0.0.0.0:8080"][..], "listen", "tls_cert"),
            (&["--metrics-listen", "0.0.0.0:9464"], "metrics_listen", "127.0.0.1"),
            (&["--public-url", "http://crm.acme.example"], "public_url", "https://"),
            (&["--cors-origins", "http://app.acme.example"], "cors_origins", "https://"),
            (&["--redis-url", "redis://:secret@cache.acme.example"], "redis_url", "rediss://"),
            (&["--database", "postgres://crm@db.acme.example/crm"], "database", "sslmode=require"),
            (&["--rate-limit-address", "off"], "rate_limit_address", "set it"),
            (
                &["--smtp-url", "smtp://u:secret@mx.acme.example", "--mail-from", "crm@acme.example"],
                "smtp_url",
                "smtps://",
            ),
        ] {
            assert!(SETTINGS.iter().any(|it| it.name == names), "{names} is no setting");
            let all = findings(arguments);
            let broken: Vec<_> = all.iter().filter(|it| it.level == Level::Broken).map(|it| &it.sentence).collect();
            assert_eq!(broken.len(), 1, "{arguments:?}: {broken:?}");
            assert!(broken[0].contains(names) && broken[0].contains(remedy), "{broken:?}");
            assert!(!broken[0].contains("secret"), "{broken:?}");
        }
        for fine in [
            &["--listen", "0.0.0.0:8080", "--trusted-proxies", "10.0.0.0/8"][..],
            &["--public-url", "http://localhost:8080"],
            &["--redis-url", "redis://[::1]:6379"],
            &["--database", "postgres://crm@127.0.0.1/crm"],
            &["--database", "postgres://crm@db.acme.example/crm?sslmode=require"],
        ] {
            assert!(findings(fine).iter().all(|it| it.level != Level::Broken), "{fine:?}");
        }
        for (arguments, named) in [
            (&["--trusted-proxies", "127.0.0.1"][..], Some("public_hosts_only")),
            (&["--public-url", "https://crm.acme.example"], Some("private_mail_networks")),
            (&["--trusted-proxies", "127.0.0.1", "--public-hosts-only", "--mail-ports", "any"], Some("mail_ports")),
            (&["--trusted-proxies", "127.0.0.1", "--public-hosts-only"], None),
            (&["--public-url", "http://localhost:8080"], None),
        ] {
            let all = findings(arguments);
            let warned = all.iter().find(|it| it.level == Level::Warning).map(|it| &it.sentence);
            assert_eq!(warned.is_some(), named.is_some(), "{arguments:?}: {warned:?}");
            assert!(warned.is_none_or(|it| it.contains(named.unwrap())), "{warned:?}");
        }
    }

    /// ASVS 13.3.2.
    #[test]
    fn a_key_that_others_may_read_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        fs::write(&path, "").unwrap();
        for (mode, level) in
            [(0o600, Level::Fine), (0o640, Level::Warning), (0o644, Level::Broken), (0o602, Level::Broken)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let finding = key_file(&path);
            assert_eq!(finding.level, level, "{mode:o}");
            assert!(level == Level::Fine || finding.sentence.contains("chmod"), "{finding:?}");
        }
    }
}
