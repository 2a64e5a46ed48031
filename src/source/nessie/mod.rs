//! Nessie by its own API, version 2: a catalog whose commits are states of all its tables.
//!
//! A statement first learns which commit its reference means (one small request), and then asks for each table at that
//! commit. What a commit says of a table never changes, so those answers are kept: while nobody commits, a statement costs
//! one request, whatever it reads. `ref` is a branch, a tag, `main@hash` or `main*2026-11-24T08:59:10Z`; without it, `main`.
//!
//! The content names metadata file, snapshot and schema, and that snapshot is what is read: the metadata file may have been
//! written on another branch and call another one current.
//!
//! A schema is a namespace with its levels joined by dots. Levels and names may have dots themselves: where the name as it
//! is written means nothing, the listing is looked through for the table that is spelt like it.

mod answers;
mod key;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use reqwest::header::HeaderMap;
use url::Url;

use super::http::{Answer, CatalogClient, segment};
use super::{Commit, CommitKind, CommittedTables, SourceCatalog, SourceError, TableIdent, TablePointer};
use crate::config::CatalogConfig;
use crate::storage::Storage;
use answers::{Contents, Entries, Entry, Failure, Reference, Single};

/// The most names that one listing gives.
const MOST_NAMES: usize = 100_000;
/// The most branches and tags that an error looks through.
const MOST_REFERENCES: usize = 10_000;
/// How many answers of commits are kept; each is a few hundred bytes.
const KEPT_POINTERS: usize = 10_000;
/// How many spellings of names with dots are remembered.
const KEPT_SPELLINGS: usize = 1_000;

/// A `[catalogs.NAME]` of type `nessie`.
#[derive(Debug)]
struct NessieCatalog {
    name: String,
    base: String,
    reference: String,
    lifetime: Duration,
    client: CatalogClient,
    storage: Arc<Storage>,
    /// What commits said: a commit's address, schema and table.
    pointers: Cache<(String, String, String), TablePointer>,
    /// Where references were, for as long as `pointer_lifetime` allows.
    heads: Mutex<HashMap<String, (Instant, Commit)>>,
    /// Names that are not what their dots say.
    spellings: Mutex<HashMap<(String, String), Vec<String>>>,
}

/// Asks nothing yet.
pub fn open(config: &CatalogConfig, storage: Arc<Storage>) -> Result<Arc<dyn SourceCatalog>, SourceError> {
    let bad = |reason: String| SourceError::BadSetting { catalog: config.name.clone(), reason };
    let base = config.uri.trim_end_matches('/');
    if !base.ends_with("/v2") {
        return Err(bad(format!("uri: \"{base}\" must be that of Nessie's API version 2, as in http://nessie:19120/api/v2")));
    }
    let written = config.login("ref").unwrap_or("main");
    let reference = key::reference(written).ok_or_else(|| {
        bad(format!("ref: \"{written}\" must be a branch, a tag, branch@hash, or branch*timestamp as in main*2026-11-24T08:59:10Z"))
    })?;
    Ok(Arc::new(NessieCatalog {
        name: config.name.clone(),
        base: base.to_owned(),
        reference,
        lifetime: config.pointer_lifetime,
        client: CatalogClient::new(config, None)?,
        storage,
        pointers: Cache::new(KEPT_POINTERS),
        heads: Mutex::default(),
        spellings: Mutex::default(),
    }))
}

impl NessieCatalog {
    fn url(&self, path: &str) -> Result<Url, SourceError> {
        Url::parse(&format!("{}/{path}", self.base)).map_err(|error| self.client.failed(&format!("\"{path}\" makes no URL: {error}")))
    }

    async fn get(&self, path: &str) -> Result<Answer, SourceError> {
        self.client.get(&self.url(path)?, &HeaderMap::new()).await
    }

