//! [`SnapshotScanExec`]: the node that a table scan shows in a plan.
//!
//! Below it are the engine's own Parquet scans; it adds what they cannot know:
//! - EXPLAIN says which table and snapshot, how many files were kept of how many, and what was deleted;
//! - a projection of struct fields is taken in, so that only those fields are read;
//! - filters on nested columns, and on fields of theirs, are not let through: with `pushdown_filters` the Parquet scan promises at planning time to apply
//!   such a filter and silently drops it when a file's struct has another shape;
//! - errors that the Parquet reader has turned into its own come out with their SQLSTATE: damage is XX001.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt};

use super::error::{TableError, external, report_within};
use super::struct_leaves::StructLeaf;

/// What EXPLAIN says of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanSummary {
    /// The table's name.
    pub table: String,
    /// The pattern, where files are found by one and not by a snapshot.
    pub glob: Option<String>,
    /// The snapshot, if the table has one.
    pub snapshot_id: Option<i64>,
    /// Manifests read and there.
    pub manifests: (usize, usize),
    /// Data files kept and there (in the manifests read).
    pub files: (usize, usize),
    /// The columns by whose bounds or partitions manifests and files were left out, if any were.
    pub pruned_by: Vec<String>,
    /// Rows deleted by position or deletion vector, in the files kept.
    pub deleted_rows: u64,
    /// Position delete files that apply.
    pub position_deletes: usize,
    /// Deletion vectors that apply.
    pub deletion_vectors: usize,
    /// Equality delete files that apply.
    pub equality_deletes: usize,
}

impl fmt::Display for ScanSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table={}", self.table)?;
        if let Some(pattern) = &self.glob {
            return write!(f, ", glob={pattern}, files={}/{}", self.files.0, self.files.1);
        }
        match self.snapshot_id {
            Some(id) => write!(f, ", snapshot={id}")?,
            None => write!(f, ", snapshot=none")?,
        }
        write!(f, ", manifests={}/{}, files={}/{}", self.manifests.0, self.manifests.1, self.files.0, self.files.1)?;
        if !self.pruned_by.is_empty() {
            write!(f, ", pruned_by=({})", self.pruned_by.join(", "))?;
        }
        if self.deleted_rows > 0 {
            write!(f, ", deleted_rows={}", self.deleted_rows)?;
        }
        let deletes = [
            ("position_deletes", self.position_deletes),
            ("deletion_vectors", self.deletion_vectors),
            ("equality_deletes", self.equality_deletes),
        ];
        for (kind, files) in deletes.into_iter().filter(|(_, files)| *files > 0) {
            write!(f, ", {kind}={files}")?;
        }
        Ok(())
    }
}

/// A scan of one snapshot.
#[derive(Debug)]
pub struct SnapshotScanExec {
    input: Arc<dyn ExecutionPlan>,
    summary: ScanSummary,
    statistics: Arc<Statistics>,
    /// What the deletes hold of the memory pool, for as long as the plan lives.
    deletes: Arc<MemoryReservation>,
    /// Columns of the output that are fields of structs: no filter on them is let through.
    leaves: Vec<usize>,
}

impl SnapshotScanExec {
    /// Over these Parquet scans, with statistics of its output.
    pub fn new(input: Arc<dyn ExecutionPlan>, summary: ScanSummary, statistics: Statistics, deletes: MemoryReservation) -> Self {
        Self { input, summary, statistics: Arc::new(statistics), deletes: Arc::new(deletes), leaves: Vec::new() }
    }

    /// What EXPLAIN says of it.
    pub fn summary(&self) -> &ScanSummary {
        &self.summary
    }
}

impl DisplayAs for SnapshotScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(f, "SnapshotScanExec: {}", self.summary),
            DisplayFormatType::TreeRender => write!(f, "{}", self.summary),
        }
    }
}

