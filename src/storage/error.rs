//! What can go wrong between a URL and its bytes.

use super::refusal::{Refusal, brief};
use crate::error::{Report, ReportError, SqlState};

/// A storage failure; names the URL, never a credential.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The object is not there.
    #[error("object \"{url}\" does not exist")]
    NotFound {
        /// The object.
        url: String,
    },
    /// The object is there already (create-only put).
    #[error("object \"{url}\" exists already")]
    AlreadyExists {
        /// The object.
        url: String,
    },
    /// Not a URL that we can open.
    #[error("cannot open \"{url}\": {reason}")]
    BadUrl {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// A property that is unknown, or has a value that is.
    #[error("storage property \"{name}\": {reason}")]
    BadProperty {
        /// The property's name; never its value.
        name: String,
        /// Why.
        reason: String,
    },
    /// A range that the object does not hold: it is shorter than the metadata says.
    #[error("object \"{url}\" does not hold bytes {start} to {end}")]
    OutOfRange {
        /// The object.
        url: String,
        /// First byte asked for.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// Larger than anything that is read whole.
    #[error("object \"{url}\" has {size} bytes, more than the {limit} that are read at once")]
    TooLarge {
        /// The object.
        url: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// More buckets than one set of properties opens.
    #[error("more than {limit} buckets in one catalog: \"{url}\" is not opened")]
    TooManyBuckets {
        /// The object.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// S3 says no, and why.
    #[error("access to \"{url}\" is refused: {reason}")]
    Refused {
        /// The object.
        url: String,
        /// What it means.
        refusal: Refusal,
        /// S3's code and words.
        reason: String,
    },
    /// The credentials that a catalog hands out could not be had.
    #[error("no credentials for \"{url}\": {report}")]
    Credentials {
        /// The object.
        url: String,
        /// What the catalog said.
        report: Box<Report>,
    },
    /// The AWS profile cannot be used.
    #[error("no credentials for \"{url}\": {reason}")]
    BadProfile {
        /// The object.
        url: String,
        /// Why.
        reason: String,
    },
    /// `AWS_CA_BUNDLE` cannot be used.
    #[error("cannot open \"{url}\": AWS_CA_BUNDLE \"{file}\": {reason}")]
    BadCertificates {
        /// The object.
        url: String,
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// More objects than one listing takes.
    #[error("more than {limit} objects below \"{url}\"")]
    TooManyObjects {
        /// The folder.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// Nobody answers at the store's address.
    #[error("could not read or write \"{url}\": {endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// The object.
        url: String,
        /// The store's address.
        endpoint: String,
        /// The last cause.
        reason: String,
    },
    /// The store failed.
    #[error("could not read or write \"{url}\": {}", brief(source))]
    Io {
        /// The object.
        url: String,
        /// The store's words.
        source: object_store::Error,
    },
}

impl ReportError for StorageError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::NotFound { .. } | Self::AlreadyExists { .. } | Self::Unreachable { .. } | Self::Io { .. } => SqlState::IO_ERROR,
            Self::BadUrl { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Self::BadProperty { .. } | Self::BadProfile { .. } | Self::BadCertificates { .. } => SqlState::CONFIG_FILE_ERROR,
            Self::Refused { refusal: Refusal::AccessDenied, .. } => SqlState::INSUFFICIENT_PRIVILEGE,
            Self::Refused { .. } => SqlState::IO_ERROR,
            Self::Credentials { report, .. } => report.sqlstate,
            Self::OutOfRange { .. } => SqlState::DATA_CORRUPTED,
            Self::TooLarge { .. } | Self::TooManyBuckets { .. } | Self::TooManyObjects { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.hint().to_owned()),
            Self::Credentials { report, .. } => report.hint.clone(),
            Self::BadProfile { .. } => Some("Set s3.access-key-id and s3.secret-access-key, or another AWS_PROFILE.".to_owned()),
            Self::Unreachable { reason, .. } if reason.contains("certificate") => Some(
                "AWS_CA_BUNDLE, or SSL_CERT_FILE, names a file with the certificate of the authority that signed the store's.".to_owned(),
            ),
            Self::Unreachable { .. } => Some(
                "Check s3.endpoint of the catalog, or AWS_ENDPOINT_URL_S3; without either, and s3.region, buckets are looked for at AWS."
                    .to_owned(),
            ),
            Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::BadUrl { .. }
            | Self::BadProperty { .. }
            | Self::BadCertificates { .. }
            | Self::OutOfRange { .. }
            | Self::TooLarge { .. }
            | Self::TooManyBuckets { .. }
            | Self::TooManyObjects { .. }
            | Self::Io { .. } => None,
        }
    }
}
