//! The HTTP side of catalogs: one client each, with its TLS, login, time limit, retries and bounded answers.
//!
//! A question is a GET, so asking again is harmless: a connection that broke, and 429, 502, 503, 504, are tried again with
//! growing pauses (or the `Retry-After` that the server asked for), all within the catalog's `timeout`. A 401 or 419 is answered by one
//! fresh token. A connection that is refused is an error at once: the client learns that the catalog is down in
//! milliseconds, and the next statement asks again.
//!
//! What the server says in its errors is shown to the client, cut to one line; what we sent never is.

mod login;

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, ETAG, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

pub use login::Login;

use super::SourceError;
use super::error::root_cause;
use crate::config::{CatalogConfig, Secret};

/// The largest answer: a table's whole metadata comes as one.
const MAX_ANSWER: usize = 256 << 20;

/// How often a question is asked at the most.
const ATTEMPTS: u32 = 5;

/// The pause before the second time; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// The most characters of a server's words that an error repeats.
const MAX_REASON: usize = 300;

/// Everything but RFC 3986's unreserved characters is escaped: a name must stay one path segment, whatever is in it.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client of one catalog.
#[derive(Debug)]
pub struct CatalogClient {
    catalog: String,
    client: Client,
    timeout: Duration,
    login: Login,
}

/// What the server said, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its `ETag`.
    pub etag: Option<String>,
    /// All of its body.
    pub body: Bytes,
}

/// A name as one segment of a path. `.` and `..` would be folded away by any URL parser.
pub fn segment(name: &str) -> String {
    match name {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        name => utf8_percent_encode(name, SEGMENT).to_string(),
    }
}

impl CatalogClient {
    /// Connects to nobody yet; a certificate bundle that cannot be read is an error now. `tokens` is where a
    /// `credential` is exchanged, unless the configuration says where, and the scope to ask for.
    pub fn new(config: &CatalogConfig, tokens: Option<(&str, &str)>) -> Result<Self, SourceError> {
        let client = http_client(&config.name, config.login("ssl.cabundle").map(Path::new), config.timeout)?;
        let login = Login::new(config, tokens.map(|(endpoint, _)| endpoint), tokens.map(|(_, scope)| scope))?;
        Ok(Self { catalog: config.name.clone(), client, timeout: config.timeout, login })
    }

