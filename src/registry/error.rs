//! What can go wrong with definitions and their store.

use crate::error::{ReportError, SqlState};

/// A registry failure.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Another writer committed first.
    #[error("could not serialize access to the registry due to a concurrent commit")]
    RaceLost,
}

impl ReportError for RegistryError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::RaceLost => SqlState::SERIALIZATION_FAILURE,
        }
    }
}
