//! SHOW and DESCRIBE of our own to rows, and what the live columns of `feature_store` are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use futures::future::join_all;

use super::feature_view::ResolvedView;
use super::resolve::{own_pin, unknown_view};
use super::{Planner, StatementSettings};
use crate::catalog::{self, LiveView, SessionFacts, Status, StoreState};
use crate::error::{Notice, Report, SqlState, perhaps_you_meant};
use crate::pg_type::PgType;
use crate::registry::{ColumnBinding, FeatureView, RegistryChange, Scan, ViewSource, entity_definition, feature_view_definition};
use crate::source::{SnapshotRef, TableIdent, TableSnapshot};
use crate::sql::{Describe, Ident, ObjectKind, Show};
use crate::table::{SnapshotTable, TableOptions};

/// What never changes about this gateway.
#[derive(Debug, Clone, Default)]
pub struct StoreFacts {
    /// `file` or `s3`.
    pub registry_type: String,
    /// featgres's version.
    pub version: String,
    /// When it started, microseconds since 1970 UTC.
    pub started_at: i64,
}

/// Rows of a SHOW.
pub type ShowResult = Result<RecordBatch, Report>;

impl Planner {
    /// Our own SHOWs.
    pub async fn show(&self, show: &Show, settings: &StatementSettings<'_>) -> ShowResult {
        let registry = &settings.registry;
        match show {
            Show::Objects(ObjectKind::FeatureView) => {
                let batch = catalog::feature_views(registry, &BTreeMap::new());
                project(&batch, &["name", "entities", "features", "source", "timestamp_column", "ttl", "comment"])
            }
            Show::Objects(ObjectKind::Entity) => project(&catalog::entities(registry), &["name", "keys", "key_types", "comment", "tags"]),
            Show::Objects(ObjectKind::FeatureService) => Ok(texts(&["name", "features", "comment"], &[])),
            Show::Status => Ok(catalog::status(registry, &self.status())),
            Show::Create(ObjectKind::FeatureView, name) => {
                let view =
                    registry.feature_views.get(&name.name).ok_or_else(|| unknown_view(registry, &name.name).position(name.position))?;
                let view = self.as_it_is_now(view, settings).await;
                Ok(texts(&["definition"], &[vec![Some(feature_view_definition(&view))]]))
            }
            Show::Create(ObjectKind::Entity, name) => match registry.entities.get(&name.name) {
                Some(entity) => Ok(texts(&["definition"], &[vec![Some(entity_definition(entity))]])),
                None => {
                    let report =
                        Report::new(SqlState::UNDEFINED_OBJECT, format!("entity \"{}\" does not exist", name.name)).position(name.position);
                    Err(match perhaps_you_meant(&name.name, registry.entities.keys().map(String::as_str)) {
                        Some(hint) => report.hint(hint),
                        None => report,
                    })
                }
            },
            Show::Create(ObjectKind::FeatureService, name) => {
                Err(Report::new(SqlState::UNDEFINED_OBJECT, format!("feature service \"{}\" does not exist", name.name))
                    .position(name.position))
            }
            Show::Catalogs => {
                let rows = self
                    .sources
                    .names()
                    .into_iter()
                    .filter_map(|name| self.sources.catalog(name).ok())
                    .map(|catalog| vec![Some(catalog.name().to_owned()), Some(catalog.kind().to_owned())])
                    .collect::<Vec<_>>();
                Ok(texts(&["name", "type"], &rows))
            }
            Show::Schemas { catalog } => {
                let found = self.sources.catalog(&catalog.name).map_err(|unknown| Report::from(unknown).position(catalog.position))?;
                let rows = found.schemas().await?.into_iter().map(|name| vec![Some(name)]).collect::<Vec<_>>();
                Ok(texts(&["name"], &rows))
            }
            Show::Tables { schema } => {
                let [catalog, namespace] = schema.parts.as_slice() else {
                    let position = schema.parts.first().map_or(1, |part| part.position);
                    return Err(Report::new(SqlState::SYNTAX_ERROR, "SHOW TABLES FROM needs a catalog and a schema")
                        .hint("Write SHOW TABLES FROM catalog.schema.")
                        .position(position));
                };
                let found = self.sources.catalog(&catalog.name).map_err(|unknown| Report::from(unknown).position(catalog.position))?;
                let tables = found.tables(&namespace.name).await.map_err(|failure| Report::from(failure).position(namespace.position))?;
                let rows = tables.into_iter().map(|name| vec![Some(name)]).collect::<Vec<_>>();
                Ok(texts(&["name"], &rows))
            }
        }
    }