    /// Pages of entries at a commit, until `take` has enough or there is no more.
    async fn entries(&self, address: &str, prefix: Option<&[String]>) -> Result<Vec<Entry>, SourceError> {
        let path = format!("trees/{}/entries", segment(address));
        let mut entries: Vec<Entry> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut url = self.url(&path)?;
            if let Some(prefix) = prefix {
                url.query_pairs_mut().append_pair("prefix-key", &key::path(prefix));
            }
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("page-token", token);
            }
            let answer = self.client.get(&url, &HeaderMap::new()).await?;
            if !answer.status.is_success() {
                return Err(self.client.refused(&answer));
            }
            let page: Entries = self.client.json(&answer)?;
            entries.extend(page.entries);
            match page.token {
                Some(next) if page.has_more && entries.len() < MOST_NAMES && token.as_deref() != Some(&*next) => token = Some(next),
                _ => return Ok(entries),
            }
        }
    }

    /// The configured reference's commit.
    async fn head(&self) -> Result<Commit, SourceError> {
        match self.commit(&self.reference).await? {
            Some(commit) => Ok(commit),
            None => Err(SourceError::UnknownCatalogReference {
                catalog: self.name.clone(),
                kind: "tag or branch",
                name: self.reference.clone(),
                known: self.references().await?,
            }),
        }
    }

    /// What the commit says of a key; none if it has no such key.
    async fn content(&self, ident: &TableIdent, commit: &Commit, elements: &[String]) -> Result<Option<TablePointer>, SourceError> {
        let path = format!("trees/{}/contents/{}", segment(&commit.address), segment(&key::path(elements)));
        let answer = self.get(&path).await?;
        if answer.status.is_success() {
            let contents: Contents = self.client.json(&answer)?;
            return match &*contents.content.kind {
                "ICEBERG_TABLE" => {
                    let location = contents
                        .content
                        .metadata_location
                        .ok_or_else(|| self.client.failed(&format!("table \"{ident}\" has no metadata location")))?;
                    Ok(Some(TablePointer {
                        snapshot_id: contents.content.snapshot_id,
                        schema_id: contents.content.schema_id,
                        nessie_hash: Some(commit.hash.clone()),
                        ..TablePointer::at(location)
                    }))
                }
                other => Err(SourceError::NotATable { ident: ident.clone(), kind: answers::spoken(other) }),
            };
        }
        let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
        match failure.error_code.as_deref() {
            Some("CONTENT_NOT_FOUND" | "NAMESPACE_NOT_FOUND") => Ok(None),
            Some("REFERENCE_NOT_FOUND") => {
                // The branch was deleted, or moved so that the commit is no longer on it, since the statement began.
                Err(self.client.failed(&format!("commit {} is gone: {}", commit.hash, failure.message.unwrap_or_default())))
            }
            _ => Err(self.client.refused(&answer)),
        }
    }

    /// The table is not where its name says: perhaps its dots mean something else, and in any case somebody wants to know what there is.
    async fn search(&self, ident: &TableIdent, commit: &Commit) -> Result<TablePointer, SourceError> {
        let entries = self.entries(&commit.address, None).await?;
        let spelt = |entry: &&Entry| entry.schema().as_deref() == Some(&*ident.schema) && entry.table() == Some(&*ident.table);
        if let Some(entry) = entries.iter().find(spelt)
            && let Some(pointer) = self.content(ident, commit, &entry.name.elements).await?
        {
            let mut spellings = self.spellings.lock();
            if spellings.len() >= KEPT_SPELLINGS {
                spellings.clear();
            }
            spellings.insert((ident.schema.clone(), ident.table.clone()), entry.name.elements.clone());
            return Ok(pointer);
        }
        let schemas = schemas(&entries);
        if !schemas.contains(&ident.schema) {
            return Err(SourceError::UnknownSchema { catalog: self.name.clone(), schema: ident.schema.clone(), known: schemas });
        }
        Err(SourceError::UnknownTable { ident: ident.clone(), known: tables(&entries, &ident.schema) })
    }
}

/// All namespaces: those that were made, and those that tables are in.
fn schemas(entries: &[Entry]) -> Vec<String> {
    let mut schemas: Vec<String> = entries
        .iter()
        .filter_map(|entry| if entry.kind == "NAMESPACE" { Some(entry.name.elements.join(".")) } else { entry.schema() })
        .collect();
    schemas.sort();
    schemas.dedup();
    schemas
}

fn tables(entries: &[Entry], schema: &str) -> Vec<String> {
    let inside = entries.iter().filter(|entry| entry.kind == "ICEBERG_TABLE" && entry.schema().as_deref() == Some(schema));
    let mut tables: Vec<String> = inside.filter_map(|entry| entry.table().map(str::to_owned)).collect();
    tables.sort();
    tables.dedup();
    tables
}

#[async_trait]
impl CommittedTables for NessieCatalog {
    fn reference(&self) -> &str {
        &self.reference
    }

    fn reference_at(&self, micros: i64) -> Option<String> {
        let then = chrono::DateTime::from_timestamp_micros(micros)?;
        let branch = (!self.reference.contains(['@', '*'])).then_some(&self.reference)?;
        Some(format!("{branch}*{}", key::timestamp(then)))
    }

