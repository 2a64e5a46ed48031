//! One question to Trino, to its last page: within a time, a number of rows and a number of pages.
//!
//! Trino answers a POST with a page that names the next one, and so on; only a page without a next one is the end. Columns
//! come without rows, rows before the end, and the number of pages differs from run to run.
//!
//! A Trino that is starting takes questions and fails them (`SERVER_STARTING_UP`, then for some seconds `NO_NODES_AVAILABLE`):
//! these are asked again until the time is up. So, a few times, are an answer that was cut and a 502, 503 or 504, which
//! proxies give while a coordinator restarts. All questions only read, so asking twice is safe. A refused connection is an error
//! at once: others wait for it behind this statement.
//!
//! The next page must be on the same host, and on TLS if the first was: the login goes along with each request.
//!
//! Whoever stops waiting (a time limit, a cancelled statement, a client that is gone) drops the question, and Trino is told to stop
//! working on it. That is one request in the background, whose outcome nobody waits for: Trino forgets queries that nobody
//! asks about after some minutes anyway.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use super::password_client::PasswordClient;
use super::token_client::TokenClient;
use crate::config::CatalogConfig;
use crate::source::SourceError;

/// Pages of one answer at the most.
const MOST_PAGES: usize = 2_000;
/// How often a cut answer or a proxy's error is asked again.
const MOST_INTERRUPTIONS: usize = 3;
/// Between two attempts, at first and at the most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How long Trino may take to hear that an answer is not wanted any more.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);
/// Of a text from Trino in our errors.
const LONGEST_MESSAGE: usize = 500;

/// A page of an answer.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Its rows.
    pub rows: Vec<Vec<Value>>,
    /// Whether the client library understood the columns and rows of it; before Trino knows the columns, there is nothing to understand.
    pub understood: bool,
    /// Where the next page is.
    pub next: Option<String>,
    /// Why the question failed.
    pub failure: Option<QueryFailure>,
}

/// Trino understood and failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueryFailure {
    /// `TABLE_NOT_FOUND`, …
    pub name: String,
    /// For people.
    pub message: String,
}

impl fmt::Display for QueryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", shortened(&self.message), self.name)
    }
}

impl QueryFailure {
    /// Whether it will pass when Trino is up.
    fn is_restart(&self) -> bool {
        matches!(self.name.as_str(), "SERVER_STARTING_UP" | "NO_NODES_AVAILABLE" | "SERVER_SHUTTING_DOWN")
    }
}

/// There was no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClientError {
    /// No connection.
    Unreachable(String),
    /// No trust: the certificate is not good, or the other side speaks no TLS.
    Tls(String),
    /// The connection broke within the exchange.
    Interrupted(String),
    /// An HTTP status that is not 200, with what was said.
    Status(u16, String),
    /// Not a page.
    Malformed(String),
    /// The login itself failed.
    Login(String),
}

/// A client library.
#[async_trait]
pub(super) trait TrinoClient: fmt::Debug + Send + Sync {
    /// Asks, and gives the first page.
    async fn submit(&self, sql: &str) -> Result<Page, ClientError>;
    /// The page at this address.
    async fn page(&self, url: &str) -> Result<Page, ClientError>;
    /// The answer that would go on at this address is not wanted any more.
    async fn cancel(&self, url: &str) -> Result<(), ClientError>;
}

/// Why there are no rows.
#[derive(Debug)]
pub(super) enum StatementError {
    /// Trino understood and failed: what it means depends on the question.
    Query(QueryFailure),
    /// Everything else.
    Source(SourceError),
}

/// Asks Trino.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) section: String,
    pub(super) endpoint: Url,
    pub(super) timeout: Duration,
    pub(super) client: Arc<dyn TrinoClient>,
}

/// Why an attempt gave no rows.
enum Attempt {
    Query(QueryFailure),
    Client(ClientError),
    Source(SourceError),
}

impl Statements {
    /// Connects to nothing yet.
    pub fn open(config: &CatalogConfig) -> Result<Self, SourceError> {
        let bad = |reason: &str| SourceError::BadSetting { catalog: config.name.clone(), reason: reason.to_owned() };
        let endpoint = Url::parse(&config.uri).map_err(|_| bad("uri: it must be an http:// or https:// URL"))?;
        if !matches!(endpoint.path(), "" | "/") || endpoint.query().is_some() {
            return Err(bad("uri: Trino is at the root of its host; leave the path out"));
        }
        let secret = ["password", "jwt", "credential"].into_iter().find(|key| config.login(key).is_some());
        if let Some(key) = secret
            && endpoint.scheme() != "https"
        {
            return Err(bad(&format!("{key} is never sent without TLS: uri must begin with https://")));
        }
        let client: Arc<dyn TrinoClient> = match secret {
            Some("jwt" | "credential") => Arc::new(TokenClient::open(config, &endpoint)?),
            _ => Arc::new(PasswordClient::open(config, &endpoint)?),
        };
        Ok(Self { section: config.name.clone(), endpoint, timeout: config.timeout, client })
    }

