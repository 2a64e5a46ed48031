//! [`Schema`]: a table's columns at one time, with lookups by field id at any depth.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::types::{NestedField, StructType};

/// Deeper nesting than this is refused: it only occurs in files made to break readers.
const MAX_DEPTH: usize = 64;

/// Columns, with ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// Its number in the table; 0 where version 1 gives none.
    pub schema_id: i32,
    /// The columns.
    pub columns: StructType,
    /// Which columns identify a row, by the table's owner; not enforced.
    pub identifier_field_ids: Vec<i32>,
    by_id: HashMap<i32, Located>,
}

/// Where a field of any depth is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Located {
    field: Arc<NestedField>,
    parent: Option<i32>,
}

/// As JSON has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RawSchema {
    pub schema_id: Option<i32>,
    pub fields: StructType,
    #[serde(default)]
    pub identifier_field_ids: Option<Vec<i32>>,
}

impl Schema {
    /// Checks that ids are unique; the error is a sentence for a damaged file.
    pub fn new(schema_id: i32, columns: StructType, identifier_field_ids: Vec<i32>) -> Result<Self, String> {
        let mut by_id = HashMap::new();
        for field in &columns.fields {
            index(&mut by_id, field, None, 0)?;
        }
        Ok(Self { schema_id, columns, identifier_field_ids, by_id })
    }

    pub(super) fn from_raw(raw: RawSchema, default_id: i32) -> Result<Self, String> {
        Self::new(raw.schema_id.unwrap_or(default_id), raw.fields, raw.identifier_field_ids.unwrap_or_default())
    }

    /// The columns in order.
    pub fn fields(&self) -> &[Arc<NestedField>] {
        &self.columns.fields
    }

    /// The field of this id, at any depth.
    pub fn field(&self, id: i32) -> Option<&Arc<NestedField>> {
        self.by_id.get(&id).map(|located| &located.field)
    }

    /// The column of exactly this name.
    pub fn column(&self, name: &str) -> Option<&Arc<NestedField>> {
        self.columns.fields.iter().find(|field| field.name == name)
    }

    /// The field's ancestors and itself, outermost first.
    pub fn path(&self, id: i32) -> Vec<&Arc<NestedField>> {
        let mut path = Vec::new();
        let mut next = Some(id);
        while let Some(located) = next.and_then(|id| self.by_id.get(&id)) {
            path.push(&located.field);
            next = located.parent;
        }
        path.reverse();
        path
    }

    /// All ids of all depths.
    pub fn field_ids(&self) -> impl Iterator<Item = i32> + '_ {
        self.by_id.keys().copied()
    }
}

fn index(by_id: &mut HashMap<i32, Located>, field: &Arc<NestedField>, parent: Option<i32>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("types are nested deeper than {MAX_DEPTH}"));
    }
    let located = Located { field: Arc::clone(field), parent };
    if let Some(other) = by_id.insert(field.id, located) {
        return Err(format!("field id {} is used twice: by \"{}\" and \"{}\"", field.id, other.field.name, field.name));
    }
    field.field_type.children().into_iter().try_for_each(|child| index(by_id, child, Some(field.id), depth + 1))
}
