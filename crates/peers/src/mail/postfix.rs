//! The configuration of Postfix: submission for who signs in, delivery to the local store only, and the map of known
//! recipients.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};

use super::MailPorts;
use crate::machine;

/// Debian's account for Postfix's own processes.
const OWNER: &str = "postfix";

pub(super) fn prepare(dir: &Path, ports: &MailPorts) -> Result<()> {
    let etc = dir.join("postfix");
    let data = dir.join("postfix-data");
    for new in [&etc, &data, &dir.join("queue"), &dir.join("users")] {
        fs::create_dir(new)?;
    }
    let (uid, _) = machine::account(OWNER)?;
    chown(&data, Some(uid), None)?;
    fs::write(etc.join("main.cf"), main_cf(dir, ports))?;
    // Postfix waits with a configuration written within this second: somebody may still be writing it.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(etc.join("main.cf"))?.set_modified(long_ago)?;
    fs::write(etc.join("master.cf"), master_cf(ports))?;
    make_queue(&dir.join("queue"), uid)
}

/// The directories of a queue as Debian's `postfix-files` lists them; `postfix check` would take a second and a half.
fn make_queue(queue: &Path, owner: u32) -> Result<()> {
    let own = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "private"];
    let own = own.iter().chain(&["public", "saved", "trace"]).map(|name| (*name, owner, 0o700));
    for (name, owner, mode) in own.chain([("pid", 0, 0o755)]) {
        let dir = queue.join(name);
        fs::create_dir(&dir)?;
        chown(&dir, Some(owner), None)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

pub(super) fn command(dir: &Path) -> Result<Vec<String>> {
    let etc = dir.join("postfix").display().to_string();
    let daemons = machine::output(Command::new("/usr/sbin/postconf").args(["-c", &etc, "-h", "daemon_directory"]))?;
    Ok(vec![format!("{}/master", daemons.trim()), "-c".into(), etc, "-s".into()])
}

/// Makes the addresses in `users/` known. A new file takes the place of the old: Postfix sees at the next
/// connection that the one it opened is gone, whereas it compares times by the second only.
pub(super) fn publish_recipients(dir: &Path) -> Result<()> {
    let mut recipients = String::new();
    for user in fs::read_dir(dir.join("users"))? {
        recipients.push_str(&format!("{} known\n", user?.file_name().to_string_lossy()));
    }
    fs::write(dir.join("next"), recipients)?;
    // From its input: a source file it would let grow old by a second first.
    let mut postmap = Command::new("/usr/sbin/postmap");
    postmap.arg("-c").arg(dir.join("postfix")).arg("-i").arg(format!("hash:{}", dir.join("next").display()));
    machine::output(postmap.stdin(fs::File::open(dir.join("next"))?))?;
    fs::rename(dir.join("next.db"), dir.join("recipients.db")).context("publish the recipients")
}

fn main_cf(dir: &Path, ports: &MailPorts) -> String {
    let MailPorts { lmtp, sasl, .. } = ports;
    let dir = dir.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/postfix-data
mail_owner = {OWNER}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost.peers.test
mydestination =
mynetworks =
# Every domain is local: no message can leave.
virtual_mailbox_domains = static:all
virtual_mailbox_maps = hash:{dir}/recipients
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
recipient_delimiter = +
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl}
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_error_sleep_time = 0
smtpd_peername_lookup = no
disable_dns_lookups = yes
alias_maps =
alias_database =
maillog_file = {dir}/postfix.log
maillog_file_prefixes = {dir}
message_size_limit = 52428800
"
    )
}

fn master_cf(ports: &MailPorts) -> String {
    let MailPorts { smtp, smtps, .. } = ports;
    format!(
        "127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"
    )
}
