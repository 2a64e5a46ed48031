//! A catalog for the tests of what stands between catalogs and metadata: what it answers, how long that lives, and when the
//! answer comes are the test's to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{SourceCatalog, SourceError, TableIdent, TablePointer};
use crate::storage::Storage;

/// From the table and the number of the question, from 0.
type Answer = Box<dyn Fn(&TableIdent, u64) -> Result<TablePointer, SourceError> + Send>;

pub(super) struct OneTable {
    pub(super) storage: Arc<Storage>,
    pub(super) lifetime: Mutex<Duration>,
    /// Each answer waits for one notice.
    pub(super) gate: Option<Notify>,
    answer: Mutex<Answer>,
    asked: AtomicU64,
}

impl OneTable {
    /// Every question reaches it, and is answered with metadata at this URL.
    pub(super) fn at(storage: &Arc<Storage>, url: &str) -> Self {
        let pointer = TablePointer::at(url);
        let answer: Answer = Box::new(move |_, _| Ok(pointer.clone()));
        let storage = Arc::clone(storage);
        Self { storage, lifetime: Mutex::default(), gate: None, answer: Mutex::new(answer), asked: AtomicU64::new(0) }
    }

    /// From now on it answers so.
    pub(super) fn answers(&self, answer: impl Fn(&TableIdent, u64) -> Result<TablePointer, SourceError> + Send + 'static) {
        *self.answer.lock() = Box::new(answer);
    }

    /// From now on the metadata is there.
    pub(super) fn moves_to(&self, pointer: TablePointer) {
        self.answers(move |_, _| Ok(pointer.clone()));
    }

    /// How many questions reached it.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for OneTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneTable").finish_non_exhaustive()
    }
}

/// `lake.s.TABLE`.
pub(super) fn ident(table: &str) -> TableIdent {
    TableIdent { catalog: "lake".into(), schema: "s".into(), table: table.into() }
}

#[async_trait]
impl SourceCatalog for OneTable {
    fn name(&self) -> &str {
        "lake"
    }
    fn kind(&self) -> &'static str {
        "test"
    }
    fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }
    fn pointer_lifetime(&self) -> Duration {
        *self.lifetime.lock()
    }
    async fn pointer(&self, ident: &TableIdent) -> Result<TablePointer, SourceError> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        (self.answer.lock())(ident, number)
    }
    async fn schemas(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["s".into()])
    }
    async fn tables(&self, _: &str) -> Result<Vec<String>, SourceError> {
        Ok(vec!["t".into()])
    }
}
