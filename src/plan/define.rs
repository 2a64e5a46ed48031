//! `CREATE ENTITY` and `CREATE FEATURE VIEW` to registry changes, validated against the live source.
//!
//! Everything that can be wrong is found before anything is written: the table, its columns, their types, the names. What
//! depends on other definitions (a name that is taken) is checked here for a good message and again by the registry, which decides.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::sql::sqlparser::ast::{DataType as SqlDataType, Distinct, LimitClause, Query, SetExpr, Visit, Visitor};

use super::feature_view::{field_id, is_time};
use super::resolve::timestamp;
use super::{Planner, StatementSettings};
use crate::error::{Report, SqlState, perhaps_you_meant};
use crate::exec::point_in_time_join::comparable_keys;
use crate::pg_type::PgType;
use crate::registry::{
    ColumnBinding, Entity, EntityBinding, Feature, FeatureView, JoinKey, Pin, RegistryChange, Scan, TimeToLive, ViewSource,
};
use crate::source::{SnapshotRef, TableIdent};
use crate::sql::{CreateEntity, CreateFeatureView, EntityRef, FeatureDefinition, Ident, PinClause, SourceClause, SourceName};
use crate::table::{SnapshotTable, TableOptions};

/// The source of a view under creation.
pub(super) struct Source {
    pub(super) source: ViewSource,
    pub(super) schema: Arc<Schema>,
    /// What messages call it.
    pub(super) name: String,
}

