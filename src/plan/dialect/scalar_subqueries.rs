//! `(SELECT 1 WHERE false)` is NULL, although its column never is.
//!
//! The engine takes a scalar subquery for NULL only where its column may be, and then fails on the subquery that finds no row. So a column that
//! is never NULL is passed through a function that says it may be. Those that name columns from outside are the engine's to join.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery};

use crate::catalog::Builtin;
use crate::error::{Report, SqlState};
use crate::pg_type::{PG_TYPE_KEY, PgType};

/// The plan with such subqueries as they are.
pub fn may_be_null(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| node.map_expressions(|expression| expression.transform_up(nullable)))?;
    Ok(plan.data)
}

fn nullable(expression: Expr) -> Result<Transformed<Expr>> {
    let Expr::ScalarSubquery(subquery) = expression else { return Ok(Transformed::no(expression)) };
    let ([field], true) = (subquery.subquery.schema().fields().as_ref(), subquery.outer_ref_columns.is_empty()) else {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    };
    if field.is_nullable() || field.data_type().is_null() {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    let column = Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0)));
    let function = match field.metadata().get(PG_TYPE_KEY) {
        Some(_) => Builtin::function_of("or_null", same_type, as_it_is, PgType::of(field)),
        None => Builtin::function("or_null", same_type, as_it_is),
    };
    let name = field.name().clone();
    let column = function.call(vec![column]).alias(name);
    let inner = LogicalPlanBuilder::new_from_arc(subquery.subquery).project([column])?.build()?;
    Ok(Transformed::yes(Expr::ScalarSubquery(Subquery { subquery: inner.into(), ..subquery })))
}

/// `or_null(any)`: what it is given.
fn as_it_is(arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, Report> {
    arguments.first().cloned().ok_or_else(|| Report::new(SqlState::UNDEFINED_FUNCTION, "function or_null() does not exist"))
}

fn same_type(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    match arguments {
        [data_type] => Some((arguments.to_vec(), data_type.clone())),
        _ => None,
    }
}
