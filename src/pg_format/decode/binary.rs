//! The binary forms. Every length is checked against the bytes that are there; what is too short is 08P01, as in PostgreSQL, what is too long
//! or contradicts itself 22P03.

use arrow::datatypes::i256;

use super::scalar::{not_a_decimal, too_many_digits};
use super::{Value, scalar, utf8};
use crate::civil::{DAY_MICROS, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// PostgreSQL's own bound on dimensions.
const MAX_DIMENSIONS: i32 = 6;
/// Groups of four digits that 76 digits can touch, with one to spare at either side of the point.
const MAX_GROUPS: i64 = 40;

/// Bytes being read.
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Report> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(too_short)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Report> {
        self.take(N)?.try_into().map_err(|_| incorrect())
    }

    fn i16(&mut self) -> Result<i16, Report> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, Report> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, Report> {
        self.array().map(i64::from_be_bytes)
    }
}

fn too_short() -> Report {
    Report::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}

fn incorrect() -> Report {
    Report::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
}

/// Reads a value of this type; all of the bytes are it.
pub(super) fn parse(pg_type: PgType, bytes: &[u8], depth: usize) -> Result<Value, Report> {
    let mut cursor = Cursor { bytes };
    let element = match pg_type {
        PgType::INT2VECTOR => Some(PgType::INT2),
        PgType::OIDVECTOR => Some(PgType::OID),
        other => other.element(),
    };
    if let Some(element) = element {
        let value = array(&mut cursor, element, depth)?;
        return if cursor.bytes.is_empty() { Ok(value) } else { Err(incorrect()) };
    }
    let value = match pg_type {
        PgType::BOOL => Value::Bool(cursor.array::<1>()? != [0]),
        PgType::INT2 => Value::Int(i64::from(cursor.i16()?)),
        PgType::INT4 => Value::Int(i64::from(cursor.i32()?)),
        PgType::INT8 | PgType::XID8 | PgType::PG_LSN => Value::Int(cursor.i64()?),
        PgType::FLOAT4 => Value::Float(f64::from(f32::from_be_bytes(cursor.array()?))),
        PgType::FLOAT8 => Value::Float(f64::from_be_bytes(cursor.array()?)),
        PgType::NUMERIC => numeric(&mut cursor)?,
        PgType::MONEY => Value::Decimal(i256::from_i128(i128::from(cursor.i64()?)), 2),
        PgType::DATE => Value::Date(match cursor.i32()? {
            extreme @ (i32::MAX | i32::MIN) => extreme,
            days => days.checked_add(POSTGRES_EPOCH_DAYS as i32).ok_or_else(|| out_of_range("date"))?,
        }),
        PgType::TIME | PgType::TIMETZ => {
            let micros = cursor.i64()?;
            if pg_type == PgType::TIMETZ {
                cursor.i32()?;
            }
            if !(0..=DAY_MICROS).contains(&micros) {
                return Err(out_of_range("time"));
            }
            Value::Time(micros)
        }
        PgType::TIMESTAMP | PgType::TIMESTAMPTZ => Value::Timestamp(match cursor.i64()? {
            extreme @ (i64::MAX | i64::MIN) => extreme,
            micros => micros.checked_add(POSTGRES_EPOCH_MICROS).ok_or_else(|| out_of_range("timestamp"))?,
        }),
        PgType::INTERVAL => {
            let micros = cursor.i64()?;
            let days = cursor.i32()?;
            Value::Interval(cursor.i32()?, days, micros)
        }
        PgType::UUID => Value::Bytes(cursor.take(16)?.to_vec()),
        PgType::BYTEA => return Ok(Value::Bytes(bytes.to_vec())),
        PgType::JSONB => {
            if cursor.take(1)? != [1] {
                return Err(Report::new(SqlState::INVALID_BINARY_REPRESENTATION, "unsupported jsonb version number"));
            }
            return Ok(Value::Text(scalar::json(utf8(cursor.bytes)?, pg_type)?));
        }
        PgType::JSON => return Ok(Value::Text(scalar::json(utf8(bytes)?, pg_type)?)),
        PgType::CHAR => return Ok(Value::Text(bytes.iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect())),
        other if other.is_oid_like() => Value::Int(i64::from(cursor.i32()? as u32)),
        _ => return Ok(Value::Text(utf8(bytes)?.to_owned())),
    };
    if cursor.bytes.is_empty() { Ok(value) } else { Err(incorrect()) }
}

