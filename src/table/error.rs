//! What can go wrong between a pinned snapshot and its rows.

use datafusion::common::DataFusionError;

use crate::error::{Report, ReportError, SqlState};
use crate::source::SourceError;
use crate::storage::StorageError;

/// A failure of a table scan; names the file wherever one is known.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A file of the pinned snapshot is gone: expired under the reader.
    #[error("snapshot expired: file \"{url}\" does not exist any more")]
    FileExpired {
        /// The file.
        url: String,
    },
    /// The bytes are not what the format says.
    #[error("file \"{url}\" is damaged: {reason}")]
    DamagedFile {
        /// The file.
        url: String,
        /// What was found.
        reason: String,
    },
    /// Damage found where the file is not known any more.
    #[error("a data file of table \"{table}\" is damaged: {reason}")]
    DamagedData {
        /// The table.
        table: String,
        /// What was found.
        reason: String,
    },
    /// A column's type in a file cannot be promoted to the table's.
    #[error("column \"{column}\" of file \"{url}\" has type {file_type}, which cannot be read as {table_type}")]
    FileType {
        /// The file.
        url: String,
        /// The column or nested field.
        column: String,
        /// In the file.
        file_type: String,
        /// In the table.
        table_type: String,
    },
    /// Two columns of one name in a file.
    #[error("file \"{url}\" has more than one column \"{column}\"")]
    DuplicateFileColumn {
        /// The file.
        url: String,
        /// The name.
        column: String,
    },
    /// Nothing says which column is which.
    #[error("file \"{url}\" has no field ids, and its table has no name mapping")]
    NoFieldIds {
        /// The file.
        url: String,
    },
    /// A data or delete file that is not Parquet.
    #[error("{format} files are not supported (file \"{url}\")")]
    FileFormat {
        /// Its format.
        format: String,
        /// The file.
        url: String,
    },
    /// Encrypted.
    #[error("encrypted files are not supported (file \"{url}\")")]
    Encrypted {
        /// The file.
        url: String,
    },
    /// A type that has no rows of ours.
    #[error("column \"{column}\" has type {name}, which is not supported")]
    UnsupportedType {
        /// The column or nested field.
        column: String,
        /// The type as the metadata spells it.
        name: String,
    },
    /// A delete file that says nothing usable.
    #[error("delete file \"{url}\" is damaged: {reason}")]
    DamagedDeleteFile {
        /// The file.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A value in the table's metadata that does not fit its type.
    #[error("metadata of table \"{table}\" is damaged: {reason}")]
    DamagedMetadata {
        /// The table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing to read.
    #[error("no Parquet file matches \"{pattern}\"")]
    NoFileMatches {
        /// The pattern.
        pattern: String,
        /// Objects below the folder that do not match.
        others: usize,
    },
    /// Files of one pattern that are not of one table.
    #[error("the files of \"{pattern}\" differ in column \"{column}\": it is {one_type} in \"{one}\" and {other_type} in \"{other}\"")]
    FilesDiffer {
        /// The pattern.
        pattern: Box<str>,
        /// The column.
        column: Box<str>,
        /// A file.
        one: Box<str>,
        /// The column's type there.
        one_type: Box<str>,
        /// Another file.
        other: Box<str>,
        /// Its type there.
        other_type: Box<str>,
    },
    /// More files than a locator can number.
    #[error("table \"{table}\" has {files} data files in one snapshot, more than {limit}")]
    TooManyFiles {
        /// The table.
        table: String,
        /// How many.
        files: usize,
        /// How many at the most.
        limit: usize,
    },
    /// The source failed.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<SourceError> for TableError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

impl ReportError for TableError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::FileExpired { .. } => SqlState::SNAPSHOT_EXPIRED,
            Self::DamagedFile { .. }
            | Self::DamagedData { .. }
            | Self::FileType { .. }
            | Self::DuplicateFileColumn { .. }
            | Self::DamagedDeleteFile { .. }
            | Self::DamagedMetadata { .. } => SqlState::DATA_CORRUPTED,
            Self::NoFieldIds { .. } | Self::FileFormat { .. } | Self::Encrypted { .. } | Self::UnsupportedType { .. } => {
                SqlState::FEATURE_NOT_SUPPORTED
            }
            Self::NoFileMatches { .. } => SqlState::UNDEFINED_FILE,
            Self::FilesDiffer { .. } => SqlState::DATATYPE_MISMATCH,
            Self::TooManyFiles { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Self::Source(error) => error.sqlstate(),
            Self::Storage(error) => error.sqlstate(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::FileExpired { .. } => Some("Run the statement again: it will read the table's current snapshot.".to_owned()),
            Self::NoFieldIds { .. } => Some("Set the table property \"schema.name-mapping.default\".".to_owned()),
            Self::NoFileMatches { others: 0, .. } => None,
            Self::NoFileMatches { others, .. } => Some(format!(
                "{others} objects lie below that folder: * does not match files in folders of partitions. scan = 'snapshot' reads Iceberg tables wherever their files lie."
            )),
            Self::FilesDiffer { .. } => Some("scan = 'snapshot' reads an Iceberg table whose columns have changed.".to_owned()),
            Self::TooManyFiles { .. } => Some("Compact the table's small files.".to_owned()),
            Self::Source(error) => error.hint(),
            Self::Storage(error) => error.hint(),
            Self::DamagedFile { .. }
            | Self::DamagedData { .. }
            | Self::FileType { .. }
            | Self::DuplicateFileColumn { .. }
            | Self::FileFormat { .. }
            | Self::Encrypted { .. }
            | Self::UnsupportedType { .. }
            | Self::DamagedDeleteFile { .. }
            | Self::DamagedMetadata { .. } => None,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.detail(),
            Self::Storage(error) => error.detail(),
            _ => None,
        }
    }
}

/// The error as the engine carries it.
pub fn external(error: impl Into<Report>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}

/// The report inside an engine error, if one travels there.
pub fn report_within<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Report> {
    let mut next: Option<&'a (dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(report) = error.downcast_ref::<Report>() {
            return Some(report);
        }
        // Boxes and shared errors do not show what they hold as `source`.
        next = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ParquetError(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner)) => Some(inner.as_ref()),
            _ => match error.downcast_ref::<parquet::errors::ParquetError>() {
                Some(parquet::errors::ParquetError::External(inner)) => Some(inner.as_ref()),
                _ => match error.downcast_ref::<arrow::error::ArrowError>() {
                    Some(arrow::error::ArrowError::ExternalError(inner)) => Some(inner.as_ref()),
                    _ => error.source(),
                },
            },
        };
    }
    None
}
