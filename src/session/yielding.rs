//! A physical rule that lets joins be interrupted.
//!
//! The engine's operators yield where their leaves do, and a join can compute for minutes between two looks at its leaves: nobody could
//! cancel it, and its task would keep its thread from all others. So joins yield after so many batches that they give, and those with a
//! condition of their own, which may give none, get the rows to look up in short steps ([`super::short_steps`]).

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::short_steps::ShortStepsExec;

/// The rule.
#[derive(Debug)]
pub(super) struct YieldInJoins;

impl PhysicalOptimizerRule for YieldInJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|node| {
            let conditional = match (node.downcast_ref::<NestedLoopJoinExec>(), node.downcast_ref::<HashJoinExec>()) {
                (Some(_), _) => true,
                (_, Some(join)) => join.filter().is_some(),
                _ if node.downcast_ref::<CrossJoinExec>().is_some() => false,
                _ => return Ok(Transformed::no(node)),
            };
            let node = match node.children().as_slice() {
                [left, right] if conditional => {
                    let children = vec![Arc::clone(left), Arc::new(ShortStepsExec::new(Arc::clone(right))) as Arc<dyn ExecutionPlan>];
                    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?
                }
                _ => node,
            };
            Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>))
        })?;
        Ok(wrapped.data)
    }

    fn name(&self) -> &str {
        "yield_in_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
