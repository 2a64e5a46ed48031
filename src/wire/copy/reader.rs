//! Bytes of a COPY to batches.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::{Buf, BytesMut};

use super::binary::BinaryRecords;
use super::csv::CsvRecords;
use super::text::TextRecords;
use crate::error::{Report, SqlState, null_in_column};
use crate::pg_format::decode::{Value, build, parse};
use crate::pg_format::encode::Format;
use crate::pg_format::reading::Reading;
use crate::pg_type::PgType;
use crate::session::{Column, CopyFormat, CopyOptions};

/// A batch is handed on when it has this many rows …
const BATCH_ROWS: usize = 8_192;
/// … or was read from this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// A record of more bytes than this is refused.
const MAX_RECORD: usize = 256 << 20;
/// The characters of a bad value that an error shows.
const SHOWN: usize = 100;

/// One record's fields: none is NULL.
pub(super) type Fields = Vec<Option<Vec<u8>>>;

/// What a look at the buffer found.
pub(super) enum Found {
    /// A record and the bytes it took.
    Record(Fields, usize),
    /// Bytes without a record: a header.
    Skip(usize),
    /// The end, by a marker in the data.
    End(usize),
    /// Not enough.
    More,
}

/// Splits records of one format.
trait Records: Send {
    /// Looks for the next record at the start of the bytes; `last` if no more will come.
    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report>;
}

impl Records for TextRecords {
    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        Ok(TextRecords::next(self, bytes, last))
    }
}

impl Records for CsvRecords {
    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        CsvRecords::next(self, bytes, last)
    }
}

impl Records for BinaryRecords {
    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        BinaryRecords::next(self, bytes, last)
    }
}

/// Reads one COPY.
pub(in crate::wire) struct CopyReader {
    table: String,
    records: Box<dyn Records>,
    format: Format,
    columns: Vec<(String, PgType)>,
    schema: SchemaRef,
    reading: Reading,
    input: BytesMut,
    values: Vec<Vec<Value>>,
    /// Rows in `values`, and the bytes they were.
    gathered: usize,
    bytes: usize,
    rows: u64,
    line: u64,
    ended: bool,
}

