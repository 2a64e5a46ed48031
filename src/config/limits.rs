//! `[limits]`: how much anyone may use.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, Setting};

const KEYS: [&str; 16] = [
    "limits.max_connections",
    "limits.memory",
    "limits.memory_per_query",
    "limits.temp_dir",
    "limits.temp_size",
    "limits.statement_timeout",
    "limits.idle_session_timeout",
    "limits.idle_in_transaction_session_timeout",
    "limits.max_message_size",
    "limits.max_statement_size",
    "limits.max_parameters",
    "limits.max_prepared_statements",
    "limits.max_portals",
    "limits.startup_timeout",
    "limits.metadata_cache",
    "limits.footer_cache",
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
    /// The longest message that a client may send; a longer one is skipped and told 54000. Default `64MiB`.
    pub max_message_size: u64,
    /// The longest text of SQL that a client may send; 54000 beyond it. Default `16MiB`.
    pub max_statement_size: u64,
    /// Parameters of one statement; 54000 beyond it. Default `65535`, the most that the protocol can say.
    pub max_parameters: usize,
    /// Prepared statements of one session; 54000 beyond it. Default `5000`.
    pub max_prepared_statements: usize,
    /// Portals and cursors of one session; 54000 beyond it. Default `1000`.
    pub max_portals: usize,
    /// How long a client may take from its first byte to the end of its authentication. Default `1min`.
    pub startup_timeout: Duration,
    /// Memory for parsed table metadata, manifests, deletion vectors and small delete files, beside `memory`; `0` keeps none.
    /// Default `256MiB`.
    pub metadata_cache: u64,
    /// Memory for footers of Parquet files, beside `memory`; `0` keeps none. Default `64MiB`.
    pub footer_cache: u64,
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
            max_statement_size: 16 << 20,
            max_parameters: u16::MAX as usize,
            max_prepared_statements: 5000,
            max_portals: 1000,
            startup_timeout: Duration::from_secs(60),
            metadata_cache: 256 << 20,
            footer_cache: 64 << 20,
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
            "max_statement_size" => self.max_statement_size = setting.positive_size()?,
            "max_parameters" => {
                self.max_parameters = setting.count()?;
                if self.max_parameters > usize::from(u16::MAX) {
                    return Err(setting.bad("the protocol counts parameters up to 65535"));
                }
            }
            "max_prepared_statements" => self.max_prepared_statements = setting.count()?,
            "max_portals" => self.max_portals = setting.count()?,
            "startup_timeout" => {
                self.startup_timeout = setting.timeout()?.ok_or_else(|| setting.bad("it must be more than zero"))?;
            }
            "metadata_cache" => self.metadata_cache = setting.size()?,
            "footer_cache" => self.footer_cache = setting.size()?,
            _ => return Err(setting.unknown(KEYS)),
        }
        Ok(())
    }
}
