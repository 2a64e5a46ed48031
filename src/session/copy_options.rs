//! What COPY's options come to.
//!
//! They are checked in PostgreSQL's order, so that a statement with several mistakes is told of the same one; an error points at its
//! option where PostgreSQL's does. Refused: encodings other than UTF8.

use super::response::{Column, CopyFormat, CopyHeader, CopyOptions};
use crate::error::{Report, SqlState};
use crate::sql::{CopyOption, CopyValue};

/// Delimiters that the text format could not tell from its own letters.
const NO_DELIMITERS: &str = "\\.abcdefghijklmnopqrstuvwxyz0123456789";
/// What PostgreSQL knows beside UTF8, without its punctuation.
const OTHER_ENCODINGS: &[&str] = &[
    "abc",
    "alt",
    "big5",
    "eucjis2004",
    "euccn",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gbk",
    "iso88591",
    "iso885910",
    "iso885913",
    "iso885914",
    "iso885915",
    "iso885916",
    "iso88592",
    "iso88593",
    "iso88594",
    "iso88595",
    "iso88596",
    "iso88597",
    "iso88598",
    "iso88599",
    "johab",
    "koi8",
    "koi8r",
    "koi8u",
    "latin1",
    "latin10",
    "latin2",
    "latin3",
    "latin4",
    "latin5",
    "latin6",
    "latin7",
    "latin8",
    "latin9",
    "mskanji",
    "muleinternal",
    "shiftjis",
    "shiftjis2004",
    "sjis",
    "sqlascii",
    "tcvn",
    "tcvn5712",
    "uhc",
    "vscii",
    "win",
    "win1250",
    "win1251",
    "win1252",
    "win1253",
    "win1254",
    "win1255",
    "win1256",
    "win1257",
    "win1258",
    "win866",
    "win874",
    "win932",
    "win936",
    "win949",
    "win950",
    "windows1250",
    "windows1251",
    "windows1252",
    "windows1253",
    "windows1254",
    "windows1255",
    "windows1256",
    "windows1257",
    "windows1258",
    "windows866",
    "windows874",
    "windows932",
    "windows936",
    "windows949",
    "windows950",
];

/// Options as given: columns are still names.
pub(super) struct Wanted {
    options: CopyOptions,
    force_quote: Vec<String>,
    force_not_null: Vec<String>,
    force_null: Vec<String>,
}

/// Reads the options of a COPY to the client, or from it.
pub(super) fn wanted(options: &[CopyOption], to: bool) -> Result<Wanted, Report> {
    Given::of(options, to)?.finish(to)
}

#[derive(Default)]
struct Given {
    format: Option<CopyFormat>,
    freeze: Option<bool>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<CopyHeader>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote_all: bool,
    force_quote: Option<Vec<String>>,
    force_not_null: Option<Vec<String>>,
    force_null: Option<Vec<String>>,
    encoding: Option<()>,
}

impl Given {
    fn of(options: &[CopyOption], to: bool) -> Result<Self, Report> {
        let mut given = Self::default();
        for option in options {
            match option.name.as_str() {
                "format" => once(&mut given.format, format(option)?, option)?,
                "freeze" => once(&mut given.freeze, boolean(option)?, option)?,
                "delimiter" => once(&mut given.delimiter, text(option)?, option)?,
                "null" => once(&mut given.null, text(option)?, option)?,
                "header" => once(&mut given.header, header(option, to)?, option)?,
                "quote" => once(&mut given.quote, text(option)?, option)?,
                "escape" => once(&mut given.escape, text(option)?, option)?,
                "force_quote" if option.value == CopyValue::Star && given.force_quote.is_none() && !given.force_quote_all => {
                    given.force_quote_all = true;
                }
                "force_quote" if given.force_quote_all => return Err(redundant(option)),
                "force_quote" => once(&mut given.force_quote, columns(option)?, option)?,
                "force_not_null" => once(&mut given.force_not_null, columns(option)?, option)?,
                "force_null" => once(&mut given.force_null, columns(option)?, option)?,
                "encoding" => once(&mut given.encoding, encoding(option)?, option)?,
                other => {
                    let message = format!("option \"{other}\" not recognized");
                    return Err(Report::new(SqlState::SYNTAX_ERROR, message).position(option.position));
                }
            }
        }
        Ok(given)
    }

