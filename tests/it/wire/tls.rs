//! TLS: who gets it, who must have it, who is let in by it, and files that do not load.

use std::path::Path;
use std::sync::Arc;

use featgres::config::{AuthMethod, Config, Secret, TlsConfig};
use featgres::server::Server;
use featgres::verifier::{DEFAULT_ROUNDS, Verifier};
use featgres::wire::tls::ServedTls;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{installed, told};
use crate::support::{Authority, TestGateway};

async fn gateway(configure: impl FnOnce(&mut Config)) -> TestGateway {
    TestGateway::with(configure, |_| {}).await
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
    let row =
        client.query_one("SELECT ssl, version, cipher, bits FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await.map_err(refused)?;
    let named = |column: usize, start: &str| row.get::<_, Option<&str>>(column).is_some_and(|text| text.starts_with(start));
    Ok(row.get(0) && named(1, "TLSv1.") && named(2, "TLS_") && row.get::<_, Option<i32>>(3).is_some_and(|bits| bits >= 128))
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_bound_to_the_channel_and_direct_handshakes() {
    let authority = Authority::new();
    let gateway = gateway(|config| {
        config.tls = Some(authority.served());
        config.auth.method = AuthMethod::ScramSha256;
        config.auth.users.insert("alice".to_owned(), Secret::new(Verifier::of("wonderland", DEFAULT_ROUNDS).text()));
    })
    .await;
    for negotiation in [SslNegotiation::Postgres, SslNegotiation::Direct] {
        let mut config = client(&gateway, "alice");
        config.password("wonderland").channel_binding(ChannelBinding::Require).ssl_negotiation(negotiation);
        assert_eq!(tried(&config, authority.connector(None)).await, Ok(true));
        config.password("looking glass");
        assert_eq!(
            tried(&config, authority.connector(None)).await,
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
    assert!(tried(&config, stranger.connector(None)).await.unwrap_err().contains("TLS handshake"));
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
    assert_eq!(tried(&client(&gateway, "alice"), authority.connector(Some("alice"))).await, Ok(true));
    assert_eq!(
        tried(&client(&gateway, "bob"), authority.connector(Some("alice"))).await,
        Err("28000 certificate authentication failed for user \"bob\"".to_owned())
    );
    let needed = Err("28000 connection requires a valid client certificate".to_owned());
    assert_eq!(tried(&client(&gateway, "alice"), authority.connector(None)).await, needed);
    let mut plain = client(&gateway, "alice");
    plain.ssl_mode(SslMode::Disable);
    assert_eq!(plain.connect(tokio_postgres::NoTls).await.err().unwrap().code().unwrap().code(), "28000");
    // Another authority's alice is nobody's: TLS itself refuses her.
    let stranger = Authority::new();
    stranger.sign("alice", "alice", &[]);
    std::fs::copy(authority.path("ca.crt"), stranger.path("ca.crt")).unwrap();
    assert!(tried(&client(&gateway, "alice"), stranger.connector(Some("alice"))).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn required_tls_refuses_what_is_not_encrypted() {
    let authority = Authority::new();
    let gateway = gateway(|config| config.tls = Some(TlsConfig { required: Some(true), ..authority.served() })).await;
    let mut config = client(&gateway, "tester");
    assert_eq!(tried(&config, authority.connector(None)).await, Ok(true));
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
    assert_eq!(tried(&client(&gateway, "tester"), authority.connector(None)).await, Ok(true));
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
        let connector = authority.connector(None);
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
    assert!(
        output.status.success() && text.contains("SSL connection") && text.contains("|t|/CN=alice|/CN=an authority of the tests"),
        "{text}"
    );
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
        .args([
            "-c",
            "\\conninfo",
            "-c",
            "SELECT pid = pg_backend_pid(), ssl, client_dn, issuer_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        ])
        .env("LC_ALL", "C.UTF-8")
        .output()
        .await
        .expect("psql runs")
}
