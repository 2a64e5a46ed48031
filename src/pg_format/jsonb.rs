//! What a `jsonb` is: a tree without white space, each key once, keys in PostgreSQL's order (by length, then by bytes), numbers as numeric.
//!
//! Numbers stay the digits that were written, so that none is rounded. The text is checked before (`decode`), and its depth bounded here,
//! so that reading cannot exhaust the stack.

use std::fmt::{self, Write};

use crate::error::{Report, SqlState};

/// Arrays and objects inside one another; what is deeper is refused, as PostgreSQL's own stack would.
const MAX_DEPTH: usize = 512;
/// Places that an exponent is written out to.
const MAX_EXPONENT: u64 = 1000;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// The digits of a number, without exponent.
    Number(String),
    /// A string, its escapes read.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object's keys, in order, and values.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text that is JSON.
    pub(crate) fn parse(text: &str) -> Result<Self, Report> {
        let mut reader = Reader { rest: text, depth: 0 };
        let value = reader.value()?;
        reader.space();
        if reader.rest.is_empty() { Ok(value) } else { Err(invalid()) }
    }

    /// The value of an object's key.
    pub(crate) fn field(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// An array's element, from 0, or from the end by a negative number.
    pub(crate) fn element(&self, index: i64) -> Option<&Json> {
        let Json::Array(elements) = self else { return None };
        let from_start = if index < 0 { index.checked_add(i64::try_from(elements.len()).ok()?)? } else { index };
        elements.get(usize::try_from(from_start).ok()?)
    }

    /// The value at the end of a path of keys and subscripts.
    pub(crate) fn at<'a>(&'a self, path: impl IntoIterator<Item = &'a str>) -> Option<&'a Json> {
        path.into_iter().try_fold(self, |value, step| match value {
            Json::Array(_) => value.element(step.trim().parse().ok()?),
            other => other.field(step),
        })
    }

    /// What `->>` gives: a string without quotes, nothing of null.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Json::Null => None,
            Json::Text(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    /// `@>`
    pub(crate) fn contains(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(_), Json::Object(fields)) => {
                fields.iter().all(|(key, value)| self.field(key).is_some_and(|own| own.contains_inside(value)))
            }
            (Json::Array(own), Json::Array(others)) => others.iter().all(|other| own.iter().any(|element| element.contains_inside(other))),
            // An array contains a bare value that is its element.
            (Json::Array(own), scalar) if !scalar.is_nested() => own.iter().any(|element| element.equals(scalar)),
            (own, other) => own.equals(other),
        }
    }

    /// The same below the top, where an array is no longer taken for its element.
    fn contains_inside(&self, other: &Json) -> bool {
        match (self.is_nested(), other.is_nested()) {
            (true, true) => std::mem::discriminant(self) == std::mem::discriminant(other) && self.contains(other),
            (false, false) => self.equals(other),
            _ => false,
        }
    }

    fn is_nested(&self) -> bool {
        matches!(self, Json::Array(_) | Json::Object(_))
    }

    fn equals(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Number(one), Json::Number(other)) => significant(one) == significant(other),
            (one, other) => one == other,
        }
    }

    /// `||`
    pub(crate) fn merged(self, other: Json) -> Json {
        match (self, other) {
            (Json::Object(mut fields), Json::Object(others)) => {
                fields.extend(others);
                Json::Object(ordered(fields))
            }
            (one, other) => {
                let mut elements = one.into_elements();
                elements.extend(other.into_elements());
                Json::Array(elements)
            }
        }
    }

    fn into_elements(self) -> Vec<Json> {
        match self {
            Json::Array(elements) => elements,
            other => vec![other],
        }
    }

    /// Without the keys whose values are null.
    pub(crate) fn without_nulls(self) -> Json {
        match self {
            Json::Object(fields) => {
                let kept = fields.into_iter().filter(|(_, value)| *value != Json::Null);
                Json::Object(kept.map(|(key, value)| (key, value.without_nulls())).collect())
            }
            Json::Array(elements) => Json::Array(elements.into_iter().map(Json::without_nulls).collect()),
            other => other,
        }
    }

    /// `jsonb_typeof`
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::Text(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }
}

/// The normal form of a text that is JSON.
pub(crate) fn normal(text: &str) -> Result<String, Report> {
    Ok(Json::parse(text)?.to_string())
}

fn invalid() -> Report {
    Report::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
}

/// Digits that decide whether numbers are equal.
fn significant(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let digits = digits.trim_start_matches('0');
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") }
}