    /// Asks within the catalog's time; gives any answer that the caller may understand, that is everything but a refused login and a server
    /// that is out of order.
    pub async fn get(&self, url: &Url, headers: &HeaderMap) -> Result<Answer, SourceError> {
        match tokio::time::timeout(self.timeout, self.ask(url, headers)).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                Err(self.unreachable(url, &format!("no answer within {seconds} s")))
            }
        }
    }

    async fn ask(&self, url: &Url, headers: &HeaderMap) -> Result<Answer, SourceError> {
        let mut attempt = 1;
        let mut refused: Option<Secret> = None;
        loop {
            let token = self.login.token(refused.as_ref()).await?;
            let mut request = self.client.get(url.clone()).headers(headers.clone());
            if !headers.contains_key(ACCEPT) {
                request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
            }
            if let Some(token) = &token {
                request = request.header(AUTHORIZATION, bearer(&self.catalog, token.expose())?);
            }
            let pause = FIRST_PAUSE * 2_u32.pow(attempt - 1);
            let wait = match self.once(request).await {
                Ok((answer, retry_after)) => match answer.status.as_u16() {
                    401 | 419 if refused.is_none() && self.login.renews() => {
                        refused = token;
                        continue;
                    }
                    401 | 419 => return Err(SourceError::CatalogLogin { catalog: self.catalog.clone(), reason: reason(&answer) }),
                    429 | 502 | 503 | 504 if attempt < ATTEMPTS => retry_after.unwrap_or(pause),
                    429 | 502 | 503 | 504 => return Err(self.unreachable(url, &reason(&answer))),
                    _ => return Ok(answer),
                },
                // Nobody listens: waiting would only hide it.
                Err(Broken::Sending(error)) if error.is_connect() && root_cause(&error).contains("certificate") => {
                    return Err(SourceError::CatalogTls {
                        catalog: self.catalog.clone(),
                        reason: format!("{}: {}", origin(url), root_cause(&error)),
                    });
                }
                Err(Broken::Sending(error)) if error.is_connect() => return Err(self.unreachable(url, &root_cause(&error))),
                Err(Broken::TooLarge) => {
                    return Err(self.failed(&format!("an answer of more than {} MiB", MAX_ANSWER >> 20)));
                }
                Err(Broken::Sending(error)) if attempt >= ATTEMPTS => return Err(self.unreachable(url, &root_cause(&error))),
                Err(Broken::Sending(_)) => pause,
            };
            tracing::debug!(catalog = self.catalog, attempt, "asking again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn once(&self, request: reqwest::RequestBuilder) -> Result<(Answer, Option<Duration>), Broken> {
        let mut response = request.send().await.map_err(Broken::Sending)?;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        let etag = header(ETAG);
        let retry_after = header(RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let body = read(&mut response).await?;
        Ok((Answer { status, etag, body }, retry_after))
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, SourceError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.failed(&format!("its answer cannot be read: {error}")))
    }

    /// An answer that the caller does not understand.
    pub fn refused(&self, answer: &Answer) -> SourceError {
        if answer.status == StatusCode::FORBIDDEN {
            return SourceError::CatalogForbids { catalog: self.catalog.clone(), reason: reason(answer) };
        }
        self.failed(&reason(answer))
    }

    /// An answer that makes no sense.
    pub fn failed(&self, reason: &str) -> SourceError {
        SourceError::CatalogFailed { catalog: self.catalog.clone(), reason: reason.to_owned() }
    }

    fn unreachable(&self, url: &Url, reason: &str) -> SourceError {
        SourceError::CatalogUnreachable { catalog: self.catalog.clone(), reason: format!("{}: {reason}", origin(url)) }
    }
}

/// Why there is no answer.
enum Broken {
    Sending(reqwest::Error),
    TooLarge,
}

/// The body, as long as it is no longer than [`MAX_ANSWER`].
async fn read(response: &mut reqwest::Response) -> Result<Bytes, Broken> {
    if response.content_length().is_some_and(|length| length > MAX_ANSWER as u64) {
        return Err(Broken::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Broken::Sending)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Broken::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A client with the catalog's time limit that also trusts the certificates of this bundle.
pub(in crate::source) fn http_client(catalog: &str, bundle: Option<&Path>, timeout: Duration) -> Result<Client, SourceError> {
    let bad = |reason: String| SourceError::BadSetting { catalog: catalog.to_owned(), reason };
    let mut builder = Client::builder()
        .user_agent(concat!("featgres/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT.min(timeout))
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::limited(3));
    if let Some(path) = bundle {
        let unreadable = |error: String| bad(format!("ssl.cabundle: \"{}\" cannot be read: {error}", path.display()));
        let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(root_cause(&error)))?;
        if certificates.is_empty() {
            return Err(unreadable("it holds no certificate".to_owned()));
        }
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| bad(root_cause(&error)))
}

/// `Bearer …`, marked so that nothing prints it.
fn bearer(catalog: &str, token: &str) -> Result<HeaderValue, SourceError> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| SourceError::CatalogLogin {
        catalog: catalog.to_owned(),
        reason: "the token has characters that no header may have".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Scheme, host and port: enough to know who was meant, and nothing of what was asked.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The server's own words, from the shapes that Iceberg's REST catalogs, Nessie and OAuth2 servers use, with the status where they say less.
fn reason(answer: &Answer) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let text = |pointer: &str| json.as_ref().and_then(|json| json.pointer(pointer)).and_then(|value| value.as_str());
    let words = ["/error/message", "/message", "/error_description", "/error"].into_iter().find_map(text);
    match words {
        Some(words) => format!("{} ({})", one_line(words), answer.status.as_u16()),
        None => format!("it answered {}", answer.status),
    }
}

fn one_line(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MAX_REASON) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
#[path = "fake_tests.rs"]
pub(super) mod fake;
#[cfg(test)]
mod tests;
