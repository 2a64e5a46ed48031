//! `format('%I = %2$-10L', …)`: values as text, identifiers and literals, in places and widths.

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use arrow::array::{Array, StringArray, StringBuilder};
use datafusion::logical_expr::ScalarUDF;

use super::bounded::check;
use super::shown::{Arguments, Shown};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;
use crate::spelling::{quote_ident, quote_literal};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Shown::function("format", 1..=100, PgType::TEXT, format)]
}

fn invalid(message: impl Into<String>) -> Report {
    Report::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn format(arguments: &Arguments<'_>) -> Result<StringArray, Report> {
    let columns = arguments.texts()?;
    let Some((patterns, values)) = columns.split_first() else { return Ok(StringArray::new_null(arguments.rows)) };
    let mut answers = StringBuilder::new();
    for row in 0..arguments.rows {
        if patterns.is_null(row) {
            answers.append_null();
            continue;
        }
        let mut written = String::new();
        let mut text = Pattern { characters: patterns.value(row).chars().peekable(), values, row, next: 0 };
        text.write(&mut written)?;
        check(arguments.name, (answers.values_slice().len() + written.len()) as f64)?;
        answers.append_value(&written);
    }
    Ok(answers.finish())
}

/// One row's pattern and values.
struct Pattern<'a> {
    characters: Peekable<Chars<'a>>,
    values: &'a [StringArray],
    row: usize,
    /// The argument that comes next where none is named.
    next: usize,
}

impl Pattern<'_> {
    fn write(&mut self, out: &mut String) -> Result<(), Report> {
        while let Some(character) = self.characters.next() {
            if character != '%' {
                out.push(character);
            } else if self.characters.next_if_eq(&'%').is_some() {
                out.push('%');
            } else {
                self.specifier(out)?;
            }
        }
        Ok(())
    }

    /// `[position][flags][width]type`, behind its percent sign.
    fn specifier(&mut self, out: &mut String) -> Result<(), Report> {
        let mut number = self.number()?;
        let mut place = None;
        if number.is_some() && self.characters.next_if_eq(&'$').is_some() {
            place = number.take();
        }
        let mut to_left = false;
        while number.is_none() && self.characters.next_if_eq(&'-').is_some() {
            to_left = true;
        }
        let mut width = match number {
            Some(width) => width,
            None if self.characters.next_if_eq(&'*').is_some() => {
                let place = self.number()?;
                if place.is_some() && self.characters.next_if_eq(&'$').is_none() {
                    return Err(invalid("width argument position must be ended by \"$\""));
                }
                let width = self.value(place)?.map(|text| text.parse::<i64>());
                width.transpose().map_err(|_| invalid("the width of a format specifier must be an integer"))?.unwrap_or(0)
            }
            None => self.number()?.unwrap_or(0),
        };
        if width < 0 {
            (to_left, width) = (true, width.saturating_neg());
        }
        let ended = || invalid("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".");
        let kind = self.characters.next().ok_or_else(ended)?;
        if !matches!(kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{kind}\"");
            return Err(invalid(message).hint("For a single \"%\" use \"%%\"."));
        }
        let text = match (kind, self.value(place)?) {
            ('s', value) => value.unwrap_or_default().to_owned(),
            ('I', Some(value)) => quote_ident(value).to_string(),
            ('I', None) => {
                return Err(Report::new(SqlState::NULL_VALUE_NOT_ALLOWED, "null values cannot be formatted as an SQL identifier"));
            }
            (_, value) => value.map_or_else(|| "NULL".to_owned(), quote_literal),
        };
        let missing = usize::try_from(width).unwrap_or(usize::MAX).saturating_sub(text.chars().count());
        check("format", (out.len() + text.len()) as f64 + missing as f64)?;
        let blanks = " ".repeat(missing);
        let (before, after) = if to_left { ("", blanks.as_str()) } else { (blanks.as_str(), "") };
        out.extend([before, text.as_str(), after]);
        Ok(())
    }

    fn number(&mut self) -> Result<Option<i64>, Report> {
        let mut digits = String::new();
        while let Some(digit) = self.characters.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse::<i32>().map_err(|_| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"))?;
        Ok(Some(i64::from(number)))
    }

    /// The argument in a place counted from 1, or the next one.
    fn value(&mut self, place: Option<i64>) -> Result<Option<&str>, Report> {
        let index = match place {
            Some(0) => return Err(invalid("format specifies argument 0, but arguments are numbered from 1")),
            Some(place) => usize::try_from(place - 1).unwrap_or(usize::MAX),
            None => self.next,
        };
        self.next = index.saturating_add(1);
        let column = self.values.get(index).ok_or_else(|| invalid("too few arguments for format()"))?;
        Ok(column.is_valid(self.row).then(|| column.value(self.row)))
    }
}
