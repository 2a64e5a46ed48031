//! DDL that re-creates an object exactly: what SHOW CREATE and `registry dump` print.
//!
//! Everything is spelt out (features with their types, entities with their columns), so that nothing depends on what
//! the source looks like when the text is run. Tests of `sql` and `plan` hold the round trip.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::error::key_list;
use super::{Entity, FeatureView, Pin, Scan, TimeToLive, ViewSource};
use crate::spelling::{interval, quote_ident, quote_literal};

impl std::fmt::Display for TimeToLive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&interval::text(self.months, self.days, self.micros))
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Branch(branch) => write!(f, "AT BRANCH {}", quote_literal(branch)),
            Self::Tag(tag) => write!(f, "AT TAG {}", quote_literal(tag)),
            Self::Snapshot(id) => write!(f, "AT SNAPSHOT {id}"),
            Self::Timestamp(timestamp) => write!(f, "AT TIMESTAMP {}", quote_literal(timestamp)),
        }
    }
}

/// `CREATE ENTITY …`, without a semicolon.
pub fn entity_definition(entity: &Entity) -> String {
    let mut text = format!("CREATE ENTITY {} KEY ({})", quote_ident(&entity.name), key_list(&entity.keys));
    comment_and_tags(&mut text, entity.comment.as_deref(), &entity.tags);
    text
}

/// `CREATE FEATURE VIEW …`, without a semicolon.
pub fn feature_view_definition(view: &FeatureView) -> String {
    let mut text = format!("CREATE FEATURE VIEW {}", quote_ident(&view.name));
    for (index, feature) in view.features.iter().enumerate() {
        text.push_str(if index == 0 { " (" } else { "," });
        let _ = write!(text, "\n    {} {}", quote_ident(&feature.name), feature.data_type);
        if feature.column.name != feature.name {
            let _ = write!(text, " FROM {}", quote_ident(&feature.column.name));
        }
        if let Some(comment) = &feature.comment {
            let _ = write!(text, " COMMENT {}", quote_literal(comment));
        }
    }
    if !view.features.is_empty() {
        text.push_str("\n)");
    }
    let entities: Vec<String> = view
        .entities
        .iter()
        .map(|binding| {
            let columns: Vec<String> = binding.columns.iter().map(|column| quote_ident(&column.name)).collect();
            format!("{} ({})", quote_ident(&binding.entity), columns.join(", "))
        })
        .collect();
    let _ = write!(text, "\n    ENTITIES ({})", entities.join(", "));
    if let ViewSource::Table { catalog, schema, table, pin, .. } = &view.source {
        let _ = write!(text, "\n    FROM {}.{}.{}", quote_ident(catalog), quote_ident(schema), quote_ident(table));
        if let Some(pin) = pin {
            let _ = write!(text, " {pin}");
        }
    }
    let _ = write!(text, "\n    TIMESTAMP {}", quote_ident(&view.timestamp.name));
    if let Some(created) = &view.created {
        let _ = write!(text, "\n    CREATED TIMESTAMP {}", quote_ident(&created.name));
    }
    if let Some(valid_until) = &view.valid_until {
        let _ = write!(text, "\n    VALID UNTIL {}", quote_ident(&valid_until.name));
    }
    if let Some(ttl) = &view.ttl {
        let _ = write!(text, "\n    TTL INTERVAL '{ttl}'");
    }
    comment_and_tags(&mut text, view.comment.as_deref(), &view.tags);
    let mut options = Vec::new();
    if view.online {
        options.push("online = true".to_owned());
    }
    if let Some(owner) = &view.owner {
        options.push(format!("owner = {}", quote_literal(owner)));
    }
    match view.scan {
        Scan::Snapshot => {}
        Scan::Glob => options.push("scan = 'glob'".to_owned()),
    }
    if !options.is_empty() {
        let _ = write!(text, "\n    WITH ({})", options.join(", "));
    }
    if let ViewSource::Query { sql } = &view.source {
        let _ = write!(text, "\n    AS {sql}");
    }
    text
}

fn comment_and_tags(text: &mut String, comment: Option<&str>, tags: &BTreeMap<String, String>) {
    if let Some(comment) = comment {
        let _ = write!(text, "\n    COMMENT {}", quote_literal(comment));
    }
    if !tags.is_empty() {
        let tags: Vec<String> = tags.iter().map(|(name, value)| format!("{} = {}", quote_ident(name), quote_literal(value))).collect();
        let _ = write!(text, "\n    TAGS ({})", tags.join(", "));
    }
}
