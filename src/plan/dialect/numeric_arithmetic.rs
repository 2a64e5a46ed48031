//! Products and quotients of numerics.
//!
//! A product has both factors' digits behind the point: where the engine's decimals have no room for them, and where a factor's scale is
//! known to its values only, it is a numeric of unknown scale, exact to that scale's last digit. A quotient of declared numerics has
//! sixteen digits behind the point or its operands', whichever is more; one of unknown scale has sixteen that count, as PostgreSQL chooses
//! them value by value. Out of range is 22003, a divisor of zero 22012. Costs some divisions of 256 bits per value of unknown scale.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal256Array};
use arrow::compute::kernels::numeric::{div, mul};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal256Type, i256};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::error::{Report, SqlState};
use crate::pg_type::{NUMERIC_PRECISION, NUMERIC_SCALE, PgType};

/// Digits behind the point of a quotient, and those that it is computed with before it is rounded.
const QUOTIENT_SCALE: i8 = 16;
const WORKING_SCALE: i8 = 18;
/// Digits of the engine's usual decimal, and those behind the point that leave enough before it.
const DECIMAL_DIGITS: u8 = 38;
const ROOMY_SCALE: i8 = 20;

/// Whether the operation is not the engine's.
pub(super) fn applies(op: Operator, left: &DataType, right: &DataType) -> bool {
    let exact = |of: &DataType| of.is_signed_integer() || of.is_decimal();
    if !(exact(left) && exact(right) && (left.is_decimal() || right.is_decimal())) {
        return false;
    }
    op == Operator::Divide || product(left, right).is_none()
}

/// The operation as a call.
pub(super) fn call(op: Operator, left: Expr, right: Expr) -> Expr {
    ScalarUDF::new_from_impl(NumericOperation { op, signature: Signature::any(2, Volatility::Immutable) }).call(vec![left, right])
}

/// The product's type, where the engine's is one that has room for it.
fn product(left: &DataType, right: &DataType) -> Option<DataType> {
    let wide = |of: &DataType| matches!(of, DataType::Decimal256(..));
    if wide(left) || wide(right) || scale(left) + scale(right) > ROOMY_SCALE {
        return None;
    }
    BinaryTypeCoercer::new(left, &Operator::Multiply, right).get_result_type().ok()
}

/// The quotient's type, where both operands' scales are known.
fn quotient(left: &DataType, right: &DataType) -> Option<DataType> {
    let wide = |of: &DataType| matches!(of, DataType::Decimal256(..));
    let wanted = QUOTIENT_SCALE.max(scale(left)).max(scale(right));
    (!wide(left) && !wide(right)).then_some(DataType::Decimal128(DECIMAL_DIGITS, wanted))
}

fn scale(of: &DataType) -> i8 {
    match of {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => (*scale).max(0),
        _ => 0,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NumericOperation {
    op: Operator,
    signature: Signature,
}

impl NumericOperation {
    fn known(&self, left: &DataType, right: &DataType) -> Option<DataType> {
        if self.op == Operator::Divide { quotient(left, right) } else { product(left, right) }
    }
}

impl ScalarUDFImpl for NumericOperation {
    fn name(&self) -> &str {
        if self.op == Operator::Divide { "numeric_div" } else { "numeric_mul" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [left, right] = arguments else { return Err(two_values()) };
        Ok(self.known(left, right).unwrap_or_else(|| PgType::NUMERIC.arrow()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = arguments.args.as_slice() else { return Err(two_values()) };
        let constant = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
        let array = match self.known(left.data_type(), right.data_type()) {
            Some(of) if self.op == Operator::Divide => divided(&left, &right, &of)?,
            Some(of) => multiplied(&left, &right, &of)?,
            None => self.by_value(&left, &right)?,
        };
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?) } else { ColumnarValue::Array(array) })
    }
}

impl NumericOperation {
    fn by_value(&self, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
        let (left, right) = (checked_cast(left, &PgType::NUMERIC.arrow())?, checked_cast(right, &PgType::NUMERIC.arrow())?);
        let (left, right) = (left.as_primitive::<Decimal256Type>(), right.as_primitive::<Decimal256Type>());
        let compute = if self.op == Operator::Divide { through } else { times };
        let answers = left.iter().zip(right.iter()).map(|(left, right)| match (left, right) {
            (Some(left), Some(right)) => compute(left, right).map(Some),
            _ => Ok(None),
        });
        let answers: Decimal256Array = answers.collect::<Result<_, Report>>().map_err(external)?;
        Ok(Arc::new(answers.with_precision_and_scale(NUMERIC_PRECISION, NUMERIC_SCALE)?))
    }
}

fn two_values() -> DataFusionError {
    DataFusionError::Internal("arithmetic takes two values".into())
}

fn external(report: Report) -> DataFusionError {
    DataFusionError::External(Box::new(report))
}

fn too_large() -> Report {
    Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
        .detail(format!("A numeric can have {} digits before the point here.", NUMERIC_PRECISION - NUMERIC_SCALE.unsigned_abs()))
}

fn checked_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let checked = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &checked).map_err(|_| external(too_large()))
}

