//! The text form of arrays: braces, commas, quotes, backslashes, `NULL`, and bounds before an equals sign, which are forgotten.

use super::{Value, parse_text};
use crate::error::{Report, SqlState};
use crate::pg_format::reading::Reading;
use crate::pg_type::PgType;

/// PostgreSQL's own bound on dimensions.
const MAX_DIMENSIONS: usize = 6;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    element: PgType,
    reading: Reading,
}

/// An array of this element.
pub(super) fn parse(text: &str, element: PgType, reading: Reading) -> Result<Value, Report> {
    let mut reader = Reader { text, at: 0, element, reading };
    reader.skip_blanks();
    if reader.peek() == Some(b'[') {
        // `[1:3]={…}`: Arrow's lists begin where they begin.
        let bounds = text[reader.at..].find('=').ok_or_else(|| reader.malformed())?;
        reader.at += bounds + 1;
        reader.skip_blanks();
    }
    let value = reader.list(0)?;
    reader.skip_blanks();
    if reader.at < text.len() {
        return Err(reader.malformed());
    }
    if shape(&value).is_none() {
        return Err(reader.malformed().detail("Multidimensional arrays must have sub-arrays with matching dimensions."));
    }
    Ok(value)
}

/// The lengths of the dimensions, if all arrays of a level have one.
fn shape(value: &Value) -> Option<Vec<usize>> {
    let Value::Array(items) = value else { return Some(Vec::new()) };
    let mut lengths = vec![items.len()];
    if let Some((first, others)) = items.split_first() {
        let first = shape(first)?;
        if others.iter().any(|other| shape(other).as_ref() != Some(&first)) {
            return None;
        }
        lengths.extend(first);
    }
    Some(lengths)
}

impl Reader<'_> {
    fn malformed(&self) -> Report {
        Report::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{}\"", self.text))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Report> {
        if depth == MAX_DIMENSIONS {
            let message = format!("number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMENSIONS})", depth + 1);
            return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        if self.peek() != Some(b'{') {
            return Err(self.malformed());
        }
        self.at += 1;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_blanks();
            items.push(if self.peek() == Some(b'{') { self.list(depth + 1)? } else { self.item()? });
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return Err(self.malformed()),
            }
        }
    }

    fn item(&mut self) -> Result<Value, Report> {
        let mut bytes = Vec::new();
        let quoted = self.peek() == Some(b'"');
        if quoted {
            self.at += 1;
            loop {
                match self.peek() {
                    Some(b'"') => break self.at += 1,
                    Some(byte) => bytes.push(self.escaped(byte)?),
                    None => return Err(self.malformed()),
                }
            }
        } else {
            // Blanks at the end do not count, unless they were escaped.
            let mut kept = 0;
            loop {
                match self.peek() {
                    Some(b',' | b'}') => break,
                    Some(b'{' | b'"') | None => return Err(self.malformed()),
                    Some(byte) => {
                        bytes.push(self.escaped(byte)?);
                        if byte == b'\\' || !byte.is_ascii_whitespace() {
                            kept = bytes.len();
                        }
                    }
                }
            }
            bytes.truncate(kept);
            if bytes.is_empty() {
                return Err(self.malformed());
            }
        }
        // Escapes are single ASCII bytes, so what was UTF-8 is so still.
        let text = String::from_utf8(bytes).map_err(|_| self.malformed())?;
        if !quoted && text.eq_ignore_ascii_case("null") {
            return Ok(Value::Null);
        }
        parse_text(self.element, &text, self.reading)
    }

    /// The byte here, or the one behind the backslash.
    fn escaped(&mut self, byte: u8) -> Result<u8, Report> {
        self.at += 1;
        if byte != b'\\' {
            return Ok(byte);
        }
        let next = self.peek().ok_or_else(|| self.malformed())?;
        self.at += 1;
        Ok(next)
    }
}
