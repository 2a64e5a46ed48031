//! COPY's text format: a line per record, backslashes before what would be taken for structure.

use super::line_ends::{LineEnd, Mark, end_mark};
use super::reader::{Fields, Found, Record};
use crate::error::Report;
use crate::session::CopyOptions;

/// Splits lines and fields.
pub(super) struct TextRecords {
    delimiter: u8,
    null: Vec<u8>,
    ends: LineEnd,
    /// How far the buffer was searched for the line's end.
    searched: usize,
    /// The end mark stood behind other data of its line.
    ended: bool,
}

impl TextRecords {
    pub(super) fn new(options: &CopyOptions) -> Self {
        Self { delimiter: options.delimiter, null: options.null.clone().into_bytes(), ends: LineEnd::Unknown, searched: 0, ended: false }
    }

    /// The next line.
    pub(super) fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        if self.ended {
            return Ok(Found::End);
        }
        let mut at = self.searched;
        let (end, used) = loop {
            match bytes.get(at) {
                Some(b'\n' | b'\r') => match self.ends.at(bytes, at, last, false)? {
                    Some(length) => break (at, at + length),
                    None => return Ok(self.more(at)),
                },
                Some(b'\\') => match bytes.get(at + 1) {
                    Some(b'.') => match end_mark(self.ends, bytes, at, last, false)? {
                        Mark::More => return Ok(self.more(at)),
                        Mark::End if at == 0 => return Ok(Found::End),
                        Mark::End | Mark::Data => {
                            self.ended = true;
                            break (at, at);
                        }
                    },
                    // Whatever is behind a backslash is data, a newline too.
                    Some(_) => at += 2,
                    None if last => at += 1,
                    None => return Ok(self.more(at)),
                },
                Some(_) => at += 1,
                None if last && !bytes.is_empty() => break (bytes.len(), bytes.len()),
                None => return Ok(self.more(at)),
            }
        };
        self.searched = 0;
        Ok(Found::Record(Record { fields: self.fields(&bytes[..end]), line: end, used, more_lines: 0 }))
    }

    fn more(&mut self, at: usize) -> Found {
        self.searched = at;
        Found::More
    }

    fn fields(&self, line: &[u8]) -> Fields {
        let mut fields = Vec::new();
        let (mut start, mut at) = (0, 0);
        loop {
            match line.get(at) {
                Some(b'\\') => at += 2,
                Some(byte) if *byte != self.delimiter => at += 1,
                delimiter => {
                    let raw = &line[start..at.min(line.len())];
                    fields.push((raw != self.null).then(|| unescape(raw)));
                    if delimiter.is_none() {
                        return fields;
                    }
                    at += 1;
                    start = at;
                }
            }
        }
    }
}

/// The bytes that a field's backslashes stand for.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(11),
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    match bytes.next_if(|byte| matches!(byte, b'0'..=b'7')) {
                        Some(digit) => value = value * 8 + u32::from(digit - b'0'),
                        None => break,
                    }
                }
                out.push(value as u8);
            }
            Some(b'x') if bytes.peek().is_some_and(u8::is_ascii_hexdigit) => {
                let mut value = 0;
                for _ in 0..2 {
                    match bytes.next_if(u8::is_ascii_hexdigit).and_then(|digit| char::from(digit).to_digit(16)) {
                        Some(digit) => value = value * 16 + digit,
                        None => break,
                    }
                }
                out.push(value as u8);
            }
            Some(other) => out.push(other),
            // The very end of the data: there is nothing that it could stand before.
            None => {}
        }
    }
    out
}
