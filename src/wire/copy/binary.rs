//! COPY's binary format: a signature, flags, an extension to skip, rows of counted fields, a trailer of -1.

use super::reader::{Found, Record, malformed};
use crate::error::Report;
use crate::wire::frame::Body;

/// The first eleven bytes; they survive no newline translation.
pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const HEADER: usize = 19;

/// Splits rows and fields.
pub(super) struct BinaryRecords {
    columns: usize,
    begun: bool,
    /// The column that is being read.
    column: Option<usize>,
}

impl BinaryRecords {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, begun: false, column: None }
    }

    /// Whether the header was read.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// The column that is being read.
    pub(super) fn column(&self) -> Option<usize> {
        self.column
    }

    /// The header, then the next row.
    pub(super) fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        self.column = None;
        if !self.begun {
            let known = bytes.len().min(SIGNATURE.len());
            if bytes[..known] != SIGNATURE[..known] || (last && known < SIGNATURE.len()) {
                return Err(malformed("COPY file signature not recognized"));
            }
            let missing = |what: &str| if last { Err(malformed(format!("invalid COPY file header ({what})"))) } else { Ok(Found::More) };
            let number = |at: usize| bytes.get(at..at + 4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            let Some(flags) = number(SIGNATURE.len()) else { return missing("missing flags") };
            if flags & (1 << 16) != 0 {
                return Err(malformed("invalid COPY file header (WITH OIDS)"));
            }
            if flags >> 16 != 0 {
                return Err(malformed("unrecognized critical flags in COPY file header"));
            }
            let Some(extension) = number(SIGNATURE.len() + 4) else { return missing("missing length") };
            let Ok(extension) = usize::try_from(extension as i32) else {
                return Err(malformed("invalid COPY file header (missing length)"));
            };
            if bytes.len() < HEADER + extension {
                return missing("wrong length");
            }
            self.begun = true;
            return self.row(bytes, HEADER + extension, last);
        }
        self.row(bytes, 0, last)
    }

    fn row(&mut self, bytes: &[u8], skip: usize, last: bool) -> Result<Found, Report> {
        let mut body = Body::new(&bytes[skip..]);
        let left = |body: &mut Body<'_>| bytes.len() - body.rest().len();
        let Ok(count) = body.i16() else {
            // Without a trailer the data may end between rows, and PostgreSQL overlooks half of a row's count.
            return Ok(if skip > 0 { Found::Skip(skip) } else { Found::More });
        };
        if count == -1 {
            if left(&mut body) < bytes.len() {
                return Err(malformed("received copy data after EOF marker"));
            }
            return Ok(Found::End);
        }
        if usize::try_from(count).ok() != Some(self.columns) {
            return Err(malformed(format!("row field count is {count}, expected {}", self.columns)));
        }
        // Looked at first and copied when the row is whole: a row that comes in many pieces is looked at as often.
        let mut fields = Vec::with_capacity(self.columns);
        for column in 0..self.columns {
            self.column = Some(column);
            let mut length = body;
            match length.i32() {
                Ok(-1) | Ok(0..) => {}
                Ok(_) => return Err(malformed("invalid field size")),
                Err(_) => return self.unfinished(skip, last),
            }
            match body.counted() {
                Ok(field) => fields.push(field),
                Err(_) => return self.unfinished(skip, last),
            }
        }
        self.column = None;
        let used = left(&mut body);
        let fields = fields.into_iter().map(|field| field.map(<[u8]>::to_vec)).collect();
        Ok(Found::Record(Record { fields, line: 0, used, more_lines: 0 }))
    }

    /// A row that is not all there; the header before it is done with all the same.
    fn unfinished(&mut self, skip: usize, last: bool) -> Result<Found, Report> {
        if last {
            return Err(malformed("unexpected EOF in COPY data"));
        }
        // More is to come, and what is said meanwhile is not about this column.
        self.column = None;
        Ok(if skip > 0 { Found::Skip(skip) } else { Found::More })
    }
}
