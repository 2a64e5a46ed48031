//! Bytes of a COPY to batches.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::{Buf, BytesMut};

use super::binary::BinaryRecords;
use super::csv::CsvRecords;
use super::text::TextRecords;
use crate::error::{Report, SqlState, null_in_column};
use crate::pg_format::decode::{Room, Value, build, parse, utf8};
use crate::pg_format::encode::Format;
use crate::pg_format::reading::Reading;
use crate::pg_type::PgType;
use crate::session::{Column, CopyFormat, CopyHeader, CopyOptions};

/// A batch is handed on when it has this many rows …
const BATCH_ROWS: usize = 8_192;
/// … or was read from this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// A record of more bytes than this is refused.
const MAX_RECORD: usize = 256 << 20;
/// The bytes of a bad value or line that an error shows.
const SHOWN: usize = 100;

/// One record's fields: none is NULL.
pub(super) type Fields = Vec<Option<Vec<u8>>>;

/// One record.
pub(super) struct Record {
    /// Its fields.
    pub(super) fields: Fields,
    /// The bytes of its line, for errors; of a binary one, none.
    pub(super) line: usize,
    /// The bytes it took, with the line's end.
    pub(super) used: usize,
    /// Lines beyond its first that it went over.
    pub(super) more_lines: u64,
}

/// What a look at the buffer found.
pub(super) enum Found {
    /// A record.
    Record(Record),
    /// A line that is none, so many bytes long, with so many lines in it.
    Malformed(Report, usize, u64),
    /// Bytes without a record: binary's header.
    Skip(usize),
    /// The end, by a marker in the data.
    End,
    /// Not enough.
    More,
}

/// Splits records of one format.
trait Records: Send {
    /// Looks for the next record at the start of the bytes; `last` if no more will come.
    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report>;
    /// Lines of an unfinished record beyond its first.
    fn inside(&self) -> u64 {
        0
    }
    /// Whether what precedes the first record was read: there are no lines before.
    fn begun(&self) -> bool {
        true
    }
    /// The column that is being read, if an error is about one.
    fn column(&self) -> Option<usize> {
        None
    }
}

impl Records for TextRecords {
    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        TextRecords::next(self, bytes, last)
    }
}

impl Records for CsvRecords {
    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        CsvRecords::next(self, bytes, last)
    }
    fn inside(&self) -> u64 {
        CsvRecords::inside(self)
    }
}

impl Records for BinaryRecords {
    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        BinaryRecords::next(self, bytes, last)
    }
    fn begun(&self) -> bool {
        BinaryRecords::begun(self)
    }
    fn column(&self) -> Option<usize> {
        BinaryRecords::column(self)
    }
}

/// Reads one COPY.
pub(in crate::wire) struct CopyReader {
    table: String,
    records: Box<dyn Records>,
    format: Format,
    columns: Vec<(String, PgType)>,
    schema: SchemaRef,
    /// What a column's declared size leaves room for, if it has one.
    room: Vec<Option<Room>>,
    reading: Reading,
    input: BytesMut,
    values: Vec<Vec<Value>>,
    /// Rows in `values`, and the bytes they were.
    gathered: usize,
    bytes: usize,
    rows: u64,
    line: u64,
    ended: bool,
    /// The first line is names, yet to be read.
    header: CopyHeader,
    /// Where each row of the batch that is gathered stood, and of the last one: kept if a WHERE may fail at one.
    places: Option<(Vec<String>, Vec<String>)>,
    null: String,
    /// For each column.
    force_not_null: Vec<bool>,
    force_null: Vec<bool>,
}

