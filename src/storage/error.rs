//! What can go wrong between a URL and its bytes.

use crate::error::{ReportError, SqlState};

/// A storage failure; names the URL, never a credential.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The object is not there.
    #[error("object \"{url}\" does not exist")]
    NotFound {
        /// The object.
        url: String,
    },
    /// The object is there already (create-only put).
    #[error("object \"{url}\" exists already")]
    AlreadyExists {
        /// The object.
        url: String,
    },
    /// Not a URL that we can open.
    #[error("cannot open \"{url}\": {reason}")]
    BadUrl {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// The store failed.
    #[error("could not read or write \"{url}\": {source}")]
    Io {
        /// The object.
        url: String,
        /// The store's words.
        source: object_store::Error,
    },
}

impl ReportError for StorageError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::NotFound { .. } | Self::AlreadyExists { .. } | Self::Io { .. } => SqlState::IO_ERROR,
            Self::BadUrl { .. } => SqlState::FEATURE_NOT_SUPPORTED,
        }
    }
}
