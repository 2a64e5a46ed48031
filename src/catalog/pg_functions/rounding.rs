//! `round` of a double goes to the even neighbour of a half, as IEEE and PostgreSQL have it; of a numeric away from zero.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, AsArray, Int64Array, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, DecimalType, Float64Type, Int64Type};
use arrow::error::ArrowError;
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
        number @ (DataType::Decimal128(..) | DataType::Decimal256(..)) => number.clone(),
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => DataType::Decimal128(PRECISION, *scale),
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
    let failed = |error: ArrowError| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, error.to_string());
    let digits = arguments.get(1).map(|digits| digits.as_primitive::<Int64Type>());
    match (numbers.data_type(), digits) {
        (decimal, None) if decimal.is_decimal() => {
            let checked = CastOptions { safe: false, ..CastOptions::default() };
            return cast_with_options(numbers, &DataType::Decimal128(PRECISION, 0), &checked).map_err(failed);
        }
        (DataType::Decimal128(_, scale), Some(digits)) => return places::<Decimal128Type>(numbers, *scale, digits).map_err(failed),
        (DataType::Decimal256(_, scale), Some(digits)) => return places::<Decimal256Type>(numbers, *scale, digits).map_err(failed),
        _ => {}
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

/// Each number to the digits that stand beside it.
fn places<T: DecimalType>(numbers: &ArrayRef, scale: i8, digits: &Int64Array) -> Result<ArrayRef, ArrowError> {
    let pairs = numbers.as_primitive::<T>().iter().zip(digits.iter());
    let rounded: PrimitiveArray<T> = pairs.map(|(number, digits)| Some(to_digits(number?, scale, digits?))).collect();
    Ok(Arc::new(rounded.with_data_type(numbers.data_type().clone())))
}

/// Half away from zero at so many digits behind the point (before it, if negative); the scale stays.
fn to_digits<T: ArrowNativeTypeOp>(number: T, scale: i8, digits: i64) -> T {
    let cut = i64::from(scale).saturating_sub(digits);
    if cut <= 0 {
        return number;
    }
    let power = u32::try_from(cut).ok().and_then(|cut| T::usize_as(10).pow_checked(cut).ok());
    let Some(unit) = power else { return T::ZERO };
    let rest = number.mod_wrapping(unit);
    let floor = number.sub_wrapping(rest);
    let half = unit.div_wrapping(T::usize_as(2));
    if rest.is_ge(half) {
        floor.add_wrapping(unit)
    } else if rest.is_le(half.neg_wrapping()) {
        floor.sub_wrapping(unit)
    } else {
        floor
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::i256;

    use super::*;

    #[test]
    fn any_number_of_digits_can_be_asked_for() {
        for (digits, rounded) in [(i64::MAX, 12_345_i128), (1, 12_350), (0, 12_300), (-1, 12_000), (-2, 10_000), (-3, 0), (i64::MIN, 0)] {
            assert_eq!(to_digits(12_345, 2, digits), rounded, "{digits} digits");
            assert_eq!(to_digits(i256::from_i128(-12_345), 2, digits), i256::from_i128(-rounded), "{digits} digits");
        }
        assert_eq!(to_digits(-12_350_i128, 2, 0), -12_400);
    }
}
