//! [`NameMapping`]: field ids for files that carry none (`schema.name-mapping.default`).

use serde::Deserialize;

/// Names to ids, by depth.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct NameMapping {
    /// The columns.
    pub fields: Vec<MappedField>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MappedField {
    /// None: a name that means no field.
    pub field_id: Option<i32>,
    /// All its names; none: in no file.
    #[serde(default)]
    pub names: Vec<String>,
    /// Those inside it; of lists `element`, of maps `key` and `value`.
    #[serde(default)]
    pub fields: Vec<MappedField>,
}

impl NameMapping {
    /// The table property that holds it.
    pub const PROPERTY: &'static str = "schema.name-mapping.default";

    /// From the property's text.
    pub fn parse(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| format!("name mapping: {error}"))
    }

    /// The column of this name.
    pub fn find(&self, name: &str) -> Option<&MappedField> {
        find(&self.fields, name)
    }
}

impl MappedField {
    /// The field of this name inside it.
    pub fn find(&self, name: &str) -> Option<&MappedField> {
        find(&self.fields, name)
    }
}

fn find<'a>(fields: &'a [MappedField], name: &str) -> Option<&'a MappedField> {
    fields.iter().find(|field| field.names.iter().any(|one| one == name))
}
