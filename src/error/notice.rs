//! [`Notice`]: what a statement says besides its result.

use super::SqlState;

/// A NOTICE or WARNING.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `INFO`.
    pub severity: &'static str,
    /// Its code, `00000` for a plain notice.
    pub sqlstate: SqlState,
    /// The sentence.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
}

impl Notice {
    /// A plain NOTICE.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { severity: "NOTICE", sqlstate: SqlState::SUCCESSFUL_COMPLETION, message: message.into(), detail: None, hint: None }
    }

    /// A WARNING.
    pub fn warning(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { severity: "WARNING", sqlstate, message: message.into(), detail: None, hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
