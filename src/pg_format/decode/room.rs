//! Whether a value has room in a column, by its declared size or its dimensions, asked where the value's place in the client's data is still known.
//!
//! The arrays that are made of many values refuse the same, but cannot say which one it was. Costs a look at the value's length, and
//! an array of one where that does not tell.

use arrow::datatypes::{DataType, Field};

use super::{Value, build};
use crate::error::Report;
use crate::pg_format::characters::{self, Length};
use crate::pg_type::{NUMERIC_PRECISION, PgType};

/// A column's room.
pub(crate) struct Room {
    field: Field,
    /// Bytes of text that fit whatever they are.
    bytes: usize,
    /// Digits before a number's point.
    digits: i32,
}

impl Room {
    /// That of a field, if values may be too large for it.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        let is_list = PgType::of(field).element().is_some();
        if let DataType::Decimal128(precision, scale) | DataType::Decimal256(precision @ 0..NUMERIC_PRECISION, scale) = field.data_type() {
            return Some(Self { field: field.clone(), bytes: 0, digits: i32::from(*precision) - i32::from(*scale) });
        }
        let bytes = match Length::of(field) {
            Some(Length::AtMost(length) | Length::Exactly(length)) => length,
            // An array may have more dimensions than there is room for.
            _ if is_list => usize::MAX,
            _ => return None,
        };
        Some(Self { field: field.clone(), bytes, digits: i32::MAX })
    }

    /// Whether it is seen at once that it fits: a text by its bytes, a number by its bits.
    fn is_short(&self, item: &Value) -> bool {
        match item {
            Value::Text(text) => text.len() <= self.bytes,
            // A bit is less than 78/256 of a digit; one digit is for what rounding carries.
            Value::Decimal(digits, scale) => {
                let bits = 256 - digits.wrapping_abs().leading_zeros() as i32;
                bits * 78 / 256 + 1 - i32::from(*scale) < self.digits
            }
            Value::Array(_) => false,
            _ => true,
        }
    }

    /// 22001, 22003 or 0A000 for a value that is too large.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Report> {
        match value {
            Value::Array(items) if items.iter().all(|item| self.is_short(item)) => Ok(()),
            value if self.is_short(value) => Ok(()),
            value => {
                let array = build(self.field.data_type(), std::slice::from_ref(value))?;
                characters::assigned(&array, &self.field).map(drop)
            }
        }
    }
}
