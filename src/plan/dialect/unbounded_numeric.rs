//! `x::numeric` without a precision keeps a number as it is.
//!
//! The engine knows no numeric without a scale and gives it ten digits after the point: `1::int4::numeric` would be `1.0000000000`, and a
//! numeric of a larger scale would lose digits. What an integer or a numeric is cast to is therefore its own width and scale. Texts and
//! floats, whose scale only their values tell, stay at ten digits.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use crate::pg_type::{PG_TYPMOD_KEY, PgType};

/// The plan with such casts as they should be.
pub fn keep(plan: LogicalPlan) -> Result<LogicalPlan> {
    // Whether a node below has other types than those above were made for.
    let mut retyped = false;
    let kept = plan.transform_up_with_subqueries(|node| {
        let node = if retyped { node.recompute_schema()? } else { node };
        let mut found = false;
        node.apply_expressions(|expression| {
            found |= expression.exists(|part| Ok(is_unbounded(part)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if !found {
            return Ok(Transformed::no(node));
        }
        let schema = merge_schema(&node.inputs());
        let kept = node.map_expressions(|expression| expression.transform_up(|part| own_width(part, &schema)))?;
        retyped |= kept.transformed;
        kept.map_data(|node| if retyped { node.recompute_schema() } else { Ok(node) })
    });
    kept.map(|kept| kept.data)
}

/// A cast to numeric that names no precision.
fn is_unbounded(expression: &Expr) -> bool {
    let Expr::Cast(Cast { field, .. }) = expression else { return false };
    *field.data_type() == PgType::NUMERIC.arrow() && !field.metadata().contains_key(PG_TYPMOD_KEY)
}

fn own_width(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (true, Expr::Cast(Cast { expr, field })) = (is_unbounded(&expression), &expression) else { return Ok(Transformed::no(expression)) };
    let digits = match expr.get_type(schema) {
        Ok(DataType::Int16) => 5,
        Ok(DataType::Int32) => 10,
        Ok(DataType::Int64) => 19,
        Ok(from @ DataType::Decimal128(..)) if from != *field.data_type() => {
            return Ok(Transformed::yes(Expr::Cast(Cast::new(expr.clone(), from))));
        }
        _ => return Ok(Transformed::no(expression)),
    };
    Ok(Transformed::yes(Expr::Cast(Cast::new(expr.clone(), DataType::Decimal128(digits, 0)))))
}
