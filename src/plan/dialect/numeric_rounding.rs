//! `round(x, 2)` of a numeric has two digits behind the point, `trunc(x, 2)` too, `ceil(x)` none: what the functions answer keeps its
//! operand's scale, and is therefore cast, where the digits are a constant. Beyond [`SHOWN`] digits the scale stays.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

/// Digits behind the point that leave enough before it.
const SHOWN: i64 = 20;

/// The call with the scale that it asks for.
pub(super) fn scaled(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(call) = &expression else { return Ok(Transformed::no(expression)) };
    let (number, digits) = match (call.func.name(), call.args.as_slice()) {
        ("round" | "trunc", [number, digits]) => (number, constant(digits)),
        ("trunc" | "ceil" | "ceiling" | "floor", [number]) => (number, Some(0)),
        _ => return Ok(Transformed::no(expression)),
    };
    let is_numeric = number.get_type(schema).is_ok_and(|of| of.is_decimal());
    match digits.filter(|digits| is_numeric && *digits <= SHOWN) {
        Some(digits) => Ok(Transformed::yes(cast(expression, DataType::Decimal128(38, digits.max(0) as i8)))),
        None => Ok(Transformed::no(expression)),
    }
}

fn constant(digits: &Expr) -> Option<i64> {
    match digits {
        Expr::Literal(value, _) => match value.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(digits) => digits,
            _ => None,
        },
        Expr::Negative(inner) => constant(inner)?.checked_neg(),
        Expr::Cast(inner) => constant(&inner.expr),
        _ => None,
    }
}
