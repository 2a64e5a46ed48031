//! [`SnapshotFeatureRows`]: a pinned snapshot as the join's feature rows.
//!
//! `scan` streams a few columns of all live rows with their locators: the file's number and, by the Parquet reader's
//! virtual row numbers, the row's place in it. `fetch` goes back to such rows and reads exactly them: one row selection per file,
//! files in the locators' order; where rows are sparse in a file, the footer is read with the places of its pages, so that
//! only pages with a wanted row are fetched.
//!
//! File numbers are given as files are met, and shared by all `SnapshotFeatureRows` of one snapshot in this process:
//! views of one table share a pass, and one may fetch by the locators of another's scan.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, LazyLock, Weak};

use arrow::array::{ArrayRef, AsArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt32Type};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use hashbrown::HashMap;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use super::deletes::{self, row_count};
use super::error::{TableError, external};
use super::listing::{self, ListedFile};
use super::newest_first::{self, Step};
use super::pinned::PinnedTable;
use super::provider::LAST_UPDATED_COLUMN;
use super::pruning::Pruner;
use super::reader_factory::StorageReaderFactory;
use super::scan::{Group, ScanColumn, ScanFile, ScanOptions, group, identity_sources, scan_group};
use super::scan_exec::guarded;
use crate::exec::point_in_time_join::{FeatureBatch, FeatureRows, FeatureScan, FeatureStream, Locator};
use crate::source::TableSnapshot;

/// Files below this many bytes in all are not cut for a scan.
const CUT_FROM: u64 = 4 << 20;
/// A file of which fewer than one in so many rows is fetched is read page by page.
const SPARSE: u64 = 16;
/// Files that one fetch has open plans for.
const FILES_PER_FETCH: usize = 64;
/// Files that a locator can number.
const MAX_FILES: usize = 1 << (64 - Locator::ROW_BITS);

/// The numbers of a snapshot's files.
#[derive(Debug, Default)]
struct Numbering {
    files: Mutex<NumberedFiles>,
}

#[derive(Debug, Default)]
struct NumberedFiles {
    numbers: HashMap<String, u32>,
    files: Vec<ListedFile>,
}

/// Storage, table, and its identity, snapshot.
type SnapshotKey = (usize, String, Option<String>, Option<i64>);

static NUMBERINGS: LazyLock<Mutex<HashMap<SnapshotKey, Weak<Numbering>>>> = LazyLock::new(Mutex::default);

impl Numbering {
    fn of(snapshot: &TableSnapshot) -> Arc<Self> {
        let key = (
            Arc::as_ptr(&snapshot.storage).addr(),
            snapshot.ident.to_string(),
            snapshot.table_uuid().map(str::to_owned),
            snapshot.snapshot_id(),
        );
        let mut all = NUMBERINGS.lock();
        if let Some(known) = all.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, numbering| numbering.strong_count() > 0);
        let new = Arc::new(Self::default());
        all.insert(key, Arc::downgrade(&new));
        new
    }

    fn number(&self, listed: &[ListedFile], table: &str) -> Result<Vec<u32>, TableError> {
        let mut known = self.files.lock();
        let mut numbers = Vec::with_capacity(listed.len());
        for file in listed {
            if let Some(number) = known.numbers.get(&file.data.path) {
                numbers.push(*number);
                continue;
            }
            let next = known.files.len();
            let number = u32::try_from(next).ok().filter(|_| next < MAX_FILES);
            let too_many = || TableError::TooManyFiles { table: table.to_owned(), files: next + 1, limit: MAX_FILES };
            let number = number.ok_or_else(too_many)?;
            known.numbers.insert(file.data.path.clone(), number);
            known.files.push(file.clone());
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn file(&self, number: u32) -> Option<ListedFile> {
        self.files.lock().files.get(number as usize).cloned()
    }
}

/// A pinned snapshot's rows. Its schema is the table's columns and then `_last_updated_sequence_number`.
pub struct SnapshotFeatureRows {
    pinned: Arc<PinnedTable>,
    schema: SchemaRef,
    numbering: Arc<Numbering>,
}

impl fmt::Debug for SnapshotFeatureRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotFeatureRows").field("rows", &self.describe()).finish_non_exhaustive()
    }
}

