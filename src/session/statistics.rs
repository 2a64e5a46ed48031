//! [`StatementStatistics`]: how often each kind of statement ran and what it cost, for `feature_store.statements`.
//!
//! A kind is the statement's text with its constants taken out, per role, as in pg_stat_statements. At most [`MAX_KINDS`] are
//! kept; a new one then takes the place of the one that was used longest ago. Their texts are short ([`super::known`] cuts them), so the
//! whole is a few MiB at most.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::catalog::StatementUse;
use crate::error::SqlState;
use crate::telemetry::Work;

/// Kinds of statements that are kept.
const MAX_KINDS: usize = 2000;

#[derive(Debug, Default)]
struct Kinds {
    by_text: HashMap<(String, Arc<str>), (u64, StatementUse)>,
    clock: u64,
}

/// All sessions' statements since the start.
#[derive(Debug, Default)]
pub struct StatementStatistics {
    kinds: Mutex<Kinds>,
}

impl StatementStatistics {
    /// Adds a statement of this kind that has ended.
    pub fn add(&self, role: &str, kind: &Arc<str>, time: Duration, rows: u64, work: Work, error: Option<SqlState>) {
        let milliseconds = time.as_secs_f64() * 1000.0;
        let mut kinds = self.kinds.lock();
        kinds.clock += 1;
        let now = kinds.clock;
        let key = (role.to_owned(), Arc::clone(kind));
        if kinds.by_text.len() >= MAX_KINDS && !kinds.by_text.contains_key(&key) {
            let oldest = kinds.by_text.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                kinds.by_text.remove(&oldest);
            }
        }
        let fresh = || StatementUse { role: role.to_owned(), query: kind.to_string(), min_ms: f64::INFINITY, ..StatementUse::default() };
        let (used, statement) = kinds.by_text.entry(key).or_insert_with(|| (now, fresh()));
        *used = now;
        statement.calls += 1;
        statement.errors += u64::from(error.is_some());
        statement.rows += rows;
        statement.total_ms += milliseconds;
        statement.min_ms = statement.min_ms.min(milliseconds);
        statement.max_ms = statement.max_ms.max(milliseconds);
        statement.bytes_read += work.bytes_read;
        statement.files_read += work.files_read;
        statement.files_pruned += work.files_pruned;
    }

    /// All kinds, the most costly first.
    pub fn all(&self) -> Vec<StatementUse> {
        let mut all: Vec<StatementUse> = self.kinds.lock().by_text.values().map(|(_, statement)| statement.clone()).collect();
        all.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms).then_with(|| a.query.cmp(&b.query)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_differ_in_constants_are_one_kind() {
        let statistics = StatementStatistics::default();
        let work = Work { bytes_read: 10, files_read: 1, files_pruned: 2 };
        let kind = super::super::known::kind_of;
        statistics.add("a", &kind("SELECT 1"), Duration::from_millis(2), 1, work, None);
        statistics.add("a", &kind("select  22"), Duration::from_millis(4), 1, work, Some(SqlState::QUERY_CANCELED));
        statistics.add("b", &kind("SELECT 1"), Duration::from_millis(1), 1, Work::default(), None);
        let all = statistics.all();
        assert_eq!(all.len(), 3);
        statistics.add("a", &kind("SELECT 33"), Duration::from_millis(6), 2, work, Some(SqlState::QUERY_CANCELED));
        let first = &statistics.all()[0];
        assert_eq!((first.role.as_str(), first.query.as_str(), first.calls, first.errors), ("a", "SELECT $1", 2, 1));
        assert_eq!((first.rows, first.bytes_read, first.files_pruned), (3, 20, 4));
        assert!((first.min_ms, first.max_ms, first.total_ms) == (2.0, 6.0, 8.0));
    }

    #[test]
    fn kinds_are_bounded() {
        let statistics = StatementStatistics::default();
        for number in 0..MAX_KINDS + 10 {
            statistics.add("a", &Arc::from(format!("SELECT c{number}")), Duration::ZERO, 0, Work::default(), None);
        }
        let all = statistics.all();
        assert_eq!(all.len(), MAX_KINDS);
        assert!(!all.iter().any(|kind| kind.query == "SELECT c0"));
    }
}
