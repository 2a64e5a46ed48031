//! `x::numeric` without a precision keeps a number as it is.
//!
//! What an integer or a numeric is cast to is its own width and scale, and a text that is a constant tells them. Of other texts and of floats
//! only the values do: they are numerics of unknown scale ([`crate::pg_type::NUMERIC_PRECISION`]), which cost more and are shown without
//! zeros at the end.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::numeric_rounding;
use crate::pg_format::decode::{self, Value};
use crate::pg_format::zone::Zone;
use crate::pg_type::{NUMERIC_PRECISION, PG_TYPMOD_KEY, PgType};
use crate::plan::patience;

/// The plan with such casts as they should be.
pub fn keep(plan: LogicalPlan) -> Result<LogicalPlan> {
    // Whether a node below has other types than those above were made for.
    let mut retyped = false;
    let kept = plan.transform_up_with_subqueries(|node| {
        patience::check()?;
        let node = if retyped { node.recompute_schema()? } else { node };
        let mut found = false;
        node.apply_expressions(|expression| {
            found |= expression.exists(|part| Ok(is_unbounded(part) || matches!(part, Expr::ScalarFunction(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if !found {
            return Ok(Transformed::no(node));
        }
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let kept = node.map_expressions(|expression| {
            let name = names.save(&expression);
            let kept =
                expression.transform_up(|part| own_width(part, &schema)?.transform_data(|part| numeric_rounding::scaled(part, &schema)))?;
            Ok(kept.update_data(|expression| name.restore(expression)))
        })?;
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
    if let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = expr.as_ref() {
        // A text that is no number is refused where all texts are.
        let Ok(Value::Decimal(digits, scale)) = decode::parse_text(PgType::NUMERIC, text, Zone::UTC.into()) else {
            return Ok(Transformed::no(expression));
        };
        let value = match digits.to_i128().filter(|digits| digits.unsigned_abs() < 10_u128.pow(38) && scale <= 38) {
            Some(digits) => ScalarValue::Decimal128(Some(digits), 38, scale),
            None => ScalarValue::Decimal256(Some(digits), NUMERIC_PRECISION, scale),
        };
        return Ok(Transformed::yes(Expr::Literal(value, metadata.clone())));
    }
    let digits = match expr.get_type(schema) {
        Ok(DataType::Int16) => 5,
        Ok(DataType::Int32) => 10,
        Ok(DataType::Int64) => 19,
        Ok(from @ (DataType::Decimal128(..) | DataType::Decimal256(..))) if from != *field.data_type() => {
            return Ok(Transformed::yes(Expr::Cast(Cast::new(expr.clone(), from))));
        }
        _ => return Ok(Transformed::no(expression)),
    };
    Ok(Transformed::yes(Expr::Cast(Cast::new(expr.clone(), DataType::Decimal128(digits, 0)))))
}
