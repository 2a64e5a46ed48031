//! Catalogs of type `trino`: tables as a running Trino finds them, read from their files.
//!
//! Trino is asked for one thing per table, the metadata file: `SELECT file FROM "t$metadata_log_entries"`. The coordinator
//! answers it alone, in some 30 ms, whichever catalog keeps the table behind it; no worker is busy and no data file opened.
//! Rows come in the log's order and the last one is current. Sorting them would be wrong: by `timestamp`, because a commit may
//! carry an older clock; by name, because Nessie's REST counts nothing. The answer proves itself instead: the current file's
//! own `metadata-log` names all others, so one that it does not name is newer, and is taken.
//!
//! `SELECT "$path" FROM t LIMIT 1` gives the pattern of data files that people know. It costs a split on a worker and fails on
//! some tables, so it is asked where a view is created or refreshed, and never to check that a table exists.
//!
//! Two clients stand behind one trait: `prusto` (no login, or a password over TLS), and `trino-rust-client` where a token is
//! the login. Both buffer a page without a limit; `statement` bounds rows, pages and time. Listings are kept for
//! some seconds, since every misspelt name asks for one.
//!
//! Refused: a password or token without TLS, answers that lead to another host or off TLS, names that Trino would take for
//! something else (`t$files`).

mod listing;
mod names;
mod password_client;
mod statement;
mod token_client;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::listing::Listings;
use self::names::Names;
use self::statement::{StatementError, Statements};
use super::cache::{FileCache, FileError};
use super::{SourceCatalog, SourceError, TableIdent, TablePointer};
use crate::config::CatalogConfig;
use crate::storage::{Storage, StorageError};

/// Metadata files of one table's log at the most; a table keeps 101 unless told otherwise.
const MOST_LOG_ENTRIES: usize = 10_000;

/// How often a newer file than the one at hand may turn up in one log.
const MOST_PROOFS: usize = 4;

/// A `[catalogs.NAME]` of type `trino`.
#[derive(Debug)]
struct TrinoCatalog {
    section: String,
    names: Names,
    statements: Statements,
    listings: Listings,
    pointer_lifetime: Duration,
    storage: Arc<Storage>,
    cache: Arc<FileCache>,
}

/// Asks nothing yet: a Trino that is down is said by the queries that need it. `cache` is where metadata files are kept.
pub fn open(config: &CatalogConfig, storage: Arc<Storage>, cache: Arc<FileCache>) -> Result<Arc<dyn SourceCatalog>, SourceError> {
    let statements = Statements::open(config)?;
    let section = config.name.clone();
    let names = Names { section: section.clone(), catalog: config.catalog.clone() };
    Ok(Arc::new(TrinoCatalog {
        section,
        names,
        statements,
        listings: Listings::default(),
        pointer_lifetime: config.pointer_lifetime,
        storage,
        cache,
    }))
}

impl TrinoCatalog {
    fn failed(&self, reason: impl Into<String>) -> SourceError {
        SourceError::CatalogFailed { catalog: self.section.clone(), reason: reason.into() }
    }

    /// Rows of one text column.
    async fn texts(&self, sql: &str, most: usize) -> Result<Vec<String>, StatementError> {
        let rows = self.statements.rows(sql, most).await?;
        let texts: Option<Vec<String>> =
            rows.into_iter().map(|row| row.into_iter().next().and_then(|value| value.as_str().map(str::to_owned))).collect();
        texts.ok_or_else(|| StatementError::Source(self.failed("Trino answered with something else than text")))
    }

    /// The current one of a table's metadata files: the last, unless a file that it does not know was written after it.
    async fn current(&self, ident: &TableIdent, files: &[String]) -> Result<String, SourceError> {
        let Some(last) = files.last() else {
            return Err(self.failed(format!("Trino names no metadata file of table \"{ident}\"")));
        };
        let mut current = last;
        for _ in 0..MOST_PROOFS {
            let metadata = self.cache.metadata(&self.storage, current).await.map_err(|error| match error {
                FileError::Format(source) => SourceError::format(ident, source),
                FileError::Storage(StorageError::NotFound { url }) => SourceError::SnapshotExpired { ident: ident.clone(), url },
                FileError::Storage(error) => SourceError::Storage(error),
            })?;
            match files.iter().rev().find(|file| *file != current && !metadata.metadata_log.contains(*file)) {
                None => return Ok(current.clone()),
                Some(newer) => current = newer,
            }
        }
        Err(self.failed(format!("Trino's log of the metadata files of table \"{ident}\" contradicts the files")))
    }

