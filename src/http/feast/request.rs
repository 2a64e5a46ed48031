//! Bodies as the origin's callers write them.
//!
//! Read field by field from the JSON tree, not by a derive: an unknown field is named with what was perhaps meant, a missing one
//! and one of another type with their path, all as 22023. `schema` may be written `schema_name`, as the origin allowed; catalog, schema
//! and timestamp have its defaults.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Report, SqlState, perhaps_you_meant};
use crate::session::{DefinedFeature, LatestFeatures, ViewDefinition};

/// Features of one view at the most.
const MAX_FEATURES: usize = 1600;

/// The body of `POST /feast/features`.
#[derive(Debug)]
pub(super) struct FeatureViewRequest {
    /// What to create.
    pub(super) definition: ViewDefinition,
    /// Whether online serving was asked for, which there is not.
    pub(super) online: bool,
}

/// Reads the body of `POST /feast/features`.
pub(super) fn feature_view(body: &[u8]) -> Result<FeatureViewRequest, Report> {
    let mut fields = Fields::of_body(body, &["name", "entities", "features", "source", "ttl_seconds", "description", "tags", "online"])?;
    let name = fields.required("name", text)?;
    let entities = fields.required("entities", texts)?;
    let features = fields.required("features", |path, value| list(path, value, feature))?;
    if features.is_empty() {
        return Err(invalid("\"features\" is empty").hint("Name at least one feature."));
    }
    if features.len() > MAX_FEATURES {
        return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("a feature view can have at most {MAX_FEATURES} features")));
    }
    let (source, timestamp, created) = fields.required("source", source)?;
    let definition = ViewDefinition {
        name,
        entities,
        features,
        source,
        timestamp,
        created,
        ttl_seconds: fields.optional("ttl_seconds", integer)?,
        comment: fields.optional("description", text)?,
        tags: fields.optional("tags", tags)?.unwrap_or_default(),
    };
    Ok(FeatureViewRequest { definition, online: fields.optional("online", boolean)?.unwrap_or(false) })
}

/// Reads the body of `POST /feast/predictions/batch`.
pub(super) fn batch(body: &[u8], max_rows: usize) -> Result<LatestFeatures, Report> {
    let mut fields = Fields::of_body(body, &["feature_views", "entities", "full_feature_names"])?;
    let feature_views = fields.required("feature_views", texts)?;
    let full_feature_names = fields.optional("full_feature_names", boolean)?;
    let rows = fields.required("entities", |path, value| match value {
        Value::Array(rows) => Ok(rows),
        other => Err(wrong(path, "an array of objects", &other)),
    })?;
    if rows.len() > max_rows {
        return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("{} entity rows are more than {max_rows}", rows.len()))
            .hint("[http] max_entity_rows sets the limit; COPY FROM STDIN takes entity rows of any number."));
    }
    let row = |(index, value): (usize, Value)| match value {
        Value::Object(row) => Ok(row),
        other => Err(wrong(&format!("entities[{index}]"), "an object", &other)),
    };
    let entities = rows.into_iter().enumerate().map(row).collect::<Result<_, _>>()?;
    Ok(LatestFeatures { feature_views, full_feature_names, entities })
}

/// An object's fields, taken out one by one.
struct Fields {
    path: String,
    fields: Map<String, Value>,
}

impl Fields {
    fn of_body(body: &[u8], known: &[&str]) -> Result<Self, Report> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Report::new(SqlState::INVALID_TEXT_REPRESENTATION, "the body is not JSON").detail(error.to_string()))?;
        Self::of("", value, known)
    }

    fn of(path: &str, value: Value, known: &[&str]) -> Result<Self, Report> {
        let Value::Object(fields) = value else { return Err(wrong(if path.is_empty() { "the body" } else { path }, "an object", &value)) };
        let this = Self { path: path.to_owned(), fields };
        if let Some(unknown) = this.fields.keys().find(|name| !known.contains(&name.as_str())) {
            let report = invalid(format!("unknown field \"{}\"", this.path_of(unknown)));
            return Err(match perhaps_you_meant(unknown, known.iter().copied()) {
                Some(hint) => report.hint(hint),
                None => report.hint(format!("The fields are {}.", known.join(", "))),
            });
        }
        Ok(this)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn optional<T>(&mut self, name: &str, read: impl FnOnce(&str, Value) -> Result<T, Report>) -> Result<Option<T>, Report> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(&self.path_of(name), value).map(Some),
        }
    }

    fn required<T>(&mut self, name: &str, read: impl FnOnce(&str, Value) -> Result<T, Report>) -> Result<T, Report> {
        self.optional(name, read)?.ok_or_else(|| invalid(format!("field \"{}\" is missing", self.path_of(name))))
    }
}

fn feature(path: &str, value: Value) -> Result<DefinedFeature, Report> {
    let mut fields = Fields::of(path, value, &["name", "dtype", "description", "tags"])?;
    let feature = DefinedFeature {
        name: fields.required("name", text)?,
        dtype: fields.required("dtype", text)?,
        comment: fields.optional("description", text)?,
    };
    match fields.optional("tags", tags)? {
        Some(tags) if !tags.is_empty() => {
            Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("\"{path}.tags\": features have no tags"))
                .hint("Tag the feature view."))
        }
        _ => Ok(feature),
    }
}

type Source = ([String; 3], String, Option<String>);

