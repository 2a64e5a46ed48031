//! Literals as PostgreSQL reads them, where the engine reads them otherwise.
//!
//! - An integer that fits is an `int4`, one that fits no `int8` a numeric. Where a number is no value (a place in ORDER BY, a count
//!   of rows, a frame's bound, an argument of a function in FROM) it stays as it is written.
//! - `1e15::float8` is the double nearest to the digits; by way of a decimal it would not be.
//! - `'\x01ff'::bytea` is two bytes, not the six that are written.
//! - Intervals in all of PostgreSQL's spellings. What is no interval stays as it is, for the engine to refuse.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, CastKind, DataType, Distinct, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, GroupByExpr,
    Ident, LimitClause, ObjectName, OrderByKind, Query, Select, Statement, Subscript, TableFactor, TableVersion, TypedString,
    UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut, WindowFrameBound, WindowType,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::pg_format::decode;
use crate::sql::interval;

/// Rewrites the literals of a statement.
pub fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Literals);
}

pub(super) struct Literals;

impl VisitorMut for Literals {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                let offset = offset.iter_mut().map(|offset| &mut offset.value);
                limit.iter_mut().chain(offset).chain(limit_by).for_each(as_written);
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => [offset, limit].into_iter().for_each(as_written),
            None => {}
        }
        query.fetch.iter_mut().filter_map(|fetch| fetch.quantity.as_mut()).for_each(as_written);
        if let Some(OrderByKind::Expressions(orders)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            orders.iter_mut().for_each(|order| as_written(&mut order.expr));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            expressions.iter_mut().for_each(as_written);
        }
        if let Some(Distinct::On(expressions)) = &mut select.distinct {
            expressions.iter_mut().for_each(as_written);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            version:
                Some(TableVersion::VersionAsOf(version) | TableVersion::TimestampAsOf(version) | TableVersion::ForSystemTimeAsOf(version)),
            ..
        } = factor
        {
            as_written(version);
        }
        if let TableFactor::Table { args: Some(arguments), .. } = factor {
            for argument in &mut arguments.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expression))
                | FunctionArg::Named { arg: FunctionArgExpr::Expr(expression), .. }
                | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expression), .. } = argument
                {
                    as_written(expression);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            // `ARRAY[[1, 2], [3, 4]]::bigint[]` keeps its dimensions.
            Expr::Cast { expr, data_type: data_type @ DataType::Array(_), .. } if depth(expr) > 1 => {
                *data_type = with_dimensions(data_type, depth(expr));
            }
            Expr::Cast { expr, .. } => as_written(expr),
            Expr::Tuple(parts) => parts.iter_mut().for_each(as_written),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Subscript(Subscript::Index { index }) = access {
                        as_written(index);
                    }
                }
            }
            Expr::Function(Function { over: Some(WindowType::WindowSpec(window)), .. }) => {
                let frame = window.window_frame.iter_mut().flat_map(|frame| [Some(&mut frame.start_bound), frame.end_bound.as_mut()]);
                for bound in frame.flatten() {
                    if let WindowFrameBound::Preceding(Some(count)) | WindowFrameBound::Following(Some(count)) = bound {
                        as_written(count);
                    }
                }
            }
            _ => {}
        }
        if let Some(literal) = cast(expression) {
            *expression = literal;
        } else if let Some(number) = number(expression) {
            *expression = number;
        }
        ControlFlow::Continue(())
    }
}

fn typed(inner: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(inner), data_type, array: false, format: None }
}

/// A bare number of the type that its size gives it.
pub(super) fn number(expression: &Expr) -> Option<Expr> {
    if let Expr::UnaryOp { op: UnaryOperator::Minus, expr } = expression {
        let negative = |digits: &Expr| Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(digits.clone()) };
        return match expr.as_ref() {
            // The sign belongs to the number: the least of each type has no positive counterpart.
            Expr::Value(ValueWithSpan { value: Value::Number(digits, false), .. }) if digits == "2147483648" => {
                Some(typed(negative(expr), DataType::Int(None)))
            }
            Expr::Value(ValueWithSpan { value: Value::Number(digits, false), .. }) if digits == "9223372036854775808e0" => {
                Some(negative(&Expr::value(Value::Number("9223372036854775808".to_owned(), false))))
            }
            Expr::Interval(interval) => match interval.value.as_ref() {
                Expr::Value(value) => negated(text_of(&value.value)?),
                _ => None,
            },
            other => narrow(other).map(|digits| typed(negative(digits), DataType::Int(None))),
        };
    }
    let Expr::Value(ValueWithSpan { value: Value::Number(digits, false), .. }) = expression else { return None };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let exponent = digits.to_ascii_lowercase().split_once('e').and_then(|(_, exponent)| exponent.parse::<i64>().ok());
        // No numeric here has so many digits; what it stands beside is a double.
        let text = || Expr::Value(Value::SingleQuotedString(digits.clone()).with_span(Span::empty()));
        return exponent.filter(|exponent| exponent.abs() > MOST_EXPONENT).map(|_| typed(text(), DataType::DoublePrecision));
    }
    if digits.parse::<i32>().is_ok() {
        return Some(typed(expression.clone(), DataType::Int(None)));
    }
    let significant = digits.trim_start_matches('0');
    if digits.parse::<i64>().is_ok() || significant.len() > NUMERIC_DIGITS {
        return None;
    }
    // The exponent makes a numeric of it.
    Some(Expr::value(Value::Number(format!("{significant}e0"), false)))
}

