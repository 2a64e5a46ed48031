//! What can be wrong with a text before anything is looked up.

use crate::error::{ReportError, SqlState};

/// A text that is not a statement of ours. Positions are characters of the whole text, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The grammar wanted something else here.
    #[error("syntax error at or near \"{near}\"")]
    SyntaxErrorNear {
        /// The token, as written.
        near: String,
        /// Where it begins.
        position: usize,
        /// What would have been right, where we know.
        hint: Option<String>,
    },
    /// The grammar wanted more.
    #[error("syntax error at end of input")]
    SyntaxErrorAtEnd {
        /// One past the last character.
        position: usize,
        /// What would have been right, where we know.
        hint: Option<String>,
    },
    /// A string, quoted name or comment without an end, or a name without a character.
    #[error("{what} at or near \"{near}\"")]
    Unterminated {
        /// For example `unterminated quoted string`.
        what: &'static str,
        /// Its beginning, as written.
        near: String,
        /// Where it begins.
        position: usize,
    },
    /// A parameter with a number that no statement can have.
    #[error("there is no parameter {parameter}")]
    NoSuchParameter {
        /// As written, `$70000`.
        parameter: String,
        /// Where it stands.
        position: usize,
    },
    /// A number that goes on as a word.
    #[error("trailing junk after numeric literal at or near \"{near}\"")]
    TrailingJunk {
        /// Both, as written.
        near: String,
        /// Where the number begins.
        position: usize,
    },
    /// A clause stands twice.
    #[error("clause {clause} is given twice")]
    RepeatedClause {
        /// Its keywords.
        clause: &'static str,
        /// The second one.
        position: usize,
    },
    /// Two options that exclude each other.
    #[error("cannot specify both {pair}")]
    ConflictingOptions {
        /// For example `SCROLL and NO SCROLL`.
        pair: &'static str,
    },
    /// `WHERE` behind a COPY that sends.
    #[error("WHERE clause not allowed with COPY TO")]
    NotWithCopyTo {
        /// Where it stands.
        position: usize,
    },
    /// `COPY (INSERT …)`.
    #[error("COPY of a statement that changes rows is not supported")]
    CopyOfEffect {
        /// Where it stands.
        position: usize,
    },
    /// A name stands twice in `TAGS (…)` or `WITH (…)`.
    #[error("{clause} names \"{name}\" twice")]
    RepeatedName {
        /// Its keywords.
        clause: &'static str,
        /// The name.
        name: String,
        /// The second one.
        position: usize,
    },
    /// A clause that cannot be left out.
    #[error("{statement} needs {clause}")]
    MissingClause {
        /// The statement's keywords.
        statement: &'static str,
        /// For example `TIMESTAMP column`.
        clause: &'static str,
        /// Where the statement ends.
        position: usize,
    },
    /// A number beyond its type.
    #[error("value \"{value}\" is out of range for type {data_type}")]
    NumberOutOfRange {
        /// As written.
        value: String,
        /// The type.
        data_type: &'static str,
        /// Where it stands.
        position: usize,
    },
    /// Not an interval.
    #[error("invalid input syntax for type interval: \"{text}\"")]
    MalformedInterval {
        /// As written.
        text: String,
        /// Where it stands.
        position: usize,
    },
    /// An interval beyond its type.
    #[error("interval field value out of range: \"{text}\"")]
    IntervalOutOfRange {
        /// As written.
        text: String,
        /// Where it stands.
        position: usize,
    },
    /// Deeper or longer than the parser may go.
    #[error("stack depth limit exceeded")]
    TooComplex {
        /// Where it begins to be too much, if known.
        position: Option<usize>,
    },
    /// More tokens than one text may have.
    #[error("statement is too long")]
    TooLong {
        /// The limit.
        max_tokens: usize,
    },
    /// Quoted SQL that is not one query.
    #[error("entity rows must be one SELECT, VALUES, WITH or TABLE query")]
    NotOneQuery {
        /// Where that shows.
        position: usize,
    },
}

impl SqlError {
    /// The same with what would have been right; only syntax errors take it.
    #[must_use]
    pub(super) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::SyntaxErrorNear { hint, .. } | Self::SyntaxErrorAtEnd { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }
}

impl ReportError for SqlError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::SyntaxErrorNear { .. }
            | Self::SyntaxErrorAtEnd { .. }
            | Self::Unterminated { .. }
            | Self::TrailingJunk { .. }
            | Self::RepeatedClause { .. }
            | Self::RepeatedName { .. }
            | Self::MissingClause { .. }
            | Self::NotWithCopyTo { .. }
            | Self::NotOneQuery { .. } => SqlState::SYNTAX_ERROR,
            Self::CopyOfEffect { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Self::NoSuchParameter { .. } => SqlState::UNDEFINED_PARAMETER,
            Self::ConflictingOptions { .. } => SqlState::INVALID_CURSOR_DEFINITION,
            Self::NumberOutOfRange { .. } => SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            Self::MalformedInterval { .. } => SqlState::INVALID_DATETIME_FORMAT,
            Self::IntervalOutOfRange { .. } => SqlState::DATETIME_FIELD_OVERFLOW,
            Self::TooComplex { .. } => SqlState::STATEMENT_TOO_COMPLEX,
            Self::TooLong { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::SyntaxErrorNear { hint, .. } | Self::SyntaxErrorAtEnd { hint, .. } => hint.clone(),
            Self::MissingClause { clause, .. } => Some(format!("Add {clause}.")),
            Self::TooComplex { .. } => Some("Split the expression, or put its values into a temporary table.".to_owned()),
            Self::TooLong { .. } => Some("Use COPY … FROM STDIN to load many rows.".to_owned()),
            Self::NotOneQuery { .. } => Some("For example 'SELECT customer_id, event_timestamp FROM my_spine'.".to_owned()),
            Self::Unterminated { .. }
            | Self::NoSuchParameter { .. }
            | Self::TrailingJunk { .. }
            | Self::RepeatedClause { .. }
            | Self::RepeatedName { .. }
            | Self::ConflictingOptions { .. }
            | Self::NotWithCopyTo { .. }
            | Self::CopyOfEffect { .. }
            | Self::NumberOutOfRange { .. }
            | Self::MalformedInterval { .. }
            | Self::IntervalOutOfRange { .. } => None,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::TooLong { max_tokens } => Some(format!("One text may have {max_tokens} tokens.")),
            _ => None,
        }
    }

    fn position(&self) -> Option<usize> {
        match self {
            Self::SyntaxErrorNear { position, .. }
            | Self::SyntaxErrorAtEnd { position, .. }
            | Self::Unterminated { position, .. }
            | Self::NoSuchParameter { position, .. }
            | Self::TrailingJunk { position, .. }
            | Self::RepeatedClause { position, .. }
            | Self::RepeatedName { position, .. }
            | Self::MissingClause { position, .. }
            | Self::NumberOutOfRange { position, .. }
            | Self::MalformedInterval { position, .. }
            | Self::IntervalOutOfRange { position, .. }
            | Self::NotWithCopyTo { position }
            | Self::CopyOfEffect { position }
            | Self::NotOneQuery { position } => Some(*position),
            Self::TooComplex { position } => *position,
            Self::TooLong { .. } | Self::ConflictingOptions { .. } => None,
        }
    }
}
