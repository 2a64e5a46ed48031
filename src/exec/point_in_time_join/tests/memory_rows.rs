//! Feature rows in memory, one batch per "file": with locators, or as a source that cannot fetch.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::compute::{concat_batches, filter_record_batch, prep_null_mask_filter, take_record_batch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::exec::point_in_time_join::{FeatureBatch, FeatureRows, FeatureScan, FeatureStream, Locator};

/// See the module's documentation.
#[derive(Debug)]
pub struct MemoryRows {
    pub schema: SchemaRef,
    pub files: Vec<RecordBatch>,
    pub can_fetch: bool,
    /// Whether rows that fail the pruning predicate are left out: nothing may depend on them.
    pub prunes: bool,
    /// How often scanned, how often fetched, how many rows fetched, how many columns asked for in all.
    pub scans: AtomicUsize,
    pub fetches: AtomicUsize,
    pub fetched: AtomicUsize,
    pub columns: AtomicUsize,
}

impl MemoryRows {
    pub fn new(files: Vec<RecordBatch>, can_fetch: bool, prunes: bool) -> Self {
        let zero = AtomicUsize::default;
        let schema = files[0].schema();
        Self { schema, files, can_fetch, prunes, scans: zero(), fetches: zero(), fetched: zero(), columns: zero() }
    }

    fn file_batches(&self, number: usize, request: &FeatureScan) -> Result<Vec<FeatureBatch>> {
        let file = &self.files[number];
        let rows: UInt64Array = (0..file.num_rows() as u64).map(|row| Locator::new(number as u32, row).0).collect();
        let mut keep = vec![true; file.num_rows()].into();
        if let (true, Some(prune)) = (self.prunes, &request.prune) {
            let passed = prune.evaluate(file)?.into_array(file.num_rows())?;
            keep = passed.as_boolean().clone();
            if keep.null_count() > 0 {
                keep = prep_null_mask_filter(&keep);
            }
        }
        let rows = arrow::compute::filter(&rows, &keep)?;
        let rows = rows.as_primitive().clone();
        let options = RecordBatchOptions::new().with_row_count(Some(file.num_rows()));
        let columns: Vec<_> = request.columns.iter().map(|column| file.column(*column).clone()).collect();
        let schema = Arc::new(self.schema.project(&request.columns)?);
        let batch = filter_record_batch(&RecordBatch::try_new_with_options(schema, columns, &options)?, &keep)?;
        let pieces = (0..batch.num_rows()).step_by(request.batch_size).map(|start| {
            let length = request.batch_size.min(batch.num_rows() - start);
            FeatureBatch { columns: batch.slice(start, length), locators: self.can_fetch.then(|| rows.slice(start, length)), ceiling: None }
        });
        Ok(pieces.collect())
    }
}

#[async_trait]
impl FeatureRows for MemoryRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn can_fetch(&self) -> bool {
        self.can_fetch
    }

    async fn scan(&self, request: &FeatureScan, _: &Arc<TaskContext>, _: &ExecutionPlanMetricsSet) -> Result<Vec<FeatureStream>> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        self.columns.fetch_add(request.columns.len(), Ordering::Relaxed);
        let mut streams: Vec<Vec<FeatureBatch>> = (0..request.partitions).map(|_| Vec::new()).collect();
        for number in 0..self.files.len() {
            streams[number % request.partitions].extend(self.file_batches(number, request)?);
        }
        Ok(streams.into_iter().map(|batches| stream::iter(batches.into_iter().map(Ok)).boxed()).collect())
    }

    async fn fetch(
        &self,
        locators: &[Locator],
        columns: &[usize],
        context: &Arc<TaskContext>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        assert!(self.can_fetch && locators.is_sorted() && locators.windows(2).all(|pair| pair[0] != pair[1]));
        self.fetches.fetch_add(1, Ordering::Relaxed);
        self.fetched.fetch_add(locators.len(), Ordering::Relaxed);
        self.columns.fetch_add(columns.len(), Ordering::Relaxed);
        let schema = Arc::new(self.schema.project(columns)?);
        let rows = locators.iter().map(|locator| {
            let row = UInt32Array::from(vec![locator.row() as u32]);
            Ok(take_record_batch(&self.files[locator.file() as usize].project(columns)?, &row)?)
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let batches: Vec<_> = rows.chunks(context.session_config().batch_size()).map(|rows| Ok(concat_batches(&schema, rows)?)).collect();
        Ok(stream::iter(batches).boxed())
    }

    fn describe(&self) -> String {
        format!("memory({} files)", self.files.len())
    }

    fn same_rows(&self, other: &dyn FeatureRows) -> bool {
        (other as &dyn Any).downcast_ref::<Self>().is_some_and(|other| std::ptr::eq(self, other))
    }
}
