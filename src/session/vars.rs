//! Settings of one session: `SET`, `SHOW`, `RESET`, and which of them the client is told about.
//!
//! Each name that exists stands in one table with its default and what it accepts; another name is 42704. Settings of
//! PostgreSQL that mean nothing here are accepted by name, because drivers and pools set them, and have no effect.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Report, SqlState, perhaps_you_meant};

/// What a setting accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepts {
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
    /// An IANA zone or a fixed offset.
    Zone,
    /// Nothing: 55P02 in PostgreSQL.
    ReadOnly,
}

struct Setting {
    name: &'static str,
    default: &'static str,
    accepts: Accepts,
    reported: bool,
}

const fn setting(name: &'static str, default: &'static str, accepts: Accepts) -> Setting {
    Setting { name, default, accepts, reported: false }
}

const fn reported(name: &'static str, default: &'static str, accepts: Accepts) -> Setting {
    Setting { name, default, accepts, reported: true }
}

/// The version that is announced: its catalog columns are the ones that are there.
pub const SERVER_VERSION: &str = "16.6";

/// What `version()` says: drivers look for `PostgreSQL` and a number.
pub fn version() -> String {
    format!("PostgreSQL {SERVER_VERSION} (featgres {})", env!("CARGO_PKG_VERSION"))
}

const ISOLATION: Accepts = Accepts::OneOf(&["serializable", "repeatable read", "read committed", "read uncommitted"]);

static SETTINGS: &[Setting] = &[
    reported("application_name", "", Accepts::Text),
    setting("backslash_quote", "safe_encoding", Accepts::Text),
    setting("block_size", "8192", Accepts::ReadOnly),
    setting("bytea_output", "hex", Accepts::OneOf(&["hex", "escape"])),
    setting("check_function_bodies", "on", Accepts::Flag),
    reported("client_encoding", "UTF8", Accepts::OneOf(&["UTF8", "UNICODE"])),
    setting(
        "client_min_messages",
        "notice",
        Accepts::OneOf(&["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"]),
    ),
    reported("DateStyle", "ISO, MDY", Accepts::OneOf(&["ISO", "ISO, MDY", "ISO, DMY", "ISO, YMD", "iso,mdy"])),
    reported("default_transaction_read_only", "off", Accepts::Flag),
    setting("default_table_access_method", "heap", Accepts::OneOf(&["heap"])),
    setting("default_tablespace", "", Accepts::OneOf(&[""])),
    setting("default_transaction_deferrable", "off", Accepts::Flag),
    setting("default_transaction_isolation", "repeatable read", ISOLATION),
    setting("extra_float_digits", "1", Accepts::Integer(-15, 3)),
    setting("idle_in_transaction_session_timeout", "0", Accepts::Time),
    setting("idle_session_timeout", "0", Accepts::Time),
    reported("in_hot_standby", "off", Accepts::ReadOnly),
    reported("integer_datetimes", "on", Accepts::ReadOnly),
    reported("IntervalStyle", "postgres", Accepts::OneOf(&["postgres"])),
    reported("is_superuser", "on", Accepts::ReadOnly),
    setting("jit", "off", Accepts::Flag),
    setting("lc_collate", "C", Accepts::ReadOnly),
    setting("lc_ctype", "C", Accepts::ReadOnly),
    setting("lc_messages", "C", Accepts::Text),
    setting("lc_monetary", "C", Accepts::Text),
    setting("lc_numeric", "C", Accepts::Text),
    setting("lc_time", "C", Accepts::Text),
    setting("lock_timeout", "0", Accepts::Time),
    setting("max_connections", "100", Accepts::ReadOnly),
    setting("max_identifier_length", "63", Accepts::ReadOnly),
    setting("max_index_keys", "32", Accepts::ReadOnly),
    setting("quote_all_identifiers", "off", Accepts::Flag),
    setting("role", "none", Accepts::OneOf(&["none"])),
    setting("row_security", "on", Accepts::Flag),
    setting("search_path", "\"$user\", public", Accepts::Text),
    setting("server_encoding", "UTF8", Accepts::ReadOnly),
    reported("server_version", SERVER_VERSION, Accepts::ReadOnly),
    setting("server_version_num", "160006", Accepts::ReadOnly),
    reported("session_authorization", "", Accepts::ReadOnly),
    reported("standard_conforming_strings", "on", Accepts::OneOf(&["on", "true", "yes", "1"])),
    setting("statement_timeout", "0", Accepts::Time),
    setting("synchronous_commit", "on", Accepts::Text),
    setting("synchronize_seqscans", "on", Accepts::Flag),
    reported("TimeZone", "UTC", Accepts::Zone),
    setting("transaction_deferrable", "off", Accepts::Flag),
    setting("transaction_isolation", "repeatable read", ISOLATION),
    setting("transaction_read_only", "off", Accepts::Flag),
    setting("work_mem", "4MB", Accepts::Text),
    setting("xmloption", "content", Accepts::Text),
];

