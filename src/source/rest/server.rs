//! The conversation with a REST catalog: its configuration, a table, listings.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use tokio::sync::OnceCell;
use url::Url;

use super::answers::{ConfigAnswer, Failure, Identifiers, LoadTable, Namespaces};
use crate::config::CatalogConfig;
use crate::source::SourceError;
use crate::source::http::{Answer, CatalogClient, segment};
use crate::source::iceberg::TableMetadata;
use crate::storage::StorageProperties;

/// What asks for credentials beside a table.
const DELEGATION: HeaderName = HeaderName::from_static("x-iceberg-access-delegation");
/// The separator of levels inside a query parameter.
const UNIT_SEPARATOR: &str = "\u{1f}";
/// The most names of one listing.
const MOST_NAMES: usize = 100_000;
/// How deep namespaces may nest.
const DEEPEST: usize = 16;
/// Listings under way at a time.
const CONCURRENT: usize = 8;
/// Larger answers are parsed off the async threads.
const PARSE_INLINE: usize = 64 << 10;

/// The server, as one section of the configuration sees it.
pub(super) struct Server {
    pub client: CatalogClient,
    base: String,
    warehouse: Option<String>,
    prefix: Option<String>,
    own: StorageProperties,
    settings: OnceCell<Settings>,
}

/// What the server's configuration adds to ours.
pub(super) struct Settings {
    /// `…/v1` with the prefix.
    root: String,
    /// How levels are separated in a path, escaped already.
    separator: String,
    page_size: Option<String>,
    /// Properties of the object stores: the server's defaults, ours, what the server insists on.
    pub properties: StorageProperties,
}

/// A table as the server sent it.
pub(super) struct Loaded {
    pub etag: Option<String>,
    pub location: String,
    pub metadata: Arc<TableMetadata>,
    pub config: StorageProperties,
    pub credentials: Vec<(String, StorageProperties)>,
}

/// The answer to a question for a table.
pub(super) enum Table {
    /// As the caller knows it.
    Unchanged,
    /// This.
    Loaded(Box<Loaded>),
    /// There is none of that name.
    Missing,
}

