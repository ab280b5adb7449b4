//! TLS to PostgreSQL: a certificate that is asked for is checked.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

use dealwright::{
    ports::store::Store,
    store::sql::{SqlStore, StoreOptions, migrate},
};
use dealwright_peers::Postgres;

/// A certificate for the name `localhost`, and for no address.
fn certificate(folder: &Path) {
    let conf = "[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = localhost\n\
                [ext]\nsubjectAltName = DNS:localhost\nbasicConstraints = critical, CA:FALSE\n";
    std::fs::write(folder.join("cert.conf"), conf).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.current_dir(folder).args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(' '));
    openssl.args("-days 30 -config cert.conf -keyout key.pem -out cert.pem".split(' '));
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// ASVS 12.3.2.
pub async fn a_certificate_is_checked_against_authorities_and_name() {
    let server = Postgres::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    // The server runs as the owner of its data, and wants its key to itself.
    let owner = std::fs::metadata(server.sql("show data_directory").unwrap()).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for file in ["key.pem", "cert.pem"] {
        let file = folder.path().join(file);
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let place = folder.path().display();
    for setting in
        [format!("ssl_cert_file = '{place}/cert.pem'"), format!("ssl_key_file = '{place}/key.pem'"), "ssl = on".into()]
    {
        server.sql(&format!("alter system set {setting}")).unwrap();
    }
    server.sql("select pg_reload_conf()").unwrap();
    while server.sql("show ssl").unwrap() != "on" {}

    let urls = server.fresh_database("tls").unwrap();
    let trusting = StoreOptions::default().certificate(folder.path().join("cert.pem"));
    let at = |url: &str, host: &str, mode: &str| format!("{}?sslmode={mode}", url.replace("127.0.0.1", host));
    migrate(&at(&urls.owner, "localhost", "verify-full"), "crm_app", &trusting).await.unwrap();
    for mode in ["require", "verify-ca", "verify-full", "prefer"] {
        let store = SqlStore::open(&at(&urls.app, "localhost", mode), trusting.clone()).await.unwrap();
        store.ping().await.unwrap();
        let encrypted = "select count(*) > 0 and bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) \
                         where usename = 'crm_app' and application_name = 'dealwright'";
        assert_eq!(server.sql(encrypted).unwrap(), "t", "{mode}");
        drop(store);
        while server.sql("select count(*) from pg_stat_activity where usename = 'crm_app'").unwrap() != "0" {}
    }
    // An unknown authority, and a name that is not the certificate's.
    let unknown = SqlStore::open(&at(&urls.app, "localhost", "require"), StoreOptions::default()).await.unwrap_err();
    assert!(unknown.code() == "unavailable" && unknown.to_string().contains("certificate"), "{unknown}");
    let misnamed = SqlStore::open(&at(&urls.app, "127.0.0.1", "require"), trusting.clone()).await.unwrap_err();
    assert!(misnamed.code() == "unavailable" && misnamed.to_string().contains("certificate"), "{misnamed}");
    SqlStore::open(&at(&urls.app, "127.0.0.1", "disable"), trusting).await.unwrap();
    let missing = StoreOptions::default().certificate(folder.path().join("none.pem"));
    let missing = SqlStore::open(&urls.app, missing).await.unwrap_err();
    assert!(missing.fields()[0].pointer == "/certificates" && missing.message().contains("none.pem"), "{missing}");
}
