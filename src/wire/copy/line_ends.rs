//! Where lines end: the first end of a text says how all of its lines end, and another one is an error, as in PostgreSQL. A return
//! or a newline that got into the data unmarked would otherwise make two records of one.

use super::reader::malformed;
use crate::error::Report;

/// How lines end, known from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LineEnd {
    /// None was seen.
    #[default]
    Unknown,
    /// `\n`
    Newline,
    /// `\r`
    Return,
    /// `\r\n`
    Both,
}

impl LineEnd {
    /// How many bytes end the line at `at`, where a newline or a return stands; none if the next byte must be seen first.
    pub(super) fn at(&mut self, bytes: &[u8], at: usize, last: bool, csv: bool) -> Result<Option<usize>, Report> {
        if bytes[at] == b'\n' {
            if matches!(self, Self::Return | Self::Both) {
                return Err(unmarked("newline", "\\n", csv));
            }
            *self = Self::Newline;
            return Ok(Some(1));
        }
        match (*self, bytes.get(at + 1)) {
            (Self::Newline, _) => return Err(unmarked("carriage return", "\\r", csv)),
            (Self::Return, _) => {}
            (Self::Unknown | Self::Both, None) if !last => return Ok(None),
            (Self::Unknown | Self::Both, Some(b'\n')) => {
                *self = Self::Both;
                return Ok(Some(2));
            }
            (Self::Both, _) => return Err(unmarked("carriage return", "\\r", csv)),
            (Self::Unknown, _) => *self = Self::Return,
        }
        Ok(Some(1))
    }

    /// The byte whose appearance inside of quotes counts as a line.
    pub(super) fn counted(self) -> u8 {
        if self == Self::Newline { b'\n' } else { b'\r' }
    }
}

fn unmarked(what: &str, escape: &str, csv: bool) -> Report {
    if csv {
        malformed(format!("unquoted {what} found in data")).hint(format!("Use quoted CSV field to represent {what}."))
    } else {
        malformed(format!("literal {what} found in data")).hint(format!("Use \"{escape}\" to represent {what}."))
    }
}

/// What stands where the end mark `\.` begins.
pub(super) enum Mark {
    /// The mark, with its line's end.
    End,
    /// Something else.
    Data,
    /// Not enough to tell.
    More,
}

/// Looks at `\.` at `at`. In csv whatever is not all of a line is data; in text it is an error.
pub(super) fn end_mark(ends: LineEnd, bytes: &[u8], at: usize, last: bool, csv: bool) -> Result<Mark, Report> {
    let other_style = || malformed("end-of-copy marker does not match previous newline style");
    let corrupt = || if csv { Ok(Mark::Data) } else { Err(malformed("end-of-copy marker corrupt")) };
    let mut next = at + 2;
    if ends == LineEnd::Both {
        match bytes.get(next) {
            Some(b'\r') => next += 1,
            Some(b'\n') if !csv => return Err(other_style()),
            None if !last => return Ok(Mark::More),
            _ => return corrupt(),
        }
    }
    match (bytes.get(next), ends) {
        (None, _) if !last => Ok(Mark::More),
        (Some(b'\r'), LineEnd::Newline | LineEnd::Both) | (Some(b'\n'), LineEnd::Return) => Err(other_style()),
        (Some(b'\r' | b'\n'), _) => Ok(Mark::End),
        _ => corrupt(),
    }
}
