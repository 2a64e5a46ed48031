//! Trino through `prusto`: without a login, or by user and password over TLS.
//!
//! Its own loop over pages knows no limits, so only its single requests are used. It reads the rows of a page as dynamic
//! values; a page whose columns or rows it does not understand reads as one without either, so columns are what is looked for
//! (`statement`). It speaks TLS by its own older rustls, with Mozilla's roots and what `ssl.cabundle` adds. It cannot cancel a
//! query, so that one request is ours.

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use prusto::auth::Auth;
use prusto::error::Error;
use prusto::ssl::Ssl;
use prusto::{Client, ClientBuilder, QueryResult, Row};
use url::Url;

use super::statement::{ClientError, Page, QueryFailure, TrinoClient, cancelled, causes, transport};
use crate::config::{CatalogConfig, Secret};
use crate::source::SourceError;
use crate::source::http::http_client;

/// Who asks where Trino wants no password and no name was given.
const DEFAULT_USER: &str = "featgres";

/// A client of `prusto`.
pub(super) struct PasswordClient {
    client: Client,
    /// For cancelling.
    plain: reqwest::Client,
    user: String,
    password: Option<Secret>,
}

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
        let client = builder.build().map_err(|error| bad(error.to_string()))?;
        let plain = http_client(&config.name, config.login("ssl.cabundle").map(Path::new), config.timeout)?;
        Ok(Self { client, plain, user: user.to_owned(), password: config.login("password").map(Secret::new) })
    }
}

#[async_trait]
impl TrinoClient for PasswordClient {
    async fn submit(&self, sql: &str) -> Result<Page, ClientError> {
        self.client.get::<Row>(sql.to_owned()).await.map(page).map_err(client_error)
    }

    async fn page(&self, url: &str) -> Result<Page, ClientError> {
        self.client.get_next::<Row>(url).await.map(page).map_err(client_error)
    }

    async fn cancel(&self, url: &str) -> Result<(), ClientError> {
        let mut request = self.plain.delete(url).header("X-Trino-User", &self.user);
        if let Some(password) = &self.password {
            request = request.basic_auth(&self.user, Some(password.expose()));
        }
        cancelled(request).await
    }
}

fn page(result: QueryResult<Row>) -> Page {
    Page {
        understood: result.data_set.is_some(),
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
