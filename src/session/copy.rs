//! The options of COPY, in both of PostgreSQL's spellings.

use datafusion::sql::sqlparser::ast::{CopyLegacyCsvOption, CopyLegacyOption, CopyOption};

use super::response::{CopyFormat, CopyOptions};
use crate::error::{Report, SqlState};

/// Reads the options; what a format does not have is 0A000, what cannot be is 22023.
pub fn options(new: &[CopyOption], legacy: &[CopyLegacyOption]) -> Result<CopyOptions, Report> {
    let mut given = Given::default();
    for option in new {
        given.modern(option)?;
    }
    for option in legacy {
        given.legacy(option)?;
    }
    given.finish()
}

#[derive(Default)]
struct Given {
    format: Option<CopyFormat>,
    delimiter: Option<char>,
    null: Option<String>,
    header: bool,
    quote: Option<char>,
    escape: Option<char>,
    force_quote_all: bool,
}

impl Given {
    fn modern(&mut self, option: &CopyOption) -> Result<(), Report> {
        match option {
            CopyOption::Format(name) => {
                self.format = Some(match name.value.to_ascii_lowercase().as_str() {
                    "text" => CopyFormat::Text,
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    other => {
                        return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("COPY format \"{other}\" not recognized")));
                    }
                });
            }
            CopyOption::Freeze(_) => {}
            CopyOption::Delimiter(delimiter) => self.delimiter = Some(*delimiter),
            CopyOption::Null(null) => self.null = Some(null.clone()),
            CopyOption::Header(header) => self.header = *header,
            CopyOption::Quote(quote) => self.quote = Some(*quote),
            CopyOption::Escape(escape) => self.escape = Some(*escape),
            CopyOption::Encoding(encoding) => utf8(encoding)?,
            CopyOption::ForceQuote(columns) if columns.iter().any(|column| column.value == "*") => self.force_quote_all = true,
            CopyOption::ForceQuote(_) | CopyOption::ForceNotNull(_) | CopyOption::ForceNull(_) => {
                return Err(unsupported(&option.to_string()));
            }
        }
        Ok(())
    }

    fn legacy(&mut self, option: &CopyLegacyOption) -> Result<(), Report> {
        match option {
            CopyLegacyOption::Binary => self.format = Some(CopyFormat::Binary),
            CopyLegacyOption::Delimiter(delimiter) => self.delimiter = Some(*delimiter),
            CopyLegacyOption::Null(null) => self.null = Some(null.clone()),
            CopyLegacyOption::Header => self.header = true,
            CopyLegacyOption::Csv(options) => {
                self.format = Some(CopyFormat::Csv);
                for option in options {
                    match option {
                        CopyLegacyCsvOption::Header => self.header = true,
                        CopyLegacyCsvOption::Quote(quote) => self.quote = Some(*quote),
                        CopyLegacyCsvOption::Escape(escape) => self.escape = Some(*escape),
                        other => return Err(unsupported(&other.to_string())),
                    }
                }
            }
            other => return Err(unsupported(&other.to_string())),
        }
        Ok(())
    }

    fn finish(self) -> Result<CopyOptions, Report> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        if format == CopyFormat::Binary {
            let refused = [("DELIMITER", self.delimiter.is_some()), ("NULL", self.null.is_some()), ("HEADER", self.header)];
            if let Some((option, _)) = refused.iter().find(|(_, given)| *given) {
                return Err(Report::new(SqlState::SYNTAX_ERROR, format!("cannot specify {option} in BINARY mode")));
            }
        }
        if format != CopyFormat::Csv {
            let refused = [("quote", self.quote.is_some()), ("escape", self.escape.is_some()), ("force quote", self.force_quote_all)];
            if let Some((option, _)) = refused.iter().find(|(_, given)| *given) {
                return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("COPY {option} available only in CSV mode")));
            }
        }
        let csv = format == CopyFormat::Csv;
        let quote = byte("quote", self.quote.unwrap_or('"'))?;
        let options = CopyOptions {
            format,
            delimiter: byte("delimiter", self.delimiter.unwrap_or(if csv { ',' } else { '\t' }))?,
            null: self.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() }),
            header: self.header,
            quote,
            escape: self.escape.map(|escape| byte("escape", escape)).transpose()?.unwrap_or(quote),
            force_quote_all: self.force_quote_all,
        };
        if options.delimiter == options.quote && csv {
            return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, "COPY delimiter and quote must be different"));
        }
        if matches!(options.delimiter, b'\n' | b'\r') || options.null.contains(['\n', '\r']) {
            return Err(Report::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "COPY delimiter and null representation cannot use newline or carriage return",
            ));
        }
        Ok(options)
    }
}

fn byte(what: &str, character: char) -> Result<u8, Report> {
    u8::try_from(character)
        .ok()
        .filter(u8::is_ascii)
        .ok_or_else(|| Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("COPY {what} must be a single one-byte character")))
}

fn utf8(encoding: &str) -> Result<(), Report> {
    if encoding.replace('-', "").eq_ignore_ascii_case("utf8") {
        return Ok(());
    }
    Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("COPY ENCODING '{encoding}' is not supported"))
        .hint("Text is always UTF8 here."))
}

fn unsupported(option: &str) -> Report {
    Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("COPY option {option} is not supported"))
}
