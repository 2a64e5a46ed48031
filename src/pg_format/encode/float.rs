//! Floating-point numbers: the shortest digits that read back as the same number, laid out as PostgreSQL does (`1`, `0.1`,
//! `1e+20`, `1.5e-07`, `Infinity`, `NaN`); with `extra_float_digits` below 1, that many digits as `%g` prints them.
//!
//! Of two equally short spellings PostgreSQL sometimes picks the other (1e23 is its 9.999999999999999e+22); both read back the same.

use std::io::Write;

use arrow::array::Array;
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};

use super::number::primitive;
use super::{AnyCell, Format, Style, unsupported};
use crate::error::Report;
use crate::pg_type::PgType;

/// Exponents from here on are written with an `e`: float8 and float4.
const DOUBLE_EXPONENT: i32 = 15;
const SINGLE_EXPONENT: i32 = 6;

/// Any float array.
pub(super) fn float<'a>(array: &'a dyn Array, pg_type: PgType, format: Format, style: &Style) -> Result<AnyCell<'a>, Report> {
    let digits = style.extra_float_digits;
    Ok(match (array.data_type(), format) {
        (DataType::Float64, Format::Text) => primitive::<Float64Type, _>(array, move |value, out| {
            write_double(value, digits, out);
            Ok(())
        }),
        (DataType::Float32, Format::Text) => primitive::<Float32Type, _>(array, move |value, out| {
            write_single(value, digits, out);
            Ok(())
        }),
        (DataType::Float16, Format::Text) => primitive::<Float16Type, _>(array, move |value, out| {
            write_single(value.to_f32(), digits, out);
            Ok(())
        }),
        (DataType::Float64, Format::Binary) if pg_type == PgType::FLOAT4 => primitive::<Float64Type, _>(array, |value, out| {
            out.extend_from_slice(&(value as f32).to_be_bytes());
            Ok(())
        }),
        (DataType::Float64, Format::Binary) => primitive::<Float64Type, _>(array, |value, out| {
            out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }),
        (DataType::Float32, Format::Binary) if pg_type == PgType::FLOAT8 => primitive::<Float32Type, _>(array, |value, out| {
            out.extend_from_slice(&f64::from(value).to_be_bytes());
            Ok(())
        }),
        (DataType::Float32, Format::Binary) => primitive::<Float32Type, _>(array, |value, out| {
            out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }),
        (DataType::Float16, Format::Binary) => primitive::<Float16Type, _>(array, |value, out| {
            out.extend_from_slice(&value.to_f32().to_be_bytes());
            Ok(())
        }),
        (other, _) => return Err(unsupported(other)),
    })
}

/// A float8 as text.
pub(super) fn write_double(value: f64, extra_digits: i32, out: &mut Vec<u8>) {
    if not_finite(value, out) {
    } else if extra_digits > 0 {
        lay_out(ryu::Buffer::new().format_finite(value).as_bytes(), DOUBLE_EXPONENT, out);
    } else {
        rounded(value, (15 + extra_digits).max(1) as usize, out);
    }
}

/// A float4 as text.
pub(super) fn write_single(value: f32, extra_digits: i32, out: &mut Vec<u8>) {
    if not_finite(f64::from(value), out) {
    } else if extra_digits > 0 {
        lay_out(ryu::Buffer::new().format_finite(value).as_bytes(), SINGLE_EXPONENT, out);
    } else {
        rounded(f64::from(value), (6 + extra_digits).max(1) as usize, out);
    }
}

fn not_finite(value: f64, out: &mut Vec<u8>) -> bool {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
    !value.is_finite()
}

/// `%.*g`.
fn rounded(value: f64, digits: usize, out: &mut Vec<u8>) {
    let scientific = format!("{:.*e}", digits - 1, value);
    lay_out(scientific.as_bytes(), digits as i32, out);
}

/// Takes a number in any notation apart into its significant digits and decimal exponent and writes it in PostgreSQL's.
fn lay_out(number: &[u8], exponent_limit: i32, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 40];
    let mut count = 0;
    let (mut point, mut exponent, mut leading) = (None, 0_i32, true);
    let (mut whole, mut leading_zeros) = (0_i32, 0_i32);
    let mut bytes = number;
    if let [b'-', rest @ ..] = bytes {
        out.push(b'-');
        bytes = rest;
    }
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'.' => point = Some(index),
            b'e' | b'E' => {
                exponent = std::str::from_utf8(&bytes[index + 1..]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
                break;
            }
            digit => {
                if leading && *digit == b'0' {
                    leading_zeros += i32::from(point.is_some());
                } else {
                    leading = false;
                    if count < digits.len() {
                        digits[count] = *digit;
                        count += 1;
                    }
                    whole += i32::from(point.is_none());
                }
            }
        }
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    if count == 0 {
        out.push(b'0');
        return;
    }
    let digits = &digits[..count];
    // The exponent in d.ddd form.
    let exponent = exponent + if whole > 0 { whole - 1 } else { -leading_zeros - 1 };
    if exponent < -4 || exponent >= exponent_limit {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        // Writing to a Vec cannot fail.
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        if count <= whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - count, b'0');
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}
