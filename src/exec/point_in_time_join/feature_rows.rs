//! [`FeatureRows`]: the trait through which the join reads the feature side.
//!
//! The join never holds the feature side. It streams a few columns past its entity rows, remembers for each entity
//! row *where* its winner is (a [`Locator`]), and fetches the features of winners only. A source that can go back to a row
//! (a table snapshot of Parquet files) says so by [`FeatureRows::can_fetch`]; one that cannot (any other relation)
//! streams all asked columns and the join keeps the rows that are still winners.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::UInt64Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::BoxStream;

/// Where a feature row is: 24 bits of file number, 40 bits of row number in the file as it lies (deleted rows counted).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locator(pub u64);

impl Locator {
    /// Bits of the row number.
    pub const ROW_BITS: u32 = 40;

    /// The row `row` of file number `file`.
    pub fn new(file: u32, row: u64) -> Self {
        Self((u64::from(file) << Self::ROW_BITS) | row)
    }

    /// The file's number within its `FeatureRows`.
    pub fn file(self) -> u32 {
        (self.0 >> Self::ROW_BITS) as u32
    }

    /// The row's number within the file.
    pub fn row(self) -> u64 {
        self.0 & ((1 << Self::ROW_BITS) - 1)
    }
}

/// What the join wants to see of the feature rows.
#[derive(Debug, Clone)]
pub struct FeatureScan {
    /// Indices into [`FeatureRows::schema`], in the order wanted.
    pub columns: Vec<usize>,
    /// A predicate over [`FeatureRows::schema`] that every row of use satisfies (time window, key range). For pruning only:
    /// rows that fail it may still come.
    pub prune: Option<Arc<dyn PhysicalExpr>>,
    /// The column of the event time, where the caller stops a stream whose rows to come are too old for it: a source that knows
    /// which rows are new gives those first, and says how old the rest is ([`FeatureBatch::ceiling`]).
    pub newest_first: Option<usize>,
    /// How many streams to give at the most.
    pub partitions: usize,
    /// Rows per batch at the most.
    pub batch_size: usize,
}

/// Feature rows as they stream past.
#[derive(Debug, Clone)]
pub struct FeatureBatch {
    /// The asked columns, in the order asked.
    pub columns: RecordBatch,
    /// [`Locator`]s of the rows; `None` where the source cannot fetch.
    pub locators: Option<UInt64Array>,
    /// If given: no row of this batch, or of a later one of the stream, has a later event time (in its column's own unit).
    pub ceiling: Option<i64>,
}

/// A stream of them; an error ends it.
pub type FeatureStream = BoxStream<'static, Result<FeatureBatch>>;

/// Feature rows of one source, pinned: every scan and fetch sees the same rows.
///
/// `Any` lets an implementation recognise its own kind in [`Self::same_rows`]: `(other as &dyn Any).downcast_ref::<Self>()`.
#[async_trait]
pub trait FeatureRows: Any + fmt::Debug + Send + Sync {
    /// All columns there are.
    fn schema(&self) -> SchemaRef;

    /// Whether [`Self::fetch`] works, and batches carry locators.
    fn can_fetch(&self) -> bool;

    /// Streams over disjoint parts of the rows, together all rows that may satisfy `prune`. Each stream may run on a task of its own; dropping it stops it.
    async fn scan(
        &self,
        request: &FeatureScan,
        context: &Arc<TaskContext>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Vec<FeatureStream>>;

    /// The rows at `locators` (ascending, no duplicates), in that order, as batches of the asked columns.
    async fn fetch(
        &self,
        locators: &[Locator],
        columns: &[usize],
        context: &Arc<TaskContext>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>>;

    /// One line for EXPLAIN: which rows these are.
    fn describe(&self) -> String;

    /// Whether two of these are the same rows (same table and snapshot), so that views of one table share a pass.
    fn same_rows(&self, other: &dyn FeatureRows) -> bool;
}
