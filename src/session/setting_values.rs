//! What a setting's value may be, and how it is kept: PostgreSQL's spellings of Booleans, times, zones and date styles.
//!
//! A value that PostgreSQL knows and featgres does not honour is refused, with a hint, never taken and ignored.

use super::vars::Setting;
use crate::error::{Report, SqlState};
use crate::pg_format::zone::Zone;

/// What a setting accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// Any text.
    Text,
    /// One of these, in any case.
    OneOf(&'static [&'static str]),
    /// `on` or `off`, by any of PostgreSQL's spellings.
    Flag,
    /// An integer of this range.
    Integer(i64, i64),
    /// A time, in milliseconds without a unit.
    Time,
    /// How dates are written and read.
    DateStyle,
    /// A time zone.
    Zone,
    /// Nothing.
    ReadOnly,
    /// Nothing: it is the configuration's.
    AtStart,
    /// Only what it is already: a session stays its user's.
    Default,
}

/// The value as it is kept, or 22023; `now` is what the setting is, `default` what RESET makes of it.
pub(super) fn accept(setting: &Setting, value: &str, now: &str, default: &str) -> Result<String, Report> {
    let invalid =
        || Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{}\": \"{value}\"", setting.name));
    match setting.accepts {
        Accepts::Text => Ok(value.to_owned()),
        Accepts::ReadOnly => Err(cannot_be_changed(setting, "")),
        Accepts::AtStart => Err(cannot_be_changed(setting, " without restarting the server")),
        Accepts::Default if value == default => Ok(value.to_owned()),
        Accepts::Default => Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("role \"{value}\" does not exist"))
            .hint("A session keeps the user that it began with.")),
        Accepts::OneOf(choices) => {
            // PostgreSQL knows an encoding by its letters and digits: asyncpg asks for `'utf-8'`, quotes included.
            let letters = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
            let is_encoding = setting.name == "client_encoding";
            let same =
                |choice: &str| choice.eq_ignore_ascii_case(value) || is_encoding && letters(choice).eq_ignore_ascii_case(&letters(value));
            let spelled = choices.iter().find(|choice| same(choice)).ok_or_else(|| {
                let report = invalid();
                if setting.name == "standard_conforming_strings" && boolean(value).is_none() {
                    Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("parameter \"{}\" requires a Boolean value", setting.name))
                } else if setting.name == "client_encoding" {
                    report.hint("Text is UTF8 here; SQL_ASCII takes it as it is.")
                } else {
                    report.hint(format!("Available values: {}.", choices.join(", ")))
                }
            })?;
            Ok(match setting.name {
                "client_encoding" if *spelled == "SQL_ASCII" => (*spelled).to_owned(),
                // Spellings of the one value that there is.
                "client_encoding" | "standard_conforming_strings" => setting.default.to_owned(),
                _ => (*spelled).to_owned(),
            })
        }
        Accepts::Flag => match boolean(value) {
            Some(true) => Ok("on".to_owned()),
            Some(false) => Ok("off".to_owned()),
            None => Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("parameter \"{}\" requires a Boolean value", setting.name))),
        },
        Accepts::Integer(least, most) => match value.trim().parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
            Ok(number) => Err(Report::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("{number} is outside the valid range for parameter \"{}\" ({least} .. {most})", setting.name),
            )),
            Err(_) => Err(invalid()),
        },
        Accepts::Time => match rounded_milliseconds(value) {
            Some(time) if time < 0.0 => Err(Report::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("{time} ms is outside the valid range for parameter \"{}\" (0 .. {})", setting.name, i32::MAX),
            )),
            Some(time) if time > LONGEST => Err(invalid().hint("Value exceeds integer range.")),
            Some(time) => Ok(shown_time(time as u64)),
            None => Err(invalid().hint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")),
        },
        Accepts::DateStyle => date_style(value, now, default),
        Accepts::Zone => Zone::of_setting(value).map(|(_, shown)| shown).ok_or_else(invalid),
    }
}

