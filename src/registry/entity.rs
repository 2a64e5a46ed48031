//! [`Entity`]: a named tuple of join keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What features are about: a customer, a driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// Its keys, in declared order; never empty.
    pub keys: Vec<JoinKey>,
    /// `COMMENT '…'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// `TAGS (…)`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// One key column of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinKey {
    /// The name that entity rows use for it.
    pub name: String,
    /// PostgreSQL's canonical spelling of its type: `bigint`, `text`, `numeric(10,2)`.
    pub data_type: String,
}
