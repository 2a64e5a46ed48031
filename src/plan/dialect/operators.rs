//! Operators between types: a double met by a numeric makes a double, a uuid met by a text literal a uuid.
//!
//! The engine would turn the double into a decimal (and fail on NaN), and knows no way from text to sixteen bytes.

use arrow::array::{ListBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

use super::catalog_names::elements;
use super::uuid;

/// PostgreSQL's choice of operators.
#[derive(Debug)]
pub struct PostgresOperators;

impl ExprPlanner for PostgresOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        let left = adapt(left, &left_type, &right_type)?;
        let right = adapt(right, &right_type, &left_type)?;
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// One operand as the other needs it.
pub(super) fn adapt(expression: Expr, own: &DataType, other: &DataType) -> Result<Expr> {
    match (own, other) {
        (own, DataType::Float16 | DataType::Float32 | DataType::Float64) if own.is_decimal() => Ok(cast(expression, DataType::Float64)),
        (DataType::Utf8, DataType::FixedSizeBinary(uuid::WIDTH)) if matches!(expression, Expr::Literal(..)) => uuid::from_text(expression),
        (DataType::Utf8, DataType::List(_)) => Ok(array_literal(&expression, other).unwrap_or(expression)),
        _ => Ok(expression),
    }
}

/// `'{1,2}'` beside an array.
fn array_literal(expression: &Expr, wanted: &DataType) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = expression else { return None };
    let mut list = ListBuilder::new(StringBuilder::new());
    for element in elements(text)? {
        list.values().append_option(element);
    }
    list.append(true);
    let array = arrow::compute::cast(&list.finish(), wanted).ok()?;
    Some(Expr::Literal(ScalarValue::try_from_array(&array, 0).ok()?, metadata.clone()))
}
