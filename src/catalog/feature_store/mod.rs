//! `feature_store.*`: what the registry knows, as read-only relations.

use std::collections::BTreeMap;

use arrow::datatypes::IntervalMonthDayNano;
use arrow::record_batch::RecordBatch;

use super::columns::Columns;
use super::session_facts::StatementUse;
use crate::registry::{
    ColumnBinding, FeatureView, HistoryEntry, RegistrySnapshot, TimeToLive, ViewSource, entity_definition, feature_view_definition,
};

/// What a view's source says now.
#[derive(Debug, Clone, Default)]
pub struct LiveView {
    /// URL of the metadata.json.
    pub metadata_location: Option<String>,
    /// The snapshot that a query would read.
    pub snapshot_id: Option<i64>,
    /// When it was committed, microseconds since 1970 UTC.
    pub committed_at: Option<i64>,
    /// Its rows, if the snapshot's summary tells exactly.
    pub row_count: Option<i64>,
    /// Its data files.
    pub file_count: Option<i64>,
}

/// The gateway itself.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The database's name.
    pub project: String,
    /// Where definitions are: `file` or `s3`.
    pub registry_type: String,
    /// Where rows are: the catalogs' kinds.
    pub offline_store_type: String,
    /// featgres's version.
    pub version: String,
    /// Microseconds since it started.
    pub uptime_micros: i64,
}

/// What these relations show besides the registry.
#[derive(Debug, Clone, Default)]
pub struct StoreState {
    /// By view name; empty where nobody asked.
    pub live: BTreeMap<String, LiveView>,
    /// Newest last; empty where nobody asked.
    pub history: Vec<HistoryEntry>,
    /// The gateway.
    pub status: Status,
    /// What this client's last retrieval read.
    pub last_query: Vec<RetrievedTable>,
    /// What kinds of statements cost; empty where nobody asked.
    pub statements: Vec<StatementUse>,
}

/// A table that a retrieval read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievedTable {
    /// The catalog.
    pub catalog: String,
    /// The namespace.
    pub schema: String,
    /// The table.
    pub table: String,
    /// URL of the metadata.json that was current.
    pub metadata_location: String,
    /// The table's uuid.
    pub table_uuid: Option<String>,
    /// The snapshot; none for a table without rows yet.
    pub snapshot_id: Option<i64>,
    /// The schema that it was read with.
    pub schema_id: i32,
    /// Nessie's commit.
    pub nessie_hash: Option<String>,
    /// The definitions' version.
    pub registry_version: u64,
    /// What `at =>` takes to read all of the retrieval's tables as they were.
    pub at: String,
}

/// The relation of this name.
pub fn relation(name: &str, registry: &RegistrySnapshot, state: &StoreState) -> Option<RecordBatch> {
    Some(match name {
        "feature_views" => feature_views(registry, &state.live),
        "features" => features(registry),
        "last_query" => last_query(&state.last_query),
        "entities" => entities(registry),
        "feature_services" => Columns::default()
            .text("name", none())
            .texts("features", std::iter::empty::<Vec<&str>>())
            .text("comment", none())
            .object("tags", std::iter::empty())
            .finish(0),
        "on_demand_feature_views" => Columns::default()
            .text("name", none())
            .text("definition", none())
            .texts("request_columns", std::iter::empty::<Vec<&str>>())
            .finish(0),
        "registry_history" => registry_history(&state.history),
        "statements" => statements(&state.statements),
        "status" => status(registry, &state.status),
        _ => return None,
    })
}

fn none() -> impl Iterator<Item = Option<&'static str>> {
    std::iter::empty()
}

/// One row per feature view.
pub fn feature_views(registry: &RegistrySnapshot, live: &BTreeMap<String, LiveView>) -> RecordBatch {
    let views: Vec<&FeatureView> = registry.feature_views.values().collect();
    let found = |view: &FeatureView| live.get(&view.name);
    Columns::default()
        .text("name", views.iter().map(|view| Some(&view.name)))
        .texts("entities", views.iter().map(|view| view.entities.iter().map(|entity| &entity.entity).collect()))
        .texts("features", views.iter().map(|view| view.features.iter().map(|feature| &feature.name).collect()))
        .text("source", views.iter().map(|view| Some(source(view))))
        .text("path", views.iter().map(|view| path(view)))
        .text("metadata_location", views.iter().map(|view| found(view)?.metadata_location.as_ref()))
        .bigint("snapshot_id", views.iter().map(|view| found(view)?.snapshot_id))
        .instant("snapshot_committed_at", views.iter().map(|view| found(view)?.committed_at))
        .bigint("row_count", views.iter().map(|view| found(view)?.row_count))
        .bigint("file_count", views.iter().map(|view| found(view)?.file_count))
        .text("timestamp_column", views.iter().map(|view| Some(&view.timestamp.name)))
        .text("created_column", views.iter().map(|view| name_of(view.created.as_ref())))
        .text("valid_until_column", views.iter().map(|view| name_of(view.valid_until.as_ref())))
        .interval("ttl", views.iter().map(|view| view.ttl.map(interval)))
        .boolean("online", views.iter().map(|view| Some(view.online)))
        .text("owner", views.iter().map(|view| view.owner.as_ref()))
        .text("comment", views.iter().map(|view| view.comment.as_ref()))
        .object("tags", views.iter().map(|view| &view.tags))
        .text("definition", views.iter().map(|view| Some(feature_view_definition(view))))
        .finish(views.len())
}

