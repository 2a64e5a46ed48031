//! What can be wrong with a table's own files.

use crate::error::{ReportError, SqlState};

/// A file of the table that cannot be understood, or must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The file is not what the specification says.
    #[error("\"{file}\" is damaged: {reason}")]
    Damaged {
        /// The file's URL.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The file asks for something that is not read.
    #[error("{feature} not supported (\"{file}\")")]
    Unsupported {
        /// The file's URL.
        file: String,
        /// With its verb: `ORC data files are`.
        feature: String,
    },
}

impl FormatError {
    pub(crate) fn damaged(file: &str, reason: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), reason: reason.into() }
    }

    pub(crate) fn unsupported(file: &str, feature: impl Into<String>) -> Self {
        Self::Unsupported { file: file.to_owned(), feature: feature.into() }
    }
}

impl ReportError for FormatError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::Damaged { .. } => SqlState::DATA_CORRUPTED,
            Self::Unsupported { .. } => SqlState::FEATURE_NOT_SUPPORTED,
        }
    }
}