    fn finish(self, to: bool) -> Result<Wanted, Report> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        let (csv, binary) = (format == CopyFormat::Csv, format == CopyFormat::Binary);
        let header = self.header.unwrap_or(CopyHeader::None);
        let syntax = |message: &str| Report::new(SqlState::SYNTAX_ERROR, message);
        if binary && self.delimiter.is_some() {
            return Err(syntax("cannot specify DELIMITER in BINARY mode"));
        }
        if binary && self.null.is_some() {
            return Err(syntax("cannot specify NULL in BINARY mode"));
        }
        let defaults = CopyOptions::of(format);
        let null = self.null.unwrap_or(defaults.null);
        let delimiter = self.delimiter.unwrap_or_else(|| char::from(defaults.delimiter).to_string());
        let delimiter_byte = byte("delimiter", &delimiter)?;
        if delimiter.contains(['\n', '\r']) {
            return Err(invalid("COPY delimiter cannot be newline or carriage return"));
        }
        if null.contains(['\n', '\r']) {
            return Err(invalid("COPY null representation cannot use newline or carriage return"));
        }
        if !csv && NO_DELIMITERS.contains(&delimiter) {
            return Err(invalid(&format!("COPY delimiter cannot be \"{delimiter}\"")));
        }
        if binary && header != CopyHeader::None {
            return Err(unsupported("cannot specify HEADER in BINARY mode"));
        }
        let quote = csv_only("quote", csv, self.quote)?;
        let quote_byte = quote.as_deref().map_or(Ok(b'"'), |quote| byte("quote", quote))?;
        if csv && delimiter_byte == quote_byte {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        let escape = csv_only("escape", csv, self.escape)?;
        let escape_byte = escape.as_deref().map_or(Ok(quote_byte), |escape| byte("escape", escape))?;
        let all = self.force_quote_all;
        if !csv && (all || self.force_quote.is_some()) {
            return Err(unsupported("COPY force quote available only in CSV mode"));
        }
        if !to && (all || self.force_quote.is_some()) {
            return Err(unsupported("COPY force quote only available using COPY TO"));
        }
        for (what, columns) in [("force not null", &self.force_not_null), ("force null", &self.force_null)] {
            if !csv && columns.is_some() {
                return Err(unsupported(&format!("COPY {what} available only in CSV mode")));
            }
            if to && columns.is_some() {
                return Err(unsupported(&format!("COPY {what} only available using COPY FROM")));
            }
        }
        if null.contains(&delimiter) {
            return Err(unsupported("COPY delimiter must not appear in the NULL specification"));
        }
        if csv && null.as_bytes().contains(&quote_byte) {
            return Err(unsupported("CSV quote character must not appear in the NULL specification"));
        }
        let options = CopyOptions {
            delimiter: delimiter_byte,
            null,
            header,
            quote: quote_byte,
            escape: escape_byte,
            force_quote_all: all,
            ..CopyOptions::of(format)
        };
        Ok(Wanted {
            options,
            force_quote: self.force_quote.unwrap_or_default(),
            force_not_null: self.force_not_null.unwrap_or_default(),
            force_null: self.force_null.unwrap_or_default(),
        })
    }
}

