//! `[http]`: the listener for metrics, health and the original deployment's calls.

use std::net::SocketAddr;

use super::{AuthConfig, AuthMethod, ConfigError, Setting, TlsConfig};

const KEYS: [&str; 5] = ["http.listen", "http.tls", "http.feast_api", "http.max_body_size", "http.max_entity_rows"];

/// `[http]`.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `listen`: where to answer HTTP, `host:port`; port 0 takes a free one. Default: none, there is no listener.
    pub listen: Option<SocketAddr>,
    /// `tls`: speak HTTPS only, with the certificate of `[tls]`. Default `false`.
    pub tls: bool,
    /// `feast_api`: also answer `/feast/…`, the calls of the service that featgres replaces. Default `false`.
    pub feast_api: bool,
    /// `max_body_size`: the longest body of a request. Default `16MiB`.
    pub max_body_size: u64,
    /// `max_entity_rows`: entity rows of one batch prediction. Default `100000`.
    pub max_entity_rows: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: None, tls: false, feast_api: false, max_body_size: 16 << 20, max_entity_rows: 100_000 }
    }
}

impl HttpConfig {
    pub(super) fn set(&mut self, key: &str, setting: &Setting) -> Result<(), ConfigError> {
        match key {
            "listen" => self.listen = Some(setting.address()?),
            "tls" => self.tls = setting.boolean()?,
            "feast_api" => self.feast_api = setting.boolean()?,
            "max_body_size" => self.max_body_size = setting.positive_size()?,
            "max_entity_rows" => self.max_entity_rows = setting.count()?,
            _ => return Err(setting.unknown(KEYS)),
        }
        Ok(())
    }

    /// Beyond loopback, the calls would let anyone in (trust) or show passwords to the network (Basic over plain HTTP).
    pub(super) fn check(&self, auth: &AuthConfig, tls: Option<&TlsConfig>) -> Result<(), ConfigError> {
        if self.tls && tls.is_none() {
            return Err(ConfigError::HttpTlsWithoutCertificate);
        }
        let Some(listen) = self.listen else {
            return if self.feast_api { Err(ConfigError::FeastApiWithoutListener) } else { Ok(()) };
        };
        if !self.feast_api || listen.ip().is_loopback() || auth.allow_insecure {
            return Ok(());
        }
        match auth.method {
            AuthMethod::Trust => Err(ConfigError::TrustBeyondLoopback { listen }),
            _ if self.tls => Ok(()),
            _ => Err(ConfigError::PasswordsOverPlainHttp { listen }),
        }
    }
}
