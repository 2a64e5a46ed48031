//! Names to registry entries and table snapshots: the only step of planning that waits.
//!
//! All catalogs that a statement needs are asked at once. A snapshot that was found is kept for the rest of the transaction
//! ([`PinnedSnapshots`]), so that a statement, and a `BEGIN … COMMIT`, sees one state of each table.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::TableSource;
use datafusion::sql::sqlparser::ast::{Expr, TableVersion, UnaryOperator, Value};
use futures::future::{BoxFuture, try_join_all};
use parking_lot::Mutex;

use super::context::external;
use super::feature_view::{ResolvedView, ViewRows};
use super::mentions::Mentions;
use super::time_travel::{At, Version};
use super::{Planner, StatementSettings};
use crate::catalog::{Catalog, SessionFacts, SystemRelations};
use crate::error::{Report, SqlState, perhaps_you_meant};
use crate::pg_format::decode;
use crate::pg_format::reading::{DateOrder, Reading};
use crate::pg_format::zone::Zone;
use crate::pg_type::PgType;
use crate::registry::{FeatureView, Pin, RegistrySnapshot, Scan, ViewSource};
use crate::source::{Commits, SnapshotRef, TableIdent, TableSnapshot};
use crate::table::{SnapshotTable, TableOptions};

/// Snapshots that this transaction has seen.
#[derive(Debug, Default)]
pub struct PinnedSnapshots {
    by_table: Mutex<HashMap<(TableIdent, SnapshotRef), Arc<TableSnapshot>>>,
    /// What patterns of files matched.
    by_folder: Mutex<HashMap<(TableIdent, String), Arc<TableSnapshot>>>,
    /// What catalogs with commits are read at.
    commits: Commits,
    /// Whether catalogs are asked now, whatever their pointers' lifetime.
    fresh: AtomicBool,
}

impl PinnedSnapshots {
    fn get(&self, key: &(TableIdent, SnapshotRef)) -> Option<Arc<TableSnapshot>> {
        self.by_table.lock().get(key).cloned()
    }

    /// Keeps the first snapshot found: two resolutions in one statement must agree.
    fn keep(&self, key: (TableIdent, SnapshotRef), snapshot: Arc<TableSnapshot>) -> Arc<TableSnapshot> {
        Arc::clone(self.by_table.lock().entry(key).or_insert(snapshot))
    }

    /// Whether a table was read as it is now, rather than as it was at a version: asked again, its catalog may say something newer.
    pub fn follow_their_tables(&self) -> bool {
        self.by_table.lock().keys().any(|(_, at)| matches!(at, SnapshotRef::Current | SnapshotRef::Branch(_)))
    }

    /// The files that this pattern has matched in this transaction.
    pub(super) fn folder(&self, key: &(TableIdent, String)) -> Option<Arc<TableSnapshot>> {
        self.by_folder.lock().get(key).cloned()
    }

    /// Keeps the first listing of a pattern.
    pub(super) fn keep_folder(&self, key: (TableIdent, String), files: Arc<TableSnapshot>) -> Arc<TableSnapshot> {
        Arc::clone(self.by_folder.lock().entry(key).or_insert(files))
    }

    /// The snapshots, sorted: for the log.
    pub fn snapshot_ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.by_table.lock().values().filter_map(|snapshot| snapshot.snapshot_id()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// From now on catalogs are asked, whatever the lifetime of their pointers, or again as usual; gives what it was before.
    pub fn ask_catalogs(&self, fresh: bool) -> bool {
        self.fresh.swap(fresh, Ordering::Relaxed)
    }

    /// Forgets all: the transaction ended.
    pub fn clear(&self) {
        self.by_table.lock().clear();
        self.by_folder.lock().clear();
        self.commits.clear();
        self.ask_catalogs(false);
    }
}

/// The tables that only this client has.
pub trait TemporaryTables: Send + Sync {
    /// The table of this name.
    fn table(&self, name: &str) -> Option<Arc<dyn TableProvider>>;
    /// All of them, as the system catalog lists them.
    fn schemas(&self) -> Vec<(String, SchemaRef)>;
}

/// A client without temporary tables.
#[derive(Debug)]
pub struct NoTemporaryTables;

impl TemporaryTables for NoTemporaryTables {
    fn table(&self, _name: &str) -> Option<Arc<dyn TableProvider>> {
        None
    }

    fn schemas(&self) -> Vec<(String, SchemaRef)> {
        Vec::new()
    }
}

/// Everything that a statement's names mean.
#[derive(Default)]
pub struct Resolved {
    tables: HashMap<TableReference, Arc<dyn TableSource>>,
    versions: HashMap<(TableReference, TableVersion), Arc<dyn TableSource>>,
    views: HashMap<(String, Option<String>), Arc<ResolvedView>>,
    unresolved: HashMap<TableReference, Report>,
    catalog: Option<Arc<Catalog>>,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolved").field("tables", &self.tables.keys()).field("views", &self.views.keys()).finish_non_exhaustive()
    }
}

