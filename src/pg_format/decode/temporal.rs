//! The text forms of dates, times, timestamps and intervals.
//!
//! Read are ISO 8601 and what is near it: `2024-01-31`, `20240131`, `2024-1-31`, `Jan 31 2024`, `31 January 2024`, and `1/31/2024`
//! in the order of DateStyle, with a time, a zone (`Z`, `+05:30`, `Europe/Berlin`) and `BC` behind; also `infinity` and `epoch`.
//! Words that mean the present (`now`, `today`) need a clock and are refused here. The syntax that is not understood is
//! 22007; a month 13 is 22008.

use super::{Value, invalid_datetime};
use crate::civil::{self, DAY_MICROS};
use crate::error::{Report, SqlState};
use crate::pg_format::reading::DateOrder;
use crate::pg_format::zone::{self, Zone};
use crate::pg_type::PgType;
use crate::spelling::interval::{self, IntervalTextError};

const MONTHS: [&str; 12] =
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
/// 4714-11-24 BC, the end of PostgreSQL's date, and the end of 64-bit microseconds since 1970 (294247, PostgreSQL's reach to 294276).
const FIRST_DAY: i64 = -2_440_588;
const LAST_DATE: i64 = 2_145_042_905;
const LAST_TIMESTAMP_DAY: i64 = 106_751_990;

/// A date, in days since 1970.
pub(super) fn date(text: &str, order: DateOrder) -> Result<i32, Report> {
    let parsed = read(text, PgType::DATE, order)?;
    match parsed {
        Moment::Infinity => Ok(i32::MAX),
        Moment::MinusInfinity => Ok(i32::MIN),
        Moment::At { days, .. } if (FIRST_DAY..=LAST_DATE).contains(&days) => Ok(days as i32),
        Moment::At { .. } => Err(Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\""))),
    }
}

/// A timestamp in microseconds since 1970: the reading as it stands, or with a zone the instant it names.
pub(super) fn timestamp(text: &str, zone: Option<Zone>, order: DateOrder) -> Result<i64, Report> {
    let pg_type = if zone.is_some() { PgType::TIMESTAMPTZ } else { PgType::TIMESTAMP };
    let out_of_range = || Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\""));
    match read(text, pg_type, order)? {
        Moment::Infinity => Ok(i64::MAX),
        Moment::MinusInfinity => Ok(i64::MIN),
        Moment::At { days, micros, zone: own } => {
            if !(FIRST_DAY..=LAST_TIMESTAMP_DAY).contains(&days) {
                return Err(out_of_range());
            }
            let local = days * DAY_MICROS + micros;
            match zone {
                None => Ok(local),
                Some(session) => own.unwrap_or(session).to_utc(local).ok_or_else(out_of_range),
            }
        }
    }
}

/// A time of day in microseconds; a zone is read and forgotten.
pub(super) fn time(text: &str) -> Result<i64, Report> {
    let wrong = || invalid_datetime(PgType::TIME, text);
    let trimmed = text.trim();
    let (clock, rest) = split_clock(trimmed).ok_or_else(wrong)?;
    let (micros, rest) = meridiem(read_clock(clock).ok_or_else(|| clock_error(clock, text, PgType::TIME))?, rest, text)?;
    if !rest.is_empty() && zone_of(rest).is_none() {
        return Err(wrong());
    }
    Ok(micros)
}

enum Moment {
    Infinity,
    MinusInfinity,
    At { days: i64, micros: i64, zone: Option<Zone> },
}

fn overflow(text: &str) -> Report {
    Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\""))
}