/// The engine's numerics go so far.
const MOST_EXPONENT: i64 = 100;
/// Digits of the longest numeric.
const NUMERIC_DIGITS: usize = 38;

/// The digits of what [`number`] made.
fn narrow(expression: &Expr) -> Option<&Expr> {
    match expression {
        Expr::Cast { expr, data_type: DataType::Int(None), kind: CastKind::Cast, .. } => match expr.as_ref() {
            digits @ Expr::Value(ValueWithSpan { value: Value::Number(number, false), .. }) => {
                number.parse::<i32>().is_ok().then_some(digits)
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: digits } => match digits.as_ref() {
                Expr::Value(ValueWithSpan { value: Value::Number(number, false), .. }) if number.parse::<i32>().is_ok() => Some(expr),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The number as it is written.
fn as_written(expression: &mut Expr) {
    if let Some(digits) = narrow(expression) {
        *expression = digits.clone();
    }
}

/// What a cast of a literal stands for, if the engine would make something else of it.
fn cast(expression: &Expr) -> Option<Expr> {
    let (value, data_type) = match expression {
        Expr::Cast { expr, data_type, .. } => match expr.as_ref() {
            Expr::Value(value) => (&value.value, data_type),
            _ => return None,
        },
        Expr::TypedString(TypedString { data_type, value, .. }) => (&value.value, data_type),
        Expr::Interval(written)
            if written.leading_field.is_none() && written.last_field.is_none() && written.fractional_seconds_precision.is_none() =>
        {
            let Expr::Value(value) = written.value.as_ref() else { return None };
            return interval_of(text_of(&value.value)?);
        }
        _ => return None,
    };
    match (value, data_type) {
        (
            Value::Number(digits, _),
            DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 | DataType::Real | DataType::Float4 | DataType::Float(_),
        ) => {
            // A text of digits is read as the nearest double.
            let text = Expr::Value(Value::SingleQuotedString(digits.clone()).with_span(Span::empty()));
            Some(typed(text, data_type.clone()))
        }
        // A numeric without precision has as many places as its digits.
        (value, DataType::Numeric(ExactNumberInfo::None) | DataType::Decimal(ExactNumberInfo::None)) => {
            let digits = match value {
                Value::Number(digits, false) => digits.as_str(),
                value => text_of(value)?,
            };
            let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
            let plain = whole.bytes().chain(places.bytes()).all(|digit| digit.is_ascii_digit());
            let written = !whole.is_empty() && plain && whole.len() + places.len() <= NUMERIC_DIGITS;
            // The exponent makes a numeric of what would be an integer.
            let number = if places.is_empty() { format!("{whole}e0") } else { digits.to_owned() };
            written.then(|| Expr::value(Value::Number(number, false)))
        }
        // Without a length it is as long as it is.
        (value, DataType::Char(None) | DataType::Character(None)) if matches!(expression, Expr::TypedString(_)) => {
            let text = Expr::Value(Value::SingleQuotedString(text_of(value)?.to_owned()).with_span(Span::empty()));
            Some(typed(text, DataType::Custom(ObjectName::from(vec![Ident::new("bpchar")]), Vec::new())))
        }
        // An array has as many dimensions as its text says, whatever is declared.
        (value, DataType::Array(_)) => {
            let text = text_of(value)?;
            let wanted = with_dimensions(data_type, dimensions(text));
            (wanted != *data_type).then(|| typed(Expr::Value(Value::SingleQuotedString(text.to_owned()).with_span(Span::empty())), wanted))
        }
        (value, DataType::Bytea) => bytes(text_of(value)?),
        (value, DataType::Interval { fields: None, precision: None }) => interval_of(text_of(value)?),
        _ => None,
    }
}

/// How deep brackets of ARRAY stand in one another.
fn depth(expression: &Expr) -> usize {
    match expression {
        Expr::Array(array) => 1 + array.elem.first().map_or(0, depth),
        Expr::Nested(inner) => depth(inner),
        _ => 0,
    }
}

/// How many braces an array's text begins with, one at the least.
fn dimensions(text: &str) -> usize {
    let text = text.trim_start();
    let values = if text.starts_with('[') { text.split_once('=').map_or(text, |(_, values)| values) } else { text };
    values.chars().filter(|character| !character.is_whitespace()).take_while(|character| *character == '{').count().max(1)
}

fn with_dimensions(array: &DataType, dimensions: usize) -> DataType {
    let mut element = array;
    while let DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _) | ArrayElemTypeDef::AngleBracket(inner)) = element {
        element = inner;
    }
    let list = |of: DataType, _| DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(of), None));
    (0..dimensions).fold(element.clone(), list)
}

