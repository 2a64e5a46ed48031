//! [`Counters`]: what happened since the start.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::error::SqlState;

/// What happened since the start; shared by all sessions.
#[derive(Debug, Default)]
pub struct Counters {
    inner: Mutex<CountersSnapshot>,
}

/// The numbers at one moment.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// Connections that were admitted.
    pub connections: u64,
    /// Statements that ended, well or not.
    pub statements: u64,
    /// Rows that were sent.
    pub rows: u64,
    /// Errors that were sent, by code. XX000 is a bug of ours.
    pub errors: HashMap<SqlState, u64>,
    /// Entity rows whose winner only commit order or content could decide.
    pub decided_by_commit_order: u64,
}

impl Counters {
    /// Counts an admitted connection.
    pub fn connection(&self) {
        self.inner.lock().connections += 1;
    }

    /// Counts an ended statement.
    pub fn statement(&self, rows: u64, error: Option<SqlState>) {
        let mut inner = self.inner.lock();
        inner.statements += 1;
        inner.rows += rows;
        if let Some(sqlstate) = error {
            *inner.errors.entry(sqlstate).or_default() += 1;
        }
    }

    /// Counts an error outside any statement (a refused connection, a broken protocol).
    pub fn error(&self, sqlstate: SqlState) {
        *self.inner.lock().errors.entry(sqlstate).or_default() += 1;
    }

    /// Counts entity rows whose winner only commit order or content could decide.
    pub fn decided_by_commit_order(&self, entity_rows: u64) {
        self.inner.lock().decided_by_commit_order += entity_rows;
    }

    /// The numbers now.
    pub fn snapshot(&self) -> CountersSnapshot {
        self.inner.lock().clone()
    }
}