/// An error of the data's form.
pub(super) fn malformed(message: impl Into<String>) -> Report {
    Report::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

/// The fields of a line, for an error about all of it.
fn shown_record(fields: &Fields) -> String {
    let texts: Vec<_> = fields.iter().map(|field| field.as_deref().map_or("\\N".into(), String::from_utf8_lossy)).collect();
    let line = texts.join("\t");
    format!(": \"{}\"", line.chars().take(SHOWN).collect::<String>())
}

impl CopyReader {
    /// For these columns of a table.
    pub(in crate::wire) fn new(table: &str, columns: &[Column], options: CopyOptions, reading: Reading) -> Self {
        let format = if options.format == CopyFormat::Binary { Format::Binary } else { Format::Text };
        let records: Box<dyn Records> = match options.format {
            CopyFormat::Text => Box::new(TextRecords::new(&options)),
            CopyFormat::Csv => Box::new(CsvRecords::new(&options)),
            CopyFormat::Binary => Box::new(BinaryRecords::new(columns.len())),
        };
        let fields: Vec<Arc<Field>> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        Self {
            table: table.to_owned(),
            records,
            format,
            columns: columns.iter().map(|column| (column.name.clone(), PgType::of(&column.field))).collect(),
            schema: Arc::new(Schema::new(fields)),
            reading,
            input: BytesMut::new(),
            values: columns.iter().map(|_| Vec::new()).collect(),
            gathered: 0,
            bytes: 0,
            rows: 0,
            line: 0,
            ended: false,
        }
    }

    /// Rows read so far.
    pub(in crate::wire) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a message's bytes.
    pub(in crate::wire) fn push(&mut self, data: &[u8]) {
        // What follows the end marker does not count, and is not kept.
        if !self.ended {
            self.input.extend_from_slice(data);
        }
    }

    /// The next full batch; of the last bytes, any batch.
    pub(in crate::wire) fn next_batch(&mut self, last: bool) -> Result<Option<RecordBatch>, Report> {
        while !self.ended && self.gathered < BATCH_ROWS && self.bytes < BATCH_BYTES {
            match self.records.next(&self.input, last).map_err(|report| self.at_next_line(report))? {
                Found::More if self.input.len() > MAX_RECORD => {
                    let message = format!("a record of COPY data exceeds {MAX_RECORD} bytes");
                    return Err(self.at_next_line(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)));
                }
                Found::More if last => self.ended = true,
                Found::More => return Ok(None),
                Found::Skip(used) => {
                    // A header line counts as one; a binary header is none.
                    self.line += u64::from(self.format == Format::Text);
                    self.input.advance(used);
                }
                Found::End(used) => {
                    self.input.advance(used);
                    self.input.clear();
                    self.ended = true;
                }
                Found::Record(fields, used) => {
                    self.line += 1;
                    self.take(fields)?;
                    self.input.advance(used);
                    self.bytes += used;
                }
            }
        }
        if self.gathered == 0 { Ok(None) } else { self.batch().map(Some) }
    }

    /// An error that is about the line after the last one that was taken.
    pub(in crate::wire) fn at_next_line(&self, report: Report) -> Report {
        report.context(format!("COPY {}, line {}", self.table, self.line + 1))
    }

    /// A record's values, each of its column's type.
    fn take(&mut self, fields: Fields) -> Result<(), Report> {
        let (line, table) = (self.line, &self.table);
        if fields.len() > self.columns.len() {
            return Err(
                malformed("extra data after last expected column").context(format!("COPY {table}, line {line}{}", shown_record(&fields)))
            );
        }
        if let Some((name, _)) = self.columns.get(fields.len()) {
            let context = format!("COPY {table}, line {line}{}", shown_record(&fields));
            return Err(malformed(format!("missing data for column \"{name}\"")).context(context));
        }
        // Every field is read before the record is looked at, as in PostgreSQL.
        let missing = fields.iter().zip(self.schema.fields()).position(|(field, column)| field.is_none() && !column.is_nullable());
        let missing = missing.map(|index| {
            let context = format!("COPY {table}, line {line}{}", shown_record(&fields));
            null_in_column(table, &self.columns[index].0).context(context)
        });
        for ((field, (name, pg_type)), values) in fields.into_iter().zip(&self.columns).zip(&mut self.values) {
            values.push(match field {
                None => Value::Null,
                Some(bytes) => parse(*pg_type, self.format, &bytes, self.reading).map_err(|report| {
                    let shown: String = match self.format {
                        Format::Text => format!(": \"{}\"", String::from_utf8_lossy(&bytes).chars().take(SHOWN).collect::<String>()),
                        Format::Binary => String::new(),
                    };
                    report.context(format!("COPY {table}, line {line}, column {name}{shown}"))
                })?,
            });
        }
        if let Some(report) = missing {
            return Err(report);
        }
        self.gathered += 1;
        self.rows += 1;
        Ok(())
    }

    fn batch(&mut self) -> Result<RecordBatch, Report> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for ((values, field), (name, _)) in self.values.iter_mut().zip(self.schema.fields()).zip(&self.columns) {
            let array = build(field.data_type(), values).map_err(|report| {
                let (first, last) = (self.line + 1 - self.gathered as u64, self.line);
                if report.place.as_ref().is_some_and(|place| place.context.is_some()) {
                    return report;
                }
                report.context(format!("COPY {}, lines {first} to {last}, column {name}", self.table))
            })?;
            arrays.push(array);
            values.clear();
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.gathered));
        (self.gathered, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(|error| {
            // The one rule of a schema that is left to break is NULL within a list that may have none.
            Report::new(SqlState::NULL_VALUE_NOT_ALLOWED, error.to_string())
        })
    }
}