    /// All rows of the answer; more than `most` is an error.
    pub async fn rows(&self, sql: &str, most: usize) -> Result<Vec<Vec<Value>>, StatementError> {
        let mut waiting = None;
        let attempts = timeout_at(Instant::now() + self.timeout, self.attempts(sql, most, &mut waiting)).await;
        attempts.unwrap_or_else(|_| {
            let timeout = crate::config::format_duration(self.timeout);
            let reason = match waiting {
                Some(reason) => format!("Trino is not ready, after {timeout} ({reason})"),
                None => format!("Trino did not answer within {timeout}"),
            };
            Err(StatementError::Source(SourceError::CatalogUnreachable { catalog: self.section.clone(), reason }))
        })
    }

    async fn attempts(&self, sql: &str, most: usize, waiting: &mut Option<String>) -> Result<Vec<Vec<Value>>, StatementError> {
        let (mut pause, longest) = PAUSES;
        let mut interruptions = 0;
        loop {
            match self.attempt(sql, most).await {
                Ok(rows) => return Ok(rows),
                Err(Attempt::Query(failure)) if failure.is_restart() => *waiting = Some(failure.name),
                Err(Attempt::Client(ClientError::Interrupted(_) | ClientError::Status(502..=504, _)))
                    if interruptions < MOST_INTERRUPTIONS =>
                {
                    interruptions += 1;
                }
                Err(Attempt::Query(failure)) => return Err(StatementError::Query(failure)),
                Err(Attempt::Client(error)) => return Err(StatementError::Source(self.client_error(error))),
                Err(Attempt::Source(error)) => return Err(StatementError::Source(error)),
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn attempt(&self, sql: &str, most: usize) -> Result<Vec<Vec<Value>>, Attempt> {
        let (mut page, mut running) = self.submit(sql).await.map_err(Attempt::Client)?;
        let (mut rows, mut understood) = (Vec::new(), false);
        for _ in 0..MOST_PAGES {
            if let Some(failure) = page.failure {
                running.next = None;
                return Err(Attempt::Query(failure));
            }
            // Columns come with every page from the first that has them. One that lacks them had something on it that was
            // not understood, and an answer without its rows would be a shorter list of tables, or an older table.
            if understood && !page.understood {
                return Err(Attempt::Client(ClientError::Malformed("one of its pages cannot be read".to_owned())));
            }
            understood |= page.understood;
            rows.append(&mut page.rows);
            if rows.len() > most {
                return Err(Attempt::Source(self.failed(format!("Trino's answer has more than {most} rows"))));
            }
            let Some(next) = page.next else {
                running.next = None;
                if !understood {
                    return Err(Attempt::Client(ClientError::Malformed("it has no columns".to_owned())));
                }
                return Ok(rows);
            };
            stays_at(&self.endpoint, &next).map_err(|reason| Attempt::Source(self.failed(reason)))?;
            running.next = Some(next.clone());
            page = self.client.page(&next).await.map_err(Attempt::Client)?;
        }
        Err(Attempt::Source(self.failed(format!("Trino's answer does not end after {MOST_PAGES} pages"))))
    }

    /// Asks, and gives the first page. Only that page says what Trino is to stop: who stops waiting before it is there leaves the
    /// request behind, for at most the catalog's time-out, to be told of its end. From then on the page goes with what stops it,
    /// wherever it is dropped.
    async fn submit(&self, sql: &str) -> Result<(Page, Running), ClientError> {
        let (client, sql, deadline) = (Arc::clone(&self.client), sql.to_owned(), Instant::now() + self.timeout);
        let endpoint = self.endpoint.clone();
        let (sender, answer) = oneshot::channel();
        tokio::spawn(async move {
            let Ok(page) = timeout_at(deadline, client.submit(&sql)).await else { return };
            let answer = page.map(|page| {
                let next = page.next.clone().filter(|next| stays_at(&endpoint, next).is_ok());
                (page, Running { client, next })
            });
            // Who waited may be gone: then this is dropped.
            let _ = sender.send(answer);
        });
        answer.await.unwrap_or_else(|_| Err(ClientError::Interrupted("no answer".to_owned())))
    }

    fn failed(&self, reason: impl Into<String>) -> SourceError {
        SourceError::CatalogFailed { catalog: self.section.clone(), reason: reason.into() }
    }

    fn client_error(&self, error: ClientError) -> SourceError {
        let catalog = self.section.clone();
        match error {
            ClientError::Unreachable(reason) => SourceError::CatalogUnreachable { catalog, reason },
            ClientError::Tls(reason) => SourceError::CatalogTls { catalog, reason },
            ClientError::Interrupted(reason) => {
                SourceError::CatalogUnreachable { catalog, reason: format!("the connection broke ({reason})") }
            }
            ClientError::Login(reason) => SourceError::CatalogLogin { catalog, reason },
            ClientError::Status(401, text) => SourceError::CatalogLogin { catalog, reason: said(401, &text) },
            ClientError::Status(403, text) => SourceError::CatalogForbids { catalog, reason: said(403, &text) },
            ClientError::Status(status @ 502..=504, text) => SourceError::CatalogUnreachable { catalog, reason: said(status, &text) },
            ClientError::Status(status, text) => SourceError::CatalogFailed { catalog, reason: said(status, &text) },
            ClientError::Malformed(reason) => {
                SourceError::CatalogFailed { catalog, reason: format!("Trino's answer is not one ({})", shortened(&reason)) }
            }
        }
    }
}

/// A question that Trino works on for as long as `next` is some; with its drop, Trino is told to stop.
struct Running {
    client: Arc<dyn TrinoClient>,
    next: Option<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(url), Ok(runtime)) = (self.next.take(), tokio::runtime::Handle::try_current()) else { return };
        let client = Arc::clone(&self.client);
        runtime.spawn(async move {
            match tokio::time::timeout(CANCEL_WITHIN, client.cancel(&url)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(?error, "a query was not cancelled at Trino"),
                Err(_) => tracing::debug!("a query was not cancelled at Trino in time"),
            }
        });
    }
}

/// Refuses an answer that goes on elsewhere.
fn stays_at(endpoint: &Url, next: &str) -> Result<(), String> {
    let Ok(url) = Url::parse(next) else { return Err("Trino's answer names no address for its next page".to_owned()) };
    if url.scheme() != endpoint.scheme() {
        return Err(format!(
            "Trino's answer goes on at {}://, but uri is {}://; behind a proxy, Trino needs http-server.process-forwarded=true",
            url.scheme(),
            endpoint.scheme()
        ));
    }
    if url.host() != endpoint.host() {
        return Err(format!(
            "Trino's answer goes on at host \"{}\", but uri names \"{}\"",
            url.host_str().unwrap_or_default(),
            endpoint.host_str().unwrap_or_default()
        ));
    }
    Ok(())
}

/// An HTTP status and what came with it, unless that is a page for browsers.
fn said(status: u16, text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return format!("it answered with HTTP status {status}");
    }
    format!("{} (HTTP status {status})", shortened(text))
}

