//! The text forms of intervals: PostgreSQL's (`1 year 2 mons -3 days 04:05:06.7`, `@ 2 hours ago`) and ISO 8601 (`P1Y2M3DT4H5M6S`).
//! A fraction of a unit passes down as in PostgreSQL: of years to months, of months to days (30), of the rest to time.

use super::{Value, invalid_datetime, temporal};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

const SECOND: f64 = 1e6;
const DAY: f64 = 86_400.0 * SECOND;

/// The sum of an interval's parts.
#[derive(Default)]
struct Sum {
    months: f64,
    days: f64,
    micros: f64,
}

/// An interval.
pub(super) fn interval(text: &str) -> Result<Value, Report> {
    let wrong = || invalid_datetime(PgType::INTERVAL, text);
    let trimmed = text.trim();
    let mut sum = if trimmed.starts_with(['P', 'p']) { iso(&trimmed[1..]) } else { words(trimmed) }.ok_or_else(wrong)?;
    // Rounding away what binary fractions leave of 0.1 and its kin.
    sum.micros = sum.micros.round_ties_even();
    let overflow = || Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("interval field value out of range: \"{text}\""));
    let fits = |value: f64, limit: f64| value.abs() < limit;
    if !fits(sum.months, 2_147_483_648.0) || !fits(sum.days, 2_147_483_648.0) || !fits(sum.micros, 9.223e18) {
        return Err(overflow());
    }
    Ok(Value::Interval(sum.months as i32, sum.days as i32, sum.micros as i64))
}

impl Sum {
    fn add(&mut self, number: f64, unit: &str) -> Option<()> {
        let unit = match unit.to_ascii_lowercase() {
            unit if unit.len() > 1 && unit != "us" && unit != "ms" => unit.strip_suffix('s').unwrap_or(&unit).to_owned(),
            unit => unit,
        };
        match unit.as_str() {
            "millennium" | "millennia" | "mil" => self.months(number * 12_000.0),
            "century" | "centurie" | "cent" | "c" => self.months(number * 1_200.0),
            "decade" | "dec" => self.months(number * 120.0),
            "year" | "yr" | "y" => self.months(number * 12.0),
            "month" | "mon" => self.months(number),
            "week" | "w" => self.days(number * 7.0),
            "day" | "d" => self.days(number),
            "hour" | "hr" | "h" => self.micros += number * 3_600.0 * SECOND,
            "minute" | "min" | "m" => self.micros += number * 60.0 * SECOND,
            "second" | "sec" | "s" => self.micros += number * SECOND,
            "millisecond" | "msec" | "ms" => self.micros += number * 1e3,
            "microsecond" | "usec" | "us" => self.micros += number,
            _ => return None,
        }
        Some(())
    }

    fn months(&mut self, number: f64) {
        self.months += number.trunc();
        self.days(number.fract() * 30.0);
    }

    fn days(&mut self, number: f64) {
        self.days += number.trunc();
        self.micros += (number.fract() * DAY).round_ties_even();
    }
}

/// Numbers with units, and a clock's reading anywhere.
fn words(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut rest = text.strip_prefix('@').unwrap_or(text).trim_start();
    let ago = rest.len() >= 3 && rest.get(rest.len() - 3..).is_some_and(|end| end.eq_ignore_ascii_case("ago"));
    if ago {
        rest = rest[..rest.len() - 3].trim_end();
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':' | '+' | '-'))).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        rest = after.trim_start();
        if number.contains(':') {
            sum.micros += clock(number)?;
            continue;
        }
        let value: f64 = number.parse().ok()?;
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        rest = after.trim_start();
        // A bare number is seconds, if nothing else follows.
        sum.add(value, if unit.is_empty() && rest.is_empty() { "second" } else { unit })?;
    }
    if ago {
        (sum.months, sum.days, sum.micros) = (-sum.months, -sum.days, -sum.micros);
    }
    Some(sum)
}

/// `[+-]HH:MM[:SS[.f]]` in microseconds.
fn clock(text: &str) -> Option<f64> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut parts = text.split(':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok().filter(|minutes| *minutes < 60)?;
    let seconds = parts.next().map_or(Some(0), temporal::seconds_to_micros).filter(|seconds| (0..=60_000_000).contains(seconds))?;
    if parts.next().is_some() {
        return None;
    }
    let micros = (hours as f64 * 3_600.0 + minutes as f64 * 60.0) * SECOND + seconds as f64;
    Some(if negative { -micros } else { micros })
}

/// What follows the P of ISO 8601.
fn iso(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let (mut rest, mut in_time) = (text, false);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(['T', 't']) {
            (rest, in_time) = (after, true);
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let value: f64 = rest[..end].parse().ok()?;
        let unit = match (rest.as_bytes()[end].to_ascii_uppercase(), in_time) {
            (b'Y', false) => "year",
            (b'M', false) => "month",
            (b'W', false) => "week",
            (b'D', false) => "day",
            (b'H', true) => "hour",
            (b'M', true) => "minute",
            (b'S', true) => "second",
            _ => return None,
        };
        sum.add(value, unit)?;
        rest = &rest[end + 1..];
    }
    Some(sum)
}
