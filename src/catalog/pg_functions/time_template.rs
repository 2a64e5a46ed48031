//! Templates of dates and times (`YYYY-MM-DD HH24:MI:SS`), both ways.
//!
//! Patterns are PostgreSQL's, with `FM`, ordinal suffixes and quoted text. What depends on a locale is English (`TM` is accepted),
//! `TZ` is what the caller's zone is called. Reading is as lenient as PostgreSQL's: separators match any separator, digits are
//! taken as far as a pattern goes.

use std::fmt::Write;

use crate::civil::{self, DAY_MICROS};
use crate::error::{Report, SqlState};

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
/// Longest first where one begins with another.
const PATTERNS: [&str; 49] = [
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "D", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "FM", "FX",
    "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM", "MONTH", "MON", "MS", "OF", "P.M.", "PM", "Q",
    "RM", "SSSSS", "SSSS", "SS", "TM", "TZH", "TZM", "TZ", "US",
];
const MORE_PATTERNS: [&str; 7] = ["WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y"];

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Field { name: &'static str, spelt: String, fill: bool, ordinal: Option<bool> },
}

/// A template, taken apart once for many values.
#[derive(Debug, Clone)]
pub(super) struct TimeTemplate(Vec<Piece>);

/// What is written or was read: a wall clock's reading, or an interval's fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Years; astronomical.
    pub(super) year: i64,
    /// 1 to 12; 0 in an interval.
    pub(super) month: i64,
    /// From 1; any number in an interval.
    pub(super) day: i64,
    /// Since midnight, or an interval's time.
    pub(super) micros: i64,
    /// Days since 1970; `None` is an interval, which has no weekday.
    pub(super) days: Option<i64>,
    /// Seconds east of Greenwich, of an instant.
    pub(super) offset: Option<i32>,
}

impl Moment {
    /// Of a wall clock's reading.
    pub(super) fn of(micros: i64, offset: Option<i32>) -> Self {
        let days = micros.div_euclid(DAY_MICROS);
        let (year, month, day) = civil::from_days(days);
        Self { year, month: i64::from(month), day: i64::from(day), micros: micros.rem_euclid(DAY_MICROS), days: Some(days), offset }
    }
}

impl TimeTemplate {
    /// Takes a template apart.
    pub(super) fn parse(template: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = template;
        let mut fill = true;
        let text = |pieces: &mut Vec<Piece>, text: &str| match pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => pieces.push(Piece::Text(text.to_owned())),
        };
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                let inside = &rest[1..];
                let end = inside.find('"').unwrap_or(inside.len());
                text(&mut pieces, &inside[..end].replace('\\', ""));
                rest = inside.get(end + 1..).unwrap_or_default();
                continue;
            }
            if first == '\\' && rest[1..].starts_with('"') {
                text(&mut pieces, "\"");
                rest = &rest[2..];
                continue;
            }
            let starts = |name: &&&str| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            let Some(name) = PATTERNS.iter().chain(&MORE_PATTERNS).find(starts) else {
                let length = first.len_utf8();
                text(&mut pieces, &rest[..length]);
                rest = &rest[length..];
                continue;
            };
            let spelt = rest[..name.len()].to_owned();
            rest = &rest[name.len()..];
            match *name {
                "FM" => fill = false,
                "FX" | "TM" => {}
                name => {
                    let ordinal = rest.get(..2).filter(|suffix| suffix.eq_ignore_ascii_case("th")).map(|suffix| suffix.starts_with('T'));
                    if ordinal.is_some() {
                        rest = &rest[2..];
                    }
                    pieces.push(Piece::Field { name, spelt, fill, ordinal });
                    fill = true;
                }
            }
        }
        Self(pieces)
    }

    /// The value in this template's form.
    pub(super) fn write(&self, moment: &Moment) -> Result<String, Report> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field { name, spelt, fill, ordinal } => {
                    let start = out.len();
                    write_field(name, spelt, *fill, moment, &mut out)?;
                    if let Some(upper) = ordinal {
                        let suffix = ordinal_suffix(out[start..].trim());
                        out.push_str(&if *upper { suffix.to_uppercase() } else { suffix.to_owned() });
                    }
                }
            }
        }
        Ok(out)
    }

    /// Days since 1970 and microseconds of the day that a text of this template says, and seconds east of Greenwich.
    pub(super) fn read(&self, text: &str) -> Result<(i64, i64, Option<i32>), Report> {
        let mut read = Read::default();
        let mut rest = text.trim_start();
        for (at, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Text(literal) => {
                    for character in literal.chars() {
                        rest = if character.is_alphanumeric() {
                            // A letter of the template stands for any one character.
                            rest.chars().next().map_or(rest, |first| &rest[first.len_utf8()..])
                        } else {
                            let rest = rest.trim_start();
                            let separator =
                                |c: char| !(c.is_alphanumeric() || c.is_whitespace() || c == '+' || c == '-' && self.signed_next(at));
                            rest.strip_prefix(separator).unwrap_or(rest).trim_start()
                        };
                    }
                }
                Piece::Field { name, .. } => {
                    let adjacent = matches!(self.0.get(at + 1), Some(Piece::Field { .. }));
                    rest = read.field(name, rest.trim_start(), adjacent, text)?;
                }
            }
        }
        read.finish(text)
    }

    fn signed_next(&self, at: usize) -> bool {
        matches!(self.0.get(at + 1), Some(Piece::Field { name: "TZH" | "OF", .. }))
    }
}

