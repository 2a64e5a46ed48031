//! [`JoinError`]: what the point-in-time join refuses. The plan layer checks names and types first and speaks of views; these
//! are the same refusals for whoever builds the node another way, and the few that only the data can show.

use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;

use crate::error::{Report, ReportError, SqlState};

/// A point-in-time join that cannot be built or answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// A key pair whose types have no common notion of equality.
    #[error(
        "key column \"{entity_column}\" of type {entity_type} cannot be compared with \"{feature_column}\" of type {feature_type} of \"{lookup}\""
    )]
    KeyTypesDiffer {
        /// The lookup's name.
        lookup: String,
        /// Column of the entity rows.
        entity_column: String,
        /// Its type.
        entity_type: DataType,
        /// Column of the feature rows.
        feature_column: String,
        /// Its type.
        feature_type: DataType,
    },
    /// A time column that is neither a timestamp nor a date.
    #[error("column \"{column}\" of type {data_type} is not a timestamp or date")]
    NotATime {
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// A window of no length, or of less.
    #[error("the TTL of \"{lookup}\" must be positive")]
    TtlNotPositive {
        /// The lookup's name.
        lookup: String,
    },
    /// An entity row's time is `infinity` or `-infinity`.
    #[error("the event timestamp of an entity row is infinite")]
    InfiniteTimestamp,
    /// More entity rows than the operator numbers.
    #[error("too many entity rows: {rows}; at most {limit} in one call")]
    TooManyEntityRows {
        /// How many came.
        rows: usize,
        /// How many may come.
        limit: usize,
    },
    /// A column number that does not exist: a bug of the caller.
    #[error("column {column} of {side} does not exist in the point-in-time join of \"{lookup}\"")]
    NoSuchColumn {
        /// The lookup's name, or of the output column.
        lookup: String,
        /// Which relation.
        side: &'static str,
        /// The number.
        column: usize,
    },
    /// Feature rows that break the contract of `FeatureRows`: a bug of the source.
    #[error("the feature rows of \"{lookup}\" came back wrong: {what}")]
    BrokenSource {
        /// The lookup's name.
        lookup: String,
        /// What was wrong.
        what: String,
    },
}

impl ReportError for JoinError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::KeyTypesDiffer { .. } | Self::NotATime { .. } => SqlState::DATATYPE_MISMATCH,
            Self::TtlNotPositive { .. } => SqlState::INVALID_PARAMETER_VALUE,
            Self::InfiniteTimestamp => SqlState::DATETIME_FIELD_OVERFLOW,
            Self::TooManyEntityRows { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Self::NoSuchColumn { .. } | Self::BrokenSource { .. } => SqlState::INTERNAL_ERROR,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::KeyTypesDiffer { .. } => Some("Cast one side to the type of the other.".into()),
            Self::TtlNotPositive { .. } => Some("Leave the TTL out for no limit.".into()),
            Self::InfiniteTimestamp => Some("Filter infinite timestamps out of the entity rows.".into()),
            Self::TooManyEntityRows { .. } => Some("Split the entity rows over several calls.".into()),
            Self::NotATime { .. } | Self::NoSuchColumn { .. } | Self::BrokenSource { .. } => None,
        }
    }
}

impl From<JoinError> for DataFusionError {
    fn from(error: JoinError) -> Self {
        DataFusionError::External(Box::new(Report::from(error)))
    }
}
