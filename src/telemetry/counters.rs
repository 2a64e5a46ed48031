//! [`Counters`]: what happened since the start.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::error::SqlState;

/// What happened since the start; shared by all sessions.
#[derive(Debug, Default)]
pub struct Counters {
    inner: Mutex<CountersSnapshot>,
    timings: Timings,
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
    /// Bytes of data files that statements read.
    pub bytes_read: u64,
    /// Data files that statements read.
    pub files_read: u64,
    /// Data files that pruning saved them.
    pub files_pruned: u64,
    /// Errors that were sent, by code. XX000 is a bug of ours.
    pub errors: HashMap<SqlState, u64>,
    /// Entity rows whose winner only commit order or content could decide.
    pub decided_by_commit_order: u64,
}

/// What a statement read, as far as it got.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Bytes of data files.
    pub bytes_read: u64,
    /// Data files read.
    pub files_read: u64,
    /// Data files that pruning saved.
    pub files_pruned: u64,
}

/// A part of a statement's life that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// From arrival to the last byte.
    Statement,
    /// Text to physical plan, without [`Phase::Discovery`].
    Planning,
    /// Names to table snapshots: asking catalogs, reading metadata.
    Discovery,
    /// Reading data files, all scans and partitions of a statement added up.
    Scan,
    /// Point-in-time joins.
    Join,
    /// Rows to bytes of the protocol.
    Encode,
    /// From arrival to the first batch of rows.
    FirstRow,
}

impl Phase {
    /// All of them, with the metric's name (its unit is added) and its help.
    pub(super) const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Statement, "statement", "Time from a statement's arrival to its last byte"),
        (Self::Planning, "planning", "Time from a statement's text to its plan, without discovery"),
        (Self::Discovery, "discovery", "Time to ask catalogs and read table metadata for one statement"),
        (Self::Scan, "scan", "Time reading data files, all scans of a statement added up"),
        (Self::Join, "join", "Time in the point-in-time joins of a statement"),
        (Self::Encode, "encode", "Time turning a statement's rows into bytes of the protocol"),
        (Self::FirstRow, "first_row", "Time from a statement's arrival to its first rows"),
    ];
}

/// One histogram per phase.
#[derive(Debug)]
pub(super) struct Timings([Histogram; Phase::ALL.len()]);

impl Default for Timings {
    fn default() -> Self {
        // 0.1 ms to 210 s, each four times the one before: a factor that tells a cached answer from one over the network.
        Self(std::array::from_fn(|_| Histogram::new(exponential_buckets(1e-4, 4.0, 11))))
    }
}

impl Timings {
    pub(super) fn of(&self, phase: Phase) -> &Histogram {
        &self.0[phase as usize]
    }
}

impl Counters {
    /// Counts an admitted connection.
    pub fn connection(&self) {
        self.inner.lock().connections += 1;
    }

    /// Counts an ended statement.
    pub fn statement(&self, rows: u64, work: Work, error: Option<SqlState>) {
        let mut inner = self.inner.lock();
        inner.statements += 1;
        inner.rows += rows;
        inner.bytes_read += work.bytes_read;
        inner.files_read += work.files_read;
        inner.files_pruned += work.files_pruned;
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

    /// Notes how long a phase of a statement took.
    pub fn took(&self, phase: Phase, time: Duration) {
        self.timings.of(phase).observe(time.as_secs_f64());
    }

    /// The numbers now.
    pub fn snapshot(&self) -> CountersSnapshot {
        self.inner.lock().clone()
    }

    pub(super) fn timings(&self) -> &Timings {
        &self.timings
    }
}