/// One row per feature of each view.
pub fn features(registry: &RegistrySnapshot) -> RecordBatch {
    let features: Vec<_> =
        registry.feature_views.values().flat_map(|view| view.features.iter().map(move |feature| (view, feature))).collect();
    Columns::default()
        .text("feature_view", features.iter().map(|(view, _)| Some(&view.name)))
        .text("name", features.iter().map(|(_, feature)| Some(&feature.name)))
        .text("type", features.iter().map(|(_, feature)| Some(&feature.data_type)))
        .text("comment", features.iter().map(|(_, feature)| feature.comment.as_ref()))
        .finish(features.len())
}

/// One row per table of the session's last retrieval.
fn last_query(tables: &[RetrievedTable]) -> RecordBatch {
    Columns::default()
        .text("catalog", tables.iter().map(|read| Some(&read.catalog)))
        .text("schema", tables.iter().map(|read| Some(&read.schema)))
        .text("table", tables.iter().map(|read| Some(&read.table)))
        .text("metadata_location", tables.iter().map(|read| Some(&read.metadata_location)))
        .text("table_uuid", tables.iter().map(|read| read.table_uuid.as_ref()))
        .bigint("snapshot_id", tables.iter().map(|read| read.snapshot_id))
        .bigint("schema_id", tables.iter().map(|read| Some(i64::from(read.schema_id))))
        .text("nessie_hash", tables.iter().map(|read| read.nessie_hash.as_ref()))
        .bigint("registry_version", tables.iter().map(|read| i64::try_from(read.registry_version).ok()))
        .text("at", tables.iter().map(|read| Some(&read.at)))
        .finish(tables.len())
}

/// One row per entity.
pub fn entities(registry: &RegistrySnapshot) -> RecordBatch {
    let entities: Vec<_> = registry.entities.values().collect();
    Columns::default()
        .text("name", entities.iter().map(|entity| Some(&entity.name)))
        .texts("keys", entities.iter().map(|entity| entity.keys.iter().map(|key| &key.name).collect()))
        .texts("key_types", entities.iter().map(|entity| entity.keys.iter().map(|key| &key.data_type).collect()))
        .text("comment", entities.iter().map(|entity| entity.comment.as_ref()))
        .object("tags", entities.iter().map(|entity| &entity.tags))
        .text("definition", entities.iter().map(|entity| Some(entity_definition(entity))))
        .finish(entities.len())
}

fn registry_history(history: &[HistoryEntry]) -> RecordBatch {
    Columns::default()
        .bigint("version", history.iter().map(|entry| i64::try_from(entry.version).ok()))
        .instant("committed_at", history.iter().map(|entry| Some(entry.committed_at)))
        .text("role", history.iter().map(|entry| Some(&entry.role)))
        .text("statement", history.iter().map(|entry| Some(&entry.statement)))
        .finish(history.len())
}

/// One row per kind of statement: times are milliseconds, as in `pg_stat_statements`.
pub fn statements(statements: &[StatementUse]) -> RecordBatch {
    let count = |number: u64| i64::try_from(number).ok();
    Columns::default()
        .text("role", statements.iter().map(|kind| Some(&kind.role)))
        .text("query", statements.iter().map(|kind| Some(&kind.query)))
        .bigint("calls", statements.iter().map(|kind| count(kind.calls)))
        .bigint("errors", statements.iter().map(|kind| count(kind.errors)))
        .bigint("rows", statements.iter().map(|kind| count(kind.rows)))
        .double("total_exec_time", statements.iter().map(|kind| Some(kind.total_ms)))
        .double("mean_exec_time", statements.iter().map(|kind| (kind.calls > 0).then(|| kind.total_ms / kind.calls as f64)))
        .double("min_exec_time", statements.iter().map(|kind| Some(kind.min_ms)))
        .double("max_exec_time", statements.iter().map(|kind| Some(kind.max_ms)))
        .bigint("bytes_read", statements.iter().map(|kind| count(kind.bytes_read)))
        .bigint("files_read", statements.iter().map(|kind| count(kind.files_read)))
        .bigint("files_pruned", statements.iter().map(|kind| count(kind.files_pruned)))
        .finish(statements.len())
}

/// One row.
pub fn status(registry: &RegistrySnapshot, status: &Status) -> RecordBatch {
    Columns::default()
        .text("project", std::iter::once(Some(&status.project)))
        .text("registry_type", std::iter::once(Some(&status.registry_type)))
        .bigint("registry_version", std::iter::once(i64::try_from(registry.version).ok()))
        .text("online_store_type", std::iter::once(Some("disabled")))
        .text("offline_store_type", std::iter::once(Some(&status.offline_store_type)))
        .bigint("num_feature_views", std::iter::once(i64::try_from(registry.feature_views.len()).ok()))
        .texts("feature_views", std::iter::once(registry.feature_views.keys().collect()))
        .text("version", std::iter::once(Some(&status.version)))
        .interval("uptime", std::iter::once(Some(IntervalMonthDayNano::new(0, 0, status.uptime_micros.saturating_mul(1000)))))
        .finish(1)
}

fn source(view: &FeatureView) -> String {
    match &view.source {
        ViewSource::Table { catalog, schema, table, .. } => format!("{catalog}.{schema}.{table}"),
        ViewSource::Query { sql } => sql.clone(),
    }
}

fn path(view: &FeatureView) -> Option<&String> {
    match &view.source {
        ViewSource::Table { path, .. } => path.as_ref(),
        ViewSource::Query { .. } => None,
    }
}

fn name_of(binding: Option<&ColumnBinding>) -> Option<&String> {
    binding.map(|column| &column.name)
}

fn interval(ttl: TimeToLive) -> IntervalMonthDayNano {
    IntervalMonthDayNano::new(ttl.months, ttl.days, ttl.micros.saturating_mul(1000))
}
