//! What the engine's physical rules get wrong about joins, kept from them.
//!
//! A filter or a bound that is pushed down follows its columns by their names, and where two sides have columns of one name
//! (`l.a`, `r.a`) it may end at the wrong one: rows were lost. [`WhereNamesAreUnique`] leaves such plans to what the logical rules have pushed,
//! which go by relation and name. And a column that is constant below the side of an outer join that may be NULL is taken for constant above
//! it, so an `ORDER BY` it was dropped; [`ForgetConstants`] puts an operator there that hands rows on and does not tell.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result, Statistics};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
    SendableRecordBatchStream, StatisticsArgs,
};

/// A rule that is left out of plans with columns of one name.
#[derive(Debug)]
pub(super) struct WhereNamesAreUnique(pub Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for WhereNamesAreUnique {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let ambiguous = plan.exists(|node| {
            let mut names = HashSet::new();
            Ok(!node.schema().fields().iter().all(|field| names.insert(field.name().as_str())))
        })?;
        if ambiguous { Ok(plan) } else { self.0.optimize(plan, config) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// The rule. Comes before those that choose and remove sorts.
#[derive(Debug)]
pub(super) struct ForgetConstants;

/// Which of a join's sides may have NULLs in place of rows.
fn nullable_sides(join: &Arc<dyn ExecutionPlan>) -> Option<(bool, bool)> {
    let join_type =
        match (join.downcast_ref::<HashJoinExec>(), join.downcast_ref::<NestedLoopJoinExec>(), join.downcast_ref::<SortMergeJoinExec>()) {
            (Some(join), ..) => *join.join_type(),
            (_, Some(join), _) => *join.join_type(),
            (.., Some(join)) => join.join_type(),
            _ => return None,
        };
    match join_type {
        JoinType::Left => Some((false, true)),
        JoinType::Right => Some((true, false)),
        JoinType::Full => Some((true, true)),
        _ => None,
    }
}

impl PhysicalOptimizerRule for ForgetConstants {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let forgotten = plan.transform_up(|node| {
            let Some((left_nullable, right_nullable)) = nullable_sides(&node) else { return Ok(Transformed::no(node)) };
            let children = node.children();
            let [left, right] = children.as_slice() else { return Ok(Transformed::no(node)) };
            let knows = |side: &Arc<dyn ExecutionPlan>| !side.properties().equivalence_properties().constants().is_empty();
            if !(left_nullable && knows(left) || right_nullable && knows(right)) {
                return Ok(Transformed::no(node));
            }
            let side = |side: &Arc<dyn ExecutionPlan>, nullable: bool| {
                if nullable && knows(side) {
                    Arc::new(UntoldExec::new(Arc::clone(side))) as Arc<dyn ExecutionPlan>
                } else {
                    Arc::clone(side)
                }
            };
            let sides = vec![side(left, left_nullable), side(right, right_nullable)];
            let node = Arc::clone(&node).replace_children(sides, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?;
            Ok(Transformed::yes(node))
        })?;
        Ok(forgotten.data)
    }

    fn name(&self) -> &str {
        "forget_constants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Hands rows on, and tells their order but not which columns are constant.
#[derive(Debug)]
struct UntoldExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl UntoldExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let orderings = input.properties().equivalence_properties().oeq_class().clone();
        let told = EquivalenceProperties::new_with_orderings(input.schema(), orderings);
        let properties = Arc::new(input.properties().as_ref().clone().with_eq_properties(told));
        Self { input, properties }
    }
}

impl DisplayAs for UntoldExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UntoldExec")
    }
}

impl ExecutionPlan for UntoldExec {
    fn name(&self) -> &str {
        "UntoldExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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
        Ok(children.into_iter().next().map_or(self as Arc<dyn ExecutionPlan>, |input| Arc::new(Self::new(input))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _arguments: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(input.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
    }
}
