//! Settings of one session: `SET`, `SHOW`, `RESET`, and which of them the client is told about.
//!
//! Each name that exists stands in one table with its default and what it accepts; another name is 42704. Settings of
//! PostgreSQL that mean nothing here are accepted by name, because drivers and pools set them, and have no effect. A name with
//! a point in it is the client's own: any text, and empty once it was set and is no more. Names have no case.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::setting_values::{Accepts, accept, milliseconds};
use crate::error::{Report, SqlState, perhaps_you_meant};
use crate::pg_format::zone::Zone;

pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) accepts: Accepts,
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
    reported("client_encoding", "UTF8", Accepts::OneOf(&["UTF8", "UNICODE", "SQL_ASCII"])),
    setting(
        "client_min_messages",
        "notice",
        Accepts::OneOf(&["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"]),
    ),
    reported("DateStyle", "ISO, MDY", Accepts::DateStyle),
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
    setting("max_connections", "100", Accepts::AtStart),
    setting("max_identifier_length", "63", Accepts::ReadOnly),
    setting("max_index_keys", "32", Accepts::ReadOnly),
    setting("quote_all_identifiers", "off", Accepts::Flag),
    setting("role", "none", Accepts::OneOf(&["none"])),
    setting("row_security", "on", Accepts::Flag),
    setting("search_path", "\"$user\", public", Accepts::Text),
    reported("server_encoding", "UTF8", Accepts::ReadOnly),
    reported("server_version", SERVER_VERSION, Accepts::ReadOnly),
    setting("server_version_num", "160006", Accepts::ReadOnly),
    reported("session_authorization", "", Accepts::Default),
    reported("standard_conforming_strings", "on", Accepts::OneOf(&["on", "true", "yes", "1"])),
    setting("statement_timeout", "0", Accepts::Time),
    setting("synchronous_commit", "on", Accepts::Text),
    setting("synchronize_seqscans", "on", Accepts::Flag),
    reported("TimeZone", "UTC", Accepts::Zone),
    setting("transaction_deferrable", "off", Accepts::Flag),
    setting("transaction_isolation", "repeatable read", ISOLATION),
    setting("transaction_read_only", "off", Accepts::Flag),
    setting("transaction_timeout", "0", Accepts::Time),
    setting("work_mem", "4MB", Accepts::Text),
    setting("xmloption", "content", Accepts::Text),
];

/// Values by name: the setting's own spelling, or the lower case of a custom one.
type Values = BTreeMap<Cow<'static, str>, String>;

/// Settings of one transaction, and those that a new one takes them from.
const OF_TRANSACTION: [(&str, &str); 3] = [
    ("transaction_deferrable", "default_transaction_deferrable"),
    ("transaction_isolation", "default_transaction_isolation"),
    ("transaction_read_only", "default_transaction_read_only"),
];

