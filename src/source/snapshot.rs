//! [`TableSnapshot`]: a table pinned to one snapshot.

use std::sync::Arc;

use super::{TableIdent, TablePointer};
use crate::storage::Storage;

/// A table pinned to one snapshot: what a statement reads.
#[derive(Debug)]
pub struct TableSnapshot {
    /// Its name.
    pub ident: TableIdent,
    /// What the catalog said.
    pub pointer: TablePointer,
    /// Where its files are.
    pub storage: Arc<Storage>,
}