impl Planner {
    /// `CREATE ENTITY`.
    pub fn create_entity(&self, create: &CreateEntity) -> Result<RegistryChange, Report> {
        let mut keys: Vec<JoinKey> = Vec::with_capacity(create.keys.len());
        for key in &create.keys {
            if keys.iter().any(|taken| taken.name == key.name.name) {
                return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("join key \"{}\" specified more than once", key.name.name))
                    .position(key.name.position));
            }
            let (pg_type, data_type) = declared(&key.data_type, key.type_position)?;
            if is_float(&pg_type.arrow()) {
                return Err(float_key(&key.name.name, &data_type).position(key.type_position));
            }
            keys.push(JoinKey { name: key.name.name.clone(), data_type });
        }
        let entity = Entity {
            name: create.name.name.clone(),
            keys,
            comment: create.comment.clone(),
            tags: create.tags.iter().map(|(name, value)| (name.name.clone(), value.clone())).collect(),
        };
        Ok(RegistryChange::CreateEntity { entity, if_not_exists: create.if_not_exists })
    }

    /// `CREATE FEATURE VIEW`.
    pub async fn create_feature_view(
        &self,
        create: &CreateFeatureView,
        settings: &StatementSettings<'_>,
    ) -> Result<RegistryChange, Report> {
        if let Some(existing) = settings.registry.feature_views.get(&create.name.name)
            && !create.or_replace
        {
            if !create.if_not_exists {
                return Err(Report::new(SqlState::DUPLICATE_TABLE, format!("feature view \"{}\" already exists", create.name.name))
                    .hint("CREATE OR REPLACE FEATURE VIEW replaces it.")
                    .position(create.name.position));
            }
            return Ok(RegistryChange::CreateFeatureView {
                view: Box::new(existing.clone()),
                new_entities: vec![],
                or_replace: false,
                if_not_exists: true,
            });
        }
        let scan = self.options(create)?;
        let ttl = time_to_live(create)?;
        let source = match scan.scan {
            Scan::Snapshot => self.source(create, settings).await?,
            Scan::Glob => self.glob_source(create, settings).await?,
        };
        let mut new_entities = Vec::new();
        let mut entities = Vec::with_capacity(create.entities.len());
        for entity in &create.entities {
            entities.push(bind_entity(entity, &source, settings, &mut new_entities)?);
        }
        let timestamp = time_column(&create.timestamp, "TIMESTAMP", &source)?;
        let created = create.created.as_ref().map(|column| time_column(column, "CREATED TIMESTAMP", &source)).transpose()?;
        let valid_until = create.valid_until.as_ref().map(|column| time_column(column, "VALID UNTIL", &source)).transpose()?;
        let mut used: Vec<String> = entities.iter().flat_map(|entity| entity.columns.iter().map(|column| column.name.clone())).collect();
        used.extend([Some(&timestamp), created.as_ref(), valid_until.as_ref()].into_iter().flatten().map(|column| column.name.clone()));
        let features = match &create.features {
            Some(definitions) => definitions.iter().map(|definition| feature(definition, &source)).collect::<Result<Vec<_>, _>>()?,
            None => source
                .schema
                .fields()
                .iter()
                .filter(|field| !used.contains(field.name()))
                .map(|field| Feature {
                    name: field.name().clone(),
                    data_type: PgType::sql_name(field),
                    column: binding(field),
                    comment: None,
                })
                .collect(),
        };
        let view = FeatureView {
            name: create.name.name.clone(),
            entities,
            source: source.source,
            timestamp,
            created,
            valid_until,
            ttl,
            features,
            comment: create.comment.clone(),
            tags: create.tags.iter().map(|(name, value)| (name.name.clone(), value.clone())).collect(),
            online: scan.online,
            owner: scan.owner,
            scan: scan.scan,
        };
        distinct_names(create, &view, settings, &new_entities)?;
        Ok(RegistryChange::CreateFeatureView {
            view: Box::new(view),
            new_entities,
            or_replace: create.or_replace,
            if_not_exists: create.if_not_exists,
        })
    }

    fn options(&self, create: &CreateFeatureView) -> Result<Options, Report> {
        let mut options = Options::default();
        for option in &create.options {
            let invalid = |expected: &str| {
                Report::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid value for option \"{}\": \"{}\"", option.name.name, option.value),
                )
                .hint(format!("It is {expected}."))
                .position(option.name.position)
            };
            match option.name.name.as_str() {
                "online" => {
                    options.online = match option.value.as_str() {
                        "true" | "on" | "1" => true,
                        "false" | "off" | "0" => false,
                        _ => return Err(invalid("true or false")),
                    };
                    if options.online {
                        return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "online feature views are not supported yet")
                            .hint("get_latest_features answers with the newest values from the table itself.")
                            .position(option.name.position));
                    }
                }
                "scan" => match option.value.as_str() {
                    "snapshot" => options.scan = Scan::Snapshot,
                    "glob" => options.scan = Scan::Glob,
                    _ => return Err(invalid("'snapshot' or 'glob'")),
                },
                "owner" => options.owner = Some(option.value.clone()),
                unknown => {
                    let report = Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized option \"{unknown}\""))
                        .position(option.name.position);
                    return Err(match perhaps_you_meant(unknown, ["online", "scan", "owner"]) {
                        Some(hint) => report.hint(hint),
                        None => report.hint("The options are online, scan and owner."),
                    });
                }
            }
        }
        Ok(options)
    }

    async fn source(&self, create: &CreateFeatureView, settings: &StatementSettings<'_>) -> Result<Source, Report> {
        match &create.source {
            SourceClause::Table { table, pin } => {
                let ident = self.table_ident(table)?;
                let (at, pin) = match pin {
                    None => (SnapshotRef::Current, None),
                    Some(PinClause::Branch(name)) => (SnapshotRef::Branch(name.clone()), Some(Pin::Branch(name.clone()))),
                    Some(PinClause::Tag(name)) => (SnapshotRef::Tag(name.clone()), Some(Pin::Tag(name.clone()))),
                    Some(PinClause::Snapshot(id)) => (SnapshotRef::Snapshot(*id), Some(Pin::Snapshot(*id))),
                    Some(PinClause::Timestamp(text)) => (SnapshotRef::Timestamp(timestamp(text)?), Some(Pin::Timestamp(text.clone()))),
                };
                let position = table.parts.first().map_or(1, |part| part.position);
                let snapshot = self.snapshot(&ident, &at, settings).await.map_err(|report| report.position(position))?;
                let name = ident.to_string();
                let schema = SnapshotTable::new(Arc::clone(&snapshot), TableOptions::default())?.schema();
                let source = ViewSource::Table {
                    catalog: ident.catalog,
                    schema: ident.schema,
                    table: ident.table,
                    table_uuid: snapshot.table_uuid().map(|uuid| uuid.to_string()),
                    pin,
                    path: Some(self.sources.data_pattern(&snapshot).await),
                };
                Ok(Source { source, schema, name })
            }
            SourceClause::Query { text, query, position } => {
                one_answer(query).map_err(|report| report.position(*position))?;
                let plan = self.view_query(text, None, settings).await?;
                let schema = Arc::new(plan.schema().as_arrow().clone());
                let mut names: Vec<&str> = schema.fields().iter().map(|field| super::column_names::shown(field.name())).collect();
                names.sort_unstable();
                if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{}\" specified more than once", pair[0]))
                        .hint("Give one of them another name with AS."));
                }
                Ok(Source { source: ViewSource::Query { sql: text.clone() }, schema, name: "the query".to_owned() })
            }
        }
    }

    /// `catalog.schema.table`: always three parts.
    pub(super) fn table_ident(&self, name: &SourceName) -> Result<TableIdent, Report> {
        match name.parts.as_slice() {
            [catalog, schema, table] => {
                Ok(TableIdent { catalog: catalog.name.clone(), schema: schema.name.clone(), table: table.name.clone() })
            }
            parts => {
                let spelled = parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(".");
                let position = parts.first().map_or(1, |part| part.position);
                let catalogs = self.sources.names();
                let example = catalogs.first().copied().unwrap_or("catalog");
                Err(Report::new(SqlState::UNDEFINED_TABLE, format!("source table \"{spelled}\" does not exist"))
                    .hint(format!(
                        "A source table has three parts, as in {example}.schema.{}.",
                        parts.last().map_or("table", |part| &part.name)
                    ))
                    .position(position))
            }
        }
    }
}