impl Wanted {
    /// The options for these columns: those that are copied, of those that there are.
    pub(super) fn of_columns(self, copied: &[Column], table: Option<(&str, &[String])>) -> Result<CopyOptions, Report> {
        let find = |option: &str, names: &[String]| {
            let mut found: Vec<usize> = Vec::with_capacity(names.len());
            for (index, name) in names.iter().enumerate() {
                if names[..index].contains(name) {
                    return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
                }
                match (copied.iter().position(|column| column.name == *name), table) {
                    (Some(at), _) => found.push(at),
                    (None, None) => {
                        return Err(Report::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")));
                    }
                    (None, Some((table, all))) if !all.contains(name) => {
                        let message = format!("column \"{name}\" of relation \"{table}\" does not exist");
                        return Err(Report::new(SqlState::UNDEFINED_COLUMN, message));
                    }
                    (None, Some(_)) => {
                        let message = format!("{option} column \"{name}\" not referenced by COPY");
                        return Err(Report::new(SqlState::INVALID_COLUMN_REFERENCE, message));
                    }
                }
            }
            Ok(found)
        };
        let force_quote = find("FORCE_QUOTE", &self.force_quote)?;
        let force_not_null = find("FORCE_NOT_NULL", &self.force_not_null)?;
        let force_null = find("FORCE_NULL", &self.force_null)?;
        Ok(CopyOptions { force_quote, force_not_null, force_null, ..self.options })
    }
}

fn once<T>(slot: &mut Option<T>, value: T, option: &CopyOption) -> Result<(), Report> {
    if slot.replace(value).is_some() { Err(redundant(option)) } else { Ok(()) }
}

fn redundant(option: &CopyOption) -> Report {
    Report::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").position(option.position)
}

fn invalid(message: &str) -> Report {
    Report::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// 0A000.
pub(super) fn unsupported(message: &str) -> Report {
    Report::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

fn text(option: &CopyOption) -> Result<String, Report> {
    match &option.value {
        CopyValue::Text(text) => Ok(text.clone()),
        CopyValue::Star => Ok("*".to_owned()),
        CopyValue::List(items) => Ok(items.join(".")),
        CopyValue::None => Err(Report::new(SqlState::SYNTAX_ERROR, format!("{} requires a parameter", option.name))),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn boolean(option: &CopyOption) -> Result<bool, Report> {
    if option.value == CopyValue::None {
        return Ok(true);
    }
    truth(&text(option)?).ok_or_else(|| Report::new(SqlState::SYNTAX_ERROR, format!("{} requires a Boolean value", option.name)))
}

fn header(option: &CopyOption, to: bool) -> Result<CopyHeader, Report> {
    if option.value == CopyValue::None {
        return Ok(CopyHeader::Line);
    }
    let text = text(option)?;
    match truth(&text) {
        Some(true) => Ok(CopyHeader::Line),
        Some(false) => Ok(CopyHeader::None),
        None if text.eq_ignore_ascii_case("match") && to => Err(unsupported(&format!("cannot use \"{text}\" with HEADER in COPY TO"))),
        None if text.eq_ignore_ascii_case("match") => Ok(CopyHeader::Match),
        None => Err(Report::new(SqlState::SYNTAX_ERROR, "header requires a Boolean value or \"match\"")),
    }
}

fn format(option: &CopyOption) -> Result<CopyFormat, Report> {
    match text(option)?.as_str() {
        "text" => Ok(CopyFormat::Text),
        "csv" => Ok(CopyFormat::Csv),
        "binary" => Ok(CopyFormat::Binary),
        other => Err(invalid(&format!("COPY format \"{other}\" not recognized")).position(option.position)),
    }
}

fn columns(option: &CopyOption) -> Result<Vec<String>, Report> {
    match &option.value {
        CopyValue::List(names) => Ok(names.clone()),
        CopyValue::None | CopyValue::Text(_) | CopyValue::Star => {
            let message = format!("argument to option \"{}\" must be a list of column names", option.name);
            Err(invalid(&message).position(option.position))
        }
    }
}

fn encoding(option: &CopyOption) -> Result<(), Report> {
    let name = text(option)?;
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if matches!(plain.as_str(), "utf8" | "unicode") {
        return Ok(());
    }
    if OTHER_ENCODINGS.contains(&plain.as_str()) {
        return Err(unsupported(&format!("COPY ENCODING '{name}' is not supported")).hint("Text is always UTF8 here."));
    }
    let message = format!("argument to option \"{}\" must be a valid encoding name", option.name);
    Err(invalid(&message).position(option.position))
}

fn csv_only(what: &str, csv: bool, value: Option<String>) -> Result<Option<String>, Report> {
    if csv || value.is_none() { Ok(value) } else { Err(unsupported(&format!("COPY {what} available only in CSV mode"))) }
}

fn byte(what: &str, text: &str) -> Result<u8, Report> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(unsupported(&format!("COPY {what} must be a single one-byte character"))),
    }
}
