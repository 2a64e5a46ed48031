//! What the planner is told of a scan: rows, bytes and ranges from the manifests.
//!
//! The row count is exact only where nothing but positions were deleted and no filter is pushed into the scan; then
//! `count(*)` needs no data file. Bounds are never exact: text is cut, and rows may be deleted.

use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

use super::bounds::{Bounds, of_file};
use super::pinned::PinnedTable;
use super::scan::{Group, ScanColumn};

/// Files times columns beyond which ranges are not worked out.
const MAX_BOUNDS: usize = 100_000;

/// Of a scan of these groups that gives these columns.
pub fn statistics(pinned: &PinnedTable, groups: &[Group], columns: &[ScanColumn], schema: &SchemaRef, filtered: bool) -> Statistics {
    let files = || groups.iter().flat_map(|group| &group.files);
    let count = files().count();
    let mut rows = 0u64;
    let mut bytes = 0u64;
    let mut exact = !filtered && groups.iter().all(|group| !group.equality);
    for file in files() {
        let data = &file.listed.data;
        bytes = bytes.saturating_add(u64::try_from(data.file_size).unwrap_or(0));
        let live = match (&file.deleted, u64::try_from(data.record_count)) {
            (Some(deleted), _) => deleted.rows - super::position_deletes::deleted_rows(&deleted.positions, deleted.rows).min(deleted.rows),
            (None, Ok(rows)) => rows,
            (None, Err(_)) => {
                exact = false;
                0
            }
        };
        rows = rows.saturating_add(live);
    }
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = if exact { Precision::Exact(size(rows)) } else { Precision::Inexact(size(rows)) };
    statistics.total_byte_size = Precision::Inexact(size(bytes));
    if count == 0 || count.saturating_mul(columns.len()) > MAX_BOUNDS {
        return statistics;
    }
    for (column, known) in columns.iter().zip(&mut statistics.column_statistics) {
        if let ScanColumn::Table(at) = column {
            *known = column_statistics(pinned, groups, *at);
        }
    }
    statistics
}

fn column_statistics(pinned: &PinnedTable, groups: &[Group], at: usize) -> ColumnStatistics {
    let unknown = ColumnStatistics::new_unknown();
    let Some(field) = pinned.snapshot.schema.fields().get(at) else { return unknown };
    let Some(of) = field.field_type.as_primitive() else { return unknown };
    let mut files = groups.iter().flat_map(|group| &group.files).map(|file| {
        let data = &file.listed.data;
        let spec = pinned.snapshot.metadata.partition_spec(data.spec_id).map(AsRef::as_ref);
        of_file(data, spec, field.id, of)
    });
    let Some(first) = files.next() else { return unknown };
    let all = files.fold(first, |all, file| Bounds {
        min: outer(all.min, file.min, std::cmp::Ordering::Less),
        max: outer(all.max, file.max, std::cmp::Ordering::Greater),
        nulls: all.nulls.zip(file.nulls).map(|(a, b)| a.saturating_add(b)),
    });
    ColumnStatistics {
        min_value: all.min.map_or(Precision::Absent, Precision::Inexact),
        max_value: all.max.map_or(Precision::Absent, Precision::Inexact),
        null_count: all.nulls.and_then(|nulls| usize::try_from(nulls).ok()).map_or(Precision::Absent, Precision::Inexact),
        ..unknown
    }
}

fn outer(a: Option<ScalarValue>, b: Option<ScalarValue>, wanted: std::cmp::Ordering) -> Option<ScalarValue> {
    let (a, b) = (a?, b?);
    Some(if a.partial_cmp(&b)? == wanted { a } else { b })
}
