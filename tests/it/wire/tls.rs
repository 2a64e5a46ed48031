//! TLS: who gets it, who must have it, who is let in by it, and files that do not load.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use featgres::config::{AuthMethod, Config, Secret, TlsConfig};
use featgres::server::Server;
use featgres::wire::hash_password;
use featgres::wire::tls::ServedTls;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{installed, told};
use crate::support::TestGateway;

/// An authority, and the files that it signed.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.crt"), certificate.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `NAME.crt` and `NAME.key`, for a host or a user of this name.
    fn sign(&self, file: &str, common_name: &str, hosts: &[&str]) {
        let mut params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{file}.crt")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.path(&format!("{file}.key")), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn served(&self) -> TlsConfig {
        self.sign("server", "localhost", &["localhost", "127.0.0.1"]);
        TlsConfig { cert: self.path("server.crt"), key: self.path("server.key"), client_ca: Some(self.path("ca.crt")), required: None }
    }
}

async fn gateway(configure: impl FnOnce(&mut Config)) -> TestGateway {
    TestGateway::with(configure, |_| {}).await
}

/// A connector that believes this authority, and shows this certificate.
fn connector(authority: &Authority, identity: Option<&str>) -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path("ca.crt")).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let certificate = CertificateDer::from_pem_file(authority.path(&format!("{name}.crt"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(authority.path(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    MakeRustlsConnect::new(config)
}

fn client(gateway: &TestGateway, user: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host("localhost").hostaddr("127.0.0.1".parse().unwrap()).port(gateway.address.port()).user(user).dbname("test");
    config.ssl_mode(SslMode::Require);
    config
}

/// What the session says of its encryption, or the SQLSTATE or words of the refusal.
async fn tried(config: &tokio_postgres::Config, connector: MakeRustlsConnect) -> Result<bool, String> {
    let refused = |error: tokio_postgres::Error| {
        error.as_db_error().map_or_else(|| error.to_string(), |error| format!("{} {}", error.code().code(), error.message()))
    };
    let (client, connection) = config.connect(connector).await.map_err(refused)?;
    tokio::spawn(connection);
    let row = client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await.map_err(refused)?;
    Ok(row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_bound_to_the_channel_and_direct_handshakes() {
    let authority = Authority::new();
    let gateway = gateway(|config| {
        config.tls = Some(authority.served());
        config.auth.method = AuthMethod::ScramSha256;
        config.auth.users.insert("alice".to_owned(), Secret::new(hash_password("wonderland")));
    })
    .await;
    for negotiation in [SslNegotiation::Postgres, SslNegotiation::Direct] {
        let mut config = client(&gateway, "alice");
        config.password("wonderland").channel_binding(ChannelBinding::Require).ssl_negotiation(negotiation);
        assert_eq!(tried(&config, connector(&authority, None)).await, Ok(true));
        config.password("looking glass");
        assert_eq!(
            tried(&config, connector(&authority, None)).await,
            Err("28P01 password authentication failed for user \"alice\"".to_owned())
        );
    }
    // On loopback a connection without TLS is let in, unless `required` says otherwise.
    let mut config = client(&gateway, "alice");
    config.password("wonderland").ssl_mode(SslMode::Disable);
    assert!(config.connect(tokio_postgres::NoTls).await.is_ok());
    // Whoever does not know the authority does not trust the server.
    let stranger = Authority::new();
    let mut config = client(&gateway, "alice");
    config.password("wonderland");
    assert!(tried(&config, connector(&stranger, None)).await.unwrap_err().contains("TLS handshake"));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_say_who_one_is() {
    let authority = Authority::new();
    authority.sign("alice", "alice", &[]);
    let gateway = gateway(|config| {
        config.tls = Some(authority.served());
        config.auth.method = AuthMethod::Cert;
    })
    .await;
    assert_eq!(tried(&client(&gateway, "alice"), connector(&authority, Some("alice"))).await, Ok(true));
    assert_eq!(
        tried(&client(&gateway, "bob"), connector(&authority, Some("alice"))).await,
        Err("28000 certificate authentication failed for user \"bob\"".to_owned())
    );
    let needed = Err("28000 connection requires a valid client certificate".to_owned());
    assert_eq!(tried(&client(&gateway, "alice"), connector(&authority, None)).await, needed);
    let mut plain = client(&gateway, "alice");
    plain.ssl_mode(SslMode::Disable);
    assert_eq!(plain.connect(tokio_postgres::NoTls).await.err().unwrap().code().unwrap().code(), "28000");
    // Another authority's alice is nobody's: TLS itself refuses her.
    let stranger = Authority::new();
    stranger.sign("alice", "alice", &[]);
    std::fs::copy(authority.path("ca.crt"), stranger.path("ca.crt")).unwrap();
    assert!(tried(&client(&gateway, "alice"), connector(&stranger, Some("alice"))).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn required_tls_refuses_what_is_not_encrypted() {
    let authority = Authority::new();
    let gateway = gateway(|config| config.tls = Some(TlsConfig { required: Some(true), ..authority.served() })).await;
    let mut config = client(&gateway, "tester");
    assert_eq!(tried(&config, connector(&authority, None)).await, Ok(true));
    config.ssl_mode(SslMode::Disable);
    assert_eq!(config.connect(tokio_postgres::NoTls).await.err().unwrap().code().unwrap().code(), "28000");
    // A handshake for another protocol, bytes slipped in before it, and noise end the connection, and nothing else.
    let ssl_request = [0, 0, 0, 8, 4, 210, 22, 47];
    for (bytes, answer) in
        [([&ssl_request[..], b"Q"].concat(), "received unencrypted data after SSL request"), (vec![0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0], "")]
    {
        let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        assert!(String::from_utf8_lossy(&all).contains(answer), "{}", String::from_utf8_lossy(&all));
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path("ca.crt")).unwrap()).unwrap();
    let without_alpn = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = client(&gateway, "tester");
    config.ssl_negotiation(SslNegotiation::Direct);
    let refused = tried(&config, MakeRustlsConnect::new(without_alpn)).await;
    assert!(refused.as_ref().is_err_and(|words| words.contains("ALPN")), "{refused:?}");
    assert_eq!(tried(&client(&gateway, "tester"), connector(&authority, None)).await, Ok(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_without_a_restart() {
    let authority = Authority::new();
    let (old, tls) = (Authority::new(), authority.served());
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::embedded("test", folder.path(), "127.0.0.1:0".parse().unwrap());
    config.tls = Some(tls);
    let server = Server::open(config).await.unwrap();
    let (address, served) = (server.address().unwrap(), Arc::clone(server.tls().unwrap()));
    tokio::spawn(server.serve(std::future::pending()));
    let config = |authority: &Authority| {
        let mut config = tokio_postgres::Config::new();
        config.host("localhost").hostaddr("127.0.0.1".parse().unwrap()).port(address.port()).user("u").dbname("test");
        let connector = connector(authority, None);
        async move { config.ssl_mode(SslMode::Require).connect(connector).await.map(|(client, connection)| (client, tokio::spawn(connection))) }
    };
    let (client, _connection) = config(&authority).await.unwrap();
    // Files that do not load leave the served one in place.
    let key = std::fs::read(authority.path("server.key")).unwrap();
    std::fs::write(authority.path("server.key"), "no key").unwrap();
    assert!(served.reload().unwrap_err().to_string().contains("holds no private key in PEM"));
    assert!(config(&authority).await.is_ok());
    std::fs::write(authority.path("server.key"), key).unwrap();
    // Another authority's certificate is served to new connections; the old one goes on.
    old.sign("server", "localhost", &["localhost"]);
    for file in ["server.crt", "server.key"] {
        std::fs::copy(old.path(file), authority.path(file)).unwrap();
    }
    served.reload().unwrap();
    assert!(config(&authority).await.is_err());
    assert!(config(&old).await.is_ok());
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_load_stop_the_start() {
    let authority = Authority::new();
    let good = authority.served();
    authority.sign("other", "other", &["other"]);
    let write = |name: &str, text: &str| {
        std::fs::write(authority.path(name), text).unwrap();
        authority.path(name)
    };
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (tls, words) in [
        (TlsConfig { cert: authority.path("absent"), ..good.clone() }, "could not read certificate file"),
        (TlsConfig { cert: write("empty.crt", ""), ..good.clone() }, "holds no certificate in PEM"),
        (TlsConfig { cert: good.key.clone(), ..good.clone() }, "holds no certificate in PEM"),
        (TlsConfig { key: authority.path("absent"), ..good.clone() }, "could not read private key file"),
        (TlsConfig { key: good.cert.clone(), ..good.clone() }, "holds no private key in PEM"),
        (TlsConfig { key: write("locked.key", encrypted), ..good.clone() }, "is protected by a passphrase"),
        (TlsConfig { key: authority.path("other.key"), ..good.clone() }, "cannot be served"),
        (TlsConfig { client_ca: Some(authority.path("absent")), ..good.clone() }, "could not read client authority file"),
        (TlsConfig { client_ca: Some(write("ca.txt", "x")), ..good.clone() }, "holds no client authority in PEM"),
    ] {
        let error = ServedTls::load(&tls, true).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::embedded("test", folder.path(), "127.0.0.1:0".parse().unwrap());
        config.tls = Some(tls);
        let report = Server::open(config).await.err().expect("the start is refused");
        assert_eq!(report.sqlstate.code(), "F0000");
        assert!(report.message.contains(words) && report.hint.is_some(), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_verifies_the_server_in_full() {
    if !installed("psql_verifies_the_server_in_full", "psql").await {
        return;
    }
    let authority = Authority::new();
    authority.sign("alice", "alice", &[]);
    let gateway = gateway(|config| {
        config.tls = Some(authority.served());
        config.auth.method = AuthMethod::Cert;
    })
    .await;
    let psql = |more: String| psql(&gateway, &authority, more);
    let alice = format!("user=alice sslcert={} sslkey={}", authority.path("alice.crt").display(), authority.path("alice.key").display());
    let output = psql(format!("host=localhost sslmode=verify-full {alice}")).await;
    let text = told(&output);
    assert!(output.status.success() && text.contains("SSL connection") && text.contains("|t"), "{text}");
    let output = psql("host=localhost user=alice sslmode=verify-full sslcert=absent".to_owned()).await;
    assert!(told(&output).contains("connection requires a valid client certificate"), "{}", told(&output));
    let output = psql(format!("host=localhost sslmode=disable {alice}")).await;
    assert!(!output.status.success(), "{}", told(&output));
}

async fn psql(gateway: &TestGateway, authority: &Authority, more: String) -> std::process::Output {
    let root: &Path = &authority.path("ca.crt");
    tokio::process::Command::new("psql")
        .args(["-X", "-At", "-v", "ON_ERROR_STOP=1", "-d"])
        .arg(format!("hostaddr=127.0.0.1 port={} dbname=test sslrootcert={} {more}", gateway.address.port(), root.display()))
        .args(["-c", "\\conninfo", "-c", "SELECT pid = pg_backend_pid(), ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"])
        .env("LC_ALL", "C.UTF-8")
        .output()
        .await
        .expect("psql runs")
}
