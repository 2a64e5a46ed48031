//! What can go wrong with definitions and their store.

use crate::error::{ReportError, SqlState, perhaps_you_meant};
use crate::spelling::quote_ident;
use crate::storage::StorageError;

/// A registry failure.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Another writer committed first.
    #[error("could not serialize access to the registry due to a concurrent commit")]
    RaceLost,
    /// The name is taken.
    #[error("feature view \"{name}\" already exists")]
    FeatureViewExists {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error("entity \"{name}\" already exists")]
    EntityExists {
        /// The name.
        name: String,
    },
    /// No such view.
    #[error("feature view \"{name}\" does not exist")]
    UnknownFeatureView {
        /// As asked.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No such entity.
    #[error("entity \"{name}\" does not exist")]
    UnknownEntity {
        /// As asked.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The entity that the view's columns imply is there with another key.
    #[error("entity \"{entity}\" has the key ({existing}), but the source has ({wanted})")]
    EntityKeyDiffers {
        /// The entity.
        entity: String,
        /// Its key columns and types.
        existing: String,
        /// The source's.
        wanted: String,
        /// The source's key columns, quoted.
        columns: String,
    },
    /// A view gives more or fewer columns than its entity has keys.
    #[error("entity \"{entity}\" has {keys} key columns, but feature view \"{view}\" gives {columns}")]
    KeyCountDiffers {
        /// The view.
        view: String,
        /// The entity.
        entity: String,
        /// Keys of the entity.
        keys: usize,
        /// Columns given.
        columns: usize,
    },
    /// Something else is built on it.
    #[error("cannot drop {} because other objects depend on {}", dropped.join(", "), if dropped.len() == 1 { "it" } else { "them" })]
    StillReferenced {
        /// `entity customer`, …
        dropped: Vec<String>,
        /// `feature view v depends on entity customer`, …
        dependencies: Vec<String>,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Written by a newer featgres.
    #[error("\"{url}\" has registry format version {found}; this featgres reads up to {supported}")]
    NewerFormat {
        /// The object.
        url: String,
        /// Its version.
        found: u64,
        /// Ours.
        supported: u64,
    },
    /// The URL holds something, and it is no registry.
    #[error("\"{url}\" is not a featgres registry: it holds \"{found}\"")]
    ForeignContent {
        /// The registry's URL.
        url: String,
        /// Something that is there.
        found: String,
    },
    /// An object of the registry cannot be understood.
    #[error("registry object \"{url}\" is damaged: {reason}")]
    Damaged {
        /// The object.
        url: String,
        /// Why.
        reason: String,
    },
    /// The store failed so that nobody can tell whether the commit is there.
    #[error("it is not known whether registry version {version} was committed: {source}")]
    OutcomeUnknown {
        /// The version.
        version: u64,
        /// The store's last words.
        source: StorageError,
    },
}

impl ReportError for RegistryError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::RaceLost => SqlState::SERIALIZATION_FAILURE,
            Self::FeatureViewExists { .. } => SqlState::DUPLICATE_TABLE,
            Self::EntityExists { .. } => SqlState::DUPLICATE_OBJECT,
            Self::UnknownFeatureView { .. } => SqlState::UNDEFINED_TABLE,
            Self::UnknownEntity { .. } => SqlState::UNDEFINED_OBJECT,
            Self::EntityKeyDiffers { .. } => SqlState::DATATYPE_MISMATCH,
            Self::KeyCountDiffers { .. } => SqlState::INVALID_COLUMN_REFERENCE,
            Self::StillReferenced { .. } => SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            Self::Storage(error) => error.sqlstate(),
            Self::NewerFormat { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Self::ForeignContent { .. } => SqlState::CONFIG_FILE_ERROR,
            Self::Damaged { .. } => SqlState::DATA_CORRUPTED,
            Self::OutcomeUnknown { .. } => SqlState::IO_ERROR,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::RaceLost => Some("Run the transaction again.".to_owned()),
            Self::UnknownFeatureView { name, known } | Self::UnknownEntity { name, known } => {
                perhaps_you_meant(name, known.iter().map(String::as_str))
            }
            Self::EntityKeyDiffers { wanted, columns, .. } => {
                Some(format!("CREATE ENTITY other KEY ({wanted}), and ENTITIES (other ({columns})) here."))
            }
            Self::StillReferenced { .. } => Some("Use DROP ... CASCADE to drop the dependent objects too.".to_owned()),
            Self::NewerFormat { .. } => Some("Upgrade this featgres.".to_owned()),
            Self::ForeignContent { .. } => Some("Set registry to an empty folder or prefix.".to_owned()),
            Self::OutcomeUnknown { .. } => Some("Look whether the objects are there before running the statements again.".to_owned()),
            Self::Storage(error) => error.hint(),
            Self::FeatureViewExists { .. } => Some("Use CREATE OR REPLACE FEATURE VIEW, or IF NOT EXISTS.".to_owned()),
            Self::EntityExists { .. } | Self::KeyCountDiffers { .. } | Self::Damaged { .. } => None,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::StillReferenced { dependencies, .. } => Some(dependencies.join("\n")),
            Self::Storage(error) => error.detail(),
            _ => None,
        }
    }
}

/// `customer_id bigint, region text`.
pub(super) fn key_list(keys: &[super::JoinKey]) -> String {
    keys.iter().map(|key| format!("{} {}", quote_ident(&key.name), key.data_type)).collect::<Vec<_>>().join(", ")
}