/// Reads a date, and the time, zone and era behind it.
fn read(text: &str, pg_type: PgType, order: DateOrder) -> Result<Moment, Report> {
    let wrong = || invalid_datetime(pg_type, text);
    let trimmed = text.trim();
    match trimmed.to_ascii_lowercase().as_str() {
        "infinity" | "+infinity" => return Ok(Moment::Infinity),
        "-infinity" => return Ok(Moment::MinusInfinity),
        "epoch" => return Ok(Moment::At { days: 0, micros: 0, zone: Some(Zone::UTC) }),
        _ => {}
    }
    let (trimmed, before_christ) = match trimmed.get(trimmed.len().saturating_sub(3)..) {
        Some(era) if era.eq_ignore_ascii_case(" bc") => (trimmed[..trimmed.len() - 3].trim_end(), true),
        Some(era) if era.eq_ignore_ascii_case(" ad") => (trimmed[..trimmed.len() - 3].trim_end(), false),
        _ => (trimmed, false),
    };
    let ((year, month, day), rest) = read_date(trimmed, order).ok_or_else(wrong)?;
    let year = match (before_christ, year) {
        (_, 0) => return Err(overflow(text)),
        (true, year) => 1 - year,
        (false, year) => year,
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(overflow(text).hint("Perhaps you need a different \"datestyle\" setting."));
    }
    if day > civil::days_in_month(year, month) {
        return Err(overflow(text));
    }
    let days = civil::to_days(year, month, day);
    let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim_start();
    if rest.is_empty() {
        return Ok(Moment::At { days, micros: 0, zone: None });
    }
    let (micros, rest) = match split_clock(rest) {
        None => (0, rest),
        Some((clock, rest)) => meridiem(read_clock(clock).ok_or_else(|| clock_error(clock, text, pg_type))?, rest, text)?,
    };
    let zone = if rest.is_empty() {
        None
    } else {
        let unknown = || Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{}\" not recognized", rest.to_lowercase()));
        // A word that is no zone is a syntax error unless it looks like one.
        Some(zone_of(rest).ok_or_else(|| if rest.contains('/') { unknown() } else { wrong() })?)
    };
    Ok(Moment::At { days, micros, zone })
}

/// Three numbers, or two and a month's name; and what follows.
fn read_date(text: &str, order: DateOrder) -> Option<((i64, u32, u32), &str)> {
    // Only behind a digit is a T the time's, or a Z the zone's: Oct has one of its own.
    let ends = |(at, c): (usize, char)| {
        c.is_whitespace() || (matches!(c, 'T' | 't' | 'Z' | 'z' | '+') && text[..at].ends_with(|c: char| c.is_ascii_digit()))
    };
    let end = text.char_indices().find(|found| ends(*found)).map_or(text.len(), |(at, _)| at);
    let (word, rest) = text.split_at(end);
    for separator in ['-', '/', '.'] {
        let parts: Vec<&str> = word.split(separator).collect();
        if let [a, b, c] = parts[..] {
            return Some((ordered([a, b, c], order)?, rest));
        }
    }
    if let Some(whole) = number(word) {
        return match word.len() {
            8 => Some(((whole / 10_000, (whole / 100 % 100) as u32, (whole % 100) as u32), rest)),
            6 => Some(((century(whole / 10_000, "00"), (whole / 100 % 100) as u32, (whole % 100) as u32), rest)),
            _ => written_out(text, order),
        };
    }
    written_out(text, order)
}

fn number(part: &str) -> Option<i64> {
    (!part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i64>().ok()).flatten()
}

/// `Jan 31 2024`, `January 31, 2024`, `31 Jan 2024`.
fn written_out(text: &str, order: DateOrder) -> Option<((i64, u32, u32), &str)> {
    let mut rest = text;
    let mut words = [""; 3];
    for word in &mut words {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len());
        (*word, rest) = rest.split_at(end);
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    words.iter().any(|word| month_of(word).is_some()).then(|| ordered(words, order)).flatten().map(|date| (date, rest))
}

/// Year, month and day. As in PostgreSQL a first number of three digits or more is the year; else the order says what is what, and
/// beside a month's name the year comes first only where it says so.
fn ordered(parts: [&str; 3], order: DateOrder) -> Option<(i64, u32, u32)> {
    let named = parts.iter().position(|part| month_of(part).is_some());
    let whole = |part: &str| number(part).map(|number| number as u32);
    let Some(named) = named else {
        let [a, b, c] = parts;
        let (year, month, day) = match order {
            _ if a.len() >= 3 => (a, b, c),
            DateOrder::YearMonthDay => (a, b, c),
            DateOrder::MonthDayYear => (c, a, b),
            DateOrder::DayMonthYear => (c, b, a),
        };
        return Some((century(number(year)?, year), whole(month)?, whole(day)?));
    };
    let (first, second) = match named {
        0 => (parts[1], parts[2]),
        1 => (parts[0], parts[2]),
        _ => (parts[0], parts[1]),
    };
    let year_first = first.len() >= 3 || (order == DateOrder::YearMonthDay && second.len() < 3);
    let (year, day) = if year_first { (first, second) } else { (second, first) };
    Some((century(number(year)?, year), month_of(parts[named])?, whole(day)?))
}

