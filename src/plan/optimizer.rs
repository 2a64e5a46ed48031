//! The engine's optimizer with what PostgreSQL's answers need of it.
//!
//! Its rules, in its order, between ours for comparisons of floats ([`OneZeroInComparisons`]) and against wrong conclusions
//! ([`ListsKeepNulls`], [`FiltersSayNoMore`]), and two of them held: those that move
//! `(s).field` towards the scan. Below a projection that gives a column its own name (`SELECT t.s AS s`) they make a projection
//! with both `s` and `t.s`, which the engine's own check of names refuses. Such an attempt is given up, and the query planned
//! without it: the access is then found above the scan, or not, which decides how much is read and never what the rows are.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::dialect::{FiltersSayNoMore, ListsKeepNulls, OneZeroInComparisons};
use super::patience::Patient;

/// All rules, in order.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![Arc::new(OneZeroInComparisons), Arc::new(ListsKeepNulls)];
    for rule in Optimizer::new().rules {
        let moves_leaves = matches!(rule.name(), "extract_leaf_expressions" | "push_down_leaf_projections");
        let rule: Arc<dyn OptimizerRule + Send + Sync> = if moves_leaves { Arc::new(WhereNamesAllow(rule)) } else { rule };
        rules.push(Arc::new(Patient(rule)));
    }
    rules.push(Arc::new(OneZeroInComparisons));
    rules.push(Arc::new(FiltersSayNoMore));
    rules
}

/// A rule that is left out where the engine refuses the names in what it made.
#[derive(Debug)]
struct WhereNamesAllow(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for WhereNamesAllow {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match self.0.rewrite(plan.clone(), config) {
            Err(error) if matches!(error.find_root(), DataFusionError::SchemaError(..) | DataFusionError::Plan(_)) => {
                Ok(Transformed::no(plan))
            }
            other => other,
        }
    }
}
