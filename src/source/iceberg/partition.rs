//! [`PartitionSpec`] and [`PartitionTuple`]: how a file's rows are alike.

use std::hash::{Hash, Hasher};

use serde::Deserialize;

use super::datum::Datum;
use super::transform::Transform;

/// How files were cut at one time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartitionSpec {
    /// Files name it by this.
    pub spec_id: i32,
    /// Outermost first.
    pub fields: Vec<PartitionField>,
}

/// One field of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RawPartitionField")]
pub struct PartitionField {
    /// Its columns: one, except for transforms of several.
    pub source_ids: Vec<i32>,
    /// Its own id; none where version 1 gives none (see `PartitionSpec::with_field_ids`).
    pub field_id: i32,
    /// Its name.
    pub name: String,
    /// From column to partition.
    pub transform: Transform,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawPartitionField {
    source_id: Option<i32>,
    source_ids: Option<Vec<i32>>,
    field_id: Option<i32>,
    name: String,
    transform: Transform,
}

/// Stands for "not given" until [`PartitionSpec::with_field_ids`] has counted.
const NO_FIELD_ID: i32 = -1;

impl From<RawPartitionField> for PartitionField {
    fn from(raw: RawPartitionField) -> Self {
        let source_ids = raw.source_ids.or_else(|| raw.source_id.map(|id| vec![id])).unwrap_or_default();
        Self { source_ids, field_id: raw.field_id.unwrap_or(NO_FIELD_ID), name: raw.name, transform: raw.transform }
    }
}

impl PartitionField {
    /// The column, if it is exactly one.
    pub fn source_id(&self) -> Option<i32> {
        match self.source_ids.as_slice() {
            [id] => Some(*id),
            _ => None,
        }
    }
}

impl PartitionSpec {
    /// Version 1 numbered partition fields implicitly, from 1000.
    #[must_use]
    pub(super) fn with_field_ids(mut self) -> Self {
        for (position, field) in self.fields.iter_mut().enumerate() {
            if field.field_id == NO_FIELD_ID {
                field.field_id = 1000 + i32::try_from(position).unwrap_or(0);
            }
        }
        self
    }

    /// Whether all files under it are in one partition: no field, or only void ones.
    pub fn is_unpartitioned(&self) -> bool {
        self.fields.iter().all(|field| field.transform == Transform::Void)
    }
}

/// A file's partition: one value for each field of its spec, in the spec's order.
#[derive(Debug, Clone, Default)]
pub struct PartitionTuple {
    /// The values; none is NULL.
    pub values: Vec<Option<Datum>>,
}

impl PartialEq for PartitionTuple {
    /// By value, also between an int and the long that it was promoted to.
    fn eq(&self, other: &Self) -> bool {
        self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|(a, b)| match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => a.equal_key(b),
                _ => false,
            })
    }
}

impl Eq for PartitionTuple {}

impl Hash for PartitionTuple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.values.len().hash(state);
        for value in &self.values {
            value.is_some().hash(state);
            if let Some(value) = value {
                value.hash_key(state);
            }
        }
    }
}
