//! A catalog of one table, `lake.s.t`, whose pointer the test moves.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use featgres::source::{SourceCatalog, SourceError, Sources, TableIdent, TablePointer};
use featgres::storage::Storage;
use parking_lot::Mutex;

#[derive(Debug)]
pub(super) struct OneTable {
    storage: Arc<Storage>,
    answers: Mutex<VecDeque<String>>,
}

impl OneTable {
    /// Its table's metadata is at this URL.
    pub(super) fn at(storage: &Arc<Storage>, url: &str) -> Arc<Self> {
        let answers = Mutex::new([url.to_owned()].into());
        Arc::new(Self { storage: Arc::clone(storage), answers })
    }

    /// From now on it gives one of these after the other, and the last one for ever.
    pub(super) fn answers<'a>(&self, urls: impl IntoIterator<Item = &'a String>) {
        *self.answers.lock() = urls.into_iter().cloned().collect();
    }

    /// This catalog alone.
    pub(super) fn sources(self: &Arc<Self>) -> Sources {
        Sources::new([Arc::clone(self) as Arc<dyn SourceCatalog>])
    }
}

/// The table.
pub(super) fn ident() -> TableIdent {
    TableIdent { catalog: "lake".to_owned(), schema: "s".to_owned(), table: "t".to_owned() }
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
    async fn pointer(&self, _: &TableIdent) -> Result<TablePointer, SourceError> {
        let mut answers = self.answers.lock();
        let next = answers[0].clone();
        if answers.len() > 1 {
            answers.pop_front();
        }
        Ok(TablePointer::at(next))
    }
    async fn schemas(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["s".to_owned()])
    }
    async fn tables(&self, _: &str) -> Result<Vec<String>, SourceError> {
        Ok(vec!["t".to_owned()])
    }
}