/// A query that takes some of its rows in no order may give others when it is read again, so a view cannot be made of it.
fn one_answer(query: &Query) -> Result<(), Report> {
    struct Cuts;
    impl Visitor for Cuts {
        type Break = &'static str;

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
            let limited = match &query.limit_clause {
                Some(LimitClause::LimitOffset { limit, offset, .. }) => limit.is_some() || offset.is_some(),
                Some(LimitClause::OffsetCommaLimit { .. }) => true,
                None => query.fetch.is_some(),
            };
            let distinct_on = matches!(query.body.as_ref(), SetExpr::Select(select) if matches!(select.distinct, Some(Distinct::On(_))));
            match (query.order_by.is_some(), limited, distinct_on) {
                (false, true, _) => ControlFlow::Break("LIMIT and OFFSET"),
                (false, _, true) => ControlFlow::Break("DISTINCT ON"),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match query.visit(&mut Cuts) {
        ControlFlow::Break(cut) => Err(Report::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{cut} without ORDER BY cannot be used in a feature view: which rows it takes is not determined"),
        )
        .hint("Give it an ORDER BY that leaves no ties.")),
        ControlFlow::Continue(()) => Ok(()),
    }
}

#[derive(Default)]
struct Options {
    online: bool,
    owner: Option<String>,
    scan: Scan,
}

fn time_to_live(create: &CreateFeatureView) -> Result<Option<TimeToLive>, Report> {
    let Some(interval) = create.ttl else { return Ok(None) };
    let negative = interval.months < 0 || interval.days < 0 || interval.micros < 0;
    if negative || (interval.months == 0 && interval.days == 0 && interval.micros == 0) {
        return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, "TTL must be positive")
            .hint("Leave TTL out for no limit.")
            .position(interval.position));
    }
    Ok(Some(TimeToLive { months: interval.months, days: interval.days, micros: interval.micros }))
}

