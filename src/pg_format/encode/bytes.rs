//! Text, bytea and uuid. Text that stands for jsonb gets jsonb's version byte in binary.

use std::net::IpAddr;

use arrow::array::{Array, ArrayAccessor, AsArray};
use arrow::datatypes::DataType;

use super::{AnyCell, Cell, Format, Style, unsupported};
use crate::error::Report;
use crate::pg_type::PgType;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A cursor over strings or bytes and what to do with each.
struct Slices<A, W> {
    array: A,
    write: W,
}

impl<A, W> Cell for Slices<A, W>
where
    A: ArrayAccessor,
    A::Item: AsRef<[u8]>,
    W: Fn(&[u8], &mut Vec<u8>),
{
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        (self.write)(self.array.value(row).as_ref(), out);
        Ok(())
    }
}

/// Strings.
pub(super) fn text<'a>(array: &'a dyn Array, pg_type: PgType, format: Format) -> Result<AnyCell<'a>, Report> {
    let write: fn(&[u8], &mut Vec<u8>) = match (pg_type, format) {
        (PgType::JSONB, Format::Binary) => |value, out| {
            out.push(1);
            out.extend_from_slice(value);
        },
        // One byte, always; the empty string is NUL.
        (PgType::CHAR, Format::Binary) => |value, out| out.push(value.first().copied().unwrap_or(0)),
        // A name that stands for an oid has no binary form; a number written out has.
        (other, Format::Binary) if other.is_oid_like() => |value, out| {
            let oid = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
            out.extend_from_slice(&oid.to_be_bytes());
        },
        (PgType::INET, Format::Binary) => write_address,
        _ => |value, out| out.extend_from_slice(value),
    };
    Ok(match array.data_type() {
        DataType::Utf8 => Box::new(Slices { array: array.as_string::<i32>(), write }),
        DataType::LargeUtf8 => Box::new(Slices { array: array.as_string::<i64>(), write }),
        DataType::Utf8View => Box::new(Slices { array: array.as_string_view(), write }),
        other => return Err(unsupported(other)),
    })
}

/// Bytes; as a uuid if the client was told so and they are sixteen.
pub(super) fn bytea<'a>(array: &'a dyn Array, pg_type: PgType, format: Format, style: &Style) -> Result<AnyCell<'a>, Report> {
    let write: fn(&[u8], &mut Vec<u8>) = match (pg_type, format) {
        (_, Format::Binary) => |value, out| out.extend_from_slice(value),
        (PgType::UUID, Format::Text) => write_uuid,
        // An engine function over strings may deliver bytes where text was announced.
        (PgType::TEXT, Format::Text) => |value, out| out.extend_from_slice(value),
        _ if style.bytea_escape => write_escaped,
        _ => write_hex,
    };
    Ok(match array.data_type() {
        DataType::Binary => Box::new(Slices { array: array.as_binary::<i32>(), write }),
        DataType::LargeBinary => Box::new(Slices { array: array.as_binary::<i64>(), write }),
        DataType::BinaryView => Box::new(Slices { array: array.as_binary_view(), write }),
        DataType::FixedSizeBinary(_) => Box::new(Slices { array: array.as_fixed_size_binary(), write }),
        other => return Err(unsupported(other)),
    })
}

/// An address as inet has it: its family, the bits of its network, whether it is a cidr, its length, its bytes.
fn write_address(value: &[u8], out: &mut Vec<u8>) {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, bits.parse::<u8>().ok()));
    match address.parse() {
        Ok(IpAddr::V4(address)) => {
            out.extend_from_slice(&[2, bits.unwrap_or(32), 0, 4]);
            out.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            out.extend_from_slice(&[3, bits.unwrap_or(128), 0, 16]);
            out.extend_from_slice(&address.octets());
        }
        // Only the catalog has values of this type, and they are addresses.
        Err(_) => {}
    }
}

/// `\xdeadbeef`.
fn write_hex(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    for byte in value {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// `bytea_output = escape`: what is not printable ASCII as octal, the backslash doubled.
fn write_escaped(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(*byte),
            _ => out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + ((byte >> 3) & 7), b'0' + (byte & 7)]),
        }
    }
}

/// `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11`.
fn write_uuid(value: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in value.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}