/// An error of the data's form.
pub(super) fn malformed(message: impl Into<String>) -> Report {
    Report::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

/// As much of a text as an error shows.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= SHOWN {
        return text.into_owned();
    }
    let mut end = SHOWN;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
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
        let field = |column: &Column| match options.filtered {
            true => Arc::new(column.field.as_ref().clone().with_nullable(true)),
            false => Arc::clone(&column.field),
        };
        let fields: Vec<Arc<Field>> = columns.iter().map(field).collect();
        let flags = |forced: &[usize]| (0..columns.len()).map(|column| forced.contains(&column)).collect();
        Self {
            table: table.to_owned(),
            records,
            format,
            columns: columns.iter().map(|column| (column.name.clone(), PgType::of(&column.field))).collect(),
            room: fields.iter().map(|field| Room::of(field)).collect(),
            schema: Arc::new(Schema::new(fields)),
            reading,
            input: BytesMut::new(),
            values: columns.iter().map(|_| Vec::new()).collect(),
            gathered: 0,
            bytes: 0,
            rows: 0,
            line: 0,
            ended: false,
            header: options.header,
            places: options.filtered.then(Default::default),
            force_not_null: flags(&options.force_not_null),
            force_null: flags(&options.force_null),
            null: options.null,
        }
    }

    /// Rows read so far.
    pub(in crate::wire) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a message's bytes.
    pub(in crate::wire) fn push(&mut self, data: &[u8]) -> Result<(), Report> {
        if !self.ended {
            self.input.extend_from_slice(data);
        } else if self.format == Format::Binary && !data.is_empty() {
            return Err(self.at_next_line(malformed("received copy data after EOF marker")));
        }
        // What follows the end mark of a text does not count, and is not kept.
        Ok(())
    }

    /// The next full batch; of the last bytes, any batch.
    pub(in crate::wire) fn next_batch(&mut self, last: bool) -> Result<Option<RecordBatch>, Report> {
        while !self.ended && self.gathered < BATCH_ROWS && self.bytes < BATCH_BYTES {
            match self.records.next(&self.input, last).map_err(|report| self.at_next_line(report))? {
                Found::More if self.input.len() > MAX_RECORD => {
                    let message = format!("a record of COPY data exceeds {MAX_RECORD} bytes");
                    return Err(self.at_next_line(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)));
                }
                Found::More if last => {
                    self.ended = true;
                    if self.header == CopyHeader::Match {
                        // Nothing at all is a line without names.
                        self.line += 1;
                        let nothing = vec![(!self.null.is_empty()).then(Vec::new)];
                        self.check_header(&nothing).map_err(|report| self.at_line(report, 0))?;
                    }
                }
                Found::More => return Ok(None),
                Found::Skip(used) => self.input.advance(used),
                Found::End => {
                    self.input.clear();
                    self.ended = true;
                }
                Found::Malformed(report, line, more_lines) => {
                    self.line += 1 + more_lines;
                    return Err(self.at_line(report, line));
                }
                Found::Record(Record { fields, line, used, more_lines }) => {
                    self.line += 1 + more_lines;
                    match std::mem::replace(&mut self.header, CopyHeader::None) {
                        CopyHeader::None => {
                            self.take(fields, line, used)?;
                            self.bytes += used;
                        }
                        CopyHeader::Line => {}
                        CopyHeader::Match => self.check_header(&fields).map_err(|report| self.at_line(report, line))?,
                    }
                    self.input.advance(used);
                }
            }
        }
        if self.gathered == 0 { Ok(None) } else { self.batch().map(Some) }
    }

    /// An error that is about the line after the last one that was taken.
    pub(in crate::wire) fn at_next_line(&self, report: Report) -> Report {
        if !self.records.begun() {
            return report;
        }
        let line = self.line + 1 + self.records.inside();
        match self.records.column().and_then(|column| self.columns.get(column)) {
            Some((name, _)) => report.context(format!("COPY {}, line {line}, column {name}", self.table)),
            None => report.context(format!("COPY {}, line {line}", self.table)),
        }
    }

    /// An error about a row of the batch that was given last.
    pub(in crate::wire) fn at_row(&self, row: Option<usize>, report: Report) -> Report {
        match row.zip(self.places.as_ref()).and_then(|(row, (_, last))| last.get(row)) {
            Some(place) => report.context(place.clone()),
            None => report,
        }
    }

    /// An error about the whole of the line that was found last, of so many bytes.
    fn at_line(&self, report: Report, length: usize) -> Report {
        report.context(self.place(length))
    }

    fn place(&self, length: usize) -> String {
        let context = format!("COPY {}, line {}", self.table, self.line);
        match self.format {
            Format::Text => format!("{context}: \"{}\"", shown(&self.input[..length])),
            Format::Binary => context,
        }
    }

    /// Whether the first line's names are the columns'.
    fn check_header(&self, fields: &Fields) -> Result<(), Report> {
        let (got, expected) = (fields.len(), self.columns.len());
        if got != expected {
            return Err(malformed(format!("wrong number of fields in header line: got {got}, expected {expected}")));
        }
        for (index, (field, (name, _))) in fields.iter().zip(&self.columns).enumerate() {
            let got = match field {
                Some(field) if field == name.as_bytes() => continue,
                Some(field) => format!("\"{}\"", String::from_utf8_lossy(field)),
                None => format!("null value (\"{}\")", self.null),
            };
            let number = index + 1;
            return Err(malformed(format!("column name mismatch in header line field {number}: got {got}, expected \"{name}\"")));
        }
        Ok(())
    }

    /// A record's values, each of its column's type.
    fn take(&mut self, fields: Fields, length: usize, used: usize) -> Result<(), Report> {
        let (line, given) = (self.line, fields.len());
        if given > self.columns.len() {
            return Err(self.at_line(malformed("extra data after last expected column"), length));
        }
        // Every field is read before the record is looked at, as in PostgreSQL.
        let mut missing = None;
        for (index, field) in fields.into_iter().enumerate() {
            let (name, pg_type) = &self.columns[index];
            let field = match field {
                None if self.force_not_null[index] => Some(self.null.clone().into_bytes()),
                Some(bytes) if self.force_null[index] && bytes == self.null.as_bytes() => None,
                other => other,
            };
            let said = |report: Report, bytes: &[u8]| {
                let value = match self.format {
                    Format::Text => format!(": \"{}\"", shown(bytes)),
                    Format::Binary => String::new(),
                };
                report.context(format!("COPY {}, line {line}, column {name}{value}", self.table))
            };
            let read = |bytes: &[u8]| -> Result<Value, Report> {
                let value = parse(*pg_type, self.format, bytes, self.reading).map_err(|report| {
                    if self.format == Format::Text && report.sqlstate == SqlState::CHARACTER_NOT_IN_REPERTOIRE {
                        // PostgreSQL looks at the bytes of the lines first, and at what escapes make of them before any value.
                        return match utf8(&self.input[..used]) {
                            Ok(_) => self.at_line(report, length),
                            Err(raw) => raw.context(format!("COPY {}, line {line}", self.table)),
                        };
                    }
                    said(report, bytes)
                })?;
                if let Some(room) = &self.room[index] {
                    room.check(&value).map_err(|report| said(report, bytes))?;
                }
                Ok(value)
            };
            let value = field.as_deref().map_or(Ok(Value::Null), read)?;
            if matches!(value, Value::Null) && !self.schema.field(index).is_nullable() {
                missing.get_or_insert(index);
            }
            self.values[index].push(value);
        }
        if let Some((name, _)) = self.columns.get(given) {
            return Err(self.at_line(malformed(format!("missing data for column \"{name}\"")), length));
        }
        if let Some(index) = missing {
            return Err(self.at_line(null_in_column(&self.table, &self.columns[index].0), length));
        }
        if self.places.is_some() {
            let place = self.place(length);
            if let Some((gathered, _)) = &mut self.places {
                gathered.push(place);
            }
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
        if let Some((gathered, last)) = &mut self.places {
            *last = std::mem::take(gathered);
        }
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(|error| {
            // The one rule of a schema that is left to break is NULL within a list that may have none.
            Report::new(SqlState::NULL_VALUE_NOT_ALLOWED, error.to_string())
        })
    }
}