impl ExecutionPlan for SnapshotScanExec {
    fn name(&self) -> &'static str {
        "SnapshotScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children).map_err(|_| DataFusionError::Internal("a snapshot scan has one input".to_owned()))?;
        Ok(Arc::new(Self {
            input,
            summary: self.summary.clone(),
            statistics: Arc::clone(&self.statistics),
            deletes: Arc::clone(&self.deletes),
            leaves: self.leaves.clone(),
        }))
    }

    /// Takes in a projection of columns and fields of structs, so that of a struct only those fields are read.
    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let schema = self.schema();
        let is_leaf = |asked: &ProjectionExpr| {
            let leaf = StructLeaf::of(&asked.expr);
            leaf.is_some_and(|leaf| schema.fields().get(leaf.column.index()).is_some_and(|column| leaf.field(column).is_some()))
        };
        let asked = projection.expr();
        let taken = |asked: &ProjectionExpr| is_leaf(asked) || asked.expr.downcast_ref::<Column>().is_some();
        if !asked.iter().all(taken) || !asked.iter().any(is_leaf) {
            return Ok(None);
        }
        let mut any = false;
        let mut below = |input: &Arc<dyn ExecutionPlan>| -> Result<Arc<dyn ExecutionPlan>> {
            let projection = ProjectionExec::try_new(asked.to_vec(), Arc::clone(input))?;
            match input.try_swapping_with_projection(&projection)? {
                Some(input) => {
                    any = true;
                    Ok(input)
                }
                None => Ok(Arc::new(projection)),
            }
        };
        let input = match self.input.downcast_ref::<UnionExec>() {
            Some(union) => UnionExec::try_new(union.children().into_iter().map(&mut below).collect::<Result<_>>()?)?,
            None => below(&self.input)?,
        };
        if !any {
            return Ok(None);
        }
        let mut statistics = Statistics::new_unknown(&input.schema());
        statistics.num_rows = self.statistics.num_rows;
        statistics.total_byte_size = self.statistics.total_byte_size.to_inexact();
        for (asked, known) in asked.iter().zip(&mut statistics.column_statistics) {
            if let Some(column) = asked.expr.downcast_ref::<Column>()
                && let Some(own) = self.statistics.column_statistics.get(column.index())
            {
                *known = own.clone();
            }
        }
        let kept =
            |asked: &ProjectionExpr| asked.expr.downcast_ref::<Column>().is_some_and(|column| !self.leaves.contains(&column.index()));
        let leaves = asked.iter().enumerate().filter(|(_, asked)| !kept(asked)).map(|(at, _)| at).collect();
        let (summary, deletes) = (self.summary.clone(), Arc::clone(&self.deletes));
        Ok(Some(Arc::new(Self { input, summary, statistics: Arc::new(statistics), deletes, leaves })))
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let stream = guarded(self.summary.table.clone(), input);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.input.metrics()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(match partition {
            None => Arc::clone(&self.statistics),
            Some(_) => Arc::new(Statistics::new_unknown(&self.schema())),
        })
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let flat = flat_columns(&self.schema()).filter(|column| !self.leaves.contains(column)).collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&parent_filters, flat, &self.input)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(child_pushdown_result))
    }
}

/// Indices of the columns that are not nested.
pub fn flat_columns(schema: &SchemaRef) -> impl Iterator<Item = usize> {
    schema.fields().iter().enumerate().filter(|(_, field)| !field.data_type().is_nested()).map(|(index, _)| index)
}

/// The stream with typed errors. The Parquet decoder panics on some damage that its checks do not see; that is damage too,
/// and ends the statement instead of its task.
pub fn guarded<T>(table: String, stream: impl Stream<Item = Result<T>> + Send) -> impl Stream<Item = Result<T>> + Send {
    let at = table;
    let caught = AssertUnwindSafe(stream).catch_unwind();
    caught.map(move |item| match item {
        Ok(item) => item.map_err(|error| typed(&at, error)),
        Err(panic) => {
            let reason = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let reason = reason.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(external(TableError::DamagedData { table: at.clone(), reason }))
        }
    })
}

/// An error of the Parquet reader as one of ours; others stay as they are.
pub fn typed(table: &str, error: DataFusionError) -> DataFusionError {
    if let Some(report) = report_within(&error) {
        return external(report.clone());
    }
    let reason = match error.find_root() {
        DataFusionError::ParquetError(error) => Some(error.to_string()),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::ParquetError(reason) => Some(reason.clone()),
            // Decoded bytes that are no value of their type: invalid UTF-8, offsets that go back, a NULL that must not be.
            ArrowError::InvalidArgumentError(reason) | ArrowError::CastError(reason) | ArrowError::ParseError(reason) => {
                Some(reason.clone())
            }
            _ => None,
        },
        _ => None,
    };
    match reason {
        Some(reason) => external(TableError::DamagedData { table: table.to_owned(), reason }),
        None => error,
    }
}
