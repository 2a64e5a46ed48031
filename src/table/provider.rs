//! [`SnapshotTable`]: a pinned snapshot as a `TableProvider`.
//!
//! Nothing is read before `scan()`; there, manifests are pruned and read, then the deletes of the files that are left, all under the
//! caller's future. Filters are inexact: the engine keeps them, prunes row groups and pages by them, and evaluates them
//! inside the Parquet scan where `pushdown_filters` is on.
//!
//! Metadata columns (`_file`, `_pos`, `_last_updated_sequence_number`, `_row_id`) stand after the table's own columns if asked for.
//! Planning asks for them only where a statement names one of them, so that `*` does not see them elsewhere:
//! [`METADATA_COLUMNS`] lists the names.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use parquet::arrow::RowNumber;

use super::deletes;
use super::error::{TableError, external};
use super::listing;
use super::pinned::PinnedTable;
use super::pruning::Pruner;
use super::scan::{ScanColumn, ScanOptions, group, scan_group};
use super::scan_exec::{ScanSummary, SnapshotScanExec};
use super::statistics::statistics;
use crate::source::TableSnapshot;

/// The file that a row is in.
pub const FILE_COLUMN: &str = "_file";
/// The row's number in its file, deleted rows counted.
pub const POSITION_COLUMN: &str = "_pos";
/// The sequence number of the commit that last changed the row: row lineage where the file has it, else the file's own.
pub const LAST_UPDATED_COLUMN: &str = "_last_updated_sequence_number";
/// The row's number in the table, for life: row lineage (format 3); NULL where the table has none.
pub const ROW_ID_COLUMN: &str = "_row_id";
/// The metadata columns, in the order in which they stand after the table's own.
pub const METADATA_COLUMNS: [&str; 4] = [FILE_COLUMN, POSITION_COLUMN, LAST_UPDATED_COLUMN, ROW_ID_COLUMN];

/// How a snapshot is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableOptions {
    /// Whether the schema ends with [`METADATA_COLUMNS`].
    pub metadata_columns: bool,
}

/// A pinned snapshot as a relation.
#[derive(Debug, Clone)]
pub struct SnapshotTable {
    pinned: Arc<PinnedTable>,
    schema: SchemaRef,
    columns: Vec<ScanColumn>,
}

impl SnapshotTable {
    /// Of this snapshot; reads nothing.
    pub fn new(snapshot: Arc<TableSnapshot>, options: TableOptions) -> Result<Self, TableError> {
        let pinned = PinnedTable::new(snapshot)?;
        let mut columns: Vec<_> = (0..pinned.arrow.fields().len()).map(ScanColumn::Table).collect();
        let mut fields: Vec<_> = pinned.shown.fields().iter().cloned().collect();
        if options.metadata_columns {
            let more = [
                (ScanColumn::File, Field::new(FILE_COLUMN, DataType::Utf8, true)),
                // Marked as the Parquet reader marks it: the engine compares both schemas.
                (ScanColumn::Position, Field::new(POSITION_COLUMN, DataType::Int64, true).with_extension_type(RowNumber)),
                (ScanColumn::LastUpdated, Field::new(LAST_UPDATED_COLUMN, DataType::Int64, true)),
                (ScanColumn::RowId, Field::new(ROW_ID_COLUMN, DataType::Int64, true)),
            ];
            // A column of the table itself that has such a name is what the name means.
            let more = more.into_iter().filter(|(_, field)| pinned.arrow.index_of(field.name()).is_err());
            for (column, field) in more {
                columns.push(column);
                fields.push(Arc::new(field));
            }
        }
        Ok(Self { pinned: Arc::new(pinned), schema: Arc::new(Schema::new(fields)), columns })
    }

    /// The snapshot that is read.
    pub fn snapshot(&self) -> &Arc<TableSnapshot> {
        &self.pinned.snapshot
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let indices = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(indices)?);
        let columns: Vec<(ScanColumn, String)> =
            indices.iter().map(|index| (self.columns[*index].clone(), self.schema.field(*index).name().clone())).collect();
        let kinds: Vec<ScanColumn> = columns.iter().map(|(column, _)| column.clone()).collect();

        let by_name = DFSchema::try_from(self.schema.as_ref().clone())?;
        let predicates = filters.iter().map(|filter| state.create_physical_expr(filter.clone(), &by_name)).collect::<Result<Vec<_>>>()?;
        let pruner = Pruner::new(&predicates, &self.schema, &self.pinned.snapshot);
        let listing = listing::list(&self.pinned.snapshot, pruner.as_ref()).await.map_err(external)?;
        let readers = self.pinned.readers(None, false);
        let pool = &state.runtime_env().memory_pool;
        let deletes = deletes::read(&readers, &self.pinned.snapshot, &listing.files, pool).await?;
        let (read, all) = listing.manifests;
        let pruned = listing.files.len() < listing.files_total || pruner.is_some() && read < all;
        let pruned_by = pruner.iter().filter(|_| pruned).flat_map(Pruner::columns).map(str::to_owned).collect();
        let summary = ScanSummary {
            pruned_by,
            table: self.pinned.snapshot.ident.to_string(),
            glob: self.pinned.snapshot.glob().map(str::to_owned),
            snapshot_id: self.pinned.snapshot.snapshot_id(),
            manifests: listing.manifests,
            files: (listing.files.len(), listing.files_total),
            deleted_rows: deletes.deleted_rows(),
            position_deletes: listing.position_deletes(),
            deletion_vectors: listing.files.iter().filter(|file| file.deletes.vector.is_some()).count(),
            equality_deletes: deletes.equality_files,
        };

        let groups = group(&self.pinned, listing.files, &deletes, |index| u32::try_from(index).unwrap_or(u32::MAX));
        let statistics = statistics(&self.pinned, &groups, &kinds, &schema, !filters.is_empty());
        let config = state.config_options();
        let options = ScanOptions {
            partitions: state.config().target_partitions(),
            cut_from: if config.optimizer.repartition_file_scans {
                config.optimizer.repartition_file_min_size.try_into().unwrap_or(u64::MAX)
            } else {
                u64::MAX
            },
            parquet: TableParquetOptions { global: config.execution.parquet.clone(), ..TableParquetOptions::default() },
            batch_size: None,
            limit: limit.filter(|_| filters.is_empty()),
            ordered: false,
            optimized: true,
            prune: None,
        };
        let mut scans = Vec::with_capacity(groups.len());
        for group in groups {
            scans.push(scan_group(&self.pinned, group, &columns, deletes.equality.as_ref(), &readers, &options)?);
        }
        let input = match scans.len() {
            0 => Arc::new(EmptyExec::new(Arc::clone(&schema))),
            _ => UnionExec::try_new(scans)?,
        };
        Ok(Arc::new(SnapshotScanExec::new(input, summary, statistics, deletes.reservation)))
    }
}