fn multiplied(left: &ArrayRef, right: &ArrayRef, of: &DataType) -> Result<ArrayRef> {
    let (left_type, right_type) = BinaryTypeCoercer::new(left.data_type(), &Operator::Multiply, right.data_type()).get_input_types()?;
    let product = mul(&checked_cast(left, &left_type)?, &checked_cast(right, &right_type)?)?;
    checked_cast(&product, of)
}

/// Computed with 76 digits, so that neither operand's scale limits the quotient's.
fn divided(left: &ArrayRef, right: &ArrayRef, of: &DataType) -> Result<ArrayRef> {
    let dividend = checked_cast(left, &DataType::Decimal256(57, WORKING_SCALE.max(scale(left.data_type()))))?;
    let divisor = checked_cast(right, &DataType::Decimal256(DECIMAL_DIGITS, scale(right.data_type())))?;
    checked_cast(&div(&dividend, &divisor)?, of)
}

/// What one is at the unknown scale.
fn one() -> i256 {
    ten_to(NUMERIC_SCALE.unsigned_abs().into())
}

/// Powers up to the seventy-sixth fit.
fn ten_to(power: u32) -> i256 {
    i256::from_i128(10).wrapping_pow(power)
}

fn in_range(value: Option<i256>) -> Result<i256, Report> {
    let limit = ten_to(NUMERIC_PRECISION.into());
    value.filter(|value| *value < limit && *value > -limit).ok_or_else(too_large)
}

/// The product of two numbers of the unknown scale, by their whole parts and fractions: no part product needs more than 256 bits.
fn times(left: i256, right: i256) -> Result<i256, Report> {
    let one = one();
    let ((whole, part), (other_whole, other_part)) = ((left / one, left % one), (right / one, right % one));
    let sum = || {
        let wholes = whole.checked_mul(other_whole)?.checked_mul(one)?;
        let crossed = whole.checked_mul(other_part)?.checked_add(part.checked_mul(other_whole)?)?;
        let parts = rounded_quotient(part.checked_mul(other_part)?, one)?;
        wholes.checked_add(crossed)?.checked_add(parts)
    };
    in_range(sum())
}

