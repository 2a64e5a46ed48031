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
    /// A property that is unknown, or has a value that is.
    #[error("storage property \"{name}\": {reason}")]
    BadProperty {
        /// The property's name; never its value.
        name: String,
        /// Why.
        reason: String,
    },
    /// A range that the object does not hold: it is shorter than the metadata says.
    #[error("object \"{url}\" does not hold bytes {start} to {end}")]
    OutOfRange {
        /// The object.
        url: String,
        /// First byte asked for.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// Larger than anything that is read whole.
    #[error("object \"{url}\" has {size} bytes, more than the {limit} that are read at once")]
    TooLarge {
        /// The object.
        url: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// More buckets than one set of properties opens.
    #[error("more than {limit} buckets in one catalog: \"{url}\" is not opened")]
    TooManyBuckets {
        /// The object.
        url: String,
        /// The limit.
        limit: usize,
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
            Self::BadProperty { .. } => SqlState::CONFIG_FILE_ERROR,
            Self::OutOfRange { .. } => SqlState::DATA_CORRUPTED,
            Self::TooLarge { .. } | Self::TooManyBuckets { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        }
    }
}