/// What a transaction would take back.
#[derive(Debug, Clone, Default)]
pub struct SavedVars {
    /// Values that differ from the defaults.
    values: BTreeMap<&'static str, String>,
    /// `SET LOCAL`, until the transaction ends.
    local: BTreeMap<&'static str, String>,
    /// Custom settings, `prefix.name`: any value, as in PostgreSQL.
    custom: BTreeMap<String, String>,
}

/// The settings of a session.
#[derive(Debug)]
pub struct SessionVars {
    now: SavedVars,
    /// What RESET goes back to, where it is not the table's default.
    startup: BTreeMap<&'static str, String>,
    /// What the client was told last.
    told: BTreeMap<&'static str, String>,
    /// Whether anything was set since.
    touched: bool,
}

impl SessionVars {
    /// Of a session for this user; `defaults` come from the configuration.
    pub fn new(user: &str, defaults: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut startup: BTreeMap<&'static str, String> = defaults.into_iter().collect();
        startup.insert("session_authorization", user.to_owned());
        Self { now: SavedVars::default(), startup, told: BTreeMap::new(), touched: true }
    }

    /// A setting of the startup packet: RESET goes back to it.
    pub fn set_at_startup(&mut self, name: &str, value: &str) -> Result<(), Report> {
        match find(name) {
            Some(found) => {
                let value = accept(found, value)?;
                self.startup.insert(found.name, value);
                Ok(())
            }
            None if name.contains('.') => {
                self.now.custom.insert(name.to_owned(), value.to_owned());
                Ok(())
            }
            None => Err(unknown(name)),
        }
    }

