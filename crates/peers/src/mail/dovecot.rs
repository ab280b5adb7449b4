//! The configuration of the two Dovecots (version 2.3): `imap`, which people read with, and `store`, which checks
//! Postfix's passwords (SASL) and puts mail away (LMTP). They share users and mail, nothing else.

use std::{fs, os::unix::fs::chown, path::Path, process::Command};

use anyhow::{Result, ensure};

use super::MailPorts;
use crate::machine;

/// Debian's account for mail files.
const OWNER: &str = "mail";

pub(super) fn command(dir: &Path, instance: &str) -> Vec<String> {
    let config = dir.join(format!("{instance}.conf")).display().to_string();
    vec!["/usr/sbin/dovecot".into(), "-F".into(), "-c".into(), config]
}

pub(super) fn prepare(dir: &Path, ports: &MailPorts) -> Result<()> {
    let version = machine::output(Command::new("/usr/sbin/dovecot").arg("--version"))?;
    ensure!(version.starts_with("2.3."), "Dovecot {} speaks another configuration: install 2.3", version.trim());
    let (uid, gid) = machine::account(OWNER)?;
    fs::create_dir(dir.join("mail"))?;
    chown(dir.join("mail"), Some(uid), Some(gid))?;
    for (instance, services) in [("imap", imap(ports)), ("store", store(ports))] {
        fs::create_dir(dir.join(instance))?;
        fs::write(dir.join(format!("{instance}.conf")), format!("{}{services}", common(dir, instance)))?;
    }
    Ok(())
}

fn common(dir: &Path, instance: &str) -> String {
    let dir = dir.display();
    format!(
        "base_dir = {dir}/{instance}
state_dir = {dir}/{instance}
instance_name = {instance}
listen = 127.0.0.1
log_path = {dir}/{instance}.log
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
# A test that signs in wrongly need not wait.
auth_failure_delay = 0
mail_location = maildir:{dir}/mail/%Lu
mail_fsync = never
mail_max_userip_connections = 100
# The account `mail` has number 8 in Debian.
first_valid_uid = 1
recipient_delimiter = +
# A file for each user: Dovecot looks at most once a second whether a file it knows has changed.
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%Lu {dir}/users/%Lu
}}
userdb {{
  driver = static
  args = uid={OWNER} gid={OWNER} home={dir}/mail/%Lu
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Drafts {{
    auto = subscribe
    special_use = \\Drafts
  }}
}}
"
    )
}

fn imap(ports: &MailPorts) -> String {
    let MailPorts { imap, imaps, .. } = ports;
    format!(
        "protocols = imap
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
"
    )
}

fn store(ports: &MailPorts) -> String {
    let MailPorts { lmtp, sasl, .. } = ports;
    format!(
        "protocols = lmtp
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service auth {{
  inet_listener sasl {{
    port = {sasl}
  }}
}}
"
    )
}
