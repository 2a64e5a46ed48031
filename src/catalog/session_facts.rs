//! What functions and relations know of the session that asks, and of the server that it is a session of.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use crate::error::Report;

/// A session's settings, as functions reach them.
pub trait Settings: Send + Sync {
    /// The value of a setting, or 42704.
    fn get(&self, name: &str) -> Result<String, Report>;
    /// `set_config`: sets it and gives the new value.
    fn set(&self, name: &str, value: &str, local: bool) -> Result<String, Report>;
    /// All of them with their values, for `pg_settings`.
    fn all(&self) -> Vec<(&'static str, String)>;
}

/// What all sessions of a server did, as relations show it.
pub trait ServerStatistics: Send + Sync {
    /// The kinds of statements that ran, the most costly first.
    fn statements(&self) -> Vec<StatementUse>;
}

/// One row of `feature_store.statements`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatementUse {
    /// Who ran it.
    pub role: String,
    /// Its text without constants.
    pub query: String,
    /// How often.
    pub calls: u64,
    /// How often it failed.
    pub errors: u64,
    /// Rows sent.
    pub rows: u64,
    /// Milliseconds in sum.
    pub total_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Bytes of data files read.
    pub bytes_read: u64,
    /// Data files read.
    pub files_read: u64,
    /// Data files that pruning saved.
    pub files_pruned: u64,
}

/// What functions know of the session that calls them.
#[derive(Clone)]
pub struct SessionFacts {
    /// The database's name.
    pub database: String,
    /// The role.
    pub user: String,
    /// The connection's number.
    pub process_id: i32,
    /// What `version()` says.
    pub version: String,
    /// Its settings.
    pub settings: Arc<dyn Settings>,
    /// The server that it is a session of.
    pub server: Arc<dyn ServerStatistics>,
    /// Its open cursors and portals, by name.
    pub cursors: Arc<Mutex<BTreeMap<String, CursorFacts>>>,
    /// Its prepared statements, by name.
    pub prepared: Arc<Mutex<BTreeMap<String, PreparedFacts>>>,
    /// All who are connected.
    pub backends: Arc<dyn Backends>,
}

/// A row of `pg_cursors`.
#[derive(Debug, Clone)]
pub struct CursorFacts {
    /// The text that declared or bound it.
    pub statement: Arc<str>,
    /// WITH HOLD.
    pub is_holdable: bool,
    /// BINARY.
    pub is_binary: bool,
    /// SCROLL.
    pub is_scrollable: bool,
    /// When, in microseconds since 1970.
    pub declared_at: i64,
}

/// A row of `pg_prepared_statements`.
#[derive(Debug, Clone)]
pub struct PreparedFacts {
    /// The text that prepared it.
    pub statement: Arc<str>,
    /// When, in microseconds since 1970.
    pub prepared_at: i64,
    /// Types of its parameters.
    pub parameters: Vec<u32>,
    /// Types of its columns, if it returns rows.
    pub results: Option<Vec<u32>>,
    /// By PREPARE; by the protocol otherwise.
    pub from_sql: bool,
    /// How often it was run: each time is planned for its values.
    pub runs: Arc<AtomicU64>,
}

/// How a connection is encrypted, in OpenSSL's words, which are PostgreSQL's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// `TLSv1.3`.
    pub version: &'static str,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// Of the cipher's key.
    pub bits: i32,
    /// Whom the client's certificate names, if it showed one: `/C=GB/CN=alice`.
    pub client_name: Option<String>,
    /// Who says so.
    pub issuer_name: Option<String>,
}

/// A row of `pg_stat_activity`. Times are microseconds since 1970.
#[derive(Debug, Clone, Default)]
pub struct BackendFacts {
    /// The connection's number.
    pub process_id: i32,
    /// The role.
    pub user: String,
    /// `application_name`.
    pub application_name: String,
    /// The client's address.
    pub client: Option<SocketAddr>,
    /// How it is encrypted, if it is.
    pub encryption: Option<Encryption>,
    /// `active`, `idle`, `idle in transaction`, …
    pub state: &'static str,
    /// The statement that runs, or ran last; none where the asking role may not see it.
    pub query: Option<String>,
    /// Since when it is connected.
    pub backend_start: i64,
    /// Since when its transaction goes on.
    pub xact_start: Option<i64>,
    /// When the statement began.
    pub query_start: Option<i64>,
    /// Since when it is in its state.
    pub state_change: i64,
}

/// All connections, as one of them may see and stop them.
pub trait Backends: Send + Sync {
    /// `pg_cancel_backend`: whether there is such a connection; 42501 for another role's.
    fn cancel(&self, process_id: i32) -> Result<bool, Report>;
    /// `pg_terminate_backend`: the same.
    fn terminate(&self, process_id: i32) -> Result<bool, Report>;
    /// Whether a connection of this number is there.
    fn is_connected(&self, process_id: i32) -> bool;
    /// Who is connected.
    fn all(&self) -> Vec<BackendFacts>;
}
