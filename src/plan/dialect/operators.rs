//! Operators between types: a double met by a numeric makes a double, a uuid, a boolean or a time met by a text literal is of that type.
//!
//! The engine would turn the double into a decimal (and fail on NaN), and knows no way from text to sixteen bytes.

use std::sync::Arc;

use arrow::array::{ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions_nested::extract::array_element;
use datafusion::logical_expr::expr::{Cast, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr, RawWindowExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, Operator, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::catalog_names::elements;
use super::coercion::deepened;
use super::{arithmetic, extract, quoted_operands, uuid};
use crate::catalog::{byte_concatenation, contains_all, json_operator, make_array, row, strpos, text_concatenation};
use crate::pg_format::decode::parameter;
use crate::pg_format::encode::Format;
use crate::pg_format::zone::Zone;
use crate::pg_type::{PG_TYPE_KEY, PgType};
use crate::plan::parameters::Parameters;
use crate::plan::patience;

/// PostgreSQL's choice of operators.
#[derive(Debug)]
pub struct PostgresOperators {
    /// The statement's parameters, which take their types from what they meet.
    pub parameters: Arc<Parameters>,
    /// The session's time zone.
    pub time_zone: Arc<str>,
}

impl ExprPlanner for PostgresOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        patience::check()?;
        let RawBinaryExpr { op, left, right } = expr;
        let (left, right) = match (left.get_type(schema), right.get_type(schema)) {
            (Ok(left_type), Ok(right_type)) => quoted_operands::typed(&op, left, right, (&left_type, &right_type)),
            _ => (left, right),
        };
        let typed = self.parameters.typed_operands(&op, left, right, schema);
        let (left, right) = typed.map_err(|report| DataFusionError::External(Box::new(report)))?;
        let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        // A document is text to the engine. What else it says of an expression takes long where that is long.
        let may_be_json = |of: &DataType| is_text(of) || of.is_nested();
        if (may_be_json(&left_type) || may_be_json(&right_type))
            && let Some(call) = json(&op, &left, &right, schema)
        {
            return Ok(PlannerResult::Planned(call));
        }
        if let Some(operator) = arithmetic_operator(&op)
            && let Some(planned) = arithmetic::plan(operator, &left, &right, &left_type, &right_type, &self.time_zone)?
        {
            return Ok(PlannerResult::Planned(planned));
        }
        if op == BinaryOperator::StringConcat {
            if let (DataType::Binary, DataType::Binary) = (&left_type, &right_type) {
                return Ok(PlannerResult::Planned(byte_concatenation().call(vec![left, right])));
            }
            let (left, right) = (as_text(left, &left_type, &right_type), as_text(right, &right_type, &left_type));
            let joins = |text: &DataType, other: &DataType| {
                is_text(text) && !(other.is_nested() || matches!(other, DataType::Null | DataType::Binary))
            };
            if joins(&left_type, &right_type) || joins(&right_type, &left_type) {
                return Ok(PlannerResult::Planned(text_concatenation(left, right)));
            }
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let is_list = |of: &DataType| matches!(of, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..));
        if matches!(op, BinaryOperator::AtArrow | BinaryOperator::ArrowAt) && is_list(&left_type) && is_list(&right_type) {
            let (whole, part) = if op == BinaryOperator::AtArrow { (left, right) } else { (right, left) };
            return Ok(PlannerResult::Planned(contains_all().call(vec![whole, part])));
        }
        // What is left of them (`date + '1'`) is ambiguous.
        if arithmetic_operator(&op).is_some() && (left_type.is_temporal() || right_type.is_temporal()) {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let left = adapt(left, &left_type, &right_type, &self.time_zone)?;
        let right = adapt(right, &right_type, &left_type, &self.time_zone)?;
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }

    fn plan_window(&self, window: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        // The engine counts rows in unsigned numbers, of which PostgreSQL has none: `rank() - 5` may be negative.
        let signed = match window.func_def.name() {
            "row_number" | "rank" | "dense_rank" => DataType::Int64,
            "ntile" => DataType::Int32,
            _ => return Ok(PlannerResult::Original(window)),
        };
        let RawWindowExpr { func_def: fun, args, partition_by, order_by, window_frame, filter, null_treatment, distinct } = window;
        let params = WindowFunctionParams { args, partition_by, order_by, window_frame, filter, null_treatment, distinct };
        Ok(PlannerResult::Planned(cast(Expr::WindowFunction(Box::new(WindowFunction { fun, params })), signed)))
    }

    fn plan_array_literal(&self, exprs: Vec<Expr>, _schema: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(if exprs.is_empty() { PlannerResult::Original(exprs) } else { PlannerResult::Planned(make_array().call(exprs)) })
    }

    fn plan_struct_literal(&self, args: Vec<Expr>, is_named_struct: bool) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(if is_named_struct { PlannerResult::Original(args) } else { PlannerResult::Planned(row().call(args)) })
    }

    fn plan_field_access(&self, expr: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { expr, field_access } = expr;
        let expr = match expr {
            // `($1::int[])[1][2]`: the value has as many dimensions as it has.
            Expr::Cast(Cast { expr, field }) => {
                let field = deepened(&expr, &field, schema);
                Expr::Cast(Cast { expr, field })
            }
            other => other,
        };
        let element = |field: &Field| match field.data_type() {
            DataType::List(item) => {
                let element = PgType::of(field).element()?;
                // Of several dimensions it is an array of one less.
                Some(if item.data_type().is_nested() && element != PgType::RECORD { element.array_of() } else { element })
                    .filter(|element| *element != PgType::of(item))
            }
            _ => None,
        };
        // More subscripts than dimensions find nothing: how many there are, a parameter's value will say.
        if matches!(field_access, GetFieldAccess::ListIndex { .. }) && is_element(&expr) {
            let found = expr.get_type(schema)?;
            if !found.is_nested() {
                return Ok(PlannerResult::Planned(Expr::Literal(ScalarValue::try_from(&found)?, None)));
            }
        }
        // What the elements are called is the array's to say.
        match (field_access, expr.to_field(schema).ok().and_then(|(_, field)| element(&field))) {
            (GetFieldAccess::ListIndex { key }, Some(element)) => {
                let value = array_element(expr, *key);
                let field = with_name(Field::new("", value.get_type(schema)?, true), element);
                Ok(PlannerResult::Planned(Expr::Cast(Cast { expr: Box::new(value), field: Arc::new(field) })))
            }
            (field_access, _) => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr })),
        }
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(strpos().call(args)))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        extract::plan(args)
    }
}

