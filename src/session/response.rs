//! What the wire gets from a session: descriptions and row streams in Arrow's terms, tags in PostgreSQL's.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use arrow::record_batch::RecordBatch;
use futures::stream::BoxStream;

pub use crate::error::Notice;
use crate::error::Report;

/// A result column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name as PostgreSQL would give it.
    pub name: String,
    /// Its Arrow field (extension metadata tells a uuid from other fixed bytes).
    pub field: FieldRef,
    /// The relation's oid, if it is a plain column of one; else 0.
    pub table_oid: u32,
    /// Its number in that relation, from 1; else 0.
    pub attribute: i16,
}

/// Rows on their way.
pub struct Rows {
    /// The columns.
    pub columns: Arc<[Column]>,
    /// Rows that were read but not sent, before a portal was suspended.
    pub pending: Option<RecordBatch>,
    /// Batches; dropping it stops the operators. An error ends it.
    pub stream: BoxStream<'static, Result<RecordBatch, Report>>,
    /// The command tag's words, `SELECT` or `SHOW`.
    pub verb: &'static str,
    /// Whether the tag ends with the number of rows.
    pub counted: bool,
    /// Whether values are binary where the client names no format: those of a BINARY cursor.
    pub binary: bool,
}

/// How COPY's data looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// Tabs and backslashes.
    Text,
    /// Commas and quotes.
    Csv,
    /// PostgreSQL's binary file format.
    Binary,
}

/// `COPY … WITH (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    /// FORMAT.
    pub format: CopyFormat,
    /// DELIMITER.
    pub delimiter: u8,
    /// NULL.
    pub null: String,
    /// HEADER.
    pub header: CopyHeader,
    /// QUOTE.
    pub quote: u8,
    /// ESCAPE.
    pub escape: u8,
    /// FORCE_QUOTE for all columns.
    pub force_quote_all: bool,
    /// FORCE_QUOTE: indices of columns that are copied, as below.
    pub force_quote: Vec<usize>,
    /// FORCE_NOT_NULL.
    pub force_not_null: Vec<usize>,
    /// FORCE_NULL.
    pub force_null: Vec<usize>,
    /// Whether rows are left out by a WHERE, so that NULL where none may be is found behind it.
    pub filtered: bool,
}

impl CopyOptions {
    /// What a format has where nothing else is said.
    pub fn of(format: CopyFormat) -> Self {
        let csv = format == CopyFormat::Csv;
        Self {
            format,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".to_owned() },
            header: CopyHeader::None,
            quote: b'"',
            escape: b'"',
            force_quote_all: false,
            force_quote: Vec::new(),
            force_not_null: Vec::new(),
            force_null: Vec::new(),
            filtered: false,
        }
    }
}

/// COPY's first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyHeader {
    /// There is none.
    None,
    /// The names of the columns; not looked at when it comes in.
    Line,
    /// The names of the columns, which must be those.
    Match,
}

/// What a statement answers with.
pub enum Response {
    /// Rows.
    Rows(Rows),
    /// Nothing but a tag.
    Done(String),
    /// The statement was empty.
    Empty,
    /// `COPY (query) TO STDOUT`.
    CopyOut(Rows, CopyOptions),
    /// `COPY temp_table FROM STDIN`: the wire decodes and hands batches of these columns to [`super::Backend::copy_in`]; errors name the table.
    CopyIn(String, Arc<[Column]>, CopyOptions),
}

/// ReadyForQuery's letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// `I`
    Idle,
    /// `T`
    InTransaction,
    /// `E`
    Failed,
}
