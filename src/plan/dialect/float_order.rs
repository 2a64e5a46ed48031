//! Keys of an order: PostgreSQL has one zero, the engine sorts `-0.0` before `0.0`.
//!
//! What is told apart by it: the second key of an ORDER BY among zeros, peers and partitions of a window, the row that DISTINCT ON keeps,
//! what an aggregate takes for DISTINCT or takes in an order. So floating keys are compared with their zeros made one. The last key of an
//! ORDER BY is left as it is: rows that are equal in all of it stand in any order, and a bare column can be sorted by what is known of it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::catalog::Builtin;
use crate::error::Report;

/// The rule. Runs after the engine has settled types.
#[derive(Debug, Default)]
pub struct OneZeroInOrder;

impl AnalyzerRule for OneZeroInOrder {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Sort(mut sort) => {
                let (_, but_the_last) = sort.expr.split_last_mut().map_or((None, &mut [][..]), |(last, others)| (Some(last), others));
                let changed = sort_by_one_zero(but_the_last, sort.input.schema());
                Ok(Transformed::new_transformed(LogicalPlan::Sort(sort), changed))
            }
            LogicalPlan::Distinct(Distinct::On(mut distinct)) => {
                let schema = Arc::clone(distinct.input.schema());
                let mut changed = one_zero_in_each(&mut distinct.on_expr, &schema);
                changed |= distinct.sort_expr.as_mut().is_some_and(|keys| sort_by_one_zero(keys, &schema));
                Ok(Transformed::new_transformed(LogicalPlan::Distinct(Distinct::On(distinct)), changed))
            }
            LogicalPlan::Window(_) | LogicalPlan::Aggregate(_) => {
                let schema = merge_schema(&node.inputs());
                let names = NamePreserver::new(&node);
                node.map_expressions(|expression| {
                    let name = names.save(&expression);
                    let rewritten = expression.transform_up(|part| Ok(of_a_call(part, &schema)))?;
                    Ok(rewritten.update_data(|expression| name.restore(expression)))
                })
            }
            other => Ok(Transformed::no(other)),
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "one_zero_in_order"
    }
}

const NAME: &str = "one_zero";

fn of_a_call(expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expression {
        Expr::WindowFunction(mut window) => {
            let changed = one_zero_in_each(&mut window.params.partition_by, schema);
            let changed = sort_by_one_zero(&mut window.params.order_by, schema) || changed;
            Transformed::new_transformed(Expr::WindowFunction(window), changed)
        }
        Expr::AggregateFunction(mut call) => {
            let changed = call.params.distinct && one_zero_in_each(&mut call.params.args, schema);
            let changed = sort_by_one_zero(&mut call.params.order_by, schema) || changed;
            Transformed::new_transformed(Expr::AggregateFunction(call), changed)
        }
        other => Transformed::no(other),
    }
}

fn sort_by_one_zero(keys: &mut [Sort], schema: &DFSchema) -> bool {
    let mut changed = false;
    for key in keys {
        changed |= one_zero(&mut key.expr, schema);
    }
    changed
}

fn one_zero_in_each(keys: &mut [Expr], schema: &DFSchema) -> bool {
    let mut changed = false;
    for key in keys {
        changed |= one_zero(key, schema);
    }
    changed
}

/// Makes one of the zeros of a key; whether there was something to do.
pub(super) fn one_zero(key: &mut Expr, schema: &DFSchema) -> bool {
    let is_done = |key: &Expr| matches!(key, Expr::ScalarFunction(call) if call.func.name() == NAME);
    let floating = key.get_type(schema).is_ok_and(|of| of.is_floating()) && !matches!(key, Expr::Literal(..)) && !is_done(key);
    if floating {
        let of_the_key = std::mem::take(key);
        *key = Builtin::function(NAME, of_a_float, with_one_zero).call(vec![of_the_key]);
    }
    floating
}

/// `one_zero(double precision | real)`, of the same type: `0.0` for `-0.0`, any other value as it is.
fn with_one_zero(arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, Report> {
    let Some(keys) = arguments.first() else { return Ok(Arc::new(Float64Array::new_null(0))) };
    Ok(match keys.data_type() {
        DataType::Float32 => Arc::new(keys.as_primitive::<Float32Type>().unary::<_, Float32Type>(|value| value + 0.0)),
        _ => Arc::new(keys.as_primitive::<Float64Type>().unary::<_, Float64Type>(|value| value + 0.0)),
    })
}

fn of_a_float(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    match arguments {
        [float @ (DataType::Float32 | DataType::Float64)] => Some((arguments.to_vec(), float.clone())),
        _ => None,
    }
}
