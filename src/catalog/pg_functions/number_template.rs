//! Templates of numbers (`FM999,990.00`) for `to_char` and `to_number`.
//!
//! Understood are `9 0 . D , G S MI PL SG PR FM L $`; what is rarer (`EEEE`, `RN`, `V`, `TH`) is refused by name.

use crate::error::{Report, SqlState};

/// Where the sign goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// Before the first digit, a blank if positive.
    Anchored,
    /// `S` at the start or at the end.
    First,
    Last,
    /// `MI` at either end: `-` or a blank.
    MinusFirst,
    MinusLast,
    /// `PR`: `<1>`.
    Brackets,
}

/// What stands at a place before or behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nine,
    Zero,
    Comma,
    Text(char),
}

/// A template, taken apart once for many values.
#[derive(Debug, Clone)]
pub(super) struct NumberTemplate {
    whole: Vec<Place>,
    fraction: Vec<Place>,
    point: bool,
    sign: Sign,
    fill: bool,
}

impl NumberTemplate {
    /// Takes a template apart.
    pub(super) fn parse(template: &str) -> Result<Self, Report> {
        let mut own = Self { whole: Vec::new(), fraction: Vec::new(), point: false, sign: Sign::Anchored, fill: true };
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                let inside = &rest[1..];
                let end = inside.find('"').unwrap_or(inside.len());
                let quoted = inside[..end].chars().map(Place::Text);
                if own.point {
                    own.fraction.extend(quoted)
                } else {
                    own.whole.extend(quoted)
                }
                rest = inside.get(end + 1..).unwrap_or_default();
                continue;
            }
            let starts = |name: &str| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            let empty = own.whole.is_empty() && !own.point;
            let refused = ["EEEE", "RN", "TH", "V", "SG", "PL"].into_iter().find(|name| starts(name));
            if let Some(name) = refused {
                return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("number format \"{name}\" is not supported")));
            }
            let (length, place) = match first.to_ascii_uppercase() {
                _ if starts("FM") => {
                    own.fill = false;
                    (2, None)
                }
                _ if starts("MI") => {
                    own.sign = if empty { Sign::MinusFirst } else { Sign::MinusLast };
                    (2, None)
                }
                _ if starts("PR") => {
                    own.sign = Sign::Brackets;
                    (2, None)
                }
                'S' => {
                    own.sign = if empty { Sign::First } else { Sign::Last };
                    (1, None)
                }
                '9' => (1, Some(Place::Nine)),
                '0' => (1, Some(Place::Zero)),
                ',' | 'G' => (1, Some(Place::Comma)),
                '.' | 'D' if !own.point => {
                    own.point = true;
                    (1, None)
                }
                'L' => (1, Some(Place::Text(' '))),
                _ => (first.len_utf8(), Some(Place::Text(first))),
            };
            rest = &rest[length..];
            if let Some(place) = place {
                if own.point { own.fraction.push(place) } else { own.whole.push(place) }
            }
        }
        Ok(own)
    }

    /// How many digits stand behind the point.
    pub(super) fn scale(&self) -> usize {
        self.fraction.iter().filter(|place| matches!(place, Place::Nine | Place::Zero)).count()
    }

    /// The number in this template's form. `digits` is its decimal text, already rounded to [`Self::scale`], without a sign.
    pub(super) fn write(&self, digits: &str, negative: bool) -> String {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let whole = whole.trim_start_matches('0');
        let places = self.whole.iter().filter(|place| matches!(place, Place::Nine | Place::Zero)).count();
        let too_long = whole.len() > places;
        let blank = |out: &mut String| {
            if self.fill {
                out.push(' ');
            }
        };
        let mut out = String::new();
        if self.sign == Sign::MinusFirst {
            if negative { out.push('-') } else { blank(&mut out) }
        }
        // What stands directly before the first digit.
        let start = |out: &mut String| match self.sign {
            Sign::Anchored if negative => out.push('-'),
            Sign::First => out.push(if negative { '-' } else { '+' }),
            Sign::Brackets if negative => out.push('<'),
            Sign::Anchored | Sign::Brackets => blank(out),
            Sign::Last | Sign::MinusFirst | Sign::MinusLast => {}
        };
        let mut left = places;
        let mut started = false;
        let first_zero = self.whole.iter().position(|place| *place == Place::Zero);
        for (at, place) in self.whole.iter().enumerate() {
            let digit = match place {
                Place::Nine | Place::Zero => {
                    let own = (left <= whole.len()).then(|| whole.as_bytes().get(whole.len() - left).copied()).flatten();
                    left -= 1;
                    // A zero in the template ends the blanks; the number nought has one digit at least.
                    let zero = first_zero.is_some_and(|zero| zero <= at) || (left == 0 && self.fraction.is_empty());
                    if too_long { Some('#') } else { own.map(char::from).or_else(|| (zero || started).then_some('0')) }
                }
                Place::Comma if started => Some(','),
                Place::Comma => None,
                Place::Text(text) => {
                    out.push(*text);
                    continue;
                }
            };
            match digit {
                Some(digit) => {
                    if !started {
                        started = true;
                        start(&mut out);
                    }
                    out.push(digit);
                }
                None => blank(&mut out),
            }
        }
        if !started {
            start(&mut out);
        }
        if self.point {
            out.push('.');
            out.push_str(&self.behind_the_point(fraction, too_long));
        }
        match self.sign {
            Sign::Last => out.push(if negative { '-' } else { '+' }),
            Sign::MinusLast if negative => out.push('-'),
            Sign::Brackets if negative => out.push('>'),
            Sign::MinusLast | Sign::Brackets => blank(&mut out),
            Sign::Anchored | Sign::First | Sign::MinusFirst => {}
        }
        out
    }

    fn behind_the_point(&self, fraction: &str, too_long: bool) -> String {
        let mut digits = fraction.bytes();
        let mut behind = String::new();
        for place in &self.fraction {
            match place {
                Place::Nine | Place::Zero => behind.push(if too_long { '#' } else { digits.next().map_or('0', char::from) }),
                Place::Comma => behind.push(','),
                Place::Text(text) => behind.push(*text),
            }
        }
        if !self.fill {
            let kept = self.fraction.iter().rposition(|place| *place == Place::Zero).map_or(0, |place| place + 1);
            while behind.len() > kept && behind.ends_with('0') {
                behind.pop();
            }
        }
        behind
    }

    /// The number in a text of such a form: its digits, point and sign.
    pub(super) fn read(&self, text: &str) -> Result<String, Report> {
        let negative = text.contains('-') || (self.sign == Sign::Brackets && text.contains('<'));
        let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
        if !digits.bytes().any(|byte| byte.is_ascii_digit()) || digits.matches('.').count() > 1 {
            let message = format!("invalid input syntax for type numeric: \"{text}\"");
            return Err(Report::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
        }
        Ok(if negative { format!("-{digits}") } else { digits })
    }
}