    /// What an error about this table means: Trino says "not found" of views and of other connectors' tables too.
    async fn explain(&self, ident: &TableIdent, error: StatementError) -> SourceError {
        let failure = match error {
            StatementError::Source(error) => return error,
            StatementError::Query(failure) => failure,
        };
        match failure.name.as_str() {
            "PERMISSION_DENIED" => SourceError::CatalogForbids { catalog: self.section.clone(), reason: failure.message },
            "CATALOG_NOT_FOUND" => self.no_such_catalog(),
            "SCHEMA_NOT_FOUND" => self.unknown_schema(&ident.schema).await,
            "TABLE_NOT_FOUND" => match self.relations(&ident.schema).await {
                Err(error) => error,
                Ok(relations) => match relations.iter().find(|relation| relation.name == ident.table) {
                    None => SourceError::UnknownTable {
                        ident: ident.clone(),
                        known: relations.iter().filter(|relation| !relation.view).map(|relation| relation.name.clone()).collect(),
                    },
                    Some(relation) if relation.view => SourceError::NotATable { ident: ident.clone(), kind: "a view".to_owned() },
                    Some(_) => SourceError::NotIceberg { ident: Box::new(ident.clone()), connector: self.connector().await },
                },
            },
            _ => self.failed(failure.to_string()),
        }
    }

    fn no_such_catalog(&self) -> SourceError {
        let reason = format!("Trino has no catalog \"{}\" (catalogs.{}.catalog names it)", self.names.catalog, self.section);
        SourceError::BadSetting { catalog: self.section.clone(), reason }
    }

    async fn unknown_schema(&self, schema: &str) -> SourceError {
        match self.schemas().await {
            Ok(known) => SourceError::UnknownSchema { catalog: self.section.clone(), schema: schema.to_owned(), known },
            Err(error) => error,
        }
    }

    /// The connector of Trino's catalog; none where the login may not see it.
    async fn connector(&self) -> Option<String> {
        self.texts(&self.names.connector(), 1).await.ok()?.pop()
    }

    /// Tables and views of a schema, sorted, from the listing of the last seconds.
    async fn relations(&self, schema: &str) -> Result<Arc<Vec<listing::Relation>>, SourceError> {
        let sql = self.names.relations(schema)?;
        let asked = async {
            let rows = self.statements.rows(&sql, listing::MOST_NAMES).await?;
            listing::relations(rows).ok_or_else(|| StatementError::Source(self.failed("Trino's list of tables is not one")))
        };
        match self.listings.relations(schema, asked).await {
            Ok(relations) if relations.is_empty() && !self.schemas().await?.iter().any(|known| known == schema) => {
                Err(self.unknown_schema(schema).await)
            }
            Ok(relations) => Ok(relations),
            Err(StatementError::Query(failure)) if failure.name == "CATALOG_NOT_FOUND" => Err(self.no_such_catalog()),
            Err(StatementError::Query(failure)) => Err(self.failed(failure.to_string())),
            Err(StatementError::Source(error)) => Err(error),
        }
    }
}

#[async_trait]
impl SourceCatalog for TrinoCatalog {
    fn name(&self) -> &str {
        &self.section
    }

    fn kind(&self) -> &'static str {
        "trino"
    }

    fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    fn pointer_lifetime(&self) -> Duration {
        self.pointer_lifetime
    }

    async fn pointer(&self, ident: &TableIdent) -> Result<TablePointer, SourceError> {
        let sql = self.names.metadata_log(ident)?;
        match self.texts(&sql, MOST_LOG_ENTRIES).await {
            Ok(files) => Ok(TablePointer::at(self.current(ident, &files).await?)),
            Err(error) => Err(self.explain(ident, error).await),
        }
    }

    async fn schemas(&self) -> Result<Vec<String>, SourceError> {
        let sql = self.names.schemas();
        match self.listings.schemas(self.texts(&sql, listing::MOST_NAMES)).await {
            Ok(schemas) => Ok(schemas.as_ref().clone()),
            Err(StatementError::Query(failure)) if failure.name == "CATALOG_NOT_FOUND" => Err(self.no_such_catalog()),
            Err(StatementError::Query(failure)) => Err(self.failed(failure.to_string())),
            Err(StatementError::Source(error)) => Err(error),
        }
    }

    async fn tables(&self, schema: &str) -> Result<Vec<String>, SourceError> {
        let relations = self.relations(schema).await?;
        Ok(relations.iter().filter(|relation| !relation.view).map(|relation| relation.name.clone()).collect())
    }

    async fn data_file(&self, ident: &TableIdent) -> Result<Option<String>, SourceError> {
        let sql = self.names.path(ident)?;
        match self.texts(&sql, 1).await {
            Ok(mut paths) => Ok(paths.pop()),
            // The column is not there: the name is a view's, or another connector's table's.
            Err(StatementError::Query(mut failure)) if failure.name == "COLUMN_NOT_FOUND" => {
                "TABLE_NOT_FOUND".clone_into(&mut failure.name);
                Err(self.explain(ident, StatementError::Query(failure)).await)
            }
            Err(error) => Err(self.explain(ident, error).await),
        }
    }
}

#[cfg(test)]
mod tests;
