//! A client's messages, taken apart.
//!
//! pgwire's decoders panic on a body that ends early, replace bad UTF-8 and reserve what a length says; these read a slice with
//! every step checked, borrow from it, and allocate nothing but the lists whose members are really there.

use super::error::ProtocolError;
use crate::error::Report;
use crate::pg_format::decode::utf8;

/// A message: its first byte, and its body unless that was over the limit and thrown away.
#[derive(Debug)]
pub(super) struct Frame {
    /// The first byte.
    pub(super) tag: u8,
    /// The body, or its size if it was too large to be kept.
    pub(super) body: Result<bytes::Bytes, ProtocolError>,
}

/// Bind, as it came.
#[derive(Debug)]
pub(super) struct Bind<'a> {
    pub(super) portal: &'a str,
    pub(super) statement: &'a str,
    pub(super) parameter_formats: Vec<i16>,
    pub(super) parameters: Vec<Option<&'a [u8]>>,
    pub(super) result_formats: Vec<i16>,
}

/// A body being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    bytes: &'a [u8],
}

impl<'a> Body<'a> {
    /// From its start.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtocolError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(ProtocolError::BodyTooShort)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// One byte.
    pub(super) fn u8(&mut self) -> Result<u8, ProtocolError> {
        Ok(self.take(1)?[0])
    }

    /// A 16-bit number.
    pub(super) fn i16(&mut self) -> Result<i16, ProtocolError> {
        let bytes = self.take(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A 32-bit number.
    pub(super) fn i32(&mut self) -> Result<i32, ProtocolError> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Bytes behind their length; none for -1.
    pub(super) fn counted(&mut self) -> Result<Option<&'a [u8]>, ProtocolError> {
        match self.i32()? {
            -1 => Ok(None),
            length => Ok(Some(self.take(usize::try_from(length).map_err(|_| ProtocolError::BodyTooShort)?)?)),
        }
    }

    /// Text up to a NUL.
    pub(super) fn text(&mut self) -> Result<&'a str, Report> {
        let end = self.bytes.iter().position(|byte| *byte == 0).ok_or(ProtocolError::Unterminated)?;
        let text = utf8(&self.bytes[..end])?;
        self.bytes = &self.bytes[end + 1..];
        Ok(text)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// A count and that many 16-bit numbers.
    pub(super) fn formats(&mut self) -> Result<Vec<i16>, ProtocolError> {
        let count = self.i16()? as u16;
        (0..count).map(|_| self.i16()).collect()
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), ProtocolError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(ProtocolError::BodyTooLong) }
    }

    /// Bind's body.
    pub(super) fn bind(mut self) -> Result<Bind<'a>, Report> {
        let (portal, statement) = (self.text()?, self.text()?);
        let parameter_formats = self.formats()?;
        let count = self.i16()? as u16;
        let parameters = (0..count).map(|_| self.counted()).collect::<Result<Vec<_>, _>>()?;
        let result_formats = self.formats()?;
        self.end()?;
        for code in parameter_formats.iter().chain(&result_formats) {
            if !matches!(code, 0 | 1) {
                return Err(ProtocolError::FormatCode(*code).into());
            }
        }
        Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
    }
}
