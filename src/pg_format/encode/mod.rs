//! Arrow values as PostgreSQL's text and binary formats.
//!
//! The type of a column is looked at once per chunk of a batch: [`cell`] makes a cursor for the column, which knows the array's
//! type and the wanted format, and rows are then written cell by cell straight into the connection's buffer, without an
//! allocation per row or value. One file per type family. Dispatch is on the array's own type, not on what was planned, so a plan
//! that says `Utf8` and delivers `Utf8View` or a dictionary is written right.
//!
//! What PostgreSQL cannot hold is brought to what it can: nanoseconds are floored to microseconds, the largest and the smallest
//! value of a timestamp or date are its infinities. What no reading can make right (a ragged array in binary, a date out of
//! range) is an error of the statement.

mod array;
mod bytes;
mod float;
mod interval;
mod json;
mod number;
mod numeric;
mod record;
mod temporal;

use arrow::array::{Array, AsArray, RecordBatch, RunArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Int16Type, Int32Type, Int64Type, IntervalUnit, RunEndIndexType};

use super::OutputSettings;
use super::zone::Zone;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;
pub(crate) use json::element_field;

/// A row of more bytes than this cannot be announced in a message's length.
const MAX_ROW_BYTES: usize = 0x3fff_ffff;

/// Text or binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As one would type it.
    Text,
    /// PostgreSQL's own.
    Binary,
}

/// What decides how a value looks, ready for use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    zone: Zone,
    extra_float_digits: i32,
    bytea_escape: bool,
    /// Arrays within json without blanks, as PostgreSQL has them; within jsonb with.
    dense: bool,
}

impl Style {
    /// From the session's settings; an unknown zone, which the session refuses to set, is UTC.
    pub(crate) fn new(settings: &OutputSettings) -> Self {
        Self {
            zone: Zone::parse(&settings.time_zone).unwrap_or(Zone::UTC),
            extra_float_digits: settings.extra_float_digits,
            bytea_escape: settings.bytea_escape,
            dense: false,
        }
    }
}

/// A cursor over one column.
trait Cell {
    /// Whether the value is NULL; then [`Cell::write`] is not called.
    fn is_null(&self, row: usize) -> bool;
    /// Appends the value, without its length.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report>;
}

/// A column's cursor.
type AnyCell<'a> = Box<dyn Cell + 'a>;

/// The error of a type that has no form on the wire.
fn unsupported(data_type: &DataType) -> Report {
    Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("values of the type {data_type} cannot be sent to a client"))
}

/// The cursor for a column that a client was told is of this PostgreSQL type.
fn cell<'a>(array: &'a dyn Array, field: &Field, pg_type: PgType, format: Format, style: &Style) -> Result<AnyCell<'a>, Report> {
    Ok(match array.data_type() {
        DataType::Null => Box::new(Nothing),
        DataType::Boolean => number::boolean(array.as_boolean(), format),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => number::integer(array, pg_type, format)?,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => float::float(array, pg_type, format, style)?,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            numeric::numeric(array, format)?
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => bytes::text(array, pg_type, format)?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            bytes::bytea(array, pg_type, format, style)?
        }
        DataType::Date32 | DataType::Date64 => temporal::date(array, format)?,
        DataType::Time32(_) | DataType::Time64(_) => temporal::time(array, format)?,
        DataType::Timestamp(unit, zone) => temporal::timestamp(array, *unit, zone.is_some(), format, style)?,
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano) | DataType::Duration(_) => {
            interval::interval(array, format)?
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::ListView(_) | DataType::LargeListView(_)
            if matches!(pg_type, PgType::JSONB | PgType::JSON) =>
        {
            json::document(array, field, pg_type, format, style)?
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::ListView(_) | DataType::LargeListView(_) => {
            array::array(array, pg_type, format, style)?
        }
        DataType::Struct(_) if pg_type == PgType::RECORD => record::record(array, format, style)?,
        DataType::Struct(_) if pg_type.is_oid_like() => named_oid(array, pg_type, format, style)?,
        DataType::Struct(_) | DataType::Map(..) => json::document(array, field, pg_type, format, style)?,
        DataType::Dictionary(..) => return dictionary(array, field, pg_type, format, style),
        DataType::RunEndEncoded(ends, _) => return runs(array, ends.data_type(), field, pg_type, format, style),
        other => return Err(unsupported(other)),
    })
}