/// Two digits are of the years 1970 to 2069.
fn century(year: i64, digits: &str) -> i64 {
    match (digits.len(), year) {
        (1 | 2, 0..=69) => year + 2_000,
        (1 | 2, 70..=99) => year + 1_900,
        _ => year,
    }
}

fn month_of(word: &str) -> Option<u32> {
    let lower = word.to_ascii_lowercase();
    let place = MONTHS.iter().position(|month| lower.len() >= 3 && month.starts_with(&lower))?;
    Some(place as u32 + 1)
}

/// The digits, colons and point at the start, if they are a clock's reading.
fn split_clock(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    (!clock.is_empty()).then_some((clock, rest.trim_start()))
}

/// `HH:MM[:SS[.f]]` or `HHMM[SS[.f]]`; PostgreSQL lets the day end at 24:00:00 and the minute at second 60.
fn read_clock(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number = |part: &str| {
        ((1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i64>().ok()).flatten()
    };
    let (hours, minutes, seconds) = if clock.contains(':') {
        let mut parts = clock.split(':');
        let fields = (number(parts.next()?)?, number(parts.next()?)?, parts.next().map_or(Some(0), number)?);
        parts.next().is_none().then_some(fields)?
    } else {
        match clock.len() {
            4 => (number(&clock[..2])?, number(&clock[2..])?, 0),
            6 => (number(&clock[..2])?, number(&clock[2..4])?, number(&clock[4..])?),
            _ => return None,
        }
    };
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse::<f64>().ok()? };
    let micros = (hours * 3_600 + minutes * 60 + seconds) * 1_000_000 + (fraction * 1e6).round_ties_even() as i64;
    (hours <= 24 && minutes < 60 && seconds <= 60 && micros <= DAY_MICROS).then_some(micros)
}

/// A clock with fields out of range is not the same as one that is none.
fn clock_error(clock: &str, text: &str, pg_type: PgType) -> Report {
    let shaped = clock.contains(':') && clock.split([':', '.']).all(|part| !part.is_empty() && part.len() <= 9);
    if shaped { overflow(text) } else { invalid_datetime(pg_type, text) }
}

/// AM and PM.
fn meridiem<'a>(micros: i64, rest: &'a str, text: &str) -> Result<(i64, &'a str), Report> {
    const HOUR: i64 = 3_600_000_000;
    // America/New_York is no morning.
    let word = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()) == 2;
    let (noon, rest) = match rest.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("am") if word => (false, rest[2..].trim_start()),
        Some("pm") if word => (true, rest[2..].trim_start()),
        _ => return Ok((micros, rest)),
    };
    match (micros / HOUR, noon) {
        (12, false) => Ok((micros - 12 * HOUR, rest)),
        (0..=11, true) => Ok((micros + 12 * HOUR, rest)),
        (0..=12, _) => Ok((micros, rest)),
        _ => Err(overflow(text)),
    }
}

fn zone_of(text: &str) -> Option<Zone> {
    match zone::parse_offset(text) {
        Some(seconds) => Some(Zone::Fixed(seconds)),
        None if text.starts_with(|c: char| c.is_ascii_alphabetic()) => Zone::named(text),
        None => None,
    }
}

/// An interval.
pub(super) fn interval(text: &str) -> Result<Value, Report> {
    match interval::parse(text) {
        Ok((months, days, micros)) => Ok(Value::Interval(months, days, micros)),
        Err(IntervalTextError::Malformed) => Err(invalid_datetime(PgType::INTERVAL, text)),
        Err(IntervalTextError::OutOfRange) => {
            Err(Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("interval field value out of range: \"{text}\"")))
        }
    }
}
