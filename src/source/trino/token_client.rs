//! Trino through `trino-rust-client`, prusto's maintained fork: where a bearer token is the login.
//!
//! The token is given (`jwt`), or fetched by OAuth2 client credentials (`credential`) and fetched again before it expires or
//! when Trino no longer takes it. The user is the token's unless `user` says otherwise: an empty header leaves it to Trino.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use trino_rust_client::auth::Auth;
use trino_rust_client::error::Error;
use trino_rust_client::models::QueryResultData;
use trino_rust_client::ssl::Ssl;
use trino_rust_client::{Client, ClientBuilder, QueryResult, Row};
use url::Url;

use super::statement::{ClientError, Page, QueryFailure, TrinoClient, cancelled, causes, transport};
use crate::config::CatalogConfig;
use crate::source::SourceError;
use crate::source::http::http_client;
use crate::source::oauth2::ClientCredentials;

/// A client of `trino-rust-client`.
pub(super) struct TokenClient {
    login: Login,
    /// How clients are made: each is bound to its token.
    template: Template,
    current: Mutex<Option<(String, Arc<Client>)>>,
    /// For cancelling: the library asks for it by another address, which needs more rights.
    plain: reqwest::Client,
}

/// Where the token comes from.
enum Login {
    Given(String),
    Fetched(ClientCredentials),
}

struct Template {
    user: String,
    host: String,
    port: u16,
    timeout: std::time::Duration,
    ssl: Option<Ssl>,
}

/// One request.
#[derive(Clone, Copy)]
enum Request<'a> {
    Submit(&'a str),
    Page(&'a str),
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenClient")
    }
}

impl TokenClient {
    /// Connects to nothing yet. `endpoint` is https.
    pub fn open(config: &CatalogConfig, endpoint: &Url) -> Result<Self, SourceError> {
        let bad = |reason: String| SourceError::BadSetting { catalog: config.name.clone(), reason };
        let login = match config.login("jwt") {
            Some(_) if config.login("credential").is_some() => {
                return Err(bad("jwt and credential are two logins; leave one out".to_owned()));
            }
            Some(token) => Login::Given(token.to_owned()),
            None => Login::Fetched(ClientCredentials::open(config, None, None)?),
        };
        let ssl = match config.login("ssl.cabundle") {
            Some(file) => {
                let certificate = Ssl::read_pem(&file).map_err(|error| bad(format!("ssl.cabundle: {error}")))?;
                Some(Ssl { root_cert: Some(certificate) })
            }
            None => None,
        };
        let template = Template {
            user: config.login("user").unwrap_or_default().to_owned(),
            host: endpoint.host_str().unwrap_or_default().to_owned(),
            port: endpoint.port_or_known_default().unwrap_or(443),
            timeout: config.timeout,
            ssl,
        };
        let plain = http_client(&config.name, config.login("ssl.cabundle").map(Path::new), config.timeout)?;
        let client = Self { login, template, current: Mutex::new(None), plain };
        if let Login::Given(token) = &client.login {
            // What cannot be a client is said at the start.
            client.template.build(token).map_err(|error| bad(error.to_string()))?;
        }
        Ok(client)
    }

    /// The client of the current token; `refused` is one that Trino did not take.
    async fn client(&self, refused: Option<&str>) -> Result<(String, Arc<Client>), ClientError> {
        let token = match &self.login {
            Login::Given(token) => token.clone(),
            Login::Fetched(credentials) => credentials.token(refused).await.map_err(|error| ClientError::Login(error.to_string()))?,
        };
        let mut current = self.current.lock().await;
        if let Some((known, client)) = current.as_ref()
            && *known == token
        {
            return Ok((token, Arc::clone(client)));
        }
        let client = self.template.build(&token).map_err(|error| ClientError::Login(error.to_string()))?;
        let client = Arc::new(client);
        *current = Some((token.clone(), Arc::clone(&client)));
        Ok((token, client))
    }

    async fn ask(&self, request: Request<'_>) -> Result<Page, ClientError> {
        let (token, client) = self.client(None).await?;
        match send(&client, request).await {
            Err(ClientError::Status(401, _)) if matches!(self.login, Login::Fetched(_)) => {
                let (_, client) = self.client(Some(&token)).await?;
                send(&client, request).await
            }
            answer => answer,
        }
    }
}

impl Template {
    fn build(&self, token: &str) -> Result<Client, Error> {
        let mut builder = ClientBuilder::new(&self.user, &self.host)
            .port(self.port)
            .secure(true)
            .source("featgres")
            .client_request_timeout(self.timeout + std::time::Duration::from_secs(1))
            .auth(Auth::new_jwt(token));
        if let Some(ssl) = &self.ssl {
            builder = builder.ssl(ssl.clone());
        }
        builder.build()
    }
}

#[async_trait]
impl TrinoClient for TokenClient {
    async fn submit(&self, sql: &str) -> Result<Page, ClientError> {
        self.ask(Request::Submit(sql)).await
    }

    async fn page(&self, url: &str) -> Result<Page, ClientError> {
        self.ask(Request::Page(url)).await
    }

    async fn cancel(&self, url: &str) -> Result<(), ClientError> {
        let (token, _) = self.client(None).await?;
        cancelled(self.plain.delete(url).header("X-Trino-User", &self.template.user).bearer_auth(token)).await
    }
}

async fn send(client: &Client, request: Request<'_>) -> Result<Page, ClientError> {
    let answer = match request {
        Request::Submit(sql) => client.get::<Row>(sql).await,
        Request::Page(url) => client.get_next::<Row>(url).await,
    };
    page(answer.map_err(client_error)?)
}

fn page(result: QueryResult<Row>) -> Result<Page, ClientError> {
    let rows = match result.data {
        None => Vec::new(),
        Some(QueryResultData::Direct(rows)) => rows.into_iter().map(Row::into_json).collect(),
        // Never asked for.
        Some(QueryResultData::Spooled(_)) => return Err(ClientError::Malformed("rows by the spooling protocol".to_owned())),
    };
    let failure = result.error.map(|error| QueryFailure { name: error.error_name, message: error.message });
    Ok(Page { rows, understood: true, next: result.next_uri, failure })
}

fn client_error(error: Error) -> ClientError {
    match error {
        Error::HttpNotOk(status, text) => ClientError::Status(status.as_u16(), text),
        Error::HttpError(error) => transport(error.is_connect(), error.is_timeout(), causes(error.as_ref())),
        other => ClientError::Malformed(other.to_string()),
    }
}
