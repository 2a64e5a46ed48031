//! Catalogs whose commits are states of all their tables at once (Nessie), and which of them a transaction reads.
//!
//! A branch moves with every commit to any of its tables, so two tables that are asked for one after the other may be of
//! two states. [`Commits`] therefore asks such a catalog once for each reference that a transaction names, and every
//! table is read at the commit that was the answer. A commit is immutable: what it says of a table can be kept for good.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{SourceError, TableIdent, TablePointer};

/// What a reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitKind {
    /// It moves.
    Branch,
    /// It stays, unless somebody moves it.
    Tag,
    /// A commit by its own name.
    Detached,
}

/// A state of a whole catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub hash: String,
    /// What led to it.
    pub kind: CommitKind,
    /// How the catalog wants to be asked for it: `main@hash`.
    pub address: String,
}

/// The part of a catalog that knows commits.
#[async_trait]
pub trait CommittedTables: Send + Sync {
    /// The reference that tables are read at unless a statement names another.
    fn reference(&self) -> &str;
    /// The same reference as it was at an instant (microseconds since 1970 UTC); none if it cannot go back.
    fn reference_at(&self, micros: i64) -> Option<String>;
    /// The commit that this reference means now: a branch, a tag, or what the catalog's own spelling allows. None: there is no such reference.
    async fn commit(&self, reference: &str) -> Result<Option<Commit>, SourceError>;
    /// Forgets where references were, if it keeps that for a while.
    fn forget(&self);
    /// Branches and tags, for "Perhaps you meant".
    async fn references(&self) -> Result<Vec<String>, SourceError>;
    /// The table at this commit.
    async fn pointer_at(&self, ident: &TableIdent, commit: &Commit) -> Result<TablePointer, SourceError>;
}

/// The commits that one transaction reads, each asked for once.
#[derive(Debug, Default)]
pub struct Commits {
    by_reference: Mutex<HashMap<(String, String), Arc<OnceCell<Option<Commit>>>>>,
}

impl Commits {
    /// The commit that `reference` of `catalog` meant when this transaction first asked.
    pub async fn get(&self, catalog: &str, tables: &dyn CommittedTables, reference: &str) -> Result<Option<Commit>, SourceError> {
        let cell = Arc::clone(self.by_reference.lock().entry((catalog.to_owned(), reference.to_owned())).or_default());
        cell.get_or_try_init(|| tables.commit(reference)).await.cloned()
    }

    /// Forgets all: the transaction ended.
    pub fn clear(&self) {
        self.by_reference.lock().clear();
    }
}
