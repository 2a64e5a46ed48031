//! What can go wrong when a sample table is written.

use std::path::{Path, PathBuf};

use crate::error::{ReportError, SqlState};

/// A failure of the sample warehouse.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// A file cannot be written or read.
    #[error("could not write \"{}\": {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// SQLite.
    #[error("could not write the SQL catalog: {0}")]
    Catalog(#[from] rusqlite::Error),
    /// The Parquet writer.
    #[error("could not write Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// An Arrow kernel.
    #[error("could not arrange rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The Avro encoder.
    #[error("could not write a manifest: {0}")]
    Avro(#[from] Box<apache_avro::Error>),
    /// Metadata that this module did not write.
    #[error("could not read \"{location}\": {reason}")]
    ForeignMetadata {
        /// The file.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A column of a type that the writer does not know.
    #[error("column \"{column}\" has type {data_type}, which the sample writer does not write")]
    UnsupportedColumn {
        /// The column.
        column: String,
        /// Its Arrow type.
        data_type: String,
    },
    /// A partition field over a column that is not there or does not fit its transform.
    #[error("cannot partition by \"{column}\"")]
    UnsupportedPartition {
        /// The column.
        column: String,
    },
    /// Rows with other columns than the table's.
    #[error("rows do not have the columns of table \"{name}\"")]
    OtherColumns {
        /// The table.
        name: String,
    },
    /// No such table.
    #[error("table \"{name}\" does not exist")]
    UnknownTable {
        /// The table.
        name: String,
    },
    /// Someone else committed.
    #[error("table \"{name}\" was changed by another writer")]
    CommitConflict {
        /// The table.
        name: String,
    },
}

impl WarehouseError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

impl From<apache_avro::Error> for WarehouseError {
    fn from(error: apache_avro::Error) -> Self {
        Self::Avro(Box::new(error))
    }
}

impl ReportError for WarehouseError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::Io { .. } | Self::Catalog(_) | Self::Parquet(_) => SqlState::IO_ERROR,
            Self::Arrow(_) | Self::Avro(_) => SqlState::INTERNAL_ERROR,
            Self::ForeignMetadata { .. } => SqlState::DATA_CORRUPTED,
            Self::UnsupportedColumn { .. } | Self::UnsupportedPartition { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Self::OtherColumns { .. } => SqlState::DATATYPE_MISMATCH,
            Self::UnknownTable { .. } => SqlState::UNDEFINED_TABLE,
            Self::CommitConflict { .. } => SqlState::SERIALIZATION_FAILURE,
        }
    }
}