fn ordinal_suffix(number: &str) -> &'static str {
    let tens = number.len() >= 2 && number.as_bytes()[number.len() - 2] == b'1';
    match number.as_bytes().last() {
        Some(b'1') if !tens => "st",
        Some(b'2') if !tens => "nd",
        Some(b'3') if !tens => "rd",
        _ => "th",
    }
}

/// The word as the pattern is spelt: `MONTH`, `Month` or `month`.
fn cased(word: &str, spelt: &str) -> String {
    let mut letters = spelt.chars();
    match (letters.next().is_some_and(char::is_uppercase), letters.next().is_some_and(char::is_uppercase)) {
        (true, true) => word.to_uppercase(),
        (true, false) => word.to_owned(),
        _ => word.to_lowercase(),
    }
}

fn number(value: i64, width: usize, fill: bool, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = if !fill {
        write!(out, "{value}")
    } else if value < 0 {
        write!(out, "-{:0width$}", -value)
    } else {
        write!(out, "{value:0width$}")
    };
}

/// The week of ISO 8601 with its year.
fn iso_week(days: i64) -> (i64, i64) {
    let weekday = (days + 3).rem_euclid(7);
    let thursday = days - weekday + 3;
    let (year, _, _) = civil::from_days(thursday);
    (year, (thursday - civil::to_days(year, 1, 1)) / 7 + 1)
}

