//! What can be wrong with a configuration.

use std::path::PathBuf;

use super::Origin;
use crate::error::{ReportError, SqlState};

/// A configuration that is not taken; each names the key and where it was written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read configuration file \"{}\": {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// The parser's words.
        message: String,
    },
    /// Nobody knows this key.
    #[error("{origin}: unknown setting \"{key}\"")]
    UnknownKey {
        /// The dotted key.
        key: String,
        /// Where.
        origin: Origin,
        /// What was perhaps meant.
        hint: Option<String>,
    },
    /// The value cannot be used.
    #[error("{origin}: invalid value for \"{key}\": {reason}")]
    BadValue {
        /// The dotted key.
        key: String,
        /// Where.
        origin: Origin,
        /// Why; never the value, which may be a secret.
        reason: String,
    },
    /// This release does not have it.
    #[error("{origin}: \"{key}\" asks for {what}, which this release does not have")]
    NotBuilt {
        /// The thing.
        what: String,
        /// The dotted key.
        key: String,
        /// Where.
        origin: Origin,
        /// What to do instead.
        instead: String,
    },
    /// A catalog lacks what it cannot do without.
    #[error("catalog \"{catalog}\" has no \"{key}\"")]
    Missing {
        /// The section's name.
        catalog: String,
        /// The key.
        key: &'static str,
        /// An example.
        example: &'static str,
    },
    /// A catalog's setting that does not fit its type, or that has not the form it needs.
    #[error("invalid value for \"catalogs.{catalog}.{key}\": {reason}")]
    CatalogSetting {
        /// The section's name.
        catalog: String,
        /// The key.
        key: String,
        /// Why; never the value.
        reason: String,
    },
    /// A catalog and the project share a name, so that `name.schema.table` would have two meanings.
    #[error("catalog \"{name}\" has the name of the project")]
    CatalogNamedLikeProject {
        /// The name.
        name: String,
    },
    /// A catalog has the name of a schema that clients know.
    #[error("catalog name \"{name}\" is reserved")]
    ReservedCatalogName {
        /// The name.
        name: String,
    },
    /// `trust` where others can reach the listener.
    #[error("authentication method \"trust\" is refused on {listen}, which is not a loopback address")]
    TrustBeyondLoopback {
        /// The address.
        listen: std::net::SocketAddr,
    },
    /// HTTP Basic where the network can read along.
    #[error("http.feast_api on {listen}, which is not a loopback address, would send passwords in the clear")]
    PasswordsOverPlainHttp {
        /// The address.
        listen: std::net::SocketAddr,
    },
    /// HTTPS without a certificate.
    #[error("http.tls is set, but there is no [tls]")]
    HttpTlsWithoutCertificate,
    /// Calls without a place to answer them.
    #[error("http.feast_api is set, but http.listen is not")]
    FeastApiWithoutListener,
    /// SCRAM without anybody who could log in.
    #[error("authentication method \"scram-sha-256\" has no users")]
    NoUsers,
    /// `cert` without the authority that would have signed the certificates.
    #[error("authentication method \"cert\" needs \"tls.client_ca\"")]
    CertWithoutAuthority,
    /// A `[tls]` section that is not whole.
    #[error("[tls] has no \"{key}\"")]
    TlsWithout {
        /// The key.
        key: &'static str,
    },
}

impl ReportError for ConfigError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::Unreadable { .. }
            | Self::Syntax { .. }
            | Self::UnknownKey { .. }
            | Self::BadValue { .. }
            | Self::NotBuilt { .. }
            | Self::Missing { .. }
            | Self::CatalogSetting { .. }
            | Self::CatalogNamedLikeProject { .. }
            | Self::ReservedCatalogName { .. }
            | Self::TrustBeyondLoopback { .. }
            | Self::PasswordsOverPlainHttp { .. }
            | Self::HttpTlsWithoutCertificate
            | Self::FeastApiWithoutListener
            | Self::NoUsers
            | Self::CertWithoutAuthority
            | Self::TlsWithout { .. } => SqlState::CONFIG_FILE_ERROR,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { hint, .. } => {
                Some(hint.clone().unwrap_or_else(|| "\"featgres print-config --defaults\" prints every setting there is.".to_owned()))
            }
            Self::NotBuilt { instead, .. } => Some(instead.clone()),
            Self::Missing { example, .. } => Some(format!("For example: {example}")),
            Self::CatalogNamedLikeProject { .. } => Some("Rename the [catalogs.…] section or the project.".to_owned()),
            Self::ReservedCatalogName { .. } => Some("Rename the [catalogs.…] section.".to_owned()),
            Self::TrustBeyondLoopback { .. } => Some(
                "Set [auth] method = \"scram-sha-256\" with [auth.users], or listen on 127.0.0.1, or set allow_insecure = true in [auth] to let anyone in.".to_owned(),
            ),
            Self::PasswordsOverPlainHttp { .. } => Some(
                "Set http.tls = true and [tls] with cert and key, or http.listen to a loopback address behind something that speaks TLS, or allow_insecure = true in [auth].".to_owned(),
            ),
            Self::HttpTlsWithoutCertificate => Some("Add [tls] with cert and key, or leave http.tls out.".to_owned()),
            Self::FeastApiWithoutListener => Some("For example: [http] listen = \"127.0.0.1:9464\"".to_owned()),
            Self::NoUsers => Some("Add [auth.users] with lines as \"featgres hash-password\" prints them.".to_owned()),
            Self::CertWithoutAuthority => Some(
                "Add [tls] with cert, key, and client_ca, the PEM file of the authority that signs the clients' certificates.".to_owned(),
            ),
            Self::TlsWithout { key } => Some(format!("For example: {key} = \"/etc/featgres/server.{}\"", if *key == "key" { "key" } else { "crt" })),
            Self::Unreadable { .. } | Self::Syntax { .. } | Self::BadValue { .. } | Self::CatalogSetting { .. } => None,
        }
    }
}
