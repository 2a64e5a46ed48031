//! Times, written `30s`.

use std::time::Duration;

/// Units in milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// `30s`, `1500ms`, `5min`, `2h`, `1d`; a plain `0` is zero, any other number without a unit is refused (seconds or
/// milliseconds? PostgreSQL and Feast disagree).
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "it must be a whole number with a unit, such as 30s".to_owned())?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" if number == 0 => 1,
        "" => return Err("it needs a unit: ms, s, min, h or d".to_owned()),
        "ms" => 1,
        "s" | "sec" => 1_000,
        "min" | "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        other => return Err(format!("\"{other}\" is not a unit of time (ms, s, min, h, d)")),
    };
    // PostgreSQL's clients give timeouts as 32-bit milliseconds.
    number
        .checked_mul(factor)
        .filter(|millis| *millis <= i32::MAX as u64)
        .map(Duration::from_millis)
        .ok_or_else(|| "it is longer than 24 days".to_owned())
}

/// The shortest exact spelling, to the millisecond.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, factor)| millis.is_multiple_of(*factor))
        .map_or_else(|| format!("{millis}ms"), |(unit, factor)| format!("{}{unit}", millis / factor))
}
