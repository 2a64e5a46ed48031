//! COPY's csv format: a record may span lines inside quotes; an unquoted NULL string is NULL, a quoted one is text.

use super::reader::{Fields, Found, malformed};
use crate::error::Report;
use crate::session::CopyOptions;

/// Splits records and fields.
pub(super) struct CsvRecords {
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: Vec<u8>,
    header: bool,
    /// How far the buffer was searched for the record's end, and whether that was inside quotes.
    searched: usize,
    quoted: bool,
}

impl CsvRecords {
    pub(super) fn new(options: &CopyOptions) -> Self {
        Self {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape,
            null: options.null.clone().into_bytes(),
            header: options.header,
            searched: 0,
            quoted: false,
        }
    }

    /// The next record.
    pub(super) fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        let mut at = self.searched;
        let end = loop {
            match bytes.get(at) {
                Some(b'\n') if !self.quoted => break at,
                // An escape that is not the quote itself hides the next byte, if that is special.
                Some(byte) if self.quoted && *byte == self.escape && self.escape != self.quote => match bytes.get(at + 1) {
                    Some(next) => at += if *next == self.quote || *next == self.escape { 2 } else { 1 },
                    None if last => at += 1,
                    None => {
                        self.searched = at;
                        return Ok(Found::More);
                    }
                },
                Some(byte) => {
                    self.quoted ^= *byte == self.quote;
                    at += 1;
                }
                None if last && self.quoted => return Err(malformed("unterminated CSV quoted field")),
                None if last && !bytes.is_empty() => break bytes.len(),
                None => {
                    self.searched = at;
                    return Ok(Found::More);
                }
            }
        };
        (self.searched, self.quoted) = (0, false);
        let used = (end + 1).min(bytes.len());
        let record = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
        if std::mem::take(&mut self.header) {
            return Ok(Found::Skip(used));
        }
        if record == b"\\." {
            return Ok(Found::End(used));
        }
        Ok(Found::Record(self.fields(record), used))
    }

    fn fields(&self, record: &[u8]) -> Fields {
        let mut fields = Vec::new();
        let mut value = Vec::new();
        let (mut quoted, mut was_quoted, mut at) = (false, false, 0);
        loop {
            match record.get(at) {
                Some(byte) if quoted => {
                    let next = record.get(at + 1);
                    if *byte == self.escape && next.is_some_and(|next| *next == self.quote || *next == self.escape) {
                        value.extend(next);
                        at += 1;
                    } else if *byte == self.quote {
                        quoted = false;
                    } else {
                        value.push(*byte);
                    }
                }
                Some(byte) if *byte == self.quote => (quoted, was_quoted) = (true, true),
                Some(byte) if *byte != self.delimiter => value.push(*byte),
                end => {
                    let value = std::mem::take(&mut value);
                    fields.push((std::mem::take(&mut was_quoted) || value != self.null).then_some(value));
                    if end.is_none() {
                        return fields;
                    }
                }
            }
            at += 1;
        }
    }
}
