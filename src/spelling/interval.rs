//! Intervals as text: read as PostgreSQL reads them (`30 days`, `1 month 2 days 03:04:05`, `1-2`, `P1DT2H`, `1 day ago`), and
//! written as it writes them.
//!
//! One reader for the statements' literals, their casts, parameters and COPY's fields. Fractions cascade as in PostgreSQL: of a
//! year into whole months, of a month into 30 days, of a day into 24 hours. What PostgreSQL refuses is
//! [`IntervalTextError::Malformed`]; what no interval can hold is [`IntervalTextError::OutOfRange`].

/// Months, days and microseconds.
pub type Fields = (i32, i32, i64);

const MICROS_PER_SECOND: i128 = 1_000_000;
const MICROS_PER_DAY: i128 = 86_400 * MICROS_PER_SECOND;
/// Numbers are kept in billionths, so that nothing is lost to floating point.
const SCALE: i128 = 1_000_000_000;
/// No valid literal is longer; the bound keeps hostile text from being carried around.
const MAX_LENGTH: usize = 256;

/// What a clock's reading says.
const CLOCK: [Unit; 5] = [Unit::Hour, Unit::Minute, Unit::Second, Unit::Millisecond, Unit::Microsecond];

/// Why a text is not an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalTextError {
    /// Not an interval.
    Malformed,
    /// Beyond what an interval holds.
    OutOfRange,
}

use IntervalTextError::{Malformed, OutOfRange};

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 1000 years.
    Millennium,
    /// 100 years.
    Century,
    /// 10 years.
    Decade,
    /// 12 months.
    Year,
    /// A calendar month.
    Month,
    /// 7 days.
    Week,
    /// A calendar day.
    Day,
    /// 3600 seconds.
    Hour,
    /// 60 seconds.
    Minute,
    /// A second.
    Second,
    /// A thousandth of a second.
    Millisecond,
    /// A millionth of a second.
    Microsecond,
}

impl Unit {
    /// The unit of this word, in any of PostgreSQL's spellings.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "mil" | "mils" | "millennia" | "millennium" => Self::Millennium,
            "c" | "cent" | "centuries" | "century" => Self::Century,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "y" | "yr" | "yrs" | "year" | "years" => Self::Year,
            "mon" | "mons" | "month" | "months" => Self::Month,
            "w" | "week" | "weeks" => Self::Week,
            "d" | "day" | "days" => Self::Day,
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => Self::Millisecond,
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => Self::Microsecond,
            _ => return None,
        })
    }
}

/// Sums of a literal's fields; wide enough that checking once at the end is enough.
#[derive(Debug, Default)]
struct Sum {
    months: i128,
    days: i128,
    micros: i128,
}

impl Sum {
    /// Adds `scaled` billionths of a unit.
    fn add(&mut self, scaled: i128, unit: Unit) {
        let months = |sum: &mut Self, each: i128| sum.months += scaled / SCALE * each + round(scaled % SCALE * each);
        match unit {
            Unit::Millennium => months(self, 12_000),
            Unit::Century => months(self, 1_200),
            Unit::Decade => months(self, 120),
            Unit::Year => months(self, 12),
            // Of a month, days of 30.
            Unit::Month => {
                self.months += scaled / SCALE;
                self.add_days(scaled % SCALE * 30);
            }
            Unit::Week => self.add_days(scaled * 7),
            Unit::Day => self.add_days(scaled),
            Unit::Hour => self.micros += round(scaled * 3_600 * MICROS_PER_SECOND),
            Unit::Minute => self.micros += round(scaled * 60 * MICROS_PER_SECOND),
            Unit::Second => self.micros += round(scaled * MICROS_PER_SECOND),
            Unit::Millisecond => self.micros += round(scaled * 1_000),
            Unit::Microsecond => self.micros += round(scaled),
        }
    }

    fn add_days(&mut self, scaled: i128) {
        self.days += scaled / SCALE;
        self.micros += round(scaled % SCALE * MICROS_PER_DAY);
    }

    fn fields(self) -> Result<Fields, IntervalTextError> {
        Ok((
            self.months.try_into().map_err(|_| OutOfRange)?,
            self.days.try_into().map_err(|_| OutOfRange)?,
            self.micros.try_into().map_err(|_| OutOfRange)?,
        ))
    }
}

/// Billionths to the nearest whole, of two the even one.
fn round(scaled: i128) -> i128 {
    let (whole, half) = (scaled.div_euclid(SCALE), scaled.rem_euclid(SCALE).cmp(&(SCALE / 2)));
    whole + i128::from(half.is_gt() || half.is_eq() && whole % 2 != 0)
}

