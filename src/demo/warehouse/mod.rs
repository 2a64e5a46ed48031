//! A small Iceberg writer: format 2, a SQL catalog in SQLite, Parquet on local disk.
//!
//! The gateway itself never writes tables; `featgres demo` and the tests need some. What is written here is what
//! pyiceberg would write (the same catalog schema, field ids in Parquet and Avro, counts and bounds in manifests), and both
//! pyiceberg and DuckDB read it. It shares no code with the reader in `source`, so a mistake in one is not mirrored in the other.
//!
//! It refuses what it does not need: nested columns, schema changes, transforms other than identity and month, concurrent writers
//! (a commit is an UPDATE that checks the location it replaces, and fails if that moved). A commit costs one Parquet file per partition
//! value, one manifest, one manifest list, one metadata file; all files are written before the catalog is told.

mod avro;
mod bounds;
mod data_file;
mod error;
mod manifest;
mod metadata;
mod partition;
mod schema;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::Clock;

pub use error::WarehouseError;
pub use partition::{PartitionField, Transform};
pub use table::WarehouseTable;

/// The catalog's two tables, as pyiceberg creates them.
const CATALOG_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000) NOT NULL,
    PRIMARY KEY (catalog_name, namespace, property_key)
);";

/// A SQL catalog and the folder of its tables.
#[derive(Debug)]
pub struct Warehouse {
    catalog: String,
    sqlite: PathBuf,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

impl Warehouse {
    /// Opens the catalog `catalog` in the file `sqlite`, with tables under `folder`; creates both where they are missing.
    pub fn open(catalog: &str, sqlite: &Path, folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, WarehouseError> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(|source| WarehouseError::io(path, source));
        let warehouse = Self { catalog: catalog.to_owned(), sqlite: absolute(sqlite)?, folder: absolute(folder)?, clock };
        std::fs::create_dir_all(&warehouse.folder).map_err(|source| WarehouseError::io(&warehouse.folder, source))?;
        if let Some(parent) = warehouse.sqlite.parent() {
            std::fs::create_dir_all(parent).map_err(|source| WarehouseError::io(parent, source))?;
        }
        warehouse.connect()?.execute_batch(CATALOG_SCHEMA)?;
        Ok(warehouse)
    }

    /// Creates a namespace, if it is missing.
    pub fn create_namespace(&self, namespace: &str) -> Result<(), WarehouseError> {
        self.connect()?.execute(
            "INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?1, ?2, 'exists', 'true')",
            params![self.catalog, namespace],
        )?;
        Ok(())
    }

    /// Creates an empty table: metadata without a snapshot. `schema` gives names, types and nullability; field ids are 1, 2, ….
    pub fn create_table(
        &self,
        namespace: &str,
        name: &str,
        schema: &Schema,
        partition: &[PartitionField],
    ) -> Result<WarehouseTable, WarehouseError> {
        self.create_namespace(namespace)?;
        let folder = self.folder.join(namespace).join(name);
        let table = WarehouseTable::create(folder, namespace, name, schema, partition, self.clock.now_micros() / 1000)?;
        self.connect()?.execute(
            "INSERT INTO iceberg_tables VALUES (?1, ?2, ?3, ?4, NULL, 'TABLE')",
            params![self.catalog, namespace, name, table.metadata_location()],
        )?;
        Ok(table)
    }

    /// A table as it is now, written by this module.
    pub fn load_table(&self, namespace: &str, name: &str) -> Result<WarehouseTable, WarehouseError> {
        let location: Option<String> = self
            .connect()?
            .query_row(
                "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3",
                params![self.catalog, namespace, name],
                |row| row.get(0),
            )
            .optional()?;
        let location = location.ok_or_else(|| WarehouseError::UnknownTable { name: format!("{namespace}.{name}") })?;
        WarehouseTable::load(&location, namespace, name)
    }

    /// Forgets a table; its files stay.
    pub fn drop_table(&self, namespace: &str, name: &str) -> Result<(), WarehouseError> {
        self.connect()?.execute(
            "DELETE FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3",
            params![self.catalog, namespace, name],
        )?;
        Ok(())
    }

    /// Appends rows as one commit; gives the new snapshot's id. The batch has the table's columns, in their order.
    pub fn append(&self, table: &mut WarehouseTable, rows: &arrow::record_batch::RecordBatch) -> Result<i64, WarehouseError> {
        let before = table.metadata_location().to_owned();
        let snapshot = table.append(rows, self.clock.now_micros() / 1000)?;
        self.commit(table, &before)?;
        Ok(snapshot)
    }

    /// Deletes rows by position as one commit: `(data file's location, row number in it)`.
    pub fn delete_positions(&self, table: &mut WarehouseTable, positions: &[(String, i64)]) -> Result<i64, WarehouseError> {
        let before = table.metadata_location().to_owned();
        let snapshot = table.delete_positions(positions, self.clock.now_micros() / 1000)?;
        self.commit(table, &before)?;
        Ok(snapshot)
    }

    /// Puts a tag on the table's current snapshot, or moves it there; the table must have one.
    pub fn tag(&self, table: &mut WarehouseTable, name: &str) -> Result<(), WarehouseError> {
        let before = table.metadata_location().to_owned();
        table.tag(name)?;
        self.commit(table, &before)
    }

    /// Tells the catalog of new metadata, unless someone else did.
    fn commit(&self, table: &WarehouseTable, before: &str) -> Result<(), WarehouseError> {
        let (namespace, name) = table.name();
        let changed = self.connect()?.execute(
            "UPDATE iceberg_tables SET metadata_location = ?1, previous_metadata_location = ?2
             WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5 AND metadata_location = ?2",
            params![table.metadata_location(), before, self.catalog, namespace, name],
        )?;
        if changed == 1 { Ok(()) } else { Err(WarehouseError::CommitConflict { name: format!("{namespace}.{name}") }) }
    }

    fn connect(&self) -> Result<Connection, WarehouseError> {
        let connection = Connection::open(&self.sqlite)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests;
