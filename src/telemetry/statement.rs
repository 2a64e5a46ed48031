//! [`StatementLine`]: the one log line of a statement.

use std::time::Duration;

use super::counters::Work;
use crate::error::{Report, SqlState};

/// How many characters of a statement's text are logged.
const TEXT_LIMIT: usize = 400;

/// What is said of a statement when it has ended.
#[derive(Debug, Clone, Default)]
pub struct StatementLine<'a> {
    /// The session's number, as in BackendKeyData.
    pub session: i32,
    /// The user's name.
    pub user: &'a str,
    /// The text as sent; parameters are not part of it.
    pub text: &'a str,
    /// From its arrival to its last byte.
    pub duration: Duration,
    /// Rows sent.
    pub rows: u64,
    /// Most memory that was reserved at a time, in bytes.
    pub peak_memory: u64,
    /// What it read.
    pub work: Work,
    /// Snapshots that were read.
    pub snapshots: &'a [i64],
    /// How it failed, if it did.
    pub error: Option<&'a Report>,
}

impl StatementLine<'_> {
    /// Writes the line.
    pub fn log(&self) {
        let duration_ms = self.duration.as_micros() as f64 / 1000.0;
        let text = shortened(self.text);
        let sqlstate = self.error.map_or(SqlState::SUCCESSFUL_COMPLETION, |report| report.sqlstate).code();
        macro_rules! line {
            ($level:ident, $message:expr) => {
                tracing::$level!(
                    target: "featgres::statement",
                    session = self.session,
                    user = self.user,
                    duration_ms,
                    rows = self.rows,
                    bytes_read = self.work.bytes_read,
                    files_read = self.work.files_read,
                    files_pruned = self.work.files_pruned,
                    peak_memory = self.peak_memory,
                    snapshots = ?self.snapshots,
                    sqlstate,
                    statement = text.as_str(),
                    "{}", $message
                )
            };
        }
        match self.error {
            None => line!(info, "statement"),
            Some(report) if report.sqlstate == SqlState::INTERNAL_ERROR => line!(error, report.message),
            Some(report) => line!(warn, report.message),
        }
    }
}

/// One line of at most [`TEXT_LIMIT`] characters.
pub(super) fn shortened(text: &str) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if let Some((end, _)) = words.char_indices().nth(TEXT_LIMIT) {
            words.truncate(end);
            words.push('…');
            break;
        }
    }
    words
}