/// An object's oid and its name: text shows the name, binary sends the oid.
fn named_oid<'a>(array: &'a dyn Array, pg_type: PgType, format: Format, style: &Style) -> Result<AnyCell<'a>, Report> {
    let (pair, place) = (array.as_struct(), usize::from(format == Format::Text));
    let (Some(values), Some(field)) = (pair.columns().get(place), pair.fields().get(place)) else {
        return Err(unsupported(array.data_type()));
    };
    cell(values.as_ref(), field, pg_type, format, style)
}

/// A column of NULLs.
struct Nothing;

impl Cell for Nothing {
    fn is_null(&self, _row: usize) -> bool {
        true
    }
    fn write(&self, _row: usize, _out: &mut Vec<u8>) -> Result<(), Report> {
        Ok(())
    }
}

/// A cursor over the values behind an index.
struct Indirect<'a, I> {
    values: AnyCell<'a>,
    index: I,
}

impl<I: Fn(usize) -> Option<usize>> Cell for Indirect<'_, I> {
    fn is_null(&self, row: usize) -> bool {
        (self.index)(row).is_none_or(|value| self.values.is_null(value))
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        (self.index)(row).map_or(Ok(()), |value| self.values.write(value, out))
    }
}

fn dictionary<'a>(array: &'a dyn Array, field: &Field, pg_type: PgType, format: Format, style: &Style) -> Result<AnyCell<'a>, Report> {
    let dictionary = array.as_any_dictionary_opt().ok_or_else(|| unsupported(array.data_type()))?;
    if dictionary.values().is_empty() {
        return Ok(Box::new(Nothing));
    }
    let (values, nulls) = (cell(dictionary.values().as_ref(), field, pg_type, format, style)?, dictionary.keys().nulls());
    let keys = dictionary.normalized_keys();
    Ok(Box::new(Indirect { values, index: move |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row)).then(|| keys[row]) }))
}

fn runs<'a>(
    array: &'a dyn Array,
    ends: &DataType,
    field: &Field,
    pg_type: PgType,
    format: Format,
    style: &Style,
) -> Result<AnyCell<'a>, Report> {
    fn of<'a, R: RunEndIndexType>(
        array: &'a dyn Array,
        field: &Field,
        pg_type: PgType,
        format: Format,
        style: &Style,
    ) -> Result<AnyCell<'a>, Report> {
        let runs = array.as_any().downcast_ref::<RunArray<R>>().ok_or_else(|| unsupported(array.data_type()))?;
        let values = cell(runs.values().as_ref(), field, pg_type, format, style)?;
        Ok(Box::new(Indirect { values, index: move |row: usize| Some(runs.get_physical_index(row)) }))
    }
    match ends {
        DataType::Int16 => of::<Int16Type>(array, field, pg_type, format, style),
        DataType::Int32 => of::<Int32Type>(array, field, pg_type, format, style),
        _ => of::<Int64Type>(array, field, pg_type, format, style),
    }
}

/// How one column is sent: what RowDescription said of it.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    columns: Vec<(PgType, Format)>,
    style: Style,
}