    /// `DESCRIBE`: a row per column.
    pub async fn describe(&self, describe: &Describe, settings: &StatementSettings<'_>) -> ShowResult {
        match describe {
            Describe::FeatureView(name) => {
                let registry = &settings.registry;
                let view =
                    registry.feature_views.get(&name.name).ok_or_else(|| unknown_view(registry, &name.name).position(name.position))?;
                let resolved = self.view(view, settings).await?;
                let rows = resolved
                    .columns()
                    .into_iter()
                    .map(|(name, column)| {
                        let feature = view.features.iter().find(|feature| feature.name == name);
                        let role = if resolved.keys.iter().any(|key| key.name == name) {
                            "key"
                        } else if column == resolved.timestamp && view.timestamp.name == name {
                            "timestamp"
                        } else if Some(column) == resolved.created && feature.is_none() {
                            "created"
                        } else if Some(column) == resolved.valid_until && feature.is_none() {
                            "valid_until"
                        } else {
                            "feature"
                        };
                        let comment = feature.and_then(|feature| feature.comment.clone());
                        vec![Some(name), Some(PgType::sql_name(resolved.schema.field(column))), Some(role.to_owned()), comment]
                    })
                    .collect::<Vec<_>>();
                Ok(texts(&["name", "type", "role", "comment"], &rows))
            }
            Describe::Table(name) => {
                let ident = self.table_ident(name)?;
                let position = name.parts.first().map_or(1, |part| part.position);
                let snapshot = self.snapshot(&ident, &SnapshotRef::Current, settings).await.map_err(|report| report.position(position))?;
                let table = SnapshotTable::new(snapshot, TableOptions::default())?;
                let rows = table
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| {
                        let comment = field.metadata().get("doc").cloned();
                        vec![Some(field.name().clone()), Some(PgType::sql_name(field)), Some(field.is_nullable().to_string()), comment]
                    })
                    .collect::<Vec<_>>();
                Ok(texts(&["name", "type", "nullable", "comment"], &rows))
            }
        }
    }

    /// `REFRESH FEATURE VIEW`: asks the catalogs of the view's source now, so that the next statement reads what they say and what is
    /// wrong with it is said now. Where the pattern of its files has become another one, or a column's type was promoted, that is a change
    /// of its definition: `pg_catalog` and `information_schema` read nothing else.
    pub async fn refresh(&self, view: &Ident, settings: &StatementSettings<'_>) -> Result<Option<RegistryChange>, Report> {
        let registry = &settings.registry;
        let found = registry.feature_views.get(&view.name).ok_or_else(|| unknown_view(registry, &view.name).position(view.position))?;
        let usual = settings.pinned.ask_catalogs(true);
        let refreshed = async {
            let resolved = self.view(found, settings).await?;
            let mut view = with_present_types(found, &resolved);
            if let Some(now) = self.refreshed_path(found, &resolved.rows, settings).await?
                && let ViewSource::Table { path, .. } = &mut view.source
            {
                *path = Some(now);
            }
            Ok((view != *found).then(|| RegistryChange::CreateFeatureView {
                view: Box::new(view),
                new_entities: vec![],
                or_replace: true,
                if_not_exists: false,
            }))
        };
        let refreshed = refreshed.await;
        settings.pinned.ask_catalogs(usual);
        refreshed
    }

    /// The definition with the names and types that the source's columns have now, so that what SHOW CREATE prints can be run; as
    /// registered where the source cannot be asked.
    async fn as_it_is_now(&self, view: &FeatureView, settings: &StatementSettings<'_>) -> FeatureView {
        let Ok(resolved) = self.view(view, settings).await else { return view.clone() };
        let mut now = with_present_types(view, &resolved);
        let name = |column: usize| resolved.schema.field(column).name().clone();
        let bound = |binding: &ColumnBinding| binding.field_id.is_some();
        let keys = now.entities.iter_mut().flat_map(|entity| &mut entity.columns);
        for (binding, key) in keys.zip(&resolved.keys).filter(|(binding, _)| bound(binding)) {
            binding.name = name(key.column);
        }
        let features = now.features.iter_mut().map(|feature| &mut feature.column);
        for (binding, column) in features.zip(&resolved.features).filter(|(binding, _)| bound(binding)) {
            binding.name = name(*column);
        }
        for (binding, column) in times(&mut now, &resolved).into_iter().filter(|(binding, _)| bound(binding)) {
            binding.name = name(column);
        }
        now
    }

    async fn view_snapshot(&self, view: &FeatureView, settings: &StatementSettings<'_>) -> Result<Option<Arc<TableSnapshot>>, Report> {
        let ViewSource::Table { catalog, schema, table, path, .. } = &view.source else { return Ok(None) };
        let ident = TableIdent { catalog: catalog.clone(), schema: schema.clone(), table: table.clone() };
        if let (Scan::Glob, Some(pattern)) = (view.scan, path) {
            return self.glob(&ident, pattern, settings).await.map(Some);
        }
        self.snapshot(&ident, &own_pin(view)?, settings).await.map(Some)
    }

    fn status(&self) -> Status {
        let mut kinds: Vec<&str> = Vec::new();
        for catalog in self.sources.names().into_iter().filter_map(|name| self.sources.catalog(name).ok()) {
            if !kinds.contains(&catalog.kind()) {
                kinds.push(catalog.kind());
            }
        }
        Status {
            project: self.project.clone(),
            registry_type: self.facts.registry_type.clone(),
            offline_store_type: format!("iceberg ({})", kinds.join(", ")),
            version: self.facts.version.clone(),
            uptime_micros: self.clock.now_micros().saturating_sub(self.facts.started_at),
        }
    }

    /// What the system relation of this name shows besides the registry. Catalogs that are down leave NULLs and a WARNING.
    pub(super) async fn system_relations(&self, schema: Option<&str>, table: &str, settings: &StatementSettings<'_>) -> StoreState {
        let mut state = StoreState { status: self.status(), ..StoreState::default() };
        if schema != Some("feature_store") {
            return state;
        }
        if table == "last_query" {
            state.last_query = settings.last.iter().flat_map(|last| last.tables.iter().cloned()).collect();
        }
        if table == "statements"
            && let Some(facts) = settings.state.config().get_extension::<SessionFacts>()
        {
            state.statements = facts.server.statements();
        }
        if table == "registry_history" {
            state.history = settings.history.clone();
        }
        if table == "feature_views" {
            let asked = settings
                .registry
                .feature_views
                .values()
                .map(|view| async move { (view.name.clone(), self.view_snapshot(view, settings).await) });
            for (name, answer) in join_all(asked).await {
                match answer {
                    Ok(Some(snapshot)) => {
                        state.live.insert(name, live(&snapshot));
                    }
                    Ok(None) => {}
                    Err(report) => {
                        let notice =
                            Notice::warning(report.sqlstate, format!("the source of feature view \"{name}\" cannot be read: {report}"));
                        settings.notices.lock().push(notice);
                    }
                }
            }
        }
        state
    }
}

