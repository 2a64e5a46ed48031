//! [`Report`]: one error as the client sees it. Cheap to clone is not needed; errors are rare.

use super::SqlState;

/// An error of any module, on its way to becoming a [`Report`].
pub trait ReportError: std::error::Error {
    /// The condition's code; implementations match exhaustively, without `_`.
    fn sqlstate(&self) -> SqlState;
    /// What to do about it, if we know.
    fn hint(&self) -> Option<String> {
        None
    }
    /// More about this very case.
    fn detail(&self) -> Option<String> {
        None
    }
    /// Character in the statement's text, counted from 1.
    fn position(&self) -> Option<usize> {
        None
    }
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Report {
    /// The condition's code.
    pub sqlstate: SqlState,
    /// One sentence, lower case, no full stop, names in double quotes.
    pub message: String,
    /// More about this very case.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What it happened to; apart, because few errors say it and every `Result` has to be moved.
    pub place: Option<Box<Place>>,
    /// Character in the statement's text, counted from 1.
    pub position: Option<usize>,
}

/// What an error happened to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Where in the client's data it is: PostgreSQL's CONTEXT.
    pub context: Option<String>,
    /// The table and the column, for clients that look.
    pub column: Option<(String, String)>,
    /// The function of PostgreSQL's source that says so, where drivers know the error by it.
    pub routine: Option<&'static str>,
}

impl Report {
    /// A report with a code and a message only.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, place: None, position: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a context.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.place.get_or_insert_default().context = Some(context.into());
        self
    }

    /// The same with the function of PostgreSQL's source that drivers know it by.
    #[must_use]
    pub fn routine(mut self, routine: &'static str) -> Self {
        self.place.get_or_insert_default().routine = Some(routine);
        self
    }

    /// The same about a column of a table.
    #[must_use]
    pub fn column(mut self, table: impl Into<String>, column: impl Into<String>) -> Self {
        self.place.get_or_insert_default().column = Some((table.into(), column.into()));
        self
    }

    /// The same with a position, if there is one: a character of the statement, counted from 1.
    #[must_use]
    pub fn position(mut self, position: impl Into<Option<usize>>) -> Self {
        self.position = position.into().or(self.position);
        self
    }
}

/// 23502.
pub fn null_in_column(table: &str, column: &str) -> Report {
    let message = format!("null value in column \"{column}\" of relation \"{table}\" violates not-null constraint");
    Report::new(SqlState::NOT_NULL_VIOLATION, message).column(table, column)
}

impl<E: ReportError> From<E> for Report {
    fn from(error: E) -> Self {
        Self {
            sqlstate: error.sqlstate(),
            message: error.to_string(),
            detail: error.detail(),
            hint: error.hint(),
            place: None,
            position: error.position(),
        }
    }
}

/// The hint for a misspelt name: `Perhaps you meant "orders".`, if one of the candidates is near enough.
pub fn perhaps_you_meant<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3)) / 3)
        .min()
        .map(|(_, candidate)| format!("Perhaps you meant \"{candidate}\"."))
}