impl Shape {
    /// Of columns and the format codes of a Bind: none is text, one is for all.
    pub(crate) fn new<'a>(fields: impl IntoIterator<Item = &'a Field>, formats: &[i16], settings: &OutputSettings) -> Self {
        let columns = fields.into_iter().enumerate().map(|(index, field)| (PgType::of(field), format_of(formats, index))).collect();
        Self { columns, style: Style::new(settings) }
    }

    /// The cursors of a batch.
    fn cells<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<AnyCell<'a>>, Report> {
        if batch.num_columns() != self.columns.len() {
            let message = format!("the result has {} columns where {} were described", batch.num_columns(), self.columns.len());
            return Err(Report::new(SqlState::INTERNAL_ERROR, message));
        }
        let schema = batch.schema_ref();
        let arrays = batch.columns().iter().zip(schema.fields()).zip(&self.columns);
        arrays.map(|((array, field), (pg_type, format))| cell(array.as_ref(), field, *pg_type, *format, &self.style)).collect()
    }

    /// Appends DataRow messages from row `from` until the buffer holds `enough` bytes; returns the row after the last.
    pub(crate) fn data_rows(&self, batch: &RecordBatch, from: usize, enough: usize, out: &mut Vec<u8>) -> Result<usize, Report> {
        self.rows(batch, from, enough, b'D', out)
    }

    /// The same as rows of COPY's binary format, a CopyData message each.
    pub(crate) fn copy_rows(&self, batch: &RecordBatch, from: usize, enough: usize, out: &mut Vec<u8>) -> Result<usize, Report> {
        self.rows(batch, from, enough, b'd', out)
    }

    /// A message per row, of a count and the values with their lengths: DataRow and binary COPY differ in the tag alone.
    fn rows(&self, batch: &RecordBatch, from: usize, enough: usize, tag: u8, out: &mut Vec<u8>) -> Result<usize, Report> {
        let cells = self.cells(batch)?;
        let count = (cells.len() as u16).to_be_bytes();
        let mut row = from;
        while row < batch.num_rows() && out.len() < enough {
            let start = out.len();
            out.extend_from_slice(&[tag, 0, 0, 0, 0, count[0], count[1]]);
            if let Err(report) = cells.iter().try_for_each(|cell| write_field(cell.as_ref(), row, out)) {
                out.truncate(start);
                return Err(report);
            }
            announce(out, start, MAX_ROW_BYTES)?;
            row += 1;
        }
        Ok(row)
    }

    /// A CopyData message per row: hands each value to `field` as text, none for NULL, with its column's index; `end` closes the
    /// row. For COPY's text formats, which quote values in their own ways.
    pub(crate) fn text_rows(
        &self,
        batch: &RecordBatch,
        from: usize,
        enough: usize,
        out: &mut Vec<u8>,
        mut field: impl FnMut(usize, Option<&[u8]>, &mut Vec<u8>),
        mut end: impl FnMut(&mut Vec<u8>),
    ) -> Result<usize, Report> {
        let cells = self.cells(batch)?;
        let mut value = Vec::new();
        let mut row = from;
        while row < batch.num_rows() && out.len() < enough {
            let start = out.len();
            out.extend_from_slice(&[b'd', 0, 0, 0, 0]);
            for (index, cell) in cells.iter().enumerate() {
                if cell.is_null(row) {
                    field(index, None, out);
                    continue;
                }
                value.clear();
                if let Err(report) = cell.write(row, &mut value) {
                    out.truncate(start);
                    return Err(report);
                }
                field(index, Some(&value), out);
            }
            end(out);
            announce(out, start, MAX_ROW_BYTES)?;
            row += 1;
        }
        Ok(row)
    }
}

/// Every value as the text that a client would be sent: what a cast to text gives.
pub(crate) fn texts(array: &dyn Array, field: &Field, settings: &OutputSettings) -> Result<StringArray, Report> {
    let style = Style::new(settings);
    written(cell(array, field, PgType::of(field), Format::Text, &style)?, array.len())
}

/// Every value as JSON, NULLs as they are: what `to_json` gives if `dense`, and otherwise `to_jsonb` but for the order of keys.
pub(crate) fn documents(array: &dyn Array, field: &Field, settings: &OutputSettings, dense: bool) -> Result<StringArray, Report> {
    let style = Style { dense, ..Style::new(settings) };
    written(json::document(array, field, PgType::JSON, Format::Text, &style)?, array.len())
}

fn written(cell: AnyCell<'_>, rows: usize) -> Result<StringArray, Report> {
    let mut texts = StringBuilder::with_capacity(rows, rows * 16);
    let mut text = Vec::new();
    for row in 0..rows {
        if cell.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        cell.write(row, &mut text)?;
        texts.append_value(super::decode::utf8(&text)?);
    }
    Ok(texts.finish())
}

/// Fills in the length of the message that begins here; one that is too long is taken back.
fn announce(out: &mut Vec<u8>, start: usize, limit: usize) -> Result<(), Report> {
    let length = out.len() - start - 1;
    if length > limit {
        out.truncate(start);
        return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("a row of {length} bytes is too long to be sent")));
    }
    out[start + 1..start + 5].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(())
}

/// The format for a column, by the rules of Bind.
pub(crate) fn format_of(formats: &[i16], index: usize) -> Format {
    let code = match formats {
        [] => 0,
        [all] => *all,
        each => each.get(index).copied().unwrap_or(0),
    };
    if code == 1 { Format::Binary } else { Format::Text }
}

/// A value behind its length, or -1.
fn write_field(cell: &dyn Cell, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
    if cell.is_null(row) {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    cell.write(row, out)?;
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