/// An interval as PostgreSQL prints it (`intervalstyle = postgres`): `1 year 2 mons 3 days 04:05:06.789`.
pub fn text(months: i32, days: i32, micros: i64) -> String {
    let mut text = String::new();
    let mut earlier_negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let space = if text.is_empty() { "" } else { " " };
            // After a negative field PostgreSQL writes the sign of a positive one.
            let sign = if earlier_negative && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            text.push_str(&format!("{space}{sign}{value} {unit}{plural}"));
            earlier_negative = value < 0;
        }
    }
    if micros != 0 || text.is_empty() {
        let space = if text.is_empty() { "" } else { " " };
        let sign = match micros {
            ..0 => "-",
            0.. if earlier_negative => "+",
            _ => "",
        };
        let size = micros.unsigned_abs();
        let (seconds, fraction) = (size / 1_000_000, size % 1_000_000);
        text.push_str(&format!("{space}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
        if fraction != 0 {
            text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
        }
    }
    text
}

/// Reads a literal; a number without a unit counts seconds.
pub fn parse(text: &str) -> Result<Fields, IntervalTextError> {
    parse_with(text, Unit::Second)
}

/// Reads a literal; a last number without a unit counts `unit` (`INTERVAL '30' DAY`).
pub fn parse_with(text: &str, unit: Unit) -> Result<Fields, IntervalTextError> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LENGTH {
        return Err(Malformed);
    }
    if let Some(iso) = text.strip_prefix('P').or_else(|| text.strip_prefix("-P")) {
        let sum = iso_8601(iso)?;
        return if text.starts_with('-') {
            Sum { months: -sum.months, days: -sum.days, micros: -sum.micros }.fields()
        } else {
            sum.fields()
        };
    }
    verbose(text, unit)?.fields()
}

/// `1 year 2 mons 3 days 04:05:06`, `1-2`, `1-2 3 4:05:06`, `@ 1 day ago`.
fn verbose(text: &str, default: Unit) -> Result<Sum, IntervalTextError> {
    let mut sum = Sum::default();
    let mut seen: Vec<Unit> = Vec::new();
    let mut seen_time = false;
    let mut rest = text.strip_prefix('@').unwrap_or(text).trim_start();
    let mut ago = false;
    if rest.is_empty() {
        return Err(Malformed);
    }
    while !rest.is_empty() {
        if ago {
            return Err(Malformed);
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic() || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        if number.is_empty() {
            let word = word(rest);
            if !word.eq_ignore_ascii_case("ago") || seen.is_empty() && !seen_time {
                return Err(Malformed);
            }
            ago = true;
            rest = rest[word.len()..].trim_start();
            continue;
        }
        if number.contains(':') {
            // `10:` of hours and minutes, with or without seconds; never twice, nor beside a unit of its own.
            if std::mem::replace(&mut seen_time, true) || seen.iter().any(|unit| CLOCK.contains(unit)) {
                return Err(Malformed);
            }
            sum.micros += time(number)?;
            rest = after.trim_start();
            continue;
        }
        // `1-2`: years and months of the SQL standard, which count as months.
        if let Some((years, months)) =
            number.get(1..).and_then(|tail| tail.split_once('-')).map(|(_, months)| (&number[..number.len() - months.len() - 1], months))
        {
            let (years, months) = (decimal(years)?, decimal(months)?);
            if years % SCALE != 0 || months % SCALE != 0 || months < 0 || seen.contains(&Unit::Month) {
                return Err(Malformed);
            }
            if months >= 12 * SCALE {
                return Err(OutOfRange);
            }
            seen.push(Unit::Month);
            let sign = if number.starts_with('-') { -1 } else { 1 };
            sum.add(years, Unit::Year);
            sum.add(sign * months, Unit::Month);
            rest = after.trim_start();
            continue;
        }
        let value = decimal(number)?;
        let after = after.trim_start();
        let word = word(after);
        let (unit, after) = match Unit::of(word) {
            Some(unit) => {
                let after = &after[word.len()..];
                if after.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(Malformed);
                }
                (unit, after)
            }
            // A bare number before a time of day counts days (`1 04:05:06`); as the last field it counts the default.
            None if word.is_empty() && after.split_ascii_whitespace().next().is_some_and(|next| next.contains(':')) => (Unit::Day, after),
            None if word.is_empty() && after.is_empty() || word.eq_ignore_ascii_case("ago") => (default, after),
            None => return Err(Malformed),
        };
        if seen.contains(&unit) || seen_time && CLOCK.contains(&unit) {
            return Err(Malformed);
        }
        seen.push(unit);
        // A second with a fraction says all that smaller units could.
        if unit == Unit::Second && value % SCALE != 0 {
            if seen.iter().any(|unit| [Unit::Millisecond, Unit::Microsecond].contains(unit)) {
                return Err(Malformed);
            }
            seen.extend([Unit::Millisecond, Unit::Microsecond]);
        }
        sum.add(value, unit);
        rest = after.trim_start();
    }
    Ok(if ago { Sum { months: -sum.months, days: -sum.days, micros: -sum.micros } } else { sum })
}

