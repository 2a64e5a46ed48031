//! Rows deleted by position: position delete files and deletion vectors become one bitmap per data file, and a bitmap
//! becomes the selection of rows that the Parquet reader skips by.
//!
//! Positions past the end of a file delete nothing; the footer says where the end is. A NULL or negative position, a missing
//! column or an unreadable page fails the query.

use arrow::array::{Array, AsArray, cast::as_string_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use hashbrown::HashMap;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use roaring::RoaringTreemap;

use super::error::TableError;
use super::parquet_rows;
use super::reader_factory::StorageReaderFactory;
use crate::error::Report;
use crate::source::TableSnapshot;
use crate::source::iceberg::DeleteFile;

/// Reserved field ids of a position delete file.
const FILE_PATH: (i32, &str) = (2_147_483_546, "file_path");
const POSITION: (i32, &str) = (2_147_483_545, "pos");

/// The positions that a delete file deletes, for each of the wanted data files, which the caller has numbered.
pub async fn read(
    factory: &StorageReaderFactory,
    snapshot: &TableSnapshot,
    delete: &DeleteFile,
    wanted: &HashMap<String, Vec<usize>>,
) -> Result<Vec<(Vec<usize>, RoaringTreemap)>, Report> {
    let url = delete.path.as_str();
    let rows = parquet_rows::open(factory, snapshot, delete).await?;
    let damaged = |reason: &str| Report::from(TableError::DamagedDeleteFile { url: url.to_owned(), reason: reason.to_owned() });
    let path = rows.column(FILE_PATH.0, FILE_PATH.1).ok_or_else(|| damaged("it has no column \"file_path\""))?;
    let position = rows.column(POSITION.0, POSITION.1).ok_or_else(|| damaged("it has no column \"pos\""))?;
    let (path_at, position_at) = if path < position { (0, 1) } else { (1, 0) };
    let mut batches = rows.read(&[path, position])?;
    let mut deleted: Vec<(Vec<usize>, RoaringTreemap)> = Vec::new();
    let mut slots: HashMap<&str, usize> = HashMap::new();
    for (path, files) in wanted {
        slots.insert(path, deleted.len());
        deleted.push((files.clone(), RoaringTreemap::new()));
    }
    while let Some(batch) = batches.try_next().await? {
        let paths = cast(batch.column(path_at), &DataType::Utf8).map_err(|error| damaged(&error.to_string()))?;
        let positions = cast(batch.column(position_at), &DataType::Int64).map_err(|error| damaged(&error.to_string()))?;
        if paths.null_count() > 0 {
            return Err(damaged("a file path is NULL"));
        }
        if positions.null_count() > 0 {
            return Err(damaged("a position is NULL"));
        }
        let paths = as_string_array(&paths);
        let positions = positions.as_primitive::<Int64Type>();
        // Rows of one file stand together: most rows need no lookup.
        let mut last: Option<(&str, Option<usize>)> = None;
        for (row, position) in positions.values().iter().enumerate() {
            let position = u64::try_from(*position).map_err(|_| damaged("a position is negative"))?;
            let path = paths.value(row);
            let file = match last {
                Some((known, file)) if known == path => file,
                _ => slots.get(path).copied(),
            };
            last = Some((path, file));
            if let Some(file) = file {
                deleted[file].1.insert(position);
            }
        }
    }
    Ok(deleted)
}

/// Selects the rows of a file that are not deleted.
pub fn live_rows(deleted: &RoaringTreemap, rows: u64) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0u64;
    let mut push = |from: u64, to: u64, skip: bool| {
        if to > from {
            // A row count that does not fit a machine word cannot be in a file.
            let count = usize::try_from(to - from).unwrap_or(usize::MAX);
            selectors.push(if skip { RowSelector::skip(count) } else { RowSelector::select(count) });
        }
    };
    let mut run: Option<(u64, u64)> = None;
    for position in deleted.iter().take_while(|position| *position < rows) {
        run = Some(match run {
            Some((from, to)) if to == position => (from, position + 1),
            Some((from, to)) => {
                push(at, from, false);
                push(from, to, true);
                at = to;
                (position, position + 1)
            }
            None => (position, position + 1),
        });
    }
    if let Some((from, to)) = run {
        push(at, from, false);
        push(from, to, true);
        at = to;
    }
    push(at, rows, false);
    RowSelection::from(selectors)
}

/// Rows of the file itself that a bitmap deletes.
pub fn deleted_rows(deleted: &RoaringTreemap, rows: u64) -> u64 {
    deleted.range_cardinality(..rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(deleted: &[u64], rows: u64) -> Vec<(usize, bool)> {
        let deleted: RoaringTreemap = deleted.iter().copied().collect();
        let selectors: Vec<RowSelector> = live_rows(&deleted, rows).into();
        selectors.into_iter().map(|selector| (selector.row_count, selector.skip)).collect()
    }

    #[test]
    fn selections_cover_exactly_the_rows_of_the_file() {
        assert_eq!(live(&[], 3), [(3, false)]);
        assert_eq!(live(&[0, 1, 4], 6), [(2, true), (2, false), (1, true), (1, false)]);
        assert_eq!(live(&[0, 1, 2], 3), [(3, true)]);
    }

    #[test]
    fn positions_past_the_end_delete_nothing() {
        assert_eq!(live(&[2, 3, 1 << 40], 3), [(2, false), (1, true)]);
        assert_eq!(deleted_rows(&[2, 3, 1 << 40].into_iter().collect(), 3), 1);
        assert_eq!(live(&[5], 0), []);
    }
}