impl Resolved {
    /// The relation of this name, or the error that says why there is none.
    pub fn table(&self, name: &TableReference) -> Result<Arc<dyn TableSource>> {
        if let Some(source) = self.tables.get(name) {
            return Ok(Arc::clone(source));
        }
        let unknown = || Report::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"));
        Err(external(self.unresolved.get(name).cloned().unwrap_or_else(unknown)))
    }

    /// The relation at a version.
    pub fn versioned(&self, name: &TableReference, version: &TableVersion) -> Option<Arc<dyn TableSource>> {
        self.versions.get(&(name.clone(), version.clone())).cloned()
    }

    /// The system catalog that the statement sees.
    pub fn catalog(&self) -> Option<&Arc<Catalog>> {
        self.catalog.as_ref()
    }

    /// A feature view that a reference names, as a call with this `at` reads it.
    pub fn view(&self, name: &str, at: Option<&str>) -> Option<&Arc<ResolvedView>> {
        self.views.get(&(name.to_owned(), at.map(str::to_owned)))
    }
}

/// What one mention turned out to be.
enum Found {
    Table(Arc<dyn TableProvider>),
    Nothing(Report),
}

impl Planner {
    /// Resolves all that `mentions` names.
    pub(super) async fn resolve(&self, mentions: &Mentions, settings: &StatementSettings<'_>) -> Result<Resolved, Report> {
        let options = TableOptions { metadata_columns: mentions.metadata_columns };
        let facts = settings.state.config().get_extension::<SessionFacts>();
        let catalog = Arc::new(Catalog::new(Arc::clone(&settings.registry), settings.temporary.schemas(), facts));
        let catalog_ref = &catalog;
        let relations = mentions.relations.iter().map(|(name, version)| async move {
            let found = self.relation(name, version.as_ref(), options, settings, catalog_ref).await?;
            Ok::<_, Report>((name.clone(), version.clone(), found))
        });
        let views = mentions.views.iter().map(|(name, at)| async move {
            let view = settings.registry.feature_views.get(name).ok_or_else(|| unknown_view(&settings.registry, name))?;
            let pin = at.as_deref().map(At::parse).transpose()?;
            Ok::<_, Report>(((name.clone(), at.clone()), Arc::new(self.view_at(view, pin.as_ref(), settings).await?)))
        });
        let (relations, views) = futures::future::try_join(try_join_all(relations), try_join_all(views)).await?;
        let mut resolved = Resolved { views: views.into_iter().collect(), catalog: Some(Arc::clone(&catalog)), ..Resolved::default() };
        for (name, version, found) in relations {
            match (found, version) {
                (Found::Table(provider), None) => {
                    resolved.tables.insert(name, provider_as_source(provider));
                }
                (Found::Table(provider), Some(version)) => {
                    resolved.versions.insert((name, version), provider_as_source(provider));
                }
                (Found::Nothing(report), _) => {
                    resolved.unresolved.insert(name, report);
                }
            }
        }
        Ok(resolved)
    }