/// The letters at the beginning.
fn word(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())]
}

/// `[+-]h:mm[:ss[.f]]` in microseconds.
fn time(text: &str) -> Result<i128, IntervalTextError> {
    let (sign, digits) = sign(text);
    let mut parts = digits.split(':');
    let (Some(hours), Some(minutes), seconds, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Malformed);
    };
    let whole = |text: &str| -> Result<i128, IntervalTextError> {
        let value = unsigned(text)?;
        if value % SCALE == 0 && !text.contains('.') { Ok(value / SCALE) } else { Err(Malformed) }
    };
    let (hours, minutes) = (whole(hours)?, whole(minutes)?);
    let seconds = seconds.map_or(Ok(0), unsigned)?;
    if minutes > 59 || seconds >= 60 * SCALE {
        return Err(OutOfRange);
    }
    Ok(sign * (hours * 3_600 * MICROS_PER_SECOND + minutes * 60 * MICROS_PER_SECOND + round(seconds * MICROS_PER_SECOND)))
}

/// What follows `P`: designators (`1Y2M3DT4H5M6S`, `1W`), or the alternative form (`0001-02-03T04:05:06`).
fn iso_8601(text: &str) -> Result<Sum, IntervalTextError> {
    let mut sum = Sum::default();
    let (date, time_of_day) = match text.split_once('T') {
        Some((_, "")) => return Err(Malformed),
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    if date.is_empty() && time_of_day.is_none() {
        return Err(Malformed);
    }
    let alternative = date.get(1..).is_some_and(|tail| tail.contains('-')) && !date.contains(|c: char| c.is_ascii_alphabetic());
    if alternative {
        let parts: Vec<&str> = date.split('-').collect();
        let units = [Unit::Year, Unit::Month, Unit::Day];
        if parts.len() > units.len() {
            return Err(Malformed);
        }
        for (part, unit) in parts.into_iter().zip(units) {
            sum.add(unsigned(part)?, unit);
        }
    } else {
        designators(date, &mut sum, |letter| match letter {
            'Y' => Some(Unit::Year),
            'M' => Some(Unit::Month),
            'W' => Some(Unit::Week),
            'D' => Some(Unit::Day),
            _ => None,
        })?;
    }
    match time_of_day {
        Some(text) if text.contains(':') => sum.micros += time(text)?,
        Some(text) => designators(text, &mut sum, |letter| match letter {
            'H' => Some(Unit::Hour),
            'M' => Some(Unit::Minute),
            'S' => Some(Unit::Second),
            _ => None,
        })?,
        None => {}
    }
    Ok(sum)
}

fn designators(mut text: &str, sum: &mut Sum, unit_of: impl Fn(char) -> Option<Unit>) -> Result<(), IntervalTextError> {
    while !text.is_empty() {
        let end = text.find(|c: char| c.is_ascii_alphabetic()).ok_or(Malformed)?;
        let unit = text[end..].chars().next().and_then(&unit_of).ok_or(Malformed)?;
        sum.add(decimal(&text[..end])?, unit);
        text = &text[end + 1..];
    }
    Ok(())
}

fn sign(text: &str) -> (i128, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

/// `[+-]digits[.digits]` in billionths.
fn decimal(text: &str) -> Result<i128, IntervalTextError> {
    let (sign, digits) = sign(text);
    Ok(sign * unsigned(digits)?)
}

fn unsigned(text: &str) -> Result<i128, IntervalTextError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(Malformed);
    }
    // 18 digits of any unit stay far below the sums' 38.
    if whole.trim_start_matches('0').len() > 18 {
        return Err(OutOfRange);
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Malformed)? };
    let mut billionths = 0;
    for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(9) {
        billionths = billionths * 10 + i128::from(digit - b'0');
    }
    Ok(whole * SCALE + billionths)
}

#[cfg(test)]
mod tests;
