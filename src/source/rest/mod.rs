//! Iceberg REST catalogs.
//!
//! The server's configuration is asked for once (its prefix, its properties), a table by `loadTable` for every statement
//! unless `pointer_lifetime` says otherwise; a server that gives ETags answers "unchanged" in a few bytes. The answer holds the
//! metadata itself, which spares reading the file. That is right about the current snapshot; servers may leave out history (Nessie
//! keeps one snapshot), so a question about another snapshot that it cannot answer goes to the file.
//!
//! Names are escaped, each as one segment, levels of a namespace separated by %1F: `t#hash` is a name, not a fragment.
//! Properties of object stores are the server's defaults, under ours, under what the server insists on, under the table's own; credentials
//! that the server hands out are asked for and win over ours (`vended`). A server that offers to sign our requests instead gets none.

mod answers;
mod server;
mod vended;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::iceberg::TableMetadata;
use super::{SourceCatalog, SourceError, TableIdent, TablePointer};
use crate::config::CatalogConfig;
use crate::storage::{Storage, StorageProperties};
use server::{Loaded, Server, Table};
use vended::Vended;

/// The most tables whose last answer is kept, for ETags and credentials.
const KEPT_TABLES: usize = 500;
/// The most sets of properties without credentials that get stores of their own.
const KEPT_STORAGES: usize = 64;
/// How many spellings of names with dots are remembered.
const KEPT_SPELLINGS: usize = 1_000;

/// A `[catalogs.NAME]` of type `rest`.
struct RestCatalog {
    name: String,
    lifetime: Duration,
    server: Arc<Server>,
    storage: Arc<Storage>,
    tables: Cache<(String, String), Arc<Known>>,
    storages: Mutex<HashMap<StorageProperties, Arc<Storage>>>,
    spellings: Mutex<HashMap<String, Vec<String>>>,
}

impl std::fmt::Debug for RestCatalog {
    /// No properties: some are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestCatalog").field("name", &self.name).field("server", &self.server).finish_non_exhaustive()
    }
}

/// What the server said of a table last.
#[derive(Debug)]
struct Known {
    etag: Option<String>,
    location: String,
    metadata: Arc<TableMetadata>,
    storage: Arc<Storage>,
    vended: Option<(StorageProperties, Arc<Vended>)>,
}

impl Known {
    fn pointer(&self) -> TablePointer {
        TablePointer {
            metadata: Some(Arc::clone(&self.metadata)),
            storage: Some(Arc::clone(&self.storage)),
            ..TablePointer::at(self.location.clone())
        }
    }
}

/// Asks nothing yet. `storage` is that of the section's own properties.
pub fn open(config: &CatalogConfig, storage: Arc<Storage>) -> Result<Arc<dyn SourceCatalog>, SourceError> {
    Ok(Arc::new(RestCatalog {
        name: config.name.clone(),
        lifetime: config.pointer_lifetime,
        server: Arc::new(Server::new(config)?),
        storage,
        tables: Cache::new(KEPT_TABLES),
        storages: Mutex::default(),
        spellings: Mutex::default(),
    }))
}

/// Whether a path can have this as a segment: URLs fold `.` and `..` away, however they are written.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
}

impl RestCatalog {
    /// The levels of a schema, as its dots say or as they were found to be.
    fn levels(&self, schema: &str) -> Vec<String> {
        let found = self.spellings.lock().get(schema).cloned();
        found.unwrap_or_else(|| schema.split('.').map(str::to_owned).collect())
    }

    async fn load(&self, ident: &TableIdent, levels: &[String]) -> Result<Option<TablePointer>, SourceError> {
        if !levels.iter().chain([&ident.table]).all(|name| is_name(name)) {
            return Ok(None);
        }
        let key = (ident.schema.clone(), ident.table.clone());
        let known = self.tables.get(&key);
        // Credentials that are about to end are worth an answer in full.
        let fresh = known.as_ref().filter(|known| known.vended.as_ref().is_none_or(|(_, vended)| !vended.is_ending()));
        let etag = fresh.and_then(|known| known.etag.as_deref());
        match (self.server.load(levels, &ident.table, etag).await?, &known) {
            (Table::Missing, _) => {
                self.tables.remove(&key);
                Ok(None)
            }
            (Table::Unchanged, Some(known)) => Ok(Some(known.pointer())),
            (Table::Unchanged, None) => {
                Err(self.server.client.failed("it says \"unchanged\" of a table that it was not asked about before"))
            }
            (Table::Loaded(loaded), known) => {
                let known = Arc::new(self.keep(ident, levels, *loaded, known.as_deref()).await?);
                self.tables.insert(key, Arc::clone(&known));
                Ok(Some(known.pointer()))
            }
        }
    }