/// The quotient of two numbers of the unknown scale, to as many digits as PostgreSQL gives it.
fn through(left: i256, right: i256) -> Result<i256, Report> {
    if right == i256::ZERO {
        return Err(Report::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
    }
    let digits = quotient_scale(left, right);
    let quotient = || {
        let quotient = match left.checked_mul(ten_to(digits)) {
            Some(dividend) => rounded_quotient(dividend, right)?,
            // Digit by digit, the last one rounded.
            None => {
                let (mut quotient, mut rest) = (left / right, left % right);
                for _ in 0..digits {
                    let tenfold = rest.checked_mul(i256::from_i128(10))?;
                    quotient = quotient.checked_mul(i256::from_i128(10))?.checked_add(tenfold / right)?;
                    rest = tenfold % right;
                }
                quotient.checked_add(rounded_quotient(rest, right)?)?
            }
        };
        quotient.checked_mul(ten_to(NUMERIC_SCALE.unsigned_abs() as u32 - digits))
    };
    in_range(quotient())
}

/// Half away from zero.
fn rounded_quotient(dividend: i256, divisor: i256) -> Option<i256> {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let up = magnitude(rest) >= magnitude(divisor) - magnitude(rest);
    let negative = (dividend < i256::ZERO) != (divisor < i256::ZERO);
    match (up, negative) {
        (false, _) => Some(quotient),
        (true, false) => quotient.checked_add(i256::ONE),
        (true, true) => quotient.checked_sub(i256::ONE),
    }
}

fn magnitude(value: i256) -> i256 {
    if value < i256::ZERO { -value } else { value }
}

/// PostgreSQL counts in groups of four digits: at least sixteen digits that count, and the operands' own.
fn quotient_scale(left: i256, right: i256) -> u32 {
    let (weight, first) = leading_group(left);
    let (other_weight, other_first) = leading_group(right);
    let weight = weight - other_weight - i32::from(first <= other_first);
    let own = own_scale(left).max(own_scale(right));
    let wanted = (i32::from(QUOTIENT_SCALE) - weight * 4).max(own as i32).max(0);
    (wanted as u32).min(NUMERIC_SCALE.unsigned_abs().into())
}

/// The power of ten thousand that a number begins with, and how many of it.
fn leading_group(value: i256) -> (i32, i32) {
    let digits = magnitude(value).to_string();
    if value == i256::ZERO {
        return (0, 0);
    }
    let power = digits.len() as i32 - 1 - i32::from(NUMERIC_SCALE);
    let weight = power.div_euclid(4);
    let length = (power - weight * 4 + 1) as usize;
    let group = digits.bytes().chain(std::iter::repeat(b'0')).take(length).fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    (weight, group)
}

/// Digits behind the point without zeros at the end.
fn own_scale(value: i256) -> usize {
    let digits = value.to_string();
    let zeros = digits.bytes().rev().take(NUMERIC_SCALE as usize).take_while(|digit| *digit == b'0').count();
    if value == i256::ZERO { 0 } else { NUMERIC_SCALE as usize - zeros }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> i256 {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        i256::from_string(&format!("{whole}{fraction:0<38}")).unwrap()
    }

    /// PostgreSQL's answers.
    #[test]
    fn products_and_quotients_are_postgresqls() {
        for (left, right, product) in [
            ("1.5", "2.5", "3.75"),
            ("-0.00000000001", "0.5", "-0.000000000005"),
            ("12345678901234567.5", "98765432109876543.25", "1219326311370217914212772434308794.375"),
            ("0.33333333333333333333333333333333333333", "3", "0.99999999999999999999999999999999999999"),
            ("12345678901234567890.12345678901234567890", "0.000000001", "12345678901.2345678901234567890123456789"),
        ] {
            assert_eq!(times(number(left), number(right)), Ok(number(product)), "{left} * {right}");
        }
        for (left, right, quotient) in [
            ("1", "3", "0.33333333333333333333"),
            ("10", "3", "3.3333333333333333"),
            ("-2", "3", "-0.66666666666666666667"),
            ("0.00000000001", "3", "0.0000000000033333333333333333"),
            ("123456789.5", "0.001", "123456789500"),
            ("100000000000000000000", "7", "14285714285714285714"),
            ("10000000000000000000000000000000000000", "0.3", "33333333333333333333333333333333333333.3"),
            ("0", "5", "0"),
        ] {
            assert_eq!(through(number(left), number(right)), Ok(number(quotient)), "{left} / {right}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let large = number("10000000000000000000000000000000000000");
        assert_eq!(times(large, large).unwrap_err().sqlstate, SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(times(large, number("100")).unwrap_err().sqlstate, SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(through(large, number("0.01")).unwrap_err().sqlstate, SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(through(large, i256::ZERO).unwrap_err().sqlstate, SqlState::DIVISION_BY_ZERO);
    }
}
