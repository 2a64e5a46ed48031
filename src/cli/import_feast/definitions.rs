//! Feast's objects as ours, printed as DDL.
//!
//! What has no meaning here becomes a comment that says why and what to do, so that nothing is lost in silence. Names and types are
//! Feast's; whether they are the table's is checked when the DDL is run. A source that is a folder of files becomes the Iceberg
//! table that such folders belong to (`…/schema/table-uuid/data/*.parquet`), unless `--table` names another.

use std::collections::BTreeMap;

use super::registry::{FeastEntity, FeastField, FeastPlace, FeastSource, FeastView, Registered};
use crate::pg_type::{PgType, of_feast};
use crate::registry::{
    ColumnBinding, Entity, EntityBinding, Feature, FeatureView, JoinKey, Scan, TimeToLive, ViewSource, entity_definition,
    feature_view_definition,
};

/// `feast.types.ValueType`, by its numbers; sets are lists here.
const VALUE_TYPES: &[(u64, &str)] = &[
    (1, "bytes"),
    (2, "string"),
    (3, "int32"),
    (4, "int64"),
    (5, "double"),
    (6, "float"),
    (7, "bool"),
    (8, "unix_timestamp"),
    (11, "bytes_list"),
    (12, "string_list"),
    (13, "int32_list"),
    (14, "int64_list"),
    (15, "double_list"),
    (16, "float_list"),
    (17, "bool_list"),
    (18, "unix_timestamp_list"),
    (20, "map"),
    (22, "bytes_list"),
    (23, "string_list"),
    (24, "int32_list"),
    (25, "int64_list"),
    (26, "double_list"),
    (27, "float_list"),
    (28, "bool_list"),
    (29, "unix_timestamp_list"),
    (32, "json"),
    (34, "struct"),
    (36, "uuid"),
    (37, "uuid"),
    (38, "uuid_list"),
    (44, "decimal"),
    (48, "unix_timestamp"),
];

/// What `--table` and `--catalog` say.
#[derive(Debug, Default)]
pub struct Mapping {
    /// `catalog.schema.table`, by feature view.
    pub tables: BTreeMap<String, String>,
    /// The catalog of tables that name none.
    pub catalog: String,
}

/// All definitions, entities first; each ends with a semicolon, or is a comment.
pub fn definitions(registered: &Registered, mapping: &Mapping) -> Vec<String> {
    let mut out = Vec::new();
    for entity in &registered.entities {
        out.push(format!("{};", entity_definition(&entity_of(entity, registered))));
    }
    for view in &registered.views {
        out.push(match view_of(view, registered, mapping) {
            Ok((view, notes)) => {
                let notes: String = notes.iter().map(|note| format!("-- {note}\n")).collect();
                format!("{notes}{};", feature_view_definition(&view))
            }
            Err(why) => commented(&format!("feature view {}: {why}", view.name)),
        });
    }
    for (name, references) in &registered.services {
        let references: Vec<String> = references.iter().map(|reference| format!("'{reference}'")).collect();
        out.push(commented(&format!("feature service {name}: name its features in the call, as ARRAY[{}]", references.join(", "))));
    }
    for name in &registered.on_demand {
        out.push(commented(&format!("on demand feature view {name}: its Python is not read; write it as SQL over the features")));
    }
    out
}

fn commented(text: &str) -> String {
    text.lines().map(|line| format!("-- {line}")).collect::<Vec<_>>().join("\n")
}

/// The name of a type in SQL; text where Feast does not say.
fn sql_type(value_type: u64) -> String {
    let name = VALUE_TYPES.iter().find(|(number, _)| *number == value_type).map_or("string", |(_, name)| name);
    let pg_type = of_feast(name).and_then(|types| types.first().copied()).unwrap_or(PgType::TEXT);
    pg_type.format(-1)
}

/// The key's type is what the views that use it say; the entity itself often says nothing.
fn entity_of(entity: &FeastEntity, registered: &Registered) -> Entity {
    let by_views = registered
        .views
        .iter()
        .filter(|view| view.entities.contains(&entity.name))
        .flat_map(|view| &view.entity_columns)
        .find(|column| column.name == entity.join_key && column.value_type != 0);
    let value_type = by_views.map_or(entity.value_type, |column| column.value_type);
    Entity {
        name: entity.name.clone(),
        keys: vec![JoinKey { name: entity.join_key.clone(), data_type: sql_type(value_type) }],
        comment: Some(entity.description.clone()).filter(|text| !text.is_empty()),
        tags: entity.tags.clone(),
    }
}

