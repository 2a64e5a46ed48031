//! The questions that a SQL catalog is asked, to SQLite.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::source::{SourceError, TableIdent, TablePointer};

/// How long a writer's lock is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// The most names that one answer holds.
const MOST_NAMES: i64 = 100_000;

/// Where the rows are.
#[derive(Debug)]
pub(super) struct Database {
    /// The `[catalogs.NAME]`, for errors.
    pub section: String,
    /// The file.
    pub file: PathBuf,
    /// `catalog_name` of our rows.
    pub catalog: String,
}

impl Database {
    fn unreachable(&self, error: &rusqlite::Error) -> SourceError {
        let (file, error) = (self.file.display().to_string(), error.to_string());
        // SQLite names the file itself where it could not open it, and only there.
        let reason = if error.contains(&file) { error } else { format!("{file}: {error}") };
        SourceError::CatalogUnreachable { catalog: self.section.clone(), reason }
    }

    fn failed(&self, error: &rusqlite::Error) -> SourceError {
        match error.sqlite_error_code() {
            // These show at the first query, not when the file is opened.
            Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::PermissionDenied) => {
                self.unreachable(error)
            }
            _ => SourceError::CatalogFailed { catalog: self.section.clone(), reason: error.to_string() },
        }
    }

    fn open(&self) -> Result<Connection, SourceError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags).map_err(|error| self.unreachable(&error))?;
        connection.busy_timeout(BUSY).map_err(|error| self.failed(&error))?;
        Ok(connection)
    }

    /// Whether the schema is new enough to tell views from tables.
    fn is_typed(&self, connection: &Connection) -> Result<bool, SourceError> {
        let question = "SELECT 1 FROM pragma_table_info('iceberg_tables') WHERE name = 'iceberg_type'";
        Ok(connection.query_row(question, [], |_| Ok(())).optional().map_err(|error| self.failed(&error))?.is_some())
    }

    fn names(&self, connection: &Connection, question: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<Vec<String>, SourceError> {
        let ask = || {
            let mut statement = connection.prepare(question)?;
            statement.query_map(parameters, |row| row.get(0))?.collect::<Result<Vec<String>, rusqlite::Error>>()
        };
        ask().map_err(|error| self.failed(&error))
    }

    fn schemas_on(&self, connection: &Connection) -> Result<Vec<String>, SourceError> {
        let properties = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'iceberg_namespace_properties'";
        let properties = connection.query_row(properties, [], |_| Ok(())).optional().map_err(|error| self.failed(&error))?;
        let mut question = "SELECT table_namespace AS name FROM iceberg_tables WHERE catalog_name = ?1".to_owned();
        if properties.is_some() {
            question.push_str(" UNION SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?1");
        }
        self.names(connection, &format!("SELECT DISTINCT name FROM ({question}) ORDER BY name LIMIT ?2"), &[&self.catalog, &MOST_NAMES])
    }

    fn tables_on(&self, connection: &Connection, schema: &str) -> Result<Vec<String>, SourceError> {
        let tables_only = if self.is_typed(connection)? { "AND (iceberg_type IS NULL OR upper(iceberg_type) = 'TABLE')" } else { "" };
        let question = format!(
            "SELECT table_name FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 {tables_only} ORDER BY table_name LIMIT ?3"
        );
        self.names(connection, &question, &[&self.catalog, &schema, &MOST_NAMES])
    }

    fn unknown_schema(&self, schema: &str, known: Vec<String>) -> SourceError {
        SourceError::UnknownSchema { catalog: self.section.clone(), schema: schema.to_owned(), known }
    }

    /// Where the table's metadata is now.
    pub(super) fn pointer(&self, ident: &TableIdent) -> Result<TablePointer, SourceError> {
        let connection = self.open()?;
        let kind = if self.is_typed(&connection)? { "upper(iceberg_type)" } else { "NULL" };
        let question = format!(
            "SELECT metadata_location, {kind} FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3"
        );
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?));
        let found = connection
            .query_row(&question, params![self.catalog, ident.schema, ident.table], row)
            .optional()
            .map_err(|error| self.failed(&error))?;
        let other = |kind: &str| match kind {
            "VIEW" => "a view".to_owned(),
            other => format!("of type {other}"),
        };
        match found {
            Some((_, Some(kind))) if kind != "TABLE" => Err(SourceError::NotATable { ident: ident.clone(), kind: other(&kind) }),
            Some((Some(metadata_location), _)) => Ok(TablePointer::at(metadata_location)),
            Some((None, _)) => Err(SourceError::CatalogFailed {
                catalog: self.section.clone(),
                reason: format!("table \"{ident}\" has no metadata location"),
            }),
            None => {
                let schemas = self.schemas_on(&connection)?;
                if !schemas.contains(&ident.schema) {
                    return Err(self.unknown_schema(&ident.schema, schemas));
                }
                let known = self.tables_on(&connection, &ident.schema)?;
                Err(SourceError::UnknownTable { ident: ident.clone(), known })
            }
        }
    }

    /// All namespaces, sorted.
    pub(super) fn schemas(&self) -> Result<Vec<String>, SourceError> {
        self.schemas_on(&self.open()?)
    }

    /// All tables of a namespace, sorted.
    pub(super) fn tables(&self, schema: &str) -> Result<Vec<String>, SourceError> {
        let connection = self.open()?;
        let tables = self.tables_on(&connection, schema)?;
        if tables.is_empty() {
            let schemas = self.schemas_on(&connection)?;
            if !schemas.iter().any(|known| known == schema) {
                return Err(self.unknown_schema(schema, schemas));
            }
        }
        Ok(tables)
    }
}
