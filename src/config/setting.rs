//! [`Setting`]: one key with its value and where it was written, and the conversions that name all three when they fail.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, parse_duration, parse_size};
use crate::error::perhaps_you_meant;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// In this variable.
    Environment(String),
    /// By this flag, without dashes.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A value before anyone knows what it should be. The environment and flags have text only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A TOML string.
    Text(String),
    /// A TOML integer, as written.
    Integer(String),
    /// A TOML boolean.
    Boolean(bool),
    /// Anything else, by its TOML name.
    Other(&'static str),
    /// From the environment or a flag: text that may stand for anything.
    Untyped(String),
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key's parts.
    pub path: Vec<String>,
    /// Its value.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

impl Setting {
    /// The setting of `--name value`.
    pub fn flag(name: &str, value: &str) -> Self {
        Self { path: vec![name.to_owned()], value: Value::Untyped(value.to_owned()), origin: Origin::Flag(name.to_owned()) }
    }

    /// The dotted key.
    pub fn key(&self) -> String {
        self.path.join(".")
    }

    /// As text.
    pub fn text(&self) -> Result<&str, ConfigError> {
        match &self.value {
            Value::Text(text) | Value::Untyped(text) => Ok(text),
            Value::Integer(_) | Value::Boolean(_) | Value::Other(_) => Err(self.wrong_type("a string")),
        }
    }

    /// As text that says something.
    pub fn non_empty(&self) -> Result<&str, ConfigError> {
        let text = self.text()?;
        if text.trim().is_empty() { Err(self.bad("it is empty")) } else { Ok(text) }
    }

    /// As a size in bytes.
    pub fn size(&self) -> Result<u64, ConfigError> {
        match &self.value {
            Value::Text(text) | Value::Untyped(text) | Value::Integer(text) => parse_size(text).map_err(|reason| self.bad(reason)),
            Value::Boolean(_) | Value::Other(_) => Err(self.wrong_type("a size such as \"512MiB\"")),
        }
    }

    /// As a size that is not zero.
    pub fn positive_size(&self) -> Result<u64, ConfigError> {
        match self.size()? {
            0 => Err(self.bad("it must be more than zero")),
            size => Ok(size),
        }
    }

    /// As a length of time.
    pub fn duration(&self) -> Result<Duration, ConfigError> {
        match &self.value {
            Value::Text(text) | Value::Untyped(text) | Value::Integer(text) => parse_duration(text).map_err(|reason| self.bad(reason)),
            Value::Boolean(_) | Value::Other(_) => Err(self.wrong_type("a time such as \"30s\"")),
        }
    }

    /// As a length of time where zero is none.
    pub fn timeout(&self) -> Result<Option<Duration>, ConfigError> {
        Ok(Some(self.duration()?).filter(|duration| !duration.is_zero()))
    }

    /// As a count that is not zero.
    pub fn count(&self) -> Result<usize, ConfigError> {
        match &self.value {
            Value::Integer(text) | Value::Untyped(text) => match text.parse::<usize>() {
                Ok(0) => Err(self.bad("it must be more than zero")),
                Ok(count) => Ok(count),
                Err(_) => Err(self.bad("it must be a whole number")),
            },
            Value::Text(_) | Value::Boolean(_) | Value::Other(_) => Err(self.wrong_type("an integer")),
        }
    }

    /// As yes or no.
    pub fn boolean(&self) -> Result<bool, ConfigError> {
        match &self.value {
            Value::Boolean(value) => Ok(*value),
            Value::Untyped(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => Ok(true),
                "false" | "0" | "off" | "no" => Ok(false),
                _ => Err(self.bad("it must be true or false")),
            },
            Value::Text(_) | Value::Integer(_) | Value::Other(_) => Err(self.wrong_type("true or false")),
        }
    }

    /// As `host:port`.
    pub fn address(&self) -> Result<SocketAddr, ConfigError> {
        let text = self.text()?;
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        text.to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next())
            .ok_or_else(|| self.bad("it must be an address and a port, such as 127.0.0.1:5433"))
    }

    /// The error of a key that nobody knows; `known` are its neighbours.
    pub fn unknown<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> ConfigError {
        let last = self.path.last().map_or("", String::as_str);
        let known: Vec<&str> = known.into_iter().collect();
        // A nested key (`limts.memory`) is misspelt in its first part more often than in its last.
        let hint = perhaps_you_meant(&self.key(), known.iter().copied())
            .or_else(|| perhaps_you_meant(last, known.iter().copied()))
            .or_else(|| self.path.first().and_then(|first| perhaps_you_meant(first, known.iter().copied())));
        ConfigError::UnknownKey { key: self.key(), origin: self.origin.clone(), hint }
    }

    /// The error of a value that cannot be; secrets are not shown.
    pub fn bad(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::BadValue { key: self.key(), origin: self.origin.clone(), reason: reason.into() }
    }

    /// The error of something that this release does not have.
    pub fn not_built(&self, what: impl Into<String>, instead: impl Into<String>) -> ConfigError {
        ConfigError::NotBuilt { what: what.into(), key: self.key(), origin: self.origin.clone(), instead: instead.into() }
    }

    fn wrong_type(&self, expected: &'static str) -> ConfigError {
        let found = match &self.value {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Boolean(_) => "a boolean",
            Value::Other(name) => name,
            Value::Untyped(_) => "text",
        };
        self.bad(format!("it must be {expected}, not {found}"))
    }
}
