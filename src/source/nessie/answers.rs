//! The parts of Nessie's answers that we read.

use serde::Deserialize;

/// `GET /trees/{ref}`.
#[derive(Deserialize)]
pub(super) struct Single {
    pub reference: Reference,
}

/// `GET /trees`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct References {
    pub references: Vec<Reference>,
    pub token: Option<String>,
    #[serde(default)]
    pub has_more: bool,
}

/// A branch, a tag, or a commit by its hash.
#[derive(Deserialize)]
pub(super) struct Reference {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
    pub hash: Option<String>,
}

/// `GET /trees/{ref}/entries`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entries {
    pub entries: Vec<Entry>,
    pub effective_reference: Reference,
    pub token: Option<String>,
    #[serde(default)]
    pub has_more: bool,
}

/// A key of a commit.
#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Key,
}

/// A key.
#[derive(Deserialize)]
pub(super) struct Key {
    pub elements: Vec<String>,
}

impl Entry {
    /// What it is in; none for what is in nothing.
    pub(super) fn schema(&self) -> Option<String> {
        let (_, levels) = self.name.elements.split_last()?;
        (!levels.is_empty()).then(|| levels.join("."))
    }

    /// Its own name.
    pub(super) fn table(&self) -> Option<&str> {
        self.name.elements.last().map(String::as_str)
    }
}

/// `GET /trees/{ref}/contents/{key}`.
#[derive(Deserialize)]
pub(super) struct Contents {
    pub content: Content,
}

/// What a key holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    #[serde(rename = "type")]
    pub kind: String,
    pub metadata_location: Option<String>,
    pub snapshot_id: Option<i64>,
    pub schema_id: Option<i32>,
}

/// An answer that is no success.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    pub error_code: Option<String>,
    pub message: Option<String>,
}

/// A kind of content in words.
pub(super) fn spoken(kind: &str) -> String {
    match kind {
        "ICEBERG_VIEW" => "a view".to_owned(),
        "NAMESPACE" => "a namespace".to_owned(),
        "DELTA_LAKE_TABLE" => "a Delta Lake table".to_owned(),
        "UDF" => "a function".to_owned(),
        other => format!("of type {other}"),
    }
}