/// The bytes that a text of them stands for.
pub(super) fn bytes(text: &str) -> Option<Expr> {
    let hex: String = decode::bytea(text).ok()?.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Expr::Value(Value::HexStringLiteral(hex).with_span(Span::empty())))
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
        _ => None,
    }
}

/// An interval in units of which there are but three.
fn interval_of(text: &str) -> Option<Expr> {
    let (months, days, micros) = interval::parse(text).ok()?;
    let text = format!("{months} months {days} days {micros} microseconds");
    Some(Expr::Interval(datafusion::sql::sqlparser::ast::Interval {
        value: Box::new(Expr::Value(Value::SingleQuotedString(text).with_span(Span::empty()))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}

/// All parts of an interval with the other sign; the engine would take a minus for that of the first part.
fn negated(text: &str) -> Option<Expr> {
    let (months, days, micros) = interval::parse(text).ok()?;
    let (months, days, micros) = (months.checked_neg()?, days.checked_neg()?, micros.checked_neg()?);
    interval_of(&format!("{months} months {days} days {micros} microseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn rewritten(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        rewrite(&mut statement);
        statement.to_string()
    }

    #[test]
    fn integers_are_narrow() {
        assert_eq!(rewritten("SELECT 1, -2 AS b, 3000000000"), "SELECT CAST(1 AS INT), CAST(-2 AS INT) AS b, 3000000000");
        assert_eq!(rewritten("SELECT a + 1 FROM t WHERE b IN (2)"), "SELECT a + CAST(1 AS INT) FROM t WHERE b IN (CAST(2 AS INT))");
        assert_eq!(rewritten("SELECT 2::bigint, 1::int::text"), "SELECT 2::BIGINT, 1::INT::TEXT");
        assert_eq!(rewritten("SELECT 9223372036854775808"), "SELECT 9223372036854775808e0");
        for kept in [
            "SELECT a FROM t ORDER BY 1 LIMIT 2 OFFSET 3",
            "SELECT a FROM t GROUP BY 1",
            "SELECT a[1] FROM generate_series(1, 2)",
            "SELECT sum(a) OVER (ROWS 1 PRECEDING) FROM t",
        ] {
            assert_eq!(rewritten(kept), kept);
        }
    }

    #[test]
    fn elements_of_arrays_are_too() {
        assert_eq!(rewritten("SELECT ARRAY[1, 2]"), "SELECT ARRAY[CAST(1 AS INT), CAST(2 AS INT)]");
    }

    #[test]
    fn bytes_and_doubles() {
        assert_eq!(rewritten(r"SELECT '\x01FF'::bytea"), "SELECT X'01ff'");
        assert_eq!(rewritten(r"SELECT 'a\\\001'::bytea"), "SELECT X'615c01'");
        assert_eq!(rewritten(r"SELECT '\x0'::bytea"), r"SELECT '\x0'::BYTEA");
        assert_eq!(rewritten("SELECT 1e15::float8"), "SELECT CAST('1e15' AS FLOAT8)");
    }

    #[test]
    fn intervals() {
        let wanted = "SELECT INTERVAL '14 months 3 days 14706789000 microseconds'";
        assert_eq!(rewritten("SELECT '1 year 2 mons 3 days 04:05:06.789'::interval"), wanted);
        assert_eq!(rewritten("SELECT 'soon'::interval"), "SELECT 'soon'::INTERVAL");
    }
}