/// The modes of a transaction, for the one that follows it.
pub type TransactionModes = Vec<(&'static str, String)>;

/// What a transaction would take back.
#[derive(Debug, Clone, Default)]
pub struct SavedVars {
    /// Values that differ from the defaults.
    values: Values,
    /// `SET LOCAL`, until the transaction ends.
    local: Values,
}

/// The settings of a session.
#[derive(Debug)]
pub struct SessionVars {
    now: SavedVars,
    /// What RESET goes back to, where it is not the table's default.
    startup: Values,
    /// Custom settings that were ever set: they stay, empty.
    custom: BTreeSet<String>,
    /// What the client was told last.
    told: BTreeMap<&'static str, String>,
    /// Whether anything was set since.
    touched: bool,
    /// Whether the transaction has seen data: it keeps its modes.
    queried: bool,
}

/// A name that may be set.
enum Found {
    Known(&'static Setting),
    Custom(String),
}

impl SessionVars {
    /// Of a session for this user; `defaults` come from the configuration.
    pub fn new(user: &str, defaults: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut startup: Values = defaults.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        startup.insert("session_authorization".into(), user.to_owned());
        Self { now: SavedVars::default(), startup, custom: BTreeSet::new(), told: BTreeMap::new(), touched: true, queried: false }
    }

    /// A setting of the startup packet: RESET goes back to it.
    pub fn set_at_startup(&mut self, name: &str, value: &str) -> Result<(), Report> {
        let (name, value) = match to_set(name)? {
            Found::Known(found) => (Cow::Borrowed(found.name), accept(found, value, self.value(found), self.default_of(found))?),
            Found::Custom(name) => {
                self.custom.insert(name.clone());
                (Cow::Owned(name), value.to_owned())
            }
        };
        self.startup.insert(name, value);
        Ok(())
    }

    /// `SET [LOCAL] name = value`; `None` = DEFAULT.
    pub fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<(), Report> {
        self.touched = true;
        let (name, value) = match to_set(name)? {
            Found::Known(found) => {
                // What cannot be changed cannot be reset either, but for what is the client's own anyway.
                let wanted = value.unwrap_or_else(|| self.default_of(found));
                (Cow::Borrowed(found.name), accept(found, wanted, self.value(found), self.default_of(found))?)
            }
            Found::Custom(name) => {
                let value = value.or_else(|| self.startup.get(name.as_str()).map(String::as_str)).unwrap_or_default().to_owned();
                self.custom.insert(name.clone());
                (Cow::Owned(name), value)
            }
        };
        let of_transaction = begun_with(&name).is_some();
        if of_transaction && self.queried {
            self.check_mode(&name, &value)?;
        }
        if local || of_transaction {
            self.now.local.insert(name, value);
        } else {
            self.now.local.remove(&name);
            self.now.values.insert(name, value);
        }
        Ok(())
    }

    /// Whether a transaction that has seen data may get this mode.
    fn check_mode(&self, name: &str, value: &str) -> Result<(), Report> {
        let message = match (name, value, self.get(name)?) {
            ("transaction_read_only", "off", "on") => "transaction read-write mode must be set before any query",
            ("transaction_isolation", wanted, now) if wanted != now => "SET TRANSACTION ISOLATION LEVEL must be called before any query",
            _ => return Ok(()),
        };
        Err(Report::new(SqlState::ACTIVE_SQL_TRANSACTION, message))
    }

    /// A block begins: what its modes are now, they stay.
    pub fn begin_transaction(&mut self) {
        for (own, default) in OF_TRANSACTION {
            if !self.now.local.contains_key(own) {
                let value = self.get(default).unwrap_or_default().to_owned();
                self.now.local.insert(own.into(), value);
            }
        }
    }

    /// What the transaction's modes are.
    pub fn transaction_modes(&self) -> TransactionModes {
        OF_TRANSACTION.iter().map(|(own, _)| (*own, self.get(own).unwrap_or_default().to_owned())).collect()
    }

    /// A block begins with these modes.
    pub fn begin_transaction_with(&mut self, modes: TransactionModes) {
        self.touched = true;
        self.now.local.extend(modes.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)));
    }

    /// The transaction sees data.
    pub fn begin_query(&mut self) {
        self.queried = true;
    }

    /// `RESET ALL`, of all but the transaction's modes.
    pub fn reset_all(&mut self) {
        self.touched = true;
        self.now.values.clear();
        self.now.local.retain(|name, _| begun_with(name).is_some());
    }

    /// The settings as they are, for [`SessionVars::roll_back`].
    pub fn saved(&self) -> SavedVars {
        self.now.clone()
    }

    /// The transaction ended: `SET LOCAL` is over.
    pub fn end_transaction(&mut self) {
        self.touched |= !self.now.local.is_empty();
        self.now.local.clear();
        self.queried = false;
    }

    /// The transaction was rolled back to its begin. What the client was told stays true.
    pub fn roll_back(&mut self, before: SavedVars) {
        self.touched = true;
        self.now = before;
    }

    /// The value of a setting, or 42704.
    pub fn get(&self, name: &str) -> Result<&str, Report> {
        if let Some(found) = find(name) {
            return Ok(self.value(found));
        }
        let custom = name.to_lowercase();
        if !self.custom.contains(&custom) {
            return Err(unknown(name));
        }
        Ok(self.set_value(&custom).or_else(|| self.startup.get(custom.as_str()).map(String::as_str)).unwrap_or_default())
    }

    /// All settings, for `SHOW ALL` and `pg_settings`.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        SETTINGS.iter().map(|each| (each.name, self.value(each)))
    }

    /// The setting's own spelling of its name: `timezone` is `TimeZone`.
    pub fn spelling(name: &str) -> &str {
        find(name).map_or(name, |found| found.name)
    }

    /// The time zone. The setting is what is shown of it, which the engine may not read, or read otherwise.
    pub(crate) fn zone(&self) -> Zone {
        self.get("TimeZone").ok().and_then(Zone::of_setting).map_or(Zone::UTC, |(zone, _)| zone)
    }

    /// The time zone, as the engine calls it.
    pub fn time_zone(&self) -> String {
        self.zone().engine_name()
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
        match (self.set_value(setting.name), begun_with(setting.name).and_then(find)) {
            (Some(value), _) => value,
            (None, Some(default)) => self.value(default),
            (None, None) => self.default_of(setting),
        }
    }

    fn set_value(&self, name: &str) -> Option<&str> {
        self.now.local.get(name).or_else(|| self.now.values.get(name)).map(String::as_str)
    }

    fn default_of(&self, setting: &Setting) -> &str {
        self.startup.get(setting.name).map_or(setting.default, String::as_str)
    }
}