    async fn relation(
        &self,
        name: &TableReference,
        version: Option<&TableVersion>,
        options: TableOptions,
        settings: &StatementSettings<'_>,
        catalog: &Catalog,
    ) -> Result<Found, Report> {
        let version = version.map(Version::of).transpose()?;
        let at = version.as_ref().and_then(|version| version.at.as_ref());
        let version = version.as_ref().and_then(|version| version.own.as_ref());
        let (schema, table) = match name {
            TableReference::Full { catalog, schema, table } if **catalog != *self.project => {
                let ident = TableIdent { catalog: catalog.to_string(), schema: schema.to_string(), table: table.to_string() };
                let zone = || settings.state.config_options().execution.time_zone.as_deref().and_then(Zone::parse).unwrap_or(Zone::UTC);
                let own = version.map(|version| snapshot_ref(version, zone())).transpose()?.unwrap_or(SnapshotRef::Current);
                let snapshot = self.read(&ident, &own, at, settings).await?;
                return Ok(Found::Table(Arc::new(SnapshotTable::new(snapshot, options)?)));
            }
            TableReference::Full { schema, table, .. } | TableReference::Partial { schema, table } => (Some(&**schema), &**table),
            TableReference::Bare { table } => (None, &**table),
        };
        if version.is_some() {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("\"{name}\" has no versions to read"))
                .hint("FOR VERSION AS OF works on source tables, named catalog.schema.table."));
        }
        if matches!(schema, None | Some("pg_temp"))
            && let Some(provider) = settings.temporary.table(table)
        {
            return Ok(Found::Table(provider));
        }
        if matches!(schema, None | Some("public"))
            && let Some(view) = settings.registry.feature_views.get(table)
        {
            let plan = self.view_at(view, at, settings).await?.relation()?;
            return Ok(Found::Table(Arc::new(ViewTable::new(plan, None))));
        }
        let system = self.system_relations(schema, table, settings).await;
        if let Some(provider) = SystemRelations::new(&settings.registry, &system, catalog).table(schema, table) {
            return Ok(Found::Table(provider));
        }
        Ok(Found::Nothing(self.unknown_relation(name, schema, table, settings)))
    }

    fn unknown_relation(&self, name: &TableReference, schema: Option<&str>, table: &str, settings: &StatementSettings<'_>) -> Report {
        let report = Report::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"));
        if let Some(schema) = schema
            && !matches!(schema, "public" | "pg_temp" | "feature_store" | "pg_catalog" | "information_schema")
        {
            if self.sources.names().contains(&schema) {
                return report.hint(format!("Source tables have three parts, as in {schema}.schema.{table}."));
            }
            return Report::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
                .hint(format!("There is no schema \"{schema}\"; source tables have three parts, as in catalog.{schema}.{table}."));
        }
        match perhaps_you_meant(table, settings.registry.feature_views.keys().map(String::as_str)) {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }

    /// A table's snapshot, as this transaction sees it.
    pub(super) async fn snapshot(
        &self,
        ident: &TableIdent,
        at: &SnapshotRef,
        settings: &StatementSettings<'_>,
    ) -> Result<Arc<TableSnapshot>, Report> {
        let key = (ident.clone(), at.clone());
        if let Some(known) = settings.pinned.get(&key) {
            return Ok(known);
        }
        let commits = &settings.pinned.commits;
        let snapshot = if settings.pinned.fresh.load(Ordering::Relaxed) {
            self.sources.fresh_snapshot_in(ident, at, commits).await?
        } else {
            self.sources.snapshot_in(ident, at, commits).await?
        };
        Ok(settings.pinned.keep(key, snapshot))
    }

    /// A table's snapshot for this statement to read: its own pin, unless the call around it has one for it.
    async fn read(
        &self,
        ident: &TableIdent,
        own: &SnapshotRef,
        at: Option<&At>,
        settings: &StatementSettings<'_>,
    ) -> Result<Arc<TableSnapshot>, Report> {
        let snapshot = match at {
            Some(at) => self.snapshot(ident, &at.of(ident, own)?, settings).await.map_err(|report| at.hint_for(report))?,
            None => self.snapshot(ident, own, settings).await?,
        };
        settings.reads.note(ident, own, at.is_some(), &snapshot);
        Ok(snapshot)
    }

    /// A view met with its source.
    pub(super) fn view<'a>(
        &'a self,
        view: &'a FeatureView,
        settings: &'a StatementSettings<'_>,
    ) -> BoxFuture<'a, Result<ResolvedView, Report>> {
        self.view_at(view, None, settings)
    }

    /// The same below a call with `at`. Boxed: an `AS SELECT` view may read other views.
    fn view_at<'a>(
        &'a self,
        view: &'a FeatureView,
        at: Option<&'a At>,
        settings: &'a StatementSettings<'_>,
    ) -> BoxFuture<'a, Result<ResolvedView, Report>> {
        Box::pin(async move {
            let rows = self.view_rows(view, at, settings).await?;
            ResolvedView::bind(Arc::new(view.clone()), &settings.registry, rows)
        })
    }

    async fn view_rows(&self, view: &FeatureView, at: Option<&At>, settings: &StatementSettings<'_>) -> Result<ViewRows, Report> {
        match &view.source {
            ViewSource::Table { catalog, schema, table, path, .. } => {
                let ident = TableIdent { catalog: catalog.clone(), schema: schema.clone(), table: table.clone() };
                if view.scan == Scan::Glob {
                    return self.glob_rows(view, &ident, path.as_deref(), at.is_some(), settings).await;
                }
                // A feature keeps its type, and is there, whatever the call is pinned to.
                let snapshot = self.read(&ident, &own_pin(view)?, at, settings).await?;
                let snapshot = snapshot.with_current_types().with_columns(&younger_columns(view, &snapshot));
                let table = SnapshotTable::new(Arc::clone(&snapshot), TableOptions::default())?;
                Ok(ViewRows::Snapshot { snapshot, table: Arc::new(table) })
            }
            ViewSource::Query { sql } => {
                let plan = Box::new(self.view_query(sql, at, settings).await?);
                Ok(ViewRows::Query { plan, planner: Arc::clone(settings.view_state) })
            }
        }
    }
}

