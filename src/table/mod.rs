//! A pinned table snapshot as a relation of the engine, and as feature rows for the join.
//!
//! [`SnapshotTable`] is a `TableProvider`, [`SnapshotFeatureRows`] the join's `FeatureRows`; both read through the engine's
//! Parquet scan. In the order in which a scan meets them: `provider` and `feature_rows` (the two faces), `pinned`, `listing` (which
//! files; `pruning`, `bounds`; `newest_first`), `deletes` (`position_deletes`, `equality_deletes`, `parquet_rows`), `scan` (files to scans),
//! `schema` and `scalar` (types and values), `schema_evolution` (`field_ids`, `reshape`, `struct_leaves`, `column_words`), `reader_factory` (`footer_cache`),
//! `scan_exec` and `equality_delete_exec` (the operators), `statistics`. `glob` makes a snapshot of a folder of files, for those who ask for it.
//!
//! Refused by name: data and delete files that are not Parquet, encryption, files without field ids in a table without a name
//! mapping, columns of types that are not known. Nothing is skipped silently: any problem with a delete file fails the query.

mod bounds;
mod column_words;
mod deletes;
mod engine_store;
mod equality_delete_exec;
mod equality_deletes;
mod error;
mod feature_rows;
mod field_ids;
mod footer_cache;
mod glob;
mod listing;
mod newest_first;
mod parquet_rows;
mod pinned;
mod position_deletes;
mod provider;
mod pruning;
mod reader_factory;
mod reshape;
mod scalar;
mod scan;
mod scan_exec;
mod schema;
mod schema_evolution;
mod statistics;
mod struct_leaves;

pub use engine_store::register_engine_store;
pub use error::TableError;
pub use feature_rows::SnapshotFeatureRows;
pub use footer_cache::FooterCache;
pub use glob::glob_snapshot;
pub use provider::{FILE_COLUMN, LAST_UPDATED_COLUMN, METADATA_COLUMNS, POSITION_COLUMN, ROW_ID_COLUMN, SnapshotTable, TableOptions};
pub use scan_exec::SnapshotScanExec;
pub use schema::{UNSUPPORTED_TYPE, arrow_field};

#[cfg(test)]
mod fixture_tests;