fn write_field(name: &str, spelt: &str, fill: bool, moment: &Moment, out: &mut String) -> Result<(), Report> {
    let hour = moment.micros / 3_600_000_000;
    let of_minute = |unit: i64, modulus: i64| moment.micros / unit % modulus;
    let within_second = (moment.micros % 1_000_000).abs();
    let days = || {
        let message = "interval values have no calendar date";
        moment.days.ok_or_else(|| {
            Report::new(SqlState::INVALID_DATETIME_FORMAT, "invalid format specification for an interval value").detail(message)
        })
    };
    let before_christ = moment.days.is_some() && moment.year <= 0;
    let shown_year = if before_christ { 1 - moment.year } else { moment.year };
    let month =
        |names: fn(usize) -> String| if (1..=12).contains(&moment.month) { names(moment.month as usize - 1) } else { String::new() };
    match name {
        "HH24" => number(hour, 2, fill, out),
        "HH12" | "HH" => number(if hour % 12 == 0 { 12 } else { hour % 12 }, 2, fill, out),
        "MI" => number(of_minute(60_000_000, 60), 2, fill, out),
        "SS" => number(of_minute(1_000_000, 60), 2, fill, out),
        "SSSS" | "SSSSS" => number(moment.micros / 1_000_000, 1, false, out),
        "MS" => number(within_second / 1_000, 3, fill, out),
        "US" => number(within_second, 6, fill, out),
        "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let digits = usize::from(name.as_bytes()[2] - b'0');
            number(within_second / 10_i64.pow(6 - digits as u32), digits, true, out);
        }
        "AM" | "PM" => out.push_str(&cased(if hour % 24 >= 12 { "PM" } else { "AM" }, &twice(spelt))),
        "A.M." | "P.M." => out.push_str(&cased(if hour % 24 >= 12 { "P.M." } else { "A.M." }, &twice(spelt))),
        "BC" | "AD" => out.push_str(&cased(if before_christ { "BC" } else { "AD" }, &twice(spelt))),
        "B.C." | "A.D." => out.push_str(&cased(if before_christ { "B.C." } else { "A.D." }, &twice(spelt))),
        "YYYY" => number(shown_year, 4, fill, out),
        "YYY" => number(shown_year % 1_000, 3, fill, out),
        "YY" => number(shown_year % 100, 2, fill, out),
        "Y" => number(shown_year % 10, 1, fill, out),
        "Y,YYY" => {
            let _ = write!(out, "{},{:03}", shown_year / 1_000, shown_year % 1_000);
        }
        "IYYY" => number(iso_week(days()?).0, 4, fill, out),
        "IYY" => number(iso_week(days()?).0 % 1_000, 3, fill, out),
        "IY" => number(iso_week(days()?).0 % 100, 2, fill, out),
        "I" => number(iso_week(days()?).0 % 10, 1, fill, out),
        "CC" => number((shown_year + 99).div_euclid(100), 2, fill, out),
        "Q" => number((moment.month.max(1) - 1) / 3 + 1, 1, fill, out),
        "MM" => number(moment.month, 2, fill, out),
        "MONTH" => {
            let name = cased(&month(|month| MONTHS[month].to_owned()), spelt);
            let _ = if fill { write!(out, "{name:<9}") } else { write!(out, "{name}") };
        }
        "MON" => out.push_str(&cased(&month(|month| MONTHS[month][..3].to_owned()), spelt)),
        "RM" => {
            let roman = cased(&month(|month| ROMAN[month].to_owned()), &twice(spelt));
            let _ = if fill { write!(out, "{roman:<4}") } else { write!(out, "{roman}") };
        }
        "DD" => number(moment.day, 2, fill, out),
        "DAY" => {
            let name = cased(DAYS[(days()? + 4).rem_euclid(7) as usize], spelt);
            let _ = if fill { write!(out, "{name:<9}") } else { write!(out, "{name}") };
        }
        "DY" => out.push_str(&cased(&DAYS[(days()? + 4).rem_euclid(7) as usize][..3], spelt)),
        "D" => number((days()? + 4).rem_euclid(7) + 1, 1, fill, out),
        "ID" => number((days()? + 3).rem_euclid(7) + 1, 1, fill, out),
        "DDD" => number(days()? - civil::to_days(moment.year, 1, 1) + 1, 3, fill, out),
        "IDDD" => {
            let (_, week) = iso_week(days()?);
            number((week - 1) * 7 + (days()? + 3).rem_euclid(7) + 1, 3, fill, out);
        }
        "WW" => number((days()? - civil::to_days(moment.year, 1, 1)) / 7 + 1, 2, fill, out),
        "W" => number((moment.day - 1) / 7 + 1, 1, fill, out),
        "IW" => number(iso_week(days()?).1, 2, fill, out),
        "J" => number(days()? + 2_440_588, 1, false, out),
        "TZH" => {
            let offset = moment.offset.unwrap_or_default();
            let _ = write!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3_600);
        }
        "TZM" => number(i64::from(moment.offset.unwrap_or_default().abs() / 60 % 60), 2, true, out),
        "OF" => {
            let offset = moment.offset.unwrap_or_default();
            let _ = write!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3_600);
            if offset.abs() / 60 % 60 != 0 {
                let _ = write!(out, ":{:02}", offset.abs() / 60 % 60);
            }
        }
        "TZ" if moment.offset == Some(0) => out.push_str(&cased("UTC", &twice(spelt))),
        "TZ" => {
            if let Some(offset) = moment.offset {
                let _ = write!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3_600);
            }
        }
        other => return Err(unsupported(other)),
    }
    Ok(())
}

