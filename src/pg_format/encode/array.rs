//! Lists as arrays: `{1,2,NULL,"a b"}`, or dimensions and elements with their lengths in binary.
//!
//! A list of lists is an array of two dimensions, which must then be rectangular: in binary a ragged one is refused, for there is
//! no way to write it; in text the braces can say it. An empty array has no dimensions. `int2vector` and `oidvector` have forms of
//! their own: blanks between the numbers, and a lower bound of 0.

use arrow::array::{Array, AsArray, FixedSizeListArray, GenericListArray, GenericListViewArray, OffsetSizeTrait};
use arrow::datatypes::DataType;

use super::{AnyCell, Cell, Format, Style, cell, unsupported, write_field};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// PostgreSQL's own bound on dimensions.
const MAX_DIMENSIONS: usize = 6;

/// Where a row's elements lie in the child array.
trait Ranges: Array {
    fn range(&self, row: usize) -> std::ops::Range<usize>;
}

impl<O: OffsetSizeTrait> Ranges for GenericListArray<O> {
    fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.value_offsets()[row].as_usize()..self.value_offsets()[row + 1].as_usize()
    }
}

impl<O: OffsetSizeTrait> Ranges for GenericListViewArray<O> {
    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = self.value_offsets()[row].as_usize();
        start..start + self.value_sizes()[row].as_usize()
    }
}

impl Ranges for FixedSizeListArray {
    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = self.value_offset(row) as usize;
        start..start + self.value_length() as usize
    }
}

/// One level of lists: the lists of a row, and what lies under them.
pub(super) struct Level<'a> {
    lists: &'a dyn Ranges,
    under: Under<'a>,
}

enum Under<'a> {
    Lists(Box<Level<'a>>),
    Elements(AnyCell<'a>),
}

impl<'a> Level<'a> {
    /// The levels of an array of lists.
    pub(super) fn new(array: &'a dyn Array, element: PgType, format: Format, style: &Style, depth: usize) -> Result<Self, Report> {
        if depth == MAX_DIMENSIONS {
            let message = format!("number of array dimensions exceeds the maximum allowed ({MAX_DIMENSIONS})");
            return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        let (lists, values, item): (&dyn Ranges, _, _) = match array.data_type() {
            DataType::List(item) => (array.as_list::<i32>(), array.as_list::<i32>().values(), item),
            DataType::LargeList(item) => (array.as_list::<i64>(), array.as_list::<i64>().values(), item),
            DataType::ListView(item) => (array.as_list_view::<i32>(), array.as_list_view::<i32>().values(), item),
            DataType::LargeListView(item) => (array.as_list_view::<i64>(), array.as_list_view::<i64>().values(), item),
            DataType::FixedSizeList(item, _) => (array.as_fixed_size_list(), array.as_fixed_size_list().values(), item),
            other => return Err(unsupported(other)),
        };
        let under = match values.data_type() {
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::FixedSizeList(..)
                if !matches!(element, PgType::JSON | PgType::JSONB) =>
            {
                Under::Lists(Box::new(Level::new(values.as_ref(), element, format, style, depth + 1)?))
            }
            _ => Under::Elements(cell(values.as_ref(), item, element, format, style)?),
        };
        Ok(Self { lists, under })
    }
}

/// A cursor over arrays.
struct Arrays<'a> {
    level: Level<'a>,
    element: PgType,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Binary,
    /// `int2vector`, `oidvector`.
    VectorText,
    VectorBinary,
}

/// Any list array.
pub(super) fn array<'a>(array: &'a dyn Array, pg_type: PgType, format: Format, style: &Style) -> Result<AnyCell<'a>, Report> {
    let (element, vector) = match pg_type {
        PgType::INT2VECTOR => (PgType::INT2, true),
        PgType::OIDVECTOR => (PgType::OID, true),
        other => (other.element().unwrap_or(PgType::TEXT), false),
    };
    let form = match (format, vector) {
        (Format::Text, false) => Form::Text,
        (Format::Text, true) => Form::VectorText,
        (Format::Binary, false) => Form::Binary,
        (Format::Binary, true) => Form::VectorBinary,
    };
    Ok(Box::new(Arrays { level: Level::new(array, element, format, style, 0)?, element, form }))
}

