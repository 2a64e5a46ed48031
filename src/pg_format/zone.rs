//! Time zones: an IANA name or a fixed offset, and the offset in force at an instant.
//!
//! The database is chrono-tz's, the one the engine computes with, so that what a client reads is what `date_trunc` saw. Beyond
//! the years of its tables the last rules hold on, as PostgreSQL has it. A fixed offset is read as ISO 8601 does, east
//! positive (`+05:30`); PostgreSQL's own display of one, `<+05:30>-05:30`, is understood too.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

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
        let offset = match name.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            Some((inside, _)) => inside,
            None => name,
        };
        if offset.starts_with(['+', '-']) {
            return parse_offset(offset).map(Zone::Fixed);
        }
        // The exact spelling, the usual one, is found by hash; any other by looking at all six hundred.
        let exact = name.parse::<Tz>().ok();
        exact.or_else(|| chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(name))).map(Zone::Named)
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
                MappedLocalTime::None => self.offset_at(local.saturating_sub(86_400_000_000)),
            },
        };
        local.checked_sub(i64::from(offset) * 1_000_000)
    }
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
