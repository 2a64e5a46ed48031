//! Values as a column takes them: PostgreSQL's assignment in INSERT and EXECUTE.
//!
//! A value that is written out is cast on the tree, before it is planned, so that a quoted literal is read by the column's input
//! function, in the session's time zone, and a fraction is rounded as a cast rounds it. What a query computes has a type already
//! and is brought to the column's.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type};
use datafusion::sql::sqlparser::ast::{CastKind, Expr, Query, SelectItem, SetExpr, Value};

use crate::error::Report;
use crate::pg_format::zone::Zone;
use crate::pg_format::{characters, clocks, precision};
use crate::pg_type::PgType;
use crate::plan;

/// The expression, cast to the type of this column.
pub(super) fn assigned(expression: Expr, column: &Field) -> Expr {
    if matches!(&expression, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default")) {
        return expression;
    }
    let pg_type = PgType::of(column);
    // A text's length is not that of a cast, which would cut it: what is too long is found when the row is there.
    let typmod = if pg_type.element().unwrap_or(pg_type).category() == 'S' { -1 } else { PgType::typmod(column) };
    match crate::sql::parse_type(&pg_type.format(typmod)) {
        Some(data_type) => Expr::Cast { kind: CastKind::Cast, expr: Box::new(expression), data_type, array: false, format: None },
        None => expression,
    }
}

/// The source of an INSERT with what is written out in it cast to the columns that it fills.
pub(super) fn source(query: &mut Query, columns: &[&Field]) {
    let written = |expression: &Expr| matches!(expression, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    match query.body.as_mut() {
        SetExpr::Values(values) => {
            for row in &mut values.rows {
                for (expression, column) in row.iter_mut().zip(columns) {
                    *expression = assigned(expression.clone(), column);
                }
            }
        }
        SetExpr::Select(select) if select.distinct.is_none() => {
            for (item, column) in select.projection.iter_mut().zip(columns) {
                match item {
                    SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } if written(expression) => {
                        *expression = assigned(expression.clone(), column);
                    }
                    SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {}
                    // What follows a star has no place that is known yet.
                    _ => break,
                }
            }
        }
        _ => {}
    }
}

/// A column of a result, as one of a table: text of no more than its characters, a `char(n)` without its blanks where it becomes another,
/// moments by the clock of this zone.
pub(super) fn column(array: &ArrayRef, source: &Field, target: &Field, zone: Zone) -> Result<ArrayRef, Report> {
    let is_fixed = PgType::of(source) == PgType::BPCHAR && PgType::of(target) != PgType::BPCHAR;
    let array = if is_fixed { &characters::trimmed(array)? } else { array };
    characters::assigned(&precision::kept(&cast(array, target.data_type(), zone)?, target), target)
}

/// An array that was computed, as a column of this type: a fraction becomes the nearest whole number, a moment what the zone's clock shows.
pub(super) fn cast(array: &ArrayRef, data_type: &DataType, zone: Zone) -> Result<ArrayRef, Report> {
    use DataType::{Date32, Time64, Timestamp};
    match (array.data_type(), data_type) {
        (from, to) if from == to => return Ok(Arc::clone(array)),
        (Timestamp(_, Some(_)), Timestamp(_, None) | Date32 | Time64(_)) => return clocks::readings(array, zone, data_type),
        (Timestamp(_, None) | Date32, Timestamp(_, Some(_))) => {
            return cast(&clocks::instants(array, zone)?, data_type, zone);
        }
        _ => {}
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let plainly = |array: &ArrayRef, data_type: &DataType| {
        cast_with_options(array, data_type, &options).map_err(|failure| plan::without_position(&failure.into()))
    };
    if !data_type.is_integer() {
        return plainly(array, data_type);
    }
    let whole: ArrayRef = match array.data_type() {
        DataType::Float32 => Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even)),
        DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even)),
        DataType::Decimal128(precision, _) => plainly(array, &DataType::Decimal128(*precision, 0))?,
        _ => Arc::clone(array),
    };
    plainly(&whole, data_type)
}

/// Whether PostgreSQL assigns a value of one type to a column of another. Texts are not looked at: they may be literals, which have
/// no type of their own.
pub(super) fn is_possible(from: &DataType, to: &DataType) -> bool {
    let number = |data_type: &DataType| data_type.is_numeric();
    let time = |data_type: &DataType| data_type.is_temporal() && !matches!(data_type, DataType::Interval(_) | DataType::Duration(_));
    let boolean = |data_type: &DataType| matches!(data_type, DataType::Boolean);
    let pair = |one: &dyn Fn(&DataType) -> bool, other: &dyn Fn(&DataType) -> bool| one(from) && other(to) || other(from) && one(to);
    !(pair(&boolean, &number) || pair(&boolean, &time) || pair(&number, &time))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Float64Array, Int16Array, Int32Array};

    use super::*;

    #[test]
    fn fractions_are_rounded() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(7.6), Some(2.5), Some(-0.5), None]));
        assert_eq!(
            cast(&floats, &DataType::Int16, Zone::UTC).unwrap().as_primitive(),
            &Int16Array::from(vec![Some(8), Some(2), Some(0), None])
        );
        let decimals: ArrayRef = Arc::new(Decimal128Array::from(vec![250, -151]).with_precision_and_scale(10, 2).unwrap());
        assert_eq!(cast(&decimals, &DataType::Int32, Zone::UTC).unwrap().as_primitive(), &Int32Array::from(vec![3, -2]));
    }
}
