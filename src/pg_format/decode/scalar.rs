//! The text forms of numbers, booleans, bytea, uuid and json.

use std::ops::RangeInclusive;

use arrow::datatypes::i256;

use super::{Value, invalid};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// Digits that a numeric can have here; PostgreSQL's has no bound worth naming.
const MAX_DIGITS: usize = 76;

/// `t`, `true`, `yes`, `on`, `1` and their opposites, and unambiguous beginnings of the words.
pub(super) fn boolean(text: &str) -> Result<bool, Report> {
    let word = text.trim().to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid(PgType::BOOL, text))
    }
}

/// A decimal integer within a type's range.
pub(super) fn integer(text: &str, pg_type: PgType, range: RangeInclusive<i64>) -> Result<i64, Report> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(pg_type, text));
    }
    trimmed
        .parse::<i64>()
        .ok()
        .filter(|value| range.contains(value))
        .ok_or_else(|| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{text}\" is out of range for type {pg_type}")))
}

/// An oid; the names that `regclass` and its kin allow need the catalog, which the wire does not know.
pub(super) fn oid(text: &str, pg_type: PgType) -> Result<i64, Report> {
    if text.trim() == "-" && pg_type != PgType::OID {
        return Ok(0);
    }
    let value = integer(text, pg_type, i64::from(i32::MIN)..=i64::from(u32::MAX))?;
    Ok(i64::from(value as u32))
}

/// A float8; what is too large or too small to be told from zero is out of range, as in PostgreSQL.
pub(super) fn float8(text: &str) -> Result<f64, Report> {
    let number = float_text(text, PgType::FLOAT8)?;
    let value: f64 = number.parse().map_err(|_| invalid(PgType::FLOAT8, text))?;
    in_range(value.is_infinite(), value == 0.0, number, text, PgType::FLOAT8)?;
    Ok(value)
}

/// A float4.
pub(super) fn float4(text: &str) -> Result<f32, Report> {
    let number = float_text(text, PgType::FLOAT4)?;
    let value: f32 = number.parse().map_err(|_| invalid(PgType::FLOAT4, text))?;
    in_range(value.is_infinite(), value == 0.0, number, text, PgType::FLOAT4)?;
    Ok(value)
}

/// The number in what may be surrounded by blanks, if Rust's parser and PostgreSQL's agree on it.
fn float_text(text: &str, pg_type: PgType) -> Result<&str, Report> {
    let trimmed = text.trim();
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let word = ["inf", "infinity", "nan"].iter().any(|word| word.eq_ignore_ascii_case(unsigned));
    let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if word || number { Ok(trimmed) } else { Err(invalid(pg_type, text)) }
}

fn in_range(infinite: bool, zero: bool, number: &str, text: &str, pg_type: PgType) -> Result<(), Report> {
    let names_infinity = number.contains(['i', 'I']);
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let nonzero = mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if (infinite && !names_infinity) || (zero && nonzero) {
        return Err(Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{text}\" is out of range for type {pg_type}")));
    }
    Ok(())
}

/// A numeric with its own scale.
pub(super) fn numeric(text: &str) -> Result<Value, Report> {
    let wrong = || invalid(PgType::NUMERIC, text);
    let trimmed = text.trim();
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if ["nan", "inf", "infinity"].iter().any(|word| word.eq_ignore_ascii_case(unsigned)) {
        return Err(not_a_decimal(trimmed));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if (whole.is_empty() && fraction.is_empty()) || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    // Leading zeros count for nothing, and must not count against the limit.
    let digits = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0');
    let scale = fraction.len() as i64 - i64::from(exponent);
    let zeros = scale.min(0).unsigned_abs();
    if zeros > MAX_DIGITS as u64 || significant.len() + zeros as usize > MAX_DIGITS || scale > MAX_DIGITS as i64 {
        return Err(too_many_digits());
    }
    let mut number = if trimmed.starts_with('-') { "-".to_owned() } else { String::new() };
    number.push_str(if significant.is_empty() { "0" } else { significant });
    number.extend(std::iter::repeat_n('0', zeros as usize));
    Ok(Value::Decimal(i256::from_string(&number).ok_or_else(wrong)?, scale.max(0) as i8))
}

pub(super) fn too_many_digits() -> Report {
    Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
        .detail(format!("A numeric can have {MAX_DIGITS} digits here."))
}

pub(super) fn not_a_decimal(text: &str) -> Report {
    Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{text}\" cannot be represented as numeric")).hint("Use double precision.")
}

/// Hexadecimal behind `\x`, or the escape format.
pub(super) fn bytea(text: &str) -> Result<Vec<u8>, Report> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let mut out = Vec::new();
        let mut high = None;
        for c in hex.chars() {
            if c.is_ascii_whitespace() && high.is_none() {
                continue;
            }
            let digit = c.to_digit(16).ok_or_else(|| invalid_hex(&format!("invalid hexadecimal digit: \"{c}\"")))? as u8;
            match high.take() {
                None => high = Some(digit),
                Some(high) => out.push(high << 4 | digit),
            }
        }
        return if high.is_none() { Ok(out) } else { Err(invalid_hex("invalid hexadecimal data: odd number of digits")) };
    }
    let mut out = Vec::new();
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        bytes = match (first, rest) {
            (b'\\', [b'\\', rest @ ..]) => {
                out.push(b'\\');
                rest
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            (b'\\', _) => return Err(Report::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")),
            (plain, rest) => {
                out.push(*plain);
                rest
            }
        };
    }
    Ok(out)
}

fn invalid_hex(message: &str) -> Report {
    Report::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Thirty-two hexadecimal digits, hyphens between groups of four, braces around.
pub(super) fn uuid(text: &str) -> Result<Vec<u8>, Report> {
    let wrong = || invalid(PgType::UUID, text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(wrong)?,
        None => text,
    };
    let mut out = Vec::with_capacity(16);
    let mut bytes = inner.as_bytes();
    while out.len() < 16 {
        let [high, low, rest @ ..] = bytes else { return Err(wrong()) };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(wrong);
        out.push((digit(*high)? << 4 | digit(*low)?) as u8);
        bytes = match rest {
            [b'-', rest @ ..] if out.len() % 2 == 0 && out.len() < 16 => rest,
            rest => rest,
        };
    }
    if bytes.is_empty() { Ok(out) } else { Err(wrong()) }
}

/// Text that parses as JSON, as it came.
pub(super) fn json(text: &str, pg_type: PgType) -> Result<String, Report> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) if pg_type == PgType::JSONB => crate::pg_format::jsonb::normal(text),
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Report::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {pg_type}"))
            .detail(format!("{error}."))),
    }
}
