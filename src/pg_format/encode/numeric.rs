//! Decimals as numeric: every digit of the scale in text, groups of four digits in binary. The widest decimal is a numeric whose scale
//! only its values know, and shows no zeros at the end.

use arrow::array::Array;
use arrow::datatypes::{DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type};

use super::number::primitive;
use super::{AnyCell, Format, unsupported};
use crate::error::Report;

/// Binary numeric's sign words.
const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;

/// Any decimal array.
pub(super) fn numeric<'a>(array: &'a dyn Array, format: Format) -> Result<AnyCell<'a>, Report> {
    let write = if format == Format::Text { write_text } else { write_binary };
    Ok(match *array.data_type() {
        DataType::Decimal32(_, scale) => primitive::<Decimal32Type, _>(array, move |value, out| {
            write(value < 0, itoa::Buffer::new().format(value.unsigned_abs()).as_bytes(), scale, out);
            Ok(())
        }),
        DataType::Decimal64(_, scale) => primitive::<Decimal64Type, _>(array, move |value, out| {
            write(value < 0, itoa::Buffer::new().format(value.unsigned_abs()).as_bytes(), scale, out);
            Ok(())
        }),
        DataType::Decimal128(_, scale) => primitive::<Decimal128Type, _>(array, move |value, out| {
            match u64::try_from(value.unsigned_abs()) {
                // Dividing 64 bits is several times cheaper, and most values fit.
                Ok(small) => write(value < 0, itoa::Buffer::new().format(small).as_bytes(), scale, out),
                Err(_) => write(value < 0, itoa::Buffer::new().format(value.unsigned_abs()).as_bytes(), scale, out),
            }
            Ok(())
        }),
        DataType::Decimal256(_, scale) => primitive::<Decimal256Type, _>(array, move |value, out| {
            let digits = value.to_string();
            let digits = digits.trim_start_matches('-').as_bytes();
            let zeros = digits.iter().rev().take(scale.max(0) as usize).take_while(|digit| **digit == b'0').count();
            match digits {
                [b'0'] => write(false, digits, 0, out),
                _ => write(value.is_negative(), &digits[..digits.len() - zeros], scale - zeros as i8, out),
            }
            Ok(())
        }),
        ref other => return Err(unsupported(other)),
    })
}

/// `-12.50` from its digits and scale.
pub(super) fn write_text(negative: bool, digits: &[u8], scale: i8, out: &mut Vec<u8>) {
    let zero = digits == b"0";
    if negative && !zero {
        out.push(b'-');
    }
    if scale <= 0 {
        out.extend_from_slice(digits);
        if !zero {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        return;
    }
    let scale = scale as usize;
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// Groups of four decimal digits around the point, without zero groups at the ends: count, weight, sign, scale, groups.
pub(super) fn write_binary(negative: bool, digits: &[u8], scale: i8, out: &mut Vec<u8>) {
    let fraction_digits = usize::from(scale.max(0).unsigned_abs());
    let extra_zeros = usize::from(scale.min(0).unsigned_abs());
    let whole_digits = digits.len().saturating_sub(fraction_digits) + if scale < 0 { extra_zeros } else { 0 };
    // The digit at a place counted from the point: 0 is the units, -1 the tenths.
    let digit_at = |place: i64| -> u16 {
        let from_end = place + fraction_digits as i64 - extra_zeros as i64;
        if from_end < 0 || from_end >= digits.len() as i64 {
            return 0;
        }
        u16::from(digits[digits.len() - 1 - from_end as usize] - b'0')
    };
    let group = |weight: i64| (0..4).rev().fold(0_u16, |sum, place| sum * 10 + digit_at(weight * 4 + place));
    let mut first = whole_digits.div_ceil(4) as i64 - 1;
    let mut last = -(fraction_digits.div_ceil(4) as i64);
    while first >= last && group(first) == 0 {
        first -= 1;
    }
    while last <= first && group(last) == 0 {
        last += 1;
    }
    let count = (first - last + 1).max(0);
    let (weight, sign) = if count == 0 { (0, POSITIVE) } else { (first, if negative { NEGATIVE } else { POSITIVE }) };
    out.extend_from_slice(&(count as i16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(fraction_digits as i16).to_be_bytes());
    for weight in (last..=first).rev() {
        out.extend_from_slice(&group(weight).to_be_bytes());
    }
}
