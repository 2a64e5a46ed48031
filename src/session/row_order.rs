//! The order of rows that are in memory: of VALUES, temporary tables, series, catalogs, and the branches of a UNION ALL of them.
//!
//! The engine spreads the rows of any source over its partitions, and they come back in whatever order the partitions take. SQL does not promise
//! one, but PostgreSQL gives it, and people expect it without asking: the first branch of a UNION first, `LIMIT 3` of a table as it was
//! filled. So a statement that reads nothing but memory is planned for one thread, and what is left of partitions is read one after the other.
//! Statements that read tables are spread as ever. Costs a copy of the engine's state for each statement that reads memory only.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};

use crate::table::SnapshotTable;

/// Whether a statement reads nothing but memory.
pub(super) fn is_in_memory(plan: &LogicalPlan) -> bool {
    let mut tables = false;
    let _ = plan.apply_with_subqueries(|node| {
        tables |= match node {
            LogicalPlan::TableScan(scan) => {
                source_as_provider(&scan.source).is_ok_and(|provider| provider.downcast_ref::<SnapshotTable>().is_some())
            }
            LogicalPlan::Extension(_) => true,
            _ => false,
        };
        Ok(if tables { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    !tables
}

/// The physical plan of such a statement.
pub(super) async fn plan_in_order(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let mut state = state.clone();
    state.config_mut().options_mut().execution.target_partitions = 1;
    let physical = state.create_physical_plan(plan).await?;
    let ordered = physical.transform_up(|node| {
        let Some(merged) = node.downcast_ref::<CoalescePartitionsExec>() else { return Ok(Transformed::no(node)) };
        let in_order: Arc<dyn ExecutionPlan> = Arc::new(InOrderExec::new(Arc::clone(merged.input())));
        Ok(Transformed::yes(match merged.fetch() {
            Some(fetch) => Arc::new(GlobalLimitExec::new(in_order, 0, Some(fetch))),
            None => in_order,
        }))
    })?;
    let physical = ordered.data;
    Ok(if physical.output_partitioning().partition_count() > 1 { Arc::new(InOrderExec::new(physical)) } else { physical })
}

/// All partitions of a plan, one after the other.
#[derive(Debug)]
struct InOrderExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl InOrderExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self { input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for InOrderExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InOrderExec")
    }
}

impl ExecutionPlan for InOrderExec {
    fn name(&self) -> &str {
        "InOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(children.into_iter().next().map_or(self as Arc<dyn ExecutionPlan>, |input| Arc::new(Self::new(input))))
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = Arc::clone(&self.input);
        let partitions = 0..input.output_partitioning().partition_count();
        let rows = futures::stream::iter(partitions).map(move |partition| input.execute(partition, Arc::clone(&context))).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
