//! COPY's csv format: a record may span lines inside quotes; an unquoted NULL string is NULL, a quoted one is text.

use super::line_ends::{LineEnd, Mark, end_mark};
use super::reader::{Fields, Found, Record, malformed};
use crate::error::Report;
use crate::session::CopyOptions;

/// Splits records and fields.
pub(super) struct CsvRecords {
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: Vec<u8>,
    ends: LineEnd,
    /// How far the buffer was searched for the record's end, and what was seen up to there.
    searched: usize,
    quoted: bool,
    /// An escape that is not the quote itself stood last, inside quotes: what follows is hidden by it.
    escaped: bool,
    /// Lines that ended inside quotes.
    inside: u64,
}

impl CsvRecords {
    pub(super) fn new(options: &CopyOptions) -> Self {
        Self {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape,
            null: options.null.clone().into_bytes(),
            ends: LineEnd::Unknown,
            searched: 0,
            quoted: false,
            escaped: false,
            inside: 0,
        }
    }

    /// Lines of the record that is being read, beyond its first.
    pub(super) fn inside(&self) -> u64 {
        self.inside
    }

    /// The next record.
    pub(super) fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        let mut at = self.searched;
        let (end, used) = loop {
            let Some(&byte) = bytes.get(at) else {
                if last && !bytes.is_empty() {
                    break (at, at);
                }
                return Ok(self.more(at));
            };
            if !self.quoted && matches!(byte, b'\n' | b'\r') {
                match self.ends.at(bytes, at, last, true)? {
                    Some(length) => break (at, at + length),
                    None => return Ok(self.more(at)),
                }
            }
            if at == 0 && byte == b'\\' {
                match bytes.get(1) {
                    None if !last => return Ok(self.more(at)),
                    Some(b'.') => match end_mark(self.ends, bytes, at, last, true)? {
                        Mark::More => return Ok(self.more(at)),
                        Mark::End => return Ok(Found::End),
                        Mark::Data => {}
                    },
                    _ => {}
                }
            }
            // A quote that is its own escape is a switch: doubled, it is switched twice.
            let is_escape = byte == self.escape && self.escape != self.quote;
            self.escaped ^= self.quoted && is_escape;
            self.quoted ^= byte == self.quote && !self.escaped;
            self.escaped &= is_escape;
            self.inside += u64::from(self.quoted && byte == self.ends.counted());
            at += 1;
        };
        let (unterminated, more_lines) = (self.quoted, self.inside);
        (self.searched, self.quoted, self.escaped, self.inside) = (0, false, false, 0);
        if unterminated {
            return Ok(Found::Malformed(malformed("unterminated CSV quoted field"), end, more_lines));
        }
        Ok(Found::Record(Record { fields: self.fields(&bytes[..end]), line: end, used, more_lines }))
    }

    fn more(&mut self, at: usize) -> Found {
        self.searched = at;
        Found::More
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
