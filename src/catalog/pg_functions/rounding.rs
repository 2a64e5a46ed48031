//! `round` of a double goes to the even neighbour of a half, as IEEE and PostgreSQL have it; of a numeric away from zero.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use crate::error::{Report, SqlState};

/// Digits of a numeric.
const PRECISION: u8 = 38;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Builtin::function("round", round_types, round)]
}

fn round_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let number = match arguments.first()? {
        DataType::Null => DataType::Float64,
        // Integers are rounded as doubles, numerics stay what they are.
        number if number.is_floating() || number.is_integer() => DataType::Float64,
        number @ DataType::Decimal128(..) => number.clone(),
        number if number.is_decimal() => DataType::Decimal128(PRECISION, 10),
        _ => return None,
    };
    match arguments {
        [_] => {
            let answer = if number.is_decimal() { DataType::Decimal128(PRECISION, 0) } else { number.clone() };
            Some((vec![number], answer))
        }
        // A double has no decimal places to round to; PostgreSQL has no such function, and clients use it all the same.
        [_, digits] if digits.is_integer() || *digits == DataType::Null => Some((vec![number.clone(), DataType::Int64], number)),
        _ => None,
    }
}

fn round(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let Some(numbers) = arguments.first() else { return Err(Report::new(SqlState::UNDEFINED_FUNCTION, "function round() does not exist")) };
    let failed = |error: arrow::error::ArrowError| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, error.to_string());
    let digits = arguments.get(1).map(|digits| digits.as_primitive::<Int64Type>());
    if let DataType::Decimal128(precision, scale) = numbers.data_type() {
        let Some(digits) = digits else {
            return cast(numbers, &DataType::Decimal128(PRECISION, 0)).map_err(failed);
        };
        let (precision, scale) = (*precision, *scale);
        let numbers = numbers.as_primitive::<arrow::datatypes::Decimal128Type>();
        let rounded: arrow::array::Decimal128Array =
            numbers.iter().zip(digits.iter()).map(|(number, digits)| Some(to_digits(number?, scale, digits?))).collect();
        return Ok(Arc::new(rounded.with_precision_and_scale(precision, scale).map_err(failed)?));
    }
    let numbers = numbers.as_primitive::<Float64Type>();
    Ok(match digits {
        None => Arc::new(numbers.unary::<_, Float64Type>(f64::round_ties_even)),
        Some(digits) => {
            let place = |number: f64, digits: i64| {
                let power = 10_f64.powi(digits.clamp(-308, 308) as i32);
                let rounded = (number * power).round() / power;
                if rounded.is_finite() { rounded } else { number }
            };
            let rounded: arrow::array::Float64Array =
                numbers.iter().zip(digits.iter()).map(|(number, digits)| Some(place(number?, digits?))).collect();
            Arc::new(rounded)
        }
    })
}

/// Half away from zero at so many digits behind the point (before it, if negative); the scale stays.
fn to_digits(number: i128, scale: i8, digits: i64) -> i128 {
    let cut = i64::from(scale).saturating_sub(digits);
    if cut <= 0 {
        return number;
    }
    let Some(unit) = u32::try_from(cut).ok().and_then(|cut| 10_i128.checked_pow(cut)) else { return 0 };
    let rest = number % unit;
    let floor = number - rest;
    if rest.unsigned_abs() * 2 >= unit.unsigned_abs() { floor.saturating_add(unit * number.signum()) } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_digits_can_be_asked_for() {
        for (digits, rounded) in [(i64::MAX, 12_345), (1, 12_350), (0, 12_300), (-1, 12_000), (-2, 10_000), (-3, 0), (i64::MIN, 0)] {
            assert_eq!(to_digits(12_345, 2, digits), rounded, "{digits} digits");
        }
        assert_eq!(to_digits(-12_350, 2, 0), -12_400);
    }
}
