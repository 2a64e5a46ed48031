//! The Iceberg SQL (JDBC) catalog: a table `iceberg_tables` with a pointer for each table.
//!
//! The schema is the one that pyiceberg and the JDBC catalogs of Java and Trino share, so all of them can write what
//! we read; `iceberg_type` is missing in their older version, and rows of views are not tables. The catalog is asked
//! for each statement: a commit by another process is seen at once.
//!
//! In SQLite every question opens the file read-only (tens of microseconds), off the async threads, so that a file that was
//! replaced is the file that is read, and a writer is never blocked by an idle reader. PostgreSQL is asked over a few
//! connections that are kept (`postgres`).

mod postgres;
mod postgres_uri;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::{SourceCatalog, SourceError, TableIdent, TablePointer};
use crate::config::CatalogConfig;
use crate::storage::Storage;

/// A `[catalogs.NAME]` of type `sql`.
#[derive(Debug)]
struct SqlCatalog {
    name: String,
    database: Database,
    storage: Arc<Storage>,
}

#[derive(Debug)]
enum Database {
    Sqlite(Arc<sqlite::Database>),
    Postgres(Arc<postgres::Database>),
}

/// Opens nothing yet: SQLite or PostgreSQL, by the scheme of `uri`.
pub fn open_configured(config: &CatalogConfig, storage: Arc<Storage>) -> Result<Arc<dyn SourceCatalog>, SourceError> {
    if !config.uri.starts_with("postgres") {
        return open(&config.name, &config.uri, &config.catalog, storage);
    }
    let target = postgres_uri::Target::parse(&config.uri, config.login("user"), config.login("password"), config.login("ssl.cabundle"))
        .map_err(|reason| SourceError::BadSetting { catalog: config.name.clone(), reason })?;
    let database = postgres::Database::new(&config.name, &config.catalog, target, config.timeout)?;
    Ok(Arc::new(SqlCatalog { name: config.name.clone(), database: Database::Postgres(database), storage }))
}

/// One in SQLite. `uri` is `sqlite:////absolute/path` or `sqlite:///relative/path`; `catalog` is the `catalog_name` of its rows.
pub fn open(name: &str, uri: &str, catalog: &str, storage: Arc<Storage>) -> Result<Arc<dyn SourceCatalog>, SourceError> {
    let file = sqlite_file(uri).map_err(|reason| SourceError::BadSetting { catalog: name.to_owned(), reason })?;
    let database = Arc::new(sqlite::Database { section: name.to_owned(), file, catalog: catalog.to_owned() });
    Ok(Arc::new(SqlCatalog { name: name.to_owned(), database: Database::Sqlite(database), storage }))
}

/// SQLAlchemy's form: three slashes and a relative path, or a fourth one for an absolute path.
fn sqlite_file(uri: &str) -> Result<PathBuf, String> {
    let Some(rest) = uri.strip_prefix("sqlite:") else {
        let scheme = uri.split(':').next().unwrap_or_default();
        return Err(format!("uri: \"{scheme}:\" is neither sqlite: nor postgresql:"));
    };
    let path = rest.strip_prefix("///").ok_or("uri: sqlite:// must be followed by a slash and a path")?;
    if path.is_empty() || path == ":memory:" {
        return Err("uri: a database in memory has no tables of anybody".to_owned());
    }
    if path.contains('?') {
        return Err("uri: parameters after the path are not supported".to_owned());
    }
    Ok(PathBuf::from(path))
}

/// Asks SQLite off the async threads.
async fn ask<T: Send + 'static>(
    database: &Arc<sqlite::Database>,
    question: impl FnOnce(&sqlite::Database) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let (asked, section) = (Arc::clone(database), database.section.clone());
    tokio::task::spawn_blocking(move || question(&asked))
        .await
        .unwrap_or_else(|_| Err(SourceError::CatalogFailed { catalog: section, reason: "the query did not finish".to_owned() }))
}

#[async_trait]
impl SourceCatalog for SqlCatalog {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "sql"
    }

    fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    async fn pointer(&self, ident: &TableIdent) -> Result<TablePointer, SourceError> {
        match &self.database {
            Database::Sqlite(database) => {
                let ident = ident.clone();
                ask(database, move |database| database.pointer(&ident)).await
            }
            Database::Postgres(database) => database.pointer(ident).await,
        }
    }

    async fn schemas(&self) -> Result<Vec<String>, SourceError> {
        match &self.database {
            Database::Sqlite(database) => ask(database, sqlite::Database::schemas).await,
            Database::Postgres(database) => database.schemas().await,
        }
    }

    async fn tables(&self, schema: &str) -> Result<Vec<String>, SourceError> {
        match &self.database {
            Database::Sqlite(database) => {
                let schema = schema.to_owned();
                ask(database, move |database| database.tables(&schema)).await
            }
            Database::Postgres(database) => database.tables(schema).await,
        }
    }
}

#[cfg(test)]
mod postgres_tests;
#[cfg(test)]
mod tests;
