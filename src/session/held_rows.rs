//! The memory of window functions, which the engine's operator takes without asking the pool.
//!
//! A window over whole partitions (`sum(x) OVER ()`) collects all rows of its input before it gives the first, and copies them once to have them in
//! one piece. So what goes in is counted as held twice, with a value per row and function, until the operator is gone: 53200 in place of
//! the system's memory killer. Windows that move along with their input hold little and are not counted.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions, StatisticsArgs,
};
use futures::TryStreamExt;

use super::memory::bytes_of;

/// Bytes of a function's value, which may be a text but seldom is.
const VALUE: usize = 16;

/// The rule that puts the count under the operators that hold.
#[derive(Debug)]
pub(super) struct CountHeldRows;

impl PhysicalOptimizerRule for CountHeldRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let counted = plan.transform_up(|node| {
            let Some(window) = node.downcast_ref::<WindowAggExec>() else { return Ok(Transformed::no(node)) };
            let functions = window.window_expr().len();
            let input: Arc<dyn ExecutionPlan> = Arc::new(HeldRowsExec { input: Arc::clone(window.input()), functions });
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(node.replace_children(vec![input], options)?))
        })?;
        Ok(counted.data)
    }

    fn name(&self) -> &str {
        "count_held_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct HeldRowsExec {
    input: Arc<dyn ExecutionPlan>,
    functions: usize,
}

impl DisplayAs for HeldRowsExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldRowsExec")
    }
}

impl ExecutionPlan for HeldRowsExec {
    fn name(&self) -> &str {
        "HeldRowsExec"
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
        let functions = self.functions;
        Ok(children.into_iter().next().map_or(self as Arc<dyn ExecutionPlan>, |input| Arc::new(Self { input, functions })))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let held = MemoryConsumer::new("rows of a window").register(context.memory_pool());
        let schema: SchemaRef = self.input.schema();
        let functions = self.functions;
        let rows = self.input.execute(partition, context)?.and_then(move |batch| {
            let bytes = 2 * bytes_of(&batch) + functions * VALUE * batch.num_rows();
            std::future::ready(held.try_grow(bytes).map(|()| batch))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _arguments: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(input.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
    }
}