fn out_of_range(what: &str) -> Report {
    Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

/// Count, weight, sign, scale, groups of four digits.
fn numeric(cursor: &mut Cursor<'_>) -> Result<Value, Report> {
    let count = i64::from(cursor.i16()? as u16);
    let weight = i64::from(cursor.i16()?);
    let sign = cursor.i16()? as u16;
    let scale = i64::from(cursor.i16()?);
    match sign {
        0 | 0x4000 => {}
        0xc000 => return Err(not_a_decimal("NaN")),
        0xd000 | 0xf000 => return Err(not_a_decimal("Infinity")),
        _ => return Err(Report::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid sign in external \"numeric\" value")),
    }
    if !(0..=0x3fff).contains(&scale) {
        return Err(Report::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid scale in external \"numeric\" value"));
    }
    if count > MAX_GROUPS || scale > 76 || weight.abs() > MAX_GROUPS {
        return Err(too_many_digits());
    }
    // All groups from the first down to the one that the scale ends in, as one number, and then cut to the scale.
    let mut digits = String::from(if sign == 0 { "" } else { "-" });
    let last_weight = -((scale + 3) / 4);
    for place in 0..count {
        let group = cursor.i16()?;
        if !(0..10_000).contains(&group) {
            return Err(Report::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid digit in external \"numeric\" value"));
        }
        if weight - place >= last_weight {
            digits.push_str(&format!("{group:04}"));
        }
    }
    let shown = (weight - last_weight + 1).max(0) as usize * 4;
    let given = digits.trim_start_matches('-').len();
    digits.extend(std::iter::repeat_n('0', shown.saturating_sub(given)));
    let surplus = (-last_weight * 4 - scale).max(0) as usize;
    let number = digits.get(..digits.len().saturating_sub(surplus)).unwrap_or("");
    if number.trim_start_matches('-').trim_start_matches('0').is_empty() {
        return Ok(Value::Decimal(i256::ZERO, scale as i8));
    }
    if number.trim_start_matches('-').trim_start_matches('0').len() > 76 {
        return Err(too_many_digits());
    }
    Ok(Value::Decimal(i256::from_string(number).ok_or_else(too_many_digits)?, scale as i8))
}

/// Dimensions, a flag, the element's oid, lengths and bounds, elements.
fn array(cursor: &mut Cursor<'_>, element: PgType, depth: usize) -> Result<Value, Report> {
    let count = cursor.i32()?;
    cursor.i32()?;
    let oid = cursor.i32()? as u32;
    if !(0..=MAX_DIMENSIONS).contains(&count) || depth > 0 {
        return Err(incorrect());
    }
    if oid != element.oid() {
        let name = PgType::from_oid(oid).map_or_else(|| oid.to_string(), |other| other.to_string());
        return Err(Report::new(SqlState::DATATYPE_MISMATCH, format!("binary data has array element type {name} instead of {element}")));
    }
    let mut lengths = Vec::new();
    for _ in 0..count {
        lengths.push(usize::try_from(cursor.i32()?).map_err(|_| incorrect())?);
        cursor.i32()?;
    }
    if lengths.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    elements(cursor, element, &lengths, depth)
}

fn elements(cursor: &mut Cursor<'_>, element: PgType, lengths: &[usize], depth: usize) -> Result<Value, Report> {
    let Some((length, inner)) = lengths.split_first() else {
        let length = cursor.i32()?;
        if length == -1 {
            return Ok(Value::Null);
        }
        let bytes = cursor.take(usize::try_from(length).map_err(|_| incorrect())?)?;
        return parse(element, bytes, depth + 1);
    };
    // Each element takes four bytes at least; an inner length of none would let any number of outer ones pass.
    if length.saturating_mul(4) > cursor.bytes.len() || inner.contains(&0) && *length > 0 {
        return Err(incorrect());
    }
    (0..*length).map(|_| elements(cursor, element, inner, depth)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}