    /// Finds or opens the stores of the table's files.
    async fn keep(&self, ident: &TableIdent, levels: &[String], loaded: Loaded, known: Option<&Known>) -> Result<Known, SourceError> {
        let mut properties = self.server.settings().await?.properties.clone();
        properties.extend(loaded.config.clone());
        let sets = vended::sets(&loaded.config, &loaded.credentials);
        let Loaded { etag, location, metadata, .. } = loaded;
        if sets.is_empty() {
            for key in vended::EXPIRY {
                properties.remove(key);
            }
            let storage = self.storage_of(properties)?;
            return Ok(Known { etag, location, metadata, storage, vended: None });
        }
        // The same stores with newer credentials: what is cached of their files stays.
        let places = vended::places(&properties);
        let same_table = known.filter(|known| known.metadata.table_uuid == metadata.table_uuid);
        if let Some(Known { vended: Some((before, vended)), storage, .. }) = same_table
            && *before == places
        {
            vended.replace(sets);
            let (storage, vended) = (Arc::clone(storage), Some((places, Arc::clone(vended))));
            return Ok(Known { etag, location, metadata, storage, vended });
        }
        let vended = Vended::new(Arc::clone(&self.server), ident.clone(), levels.to_vec(), sets, metadata.table_uuid.clone());
        let storage = Storage::with_vended(places.clone(), Arc::clone(&vended) as _)?;
        Ok(Known { etag, location, metadata, storage, vended: Some((places, vended)) })
    }

    /// Tables with the same properties share stores, and so what is cached of their files.
    fn storage_of(&self, properties: StorageProperties) -> Result<Arc<Storage>, SourceError> {
        let mut storages = self.storages.lock();
        if let Some(storage) = storages.get(&properties) {
            return Ok(Arc::clone(storage));
        }
        if storages.len() >= KEPT_STORAGES {
            storages.clear();
        }
        let storage = Storage::new(properties.clone())?;
        storages.insert(properties, Arc::clone(&storage));
        Ok(storage)
    }

    /// The table is not where its name says: perhaps its schema's dots mean something else, and in any case somebody wants to know what there is.
    async fn search(&self, ident: &TableIdent) -> Result<TablePointer, SourceError> {
        let levels = self.levels(&ident.schema);
        if levels.iter().all(|level| is_name(level)) && is_name(&ident.table) && self.server.has_view(&levels, &ident.table).await {
            return Err(SourceError::NotATable { ident: ident.clone(), kind: "a view".to_owned() });
        }
        let namespaces = self.server.namespaces().await?;
        let spelt = namespaces.iter().filter(|found| found.join(".") == ident.schema);
        for other in spelt.clone().filter(|found| **found != levels) {
            if let Some(pointer) = self.load(ident, other).await? {
                let mut spellings = self.spellings.lock();
                if spellings.len() >= KEPT_SPELLINGS {
                    spellings.clear();
                }
                spellings.insert(ident.schema.clone(), other.clone());
                return Ok(pointer);
            }
        }
        if spelt.count() == 0 {
            let known = namespaces.iter().map(|levels| levels.join(".")).collect();
            return Err(SourceError::UnknownSchema { catalog: self.name.clone(), schema: ident.schema.clone(), known });
        }
        let known = self.server.tables(&levels).await?.unwrap_or_default();
        Err(SourceError::UnknownTable { ident: ident.clone(), known })
    }
}

#[async_trait]
impl SourceCatalog for RestCatalog {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "rest"
    }

    fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    fn pointer_lifetime(&self) -> Duration {
        self.lifetime
    }

    async fn pointer(&self, ident: &TableIdent) -> Result<TablePointer, SourceError> {
        match self.load(ident, &self.levels(&ident.schema)).await? {
            Some(pointer) => Ok(pointer),
            None => self.search(ident).await,
        }
    }

    async fn schemas(&self) -> Result<Vec<String>, SourceError> {
        let mut schemas: Vec<String> = self.server.namespaces().await?.iter().map(|levels| levels.join(".")).collect();
        schemas.sort();
        schemas.dedup();
        Ok(schemas)
    }

    async fn tables(&self, schema: &str) -> Result<Vec<String>, SourceError> {
        let levels = self.levels(schema);
        let tables = match levels.iter().all(|level| is_name(level)) {
            true => self.server.tables(&levels).await?.unwrap_or_default(),
            false => Vec::new(),
        };
        if !tables.is_empty() {
            return Ok(tables);
        }
        // Empty, spelt otherwise, or not there: servers differ in what they answer to the last.
        let namespaces = self.server.namespaces().await?;
        match namespaces.iter().find(|found| found.join(".") == schema) {
            Some(found) if *found == levels => Ok(tables),
            Some(found) => Ok(self.server.tables(found).await?.unwrap_or_default()),
            None => {
                let known = namespaces.iter().map(|levels| levels.join(".")).collect();
                Err(SourceError::UnknownSchema { catalog: self.name.clone(), schema: schema.to_owned(), known })
            }
        }
    }
}

#[cfg(test)]
mod tests;