/// The columns that may be younger than the snapshot that they are read from: a declared feature, created or valid-until time then reads
/// as in any file that is older than its column, NULL or the initial default. A key or an event time that is NULL in every row could
/// never be right, so those need a default.
fn younger_columns(view: &FeatureView, snapshot: &TableSnapshot) -> Vec<i32> {
    let needed = view.entities.iter().flat_map(|entity| &entity.columns).chain([&view.timestamp]);
    let needed = needed.filter_map(|column| column.field_id).filter(|id| snapshot.has_default(*id));
    let others = view.features.iter().map(|feature| &feature.column).chain(&view.created).chain(&view.valid_until);
    others.filter_map(|column| column.field_id).chain(needed).collect()
}

/// Which snapshot of its table a view reads by itself.
pub(super) fn own_pin(view: &FeatureView) -> Result<SnapshotRef, Report> {
    let ViewSource::Table { pin, .. } = &view.source else { return Ok(SnapshotRef::Current) };
    Ok(match pin {
        None => SnapshotRef::Current,
        Some(Pin::Branch(name)) => SnapshotRef::Branch(name.clone()),
        Some(Pin::Tag(name)) => SnapshotRef::Tag(name.clone()),
        Some(Pin::Snapshot(id)) => SnapshotRef::Snapshot(*id),
        Some(Pin::Timestamp(text)) => SnapshotRef::Timestamp(timestamp(text)?),
    })
}

/// 42P01 for a view, with the nearest name.
pub(super) fn unknown_view(registry: &RegistrySnapshot, name: &str) -> Report {
    let report = Report::new(SqlState::UNDEFINED_TABLE, format!("feature view \"{name}\" does not exist"));
    match perhaps_you_meant(name, registry.feature_views.keys().map(String::as_str)) {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

/// `FOR VERSION AS OF 7 | 'ref'`, `FOR TIMESTAMP AS OF TIMESTAMPTZ '…'`, of the session's zone where it names none.
fn snapshot_ref(version: &TableVersion, zone: Zone) -> Result<SnapshotRef, Report> {
    let invalid = |expression: &dyn std::fmt::Display| {
        Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("a table's version must be a constant, not {expression}"))
            .hint("Write FOR VERSION AS OF 123, FOR VERSION AS OF 'tag', or FOR TIMESTAMP AS OF TIMESTAMPTZ '2026-01-01 00:00:00+00'.")
    };
    match version {
        TableVersion::VersionAsOf(expression) => match constant(expression) {
            Some(Value::Number(digits, _)) => digits.parse().map(SnapshotRef::Snapshot).map_err(|_| invalid(expression)),
            Some(Value::SingleQuotedString(name)) => Ok(SnapshotRef::TagOrBranch(name)),
            _ => Err(invalid(expression)),
        },
        TableVersion::TimestampAsOf(expression) | TableVersion::ForSystemTimeAsOf(expression) => match expression {
            Expr::TypedString(typed) => match &typed.value.value {
                Value::SingleQuotedString(text) => timestamp_in(text, zone).map(SnapshotRef::Timestamp),
                _ => Err(invalid(expression)),
            },
            Expr::Cast { expr, .. } => match constant(expr) {
                Some(Value::SingleQuotedString(text)) => timestamp_in(&text, zone).map(SnapshotRef::Timestamp),
                _ => Err(invalid(expression)),
            },
            _ => match constant(expression) {
                Some(Value::SingleQuotedString(text)) => timestamp_in(&text, zone).map(SnapshotRef::Timestamp),
                _ => Err(invalid(expression)),
            },
        },
        other => Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{other} is not supported"))),
    }
}

fn constant(expression: &Expr) -> Option<Value> {
    match expression {
        Expr::Value(value) => Some(value.value.clone()),
        Expr::Nested(inner) => constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match constant(expr)? {
            Value::Number(digits, long) => Some(Value::Number(format!("-{digits}"), long)),
            _ => None,
        },
        _ => None,
    }
}

/// A timestamp as PostgreSQL reads it, in UTC where it names no zone, to microseconds since 1970. The infinities are no version's time.
pub(super) fn timestamp(text: &str) -> Result<i64, Report> {
    timestamp_in(text, Zone::UTC)
}

/// The same in another zone.
fn timestamp_in(text: &str, zone: Zone) -> Result<i64, Report> {
    let read = |order| decode::parse_text(PgType::TIMESTAMPTZ, text, Reading { zone, order });
    let value = read(DateOrder::MonthDayYear)?;
    // A pin is kept, and outlives the session that wrote it.
    if read(DateOrder::DayMonthYear).is_ok_and(|other| other != value) {
        return Err(Report::new(SqlState::INVALID_DATETIME_FORMAT, format!("\"{text}\" can be the time of two days"))
            .hint("Write the year first, as in 2020-12-31 23:59:59."));
    }
    match value {
        decode::Value::Timestamp(micros) if micros != i64::MAX && micros != i64::MIN => Ok(micros),
        _ => Err(Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("no version of a table is of the time \"{text}\""))),
    }
}
