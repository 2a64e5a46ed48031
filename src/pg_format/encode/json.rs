//! Structs and maps as jsonb, with PostgreSQL's spacing and its order of keys (by length, then bytewise).
//!
//! Values inside follow `to_jsonb`: numbers as they are, `NaN` and the infinities as strings (JSON has none), timestamps with
//! a `T`, everything else as the string of its text form. A map's keys are strings of their text form; of equal keys the last wins.

use arrow::array::{Array, AsArray, MapArray, StructArray};
use arrow::datatypes::{DataType, Field, TimeUnit};

use super::{AnyCell, Cell, Format, Indirect, Style, cell, float, number::primitive, temporal, unsupported};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// Nesting of types deeper than this is refused rather than followed.
const MAX_DEPTH: usize = 64;

/// A document per row: what [`value`] writes, behind jsonb's version byte in binary.
struct Document<'a> {
    value: AnyCell<'a>,
    version: Option<u8>,
}

impl Cell for Document<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.value.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        out.extend(self.version);
        self.value.write(row, out)
    }
}

/// A column of json or jsonb.
pub(super) fn document<'a>(
    array: &'a dyn Array,
    field: &Field,
    pg_type: PgType,
    format: Format,
    style: &Style,
) -> Result<AnyCell<'a>, Report> {
    let version = (pg_type == PgType::JSONB && format == Format::Binary).then_some(1);
    Ok(Box::new(Document { value: value(array, field, style, 0)?, version }))
}

/// A cursor that writes JSON; its NULLs are `null` for whoever holds them.
fn value<'a>(array: &'a dyn Array, field: &Field, style: &Style, depth: usize) -> Result<AnyCell<'a>, Report> {
    if depth > MAX_DEPTH {
        return Err(Report::new(SqlState::STATEMENT_TOO_COMPLEX, format!("a type is nested more than {MAX_DEPTH} deep")));
    }
    let pg_type = PgType::of(field);
    Ok(match array.data_type() {
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(Words {
                array,
                write: |array: &arrow::array::BooleanArray, row: usize, out: &mut Vec<u8>| {
                    out.extend_from_slice(if array.value(row) { b"true".as_slice() } else { b"false" });
                },
            })
        }
        DataType::Float64 => primitive::<arrow::datatypes::Float64Type, _>(array, |number, out| {
            quoted_unless(number.is_finite(), out, |out| float::write_double(number, 1, out));
            Ok(())
        }),
        DataType::Float32 => primitive::<arrow::datatypes::Float32Type, _>(array, |number, out| {
            quoted_unless(number.is_finite(), out, |out| float::write_single(number, 1, out));
            Ok(())
        }),
        DataType::Timestamp(unit, zone) => timestamp(array, *unit, zone.is_some(), style),
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let members = array.columns().iter().zip(fields);
            let mut members = members
                .map(|(column, field)| Ok((field.name().clone(), value(column.as_ref(), field, style, depth + 1)?)))
                .collect::<Result<Vec<_>, Report>>()?;
            // A row within json keeps its order and has no blanks.
            let dense = style.dense && pg_type == PgType::RECORD;
            if !dense {
                members.sort_by(|(a, _), (b, _)| key_order(a.as_bytes(), b.as_bytes()));
            }
            Box::new(Object { array, members, dense })
        }
        DataType::Map(..) => {
            let array = array.as_map();
            let (key, item) = array.entries_fields();
            let keys = cell(array.keys().as_ref(), key, PgType::of(key), Format::Text, style)?;
            Box::new(Entries { array, keys, values: value(array.values().as_ref(), item, style, depth + 1)? })
        }
        DataType::List(item) => list(array.as_list::<i32>(), &element_field(item, pg_type), separator(pg_type, style), style, depth)?,
        DataType::LargeList(item) => list(array.as_list::<i64>(), item, separator(pg_type, style), style, depth)?,
        DataType::FixedSizeList(item, _) => {
            let lists = array.as_fixed_size_list();
            let values = value(lists.values().as_ref(), item, style, depth + 1)?;
            let length = lists.value_length() as usize;
            Box::new(Items {
                array,
                range: move |row| {
                    let start = lists.value_offset(row) as usize;
                    start..start + length
                },
                separator: separator(pg_type, style),
                values,
            })
        }
        DataType::Dictionary(..) | DataType::RunEndEncoded(..) => {
            // The text of the values, as a string unless they are numbers: nested dictionaries of structs do not occur.
            textual(cell(array, field, pg_type, Format::Text, style)?, pg_type)
        }
        DataType::ListView(_) | DataType::LargeListView(_) | DataType::Union(..) => return Err(unsupported(array.data_type())),
        _ => textual(cell(array, field, pg_type, Format::Text, style)?, pg_type),
    })
}

/// The field of an array's elements, which the array has a name for.
pub(crate) fn element_field(item: &Field, array: PgType) -> Field {
    match array.element() {
        Some(element) if !item.data_type().is_nested() && element != PgType::of(item) => {
            element.arrow_field(item.name()).with_data_type(item.data_type().clone())
        }
        Some(PgType::RECORD) => {
            let named = PgType::RECORD.arrow_field(item.name()).metadata().clone();
            item.clone().with_metadata(named)
        }
        Some(element) if item.data_type().is_nested() => {
            // Of an array of several dimensions.
            let named = element.array_of().arrow_field(item.name()).metadata().clone();
            item.clone().with_metadata(named)
        }
        _ => item.clone(),
    }
}

