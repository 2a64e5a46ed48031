//! `[auth]`: who may connect.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{ConfigError, Secret, Setting, TlsConfig};
use crate::verifier::Verifier;

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// Not at all: any user name is admitted.
    Trust,
    /// By a password that never crosses the wire.
    ScramSha256,
    /// By a certificate that `tls.client_ca` signed; its common name is the user. Connections without TLS are refused.
    Cert,
}

/// `[auth]`.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `method`: `trust`, `scram-sha-256` or `cert`. Default `trust`, which is refused beyond loopback.
    pub method: AuthMethod,
    /// `allow_insecure`: `trust` on any address, for networks that something else guards. Default `false`.
    pub allow_insecure: bool,
    /// `[auth.users]`: user name to `SCRAM-SHA-256$iterations:salt$stored:server`, as `featgres hash-password` prints it. Default: none.
    pub users: BTreeMap<String, Secret>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self { method: AuthMethod::Trust, allow_insecure: false, users: BTreeMap::new() }
    }
}

impl AuthConfig {
    pub(super) fn set(&mut self, path: &[&str], setting: &Setting) -> Result<(), ConfigError> {
        match path {
            ["method"] => {
                self.method = match setting.text()? {
                    "trust" => AuthMethod::Trust,
                    "scram-sha-256" => AuthMethod::ScramSha256,
                    "cert" => AuthMethod::Cert,
                    "md5" | "password" => return Err(setting.bad("passwords are only taken by scram-sha-256")),
                    _ => return Err(setting.bad("the methods are trust, scram-sha-256 and cert")),
                }
            }
            ["allow_insecure"] => self.allow_insecure = setting.boolean()?,
            ["users", name] => {
                let verifier = setting.text()?;
                if verifier.parse::<Verifier>().is_err() {
                    return Err(setting.bad("it must be a verifier as \"featgres hash-password\" prints it, SCRAM-SHA-256$4096:…$…:…"));
                }
                self.users.insert((*name).to_owned(), Secret::new(verifier));
            }
            _ => return Err(setting.unknown(["auth.method", "auth.allow_insecure", "auth.users"])),
        }
        Ok(())
    }

    pub(super) fn check(&self, listen: SocketAddr, tls: Option<&TlsConfig>) -> Result<(), ConfigError> {
        match self.method {
            AuthMethod::Trust if !listen.ip().is_loopback() && !self.allow_insecure => Err(ConfigError::TrustBeyondLoopback { listen }),
            AuthMethod::ScramSha256 if self.users.is_empty() => Err(ConfigError::NoUsers),
            AuthMethod::Cert if tls.is_none_or(|tls| tls.client_ca.is_none()) => Err(ConfigError::CertWithoutAuthority),
            AuthMethod::Trust | AuthMethod::ScramSha256 | AuthMethod::Cert => Ok(()),
        }
    }
}
