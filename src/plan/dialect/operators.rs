//! Operators between types: a double met by a numeric makes a double, a uuid, a boolean or a time met by a text literal is of that type.
//!
//! The engine would turn the double into a decimal (and fail on NaN), and knows no way from text to sixteen bytes.

use arrow::array::{ListBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::catalog_names::elements;
use super::{arithmetic, extract, uuid};

/// PostgreSQL's choice of operators.
#[derive(Debug)]
pub struct PostgresOperators;

impl ExprPlanner for PostgresOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        if let Some(operator) = arithmetic_operator(&op)
            && let Some(planned) = arithmetic::plan(operator, &left, &right, &left_type, &right_type)?
        {
            return Ok(PlannerResult::Planned(planned));
        }
        if op == BinaryOperator::StringConcat {
            let (left, right) = (as_text(left, &left_type, &right_type), as_text(right, &right_type, &left_type));
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        // `timestamp - '…'` is ambiguous between a timestamp and an interval: it stays with the engine.
        if arithmetic_operator(&op).is_some() && (left_type.is_temporal() || right_type.is_temporal()) {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let left = adapt(left, &left_type, &right_type)?;
        let right = adapt(right, &right_type, &left_type)?;
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        extract::plan(args)
    }
}

fn arithmetic_operator(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        _ => return None,
    })
}

/// What is joined to a text is text in PostgreSQL's spelling.
fn as_text(expression: Expr, own: &DataType, other: &DataType) -> Expr {
    let scalar = |data_type: &DataType| !data_type.is_nested() && *data_type != DataType::Null;
    let spelt = own.is_floating() || own.is_temporal() || matches!(own, DataType::Interval(_) | DataType::Binary);
    if spelt && scalar(other) { cast(expression, DataType::Utf8) } else { expression }
}

/// One operand as the other needs it.
pub(super) fn adapt(expression: Expr, own: &DataType, other: &DataType) -> Result<Expr> {
    match (own, other) {
        (own, DataType::Float16 | DataType::Float32 | DataType::Float64) if own.is_decimal() => Ok(cast(expression, DataType::Float64)),
        (DataType::Utf8, DataType::FixedSizeBinary(uuid::WIDTH)) if matches!(expression, Expr::Literal(..)) => uuid::from_text(expression),
        (DataType::Utf8, DataType::Boolean) => Ok(boolean_literal(&expression).unwrap_or(expression)),
        // The cast is made by the code that reads parameters.
        (DataType::Utf8, temporal) if temporal.is_temporal() && matches!(expression, Expr::Literal(..)) => {
            Ok(cast(expression, temporal.clone()))
        }
        (DataType::Utf8, DataType::List(_)) => Ok(array_literal(&expression, other).unwrap_or(expression)),
        _ => Ok(expression),
    }
}

/// `'t'` beside a boolean.
fn boolean_literal(expression: &Expr) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = expression else { return None };
    let flag = match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => true,
        "f" | "false" | "n" | "no" | "off" | "0" => false,
        _ => return None,
    };
    Some(Expr::Literal(ScalarValue::Boolean(Some(flag)), metadata.clone()))
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
