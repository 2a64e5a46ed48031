//! The served certificate: loaded whole or not at all, and loaded again without a restart.
//!
//! rustls is told its cryptography (ring) here: a process that links two providers has no default one. Both versions that clients
//! speak are served, TLS 1.2 and 1.3; ALPN knows PostgreSQL's one protocol, which a client that begins with the handshake
//! (`sslnegotiation=direct`) must name. A client certificate is asked for where an authority is configured, and must then be one of
//! its own; a client that has none goes on without, and `auth.method = "cert"` refuses it with a reason.
//!
//! [`ServedTls::reload`] reads the files again. Connections keep the certificate they began with; files that do not load leave the
//! one that is served in place. Refused: keys with a passphrase, for there is nobody to ask.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use pgwire::tokio::TlsAcceptor;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};

use crate::config::TlsConfig;
use crate::error::{ReportError, SqlState};

/// HTTP's name in ALPN.
const HTTP: &[u8] = b"http/1.1";

/// The protocol's name in ALPN.
pub(super) const ALPN: &[u8] = b"postgresql";

/// Files that give no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The system does not give it.
    #[error("could not read {what} file \"{}\": {source}", path.display())]
    Unreadable {
        /// `certificate`, `private key`, `client authority`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It holds nothing of the kind, or not in PEM.
    #[error("{what} file \"{}\" holds no {what} in PEM", path.display())]
    Nothing {
        /// As above.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The key is locked.
    #[error("private key file \"{}\" is protected by a passphrase", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or one of them is of a kind that is not served.
    #[error("certificate \"{}\" and private key \"{}\" cannot be served: {source}", cert.display(), key.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's.
        key: PathBuf,
        /// rustls' words.
        source: rustls::Error,
    },
    /// The authority is none.
    #[error("client authority file \"{}\" cannot be used: {reason}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl ReportError for TlsError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::Unreadable { .. } | Self::Nothing { .. } | Self::Passphrase { .. } | Self::Unusable { .. } | Self::Authority { .. } => {
                SqlState::CONFIG_FILE_ERROR
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Passphrase { .. } => {
                Some("Write it without one, and let only this user read it: openssl pkey -in KEY -out NEW.".to_owned())
            }
            Self::Unusable { source: rustls::Error::InconsistentKeys(_), .. } => {
                Some("tls.cert and tls.key must be of one pair; the server's certificate comes first in its file.".to_owned())
            }
            Self::Unreadable { .. } | Self::Nothing { .. } | Self::Unusable { .. } | Self::Authority { .. } => {
                Some("Nothing is served without TLS once [tls] is configured: correct tls.cert, tls.key and tls.client_ca.".to_owned())
            }
        }
    }
}

/// What one handshake is done with.
pub(super) struct LoadedTls {
    /// The handshake.
    pub(super) acceptor: TlsAcceptor,
    /// The same for HTTP.
    http: TlsAcceptor,
    /// The certificate in PEM, to which SCRAM binds the channel.
    pub(super) certificate_pem: Arc<[u8]>,
}

/// The certificate that is served, for as long as the server runs.
pub struct ServedTls {
    config: TlsConfig,
    /// Whether connections without TLS are refused.
    pub(super) required: bool,
    loaded: RwLock<Arc<LoadedTls>>,
}

impl std::fmt::Debug for ServedTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServedTls").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ServedTls {
    /// Reads the files; `required` refuses connections without TLS.
    pub fn load(config: &TlsConfig, required: bool) -> Result<Self, TlsError> {
        let loaded = RwLock::new(Arc::new(LoadedTls::read(config)?));
        Ok(Self { config: config.clone(), required, loaded })
    }

    /// Reads the files again: new connections get what they hold now. Where they do not load, what is served stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let loaded = Arc::new(LoadedTls::read(&self.config)?);
        *self.loaded.write() = loaded;
        Ok(())
    }

    /// What the next handshake of the HTTP listener is done with.
    pub fn http(&self) -> TlsAcceptor {
        self.loaded.read().http.clone()
    }

    /// What the next handshake is done with.
    pub(super) fn current(&self) -> Arc<LoadedTls> {
        Arc::clone(&self.loaded.read())
    }
}

impl LoadedTls {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let (chain, certificate_pem) = certificates("certificate", &config.cert)?;
        let key = private_key(&config.key)?;
        let unusable = |source| TlsError::Unusable { cert: config.cert.clone(), key: config.key.clone(), source };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(unusable)?;
        let builder = match &config.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let authority = |reason: String| TlsError::Authority { path: path.clone(), reason };
                let mut roots = RootCertStore::empty();
                for certificate in certificates("client authority", path)?.0 {
                    roots.add(certificate).map_err(|error| authority(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| authority(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server = builder.with_single_cert(chain, key).map_err(unusable)?;
        server.alpn_protocols = vec![HTTP.to_vec()];
        let http = TlsAcceptor::from(Arc::new(server.clone()));
        server.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), http, certificate_pem: certificate_pem.into() })
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { what, path: path.to_owned(), source })
}

/// The certificates of a file, and the file.
fn certificates(what: &'static str, path: &Path) -> Result<(Vec<CertificateDer<'static>>, Vec<u8>), TlsError> {
    let pem = read(what, path)?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok((found, pem)),
        _ => Err(TlsError::Nothing { what, path: path.to_owned() }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read("private key", path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let text = String::from_utf8_lossy(&pem);
        if text.contains("ENCRYPTED") {
            TlsError::Passphrase { path: path.to_owned() }
        } else {
            TlsError::Nothing { what: "private key", path: path.to_owned() }
        }
    })
}
