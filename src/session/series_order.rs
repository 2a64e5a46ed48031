//! A physical rule that keeps the order of `generate_series` in statements that read tables too; those that read memory only are
//! `row_order`'s.
//!
//! The engine spreads the rows of any source over its partitions. Of a series there is nothing to gain by it: making numbers costs less than
//! handing them on, and whoever joins or limits one expects its order.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::memory::LazyMemoryExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

/// The rule.
#[derive(Debug)]
pub(super) struct KeepSeriesInOrder;

/// Whether the plan is a series, perhaps filtered and computed with.
fn is_series(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.downcast_ref::<LazyMemoryExec>().is_some() {
        return true;
    }
    let passes = plan.downcast_ref::<ProjectionExec>().is_some()
        || plan.downcast_ref::<FilterExec>().is_some()
        || plan.downcast_ref::<CooperativeExec>().is_some();
    passes && plan.children().first().is_some_and(|input| is_series(input))
}

impl PhysicalOptimizerRule for KeepSeriesInOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = plan.transform_up(|node| {
            let input = node
                .downcast_ref::<RepartitionExec>()
                .filter(|spread| matches!(spread.partitioning(), Partitioning::RoundRobinBatch(_)) && is_series(spread.input()))
                .map(|spread| Arc::clone(spread.input()));
            Ok(input.map_or_else(|| Transformed::no(Arc::clone(&node)), Transformed::yes))
        })?;
        Ok(kept.data)
    }

    fn name(&self) -> &str {
        "keep_series_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
