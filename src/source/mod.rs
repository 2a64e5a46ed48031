//! Where rows live: a catalog finds a table's current metadata, and the Iceberg format says what it holds.
//!
//! `sql`, `trino`, `nessie` and `rest` implement [`SourceCatalog`]; [`Sources`] is what the rest of the
//! gateway asks. Nothing here knows the engine: results are the specification's nouns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::storage::Storage;

mod cache;
mod commit;
mod current_types;
mod error;
mod http;
pub mod iceberg;
pub mod nessie;
mod oauth2;
mod pointers;
mod reference;
pub mod rest;
mod snapshot;
pub mod sql;
mod summary;
pub mod trino;

pub use cache::{CacheCounts, DEFAULT_CACHE_BYTES, FileCache};
pub use commit::{Commit, CommitKind, Commits, CommittedTables};
pub use error::SourceError;
pub use snapshot::{ScanFiles, TableSnapshot};
pub use summary::pattern_around;

/// A source table's name: always three parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct TableIdent {
    /// The `[catalogs.NAME]` section.
    pub catalog: String,
    /// The namespace; several levels are joined by dots.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl std::fmt::Display for TableIdent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.schema, self.table)
    }
}

/// Which snapshot of a table is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum SnapshotRef {
    /// The current one of main.
    Current,
    /// This snapshot.
    Snapshot(i64),
    /// The head of this branch, read with the table's current schema.
    Branch(String),
    /// The snapshot of this tag, read with that snapshot's schema.
    Tag(String),
    /// A tag or branch of this name.
    TagOrBranch(String),
    /// The one that was current at this instant, microseconds since 1970 UTC.
    Timestamp(i64),
    /// A tag or branch of this name; where there is none, the one that was current at this instant.
    ReferenceOrTimestamp {
        /// The tag or branch.
        name: String,
        /// Microseconds since 1970 UTC.
        micros: i64,
    },
    /// What an earlier read was made of.
    Recorded {
        /// The snapshot; none is a table that had never been written.
        snapshot_id: Option<i64>,
        /// The schema that it was read with; none = the snapshot's own.
        schema_id: Option<i32>,
        /// The catalog's commit that it was found by, where the catalog has commits (Nessie).
        commit: Option<String>,
    },
}

/// What a catalog says of a table: where its metadata is now.
#[derive(Debug, Clone, Default)]
pub struct TablePointer {
    /// URL of the metadata.json.
    pub metadata_location: String,
    /// The snapshot that the catalog names, if it names one (Nessie does).
    pub snapshot_id: Option<i64>,
    /// The schema that the catalog names beside it.
    pub schema_id: Option<i32>,
    /// Nessie's commit, if it is a Nessie catalog.
    pub nessie_hash: Option<String>,
    /// The metadata itself, where the catalog sent it along (REST). It is right about the current snapshot; the file may know more history.
    pub metadata: Option<Arc<iceberg::TableMetadata>>,
    /// The stores of this table's files, where the catalog handed out credentials for them (REST).
    pub storage: Option<Arc<Storage>>,
}

impl TablePointer {
    /// A pointer to this metadata.json, and nothing else.
    pub fn at(metadata_location: impl Into<String>) -> Self {
        Self { metadata_location: metadata_location.into(), ..Self::default() }
    }
}

/// One `[catalogs.NAME]`.
#[async_trait]
pub trait SourceCatalog: std::fmt::Debug + Send + Sync {
    /// The section's name.
    fn name(&self) -> &str;
    /// `sql`, `trino`, `nessie` or `rest`.
    fn kind(&self) -> &'static str;
    /// The stores that its tables' files are in.
    fn storage(&self) -> &Arc<Storage>;
    /// How long a pointer may be reused: `pointer_lifetime` of the configuration; zero = asked for every statement.
    fn pointer_lifetime(&self) -> Duration {
        Duration::ZERO
    }
    /// Asks for the table's current metadata, always: what may be reused is the caller's to know. [`SourceError::UnknownSchema`] and [`SourceError::UnknownTable`] name what there is instead.
    async fn pointer(&self, ident: &TableIdent) -> Result<TablePointer, SourceError>;
    /// All namespaces, sorted.
    async fn schemas(&self) -> Result<Vec<String>, SourceError>;
    /// All tables of a namespace, sorted.
    async fn tables(&self, schema: &str) -> Result<Vec<String>, SourceError>;
    /// Its commits, where one is a state of all its tables (Nessie); [`Self::pointer`] is not asked then, and whoever wraps a catalog passes this on.
    fn commits(&self) -> Option<&dyn CommittedTables> {
        None
    }
    /// Some data file of the table, where the catalog itself tells: for people to see where a table is. May be slow.
    async fn data_file(&self, _ident: &TableIdent) -> Result<Option<String>, SourceError> {
        Ok(None)
    }
}

/// All catalogs of the gateway, by name.
#[derive(Debug, Default)]
pub struct Sources {
    catalogs: BTreeMap<String, Arc<dyn SourceCatalog>>,
    cache: Arc<FileCache>,
    pointers: pointers::Pointers,
}

impl Sources {
    /// These catalogs.
    pub fn new(catalogs: impl IntoIterator<Item = Arc<dyn SourceCatalog>>) -> Self {
        Self::with_cache(catalogs, Arc::default())
    }

    /// These catalogs, over a cache of the caller's making.
    pub fn with_cache(catalogs: impl IntoIterator<Item = Arc<dyn SourceCatalog>>, cache: Arc<FileCache>) -> Self {
        let catalogs = catalogs.into_iter().map(|catalog| (catalog.name().to_owned(), catalog)).collect();
        Self { catalogs, cache, pointers: pointers::Pointers::default() }
    }

    /// How often parsed metadata, manifest lists and manifests were found in memory.
    pub fn cache_counts(&self) -> CacheCounts {
        self.cache.counts()
    }

    /// Their names, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.catalogs.keys().map(String::as_str).collect()
    }

    /// The catalog of this name, or [`SourceError::UnknownCatalog`].
    pub fn catalog(&self, name: &str) -> Result<&Arc<dyn SourceCatalog>, SourceError> {
        self.catalogs
            .get(name)
            .ok_or_else(|| SourceError::UnknownCatalog { name: name.to_owned(), known: self.catalogs.keys().cloned().collect() })
    }
}

#[cfg(test)]
mod fixtures_tests;
#[cfg(test)]
mod one_table_tests;
