//! Literals in quotes beside an arithmetic operator, `1 + '2'`, `timestamp '2024-01-05' - '2024-01-01'`: what has no type yet takes one from
//! the other operand.
//!
//! PostgreSQL tries the other operand's own type first, and then what the operator knows: a moment and an interval, an interval times a
//! number. Beside a numeric it keeps the digits that are written, which is done elsewhere ([`super::operators`]). What stays ambiguous (`date + '1'`) is
//! left, and refused.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Both operands, the literal of the type that it is taken for.
pub(super) fn typed(op: &BinaryOperator, left: Expr, right: Expr, types: (&DataType, &DataType)) -> (Expr, Expr) {
    let (left_type, right_type) = types;
    match (is_untyped(&left), is_untyped(&right)) {
        (true, false) => (given(left, taken_for(op, right_type)), right),
        (false, true) => (left, given(right, taken_for(op, left_type))),
        _ => (left, right),
    }
}

fn given(literal: Expr, wanted: Option<DataType>) -> Expr {
    match wanted {
        Some(wanted) => cast(literal, wanted),
        None => literal,
    }
}

fn is_untyped(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(ScalarValue::Utf8(Some(_)), metadata) if metadata.as_ref().is_none_or(|metadata| metadata.is_empty()))
}

/// What a literal is beside an operand of this type.
fn taken_for(op: &BinaryOperator, other: &DataType) -> Option<DataType> {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    use DataType::{Date32, Interval, Time64, Timestamp};
    const INTERVAL: DataType = Interval(IntervalUnit::MonthDayNano);
    match (op, other) {
        (Plus | Minus | Multiply | Divide | Modulo, number) if number.is_signed_integer() || number.is_floating() => Some(number.clone()),
        (Plus | Minus, Interval(_)) | (Plus, Time64(_) | Timestamp(..)) => Some(INTERVAL),
        (Minus, Date32 | Time64(_) | Timestamp(..)) => Some(other.clone()),
        (Multiply | Divide, Interval(_)) => Some(DataType::Float64),
        _ => None,
    }
}