fn view_of(view: &FeastView, registered: &Registered, mapping: &Mapping) -> Result<(FeatureView, Vec<String>), String> {
    let source = view.source.as_ref().ok_or("it has no batch source")?;
    let mut notes = Vec::new();
    if view.online {
        notes.push(format!("{} was served online; get_latest_features answers from the table itself", view.name));
    }
    if source.timestamp.is_empty() {
        return Err("its source names no timestamp_field; a feature view needs a TIMESTAMP".to_owned());
    }
    let entities = view.entities.iter().filter(|name| *name != "__dummy");
    let entities = entities.map(|name| entity_binding(name, source, registered)).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<&str> = view.entity_columns.iter().map(|column| column.name.as_str()).collect();
    let features = view.features.iter().filter(|feature| !keys.contains(&feature.name.as_str()));
    let result = FeatureView {
        name: view.name.clone(),
        entities,
        source: place(view, source, mapping)?,
        timestamp: binding(&source.timestamp),
        created: Some(&source.created).filter(|column| !column.is_empty()).map(|column| binding(column)),
        valid_until: None,
        ttl: time_to_live(view.ttl_seconds),
        features: features.map(|feature| feature_of(feature, source)).collect(),
        comment: Some(view.description.clone()).filter(|text| !text.is_empty()),
        tags: view.tags.clone(),
        online: false,
        owner: Some(view.owner.clone()).filter(|owner| !owner.is_empty()),
        scan: Scan::Snapshot,
    };
    Ok((result, notes))
}

fn binding(column: &str) -> ColumnBinding {
    ColumnBinding { name: column.to_owned(), field_id: None, data_type: None }
}

/// The source's name for a column of Feast's.
fn own<'a>(name: &'a str, source: &'a FeastSource) -> &'a str {
    source.columns.get(name).map_or(name, String::as_str)
}

fn entity_binding(name: &str, source: &FeastSource, registered: &Registered) -> Result<EntityBinding, String> {
    let entity =
        registered.entities.iter().find(|entity| entity.name == name).ok_or_else(|| format!("its entity {name} is not registered"))?;
    Ok(EntityBinding { entity: name.to_owned(), columns: vec![binding(own(&entity.join_key, source))] })
}

fn feature_of(feature: &FeastField, source: &FeastSource) -> Feature {
    Feature {
        name: feature.name.clone(),
        data_type: sql_type(feature.value_type),
        column: binding(own(&feature.name, source)),
        comment: Some(feature.description.clone()).filter(|text| !text.is_empty()),
    }
}

/// Zero is no limit, as in Feast.
fn time_to_live(seconds: i64) -> Option<TimeToLive> {
    const DAY: i64 = 86_400;
    let (days, rest) = if seconds % DAY == 0 { (i32::try_from(seconds / DAY).ok()?, 0) } else { (0, seconds) };
    (seconds > 0).then(|| TimeToLive { months: 0, days, micros: rest.saturating_mul(1_000_000) })
}

fn place(view: &FeastView, source: &FeastSource, mapping: &Mapping) -> Result<ViewSource, String> {
    let say = |table: &str| format!("say --table {}=catalog.schema.{table}", view.name);
    if let Some(named) = mapping.tables.get(&view.name) {
        return table(named, mapping).ok_or_else(|| format!("\"{named}\" is not catalog.schema.table"));
    }
    match &source.place {
        FeastPlace::Table(name) => table(name, mapping).ok_or_else(|| format!("its table \"{name}\" has no schema; {}", say(name))),
        FeastPlace::Query(sql) => Ok(ViewSource::Query { sql: sql.trim().trim_end_matches(';').to_owned() }),
        FeastPlace::Files(path) => table_of_files(path, mapping).ok_or_else(|| {
            format!("its files \"{path}\" lie in no Iceberg table's folder (…/schema/table/data/*.parquet); {}", say("table"))
        }),
        FeastPlace::Foreign(kind) => Err(format!("its source is a {kind}, which holds no Iceberg table; {}", say("table"))),
        FeastPlace::Unknown => Err(format!("its source is of a kind that is not known; {}", say("table"))),
    }
}

/// `catalog.schema.table`, or `schema.table` of the default catalog; quotes as Trino writes them.
fn table(name: &str, mapping: &Mapping) -> Option<ViewSource> {
    let parts: Vec<String> = name.split('.').map(|part| part.trim().trim_matches(['"', '`']).to_owned()).collect();
    let (catalog, schema, table) = match parts.as_slice() {
        [catalog, schema, table] => (catalog.clone(), schema, table),
        [schema, table] => (mapping.catalog.clone(), schema, table),
        _ => return None,
    };
    if [&catalog, schema, table].into_iter().any(|part| part.is_empty()) {
        return None;
    }
    Some(ViewSource::Table { catalog, schema: schema.clone(), table: table.clone(), table_uuid: None, pin: None, path: None })
}

/// The table of `…/schema/table/data/…`: Trino adds a uuid to the folder's name, behind a dash or an underscore.
fn table_of_files(path: &str, mapping: &Mapping) -> Option<ViewSource> {
    let folder = path.rsplit_once("/data/").map_or_else(|| path.strip_suffix("/data"), |(folder, _)| Some(folder))?;
    let mut parts = folder.rsplit('/');
    let (name, schema) = (parts.next()?, parts.next()?.trim_end_matches(".db"));
    let is_uuid = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = match name.rsplit_once(['-', '_']) {
        Some((name, uuid)) if is_uuid(uuid) => name,
        _ => name,
    };
    table(&format!("{schema}.{name}"), mapping)
}

#[cfg(test)]
#[path = "definitions_tests.rs"]
mod tests;
