//! `[tls]`: the server's certificate, and whose clients' certificates are believed.
//!
//! The section's presence is the wish for TLS: from then on a file that does not load stops the start, and nothing is served in
//! its place. Files are read by the wire, which can read them again without a restart.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{ConfigError, Setting};

const KEYS: [&str; 4] = ["tls.cert", "tls.key", "tls.client_ca", "tls.required"];

/// `[tls]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// `cert`: PEM file of the server's certificate, the ones that signed it behind it.
    pub cert: PathBuf,
    /// `key`: PEM file of its private key, without a passphrase.
    pub key: PathBuf,
    /// `client_ca`: PEM file of the authorities whose client certificates are believed. Default: none, no client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// `required`: whether a connection without TLS is refused. Default: `true` where `listen` is not a loopback address, `false` there.
    pub required: Option<bool>,
}

impl TlsConfig {
    pub(super) fn set(&mut self, key: &str, setting: &Setting) -> Result<(), ConfigError> {
        match key {
            // `[tls]` with nothing in it: what is missing is said when all is read.
            "" => {}
            "cert" => self.cert = PathBuf::from(setting.non_empty()?),
            "key" => self.key = PathBuf::from(setting.non_empty()?),
            "client_ca" => self.client_ca = Some(PathBuf::from(setting.non_empty()?)),
            "required" => self.required = Some(setting.boolean()?),
            _ => return Err(setting.unknown(KEYS)),
        }
        Ok(())
    }

    /// Whether connections without TLS are refused by a server that listens there.
    pub fn is_required(&self, listen: SocketAddr) -> bool {
        self.required.unwrap_or(!listen.ip().is_loopback())
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, path) in [("cert", &self.cert), ("key", &self.key)] {
            if path.as_os_str().is_empty() {
                return Err(ConfigError::TlsWithout { key });
            }
        }
        Ok(())
    }
}