impl SnapshotFeatureRows {
    /// Of this snapshot; reads nothing.
    pub fn new(snapshot: Arc<TableSnapshot>) -> Result<Self, TableError> {
        let numbering = Numbering::of(&snapshot);
        let pinned = PinnedTable::new(snapshot)?;
        let mut fields: Vec<_> = pinned.shown.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(LAST_UPDATED_COLUMN, DataType::Int64, true)));
        Ok(Self { pinned: Arc::new(pinned), schema: Arc::new(Schema::new(fields)), numbering })
    }

    fn table(&self) -> String {
        self.pinned.snapshot.ident.to_string()
    }

    /// These columns of the schema, under their names.
    fn columns(&self, indices: &[usize]) -> Result<Vec<(ScanColumn, String)>> {
        let column = |index: &usize| {
            let field = self.schema.fields().get(*index).ok_or_else(|| internal("a feature column that the table does not have"))?;
            let last = *index + 1 == self.schema.fields().len();
            Ok((if last { ScanColumn::LastUpdated } else { ScanColumn::Table(*index) }, field.name().clone()))
        };
        indices.iter().map(column).collect()
    }

    /// The same, and what locators are made of.
    fn scan_columns(&self, indices: &[usize]) -> Result<Vec<(ScanColumn, String)>> {
        let mut columns = self.columns(indices)?;
        columns.push((ScanColumn::FileNumber, "$file".to_owned()));
        columns.push((ScanColumn::Position, "$position".to_owned()));
        Ok(columns)
    }

    fn options(&self, context: &TaskContext) -> ScanOptions {
        let parquet = context.session_config().options().execution.parquet.clone();
        ScanOptions {
            partitions: 1,
            cut_from: CUT_FROM,
            parquet: TableParquetOptions { global: parquet, ..TableParquetOptions::default() },
            batch_size: None,
            limit: None,
            ordered: false,
            optimized: false,
            prune: None,
        }
    }
}

fn internal(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}

#[async_trait]
impl FeatureRows for SnapshotFeatureRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn can_fetch(&self) -> bool {
        true
    }

    async fn scan(
        &self,
        request: &FeatureScan,
        context: &Arc<TaskContext>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Vec<FeatureStream>> {
        let table = self.table();
        let pruner = Pruner::new(request.prune.as_slice(), &self.schema, &self.pinned.snapshot);
        let listing = listing::list(&self.pinned.snapshot, pruner.as_ref()).await.map_err(external)?;
        MetricBuilder::new(metrics).global_counter("files_pruned").add(listing.files_total - listing.files.len());
        let numbers = self.numbering.number(&listing.files, &table).map_err(external)?;
        let readers = self.pinned.readers(Some(metrics.clone()), false);
        let equality = listing.files.iter().any(|file| !file.deletes.equality.is_empty());
        if let Some(time) = request.newest_first.filter(|_| !equality)
            && let Some(streams) = newest_first::steps(&self.pinned, &listing.files, time, request.partitions.max(1))
        {
            let columns = self.scan_columns(&request.columns)?;
            let options =
                ScanOptions { batch_size: Some(request.batch_size.max(1)), prune: request.prune.clone(), ..self.options(context) };
            let asked = Arc::new(self.schema.project(&request.columns)?);
            let scanned = MetricBuilder::new(metrics).global_counter("files_scanned");
            let stepwise =
                Stepwise { pinned: Arc::clone(&self.pinned), columns, options, readers, context: Arc::clone(context), asked, scanned };
            let (stepwise, files) = (Arc::new(stepwise), Arc::new(listing.files));
            let streams = streams.into_iter().map(|steps| Arc::clone(&stepwise).stream(steps, Arc::clone(&files), &numbers));
            return Ok(streams.collect());
        }
        MetricBuilder::new(metrics).global_counter("files_scanned").add(listing.files.len());
        let deletes = deletes::read(&readers, &self.pinned.snapshot, &listing.files, context.memory_pool()).await?;

        let columns = self.scan_columns(&request.columns)?;
        let asked = Arc::new(self.schema.project(&request.columns)?);
        let partitions = request.partitions.max(1);
        let options =
            ScanOptions { partitions, batch_size: Some(request.batch_size.max(1)), prune: request.prune.clone(), ..self.options(context) };
        let mut streams: Vec<Vec<BoxStream<'static, Result<RecordBatch>>>> = (0..partitions).map(|_| Vec::new()).collect();
        let mut next = 0;
        for group in group(&self.pinned, listing.files, &deletes, |index| numbers[index]) {
            let scan = scan_group(&self.pinned, group, &columns, deletes.equality.as_ref(), &readers, &options)?;
            for partition in 0..scan.output_partitioning().partition_count() {
                streams[next % partitions].push(scan.execute(partition, Arc::clone(context))?.boxed());
                next += 1;
            }
        }
        // Accounted until the last stream is gone.
        let deletes = Arc::new(deletes);
        let streams = streams.into_iter().filter(|parts| !parts.is_empty());
        let streams = streams.map(|parts| {
            let (asked, table, deletes) = (Arc::clone(&asked), table.clone(), Arc::clone(&deletes));
            let batches = guarded(table, futures::stream::iter(parts).flatten());
            let batches = batches.map(move |batch| {
                let _deletes = &deletes;
                feature_batch(&asked, &batch?)
            });
            batches.boxed()
        });
        Ok(streams.collect())
    }

    async fn fetch(
        &self,
        locators: &[Locator],
        columns: &[usize],
        context: &Arc<TaskContext>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let schema = Arc::new(self.schema.project(columns)?);
        let fetch = Fetch {
            pinned: Arc::clone(&self.pinned),
            columns: self.columns(columns)?,
            context: Arc::clone(context),
            metrics: metrics.clone(),
            options: ScanOptions { ordered: true, ..self.options(context) },
        };
        let mut wanted: Vec<Wanted> = Vec::new();
        for locator in locators {
            match wanted.last_mut() {
                Some(last) if last.number == locator.file() => last.rows.push(locator.row()),
                _ => {
                    let listed = self.numbering.file(locator.file()).ok_or_else(|| internal("a locator of a file that was not scanned"))?;
                    wanted.push(Wanted { number: locator.file(), listed, rows: vec![locator.row()] });
                }
            }
        }
        MetricBuilder::new(metrics).global_counter("files_fetched_from").add(wanted.len());
        let table = self.table();
        let fetch = Arc::new(fetch);
        let stream = futures::stream::iter(segments(&self.pinned, wanted))
            .then(move |segment| {
                let fetch = Arc::clone(&fetch);
                async move { fetch.segment(segment).await }
            })
            .try_flatten();
        let stream = guarded(table, stream).map(move |batch| {
            let batch = batch?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), batch.columns().to_vec(), &options)?)
        });
        Ok(stream.boxed())
    }

    fn describe(&self) -> String {
        if let Some(pattern) = self.pinned.snapshot.glob() {
            return format!("table={}, glob={pattern}", self.table());
        }
        match self.pinned.snapshot.snapshot_id() {
            Some(id) => format!("table={}, snapshot={id}", self.table()),
            None => format!("table={}, snapshot=none", self.table()),
        }
    }

    fn same_rows(&self, other: &dyn FeatureRows) -> bool {
        let Some(other) = (other as &dyn Any).downcast_ref::<Self>() else { return false };
        Arc::ptr_eq(&self.numbering, &other.numbering) && self.schema == other.schema
    }
}

