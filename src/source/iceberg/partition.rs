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

/// What a file's partition says of one field of its spec.
#[derive(Debug, Clone, PartialEq)]
pub enum PartitionValue {
    /// Nothing: the record that its writer made has no such field. The column is then in the file, if anywhere.
    Absent,
    /// All rows have NULL there.
    Null,
    /// All rows have this value there.
    Value(Datum),
}

impl PartitionValue {
    /// The value, if there is one.
    pub fn datum(&self) -> Option<&Datum> {
        match self {
            Self::Value(datum) => Some(datum),
            Self::Absent | Self::Null => None,
        }
    }
}

impl From<Option<Datum>> for PartitionValue {
    /// Of a field that is there.
    fn from(value: Option<Datum>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

/// A file's partition: one value for each field of its spec, in the spec's order.
#[derive(Debug, Clone, Default)]
pub struct PartitionTuple {
    /// The values.
    pub values: Vec<PartitionValue>,
}

impl PartialEq for PartitionTuple {
    /// By value, also between an int and the long that it was promoted to. What is absent is NULL here, as it is to the writers that
    /// compare partitions: a field that became void may be either.
    fn eq(&self, other: &Self) -> bool {
        self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|(a, b)| match (a.datum(), b.datum()) {
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
        for value in self.values.iter().map(PartitionValue::datum) {
            value.is_some().hash(state);
            if let Some(value) = value {
                value.hash_key(state);
            }
        }
    }
}
