//! Time zones: an IANA name or a fixed offset, and the offset in force at an instant.
//!
//! The database is chrono-tz's, the one the engine computes with, so that what a client reads is what `date_trunc` saw. Beyond
//! the years of its tables the last rules hold on, as PostgreSQL has it. Of a fixed offset there are two readings: ISO 8601's, east
//! positive (`+05:30`), in dates' texts and for the engine, and POSIX's, west positive (`GMT-05:30`), wherever a zone is named: by the
//! setting, by AT TIME ZONE, and in a date's text behind letters. Refused: POSIX's zones with summer time of their own
//! (`CET-1CEST`), and offsets of seconds, which the engine has not.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::abbreviations;
use crate::civil::{self, DAY_MICROS};

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Always this many seconds east of Greenwich.
    Fixed(i32),
    /// A place.
    Named(Tz),
}

impl Zone {
    /// Universal time.
    pub(crate) const UTC: Zone = Zone::Fixed(0);

    /// The zone of this name, without regard to case.
    pub(crate) fn parse(name: &str) -> Option<Zone> {
        let name = name.trim();
        if ["UTC", "GMT", "Z", "ZULU", "Etc/UTC", "UCT"].iter().any(|utc| utc.eq_ignore_ascii_case(name)) {
            return Some(Zone::UTC);
        }
        if name.starts_with(['+', '-']) {
            return parse_offset(name).map(Zone::Fixed);
        }
        // The exact spelling, the usual one, is found by hash; any other by looking at all six hundred.
        let exact = name.parse::<Tz>().ok();
        exact.or_else(|| chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(name))).map(Zone::Named)
    }

    /// The zone that a name means where no offset is expected: an abbreviation, a place, or a zone of POSIX.
    pub(crate) fn named(name: &str) -> Option<Zone> {
        if let Some(seconds) = abbreviations::offset(name) {
            return Some(Zone::Fixed(seconds));
        }
        let place = || Zone::parse(without_posix(name)).filter(|_| !name.starts_with(['+', '-']));
        place().or_else(|| posix(name))
    }

    /// The zone of a setting's value, and how PostgreSQL shows it; abbreviations are none there.
    pub(crate) fn of_setting(value: &str) -> Option<(Zone, String)> {
        if let Ok(hours) = value.parse::<f64>() {
            return Zone::of_hours(hours);
        }
        let place = without_posix(value);
        if !value.starts_with(['+', '-', ' ']) && !value.ends_with(' ') && !place.eq_ignore_ascii_case("z") {
            match Zone::parse(place) {
                Some(Zone::Named(zone)) => return Some((Zone::Named(zone), format!("{}{zone}", &value[..value.len() - place.len()]))),
                // UTC by one of its names.
                Some(fixed) => {
                    let known = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(place));
                    return Some((fixed, known.map_or_else(|| place.to_uppercase(), |zone| zone.name().to_owned())));
                }
                None => {}
            }
        }
        posix(value).map(|zone| (zone, value.to_uppercase()))
    }

    /// A zone of so many hours east.
    pub(crate) fn of_hours(hours: f64) -> Option<(Zone, String)> {
        let seconds = (hours * 3_600.0).trunc();
        // Beyond a day there are no clocks, and the engine has no seconds.
        if !(seconds.abs() < 86_400.0 && seconds % 60.0 == 0.0) {
            return None;
        }
        let seconds = seconds as i32;
        let (hours, minutes) = (seconds.abs() / 3_600, seconds.abs() / 60 % 60);
        let minutes = if minutes == 0 { String::new() } else { format!(":{minutes:02}") };
        let (east, west) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
        Some((Zone::Fixed(seconds), format!("<{east}{hours:02}{minutes}>{west}{hours:02}{minutes}")))
    }

    /// The name by which the engine knows it, which [`Zone::parse`] reads back.
    pub(crate) fn engine_name(self) -> String {
        match self {
            Zone::Fixed(0) => "UTC".to_owned(),
            Zone::Fixed(seconds) => {
                let sign = if seconds < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", seconds.abs() / 3_600, seconds.abs() / 60 % 60)
            }
            Zone::Named(zone) => zone.name().to_owned(),
        }
    }

    /// Seconds east of Greenwich at an instant (microseconds since 1970, UTC).
    pub(crate) fn offset_at(self, micros: i64) -> i32 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(zone) => {
                let instant = within_chrono(micros);
                zone.offset_from_utc_datetime(&instant).fix().local_minus_utc()
            }
        }
    }

    /// The instant of a wall clock's reading, both in microseconds. Of two, the later (standard time), as PostgreSQL picks;
    /// a reading that the clock skipped counts as if it had not been put forward.
    pub(crate) fn to_utc(self, local: i64) -> Option<i64> {
        let offset = match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(zone) => match zone.offset_from_local_datetime(&within_chrono(local)) {
                MappedLocalTime::Single(offset) => offset.fix().local_minus_utc(),
                MappedLocalTime::Ambiguous(_, latest) => latest.fix().local_minus_utc(),
                MappedLocalTime::None => self.offset_at(local.saturating_sub(DAY_MICROS)),
            },
        };
        local.checked_sub(i64::from(offset) * 1_000_000)
    }
}