/// The function of an operator on JSON, of which the engine knows none.
fn json(op: &BinaryOperator, left: &Expr, right: &Expr, schema: &DFSchema) -> Option<Expr> {
    let of = |side: &Expr| side.to_field(schema).ok().map(|(_, field)| (PgType::of(&field), field.data_type().clone()));
    let (Some((left_type, left_data)), Some((right_type, right_data))) = (of(left), of(right)) else { return None };
    let is_json = |pg_type: PgType| matches!(pg_type, PgType::JSON | PgType::JSONB);
    let pg_type = if is_json(left_type) { left_type } else { right_type };
    let applies = match op {
        BinaryOperator::StringConcat | BinaryOperator::AtArrow | BinaryOperator::ArrowAt => {
            (left_type == PgType::JSONB && (right_type == PgType::JSONB || right_type == PgType::TEXT))
                || (right_type == PgType::JSONB && left_type == PgType::TEXT && matches!(left, Expr::Literal(..)))
        }
        BinaryOperator::Minus => left_type == PgType::JSONB,
        _ => is_json(left_type),
    };
    let function = json_operator(&op.to_string(), pg_type).filter(|_| applies)?;
    let as_text = |side: &Expr, data_type: &DataType| if data_type.is_nested() { cast(side.clone(), DataType::Utf8) } else { side.clone() };
    let takes_array = matches!(
        op,
        BinaryOperator::HashArrow | BinaryOperator::HashLongArrow | BinaryOperator::QuestionPipe | BinaryOperator::QuestionAnd
    );
    let right = if takes_array {
        let texts = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
        array_literal(right, &texts).unwrap_or_else(|| right.clone())
    } else {
        as_text(right, &right_data)
    };
    Some(function.call(vec![as_text(left, &left_data), right]))
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

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// What is joined to a text is text in PostgreSQL's spelling.
fn as_text(expression: Expr, own: &DataType, other: &DataType) -> Expr {
    let scalar = |data_type: &DataType| !data_type.is_nested() && *data_type != DataType::Null;
    let spelt = own.is_floating()
        || own.is_temporal()
        || matches!(own, DataType::Interval(_) | DataType::Binary | DataType::FixedSizeBinary(_) | DataType::Decimal256(..));
    if spelt && scalar(other) { cast(expression, DataType::Utf8) } else { expression }
}

/// A clock's reading, or a date's midnight, as the instant when the session's clock shows it.
pub(super) fn as_instant(expression: Expr, instant: &DataType, zone: &str) -> Expr {
    cast(cast(expression, DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()))), instant.clone())
}

