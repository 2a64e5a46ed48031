//! A gateway and a PostgreSQL that want TLS and a password of one role, for the matrix's cases of connecting.

use std::net::SocketAddr;
use std::sync::Arc;

use featgres::config::{AuthMethod, Secret};
use featgres::verifier::{DEFAULT_ROUNDS, Verifier};
use tokio_postgres::NoTls;

use crate::support::{Authority, PostgreSql, TestGateway};

/// The role that proves itself by a password.
pub const USER: &str = "alice";
/// It.
pub const PASSWORD: &str = "wonderland";

/// Where to connect, and whom to trust.
#[derive(Clone)]
pub struct Encrypted {
    /// The listener.
    pub address: SocketAddr,
    /// The database.
    pub database: String,
    /// Who signed its certificate.
    pub authority: Arc<Authority>,
    /// Who did not.
    pub other: Arc<Authority>,
}

impl Encrypted {
    /// What the clients' programs are told.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        let file = |authority: &Authority| authority.path("ca.crt").to_string_lossy().into_owned();
        [
            ("FEATGRES_TLS_PORT", self.address.port().to_string()),
            ("FEATGRES_TLS_USER", USER.to_owned()),
            ("FEATGRES_TLS_PASSWORD", PASSWORD.to_owned()),
            ("FEATGRES_TLS_CA", file(&self.authority)),
            ("FEATGRES_TLS_OTHER_CA", file(&self.other)),
        ]
    }

    /// A gateway that serves the authority's certificate.
    pub async fn gateway(authority: &Arc<Authority>, other: &Arc<Authority>) -> (TestGateway, Self) {
        let served = authority.served();
        let gateway = TestGateway::with(
            |config| {
                config.tls = Some(served);
                config.auth.method = AuthMethod::ScramSha256;
                config.auth.users.insert(USER.to_owned(), Secret::new(Verifier::of(PASSWORD, DEFAULT_ROUNDS).text()));
            },
            |_| {},
        )
        .await;
        let (authority, other) = (Arc::clone(authority), Arc::clone(other));
        let found = Self { address: gateway.address, database: "test".to_owned(), authority, other };
        (gateway, found)
    }

    /// The same of a PostgreSQL that was started with the certificate; none if it was not.
    pub async fn postgres(server: &PostgreSql, authority: &Arc<Authority>, other: &Arc<Authority>) -> Option<Self> {
        if !server.encrypted {
            return None;
        }
        let place = format!("host={} port={} user={} dbname={}", server.address.ip(), server.address.port(), server.user, server.database);
        let (client, connection) = tokio_postgres::connect(&place, NoTls).await.ok()?;
        tokio::spawn(connection);
        client.batch_execute(&format!("CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")).await.ok()?;
        let (authority, other) = (Arc::clone(authority), Arc::clone(other));
        Some(Self { address: server.address, database: server.database.clone(), authority, other })
    }
}
