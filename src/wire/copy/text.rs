//! COPY's text format: a line per record, backslashes before what would be taken for structure.

use super::reader::Found;
use crate::session::CopyOptions;

/// Splits lines and fields.
pub(super) struct TextRecords {
    delimiter: u8,
    null: Vec<u8>,
    header: bool,
    /// How far the buffer was searched for the line's end.
    searched: usize,
}

impl TextRecords {
    pub(super) fn new(options: &CopyOptions) -> Self {
        Self { delimiter: options.delimiter, null: options.null.clone().into_bytes(), header: options.header, searched: 0 }
    }

    /// The next line.
    pub(super) fn next(&mut self, bytes: &[u8], last: bool) -> Found {
        let mut at = self.searched;
        let end = loop {
            match bytes.get(at) {
                Some(b'\n') => break at,
                // Whatever is behind a backslash is data, a newline too.
                Some(b'\\') if at + 1 < bytes.len() => at += 2,
                Some(b'\\') if !last => {
                    self.searched = at;
                    return Found::More;
                }
                Some(_) => at += 1,
                None if last && !bytes.is_empty() => break bytes.len(),
                None => {
                    self.searched = at;
                    return Found::More;
                }
            }
        };
        self.searched = 0;
        let used = (end + 1).min(bytes.len());
        let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
        if std::mem::take(&mut self.header) {
            return Found::Skip(used);
        }
        if line == b"\\." {
            return Found::End(used);
        }
        let mut fields = Vec::new();
        let mut start = 0;
        let mut at = 0;
        loop {
            match line.get(at) {
                Some(b'\\') => at += 2,
                Some(byte) if *byte != self.delimiter => at += 1,
                delimiter => {
                    let raw = &line[start..at.min(line.len())];
                    fields.push((raw != self.null).then(|| unescape(raw)));
                    if delimiter.is_none() {
                        return Found::Record(fields, used);
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
            None => out.push(b'\\'),
        }
    }
    out
}
