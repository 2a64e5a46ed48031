//! The parts of a REST catalog's answers that we read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `GET /v1/config`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ConfigAnswer {
    pub defaults: BTreeMap<String, Option<String>>,
    pub overrides: BTreeMap<String, Option<String>>,
}

/// `GET …/tables/{table}`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LoadTable {
    pub metadata_location: Option<String>,
    pub metadata: Value,
    #[serde(default)]
    pub config: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    pub storage_credentials: Option<Vec<StorageCredential>>,
}

/// Properties for the files below a prefix.
#[derive(Deserialize)]
pub(super) struct StorageCredential {
    pub prefix: String,
    pub config: BTreeMap<String, Option<String>>,
}

/// `GET …/namespaces`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Namespaces {
    #[serde(default)]
    pub namespaces: Vec<Vec<String>>,
    pub next_page_token: Option<String>,
}

/// `GET …/tables`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Identifiers {
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
    pub next_page_token: Option<String>,
}

/// A table's name.
#[derive(Deserialize)]
pub(super) struct Identifier {
    pub name: String,
}

/// An answer that is no success.
#[derive(Deserialize, Default)]
pub(super) struct Failure {
    #[serde(default)]
    pub error: FailureKind,
}

/// Its kind.
#[derive(Deserialize, Default)]
pub(super) struct FailureKind {
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
}