/// A declared type by its canonical name; 42704 if there is no such type.
fn declared(data_type: &SqlDataType, position: usize) -> Result<(PgType, String), Report> {
    let spelled = data_type.to_string();
    match PgType::from_sql_name(&spelled) {
        Some((pg_type, typmod)) => Ok((pg_type, pg_type.format(typmod))),
        None => {
            Err(Report::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", spelled.to_lowercase())).position(position))
        }
    }
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64)
}

fn float_key(name: &str, data_type: &str) -> Report {
    Report::new(SqlState::DATATYPE_MISMATCH, format!("join key \"{name}\" is of type {data_type}, which cannot be compared exactly"))
        .hint("Join on an integer, numeric, text, uuid, date, timestamp, bytea or boolean column.")
}

fn binding(field: &Field) -> ColumnBinding {
    ColumnBinding { name: field.name().clone(), field_id: field_id(field), data_type: None }
}

/// The same with its type, which a key or a time has nowhere else.
fn typed_binding(field: &Field) -> ColumnBinding {
    ColumnBinding { data_type: Some(PgType::sql_name(field)), ..binding(field) }
}

/// A column of the source, or 42703 with the nearest name.
fn find<'a>(column: &Ident, source: &'a Source) -> Result<&'a Field, Report> {
    if let Some((_, field)) = source.schema.fields().find(&column.name) {
        return Ok(field);
    }
    let report = Report::new(SqlState::UNDEFINED_COLUMN, format!("column \"{}\" does not exist in {}", column.name, source.name))
        .position(column.position);
    let names = source.schema.fields().iter().map(|field| field.name().as_str());
    Err(match perhaps_you_meant(&column.name, names) {
        Some(hint) => report.hint(hint),
        None => report
            .hint(format!("It has {}.", source.schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", "))),
    })
}

fn time_column(column: &Ident, clause: &str, source: &Source) -> Result<ColumnBinding, Report> {
    let field = find(column, source)?;
    if is_time(field.data_type()) {
        return Ok(typed_binding(field));
    }
    Err(Report::new(
        SqlState::DATATYPE_MISMATCH,
        format!("{clause} column \"{}\" is of type {}, not a timestamp or date", column.name, PgType::sql_name(field)),
    )
    .hint("AS SELECT can cast it.")
    .position(column.position))
}

fn feature(definition: &FeatureDefinition, source: &Source) -> Result<Feature, Report> {
    let column = definition.column.as_ref().unwrap_or(&definition.name);
    let field = find(column, source)?;
    let (_, data_type) = declared(&definition.data_type, definition.type_position)?;
    let found = PgType::sql_name(field);
    if data_type != found {
        return Err(Report::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "feature \"{}\" is declared {data_type}, but column \"{}\" of {} is of type {found}",
                definition.name.name, column.name, source.name
            ),
        )
        .hint(format!("Declare it {found}, or cast the column in an AS SELECT."))
        .position(definition.type_position));
    }
    Ok(Feature { name: definition.name.name.clone(), data_type, column: binding(field), comment: definition.comment.clone() })
}

/// An entity of the view: registered, under creation in this statement, or made from the column of that name.
fn bind_entity(
    entity: &EntityRef,
    source: &Source,
    settings: &StatementSettings<'_>,
    new_entities: &mut Vec<Entity>,
) -> Result<EntityBinding, Report> {
    let name = &entity.name.name;
    let Some(registered) = settings.registry.entities.get(name) else {
        return new_entity(entity, source, settings, new_entities);
    };
    let columns: Vec<Ident> = match &entity.columns {
        Some(columns) => columns.clone(),
        None => registered.keys.iter().map(|key| Ident { name: key.name.clone(), position: entity.name.position }).collect(),
    };
    if columns.len() != registered.keys.len() {
        return Err(Report::new(
            SqlState::SYNTAX_ERROR,
            format!("entity \"{name}\" has {} join keys, but {} columns are given", registered.keys.len(), columns.len()),
        )
        .position(entity.name.position));
    }
    let mut bound = Vec::with_capacity(columns.len());
    for (key, column) in registered.keys.iter().zip(&columns) {
        let field = find(column, source)?;
        if is_float(field.data_type()) {
            return Err(float_key(&column.name, &PgType::sql_name(field)).position(column.position));
        }
        let comparable =
            PgType::from_sql_name(&key.data_type).is_some_and(|(pg_type, _)| comparable_keys(&pg_type.arrow(), field.data_type()));
        if !comparable {
            let found = PgType::sql_name(field);
            return Err(Report::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "join key \"{}\" of entity \"{name}\" is of type {}, but column \"{}\" is of type {found}",
                    key.name, key.data_type, column.name
                ),
            )
            .hint(format!("CREATE ENTITY other KEY ({} {found}), and ENTITIES (other ({})).", column.name, column.name))
            .position(column.position));
        }
        bound.push(typed_binding(field));
    }
    Ok(EntityBinding { entity: name.clone(), columns: bound })
}

