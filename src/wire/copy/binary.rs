//! COPY's binary format: a signature, flags, an extension to skip, rows of counted fields, a trailer of -1.

use super::reader::{Found, malformed};
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
}

impl BinaryRecords {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, begun: false }
    }

    /// The header, then the next row.
    pub(super) fn next(&mut self, bytes: &[u8], last: bool) -> Result<Found, Report> {
        let missing = |last: bool| if last { Err(malformed("unexpected EOF in COPY data")) } else { Ok(Found::More) };
        if !self.begun {
            let known = bytes.len().min(SIGNATURE.len());
            if bytes[..known] != SIGNATURE[..known] || (last && known < SIGNATURE.len()) {
                return Err(malformed("COPY file signature not recognized"));
            }
            let Some(header) = bytes.get(SIGNATURE.len()..HEADER) else { return missing(last) };
            let flags = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
            let extension = i32::from_be_bytes([header[4], header[5], header[6], header[7]]);
            if flags >> 16 != 0 {
                return Err(malformed("unrecognized critical flags in COPY file header"));
            }
            let extension = usize::try_from(extension).map_err(|_| malformed("invalid COPY file header (missing length)"))?;
            if bytes.len() < HEADER + extension {
                return missing(last);
            }
            self.begun = true;
            return self.row(bytes, HEADER + extension, last);
        }
        self.row(bytes, 0, last)
    }

    fn row(&self, bytes: &[u8], skip: usize, last: bool) -> Result<Found, Report> {
        let mut body = Body::new(&bytes[skip..]);
        let left = |body: &mut Body<'_>| bytes.len() - body.rest().len();
        let more = |at_start: bool| match (last, at_start) {
            // Without a trailer the data may end between rows.
            (true, true) | (false, _) => Ok(Found::More),
            (true, false) => Err(malformed("unexpected EOF in COPY data")),
        };
        let Ok(count) = body.i16() else {
            if skip > 0 {
                return Ok(Found::Skip(skip));
            }
            return more(bytes.is_empty());
        };
        if count == -1 {
            let used = left(&mut body);
            if used < bytes.len() {
                return Err(malformed("received copy data after EOF marker"));
            }
            return Ok(Found::End(used));
        }
        if usize::try_from(count).ok() != Some(self.columns) {
            return Err(malformed(format!("row field count is {count}, expected {}", self.columns)));
        }
        // Looked at first and copied when the row is whole: a row that comes in many pieces is looked at as often.
        let mut fields = Vec::with_capacity(self.columns);
        for _ in 0..self.columns {
            let mut length = body;
            match length.i32() {
                Ok(-1) | Ok(0..) => {}
                Ok(_) => return Err(malformed("invalid field size")),
                Err(_) => return self.unfinished(skip, more(false)),
            }
            match body.counted() {
                Ok(field) => fields.push(field),
                Err(_) => return self.unfinished(skip, more(false)),
            }
        }
        let used = left(&mut body);
        Ok(Found::Record(fields.into_iter().map(|field| field.map(<[u8]>::to_vec)).collect(), used))
    }

    /// A row that is not all there; the header before it is done with all the same.
    fn unfinished(&self, skip: usize, more: Result<Found, Report>) -> Result<Found, Report> {
        match more {
            Ok(_) if skip > 0 => Ok(Found::Skip(skip)),
            other => other,
        }
    }
}