/// A Boolean in PostgreSQL's spellings.
fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Some(true),
        "off" | "false" | "no" | "0" | "f" | "n" => Some(false),
        _ => None,
    }
}

/// PostgreSQL counts milliseconds in 32 bits.
const LONGEST: f64 = i32::MAX as f64;

/// `250`, `30s`, `1.5min` to milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    rounded_milliseconds(text).filter(|time| (0.0..=LONGEST).contains(time)).map(|time| time as u64)
}

/// Whole milliseconds. As in PostgreSQL a fraction counts to the next smaller unit: 1.0001s is one second.
fn rounded_milliseconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 6] = [("d", 86_400_000.0), ("h", 3_600_000.0), ("min", 60_000.0), ("s", 1000.0), ("ms", 1.0), ("us", 0.001)];
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E'))).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim_start() {
        "" => "ms",
        unit => unit,
    };
    let place = UNITS.iter().position(|(name, _)| *name == unit)?;
    let time = number * UNITS[place].1;
    let time = UNITS.get(place + 1).map_or(time, |(_, smaller)| (time / smaller).round_ties_even() * smaller);
    // Not -0, which would be shown.
    Some(time.round_ties_even() + 0.0)
}

/// As SHOW writes a time: the largest unit that is exact.
fn shown_time(milliseconds: u64) -> String {
    match milliseconds {
        0 => "0".to_owned(),
        whole if whole % 86_400_000 == 0 => format!("{}d", whole / 86_400_000),
        whole if whole % 3_600_000 == 0 => format!("{}h", whole / 3_600_000),
        whole if whole % 60_000 == 0 => format!("{}min", whole / 60_000),
        whole if whole % 1000 == 0 => format!("{}s", whole / 1000),
        other => format!("{other}ms"),
    }
}

/// `ISO` and an order of day, month and year, each by PostgreSQL's words for it, or only one of them.
fn date_style(value: &str, now: &str, default: &str) -> Result<String, Report> {
    let invalid = |detail: String| {
        Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"DateStyle\": \"{value}\"")).detail(detail)
    };
    let order_of = |style: &str| style.rsplit(", ").next().unwrap_or("MDY").to_owned();
    let mut order: Option<String> = None;
    let mut wants_default = false;
    for word in value.split(',').map(str::trim) {
        let bare = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(word);
        if bare.is_empty() && value.trim().is_empty() {
            break;
        }
        if bare.is_empty() || bare.contains(char::is_whitespace) {
            return Err(invalid("List syntax is invalid.".to_owned()));
        }
        let upper = bare.to_ascii_uppercase();
        let found = match upper.as_str() {
            "ISO" => continue,
            "DEFAULT" => {
                wants_default = true;
                continue;
            }
            "YMD" => "YMD",
            "MDY" | "US" => "MDY",
            "DMY" => "DMY",
            other if other.starts_with("EURO") => "DMY",
            other if other.starts_with("NONEURO") => "MDY",
            other if matches!(other, "SQL" | "GERMAN") || other.starts_with("POSTGRES") => {
                return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("DateStyle \"{bare}\" is not supported"))
                    .hint("Dates are written as ISO 8601 has them; DateStyle can be ISO with MDY, DMY or YMD."));
            }
            _ => return Err(invalid(format!("Unrecognized key word: \"{}\".", bare.to_lowercase()))),
        };
        if order.as_deref().is_some_and(|order| order != found) {
            return Err(invalid("Conflicting \"datestyle\" specifications.".to_owned()));
        }
        order = Some(found.to_owned());
    }
    Ok(format!("ISO, {}", order.unwrap_or_else(|| order_of(if wants_default { default } else { now }))))
}

fn cannot_be_changed(setting: &Setting, how: &str) -> Report {
    Report::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, format!("parameter \"{}\" cannot be changed{how}", setting.name))
}
