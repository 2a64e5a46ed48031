//! `postgresql://` URIs: where the database is and how much TLS it gets.
//!
//! The parameters are libpq's. One that is not known is refused by name: a misspelt `sslmode` must not mean none.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

/// How long a connection may take to be made, unless `connect_timeout` says.
const CONNECT: Duration = Duration::from_secs(5);

/// A database, and how it is reached.
pub(super) struct Target {
    config: Config,
    mode: SslMode,
    authorities: Option<String>,
    place: String,
}

impl Target {
    /// From the URI, and user, password and certificate file as the configuration has them.
    pub(super) fn parse(uri: &str, user: Option<&str>, password: Option<&str>, bundle: Option<&str>) -> Result<Self, String> {
        let url = Url::parse(uri).map_err(|error| format!("uri: {error}"))?;
        let decoded = |text: &str| {
            percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| "uri: it is not UTF-8".to_owned())
        };
        let mut config = Config::new();
        config.application_name("featgres").connect_timeout(CONNECT).keepalives_idle(Duration::from_secs(30));
        let mut host = decoded(url.host_str().unwrap_or_default())?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut port = url.port().unwrap_or(5432);
        let mut database = decoded(url.path().trim_start_matches('/'))?;
        let mut login = user.map(str::to_owned);
        let (mut mode, mut authorities) = (None, bundle.map(str::to_owned));
        for (key, value) in url.query_pairs() {
            let bad = |reason: &str| format!("uri: {key}={value}: {reason}");
            match &*key {
                "sslmode" => {
                    mode = Some(match &*value {
                        "disable" => SslMode::Disable,
                        "prefer" => SslMode::Prefer,
                        "require" | "verify-ca" | "verify-full" => SslMode::Require,
                        _ => return Err(bad("the modes are disable, prefer, require, verify-ca and verify-full")),
                    });
                }
                "sslrootcert" if value == "system" => {}
                "sslrootcert" => authorities = Some(value.into_owned()),
                "host" => host = value.into_owned(),
                "port" => port = value.parse().map_err(|_| bad("it must be a port"))?,
                "dbname" => database = value.into_owned(),
                "user" => login = Some(value.into_owned()),
                "connect_timeout" => {
                    let seconds: u64 = value.parse().map_err(|_| bad("it must be a number of seconds"))?;
                    config.connect_timeout(Duration::from_secs(seconds.max(1)));
                }
                "options" => {
                    config.options(&*value);
                }
                "application_name" => {
                    config.application_name(&*value);
                }
                "password" => {
                    return Err("uri: a password among the parameters would be printed: write it before the @, or as password".to_owned());
                }
                _ => return Err(format!("uri: parameter \"{key}\" is not supported")),
            }
        }
        let socket = host.starts_with('/');
        let here = socket || matches!(host.as_str(), "localhost" | "::1") || host.starts_with("127.");
        let mode = mode.unwrap_or(if here { SslMode::Disable } else { SslMode::Require });
        config.host(&host).port(port).ssl_mode(mode);
        if !database.is_empty() {
            config.dbname(&database);
        }
        config.user(login.as_deref().ok_or("uri: it needs a user: postgresql://user@host/database, or the key user")?);
        if let Some(password) = password {
            config.password(password);
        }
        let place = if socket { format!("{host}/{database}") } else { format!("{host}:{port}/{database}") };
        Ok(Self { config, mode, authorities, place })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Host, port and database.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// What makes TLS connections; none where there are to be none.
    pub(super) fn tls(&self) -> Result<Option<MakeRustlsConnect>, String> {
        if self.mode == SslMode::Disable {
            return Ok(None);
        }
        let Some(file) = &self.authorities else {
            // It takes the process's provider; who set another one before us keeps it.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let (tls, _ignored) = MakeRustlsConnect::with_native_certs()
                .map_err(|errors| format!("this machine has no certificate authorities to trust ({errors:?}): set ssl.cabundle"))?;
            return Ok(Some(tls));
        };
        let unreadable = |error: String| format!("ssl.cabundle: \"{file}\" cannot be read: {error}");
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))? {
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unreadable("it holds no certificate".to_owned()));
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(config)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let mode = |uri: &str| Target::parse(uri, Some("u"), None, None).map(|target| target.mode);
        assert_eq!(mode("postgresql://localhost/db"), Ok(SslMode::Disable));
        assert_eq!(mode("postgresql://127.0.0.1:5499/db"), Ok(SslMode::Disable));
        assert_eq!(mode("postgresql://%2Frun%2Fpostgresql/db"), Ok(SslMode::Disable));
        assert_eq!(mode("postgresql://db.example.com/db"), Ok(SslMode::Require));
        assert_eq!(mode("postgresql://db.example.com/db?sslmode=prefer"), Ok(SslMode::Prefer));
        assert_eq!(mode("postgresql://localhost/db?sslmode=verify-full"), Ok(SslMode::Require));
        for (uri, words) in [
            ("postgresql://h/db?sslmode=off", "disable, prefer"),
            ("postgresql://h/db?sslmod=require", "\"sslmod\""),
            ("postgresql://h/db?password=x", "password"),
            ("postgresql://h/db?port=x", "port"),
        ] {
            assert!(mode(uri).unwrap_err().contains(words), "{uri}");
        }
        assert!(Target::parse("postgresql://h/db", None, None, None).err().unwrap().contains("user"));
    }

    #[test]
    fn places() {
        let target = Target::parse("postgresql://h:5499/d%20b?connect_timeout=2", Some("u"), Some("hush"), None).unwrap();
        assert_eq!((target.place(), target.config().get_dbname()), ("h:5499/d b", Some("d b")));
        assert_eq!(target.config().get_connect_timeout(), Some(&Duration::from_secs(2)));
        let target = Target::parse("postgresql://ignored/db?host=/run/postgresql", Some("u"), None, None).unwrap();
        assert_eq!(target.place(), "/run/postgresql/db");
        let missing = Target::parse("postgresql://h/db", Some("u"), None, Some("/does/not/exist")).unwrap();
        assert!(missing.tls().err().unwrap().contains("/does/not/exist"));
    }
}
