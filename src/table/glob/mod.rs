//! `scan = 'glob'`: every Parquet file that a pattern matches, as if they were a table.
//!
//! This is how the deployment that featgres replaces reads: without deletes, without snapshots, columns by name. It exists for
//! Trinos that are too old to tell where a table's metadata is, for tables that are not Iceberg, and for plain
//! folders of Parquet; whoever wants it says so for each view. The pattern is listed once per statement and the footers of all
//! matching files are read (kept across statements while a file's version stays), because they hold what manifests hold
//! elsewhere: columns, rows, bounds. From there on it is a [`TableSnapshot`] like any other: pruned, scanned and
//! fetched from by the same code.
//!
//! Columns are those of all files together, by name; where two files differ in a column's type, the wider one, and where neither is, an
//! error that names both. A file without a column has NULLs in it. No file is skipped: one that cannot be read is an error.

mod bounds;
mod columns;
mod pattern;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use parquet::file::metadata::ParquetMetaData;

use self::columns::Columns;
use self::pattern::Pattern;
use super::error::TableError;
use super::footer_cache::FooterCache;
use super::reader_factory::StorageReaderFactory;
use crate::source::iceberg::{DataFile, TableMetadata};
use crate::source::{TableIdent, TableSnapshot};
use crate::storage::{ListedObject, Storage};

/// Objects that one listing looks at.
const MOST_OBJECTS: usize = 1_000_000;
/// Files that one pattern may match.
const MOST_FILES: usize = 100_000;
/// Footers that are read at a time.
const CONCURRENT_FOOTERS: usize = 16;

/// The files that match now, pinned for a statement.
pub async fn glob_snapshot(storage: &Arc<Storage>, ident: &TableIdent, pattern: &str) -> Result<Arc<TableSnapshot>, TableError> {
    let glob = Pattern::new(pattern);
    let listed = storage.list_at_most(glob.folder(), MOST_OBJECTS).await?;
    let all = listed.len();
    let files: Vec<ListedObject> = listed.into_iter().filter(|object| glob.matches(&object.url)).collect();
    if files.is_empty() {
        return Err(TableError::NoFileMatches { pattern: pattern.to_owned(), others: all });
    }
    if files.len() > MOST_FILES {
        return Err(TableError::TooManyFiles { table: pattern.to_owned(), files: files.len(), limit: MOST_FILES });
    }
    let readers = StorageReaderFactory::new(Arc::clone(storage), FooterCache::process(), None, false);
    let mut columns = Columns::new(pattern);
    let mut data = Vec::with_capacity(files.len());
    let mut footers = stream::iter(files)
        .map(|object| {
            let readers = &readers;
            async move {
                let footer = footer(readers, &object).await?;
                Ok::<_, TableError>((object, footer))
            }
        })
        .buffered(CONCURRENT_FOOTERS);
    while let Some((object, footer)) = footers.try_next().await? {
        let known = columns.add(&object.url, &footer)?;
        let statistics = bounds::statistics(&footer, &known);
        let size = i64::try_from(object.size).unwrap_or(i64::MAX);
        data.push(DataFile::listed(object.url, footer.file_metadata().num_rows(), size, statistics));
    }
    let damaged = |reason: String| TableError::DamagedMetadata { table: pattern.to_owned(), reason };
    let metadata = TableMetadata::parse(columns.metadata().to_string().as_bytes(), pattern).map_err(|error| damaged(error.to_string()))?;
    let snapshot = TableSnapshot::of_listed_files(ident.clone(), pattern, metadata, data, Arc::clone(storage));
    snapshot.map(Arc::new).ok_or_else(|| damaged("its files have no columns".to_owned()))
}

/// The file's footer; one that is kept is of this version of the file.
async fn footer(readers: &StorageReaderFactory, object: &ListedObject) -> Result<Arc<ParquetMetaData>, TableError> {
    let mut reader = readers
        .open(object.url.as_str().into())
        .map_err(|error| TableError::DamagedFile { url: object.url.clone(), reason: error.to_string() })?;
    reader.footer_of(&object.version).await
}

#[cfg(test)]
mod tests;
