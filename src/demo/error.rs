//! What can go wrong before and while the demo shows itself.

use std::path::PathBuf;

use super::warehouse::WarehouseError;
use crate::error::{ReportError, SqlState};

/// A failure of the demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder holds things that the demo did not put there.
    #[error("folder \"{}\" holds other things (\"{found}\")", folder.display())]
    ForeignFolder {
        /// The folder.
        folder: PathBuf,
        /// One of them.
        found: String,
    },
    /// Another process serves the folder.
    #[error("folder \"{}\" is in use by another featgres", folder.display())]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
        /// Where that one listens, as far as it said.
        owner: String,
    },
    /// The sample was written by another version.
    #[error("folder \"{}\" holds the sample of another version of featgres", folder.display())]
    OtherSample {
        /// The folder.
        folder: PathBuf,
    },
    /// A file or the socket.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// The sample tables.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// The server said something that a client does not understand.
    #[error("unexpected message from the server: {what}")]
    Protocol {
        /// What it was.
        what: String,
    },
    /// The server refused the connection.
    #[error("the server refused the connection: {message}")]
    Refused {
        /// Its words.
        message: String,
    },
}

impl DemoError {
    pub(super) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

impl ReportError for DemoError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::ForeignFolder { .. } | Self::FolderInUse { .. } | Self::OtherSample { .. } => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::Io { .. } => SqlState::IO_ERROR,
            Self::Warehouse(error) => error.sqlstate(),
            Self::Protocol { .. } => SqlState::PROTOCOL_VIOLATION,
            Self::Refused { .. } => SqlState::CANNOT_CONNECT_NOW,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::ForeignFolder { .. } => Some("Give an empty folder, or one that does not exist, with --dir.".to_owned()),
            Self::FolderInUse { owner, .. } if !owner.is_empty() => Some(format!("Try it with: {owner}")),
            Self::FolderInUse { .. } => Some("Stop the other one, or give another folder with --dir.".to_owned()),
            Self::OtherSample { .. } => Some("Remove the folder, or give another one with --dir.".to_owned()),
            Self::Io { .. } | Self::Protocol { .. } | Self::Refused { .. } => None,
            Self::Warehouse(error) => error.hint(),
        }
    }
}
