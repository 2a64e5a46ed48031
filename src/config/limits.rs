//! `[limits]`: how much anyone may use.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, Setting};

const KEYS: [&str; 9] = [
    "limits.max_connections",
    "limits.memory",
    "limits.memory_per_query",
    "limits.temp_dir",
    "limits.temp_size",
    "limits.statement_timeout",
    "limits.idle_session_timeout",
    "limits.idle_in_transaction_session_timeout",
    "limits.max_message_size",
];

/// `[limits]`. Sizes are bytes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Clients at the same time; one more is told 53300. Default `100`.
    pub max_connections: usize,
    /// Memory that queries share. Default `2GiB`.
    pub memory: u64,
    /// Memory of one query, of what they share. Default `0`: no limit of its own.
    pub memory_per_query: Option<u64>,
    /// Where queries spill. Default: the system's folder for temporary files.
    pub temp_dir: PathBuf,
    /// How much may be spilled by all queries together. Default `10GiB`.
    pub temp_size: u64,
    /// Default of the setting of this name: 57014 after it. Default `0`: none.
    pub statement_timeout: Option<Duration>,
    /// Default of the setting of this name: 57P05 after it. Default `0`: none.
    pub idle_session_timeout: Option<Duration>,
    /// Default of the setting of this name. Default `0`: none.
    pub idle_in_transaction_session_timeout: Option<Duration>,
    /// The longest message that a client may send. Default `64MiB`.
    pub max_message_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100,
            memory: 2 << 30,
            memory_per_query: None,
            temp_dir: std::env::temp_dir(),
            temp_size: 10 << 30,
            statement_timeout: None,
            idle_session_timeout: None,
            idle_in_transaction_session_timeout: None,
            max_message_size: 64 << 20,
        }
    }
}

impl Limits {
    pub(super) fn set(&mut self, key: &str, setting: &Setting) -> Result<(), ConfigError> {
        match key {
            "max_connections" => self.max_connections = setting.count()?,
            "memory" => self.memory = setting.positive_size()?,
            "memory_per_query" => self.memory_per_query = Some(setting.size()?).filter(|size| *size > 0),
            "temp_dir" => self.temp_dir = PathBuf::from(setting.non_empty()?),
            "temp_size" => self.temp_size = setting.size()?,
            "statement_timeout" => self.statement_timeout = setting.timeout()?,
            "idle_session_timeout" => self.idle_session_timeout = setting.timeout()?,
            "idle_in_transaction_session_timeout" => self.idle_in_transaction_session_timeout = setting.timeout()?,
            "max_message_size" => {
                self.max_message_size = setting.positive_size()?;
                // The length word of a message is a signed 32-bit number.
                if self.max_message_size > i32::MAX as u64 {
                    return Err(setting.bad("the protocol has no messages over 2GiB"));
                }
            }
            _ => return Err(setting.unknown(KEYS)),
        }
        Ok(())
    }
}