/// Each key once, the last value of several; shorter keys first.
fn ordered(fields: Vec<(String, Json)>) -> Vec<(String, Json)> {
    let mut fields: Vec<(usize, (String, Json))> = fields.into_iter().enumerate().collect();
    fields.sort_by(|(one_at, (one, _)), (other_at, (other, _))| {
        (one.len(), one.as_bytes(), other_at).cmp(&(other.len(), other.as_bytes(), one_at))
    });
    fields.dedup_by(|(_, (later, _)), (_, (first, _))| later == first);
    fields.into_iter().map(|(_, field)| field).collect()
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Whether the next character is this one, which is then read.
    fn eat(&mut self, wanted: char) -> bool {
        self.space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Report> {
        self.rest = self.rest.strip_prefix(word).ok_or_else(invalid)?;
        Ok(value)
    }

    fn value(&mut self) -> Result<Json, Report> {
        self.space();
        match self.rest.bytes().next().ok_or_else(invalid)? {
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'"' => Ok(Json::Text(self.text()?)),
            b'[' | b'{' => self.nested(),
            _ => self.number(),
        }
    }

    fn nested(&mut self) -> Result<Json, Report> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Report::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .detail(format!("JSON may be nested {MAX_DEPTH} levels deep.")));
        }
        let value = if self.eat('[') {
            let mut elements = Vec::new();
            if !self.eat(']') {
                loop {
                    elements.push(self.value()?);
                    if self.eat(']') {
                        break;
                    }
                    if !self.eat(',') {
                        return Err(invalid());
                    }
                }
            }
            Json::Array(elements)
        } else {
            self.eat('{');
            let mut fields = Vec::new();
            if !self.eat('}') {
                loop {
                    self.space();
                    let key = self.text()?;
                    if !self.eat(':') {
                        return Err(invalid());
                    }
                    fields.push((key, self.value()?));
                    if self.eat('}') {
                        break;
                    }
                    if !self.eat(',') {
                        return Err(invalid());
                    }
                }
            }
            Json::Object(ordered(fields))
        };
        self.depth -= 1;
        Ok(value)
    }

    /// A string, read by the library.
    fn text(&mut self) -> Result<String, Report> {
        let bytes = self.rest.as_bytes();
        if bytes.first() != Some(&b'"') {
            return Err(invalid());
        }
        let mut at = 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' => at += 2,
                b'"' => {
                    let (quoted, rest) = self.rest.split_at_checked(at + 1).ok_or_else(invalid)?;
                    let text: String = serde_json::from_str(quoted).map_err(|_| invalid())?;
                    if text.contains('\0') {
                        return Err(Report::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
                            .detail("\\u0000 cannot be converted to text."));
                    }
                    self.rest = rest;
                    return Ok(text);
                }
                _ => at += 1,
            }
        }
        Err(invalid())
    }

    fn number(&mut self) -> Result<Json, Report> {
        let end = self.rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end).ok_or_else(invalid)?;
        if digits.is_empty() {
            return Err(invalid());
        }
        self.rest = rest;
        Ok(Json::Number(written_out(digits)?))
    }
}

/// A number without its exponent.
fn written_out(number: &str) -> Result<String, Report> {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| invalid())?;
    if exponent.unsigned_abs() > MAX_EXPONENT {
        return Err(Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format"));
    }
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{places}");
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent);
    let length = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let plain = if point <= 0 {
        format!("0.{}{all}", "0".repeat(usize::try_from(-point).unwrap_or(0)))
    } else if point >= length {
        format!("{all}{}", "0".repeat(usize::try_from(point - length).unwrap_or(0)))
    } else {
        let (before, after) = all.split_at(usize::try_from(point).unwrap_or(0));
        format!("{before}.{after}")
    };
    let trimmed = plain.trim_start_matches('0');
    let plain = if trimmed.is_empty() || trimmed.starts_with('.') { format!("0{trimmed}") } else { trimmed.to_owned() };
    let zero = plain.bytes().all(|digit| matches!(digit, b'0' | b'.'));
    Ok(if zero { plain } else { format!("{sign}{plain}") })
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(digits) => f.write_str(digits),
            Json::Text(text) => quoted(text, f),
            Json::Array(elements) => {
                f.write_char('[')?;
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Json::Object(fields) => {
                f.write_char('{')?;
                for (index, (key, value)) in fields.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    quoted(key, f)?;
                    write!(f, ": {value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            control if (control as u32) < 0x20 => write!(f, "\\u{:04x}", control as u32)?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_form_is_postgresqls() {
        for (text, wanted) in [
            (r#"{"b":1,"a":2,"a":3,"cc":null}"#, r#"{"a": 3, "b": 1, "cc": null}"#),
            (r#"{"bb":1,"c":2}"#, r#"{"c": 2, "bb": 1}"#),
            (" [ 1 , 2.50 , -0 , 1e2, 1.5E-3, 12e-1 ] ", "[1, 2.50, 0, 100, 0.0015, 1.2]"),
            (r#""a\u00e9\"\\\n""#, r#""aé\"\\\n""#),
            ("12345678901234567890.123", "12345678901234567890.123"),
            ("{}", "{}"),
            ("[]", "[]"),
        ] {
            assert_eq!(normal(text).unwrap(), wanted, "{text}");
        }
        assert_eq!(normal(&"[".repeat(100_000)).unwrap_err().sqlstate, SqlState::STATEMENT_TOO_COMPLEX);
        for number in ["1e1001", "1e-1001", "1e-9223372036854775808"] {
            assert_eq!(normal(number).unwrap_err().sqlstate, SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "{number}");
        }
        assert!(normal("[1").is_err() && normal("{\"a\"}").is_err() && normal("\"\\").is_err() && normal("").is_err());
    }

    #[test]
    fn containment_is_postgresqls() {
        let contains = |one: &str, other: &str| Json::parse(one).unwrap().contains(&Json::parse(other).unwrap());
        assert!(contains(r#"{"a":1,"b":{"c":[1,2]}}"#, r#"{"b":{"c":[2]}}"#));
        assert!(contains("[1,[2,3]]", "[[3]]") && contains("[1,2]", "2") && contains("[1.0]", "[1]"));
        assert!(!contains("[[1,2]]", "[1]") && !contains("1", "[1]") && !contains(r#"{"a":[1]}"#, r#"{"a":1}"#));
    }

    #[test]
    fn paths_lead_through_arrays() {
        let json = Json::parse(r#"{"a":{"b":[1,{"c":"x"}]}}"#).unwrap();
        assert_eq!(json.at(["a", "b", "1", "c"]).cloned().and_then(Json::into_text).as_deref(), Some("x"));
        assert_eq!(json.at(["a", "b", "-2"]), Some(&Json::Number("1".to_owned())));
        assert_eq!(json.at(["a", "x"]), None);
    }
}
