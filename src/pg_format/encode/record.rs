//! Rows as values: `(1,a,)`, or the number of fields and each with its type's oid and its length in binary.
//!
//! NULL is nothing between the commas. What would not be read back (an empty text, quotes, backslashes, parentheses, commas, blanks) stands in
//! quotes, with quotes and backslashes doubled: a row inside a row doubles them again, as in PostgreSQL.

use arrow::array::{Array, AsArray, StructArray};

use super::{AnyCell, Cell, Format, Style, cell, write_field};
use crate::error::Report;
use crate::pg_type::PgType;

struct Records<'a> {
    array: &'a StructArray,
    fields: Vec<(PgType, AnyCell<'a>)>,
    format: Format,
}

/// A struct as a row.
pub(super) fn record<'a>(array: &'a dyn Array, format: Format, style: &Style) -> Result<AnyCell<'a>, Report> {
    let array = array.as_struct();
    let columns = array.columns().iter().zip(array.fields());
    let fields = columns.map(|(column, field)| {
        let pg_type = PgType::of(field);
        Ok((pg_type, cell(column.as_ref(), field, pg_type, format, style)?))
    });
    Ok(Box::new(Records { array, fields: fields.collect::<Result<_, Report>>()?, format }))
}

impl Cell for Records<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        match self.format {
            Format::Binary => {
                out.extend_from_slice(&(self.fields.len() as u32).to_be_bytes());
                for (pg_type, value) in &self.fields {
                    out.extend_from_slice(&pg_type.oid().to_be_bytes());
                    write_field(value.as_ref(), row, out)?;
                }
            }
            Format::Text => {
                out.push(b'(');
                let mut text = Vec::new();
                for (place, (_, value)) in self.fields.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    if !value.is_null(row) {
                        text.clear();
                        value.write(row, &mut text)?;
                        write_text(&text, out);
                    }
                }
                out.push(b')');
            }
        }
        Ok(())
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'(' | b')' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    if !text.is_empty() && !text.iter().any(special) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'"');
}