/// The setting that a transaction takes this one from.
fn begun_with(name: &str) -> Option<&'static str> {
    OF_TRANSACTION.iter().find(|(own, _)| *own == name).map(|(_, default)| *default)
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|each| each.name.eq_ignore_ascii_case(name))
}

/// What a SET means, or why it may not be.
fn to_set(name: &str) -> Result<Found, Report> {
    if let Some(found) = find(name) {
        return Ok(Found::Known(found));
    }
    if !name.contains('.') {
        return Err(unknown(name));
    }
    let starts = |first: char| first.is_alphabetic() || first == '_' || !first.is_ascii();
    let goes_on = |next: char| starts(next) || next.is_ascii_digit() || next == '$';
    if name.split('.').any(|part| !part.starts_with(starts) || !part.chars().all(goes_on)) {
        return Err(Report::new(SqlState::INVALID_NAME, format!("invalid configuration parameter name \"{name}\""))
            .detail("Custom parameter names must be two or more simple identifiers separated by dots."));
    }
    Ok(Found::Custom(name.to_lowercase()))
}

fn unknown(name: &str) -> Report {
    let report = Report::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""));
    match perhaps_you_meant(name, SETTINGS.iter().map(|each| each.name)) {
        Some(hint) => report.hint(hint),
        None => report,
    }
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
    #[test]
    fn what_a_client_is_told_at_the_start() {
        let told: BTreeMap<String, String> = SessionVars::new("ada", []).take_changes().into_iter().collect();
        // PostgreSQL's list, of its documentation of ParameterStatus.
        let names = [
            "DateStyle",
            "IntervalStyle",
            "TimeZone",
            "application_name",
            "client_encoding",
            "default_transaction_read_only",
            "in_hot_standby",
            "integer_datetimes",
            "is_superuser",
            "server_encoding",
            "server_version",
            "session_authorization",
            "standard_conforming_strings",
        ];
        assert_eq!(told.keys().map(String::as_str).collect::<Vec<_>>(), names);
        assert_eq!((told["server_encoding"].as_str(), told["session_authorization"].as_str()), ("UTF8", "ada"));
    }
}