impl std::fmt::Debug for Server {
    /// No properties: some are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(config: &CatalogConfig) -> Result<Self, SourceError> {
        let base = config.uri.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let tokens = format!("{base}/v1/oauth/tokens");
        Ok(Self {
            client: CatalogClient::new(config, Some((&tokens, "catalog")))?,
            base,
            warehouse: config.warehouse.clone(),
            prefix: config.login("prefix").map(str::to_owned),
            own: config.storage_properties(),
            settings: OnceCell::new(),
        })
    }

    /// Asked for once; an error is not kept.
    pub(super) async fn settings(&self) -> Result<&Settings, SourceError> {
        self.settings.get_or_try_init(|| self.ask_settings()).await
    }

    async fn ask_settings(&self) -> Result<Settings, SourceError> {
        let mut url = self.url(&format!("{}/v1/config", self.base))?;
        if let Some(warehouse) = &self.warehouse {
            url.query_pairs_mut().append_pair("warehouse", warehouse);
        }
        let answer = self.client.get(&url, &HeaderMap::new()).await?;
        if !answer.status.is_success() {
            return Err(match self.client.refused(&answer) {
                SourceError::CatalogFailed { catalog, reason } => {
                    SourceError::CatalogFailed { catalog, reason: format!("{}/v1/config: {reason}", self.base) }
                }
                other => other,
            });
        }
        let answer: ConfigAnswer = self.client.json(&answer)?;
        let of_server = |key: &str| {
            let value = |from: &std::collections::BTreeMap<String, Option<String>>| from.get(key).cloned().flatten();
            (value(&answer.defaults), value(&answer.overrides))
        };
        let choose = |key: &str, own: Option<String>| {
            let (default, forced) = of_server(key);
            forced.or(own).or(default)
        };
        let mut base = self.base.clone();
        if let (_, Some(uri)) = of_server("uri") {
            // The server knows better where it is, but not that what was asked for in secret may be said aloud.
            let moved = self.url(&uri)?;
            if moved.scheme() != "https" && self.base.starts_with("https:") {
                return Err(self.client.failed(&format!("it moves to \"{uri}\", which is not encrypted")));
            }
            base = uri.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        }
        let prefix = choose("prefix", self.prefix.clone()).filter(|prefix| !prefix.is_empty());
        let mut properties = storage_properties(&answer.defaults);
        properties.extend(self.own.clone());
        properties.extend(storage_properties(&answer.overrides));
        Ok(Settings {
            // The prefix is part of a path already, escaped as the server wants it.
            root: prefix.map_or_else(|| format!("{base}/v1"), |prefix| format!("{base}/v1/{}", prefix.trim_matches('/'))),
            separator: choose("namespace-separator", None).unwrap_or_else(|| "%1F".to_owned()),
            page_size: choose("rest-page-size", None),
            properties,
        })
    }

    fn url(&self, text: &str) -> Result<Url, SourceError> {
        Url::parse(text).map_err(|error| self.client.failed(&format!("\"{text}\" is no URL: {error}")))
    }

    /// `…/namespaces/{levels}/{kind}/{name}`.
    fn path(&self, settings: &Settings, levels: &[String], kind: &str, name: &str) -> Result<Url, SourceError> {
        let levels = levels.iter().map(|level| segment(level)).collect::<Vec<_>>().join(&settings.separator);
        let name = if name.is_empty() { String::new() } else { format!("/{}", segment(name)) };
        self.url(&format!("{}/namespaces/{levels}/{kind}{name}", settings.root))
    }

    /// The table, unless it still has this tag.
    pub(super) async fn load(&self, levels: &[String], name: &str, etag: Option<&str>) -> Result<Table, SourceError> {
        let settings = self.settings().await?;
        let url = self.path(settings, levels, "tables", name)?;
        let mut headers = HeaderMap::new();
        headers.insert(DELEGATION, HeaderValue::from_static("vended-credentials"));
        if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
            headers.insert(IF_NONE_MATCH, etag);
        }
        let answer = self.client.get(&url, &headers).await?;
        match answer.status.as_u16() {
            200 => self.loaded(answer).await.map(|loaded| Table::Loaded(Box::new(loaded))),
            304 => Ok(Table::Unchanged),
            404 if is_missing(&answer) => Ok(Table::Missing),
            _ => Err(self.client.refused(&answer)),
        }
    }

    async fn loaded(&self, answer: Answer) -> Result<Loaded, SourceError> {
        if answer.body.len() <= PARSE_INLINE {
            return self.parse(&answer);
        }
        let (parsed, answer) = tokio::task::spawn_blocking(move || {
            let parsed = serde_json::from_slice::<LoadTable>(&answer.body).map(|table| {
                let location = table.metadata_location.clone().unwrap_or_default();
                let metadata = serde_json::to_vec(&table.metadata).unwrap_or_default();
                (TableMetadata::parse(&metadata, &location), LoadTable { metadata: serde_json::Value::Null, ..table })
            });
            (parsed, answer)
        })
        .await
        .map_err(|_| self.client.failed("its answer cannot be read"))?;
        let (metadata, table) = parsed.map_err(|error| self.client.failed(&format!("its answer cannot be read: {error}")))?;
        self.assemble(table, metadata, answer.etag)
    }

    fn parse(&self, answer: &Answer) -> Result<Loaded, SourceError> {
        let table: LoadTable = self.client.json(answer)?;
        let location = table.metadata_location.clone().unwrap_or_default();
        let metadata = TableMetadata::parse(&serde_json::to_vec(&table.metadata).unwrap_or_default(), &location);
        self.assemble(table, metadata, answer.etag.clone())
    }

    fn assemble(
        &self,
        table: LoadTable,
        metadata: Result<TableMetadata, crate::source::iceberg::FormatError>,
        etag: Option<String>,
    ) -> Result<Loaded, SourceError> {
        let location = table.metadata_location.ok_or_else(|| self.client.failed("a table has no metadata location"))?;
        let metadata = metadata.map_err(|error| self.client.failed(&error.to_string()))?;
        let credentials = table.storage_credentials.unwrap_or_default();
        Ok(Loaded {
            etag,
            location,
            metadata: Arc::new(metadata),
            config: storage_properties(&table.config.unwrap_or_default()),
            credentials: credentials.into_iter().map(|one| (one.prefix, storage_properties(&one.config))).collect(),
        })
    }

    /// Whether there is a view of that name.
    pub(super) async fn has_view(&self, levels: &[String], name: &str) -> bool {
        let Ok(settings) = self.settings().await else { return false };
        let Ok(url) = self.path(settings, levels, "views", name) else { return false };
        matches!(self.client.get(&url, &HeaderMap::new()).await, Ok(answer) if answer.status.is_success())
    }

    /// The tables of a namespace, sorted; none if there is no such namespace.
    pub(super) async fn tables(&self, levels: &[String]) -> Result<Option<Vec<String>>, SourceError> {
        let settings = self.settings().await?;
        let url = self.path(settings, levels, "tables", "")?;
        let mut names: Vec<String> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let answer = self.page(settings, url.clone(), token.as_deref()).await?;
            match answer.status.as_u16() {
                200 => {}
                404 if is_missing(&answer) => return Ok(None),
                _ => return Err(self.client.refused(&answer)),
            }
            let page: Identifiers = self.client.json(&answer)?;
            names.extend(page.identifiers.into_iter().map(|identifier| identifier.name));
            match next(page.next_page_token, token.as_deref(), names.len()) {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        names.sort();
        names.dedup();
        Ok(Some(names))
    }

    /// All namespaces, at every depth.
    pub(super) async fn namespaces(&self) -> Result<Vec<Vec<String>>, SourceError> {
        let mut all = self.children(&[]).await?;
        let mut level = all.clone();
        for _ in 1..DEEPEST {
            let below: Vec<Vec<Vec<String>>> =
                stream::iter(level).map(|parent| async move { self.children(&parent).await }).buffered(CONCURRENT).try_collect().await?;
            // A server that does not nest may answer with the same list again.
            level = below.into_iter().flatten().filter(|found| !all.contains(found)).collect();
            if level.is_empty() || all.len() >= MOST_NAMES {
                break;
            }
            all.extend(level.iter().cloned());
        }
        all.sort();
        all.dedup();
        Ok(all)
    }

    async fn children(&self, parent: &[String]) -> Result<Vec<Vec<String>>, SourceError> {
        let settings = self.settings().await?;
        let mut url = self.url(&format!("{}/namespaces", settings.root))?;
        if !parent.is_empty() {
            url.query_pairs_mut().append_pair("parent", &parent.join(UNIT_SEPARATOR));
        }
        let mut found: Vec<Vec<String>> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let answer = self.page(settings, url.clone(), token.as_deref()).await?;
            match answer.status.as_u16() {
                200 => {}
                // Servers without nested namespaces refuse the question in several ways; one may also be gone by now.
                400 | 404 | 405 | 406 | 501 if !parent.is_empty() => return Ok(Vec::new()),
                _ => return Err(self.client.refused(&answer)),
            }
            let page: Namespaces = self.client.json(&answer)?;
            // Some answer with names below the parent, some with all levels.
            found.extend(
                page.namespaces.into_iter().filter(|levels| !levels.is_empty()).map(|levels| {
                    if levels.starts_with(parent) && levels.len() > parent.len() { levels } else { [parent, &levels].concat() }
                }),
            );
            match next(page.next_page_token, token.as_deref(), found.len()) {
                Some(next) => token = Some(next),
                None => return Ok(found),
            }
        }
    }

    async fn page(&self, settings: &Settings, mut url: Url, token: Option<&str>) -> Result<Answer, SourceError> {
        if let Some(size) = &settings.page_size {
            url.query_pairs_mut().append_pair("pageSize", size).append_pair("pageToken", token.unwrap_or_default());
        } else if let Some(token) = token {
            url.query_pairs_mut().append_pair("pageToken", token);
        }
        self.client.get(&url, &HeaderMap::new()).await
    }
}

/// The token of the page after this one.
fn next(answered: Option<String>, asked: Option<&str>, names: usize) -> Option<String> {
    answered.filter(|token| !token.is_empty() && asked != Some(token) && names < MOST_NAMES)
}

/// Whether a 404 is about the table or namespace and not about a path that nobody serves.
fn is_missing(answer: &Answer) -> bool {
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    failure.error.kind.is_some()
}

/// Those properties of a server's that our stores understand, and when the credentials among them end.
fn storage_properties(config: &std::collections::BTreeMap<String, Option<String>>) -> StorageProperties {
    let known = |key: &str| crate::config::STORAGE_KEYS.contains(&key) || key == "client.region" || super::vended::EXPIRY.contains(&key);
    config.iter().filter(|(key, _)| known(key)).filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect()
}
