//! Protocol buffers' wire format, as far as Feast's registry needs it: fields by number, in the order in which they come.
//!
//! A dozen fields of six messages are read; generating code for all of Feast's schema would bring a compiler for it into the build.
//! What is not asked for is skipped, so a newer Feast's fields do no harm. Nothing is copied and no length is trusted: a field
//! that says that it is longer than what there is ends the reading.

use std::collections::BTreeMap;

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no protocol buffer of Feast's")]
pub struct WireError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// A message's fields.
#[derive(Debug, Clone, Default)]
pub struct Message<'a> {
    fields: Vec<(u64, Value<'a>)>,
}

impl<'a> Message<'a> {
    /// Reads the fields of a message; those inside of it are read when they are asked for.
    pub fn parse(mut bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            let value = match tag & 7 {
                0 => Value::Number(varint(&mut bytes)?),
                1 => Value::Bytes(take(&mut bytes, 8)?),
                2 => {
                    let length = varint(&mut bytes)?;
                    Value::Bytes(take(&mut bytes, length)?)
                }
                5 => Value::Bytes(take(&mut bytes, 4)?),
                _ => return Err(WireError),
            };
            fields.push((tag >> 3, value));
        }
        Ok(Self { fields })
    }

    /// The last number of this field; 0 if there is none, as the format has it.
    pub fn number(&self, field: u64) -> u64 {
        let found = self.fields.iter().rev().find(|(number, _)| *number == field);
        found.map_or(0, |(_, value)| if let Value::Number(number) = value { *number } else { 0 })
    }

    /// The last text of this field; empty if there is none.
    pub fn text(&self, field: u64) -> Result<String, WireError> {
        self.texts(field).map(|mut texts| texts.pop().unwrap_or_default())
    }

    /// All texts of this field.
    pub fn texts(&self, field: u64) -> Result<Vec<String>, WireError> {
        self.bytes(field).map(|bytes| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| WireError)).collect()
    }

    /// The last message of this field.
    pub fn message(&self, field: u64) -> Result<Option<Message<'a>>, WireError> {
        self.bytes(field).last().map(Message::parse).transpose()
    }

    /// All messages of this field.
    pub fn messages(&self, field: u64) -> Result<Vec<Message<'a>>, WireError> {
        self.bytes(field).map(Message::parse).collect()
    }

    /// A map of texts.
    pub fn map(&self, field: u64) -> Result<BTreeMap<String, String>, WireError> {
        self.messages(field)?.iter().map(|entry| Ok((entry.text(1)?, entry.text(2)?))).collect()
    }

    fn bytes(&self, field: u64) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.fields.iter().filter_map(move |(number, value)| match value {
            Value::Bytes(bytes) if *number == field => Some(*bytes),
            _ => None,
        })
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(WireError)?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(WireError)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], WireError> {
    let length = usize::try_from(length).map_err(|_| WireError)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(WireError)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_unknown_ones_skipped() {
        // 1: 300, 2: "ab", 3: { 1: "k", 2: "v" }, 9: fixed64, 2: "cd"
        let bytes = b"\x08\xac\x02\x12\x02ab\x1a\x06\x0a\x01k\x12\x01v\x49\0\0\0\0\0\0\0\0\x12\x02cd";
        let message = Message::parse(bytes).unwrap();
        assert_eq!((message.number(1), message.number(7)), (300, 0));
        assert_eq!((message.text(2).unwrap(), message.texts(2).unwrap().len()), ("cd".to_owned(), 2));
        assert_eq!(message.map(3).unwrap(), [("k".to_owned(), "v".to_owned())].into());
        assert!(message.message(4).unwrap().is_none());
    }

    #[test]
    fn hostile_bytes_are_refused() {
        for bytes in
            [b"\x0a\xff\xff\xff\xff\x0f".as_slice(), b"\x0a\x05ab", b"\x0b", b"\x08", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
        {
            assert_eq!(Message::parse(bytes).unwrap_err(), WireError, "{bytes:?}");
        }
        assert_eq!(Message::parse(b"\x0a\x01\xff").unwrap().text(1), Err(WireError));
        for length in 0..64 {
            let noise: Vec<u8> = (0..length).map(|at| (at * 37 + 11) as u8).collect();
            let _ = Message::parse(&noise).map(|message| message.messages(1).map(|inner| inner.len()));
        }
    }
}
