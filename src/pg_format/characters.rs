//! Text of a declared length: `varchar(n)`, `char(n)`, and the fixed room of `name` and `"char"`.
//!
//! A `char(n)` is held as it is sent, with blanks up to its length, so that results, arrays and COPY need to know nothing; what
//! compares it or makes text of it takes them off ([`trimmed`]). A cast cuts what is too long, an assignment refuses it (22001)
//! unless what is too much are blanks. Costs a copy of the column; padding is bounded like other functions whose answer is longer
//! than what they are given.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};

use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// Bytes that the padded values of one batch may take.
const MOST: usize = 256 << 20;
/// What PostgreSQL adds to a length in a type modifier.
const VARHDRSZ: i32 = 4;
/// Bytes of a name.
const NAME_BYTES: usize = 63;

/// How long a type's values may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// `varchar(n)`: at most so many characters.
    AtMost(usize),
    /// `char(n)`: so many, with blanks.
    Exactly(usize),
    /// `name`: at most so many bytes.
    Bytes(usize),
}

impl Length {
    /// That of a field's type, or of its elements.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        let pg_type = PgType::of(field);
        let typmod = PgType::typmod(field);
        let characters = || usize::try_from(typmod - VARHDRSZ).ok().filter(|length| *length > 0);
        match pg_type.element().unwrap_or(pg_type) {
            PgType::VARCHAR => characters().map(Self::AtMost),
            PgType::BPCHAR => characters().map(Self::Exactly),
            PgType::CHAR => Some(Self::Bytes(1)),
            PgType::NAME => Some(Self::Bytes(NAME_BYTES)),
            _ => None,
        }
    }

    /// Where the text must end, if it is too long.
    fn end(self, text: &str) -> Option<usize> {
        match self {
            Self::AtMost(length) | Self::Exactly(length) if text.len() > length => text.char_indices().nth(length).map(|(end, _)| end),
            // A byte of a character that does not fit whole would be no text.
            Self::Bytes(length) if text.len() > length => Some((0..=length).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)),
            _ => None,
        }
    }

    fn padded<'a>(self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Exactly(length) => {
                let missing = length.saturating_sub(text.chars().count());
                if missing == 0 { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}{}", " ".repeat(missing))) }
            }
            _ => Cow::Borrowed(text),
        }
    }
}

/// Texts (or lists of texts) as an explicit cast to this length gives them.
pub(crate) fn cut(array: &ArrayRef, length: Length) -> Result<ArrayRef, Report> {
    each(array, length, &|text| Ok(text))
}

/// The same as an assignment has it: what is too long and no blank is 22001.
pub(crate) fn assigned(array: &ArrayRef, field: &Field) -> Result<ArrayRef, Report> {
    let Some(length) = Length::of(field) else { return Ok(Arc::clone(array)) };
    let strict = !matches!(length, Length::Bytes(_));
    each(array, length, &|text| match length.end(text) {
        Some(end) if strict && text[end..].bytes().any(|byte| byte != b' ') => {
            let pg_type = PgType::of(field);
            let name = pg_type.element().unwrap_or(pg_type).format(PgType::typmod(field));
            Err(Report::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value too long for type {name}")))
        }
        _ => Ok(text),
    })
}

/// Texts without the blanks at their ends: what a `char(n)` is as text.
pub(crate) fn trimmed(array: &ArrayRef) -> Result<ArrayRef, Report> {
    let texts = cast(array, &DataType::Utf8).map_err(|error| Report::new(SqlState::CANNOT_COERCE, error.to_string()))?;
    let texts = texts.as_string::<i32>().iter().map(|text| text.map(|text| text.trim_end_matches(' ')));
    Ok(Arc::new(texts.collect::<StringArray>()))
}

fn each(array: &ArrayRef, length: Length, checked: &dyn Fn(&str) -> Result<&str, Report>) -> Result<ArrayRef, Report> {
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let longest = match length {
                Length::Exactly(length) => texts.len().saturating_mul(length),
                _ => 0,
            };
            if longest > MOST {
                let message = format!("{longest} bytes of padded text are more than can be made at once");
                return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
            }
            let fit = |text| {
                let text: &str = checked(text)?;
                Ok(length.padded(&text[..length.end(text).unwrap_or(text.len())]))
            };
            let values = texts.iter().map(|text| text.map(fit).transpose());
            Ok(Arc::new(values.collect::<Result<StringArray, Report>>()?))
        }
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let values = each(lists.values(), length, checked)?;
            let list = ListArray::try_new(Arc::clone(item), lists.offsets().clone(), values, lists.nulls().cloned());
            Ok(Arc::new(list.map_err(|error| Report::new(SqlState::CANNOT_COERCE, error.to_string()))?))
        }
        // Other layouts of text are no type that anybody declares.
        _ => Ok(Arc::clone(array)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(array: &ArrayRef) -> Vec<Option<&str>> {
        array.as_string::<i32>().iter().collect()
    }

    #[test]
    fn casts_cut_and_pad() {
        let given: ArrayRef = Arc::new(StringArray::from(vec![Some("é€𝄞x"), Some("a"), None]));
        assert_eq!(texts(&cut(&given, Length::AtMost(2)).unwrap()), [Some("é€"), Some("a"), None]);
        assert_eq!(texts(&cut(&given, Length::Exactly(3)).unwrap()), [Some("é€𝄞"), Some("a  "), None]);
        assert_eq!(texts(&cut(&given, Length::Bytes(4)).unwrap()), [Some("é"), Some("a"), None]);
        let many: ArrayRef = Arc::new(StringArray::from(vec!["a"; 100]));
        assert_eq!(cut(&many, Length::Exactly(10_485_760)).unwrap_err().sqlstate, SqlState::PROGRAM_LIMIT_EXCEEDED);
    }
}
