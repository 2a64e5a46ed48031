//! What the wire asks of a session, as a trait: the protocol's loop is written against [`Backend`] and [`Gateway`], the session
//! implements them, and tests put a small fake in its place. Nothing here knows bytes of the protocol or SQL.
//!
//! Futures of a backend are dropped without notice when a cancel, a deadline or the loss of the client wins; whatever they
//! started must stop with them. After that [`Backend::finished`] is called with the error, exactly once for each statement that was run.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::response::{Column, Notice, Response, Rows, TransactionStatus};
use crate::catalog::Encryption;
use crate::error::{Report, SqlState};
use crate::pg_format::{DateOrder, OutputSettings};
use crate::pg_type::PgType;

/// One connection's session, as the wire drives it.
#[async_trait]
pub trait Backend: Send {
    /// Where cancel requests and terminations arrive; the same object for the whole life of the session.
    fn interrupt(&self) -> Arc<Interrupt>;
    /// ReadyForQuery's letter.
    fn transaction_status(&self) -> TransactionStatus;
    /// How values are written now.
    fn output_settings(&self) -> OutputSettings;
    /// How dates are read now.
    fn date_order(&self) -> DateOrder;
    /// Reported settings that changed since the last call; the first call after [`Gateway::open`] gives all of them.
    fn take_parameter_changes(&mut self) -> Vec<(String, String)>;
    /// Notices raised since the last call.
    fn take_notices(&mut self) -> Vec<Notice>;
    /// `statement_timeout` for the statement that is about to run; none if it is off.
    fn statement_timeout(&self) -> Option<Duration>;
    /// How long to wait for the client's next message, and what to say when it does not come.
    fn idle_timeout(&self) -> Option<(Duration, Report)>;

    /// A simple Query: parses all its statements and says how many there are; 0 is an empty query.
    fn parse_script(&mut self, sql: &str) -> Result<usize, Report>;
    /// Runs the script's statement of this index, from 0.
    async fn run_script_statement(&mut self, index: usize) -> Result<Response, Report>;
    /// All statements of the script ran: the implicit transaction commits.
    async fn end_script(&mut self) -> Result<(), Report>;

    /// Parse. Oid 0, or a name PostgreSQL does not know, is a type to infer.
    async fn parse(&mut self, name: &str, sql: &str, parameter_oids: &[u32]) -> Result<(), Report>;
    /// Before a prepared statement is described or bound: whether what it was prepared on is still there and gives the same columns.
    async fn revalidate(&mut self, _statement: &str) -> Result<(), Report> {
        Ok(())
    }
    /// The parameters of a prepared statement.
    fn parameter_types(&mut self, statement: &str) -> Result<Vec<PgType>, Report>;
    /// The result of a prepared statement; none if it returns no rows.
    fn describe_statement(&mut self, statement: &str) -> Result<Option<Arc<[Column]>>, Report>;
    /// Bind: one array of one value per parameter.
    async fn bind(&mut self, portal: &str, statement: &str, parameters: Vec<ArrayRef>, result_formats: Vec<i16>) -> Result<(), Report>;
    /// The result of a portal and the formats its Bind asked for; none if it returns no rows.
    fn describe_portal(&mut self, portal: &str) -> Result<(Option<Arc<[Column]>>, Vec<i16>), Report>;
    /// Execute; resumes a portal that [`Backend::suspend`] put back. What gives no more than `limit` rows may do so itself.
    async fn execute(&mut self, portal: &str, limit: Option<u64>) -> Result<Response, Report>;
    /// The row limit was reached with the last of `sent` rows: the portal takes its rows back.
    fn suspend(&mut self, portal: &str, rows: Rows, sent: u64);
    /// Close of a statement; unknown names are no error.
    fn close_statement(&mut self, name: &str);
    /// Close of a portal; unknown names are no error.
    fn close_portal(&mut self, name: &str);
    /// Sync: the implicit transaction of the batch ends.
    async fn sync(&mut self) -> Result<(), Report>;

    /// A batch of the running `COPY … FROM STDIN`; an error that is about one of its rows says which, from 0.
    async fn copy_in(&mut self, batch: RecordBatch) -> Result<(), (Option<usize>, Report)>;
    /// The end of COPY's data; returns the tag.
    async fn copy_in_done(&mut self) -> Result<String, Report>;

    /// Turning some of the statement's rows into bytes took this long.
    fn encoded(&mut self, _time: Duration) {}

    /// The running statement is over: this many rows were sent, or it failed, in which case the transaction has failed as well.
    /// Also called with the errors of parse, bind and of the protocol inside a transaction.
    async fn finished(&mut self, outcome: Result<u64, &Report>);
}

/// The whole server, as a new connection sees it.
#[async_trait]
pub trait Gateway: Send + Sync + 'static {
    /// Its sessions.
    type Backend: Backend;
    /// Starts a session for an authenticated user; 3D000 for another database. The session can be cancelled by its
    /// `process_id` and `secret` from here to its drop.
    async fn open(&self, startup: Startup) -> Result<Self::Backend, Report>;
    /// A CancelRequest. Silent in every case.
    fn cancel(&self, process_id: i32, secret: &[u8]);
    /// A client was refused before it had a session: to be counted and logged.
    fn refused(&self, _report: &Report, _user: Option<&str>, _peer: Option<SocketAddr>) {}
    /// How this user is to prove who it is.
    fn authentication(&self, user: &str) -> Authentication;
    /// Limits of connections.
    fn limits(&self) -> Limits;
}