/// The definition with the types that its columns have now.
fn with_present_types(view: &FeatureView, resolved: &ResolvedView) -> FeatureView {
    let mut now = view.clone();
    let of = |column: usize| PgType::sql_name(resolved.schema.field(column));
    for (binding, key) in now.entities.iter_mut().flat_map(|entity| &mut entity.columns).zip(&resolved.keys) {
        binding.data_type = Some(of(key.column));
    }
    for (feature, column) in now.features.iter_mut().zip(&resolved.features) {
        feature.data_type = of(*column);
    }
    for (binding, column) in times(&mut now, resolved) {
        binding.data_type = Some(of(column));
    }
    now
}

/// The view's times, each with its column.
fn times<'a>(view: &'a mut FeatureView, resolved: &ResolvedView) -> Vec<(&'a mut ColumnBinding, usize)> {
    let created = view.created.as_mut().zip(resolved.created);
    let valid_until = view.valid_until.as_mut().zip(resolved.valid_until);
    [Some((&mut view.timestamp, resolved.timestamp)), created, valid_until].into_iter().flatten().collect()
}

fn live(snapshot: &TableSnapshot) -> LiveView {
    LiveView {
        metadata_location: (!snapshot.is_listed()).then(|| snapshot.pointer.metadata_location.clone()),
        snapshot_id: snapshot.snapshot_id(),
        committed_at: snapshot.committed_at_micros(),
        row_count: snapshot.exact_row_count(),
        file_count: snapshot.data_file_count(),
    }
}

/// Some columns of a relation, by name.
fn project(batch: &RecordBatch, names: &[&str]) -> ShowResult {
    let schema = batch.schema();
    let indices = names.iter().filter_map(|name| schema.index_of(name).ok()).collect::<Vec<_>>();
    batch.project(&indices).map_err(|failure| Report::new(SqlState::INTERNAL_ERROR, failure.to_string()))
}

/// A relation of text columns.
fn texts(names: &[&str], rows: &[Vec<Option<String>>]) -> RecordBatch {
    let schema = Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()));
    let arrays = (0..names.len())
        .map(|column| Arc::new(rows.iter().map(|row| row.get(column).cloned().flatten()).collect::<StringArray>()) as _)
        .collect();
    RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}