/// The asked columns and the locators of a batch whose last two columns are file number and row number.
fn feature_batch(asked: &SchemaRef, batch: &RecordBatch) -> Result<FeatureBatch> {
    let count = asked.fields().len();
    let [files, rows] = &batch.columns()[count..] else { return Err(internal("a feature scan without locators")) };
    let files = files.as_primitive::<UInt32Type>().values();
    let rows = rows.as_primitive::<Int64Type>().values();
    // Row numbers are never negative.
    let locators = files.iter().zip(rows).map(|(file, row)| Locator::new(*file, row.cast_unsigned()).0);
    let locators: UInt64Array = locators.collect();
    let columns: Vec<ArrayRef> = batch.columns()[..count].to_vec();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = RecordBatch::try_new_with_options(Arc::clone(asked), columns, &options)?;
    Ok(FeatureBatch { columns, locators: Some(locators), ceiling: None })
}

/// A scan in steps: see [`newest_first`].
struct Stepwise {
    pinned: Arc<PinnedTable>,
    columns: Vec<(ScanColumn, String)>,
    options: ScanOptions,
    readers: StorageReaderFactory,
    context: Arc<TaskContext>,
    asked: SchemaRef,
    scanned: Count,
}

impl Stepwise {
    fn stream(self: Arc<Self>, steps: Vec<Step>, files: Arc<Vec<ListedFile>>, numbers: &[u32]) -> FeatureStream {
        let numbered = steps.into_iter().map(|step| {
            let of_step = step.files.iter().map(|file| (files[*file].clone(), numbers[*file])).collect::<Vec<_>>();
            (step.ceiling, of_step)
        });
        let steps = futures::stream::iter(numbered.collect::<Vec<_>>());
        let stream = steps.flat_map(move |(ceiling, files)| {
            let none = FeatureBatch {
                columns: RecordBatch::new_empty(Arc::clone(&self.asked)),
                locators: Some(UInt64Array::from(Vec::<u64>::new())),
                ceiling: Some(ceiling),
            };
            // Polled only where the caller goes on after the announcement.
            let rows = Arc::clone(&self).step(files);
            futures::stream::once(std::future::ready(Ok(none))).chain(futures::stream::once(rows).try_flatten())
        });
        stream.boxed()
    }