fn new_entity(
    entity: &EntityRef,
    source: &Source,
    settings: &StatementSettings<'_>,
    new_entities: &mut Vec<Entity>,
) -> Result<EntityBinding, Report> {
    let name = &entity.name.name;
    if entity.columns.is_some() {
        let report = Report::new(SqlState::UNDEFINED_OBJECT, format!("entity \"{name}\" does not exist")).position(entity.name.position);
        return Err(match perhaps_you_meant(name, settings.registry.entities.keys().map(String::as_str)) {
            Some(hint) => report.hint(hint),
            None => report.hint(format!("CREATE ENTITY {name} KEY (…) makes it.")),
        });
    }
    let Some((_, field)) = source.schema.fields().find(name) else {
        let report = Report::new(SqlState::UNDEFINED_COLUMN, format!("\"{name}\" is neither an entity nor a column of {}", source.name))
            .position(entity.name.position);
        let names = source.schema.fields().iter().map(|field| field.name().as_str());
        return Err(match perhaps_you_meant(name, names.chain(settings.registry.entities.keys().map(String::as_str))) {
            Some(hint) => report.hint(hint),
            None => report,
        });
    };
    let data_type = PgType::sql_name(field);
    if is_float(field.data_type()) {
        return Err(float_key(name, &data_type).position(entity.name.position));
    }
    if !comparable_keys(field.data_type(), field.data_type()) {
        return Err(Report::new(SqlState::DATATYPE_MISMATCH, format!("column \"{name}\" of type {data_type} cannot be a join key"))
            .position(entity.name.position));
    }
    if !new_entities.iter().any(|known| known.name == *name) {
        new_entities.push(Entity {
            name: name.clone(),
            keys: vec![JoinKey { name: name.clone(), data_type }],
            comment: None,
            tags: Default::default(),
        });
    }
    Ok(EntityBinding { entity: name.clone(), columns: vec![binding(field)] })
}

/// No name stands twice among the columns of the view's relation.
fn distinct_names(
    create: &CreateFeatureView,
    view: &FeatureView,
    settings: &StatementSettings<'_>,
    new_entities: &[Entity],
) -> Result<(), Report> {
    let mut taken: Vec<(String, &'static str)> = Vec::new();
    let mut take = |name: &str, role: &'static str| -> Result<(), Report> {
        if let Some((_, other)) = taken.iter().find(|(known, _)| known == name) {
            return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" is used twice, as {other} and as {role}"))
                .hint("Give the feature another name: new_name TYPE FROM column.")
                .position(create.name.position));
        }
        taken.push((name.to_owned(), role));
        Ok(())
    };
    for entity in &view.entities {
        let registered =
            settings.registry.entities.get(&entity.entity).or_else(|| new_entities.iter().find(|known| known.name == entity.entity));
        for key in registered.iter().flat_map(|known| &known.keys) {
            take(&key.name, "a join key")?;
        }
    }
    take(&view.timestamp.name, "the event timestamp")?;
    if let Some(created) = &view.created {
        take(&created.name, "the created timestamp")?;
    }
    if let Some(valid_until) = &view.valid_until {
        take(&valid_until.name, "valid until")?;
    }
    for feature in &view.features {
        take(&feature.name, "a feature")?;
    }
    Ok(())
}
