//! Literals as PostgreSQL reads them, where the engine reads them otherwise.
//!
//! - A small integer that is a result column or a value by itself is an `int4`. Inside expressions it stays as wide as it was:
//!   there the engine's narrower arithmetic would overflow without telling.
//! - `1e15::float8` is the double nearest to the digits; by way of a decimal it would not be.
//! - `'\x01ff'::bytea` is two bytes, not the six that are written.
//! - Intervals in all of PostgreSQL's spellings. What is no interval stays as it is, for the engine to refuse.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Query, Select, SelectItem, SetExpr, Statement, TypedString, UnaryOperator, Value, ValueWithSpan, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::sql::interval;

/// Rewrites the literals of a statement.
pub fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Literals);
}

struct Literals;

impl VisitorMut for Literals {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        integers_of(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some(literal) = cast(expression) {
            *expression = literal;
        }
        ControlFlow::Continue(())
    }
}

fn integers_of(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => integers_of_columns(select),
        SetExpr::Values(values) => values.rows.iter_mut().flat_map(|row| row.content.iter_mut()).for_each(integer),
        SetExpr::SetOperation { left, right, .. } => {
            integers_of(left);
            integers_of(right);
        }
        _ => {}
    }
}

fn integers_of_columns(select: &mut Select) {
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => integer(expression),
            _ => {}
        }
    }
}

/// Makes a bare integer that fits an `int4`.
fn integer(expression: &mut Expr) {
    if let Expr::Array(array) = expression {
        array.elem.iter_mut().for_each(integer);
        return;
    }
    if let Expr::Case { conditions, else_result, .. } = expression {
        conditions.iter_mut().for_each(|when| integer(&mut when.result));
        else_result.iter_mut().for_each(|otherwise| integer(otherwise));
        return;
    }
    let negative = matches!(expression, Expr::UnaryOp { op: UnaryOperator::Minus, .. });
    let digits = match &*expression {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => expr.as_ref(),
        other => other,
    };
    let Expr::Value(ValueWithSpan { value: Value::Number(digits, false), .. }) = digits else { return };
    let fits = digits.parse::<i64>().is_ok_and(|number| i32::try_from(if negative { -number } else { number }).is_ok());
    if fits {
        let inner = std::mem::replace(expression, Expr::value(Value::Null));
        *expression =
            Expr::Cast { kind: CastKind::Cast, expr: Box::new(inner), data_type: DataType::Int(None), array: false, format: None };
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
            Some(Expr::Cast { kind: CastKind::Cast, expr: Box::new(text), data_type: data_type.clone(), array: false, format: None })
        }
        (value, DataType::Bytea) => {
            let hex: String = bytes_of(text_of(value)?)?.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(Expr::Value(Value::HexStringLiteral(hex).with_span(Span::empty())))
        }
        (value, DataType::Interval { fields: None, precision: None }) => interval_of(text_of(value)?),
        _ => None,
    }
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

/// `\x` and pairs of digits, or text in which a backslash begins three octal digits or another backslash.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Option<Vec<u32>> = hex.chars().filter(|c| !c.is_ascii_whitespace()).map(|c| c.to_digit(16)).collect();
        let pairs = digits?;
        return (pairs.len() % 2 == 0).then(|| pairs.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            bytes.push(*byte);
        } else if let Some(after) = rest.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = after;
        } else {
            let (digits, after) = rest.split_at_checked(3)?;
            let octal = digits.iter().try_fold(0_u32, |value, digit| char::from(*digit).to_digit(8).map(|digit| value * 8 + digit))?;
            bytes.push(u8::try_from(octal).ok()?);
            rest = after;
        }
    }
    Some(bytes)
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
    fn bare_integers_are_narrow() {
        assert_eq!(rewritten("SELECT 1, -2 AS b, 3000000000, 1 + 1"), "SELECT CAST(1 AS INT), CAST(-2 AS INT) AS b, 3000000000, 1 + 1");
        assert_eq!(rewritten("SELECT a FROM t ORDER BY 1 LIMIT 2"), "SELECT a FROM t ORDER BY 1 LIMIT 2");
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