/// The name without the folder of zones that count no leap seconds, which none here do.
fn without_posix(name: &str) -> &str {
    match name.get(..6) {
        Some(folder) if folder.eq_ignore_ascii_case("posix/") => &name[6..],
        _ => name,
    }
}

/// A zone as POSIX has it, `GMT+3`, `<+05>-5` or `+05:30`: a name that says nothing, and how far it is west.
fn posix(text: &str) -> Option<Zone> {
    let offset = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?.1,
        None => text.trim_start_matches(|c: char| !(c.is_ascii_digit() || c.is_whitespace() || matches!(c, ',' | '+' | '-' | '/'))),
    };
    let (west, digits) = match offset.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let mut fields = digits.split(':').map(|part| {
        let number = part.parse::<i32>().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
        number.filter(|_| part.len() <= 2)
    });
    let (hours, minutes) = (fields.next()??, fields.next().unwrap_or(Some(0))?);
    let whole = fields.next().unwrap_or(Some(0))? == 0 && fields.next().is_none();
    (whole && hours < 24 && minutes < 60).then_some(Zone::Fixed(-west * (hours * 3_600 + minutes * 60)))
}

/// `+HH`, `+HHMM`, `+HH:MM`, `+HH:MM:SS` in seconds.
pub(crate) fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let number = |text: &str| (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<i32>().ok()).flatten();
    let mut parts = digits.split(':');
    let first = parts.next()?;
    let (hours, minutes) = match first.len() {
        1 | 2 => (number(first)?, parts.next().map_or(Some(0), number)?),
        3 | 4 => (number(first.get(..first.len() - 2)?)?, number(first.get(first.len() - 2..)?)?),
        _ => return None,
    };
    let seconds = parts.next().map_or(Some(0), number)?;
    (parts.next().is_none() && hours <= 15 && minutes < 60 && seconds < 60).then_some(sign * (hours * 3_600 + minutes * 60 + seconds))
}

/// An instant at which the zone's rules give the same offset, and that chrono and its tables (which end in 2100) can hold: of
/// later years the same day of a year from 2040 on that begins on the same weekday and is as long.
fn within_chrono(micros: i64) -> NaiveDateTime {
    const LAST_YEAR: i64 = 2_099;
    const FIRST_SUBSTITUTE: i64 = 2_040;
    // A day short of chrono's beginning, so that adding an offset stays inside.
    const LIMIT: i64 = -8_210_000_000_000_000_000;
    let days = micros.div_euclid(DAY_MICROS);
    let (year, _, _) = civil::from_days(days);
    let mut shift = 0;
    if year > LAST_YEAR {
        let (first, length) = (civil::to_days(year, 1, 1), civil::to_days(year + 1, 1, 1) - civil::to_days(year, 1, 1));
        let same = |other: &i64| {
            let start = civil::to_days(*other, 1, 1);
            (first - start).rem_euclid(7) == 0 && civil::to_days(other + 1, 1, 1) - start == length
        };
        // Within 28 years every kind of year occurs.
        let substitute = (FIRST_SUBSTITUTE..FIRST_SUBSTITUTE + 28).find(same).unwrap_or(FIRST_SUBSTITUTE);
        shift = (first - civil::to_days(substitute, 1, 1)) * DAY_MICROS;
    }
    DateTime::from_timestamp_micros((micros - shift).max(LIMIT)).unwrap_or_default().naive_utc()
}