    async fn step(self: Arc<Self>, files: Vec<(ListedFile, u32)>) -> Result<BoxStream<'static, Result<FeatureBatch>>> {
        self.scanned.add(files.len());
        let (files, numbers): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        let deletes = deletes::read(&self.readers, &self.pinned.snapshot, &files, self.context.memory_pool()).await?;
        let mut parts = Vec::new();
        for group in group(&self.pinned, files, &deletes, |index| numbers[index]) {
            let scan = scan_group(&self.pinned, group, &self.columns, None, &self.readers, &self.options)?;
            for partition in 0..scan.output_partitioning().partition_count() {
                parts.push(scan.execute(partition, Arc::clone(&self.context))?.boxed());
            }
        }
        let table = self.pinned.snapshot.ident.to_string();
        let batches = guarded(table, futures::stream::iter(parts).flatten());
        let batches = batches.map(move |batch| {
            // Accounted until the step is over.
            let _deletes = &deletes;
            feature_batch(&self.asked, &batch?)
        });
        Ok(batches.boxed())
    }
}

/// Rows of one file to fetch.
struct Wanted {
    number: u32,
    listed: ListedFile,
    rows: Vec<u64>,
}

impl Wanted {
    fn is_sparse(&self) -> bool {
        u64::try_from(self.listed.data.record_count).is_ok_and(|count| (self.rows.len() as u64).saturating_mul(SPARSE) < count)
    }
}

/// Files that one plan can fetch from, in order.
struct Segment {
    identity: Vec<i32>,
    sparse: bool,
    files: Vec<Wanted>,
}

fn segments(pinned: &PinnedTable, wanted: Vec<Wanted>) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for file in wanted {
        let identity = identity_sources(pinned, &file.listed.data, &[]);
        let sparse = file.is_sparse();
        match segments.last_mut() {
            Some(last) if last.identity == identity && last.sparse == sparse && last.files.len() < FILES_PER_FETCH => last.files.push(file),
            _ => segments.push(Segment { identity, sparse, files: vec![file] }),
        }
    }
    segments
}

/// What a fetch needs to plan its segments.
struct Fetch {
    pinned: Arc<PinnedTable>,
    columns: Vec<(ScanColumn, String)>,
    context: Arc<TaskContext>,
    metrics: ExecutionPlanMetricsSet,
    options: ScanOptions,
}

impl Fetch {
    async fn segment(&self, segment: Segment) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let readers = self.pinned.readers(Some(self.metrics.clone()), segment.sparse);
        let mut files = Vec::with_capacity(segment.files.len());
        for file in segment.files {
            let rows = row_count(&readers, &file.listed.data.path).await?;
            let selection = Some(select(&file.rows, rows)?);
            files.push(ScanFile { listed: file.listed, deleted: None, selection, number: file.number, scope: 0 });
        }
        // Only rows that a scan gave are asked for, so no delete applies to them.
        let group = Group { identity: segment.identity, equality: false, files };
        let scan = scan_group(&self.pinned, group, &self.columns, None, &readers, &self.options)?;
        Ok(scan.execute(0, Arc::clone(&self.context))?.boxed())
    }
}

/// Selects these ascending rows of a file of `count` rows.
fn select(rows: &[u64], count: u64) -> Result<RowSelection> {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut at = 0u64;
    let size = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
    for row in rows {
        if *row < at || *row >= count {
            return Err(internal("locators that are not ascending, or past the end of their file"));
        }
        match selectors.last_mut() {
            Some(last) if *row == at && !last.skip => last.row_count += 1,
            _ => {
                if *row > at {
                    selectors.push(RowSelector::skip(size(row - at)));
                }
                selectors.push(RowSelector::select(1));
            }
        }
        at = row + 1;
    }
    if count > at {
        selectors.push(RowSelector::skip(size(count - at)));
    }
    Ok(RowSelection::from(selectors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_cover_the_file() {
        let selected = |rows: &[u64], count| -> Vec<(usize, bool)> {
            let selectors: Vec<RowSelector> = select(rows, count).unwrap().into();
            selectors.into_iter().map(|selector| (selector.row_count, selector.skip)).collect()
        };
        assert_eq!(selected(&[0, 1, 5], 10), [(2, false), (3, true), (1, false), (4, true)]);
        assert_eq!(selected(&[9], 10), [(9, true), (1, false)]);
        assert!(select(&[10], 10).is_err());
        assert!(select(&[3, 3], 10).is_err());
        assert!(select(&[3, 2], 10).is_err());
    }
}
