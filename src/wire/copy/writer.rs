//! Rows as COPY's text, csv and binary formats.

use std::sync::atomic::{AtomicBool, Ordering};

use arrow::record_batch::RecordBatch;

use super::binary::SIGNATURE;
use crate::error::Report;
use crate::pg_format::encode::Shape;
use crate::session::{Column, CopyFormat, CopyHeader, CopyOptions};
use crate::wire::messages;

/// Binary's signature, flags and length of the extension.
fn header() -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend_from_slice(&[0; 8]);
    header
}

/// Makes the header part of the CopyData message that begins at `begin`.
fn put_before_first_row(begin: usize, out: &mut Vec<u8>) {
    let header = header();
    let Some(length) = out.get(begin + 1..begin + 5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes) else { return };
    let length = length + header.len() as u32;
    out[begin + 1..begin + 5].copy_from_slice(&length.to_be_bytes());
    out.splice(begin + 5..begin + 5, header);
}

/// Writes the rows of one COPY.
pub(in crate::wire) struct CopyWriter {
    shape: Shape,
    options: CopyOptions,
    /// Whether binary's header waits for the first row: PostgreSQL sends both in one message, and drivers read them so.
    header_due: AtomicBool,
}

impl CopyWriter {
    /// For columns of this shape.
    pub(in crate::wire) fn new(shape: Shape, options: CopyOptions) -> Self {
        let header_due = AtomicBool::new(options.format == CopyFormat::Binary);
        Self { shape, options, header_due }
    }

    /// What comes before the first row: the header line. Binary's signature comes with the first row.
    pub(in crate::wire) fn start(&self, columns: &[Column], out: &mut Vec<u8>) {
        match self.options.format {
            CopyFormat::Text | CopyFormat::Csv if self.options.header != CopyHeader::None => {
                let mut line = Vec::new();
                for (index, column) in columns.iter().enumerate() {
                    // Names are not quoted by force.
                    self.field(index, Some(column.name.as_bytes()), columns.len() == 1, false, &mut line);
                }
                line.push(b'\n');
                messages::copy_data(&line, out);
            }
            CopyFormat::Text | CopyFormat::Csv | CopyFormat::Binary => {}
        }
    }

    /// Rows from `from` on until the buffer holds `enough` bytes; returns the row after the last.
    pub(in crate::wire) fn rows(&self, batch: &RecordBatch, from: usize, enough: usize, out: &mut Vec<u8>) -> Result<usize, Report> {
        if self.options.format == CopyFormat::Binary {
            let begin = out.len();
            let next = self.shape.copy_rows(batch, from, enough, out)?;
            if next > from && self.header_due.swap(false, Ordering::Relaxed) {
                put_before_first_row(begin, out);
            }
            return Ok(next);
        }
        let alone = batch.num_columns() == 1;
        self.shape.text_rows(
            batch,
            from,
            enough,
            out,
            |index, value, out| self.field(index, value, alone, self.forced(index), out),
            |out| out.push(b'\n'),
        )
    }

    /// What comes after the last row: binary's trailer.
    pub(in crate::wire) fn end(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            let mut last = if self.header_due.swap(false, Ordering::Relaxed) { header() } else { Vec::new() };
            last.extend_from_slice(&(-1_i16).to_be_bytes());
            messages::copy_data(&last, out);
        }
    }

    fn forced(&self, index: usize) -> bool {
        self.options.force_quote_all || self.options.force_quote.contains(&index)
    }

    /// One field, behind a delimiter unless it is the first.
    fn field(&self, index: usize, value: Option<&[u8]>, alone: bool, forced: bool, out: &mut Vec<u8>) {
        let options = &self.options;
        if index > 0 {
            out.push(options.delimiter);
        }
        match value {
            None => out.extend_from_slice(options.null.as_bytes()),
            Some(value) if options.format == CopyFormat::Csv => {
                let special = |byte: &u8| *byte == options.delimiter || *byte == options.quote || matches!(byte, b'\n' | b'\r');
                let quote = forced || value == options.null.as_bytes() || (alone && value == b"\\.") || value.iter().any(special);
                if !quote {
                    return out.extend_from_slice(value);
                }
                out.push(options.quote);
                for byte in value {
                    if *byte == options.quote || *byte == options.escape {
                        out.push(options.escape);
                    }
                    out.push(*byte);
                }
                out.push(options.quote);
            }
            Some(value) => {
                for byte in value {
                    let letter = match byte {
                        8 => b'b',
                        12 => b'f',
                        b'\n' => b'n',
                        b'\r' => b'r',
                        b'\t' => b't',
                        11 => b'v',
                        b'\\' => b'\\',
                        other if *other == options.delimiter => *other,
                        other => {
                            out.push(*other);
                            continue;
                        }
                    };
                    out.extend_from_slice(&[b'\\', letter]);
                }
            }
        }
    }
}
