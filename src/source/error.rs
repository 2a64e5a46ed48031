//! What can go wrong between a table's name and its rows.

use std::sync::Arc;

use super::TableIdent;
use super::iceberg::FormatError;
use crate::error::{ReportError, SqlState, perhaps_you_meant};
use crate::storage::StorageError;

/// As many names as a hint lists.
const FEW: usize = 10;

/// A source failure.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No `[catalogs.NAME]`.
    #[error("catalog \"{name}\" does not exist")]
    UnknownCatalog {
        /// As asked.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No such namespace.
    #[error("schema \"{schema}\" does not exist in catalog \"{catalog}\"")]
    UnknownSchema {
        /// The catalog.
        catalog: String,
        /// As asked.
        schema: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No such table.
    #[error("table \"{ident}\" does not exist")]
    UnknownTable {
        /// As asked.
        ident: TableIdent,
        /// The tables of its schema.
        known: Vec<String>,
    },
    /// No such branch or tag.
    #[error("{kind} \"{name}\" of table \"{ident}\" does not exist")]
    UnknownReference {
        /// The table.
        ident: Box<TableIdent>,
        /// `branch`, `tag`, or `tag or branch`.
        kind: &'static str,
        /// As asked.
        name: String,
        /// What there is of that kind.
        known: Vec<String>,
    },
    /// No such branch or tag of the whole catalog.
    #[error("{kind} \"{name}\" does not exist in catalog \"{catalog}\"")]
    UnknownCatalogReference {
        /// The catalog.
        catalog: String,
        /// `branch`, `tag`, or `tag or branch`.
        kind: &'static str,
        /// As asked.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The name is taken by something that has no rows to read.
    #[error("\"{ident}\" is {kind}, not a table")]
    NotATable {
        /// The name.
        ident: TableIdent,
        /// `a view`, `a namespace`, …
        kind: String,
    },
    /// No such snapshot: it never was, or has expired.
    #[error("snapshot {snapshot_id} of table \"{ident}\" does not exist or has expired")]
    UnknownSnapshot {
        /// The table.
        ident: TableIdent,
        /// As asked.
        snapshot_id: i64,
    },
    /// No such schema among the table's.
    #[error("schema {schema_id} of table \"{ident}\" does not exist")]
    UnknownTableSchema {
        /// The table.
        ident: TableIdent,
        /// As asked.
        schema_id: i32,
    },
    /// Before the table's first snapshot (that is still logged).
    #[error("table \"{ident}\" has no snapshot that was current at {at}")]
    NoSnapshotAt {
        /// The table.
        ident: TableIdent,
        /// As asked, UTC.
        at: String,
    },
    /// A file of the pinned snapshot is gone.
    #[error("snapshot of table \"{ident}\" has expired: \"{url}\" no longer exists")]
    SnapshotExpired {
        /// The table.
        ident: TableIdent,
        /// The file.
        url: String,
    },
    /// A file of the table is damaged, or asks for what is not read.
    #[error("table \"{ident}\": {source}")]
    Format {
        /// The table.
        ident: Box<TableIdent>,
        /// Which file, and what.
        source: Box<FormatError>,
    },
    /// The catalog cannot be reached or opened.
    #[error("catalog \"{catalog}\" cannot be reached: {reason}")]
    CatalogUnreachable {
        /// The catalog.
        catalog: String,
        /// In the driver's words, without credentials.
        reason: String,
    },
    /// The catalog answered with an error, or nonsense.
    #[error("catalog \"{catalog}\" failed: {reason}")]
    CatalogFailed {
        /// The catalog.
        catalog: String,
        /// In the driver's words.
        reason: String,
    },
    /// The catalog's certificate is not good, or it does not speak TLS.
    #[error("no secure connection to catalog \"{catalog}\": {reason}")]
    CatalogTls {
        /// The catalog.
        catalog: String,
        /// In the driver's words.
        reason: String,
    },
    /// The catalog does not know the gateway, or its credentials have ended.
    #[error("catalog \"{catalog}\" refuses the login: {reason}")]
    CatalogLogin {
        /// The catalog.
        catalog: String,
        /// In the catalog's words, without credentials.
        reason: String,
    },
    /// The catalog knows the gateway, and does not allow it this.
    #[error("permission denied by catalog \"{catalog}\": {reason}")]
    CatalogForbids {
        /// The catalog.
        catalog: String,
        /// In the catalog's words.
        reason: String,
    },
    /// A table that is not Iceberg's, as the engine that finds it sees it.
    #[error("table \"{ident}\" is not an Iceberg table{}", connector.as_ref().map(|name| format!(": Trino reads it by its connector \"{name}\"")).unwrap_or_default())]
    NotIceberg {
        /// As asked.
        ident: Box<TableIdent>,
        /// Trino's connector for it.
        connector: Option<String>,
    },
    /// A catalog's setting that cannot be.
    #[error("catalog \"{catalog}\": {reason}")]
    BadSetting {
        /// The catalog.
        catalog: String,
        /// Why.
        reason: String,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The error of a question that several statements had asked together.
    #[error(transparent)]
    Shared(Arc<SourceError>),
}

impl SourceError {
    pub(crate) fn format(ident: &TableIdent, source: FormatError) -> Self {
        Self::Format { ident: Box::new(ident.clone()), source: Box::new(source) }
    }
}

impl ReportError for SourceError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::UnknownCatalog { .. } | Self::UnknownSchema { .. } => SqlState::INVALID_SCHEMA_NAME,
            Self::UnknownTable { .. } => SqlState::UNDEFINED_TABLE,
            Self::UnknownReference { .. } | Self::UnknownCatalogReference { .. } => SqlState::UNDEFINED_OBJECT,
            Self::NotATable { .. } => SqlState::WRONG_OBJECT_TYPE,
            Self::UnknownSnapshot { .. } | Self::UnknownTableSchema { .. } | Self::NoSnapshotAt { .. } | Self::SnapshotExpired { .. } => {
                SqlState::SNAPSHOT_EXPIRED
            }
            Self::Format { source, .. } => source.sqlstate(),
            Self::CatalogUnreachable { .. } | Self::CatalogTls { .. } | Self::CatalogLogin { .. } => {
                SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION
            }
            Self::NotIceberg { .. } => SqlState::WRONG_OBJECT_TYPE,
            Self::CatalogFailed { .. } => SqlState::FDW_ERROR,
            Self::CatalogForbids { .. } => SqlState::INSUFFICIENT_PRIVILEGE,
            Self::BadSetting { .. } => SqlState::CONFIG_FILE_ERROR,
            Self::Storage(error) => error.sqlstate(),
            Self::Shared(error) => error.sqlstate(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownCatalog { name, known }
            | Self::UnknownSchema { schema: name, known, .. }
            | Self::UnknownReference { name, known, .. }
            | Self::UnknownCatalogReference { name, known, .. } => meant_or_known(name, known),
            Self::UnknownTable { ident, known } => perhaps_you_meant(&ident.table, known.iter().map(String::as_str)),
            Self::SnapshotExpired { .. } => Some("Run the statement again to read the table's current snapshot.".to_owned()),
            Self::Format { source, .. } => source.hint(),
            Self::Storage(error) => error.hint(),
            Self::Shared(error) => error.hint(),
            Self::CatalogLogin { catalog, .. } => {
                Some(format!("Check the credentials in [catalogs.{catalog}]: token or credential, user and password, oauth2-server-uri."))
            }
            Self::CatalogForbids { .. } => Some("The gateway's own login needs the right to read the table there.".to_owned()),
            Self::CatalogTls { catalog, .. } => Some(format!(
                "catalogs.{catalog}.\"ssl.cabundle\" names a file with the certificate of the authority that signed the catalog's."
            )),
            Self::NotATable { kind, .. } if kind == "a view" => {
                Some("A feature view can be made of a query over the view's own tables: AS SELECT …".to_owned())
            }
            Self::NotIceberg { connector, .. } if connector.as_deref() == Some("iceberg") => {
                Some("Trino 444 or newer tells where the metadata of an Iceberg table is; of a materialized view none does.".to_owned())
            }
            Self::NotIceberg { .. } => Some("Only Iceberg tables can be read.".to_owned()),
            Self::CatalogUnreachable { catalog, .. } => {
                Some(format!("Is it up, and does catalogs.{catalog}.uri say where the gateway finds it? The next statement tries again."))
            }
            Self::CatalogFailed { catalog, .. } => {
                Some(format!("If it stays so: catalogs.{catalog} may have the uri of another kind of server than its type says."))
            }
            Self::NotATable { .. }
            | Self::UnknownSnapshot { .. }
            | Self::UnknownTableSchema { .. }
            | Self::NoSnapshotAt { .. }
            | Self::BadSetting { .. } => None,
        }
    }
}

/// What was perhaps meant; else what there is, where that is little.
fn meant_or_known(name: &str, known: &[String]) -> Option<String> {
    perhaps_you_meant(name, known.iter().map(String::as_str)).or_else(|| match known {
        [] => None,
        known if known.len() <= FEW => Some(format!("There is {}.", known.join(", "))),
        _ => None,
    })
}

/// The last error of the chain: the others only say that there was one.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