/// Words of one or two letters have two spellings only.
fn twice(spelt: &str) -> String {
    if spelt.starts_with(char::is_uppercase) { "XX".to_owned() } else { "xx".to_owned() }
}

fn unsupported(pattern: &str) -> Report {
    Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("formatting field \"{pattern}\" is only supported in to_char"))
}

/// Fields as they are read.
#[derive(Debug, Default)]
struct Read {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    afternoon: Option<bool>,
    before_christ: bool,
    offset: Option<i32>,
}

impl Read {
    fn field<'a>(&mut self, name: &str, text: &'a str, adjacent: bool, whole: &str) -> Result<&'a str, Report> {
        let wrong = |word: &str| {
            Report::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid value \"{word}\" for \"{name}\""))
                .detail(format!("The text is \"{whole}\"."))
        };
        let digits = |most: usize| -> Result<(i64, usize, &'a str), Report> {
            // Beside another field a number is as long as its pattern; before a separator as long as it is.
            let most = if adjacent { most } else { 9 };
            let end = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
            let number = text[..end].parse::<i64>().map_err(|_| wrong(text.split_whitespace().next().unwrap_or_default()))?;
            Ok((number, end, &text[end..]))
        };
        let word = |words: &[&str]| -> Option<(usize, &'a str)> {
            let starts = |word: &&str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
            let place = words.iter().position(starts)?;
            Some((place, &text[words[place].len()..]))
        };
        let first_word = || text.split_whitespace().next().unwrap_or_default();
        let rest = match name {
            "YYYY" | "YYY" | "YY" | "Y" => {
                let (value, length, rest) = digits(name.len())?;
                self.year = Some(match (length, value) {
                    (1 | 2, 0..=69) if name != "YYYY" => value + 2_000,
                    (1 | 2, 70..=99) if name != "YYYY" => value + 1_900,
                    _ => value,
                });
                rest
            }
            "Y,YYY" => {
                let (thousands, _, rest) = digits(3)?;
                let rest = rest.strip_prefix(',').unwrap_or(rest);
                let end = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
                self.year = Some(thousands * 1_000 + rest[..end].parse::<i64>().unwrap_or_default());
                &rest[end..]
            }
            "IYYY" | "IYY" | "IY" | "I" => set(&mut self.iso_year, digits(name.len())?),
            "IW" => set(&mut self.iso_week, digits(2)?),
            "ID" => set(&mut self.iso_day, digits(1)?),
            "MM" => set(&mut self.month, digits(2)?),
            "MONTH" => {
                let (place, rest) = word(&MONTHS).ok_or_else(|| wrong(first_word()))?;
                self.month = Some(place as i64 + 1);
                rest
            }
            "MON" => {
                let short: Vec<&str> = MONTHS.iter().map(|month| &month[..3]).collect();
                let (place, rest) = word(&short).ok_or_else(|| wrong(first_word()))?;
                self.month = Some(place as i64 + 1);
                rest
            }
            "DAY" => word(&DAYS).ok_or_else(|| wrong(first_word()))?.1,
            "DY" => {
                let short: Vec<&str> = DAYS.iter().map(|day| &day[..3]).collect();
                word(&short).ok_or_else(|| wrong(first_word()))?.1
            }
            "DD" => set(&mut self.day, digits(2)?),
            "DDD" => set(&mut self.day_of_year, digits(3)?),
            "J" => set(&mut self.julian, digits(9)?),
            "D" | "Q" | "W" | "WW" | "CC" => digits(2)?.2,
            "HH24" | "HH12" | "HH" => put(&mut self.hour, digits(2)?),
            "MI" => put(&mut self.minute, digits(2)?),
            "SS" => put(&mut self.second, digits(2)?),
            "SSSS" | "SSSSS" => put(&mut self.second, digits(5)?),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let most = if name == "MS" { 3 } else { 6 };
                let (value, length, rest) = digits(most)?;
                self.micros = value * 10_i64.pow(6_u32.saturating_sub(length as u32));
                rest
            }
            "AM" | "PM" => {
                let (place, rest) = word(&["AM", "PM"]).ok_or_else(|| wrong(first_word()))?;
                self.afternoon = Some(place == 1);
                rest
            }
            "A.M." | "P.M." => {
                let (place, rest) = word(&["A.M.", "P.M."]).ok_or_else(|| wrong(first_word()))?;
                self.afternoon = Some(place == 1);
                rest
            }
            "BC" | "AD" | "B.C." | "A.D." => {
                let (place, rest) = word(&["BC", "B.C.", "AD", "A.D."]).ok_or_else(|| wrong(first_word()))?;
                self.before_christ = place < 2;
                rest
            }
            "TZH" | "OF" => {
                let sign = if text.starts_with('-') { -1 } else { 1 };
                let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
                let end = unsigned.bytes().take(2).take_while(u8::is_ascii_digit).count();
                let hours: i32 = unsigned[..end].parse().map_err(|_| wrong(first_word()))?;
                self.offset = Some(sign * hours * 3_600);
                &unsigned[end..]
            }
            "TZM" => {
                let (minutes, _, rest) = digits(2)?;
                let offset = self.offset.unwrap_or_default();
                self.offset = Some(offset + if offset < 0 { -60 } else { 60 } * minutes as i32);
                rest
            }
            other => return Err(unsupported(other)),
        };
        Ok(rest)
    }

    fn finish(self, text: &str) -> Result<(i64, i64, Option<i32>), Report> {
        let overflow = || Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\""));
        let hour = match (self.afternoon, self.hour) {
            (Some(true), 1..=11) => self.hour + 12,
            (Some(false), 12) => 0,
            _ => self.hour,
        };
        let micros = ((hour * 60 + self.minute) * 60 + self.second) * 1_000_000 + self.micros;
        if hour > 24 || self.minute > 59 || (self.second > 60 && hour + self.minute > 0) || micros > DAY_MICROS {
            return Err(overflow());
        }
        if let Some(julian) = self.julian {
            return Ok((julian - 2_440_588, micros, self.offset));
        }
        if let (Some(year), Some(week)) = (self.iso_year, self.iso_week) {
            let fourth = civil::to_days(year, 1, 4);
            let monday = fourth - (fourth + 3).rem_euclid(7);
            let day = self.iso_day.unwrap_or(1);
            if !(1..=53).contains(&week) || !(1..=7).contains(&day) {
                return Err(overflow());
            }
            return Ok((monday + (week - 1) * 7 + day - 1, micros, self.offset));
        }
        // PostgreSQL's year of nothing is 1 BC.
        let year = self.year.map_or(0, |year| if self.before_christ { 1 - year } else { year });
        if let Some(day) = self.day_of_year {
            let leap = civil::days_in_month(year, 2) == 29;
            return if (1..=if leap { 366 } else { 365 }).contains(&day) {
                Ok((civil::to_days(year, 1, 1) + day - 1, micros, self.offset))
            } else {
                Err(overflow())
            };
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if year.abs() > 290_000 || !(1..=12).contains(&month) || day < 1 || day > i64::from(civil::days_in_month(year, month as u32)) {
            return Err(overflow());
        }
        Ok((civil::to_days(year, month as u32, day as u32), micros, self.offset))
    }
}

fn set<'a>(field: &mut Option<i64>, (value, _, rest): (i64, usize, &'a str)) -> &'a str {
    *field = Some(value);
    rest
}

fn put<'a>(field: &mut i64, (value, _, rest): (i64, usize, &'a str)) -> &'a str {
    *field = value;
    rest
}
