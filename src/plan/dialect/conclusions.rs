//! What the engine concludes from conditions, kept to what follows from them. Its mistakes here gave wrong rows without an error:
//!
//! - [`ListsKeepNulls`]: `x NOT IN (1) OR x NOT IN (2)` is "always true" to it, and `x IN (1) AND x IN (2)` "never"; of NULL they are neither.
//! - [`FiltersSayNoMore`]: it solves a filter for its columns as if functions could be undone: from `ts::date = '2025-03-01'` it takes `ts` for
//!   midnight (which drops `ORDER BY ts` as useless), from `n / 2 = 1` it takes `n` for 2. It may do so only where a value has one origin.
//!   And from the keys that one side of a join has it concludes which files and rows of the other it needs, by an order in which `-0.0` is less
//!   than `0.0`; so floating keys are compared with their zeros made one.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{Cast, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, Operator};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::float_order::one_zero;
use super::hidden::{hide, is_hidden};

/// Hides one of two lists of the same expression from the other where the engine would intersect them. Runs before its rules.
#[derive(Debug, Default)]
pub struct ListsKeepNulls;

impl OptimizerRule for ListsKeepNulls {
    fn name(&self) -> &str {
        "lists_keep_nulls"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let apart = expression.transform_up(|part| Ok(apart(part)))?;
                Ok(apart.update_data(|expression| name.restore(expression)))
            })
        })
    }
}

fn apart(expression: Expr) -> Transformed<Expr> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right })
            if !(is_negated(&left) == is_negated(&right) && is_negated(&left) == (op == Operator::And))
                && listed(&left).zip(listed(&right)).is_some_and(|(left, right)| is_same(left, right)) =>
        {
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(left, op, Box::new(with_hidden(*right)))))
        }
        other => Transformed::no(other),
    }
}

/// Whether it says what is not in a list. Two of these joined by AND, and two of the others joined by OR, are one list of all values, of
/// which the engine is right.
fn is_negated(condition: &Expr) -> bool {
    match condition {
        Expr::InList(InList { negated, .. }) => *negated,
        Expr::Not(inner) => !is_negated(inner),
        _ => false,
    }
}

/// Whether they are the same but for the places in the statement that they come from.
fn is_same(one: &Expr, other: &Expr) -> bool {
    one.to_string() == other.to_string()
}

/// What a list, or what the engine makes one of, looks for.
fn listed(condition: &Expr) -> Option<&Expr> {
    match condition {
        Expr::InList(InList { expr, .. }) => Some(expr),
        Expr::Not(inner) => listed(inner),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            listed(left).filter(|one| listed(right).is_some_and(|other| is_same(one, other)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
            (column @ Expr::Column(_), constant) | (constant, column @ Expr::Column(_)) if !constant.any_column_refs() => Some(column),
            _ => None,
        },
        _ => None,
    }
}

/// The same condition of the hidden expression.
fn with_hidden(condition: Expr) -> Expr {
    match condition {
        Expr::InList(InList { expr, list, negated }) => Expr::InList(InList { expr: Box::new(hide(*expr)), list, negated }),
        Expr::Not(inner) => Expr::Not(Box::new(with_hidden(*inner))),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Expr::BinaryExpr(BinaryExpr::new(Box::new(with_hidden(*left)), Operator::Or, Box::new(with_hidden(*right))))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let hidden = |side: Expr| if matches!(side, Expr::Column(_)) { hide(side) } else { side };
            Expr::BinaryExpr(BinaryExpr::new(Box::new(hidden(*left)), op, Box::new(hidden(*right))))
        }
        other => other,
    }
}

/// Hides, in filters, what has no inverse. Runs after the engine's rules, so that scans have been given the conditions as they are.
#[derive(Debug, Default)]
pub struct FiltersSayNoMore;

impl OptimizerRule for FiltersSayNoMore {
    fn name(&self) -> &str {
        "filters_say_no_more"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.transform_up_with_subqueries(|node| {
            let (predicate, input) = match node {
                LogicalPlan::Filter(Filter { predicate, input, .. }) => (predicate, input),
                LogicalPlan::Join(mut join) => {
                    let mut changed = false;
                    for (left, right) in &mut join.on {
                        changed |= one_zero(left, join.left.schema()) | one_zero(right, join.right.schema());
                    }
                    return Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed));
                }
                other => return Ok(Transformed::no(other)),
            };
            let hidden = predicate.transform_down(|part| {
                if is_hidden(&part) {
                    return Ok(Transformed::new(part, false, TreeNodeRecursion::Jump));
                }
                let has_inverse = match &part {
                    Expr::BinaryExpr(BinaryExpr { op, .. }) => {
                        !matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
                    }
                    Expr::Cast(Cast { expr, field }) => {
                        let Ok(own) = expr.get_type(input.schema()) else { return Ok(Transformed::no(part)) };
                        keeps_apart(&own, field.data_type())
                    }
                    _ => true,
                };
                Ok(if has_inverse { Transformed::no(part) } else { Transformed::new(hide(part), true, TreeNodeRecursion::Jump) })
            })?;
            let changed = hidden.transformed;
            let filter = LogicalPlan::Filter(Filter::try_new(hidden.data, input)?);
            Ok(Transformed::new_transformed(filter, changed))
        })
    }
}

/// Whether a cast makes different values of different values.
fn keeps_apart(from: &DataType, to: &DataType) -> bool {
    let is_solved = |of: &DataType| of.is_numeric() || of.is_temporal();
    if from == to || !is_solved(from) || !is_solved(to) {
        return true;
    }
    match (from, to) {
        (from, to) if from.is_integer() && to.is_integer() => true,
        (from, DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) if from.is_integer() => *scale >= 0,
        (DataType::Float32, DataType::Float64) | (DataType::Date32, DataType::Timestamp(..)) => true,
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => from <= to,
        (DataType::Decimal128(_, from) | DataType::Decimal256(_, from), DataType::Decimal128(_, to) | DataType::Decimal256(_, to)) => {
            from <= to
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn casts_that_keep_values_apart() {
        use DataType::{Date32, Decimal128, Float32, Float64, Int32, Int64, Timestamp};
        let micros = || Timestamp(TimeUnit::Microsecond, None);
        for (from, to) in [(Int32, Int64), (Int64, Decimal128(20, 0)), (Float32, Float64), (Date32, micros()), (micros(), micros())] {
            assert!(keeps_apart(&from, &to), "{from} to {to}");
        }
        for (from, to) in [
            (micros(), Date32),
            (Int64, Float64),
            (Float64, Float32),
            (Decimal128(10, 2), Decimal128(10, 0)),
            (Decimal128(10, 2), Float64),
            (Timestamp(TimeUnit::Nanosecond, None), micros()),
        ] {
            assert!(!keeps_apart(&from, &to), "{from} to {to}");
        }
    }
}