/// The first line, not endless.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// What HTTP clients leave out of their own words: an error and all its causes.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    // The outermost says only "error sending request for url (…)".
    if texts.len() > 1 {
        texts.remove(0);
    }
    let text = texts.join(": ");
    // The address is in the catalog's settings; older clients say it and all causes in one text.
    match text.strip_prefix("error sending request for url (").and_then(|rest| rest.split_once("): ")) {
        Some((_, cause)) => cause.to_owned(),
        None => text,
    }
}

/// Sends a request to cancel; any answer but a refusal is good, since a query that is over is not there any more.
pub(super) async fn cancelled(request: reqwest::RequestBuilder) -> Result<(), ClientError> {
    let answer = request.send().await.map_err(|error| transport(error.is_connect(), error.is_timeout(), causes(&error)))?;
    match answer.status().as_u16() {
        status @ (401 | 403 | 500..) => Err(ClientError::Status(status, String::new())),
        _ => Ok(()),
    }
}

/// A failure before there was an answer: what it means is only in the words of its causes.
pub(super) fn transport(connecting: bool, timed_out: bool, causes: String) -> ClientError {
    let about_tls = ["certificate", "tls", "TLS", "handshake", "CorruptMessage", "corrupt message"];
    if about_tls.iter().any(|word| causes.contains(word)) {
        ClientError::Tls(causes)
    } else if timed_out {
        ClientError::Unreachable("the request took too long".to_owned())
    } else if connecting {
        ClientError::Unreachable(causes)
    } else {
        ClientError::Interrupted(causes)
    }
}