/// What stands between the values of a list: of an array's, which is a type of its own, or of a document's.
fn separator(pg_type: PgType, style: &Style) -> &'static [u8] {
    if style.dense && pg_type.element().is_some() { b"," } else { b", " }
}

/// Numbers and documents as they are, the rest as strings.
fn textual(text: AnyCell<'_>, pg_type: PgType) -> AnyCell<'_> {
    match pg_type {
        PgType::INT2 | PgType::INT4 | PgType::INT8 | PgType::NUMERIC | PgType::OID | PgType::JSON | PgType::JSONB => {
            Box::new(Indirect { values: text, index: Some })
        }
        _ => Box::new(Strings { text }),
    }
}

fn timestamp<'a>(array: &'a dyn Array, unit: TimeUnit, zoned: bool, style: &Style) -> AnyCell<'a> {
    use arrow::datatypes::{TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType};
    let zone = zoned.then_some(style.zone);
    let put = move |micros: i64, out: &mut Vec<u8>| -> Result<(), Report> {
        out.push(b'"');
        temporal::write_timestamp(micros, zone, b'T', out);
        out.push(b'"');
        Ok(())
    };
    match unit {
        TimeUnit::Second => primitive::<TimestampSecondType, _>(array, move |value, out| put(value.saturating_mul(1_000_000), out)),
        TimeUnit::Millisecond => primitive::<TimestampMillisecondType, _>(array, move |value, out| put(value.saturating_mul(1_000), out)),
        TimeUnit::Microsecond => primitive::<TimestampMicrosecondType, _>(array, put),
        TimeUnit::Nanosecond => primitive::<TimestampNanosecondType, _>(array, move |value, out| put(value.div_euclid(1_000), out)),
    }
}

fn quoted_unless(plain: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if plain {
        return write(out);
    }
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// jsonb's order of keys.
fn key_order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

struct Words<'a, A, W> {
    array: &'a A,
    write: W,
}

impl<A: Array, W: Fn(&A, usize, &mut Vec<u8>)> Cell for Words<'_, A, W> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        (self.write)(self.array, row, out);
        Ok(())
    }
}

/// Values that JSON can hold as strings only.
struct Strings<'a> {
    text: AnyCell<'a>,
}

impl Cell for Strings<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.text.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        let start = out.len();
        self.text.write(row, out)?;
        let text = out.split_off(start);
        write_string(&text, out);
        Ok(())
    }
}

fn write_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0..=31 => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

fn write_value(values: &dyn Cell, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
    if values.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    values.write(row, out)
}

struct Object<'a> {
    array: &'a StructArray,
    members: Vec<(String, AnyCell<'a>)>,
    dense: bool,
}

impl Cell for Object<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        let (comma, colon): (&[u8], &[u8]) = if self.dense { (b",", b":") } else { (b", ", b": ") };
        out.push(b'{');
        for (position, (name, member)) in self.members.iter().enumerate() {
            if position > 0 {
                out.extend_from_slice(comma);
            }
            write_string(name.as_bytes(), out);
            out.extend_from_slice(colon);
            write_value(member.as_ref(), row, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

struct Entries<'a> {
    array: &'a MapArray,
    keys: AnyCell<'a>,
    values: AnyCell<'a>,
}

impl Cell for Entries<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        let offsets = self.array.value_offsets();
        let mut entries = Vec::new();
        for index in offsets[row] as usize..offsets[row + 1] as usize {
            let mut key = Vec::new();
            self.keys.write(index, &mut key)?;
            entries.push((key, index));
        }
        // Stable, so the last of equal keys stands last among them.
        entries.sort_by(|(a, _), (b, _)| key_order(a, b));
        out.push(b'{');
        let mut first = true;
        for (position, (key, index)) in entries.iter().enumerate() {
            if entries.get(position + 1).is_some_and(|(next, _)| next == key) {
                continue;
            }
            if !first {
                out.extend_from_slice(b", ");
            }
            first = false;
            write_string(key, out);
            out.extend_from_slice(b": ");
            write_value(self.values.as_ref(), *index, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

struct Items<'a, R> {
    array: &'a dyn Array,
    range: R,
    separator: &'static [u8],
    values: AnyCell<'a>,
}

impl<R: Fn(usize) -> std::ops::Range<usize>> Cell for Items<'_, R> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        out.push(b'[');
        for (position, index) in (self.range)(row).enumerate() {
            if position > 0 {
                out.extend_from_slice(self.separator);
            }
            write_value(self.values.as_ref(), index, out)?;
        }
        out.push(b']');
        Ok(())
    }
}

fn list<'a, O: arrow::array::OffsetSizeTrait>(
    lists: &'a arrow::array::GenericListArray<O>,
    item: &Field,
    separator: &'static [u8],
    style: &Style,
    depth: usize,
) -> Result<AnyCell<'a>, Report> {
    let values = value(lists.values().as_ref(), item, style, depth + 1)?;
    let offsets = lists.value_offsets();
    Ok(Box::new(Items { array: lists, range: move |row: usize| offsets[row].as_usize()..offsets[row + 1].as_usize(), separator, values }))
}
