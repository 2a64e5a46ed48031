//! Our messages, appended to the connection's buffer.
//!
//! One writer instead of pgwire's structs: these go into the same `Vec` as the rows, cost no `String` per field, and have no
//! length at which they become an error.

use super::error::ProtocolError;
use crate::error::Report;
use crate::pg_format::encode::{Format, format_of};
use crate::pg_type::PgType;
use crate::session::{Column, Notice, TransactionStatus};

/// A message under construction: its length is set when it is dropped into place by [`Writer::end`].
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    fn new(tag: u8, out: &'a mut Vec<u8>) -> Self {
        let start = out.len() + 1;
        out.extend_from_slice(&[tag, 0, 0, 0, 0]);
        Self { out, start }
    }
    fn text(self, text: &str) -> Self {
        // A NUL inside would end the string early and put the client out of step.
        self.out.extend(text.bytes().filter(|byte| *byte != 0));
        self.out.push(0);
        self
    }
    fn bytes(self, bytes: &[u8]) -> Self {
        self.out.extend_from_slice(bytes);
        self
    }
    fn i16(self, number: i16) -> Self {
        self.bytes(&number.to_be_bytes())
    }
    fn i32(self, number: i32) -> Self {
        self.bytes(&number.to_be_bytes())
    }
    fn end(self) {
        let length = (self.out.len() - self.start) as u32;
        self.out[self.start..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// How grave an ErrorResponse is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
}

/// ErrorResponse.
pub(super) fn error(report: &Report, severity: Severity, out: &mut Vec<u8>) {
    let word = match severity {
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
    };
    let position = report.position.map(|position| position.to_string());
    let place = report.place.as_deref();
    let column = place.and_then(|place| place.column.as_ref());
    let optional = [
        report.detail.as_deref(),
        report.hint.as_deref(),
        place.and_then(|place| place.context.as_deref()),
        position.as_deref(),
        column.map(|(table, _)| table.as_str()),
        column.map(|(_, column)| column.as_str()),
        place.and_then(|place| place.routine),
    ];
    fields(b'E', word, report.sqlstate.code(), &report.message, optional, out);
}

/// NoticeResponse.
pub(super) fn notice(notice: &Notice, out: &mut Vec<u8>) {
    let optional = [notice.detail.as_deref(), notice.hint.as_deref(), None, None, None, None, None];
    fields(b'N', notice.severity, notice.sqlstate.code(), &notice.message, optional, out);
}

fn fields(tag: u8, severity: &str, code: &str, message: &str, optional: [Option<&str>; 7], out: &mut Vec<u8>) {
    let mut writer = Writer::new(tag, out).bytes(b"S").text(severity).bytes(b"V").text(severity).bytes(b"C").text(code);
    writer = writer.bytes(b"M").text(message);
    for (field, text) in [b"D", b"H", b"W", b"P", b"t", b"c", b"R"].into_iter().zip(optional) {
        if let Some(text) = text {
            writer = writer.bytes(field).text(text);
        }
    }
    writer.bytes(&[0]).end();
}

/// AuthenticationOk and its kin: a code and data.
pub(super) fn authentication(code: i32, data: &[u8], out: &mut Vec<u8>) {
    Writer::new(b'R', out).i32(code).bytes(data).end();
}

/// NegotiateProtocolVersion: the newest version, and the options not known.
pub(super) fn negotiate_protocol_version(version: i32, unknown: &[String], out: &mut Vec<u8>) {
    let writer = Writer::new(b'v', out).i32(version).i32(unknown.len() as i32);
    unknown.iter().fold(writer, |writer, option| writer.text(option)).end();
}

/// ParameterStatus.
pub(super) fn parameter_status(name: &str, value: &str, out: &mut Vec<u8>) {
    Writer::new(b'S', out).text(name).text(value).end();
}

/// BackendKeyData.
pub(super) fn backend_key_data(process_id: i32, secret: &[u8], out: &mut Vec<u8>) {
    Writer::new(b'K', out).i32(process_id).bytes(secret).end();
}

/// ReadyForQuery.
pub(super) fn ready_for_query(status: TransactionStatus, out: &mut Vec<u8>) {
    let letter = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::InTransaction => b'T',
        TransactionStatus::Failed => b'E',
    };
    Writer::new(b'Z', out).bytes(&[letter]).end();
}

/// A message of nothing but its tag.
fn empty(tag: u8, out: &mut Vec<u8>) {
    Writer::new(tag, out).end();
}

/// ParseComplete.
pub(super) fn parse_complete(out: &mut Vec<u8>) {
    empty(b'1', out);
}

/// BindComplete.
pub(super) fn bind_complete(out: &mut Vec<u8>) {
    empty(b'2', out);
}

/// CloseComplete.
pub(super) fn close_complete(out: &mut Vec<u8>) {
    empty(b'3', out);
}

/// NoData.
pub(super) fn no_data(out: &mut Vec<u8>) {
    empty(b'n', out);
}

/// PortalSuspended.
pub(super) fn portal_suspended(out: &mut Vec<u8>) {
    empty(b's', out);
}

/// EmptyQueryResponse.
pub(super) fn empty_query(out: &mut Vec<u8>) {
    empty(b'I', out);
}

/// CopyDone.
pub(super) fn copy_done(out: &mut Vec<u8>) {
    empty(b'c', out);
}

/// CopyData.
pub(super) fn copy_data(data: &[u8], out: &mut Vec<u8>) {
    Writer::new(b'd', out).bytes(data).end();
}

/// CommandComplete.
pub(super) fn command_complete(tag: &str, out: &mut Vec<u8>) {
    Writer::new(b'C', out).text(tag).end();
}

/// CopyInResponse (`G`) or CopyOutResponse (`H`); of more columns than it can count, nothing.
pub(super) fn copy_response(tag: u8, format: Format, columns: usize, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let code = i16::from(format == Format::Binary);
    let count = counted(columns)?;
    let writer = Writer::new(tag, out).bytes(&[code as u8]).i16(count);
    (0..columns).fold(writer, |writer, _| writer.i16(code)).end();
    Ok(())
}

/// ParameterDescription.
pub(super) fn parameter_description(types: &[PgType], out: &mut Vec<u8>) {
    let writer = Writer::new(b't', out).i16(types.len() as i16);
    types.iter().fold(writer, |writer, pg_type| writer.i32(pg_type.oid() as i32)).end();
}

/// RowDescription; of more columns than it can count, nothing.
pub(super) fn row_description(columns: &[Column], formats: &[i16], out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let count = counted(columns.len())?;
    let mut writer = Writer::new(b'T', out).i16(count);
    for (index, column) in columns.iter().enumerate() {
        let pg_type = PgType::of(&column.field);
        writer = writer
            .text(&column.name)
            .i32(column.table_oid as i32)
            .i16(column.attribute)
            .i32(pg_type.oid() as i32)
            .i16(pg_type.len())
            .i32(PgType::typmod(&column.field))
            .i16(i16::from(format_of(formats, index) == Format::Binary));
    }
    writer.end();
    Ok(())
}

/// A number of columns as messages have it.
fn counted(columns: usize) -> Result<i16, ProtocolError> {
    i16::try_from(columns).map_err(|_| ProtocolError::TooManyColumns { columns, limit: i16::MAX as usize })
}
