//! What ends a session whose transaction takes too long: `transaction_timeout`.
//!
//! A task that raises the interrupt when the time is over, whatever the session does then: run, wait for its client, or send. As in
//! PostgreSQL, time counts from the transaction's first statement, or from where it is set in one. Without the setting there is no task.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::backend::Interrupt;
use crate::error::{Report, SqlState};

/// Runs until it is dropped.
pub(super) struct TransactionTimer(JoinHandle<()>);

impl TransactionTimer {
    /// From now on, if there is a limit.
    pub(super) fn start(limit: Option<Duration>, interrupt: Arc<Interrupt>) -> Option<Self> {
        let limit = limit?;
        let raise = async move {
            tokio::time::sleep(limit).await;
            interrupt.raise(Report::new(SqlState::TRANSACTION_TIMEOUT, "terminating connection due to transaction timeout"));
        };
        Some(Self(tokio::spawn(raise)))
    }
}

impl Drop for TransactionTimer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
