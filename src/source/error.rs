//! What can go wrong between a table's name and its rows.

use crate::error::{ReportError, SqlState, perhaps_you_meant};
use crate::storage::StorageError;

/// A source failure.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No `[catalogs.NAME]`.
    #[error("catalog \"{name}\" does not exist")]
    UnknownCatalog {
        /// As asked.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReportError for SourceError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::UnknownCatalog { .. } => SqlState::INVALID_SCHEMA_NAME,
            Self::Storage(error) => error.sqlstate(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownCatalog { name, known } => perhaps_you_meant(name, known.iter().map(String::as_str)),
            Self::Storage(error) => error.hint(),
        }
    }
}
