//! Functions that make wide values (`repeat('x', 30000)`) are given few rows at a time.
//!
//! The engine computes 8,192 rows at once, however wide: of 30 kB each they are a quarter of a gigabyte for one session, before the first row is sent.
//! So what goes into a projection that may widen its rows is cut into pieces, and how wide the rows were that came out decides the next pieces'
//! length: some [`ENOUGH`] bytes, never more than the engine's own. Pieces begin with [`FIRST`] rows and at most double. Costs nothing that
//! can be measured where rows are narrow. Wide values that a table holds come as its files are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions, StatisticsArgs,
};
use futures::TryStreamExt;

use super::memory::bytes_of;

/// Rows of the first piece.
const FIRST: usize = 32;
/// Bytes that a piece should become.
const ENOUGH: usize = 1 << 20;
/// Rows of the longest piece.
const MOST: usize = 8_192;

/// The rule that cuts.
#[derive(Debug)]
pub(super) struct CutWideRows;

impl PhysicalOptimizerRule for CutWideRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let cut = plan.transform_up(|node| {
            let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(Transformed::no(node)) };
            if projection.input().is::<PlaceholderRowExec>() || !widens(projection) {
                return Ok(Transformed::no(node));
            }
            let rows = Arc::new(AtomicUsize::new(FIRST));
            let below: Arc<dyn ExecutionPlan> =
                Arc::new(WideRowsExec { input: Arc::clone(projection.input()), rows: Arc::clone(&rows), role: Role::Cut });
            let projection = node.replace_children(vec![below], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?;
            Ok(Transformed::yes(Arc::new(WideRowsExec { input: projection, rows, role: Role::Measure })))
        })?;
        Ok(cut.data)
    }

    fn name(&self) -> &str {
        "cut_wide_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a projection computes values that may be of any length.
fn widens(projection: &ProjectionExec) -> bool {
    let schema = projection.schema();
    projection.expr().iter().zip(schema.fields()).any(|(computed, field)| {
        let given = computed.expr.is::<Column>() || computed.expr.is::<Literal>();
        !given && !field.data_type().is_primitive() && !matches!(field.data_type(), DataType::Boolean | DataType::Null)
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Below the projection.
    Cut,
    /// Above it.
    Measure,
}

#[derive(Debug)]
struct WideRowsExec {
    input: Arc<dyn ExecutionPlan>,
    /// Of the next piece, of whichever partition.
    rows: Arc<AtomicUsize>,
    role: Role,
}

impl DisplayAs for WideRowsExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WideRowsExec: {:?}", self.role)
    }
}

impl ExecutionPlan for WideRowsExec {
    fn name(&self) -> &str {
        "WideRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (rows, role) = (Arc::clone(&self.rows), self.role);
        Ok(children.into_iter().next().map_or(self as Arc<dyn ExecutionPlan>, |input| Arc::new(Self { input, rows, role })))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (input, rows) = (self.input.execute(partition, context)?, Arc::clone(&self.rows));
        let schema: SchemaRef = self.input.schema();
        Ok(match self.role {
            Role::Cut => {
                let pieces = input.map_ok(move |batch| {
                    let (rows, mut from) = (Arc::clone(&rows), 0);
                    let next = move || {
                        let length = rows.load(Ordering::Relaxed).min(batch.num_rows() - from);
                        let piece = (length > 0).then(|| Ok(batch.slice(from, length)));
                        from += length;
                        piece
                    };
                    futures::stream::iter(std::iter::from_fn(next))
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, pieces.try_flatten()))
            }
            Role::Measure => {
                let measured = input.inspect_ok(move |batch| measure(batch, &rows));
                Box::pin(RecordBatchStreamAdapter::new(schema, measured))
            }
        })
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _arguments: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(input.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
    }
}

/// How many rows the next piece may have, by the last.
fn measure(batch: &RecordBatch, rows: &AtomicUsize) {
    if batch.num_rows() == 0 {
        return;
    }
    let wanted = ENOUGH / (bytes_of(batch) / batch.num_rows()).max(1);
    rows.store(wanted.clamp(1, 2 * batch.num_rows()).min(MOST), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    async fn batches(sql: &str) -> Vec<RecordBatch> {
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(2))
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(CutWideRows));
        SessionContext::new_with_state(state.build()).sql(sql).await.unwrap().collect().await.unwrap()
    }

    #[tokio::test]
    async fn wide_values_come_in_small_batches_and_narrow_ones_in_long() {
        let wide = batches("SELECT value, repeat('x', 30000) AS wide FROM generate_series(1, 3000)").await;
        assert_eq!(wide.iter().map(RecordBatch::num_rows).sum::<usize>(), 3_000);
        // But for the first, whose width nobody knew.
        assert!(wide.iter().skip(1).all(|batch| batch.num_rows() * 30_000 <= 2 * ENOUGH), "{:?}", wide.iter().map(RecordBatch::num_rows));
        let narrow = batches("SELECT value, repeat('x', 3) AS narrow FROM generate_series(1, 100000)").await;
        assert_eq!(narrow.iter().map(RecordBatch::num_rows).sum::<usize>(), 100_000);
        assert!(narrow.iter().any(|batch| batch.num_rows() == MOST));
    }

    #[tokio::test]
    async fn rows_keep_their_order_and_filters_that_leave_none_end() {
        let rows = batches("SELECT concat('row ', value) AS name, value FROM generate_series(1, 20000) WHERE value % 3 = 0").await;
        let values: Vec<i64> = rows
            .iter()
            .flat_map(|batch| {
                let values = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(1));
                values.values().to_vec()
            })
            .collect();
        assert_eq!(values.len(), 6_666);
        assert!(values.iter().all(|value| value % 3 == 0));
        assert!(batches("SELECT concat('row ', value) AS name FROM generate_series(1, 20000) WHERE value < 0").await.is_empty());
    }
}