    async fn commit(&self, reference: &str) -> Result<Option<Commit>, SourceError> {
        // What cannot be a reference does not exist; the server would call it a bad request.
        let Some(reference) = key::reference(reference) else { return Ok(None) };
        if !self.lifetime.is_zero()
            && let Some((asked, commit)) = self.heads.lock().get(&reference)
            && asked.elapsed() < self.lifetime
        {
            return Ok(Some(commit.clone()));
        }
        // A named reference is answered fastest; hashes and timestamps are understood where something is read at them.
        let named = !reference.contains(['@', '*']);
        let path = match named {
            true => format!("trees/{}", segment(&reference)),
            false => format!("trees/{}/entries?max-records=1", segment(&reference)),
        };
        let asked = Instant::now();
        let answer = self.get(&path).await?;
        if !answer.status.is_success() {
            let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
            return match failure.error_code.as_deref() {
                Some("REFERENCE_NOT_FOUND") => Ok(None),
                _ => Err(self.client.refused(&answer)),
            };
        }
        let found: Reference = match named {
            true => self.client.json::<Single>(&answer)?.reference,
            false => self.client.json::<Entries>(&answer)?.effective_reference,
        };
        let hash = found.hash.ok_or_else(|| self.client.failed(&format!("reference \"{reference}\" has no hash")))?;
        let kind = match &*found.kind {
            "BRANCH" => CommitKind::Branch,
            "TAG" => CommitKind::Tag,
            _ => CommitKind::Detached,
        };
        let commit = Commit { address: format!("{}@{hash}", found.name.unwrap_or_default()), hash, kind };
        if !self.lifetime.is_zero() {
            let mut heads = self.heads.lock();
            heads.retain(|_, (asked, _)| asked.elapsed() < self.lifetime);
            heads.insert(reference, (asked, commit.clone()));
        }
        Ok(Some(commit))
    }

    fn forget(&self) {
        self.heads.lock().clear();
    }

    async fn references(&self) -> Result<Vec<String>, SourceError> {
        let mut names: Vec<String> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut url = self.url("trees")?;
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("page-token", token);
            }
            let answer = self.client.get(&url, &HeaderMap::new()).await?;
            if !answer.status.is_success() {
                return Err(self.client.refused(&answer));
            }
            let page: answers::References = self.client.json(&answer)?;
            names.extend(page.references.into_iter().filter_map(|reference| reference.name));
            match page.token {
                Some(next) if page.has_more && names.len() < MOST_REFERENCES && token.as_deref() != Some(&*next) => token = Some(next),
                _ => break,
            }
        }
        names.sort();
        Ok(names)
    }

    async fn pointer_at(&self, ident: &TableIdent, commit: &Commit) -> Result<TablePointer, SourceError> {
        let known = (commit.address.clone(), ident.schema.clone(), ident.table.clone());
        if let Some(pointer) = self.pointers.get(&known) {
            return Ok(pointer);
        }
        let spelling = self.spellings.lock().get(&(ident.schema.clone(), ident.table.clone())).cloned();
        let elements = spelling.or_else(|| key::elements(ident));
        let found = match &elements {
            Some(elements) => self.content(ident, commit, elements).await?,
            None => None,
        };
        let pointer = match found {
            Some(pointer) => pointer,
            None => self.search(ident, commit).await?,
        };
        self.pointers.insert(known, pointer.clone());
        Ok(pointer)
    }
}

#[async_trait]
impl SourceCatalog for NessieCatalog {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "nessie"
    }

    fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    async fn pointer(&self, ident: &TableIdent) -> Result<TablePointer, SourceError> {
        let head = self.head().await?;
        self.pointer_at(ident, &head).await
    }

    async fn schemas(&self) -> Result<Vec<String>, SourceError> {
        let head = self.head().await?;
        Ok(schemas(&self.entries(&head.address, None).await?))
    }

    async fn tables(&self, schema: &str) -> Result<Vec<String>, SourceError> {
        let head = self.head().await?;
        let below: Vec<String> = schema.split('.').map(str::to_owned).collect();
        if below.iter().all(|level| key::is_element(level)) {
            let entries = self.entries(&head.address, Some(&below)).await?;
            if schemas(&entries).iter().any(|known| known == schema) {
                return Ok(tables(&entries, schema));
            }
        }
        // A level with a dot in it, or no such schema.
        let entries = self.entries(&head.address, None).await?;
        let schemas = schemas(&entries);
        if !schemas.iter().any(|known| known == schema) {
            return Err(SourceError::UnknownSchema { catalog: self.name.clone(), schema: schema.to_owned(), known: schemas });
        }
        Ok(tables(&entries, schema))
    }

    fn commits(&self) -> Option<&dyn CommittedTables> {
        Some(self)
    }
}

#[cfg(test)]
mod tests;