impl Cell for Arrays<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.level.lists.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        match self.form {
            Form::Text => write_text(&self.level, row, out),
            Form::VectorText => write_vector(&self.level, row, out),
            Form::Binary => self.write_binary(row, 1, out),
            Form::VectorBinary => self.write_binary(row, 0, out),
        }
    }
}

fn write_text(level: &Level<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
    out.push(b'{');
    for (position, index) in level.lists.range(row).enumerate() {
        if position > 0 {
            out.push(b',');
        }
        match &level.under {
            Under::Lists(inner) if inner.lists.is_null(index) => out.extend_from_slice(b"NULL"),
            Under::Lists(inner) => write_text(inner, index, out)?,
            Under::Elements(elements) if elements.is_null(index) => out.extend_from_slice(b"NULL"),
            Under::Elements(elements) => {
                let start = out.len();
                elements.write(index, out)?;
                quote_from(start, out);
            }
        }
    }
    out.push(b'}');
    Ok(())
}

fn write_vector(level: &Level<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
    for (position, index) in level.lists.range(row).enumerate() {
        if position > 0 {
            out.push(b' ');
        }
        if let Under::Elements(elements) = &level.under {
            elements.write(index, out)?;
        }
    }
    Ok(())
}

/// Quotes what was written from `start` on, if array syntax would not read it as it is.
fn quote_from(start: usize, out: &mut Vec<u8>) {
    let value = &out[start..];
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    if !value.is_empty() && !value.iter().any(special) && !value.eq_ignore_ascii_case(b"null") {
        return;
    }
    let value = out.split_off(start);
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

impl Arrays<'_> {
    /// Dimensions, whether there are NULLs, the element's oid, a length and a lower bound per dimension, the elements.
    fn write_binary(&self, row: usize, lower_bound: i32, out: &mut Vec<u8>) -> Result<(), Report> {
        let mut dimensions = Vec::new();
        measure(&self.level, row, 0, &mut dimensions)?;
        if dimensions.contains(&0) {
            dimensions.clear();
        }
        // A vector of none has its dimension all the same.
        if dimensions.is_empty() && lower_bound == 0 {
            dimensions.push(0);
        }
        out.extend_from_slice(&(dimensions.len() as i32).to_be_bytes());
        let nulls = !dimensions.is_empty() && any_null(&self.level, row);
        out.extend_from_slice(&i32::from(nulls).to_be_bytes());
        out.extend_from_slice(&self.element.oid().to_be_bytes());
        for length in &dimensions {
            out.extend_from_slice(&(*length as i32).to_be_bytes());
            out.extend_from_slice(&lower_bound.to_be_bytes());
        }
        if dimensions.is_empty() { Ok(()) } else { write_elements(&self.level, row, out) }
    }
}

/// Finds the length of each dimension, which all lists of a level must share.
fn measure(level: &Level<'_>, row: usize, depth: usize, dimensions: &mut Vec<usize>) -> Result<(), Report> {
    let range = level.lists.range(row);
    match dimensions.get(depth) {
        None => dimensions.push(range.len()),
        Some(length) if *length == range.len() => {}
        Some(_) => return Err(ragged()),
    }
    if let Under::Lists(inner) = &level.under {
        for index in range {
            if inner.lists.is_null(index) {
                return Err(ragged());
            }
            measure(inner, index, depth + 1, dimensions)?;
        }
    }
    Ok(())
}

fn ragged() -> Report {
    Report::new(SqlState::FEATURE_NOT_SUPPORTED, "nested lists of different lengths cannot be sent as an array in binary format")
        .hint("Select the column in text format, or as jsonb.")
}

fn any_null(level: &Level<'_>, row: usize) -> bool {
    level.lists.range(row).any(|index| match &level.under {
        Under::Lists(inner) => any_null(inner, index),
        Under::Elements(elements) => elements.is_null(index),
    })
}

fn write_elements(level: &Level<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
    for index in level.lists.range(row) {
        match &level.under {
            Under::Lists(inner) => write_elements(inner, index, out)?,
            Under::Elements(elements) => write_field(elements.as_ref(), index, out)?,
        }
    }
    Ok(())
}
