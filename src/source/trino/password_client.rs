//! Trino through `prusto`: without a login, or by user and password over TLS.
//!
//! Its own loop over pages knows no limits, so only its single requests are used. It reads the rows of a page as dynamic
//! values; a page whose rows do not fit their columns reads as one without rows, which no question of ours mistakes for an
//! answer. It speaks TLS by its own older rustls, with Mozilla's roots and what `ssl.cabundle` adds.

use std::fmt;

use async_trait::async_trait;
use prusto::auth::Auth;
use prusto::error::Error;
use prusto::ssl::Ssl;
use prusto::{Client, ClientBuilder, QueryResult, Row};
use url::Url;

use super::statement::{ClientError, Page, QueryFailure, TrinoClient, causes, transport};
use crate::config::CatalogConfig;
use crate::source::SourceError;

/// Who asks where Trino wants no password and no name was given.
const DEFAULT_USER: &str = "featgres";

/// A client of `prusto`.
pub(super) struct PasswordClient(Client);

impl fmt::Debug for PasswordClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordClient")
    }
}

impl PasswordClient {
    /// Connects to nothing yet.
    pub fn open(config: &CatalogConfig, endpoint: &Url) -> Result<Self, SourceError> {
        let bad = |reason: String| SourceError::BadSetting { catalog: config.name.clone(), reason };
        let user = config.login("user").unwrap_or(DEFAULT_USER);
        let secure = endpoint.scheme() == "https";
        let mut builder = ClientBuilder::new(user, endpoint.host_str().unwrap_or_default())
            .port(endpoint.port_or_known_default().unwrap_or(80))
            .secure(secure)
            .source("featgres")
            .client_request_timeout(config.timeout + std::time::Duration::from_secs(1));
        if let Some(password) = config.login("password") {
            builder = builder.auth(Auth::new_basic(user, Some(password)));
        }
        if let Some(file) = config.login("ssl.cabundle") {
            let certificate = Ssl::read_pem(&file).map_err(|error| bad(format!("ssl.cabundle: {error}")))?;
            builder = builder.ssl(Ssl { root_cert: Some(certificate) });
        }
        builder.build().map(Self).map_err(|error| bad(error.to_string()))
    }
}

#[async_trait]
impl TrinoClient for PasswordClient {
    async fn submit(&self, sql: &str) -> Result<Page, ClientError> {
        self.0.get::<Row>(sql.to_owned()).await.map(page).map_err(client_error)
    }

    async fn page(&self, url: &str) -> Result<Page, ClientError> {
        self.0.get_next::<Row>(url).await.map(page).map_err(client_error)
    }
}

fn page(result: QueryResult<Row>) -> Page {
    Page {
        rows: result.data_set.map(|rows| rows.into_vec().into_iter().map(Row::into_json).collect()).unwrap_or_default(),
        next: result.next_uri,
        failure: result.error.map(|error| QueryFailure { name: error.error_name, message: error.message }),
    }
}

fn client_error(error: Error) -> ClientError {
    match error {
        Error::HttpNotOk(status, text) => ClientError::Status(status.as_u16(), text),
        // A body that breaks off is an error of decoding too; only the words of its cause tell.
        Error::HttpError(error) if error.is_decode() && !is_broken_body(&causes(&error)) => ClientError::Malformed(causes(&error)),
        Error::HttpError(error) => transport(error.is_connect(), error.is_timeout(), causes(&error)),
        other => ClientError::Malformed(other.to_string()),
    }
}

/// Whether the body stopped before its end.
fn is_broken_body(causes: &str) -> bool {
    ["end of file before message", "connection", "IncompleteMessage", "unexpected EOF during chunk", "incomplete"]
        .iter()
        .any(|word| causes.contains(word))
}
