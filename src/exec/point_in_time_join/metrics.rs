//! What the operator counts.

use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, Time};

/// How many entity rows commit order or content had to decide, summed over lookups. The plan layer gives one to the node, the session
/// reads it when the statement is done.
#[derive(Debug, Default)]
pub struct TieCounter(AtomicU64);

impl TieCounter {
    /// Adds the rows of one execution.
    pub(super) fn add(&self, rows: u64) {
        self.0.fetch_add(rows, Ordering::Relaxed);
    }

    /// The rows so far.
    pub fn rows(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The rows so far, starting again at none: for a plan that runs several times.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// The metrics of one execution, shown by EXPLAIN ANALYZE.
#[derive(Debug, Clone)]
pub(super) struct JoinMetrics {
    /// Rows out and time.
    pub baseline: BaselineMetrics,
    /// Entity rows read.
    pub entity_rows: Count,
    /// Feature rows that streamed past.
    pub feature_rows: Count,
    /// Feature rows fetched or kept for the output.
    pub winners: Count,
    /// Entity rows decided by commit order or content.
    pub ties: Count,
    /// Bytes of the arrays that the passes match against, all streams together.
    pub matched_bytes: Gauge,
    /// Time to index the entity rows.
    pub index_time: Time,
    /// Time to stream the feature rows past (wall clock).
    pub stream_time: Time,
    /// Time to fetch the winners (wall clock).
    pub fetch_time: Time,
}

impl JoinMetrics {
    pub(super) fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name: &'static str| MetricBuilder::new(set).counter(name, partition);
        let time = |name: &'static str| MetricBuilder::new(set).subset_time(name, partition);
        Self {
            baseline: BaselineMetrics::new(set, partition),
            entity_rows: counter("entity_rows"),
            feature_rows: counter("feature_rows"),
            winners: counter("winners"),
            ties: counter("rows_decided_by_commit_order_or_content"),
            matched_bytes: MetricBuilder::new(set).gauge("matched_bytes", partition),
            index_time: time("index_time"),
            stream_time: time("stream_time"),
            fetch_time: time("fetch_time"),
        }
    }
}
