//! OAuth2 client credentials: a bearer token for a service that has no person at a browser.
//!
//! `credential` is `client-id:client-secret` (or a secret alone), as in pyiceberg; the token is asked for at `oauth2-server-uri` by a form with
//! `grant_type=client_credentials`. It is kept until shortly before it expires, or until the service refuses it. Of several
//! statements that need one at the same time one asks.
//!
//! A token that could not be renewed early is used to its end. The secret and the token are never in an error; a catalog that is reached by
//! TLS gets its tokens by TLS.

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::SourceError;
use crate::config::{CatalogConfig, Secret};

/// An answer larger than this is none.
const LARGEST_ANSWER: usize = 1 << 20;
/// Where the server does not say how long a token is good.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
/// Before the end of a token's life.
const EARLY: Duration = Duration::from_secs(30);

/// A source of tokens.
pub struct ClientCredentials {
    section: String,
    client: Client,
    endpoint: String,
    /// The fields of the form.
    form: Vec<(&'static str, Secret)>,
    current: Mutex<Option<Token>>,
}

struct Token {
    value: Secret,
    /// When it is renewed.
    until: Instant,
    /// When it ends.
    end: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl ClientCredentials {
    /// Connects to nothing yet. `endpoint` is where the catalog itself gives tokens, unless `oauth2-server-uri` says where, and
    /// `scope` what it wants to hear unless `scope` says it.
    pub fn open(config: &CatalogConfig, endpoint: Option<&str>, scope: Option<&str>) -> Result<Self, SourceError> {
        let bad = |reason: String| SourceError::BadSetting { catalog: config.name.clone(), reason };
        let endpoint = config
            .login("oauth2-server-uri")
            .or(endpoint)
            .ok_or_else(|| bad("credential needs oauth2-server-uri, which gives the tokens".to_owned()))?;
        let url = url::Url::parse(endpoint).map_err(|_| bad("oauth2-server-uri: it must be a URL".to_owned()))?;
        let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !here && config.uri.starts_with("https:") {
            return Err(bad("oauth2-server-uri: a credential is never sent without TLS; it must begin with https://".to_owned()));
        }
        let mut form = vec![("grant_type", Secret::new("client_credentials"))];
        match config.login("credential").unwrap_or_default().split_once(':') {
            Some((id, secret)) => form.extend([("client_id", Secret::new(id)), ("client_secret", Secret::new(secret))]),
            None => form.push(("client_secret", Secret::new(config.login("credential").unwrap_or_default()))),
        }
        for key in ["scope", "audience", "resource"] {
            if let Some(value) = config.login(key).or(scope.filter(|_| key == "scope")) {
                form.push((key, Secret::new(value)));
            }
        }
        let mut builder = Client::builder().timeout(config.timeout).redirect(reqwest::redirect::Policy::none());
        if let Some(file) = config.login("ssl.cabundle") {
            let pem = std::fs::read(file).map_err(|error| bad(format!("ssl.cabundle: \"{file}\" cannot be read: {error}")))?;
            let bundle = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(format!("ssl.cabundle: \"{file}\": {error}")))?;
            builder = bundle.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build().map_err(|error| bad(error.to_string()))?;
        Ok(Self { section: config.name.clone(), client, endpoint: endpoint.to_owned(), form, current: Mutex::new(None) })
    }

    /// A token that is good for some time; another one than `refused`, which the service did not take.
    pub async fn token(&self, refused: Option<&str>) -> Result<String, SourceError> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref()
            && Instant::now() < token.until
            && refused != Some(token.value.expose())
        {
            return Ok(token.value.expose().to_owned());
        }
        let answer = match (self.fetch().await, current.as_ref()) {
            (Ok(answer), _) => answer,
            // Renewed early, so that this costs nobody anything.
            (Err(_), Some(token)) if Instant::now() < token.end && refused != Some(token.value.expose()) => {
                return Ok(token.value.expose().to_owned());
            }
            (Err(error), _) => return Err(error),
        };
        // Ten years are for ever, and can be added to any instant.
        let lifetime = answer.expires_in.map_or(DEFAULT_LIFETIME, |seconds| Duration::from_secs(seconds.min(315_360_000)));
        // A very short life is used by half.
        let good_for = lifetime.saturating_sub(EARLY).max(lifetime / 2);
        let token = Token { value: Secret::new(answer.access_token), until: Instant::now() + good_for, end: Instant::now() + lifetime };
        Ok(current.insert(token).value.expose().to_owned())
    }

    async fn fetch(&self) -> Result<Answer, SourceError> {
        let catalog = || self.section.clone();
        let form: Vec<(&str, &str)> = self.form.iter().map(|(name, value)| (*name, value.expose())).collect();
        let unreachable = |error: &reqwest::Error| {
            let reason = format!("its token server: {}", causes(error));
            if reason.contains("certificate") {
                SourceError::CatalogTls { catalog: catalog(), reason }
            } else {
                SourceError::CatalogUnreachable { catalog: catalog(), reason }
            }
        };
        let mut response = self.client.post(&self.endpoint).form(&form).send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(SourceError::CatalogFailed { catalog: catalog(), reason: "the token server's answer is too large".to_owned() });
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let said = serde_json::from_slice::<Refusal>(&body)
                .map_or_else(|_| format!("HTTP status {}", status.as_u16()), |refusal| refusal.error_description.unwrap_or(refusal.error));
            let reason = format!("its token server refused the credential: {said}");
            return Err(match status.as_u16() {
                400 | 401 | 403 => SourceError::CatalogLogin { catalog: catalog(), reason },
                _ => SourceError::CatalogUnreachable { catalog: catalog(), reason },
            });
        }
        serde_json::from_slice(&body).map_err(|error| SourceError::CatalogFailed {
            catalog: catalog(),
            // The error has a place, not the text: the text may be a token.
            reason: format!("the token server's answer has no token (line {}, column {})", error.line(), error.column()),
        })
    }
}

/// An error of the HTTP client with what caused it, without the address.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}
