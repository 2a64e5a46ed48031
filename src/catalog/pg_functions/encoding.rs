//! `encode` and `decode` between bytes and text: base64 in lines of 76 characters, hex, and escapes.
//!
//! The engine's base64 has no padding and no lines, and it knows no escapes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, StringBuilder};
use arrow::datatypes::DataType;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use super::bounded::check;
use crate::error::{Report, SqlState};

/// Characters of a line of base64.
const LINE: usize = 76;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Builtin::function("encode", encoded, encode), Builtin::function("decode", decoded, decode)]
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

fn encoded(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let is_bytes = |of: &DataType| {
        matches!(of, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) | DataType::Null)
    };
    match arguments {
        [bytes, format] if is_bytes(bytes) && is_text(format) => Some((vec![DataType::Binary, DataType::Utf8], DataType::Utf8)),
        _ => None,
    }
}

fn decoded(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    match arguments {
        [text, format] if is_text(text) && is_text(format) => Some((vec![DataType::Utf8; 2], DataType::Binary)),
        _ => None,
    }
}

fn unknown() -> Report {
    Report::new(SqlState::UNDEFINED_FUNCTION, "no such function of bytea")
}

fn invalid(message: String) -> Report {
    Report::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

#[derive(Clone, Copy)]
enum Format {
    Base64,
    Hex,
    Escape,
}

fn format(name: &str) -> Result<Format, Report> {
    match name.to_ascii_lowercase().as_str() {
        "base64" => Ok(Format::Base64),
        "hex" => Ok(Format::Hex),
        "escape" => Ok(Format::Escape),
        _ => Err(invalid(format!("unrecognized encoding: \"{name}\""))),
    }
}

fn encode(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [bytes, formats] = arguments else { return Err(unknown()) };
    let (bytes, formats) = (bytes.as_binary::<i32>(), formats.as_string::<i32>());
    // A byte is four characters of an escape at the most.
    check("encode", 4.0 * bytes.value_data().len() as f64)?;
    let mut texts = StringBuilder::with_capacity(bytes.len(), 2 * bytes.value_data().len());
    for row in bytes.iter().zip(formats.iter()) {
        let text = match row {
            (Some(bytes), Some(name)) => Some(match format(name)? {
                Format::Base64 => in_lines(&BASE64.encode(bytes)),
                Format::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
                Format::Escape => escaped(bytes),
            }),
            _ => None,
        };
        texts.append_option(text);
    }
    Ok(Arc::new(texts.finish()))
}

fn in_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / LINE);
    for (place, character) in text.chars().enumerate() {
        lines.push(character);
        // Behind the last as well, if it is full.
        if (place + 1) % LINE == 0 {
            lines.push('\n');
        }
    }
    lines
}

/// Zero and what is no ASCII in octal digits, backslashes doubled.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            0 | 128.. => text.push_str(&format!("\\{byte:03o}")),
            byte => text.push(char::from(*byte)),
        }
    }
    text
}

fn decode(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [texts, formats] = arguments else { return Err(unknown()) };
    let (texts, formats) = (texts.as_string::<i32>(), formats.as_string::<i32>());
    check("decode", texts.value_data().len() as f64)?;
    let mut bytes = BinaryBuilder::with_capacity(texts.len(), texts.value_data().len());
    for row in texts.iter().zip(formats.iter()) {
        let value = match row {
            (Some(text), Some(name)) => Some(match format(name)? {
                Format::Base64 => of_base64(text)?,
                Format::Hex => of_hex(text)?,
                Format::Escape => of_escapes(text)?,
            }),
            _ => None,
        };
        bytes.append_option(value);
    }
    Ok(Arc::new(bytes.finish()))
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\t' | '\r')
}

fn of_base64(text: &str) -> Result<Vec<u8>, Report> {
    let text: String = text.chars().filter(|character| !is_blank(*character)).collect();
    if let Some(symbol) = text.chars().find(|symbol| !(symbol.is_ascii_alphanumeric() || matches!(symbol, '+' | '/' | '='))) {
        return Err(invalid(format!("invalid symbol \"{symbol}\" found while decoding base64 sequence")));
    }
    BASE64.decode(text).map_err(|_| {
        invalid("invalid base64 end sequence".to_owned()).hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
    })
}

fn of_hex(text: &str) -> Result<Vec<u8>, Report> {
    let digit = |symbol: char| {
        let digit = symbol.to_digit(16).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{symbol}\"")))?;
        Ok(digit as u8)
    };
    let digits = text.chars().filter(|symbol| !is_blank(*symbol)).map(digit).collect::<Result<Vec<u8>, Report>>()?;
    if digits.len() % 2 == 1 {
        return Err(invalid("invalid hexadecimal data: odd number of digits".to_owned()));
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn of_escapes(text: &str) -> Result<Vec<u8>, Report> {
    let bad = || Report::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                rest = after;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (b'\\', _) => return Err(bad()),
            (byte, after) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    Ok(bytes)
}