fn source(path: &str, value: Value) -> Result<Source, Report> {
    let known = ["catalog", "schema", "schema_name", "table_name", "timestamp_field", "created_timestamp_column"];
    let mut fields = Fields::of(path, value, &known)?;
    let catalog = fields.optional("catalog", text)?.unwrap_or_else(|| "iceberg".to_owned());
    let schema = match (fields.optional("schema", text)?, fields.optional("schema_name", text)?) {
        (Some(_), Some(_)) => return Err(invalid(format!("\"{path}\" has both \"schema\" and \"schema_name\""))),
        (one, other) => one.or(other).unwrap_or_else(|| "gold".to_owned()),
    };
    let table = fields.required("table_name", text)?;
    let timestamp = fields.optional("timestamp_field", text)?.unwrap_or_else(|| "event_timestamp".to_owned());
    Ok(([catalog, schema, table], timestamp, fields.optional("created_timestamp_column", text)?))
}

fn text(path: &str, value: Value) -> Result<String, Report> {
    match value {
        Value::String(text) if text.trim().is_empty() => Err(invalid(format!("\"{path}\" is empty"))),
        Value::String(text) if text.contains('\0') => Err(invalid(format!("\"{path}\" holds a zero byte"))),
        Value::String(text) => Ok(text),
        other => Err(wrong(path, "text", &other)),
    }
}

fn texts(path: &str, value: Value) -> Result<Vec<String>, Report> {
    list(path, value, text)
}

fn list<T>(path: &str, value: Value, read: impl Fn(&str, Value) -> Result<T, Report>) -> Result<Vec<T>, Report> {
    match value {
        Value::Array(values) => values.into_iter().enumerate().map(|(index, value)| read(&format!("{path}[{index}]"), value)).collect(),
        other => Err(wrong(path, "an array", &other)),
    }
}

fn tags(path: &str, value: Value) -> Result<BTreeMap<String, String>, Report> {
    match value {
        Value::Object(tags) => tags.into_iter().map(|(name, value)| Ok((name.clone(), text(&format!("{path}.{name}"), value)?))).collect(),
        other => Err(wrong(path, "an object of texts", &other)),
    }
}

fn integer(path: &str, value: Value) -> Result<i64, Report> {
    value.as_i64().ok_or_else(|| wrong(path, "an integer", &value))
}

fn boolean(path: &str, value: Value) -> Result<bool, Report> {
    value.as_bool().ok_or_else(|| wrong(path, "true or false", &value))
}

fn invalid(message: impl Into<String>) -> Report {
    Report::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn wrong(path: &str, expected: &str, found: &Value) -> Report {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    invalid(if path == "the body" {
        format!("the body must be {expected}, not {found}")
    } else {
        format!("\"{path}\" must be {expected}, not {found}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> (String, String) {
        let report = feature_view(body.as_bytes()).unwrap_err();
        (report.message, report.hint.unwrap_or_default())
    }

    const SOURCE: &str = r#""source": {"table_name": "t", "timestamp_field": "ts"}"#;

    #[test]
    fn the_origins_body_is_read() {
        let body = r#"{"name": "customer_features", "entities": ["customer_id"],
            "features": [{"name": "total_orders", "dtype": "int64"}, {"name": "avg", "dtype": "float64", "description": "mean"}],
            "source": {"catalog": "iceberg", "schema": "gold", "table_name": "customer_aggregates", "timestamp_field": "updated_at"},
            "online": false, "ttl_seconds": 86400, "tags": {"team": "growth"}}"#;
        let FeatureViewRequest { definition, online } = feature_view(body.as_bytes()).unwrap();
        assert!(!online);
        assert_eq!(definition.source, ["iceberg", "gold", "customer_aggregates"]);
        assert_eq!((definition.timestamp.as_str(), definition.ttl_seconds), ("updated_at", Some(86400)));
        assert_eq!(definition.features[1].comment.as_deref(), Some("mean"));
        assert_eq!(definition.tags["team"], "growth");
        let body = format!(r#"{{"name": "v", "entities": [], "features": [{{"name": "f", "dtype": "string"}}], {SOURCE}}}"#);
        let defaults = feature_view(body.as_bytes()).unwrap().definition;
        assert_eq!((defaults.source, defaults.ttl_seconds), (["iceberg".to_owned(), "gold".to_owned(), "t".to_owned()], None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, message) in [
            ("{", "the body is not JSON"),
            ("[]", "the body must be an object, not an array"),
            (r#"{"name": 5}"#, "\"name\" must be text, not a number"),
            (r#"{"name": ""}"#, "\"name\" is empty"),
            (r#"{"name": "v", "entities": ["a", 1]}"#, "\"entities[1]\" must be text, not a number"),
            (r#"{"name": "v", "entities": [], "features": []}"#, "\"features\" is empty"),
            (r#"{"name": "v", "entities": [], "features": [{"name": "f"}]}"#, "field \"features[0].dtype\" is missing"),
        ] {
            assert_eq!(refused(body).0, message, "{body}");
        }
        let (message, hint) = refused(r#"{"name": "v", "entitis": []}"#);
        assert_eq!((message.as_str(), hint.as_str()), ("unknown field \"entitis\"", "Perhaps you meant \"entities\"."));
        let body = r#"{"name": "v", "entities": [], "features": [{"name": "f", "dtype": "int64"}], "source": {"table": "t"}}"#;
        assert_eq!(refused(body).0, "unknown field \"source.table\"");
    }

    #[test]
    fn rows_are_bounded_and_objects() {
        let body = r#"{"feature_views": ["v"], "entities": [{"id": 1}, {"id": 2}]}"#;
        assert_eq!(batch(body.as_bytes(), 2).unwrap().entities.len(), 2);
        assert_eq!(batch(body.as_bytes(), 1).unwrap_err().message, "2 entity rows are more than 1");
        let body = r#"{"feature_views": ["v"], "entities": [{"id": 1}, 2]}"#;
        assert_eq!(batch(body.as_bytes(), 2).unwrap_err().message, "\"entities[1]\" must be an object, not a number");
    }
}