/// A date's midnight, as a moment of this type.
pub(super) fn as_moment(date: Expr, moment: &DataType, zone: &str) -> Expr {
    match moment {
        DataType::Timestamp(_, Some(_)) => as_instant(date, moment, zone),
        _ => cast(date, moment.clone()),
    }
}

/// One operand as the other needs it.
pub(super) fn adapt(expression: Expr, own: &DataType, other: &DataType, zone: &str) -> Result<Expr> {
    match (own, other) {
        // The engine would read the clock in the instant's own zone, which is the table's.
        (DataType::Timestamp(_, None) | DataType::Date32, instant @ DataType::Timestamp(_, Some(_))) if zone != "UTC" => {
            Ok(as_instant(expression, instant, zone))
        }
        // The engine would compare nanoseconds, which end in 2262.
        (DataType::Date32, moment @ DataType::Timestamp(..)) => Ok(as_moment(expression, moment, zone)),
        (own, DataType::Float16 | DataType::Float32 | DataType::Float64) if own.is_decimal() => Ok(cast(expression, DataType::Float64)),
        (DataType::Utf8, DataType::FixedSizeBinary(uuid::WIDTH)) if matches!(expression, Expr::Literal(..)) => uuid::from_text(expression),
        (DataType::Utf8, DataType::Boolean) => Ok(boolean_literal(&expression).unwrap_or(expression)),
        // The cast is made by the code that reads parameters.
        (DataType::Utf8, temporal) if temporal.is_temporal() && matches!(expression, Expr::Literal(..)) => {
            Ok(cast(expression, temporal.clone()))
        }
        // With the digits that are written: cast to the other's scale, '1.499' would be 1.50.
        (DataType::Utf8, decimal) if decimal.is_decimal() => literal(expression, PgType::NUMERIC),
        (DataType::Utf8, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)) => {
            literal(expression, PgType::BYTEA)
        }
        (DataType::Utf8, DataType::List(_)) => Ok(array_literal(&expression, other).unwrap_or(expression)),
        _ => Ok(expression),
    }
}

/// A quoted literal as a value of this type.
fn literal(expression: Expr, pg_type: PgType) -> Result<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = &expression else { return Ok(expression) };
    let value = parameter(pg_type, Format::Text, Some(text.as_bytes()), Zone::UTC.into());
    let value = value.map_err(|report| DataFusionError::External(Box::new(report)))?;
    Ok(Expr::Literal(ScalarValue::try_from_array(&value, 0)?, metadata.clone()))
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

/// The field under the name of a type.
fn with_name(field: Field, pg_type: PgType) -> Field {
    field.with_metadata([(PG_TYPE_KEY.to_owned(), pg_type.name().to_owned())].into())
}

/// Whether it is what a subscript of an array has found.
fn is_element(expression: &Expr) -> bool {
    match expression {
        Expr::Cast(cast) => is_element(&cast.expr),
        Expr::ScalarFunction(function) => function.name() == "array_element",
        _ => false,
    }
}
