//! Moments of a declared precision: `timestamp(0)`, `timestamptz(3)`, `time(2)` keep so many digits of a second, halves rounded
//! away from the zero that PostgreSQL counts from, which of timestamps is the beginning of the year 2000.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType};

use crate::civil::POSTGRES_EPOCH_MICROS;
use crate::pg_type::PgType;

/// The digits that a field's type keeps, if fewer than all six.
pub(crate) fn digits(field: &Field) -> Option<u32> {
    u32::try_from(PgType::typmod(field)).ok().filter(|digits| is_moment(PgType::of(field)) && *digits < 6)
}

/// Whether a type may name the digits of a second that it keeps.
pub(crate) fn is_moment(pg_type: PgType) -> bool {
    matches!(pg_type, PgType::TIMESTAMP | PgType::TIMESTAMPTZ | PgType::TIME)
}

/// The moments with no more digits than the field's type keeps.
pub(crate) fn kept(array: &ArrayRef, field: &Field) -> ArrayRef {
    let Some(digits) = digits(field) else { return Arc::clone(array) };
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let rounded: PrimitiveArray<TimestampMicrosecondType> = rounded(array, digits, POSTGRES_EPOCH_MICROS);
            Arc::new(rounded.with_data_type(array.data_type().clone()))
        }
        DataType::Time64(TimeUnit::Microsecond) => Arc::new(rounded::<Time64MicrosecondType>(array, digits, 0)),
        _ => Arc::clone(array),
    }
}

/// Halves go away from `zero`.
fn rounded<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef, digits: u32, zero: i64) -> PrimitiveArray<T> {
    let unit = 10_i64.pow(6 - digits);
    array.as_primitive::<T>().unary(|micros| {
        let distance = micros.saturating_sub(zero);
        let half = unit / 2 * distance.signum();
        match micros {
            i64::MAX | i64::MIN => micros,
            _ => (distance.saturating_add(half) / unit * unit).saturating_add(zero),
        }
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::TimestampMicrosecondArray;

    use super::*;
    use crate::pg_type::PG_TYPMOD_KEY;

    #[test]
    fn halves_go_away_from_zero() {
        let field = PgType::TIMESTAMP.arrow_field("t").with_metadata([(PG_TYPMOD_KEY.to_owned(), "3".to_owned())].into());
        let given: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
            Some(1_500),
            Some(-1_500),
            Some(POSTGRES_EPOCH_MICROS + 1_500),
            Some(i64::MAX),
            None,
        ]));
        let wanted =
            TimestampMicrosecondArray::from(vec![Some(1_000), Some(-2_000), Some(POSTGRES_EPOCH_MICROS + 2_000), Some(i64::MAX), None]);
        assert_eq!(kept(&given, &field).as_primitive::<TimestampMicrosecondType>(), &wanted);
        assert_eq!(digits(&PgType::TIMESTAMP.arrow_field("t")), None);
    }
}
