//! Operators between types: a double met by a numeric makes a double, a uuid met by a text literal a uuid.
//!
//! The engine would turn the double into a decimal (and fail on NaN), and knows no way from text to sixteen bytes.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

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
        _ => Ok(expression),
    }
}