/// What a client said at its start.
#[derive(Clone, PartialEq, Eq)]
pub struct Startup {
    /// The role.
    pub user: String,
    /// The database; the user's name where none was given.
    pub database: String,
    /// Settings of the startup packet and of its `options`, in their order.
    pub parameters: Vec<(String, String)>,
    /// Its address.
    pub peer: Option<SocketAddr>,
    /// The number that stands for the connection in `pg_stat_activity`.
    pub process_id: i32,
    /// What a CancelRequest must present.
    pub secret: Vec<u8>,
    /// How the connection is encrypted, if it is.
    pub encryption: Option<Encryption>,
}

/// How a user proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    Trust,
    /// By SCRAM-SHA-256 against this verifier (`SCRAM-SHA-256$4096:salt$stored:server`). None: the user does not exist, which
    /// the exchange does not reveal before its end.
    Scram(Option<String>),
    /// By a client certificate whose common name is the user.
    Certificate,
}

/// Limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at one time; one more is 53300.
    pub max_connections: usize,
    /// Bytes of one message of a client; more is 54000.
    pub max_message_size: usize,
    /// Bytes of one text of SQL; more is 54000.
    pub max_statement_size: usize,
    /// Parameters of one statement; more is 54000.
    pub max_parameters: usize,
    /// From the first byte to the end of authentication.
    pub startup_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100,
            max_message_size: 64 << 20,
            max_statement_size: 16 << 20,
            max_parameters: usize::from(u16::MAX),
            startup_timeout: Duration::from_secs(60),
        }
    }
}

/// A flag that stops what a session does: a cancel (57014), or its end (57P01). A termination outlasts every cancel.
#[derive(Debug, Default)]
pub struct Interrupt {
    report: Mutex<Option<Report>>,
    notify: Notify,
    /// Whether the session waits for its client's next statement.
    idle: AtomicBool,
    input: OnceLock<Box<dyn Input>>,
}

/// What a client sends, as somebody beside the session sees it.
pub trait Input: std::fmt::Debug + Send + Sync {
    /// Whether there is something that the session has not taken yet.
    fn is_waiting(&self) -> bool;
}

impl Interrupt {
    /// Nothing raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises a report, unless a termination is raised already.
    pub fn raise(&self, report: Report) {
        self.put(self.report.lock(), report);
    }

    fn put(&self, mut raised: MutexGuard<'_, Option<Report>>, report: Report) {
        if raised.as_ref().is_none_or(is_cancel) {
            *raised = Some(report);
        }
        drop(raised);
        self.notify.notify_waiters();
    }

    /// How to see what the client has sent.
    pub fn watch(&self, input: Box<dyn Input>) {
        let _ = self.input.set(input);
    }

    /// The session waits for a statement, or has stopped to.
    pub fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::SeqCst);
    }

    /// Raises `canceling statement due to user request`, unless there is none: the next statement, which its client sends after it knows
    /// that the cancel has arrived, must not suffer for the last. One that is sent already may be what is meant, though the session has not
    /// come to read it.
    pub fn cancel(&self) {
        // In this order: what the session takes in between makes it busy.
        let nothing_waits = self.input.get().is_some_and(|input| !input.is_waiting());
        let raised = self.report.lock();
        if !(nothing_waits && self.idle.load(Ordering::SeqCst)) {
            self.put(raised, Report::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"));
        }
    }

    /// Raises `terminating connection due to administrator command`.
    pub fn terminate(&self) {
        self.raise(Report::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command"));
    }

    /// Waits until something is raised; it stays raised.
    pub async fn raised(&self) -> Report {
        self.until(|_| true).await
    }

    /// Waits until what ends the session is raised.
    pub async fn ended(&self) -> Report {
        self.until(|report| !is_cancel(report)).await
    }

    async fn until(&self, wanted: impl Fn(&Report) -> bool) -> Report {
        loop {
            let notified = self.notify.notified();
            tokio::pin!(notified);
            // Listening before looking, so that a report raised in between is not missed.
            notified.as_mut().enable();
            if let Some(report) = self.pending().filter(&wanted) {
                return report;
            }
            notified.await;
        }
    }

    /// What is raised now.
    pub fn pending(&self) -> Option<Report> {
        self.report.lock().clone()
    }

    /// Whether something is.
    pub fn is_raised(&self) -> bool {
        self.report.lock().is_some()
    }

    /// Forgets a cancel; a termination stays.
    pub fn clear(&self) {
        self.forget(&mut self.report.lock());
    }

    /// The same, and whatever comes from now on finds the session idle.
    pub fn rest(&self) {
        let mut raised = self.report.lock();
        self.forget(&mut raised);
        self.set_idle(true);
    }

    fn forget(&self, raised: &mut Option<Report>) {
        if raised.as_ref().is_some_and(is_cancel) {
            *raised = None;
        }
    }
}

/// Whether the report stops a statement only.
fn is_cancel(report: &Report) -> bool {
    report.sqlstate == SqlState::QUERY_CANCELED
}