    /// `SET [LOCAL] name = value`; `None` = DEFAULT.
    pub fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<(), Report> {
        self.touched = true;
        let Some(found) = find(name) else {
            if name.contains('.') {
                match value {
                    Some(value) => self.now.custom.insert(name.to_owned(), value.to_owned()),
                    None => self.now.custom.remove(name),
                };
                return Ok(());
            }
            return Err(unknown(name));
        };
        if found.accepts == Accepts::ReadOnly {
            return Err(Report::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, format!("parameter \"{}\" cannot be changed", found.name)));
        }
        let value = match value {
            Some(value) => accept(found, value)?,
            None => self.default_of(found).to_owned(),
        };
        if local {
            self.now.local.insert(found.name, value);
        } else {
            self.now.local.remove(found.name);
            self.now.values.insert(found.name, value);
        }
        Ok(())
    }

    /// `RESET ALL`.
    pub fn reset_all(&mut self) {
        self.touched = true;
        self.now.values.clear();
        self.now.local.clear();
    }

    /// The settings as they are, for [`SessionVars::roll_back`].
    pub fn saved(&self) -> SavedVars {
        self.now.clone()
    }

    /// The transaction ended: `SET LOCAL` is over.
    pub fn end_transaction(&mut self) {
        self.touched |= !self.now.local.is_empty();
        self.now.local.clear();
    }

    /// The transaction was rolled back to its begin. What the client was told stays true.
    pub fn roll_back(&mut self, before: SavedVars) {
        self.touched = true;
        self.now = before;
    }

    /// The value of a setting, or 42704.
    pub fn get(&self, name: &str) -> Result<&str, Report> {
        match find(name) {
            Some(found) => Ok(self.value(found)),
            None => self.now.custom.get(name).map(String::as_str).ok_or_else(|| unknown(name)),
        }
    }

    /// All settings, for `SHOW ALL` and `pg_settings`.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        SETTINGS.iter().map(|each| (each.name, self.value(each)))
    }

    /// The setting's own spelling of its name: `timezone` is `TimeZone`.
    pub fn spelling(name: &str) -> &str {
        find(name).map_or(name, |found| found.name)
    }

    /// A time setting; none if it is 0.
    pub fn time(&self, name: &str) -> Option<Duration> {
        let milliseconds = self.get(name).ok().and_then(milliseconds)?;
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
    }

    /// Reported settings whose value differs from what the client was told.
    pub fn take_changes(&mut self) -> Vec<(String, String)> {
        let mut changes = Vec::new();
        if !std::mem::take(&mut self.touched) {
            return changes;
        }
        for each in SETTINGS.iter().filter(|each| each.reported) {
            let value = self.value(each).to_owned();
            if self.told.get(each.name) != Some(&value) {
                changes.push((each.name.to_owned(), value.clone()));
                self.told.insert(each.name, value);
            }
        }
        changes
    }

    fn value(&self, setting: &Setting) -> &str {
        self.now
            .local
            .get(setting.name)
            .or_else(|| self.now.values.get(setting.name))
            .map_or_else(|| self.default_of(setting), String::as_str)
    }

    fn default_of(&self, setting: &Setting) -> &str {
        self.startup.get(setting.name).map_or(setting.default, String::as_str)
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|each| each.name.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> Report {
    let report = Report::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""));
    match perhaps_you_meant(name, SETTINGS.iter().map(|each| each.name)) {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

/// The value as it is kept, or 22023.
fn accept(setting: &Setting, value: &str) -> Result<String, Report> {
    let invalid =
        || Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{}\": \"{value}\"", setting.name));
    match setting.accepts {
        Accepts::Text => Ok(value.to_owned()),
        Accepts::ReadOnly => Ok(setting.default.to_owned()),
        Accepts::OneOf(choices) => {
            // PostgreSQL knows an encoding by its letters and digits: asyncpg asks for `'utf-8'`, quotes included.
            let letters: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            let value = if setting.name == "client_encoding" { letters.as_str() } else { value };
            let spelled = choices.iter().find(|choice| choice.eq_ignore_ascii_case(value)).ok_or_else(|| {
                let report = invalid();
                if setting.name == "standard_conforming_strings" && boolean(value).is_none() {
                    Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("parameter \"{}\" requires a Boolean value", setting.name))
                } else if setting.name == "client_encoding" {
                    report.hint("Text is always UTF8 here.")
                } else {
                    report.hint(format!("Available values: {}.", choices.join(", ")))
                }
            })?;
            Ok(match setting.name {
                // Spellings of the one value that there is.
                "client_encoding" | "standard_conforming_strings" => setting.default.to_owned(),
                "DateStyle" if spelled.len() <= 3 || spelled.starts_with("iso") => setting.default.to_owned(),
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
        Accepts::Time => match milliseconds(value) {
            Some(time) => Ok(shown_time(time)),
            None => Err(invalid().hint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")),
        },
        Accepts::Zone => zone(value).ok_or_else(invalid),
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

/// `250`, `30s`, `5min` to milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "ms" => 1,
        "us" => return Some(number / 1000),
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let product = number.checked_mul(factor)?;
    (product <= i32::MAX as u64).then_some(product)
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

/// An IANA name in its own spelling, or a fixed offset.
fn zone(value: &str) -> Option<String> {
    let trimmed = value.trim();
    if matches!(trimmed.to_ascii_lowercase().as_str(), "utc" | "gmt" | "z" | "default") {
        return Some(if trimmed.eq_ignore_ascii_case("gmt") { "GMT" } else { "UTC" }.to_owned());
    }
    if let Ok(zone) = trimmed.parse::<chrono_tz::Tz>() {
        return Some(zone.name().to_owned());
    }
    if let Some(zone) = chrono_tz::TZ_VARIANTS.iter().find(|known| known.name().eq_ignore_ascii_case(trimmed)) {
        return Some(zone.name().to_owned());
    }
    trimmed.parse::<arrow::array::timezone::Tz>().ok().map(|_| trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> SessionVars {
        SessionVars::new("ada", [])
    }

    #[test]
    fn set_show_reset() {
        let mut vars = vars();
        vars.set("timezone", Some("europe/berlin"), false).unwrap();
        assert_eq!(vars.get("TimeZone").unwrap(), "Europe/Berlin");
        vars.set("statement_timeout", Some("90000"), false).unwrap();
        assert_eq!(vars.get("statement_timeout").unwrap(), "90s");
        assert_eq!(vars.time("statement_timeout"), Some(Duration::from_secs(90)));
        vars.set("statement_timeout", None, false).unwrap();
        assert_eq!(vars.time("statement_timeout"), None);
    }

    #[test]
    fn unknown_and_invalid() {
        let mut vars = vars();
        let report = vars.set("statment_timeout", Some("1"), false).unwrap_err();
        assert_eq!(
            (report.sqlstate, report.hint.as_deref()),
            (SqlState::UNDEFINED_OBJECT, Some("Perhaps you meant \"statement_timeout\"."))
        );
        assert_eq!(vars.set("statement_timeout", Some("soon"), false).unwrap_err().sqlstate, SqlState::INVALID_PARAMETER_VALUE);
        assert_eq!(vars.set("server_version", Some("17"), false).unwrap_err().sqlstate, SqlState::CANT_CHANGE_RUNTIME_PARAM);
        assert_eq!(vars.set("TimeZone", Some("Mars/Phobos"), false).unwrap_err().sqlstate, SqlState::INVALID_PARAMETER_VALUE);
    }

    #[test]
    fn local_ends_with_the_transaction() {
        let mut vars = vars();
        vars.take_changes();
        vars.set("application_name", Some("a"), true).unwrap();
        assert_eq!(vars.take_changes(), [("application_name".to_owned(), "a".to_owned())]);
        vars.end_transaction();
        assert_eq!(vars.take_changes(), [("application_name".to_owned(), String::new())]);
    }
}
