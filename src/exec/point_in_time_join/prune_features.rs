//! [`PruneFeatures`]: features that nobody above the join reads are not fetched; lookups without features are not scanned.
//!
//! DataFusion's own projection pruning narrows the inputs of an extension, never the extension itself. This rule does that: from every
//! projection and aggregation down through filters, sorts, limits, windows and aliases to the join. `count(*)` leaves no output at all, and a
//! join without outputs is its entity rows. Put it after DataFusion's rules: they put a projection wherever columns are dropped.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, SubqueryAlias};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::logical::PointInTimeJoin;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct PruneFeatures;

impl OptimizerRule for PruneFeatures {
    fn name(&self) -> &str {
        "prune_features"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.transform_down_with_subqueries(|plan| {
            if !matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_)) {
                return Ok(Transformed::no(plan));
            }
            let mut used = HashSet::new();
            collect_columns(&plan, &mut used)?;
            let narrowed = match plan.inputs().as_slice() {
                [input] => narrow(input, used)?,
                _ => None,
            };
            Ok(match narrowed {
                Some(input) => Transformed::yes(plan.with_new_exprs(plan.expressions(), vec![input])?),
                None => Transformed::no(plan),
            })
        })
    }
}

/// The columns that a node's own expressions read, subqueries' outer references among them.
fn collect_columns(plan: &LogicalPlan, used: &mut HashSet<Column>) -> Result<()> {
    plan.apply_expressions(|expr| {
        use datafusion::common::tree_node::TreeNode;
        expr.apply(|expr| {
            match expr {
                Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => {
                    used.insert(column.clone());
                }
                Expr::ScalarSubquery(subquery) => collect_outer(&subquery.outer_ref_columns, used),
                Expr::Exists(exists) => collect_outer(&exists.subquery.outer_ref_columns, used),
                Expr::InSubquery(subquery) => collect_outer(&subquery.subquery.outer_ref_columns, used),
                Expr::SetComparison(comparison) => collect_outer(&comparison.subquery.outer_ref_columns, used),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

fn collect_outer(outer: &[Expr], used: &mut HashSet<Column>) {
    for expr in outer {
        used.extend(expr.column_refs().into_iter().cloned());
        if let Expr::OuterReferenceColumn(_, column) = expr {
            used.insert(column.clone());
        }
    }
}

/// The plan with the joins below it narrowed to the columns `used`; `None` if there is nothing to narrow.
fn narrow(plan: &LogicalPlan, mut used: HashSet<Column>) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Window(_) => {
            collect_columns(plan, &mut used)?;
            let [input] = plan.inputs()[..] else { return Ok(None) };
            let Some(input) = narrow(input, used)? else { return Ok(None) };
            Ok(Some(plan.with_new_exprs(plan.expressions(), vec![input])?))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let inner = alias.input.schema();
            let below = used.iter().filter_map(|column| alias.schema.maybe_index_of_column(column));
            let below = below.map(|place| Column::from(inner.qualified_field(place))).collect();
            let Some(input) = narrow(&alias.input, below)? else { return Ok(None) };
            Ok(Some(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?)))
        }
        LogicalPlan::Extension(Extension { node }) => {
            let Some(join) = node.as_any().downcast_ref::<PointInTimeJoin>() else { return Ok(None) };
            if join.outputs().is_empty() {
                return Ok(Some(join.entity_rows().clone()));
            }
            let schema = node.schema();
            let read: HashSet<usize> = used.iter().filter_map(|column| schema.maybe_index_of_column(column)).collect();
            let first = join.entity_rows().schema().fields().len();
            let keep = |place: usize| read.contains(&(first + place));
            let kept = (0..join.outputs().len()).filter(|place| keep(*place)).count();
            match kept {
                0 => Ok(Some(join.entity_rows().clone())),
                _ if kept == join.outputs().len() => Ok(None),
                _ => Ok(Some(join.narrowed(keep)?.into_plan())),
            }
        }
        _ => Ok(None),
    }
}
