//! A TOML file as settings. TOML's own nesting and dots in quoted keys (`"s3.endpoint"`) come out the same. A YAML file is Feast's.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::setting::{Origin, Setting, Value};
use super::{ConfigError, feast};

/// The file's settings, in the order in which they are written.
pub(super) fn settings(path: &Path, text: &str, environment: &BTreeMap<String, String>) -> Result<Vec<Setting>, ConfigError> {
    if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
        return feast::settings(path, text, environment);
    }
    let document = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        ConfigError::Syntax { origin: place(path, text, offset), message: error.message().to_owned() }
    })?;
    let mut found = Vec::new();
    walk(document.get_ref(), &mut Vec::new(), &mut found);
    found.sort_by_key(|(offset, _, _)| *offset);
    Ok(found.into_iter().map(|(offset, key, value)| Setting { path: key, value, origin: place(path, text, offset) }).collect())
}

fn walk(table: &DeTable<'_>, prefix: &mut Vec<String>, found: &mut Vec<(usize, Vec<String>, Value)>) {
    for (key, value) in table {
        let depth = prefix.len();
        // User names may hold dots; everything else of ours that is quoted with a dot is a property name.
        if prefix.as_slice() == ["auth", "users"] {
            prefix.push(key.get_ref().to_string());
        } else {
            prefix.extend(key.get_ref().split('.').map(str::to_owned));
        }
        let value = match value.get_ref() {
            // An empty section still counts: `[tls]` alone is a wish for TLS, `[catalogs.lake]` for a catalog.
            DeValue::Table(inner) if inner.is_empty() && !may_be_empty(prefix) => Some(Value::Other("a table")),
            DeValue::Table(inner) => {
                walk(inner, prefix, found);
                None
            }
            DeValue::String(text) => Some(Value::Text(text.to_string())),
            DeValue::Integer(number) => Some(Value::Integer(number.to_string())),
            DeValue::Boolean(value) => Some(Value::Boolean(*value)),
            DeValue::Float(_) => Some(Value::Other("a float")),
            DeValue::Datetime(_) => Some(Value::Other("a date")),
            DeValue::Array(_) => Some(Value::Other("an array")),
        };
        if let Some(value) = value {
            found.push((key.span().start, prefix.clone(), value));
        }
        prefix.truncate(depth);
    }
}

/// Sections that mean nothing when nothing is in them.
fn may_be_empty(path: &[String]) -> bool {
    matches!(
        path.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
        ["catalogs" | "auth" | "limits" | "telemetry" | "http"] | ["auth", "users"]
    )
}

/// Line and column of a byte of the text.
fn place(path: &Path, text: &str, offset: usize) -> Origin {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Origin::File { path: path.to_owned(), line, column }
}
