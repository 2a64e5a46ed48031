//! Statements that come as values, not as text: what the HTTP listener asks.
//!
//! A call is a session of one statement, with everything that sessions have: a row in `pg_stat_activity`, cancel, deadline, memory
//! limit, a log line. It makes the tree that the parser would have made of CREATE FEATURE VIEW or of a SELECT from
//! `get_latest_features`, and goes on from there like any client's statement; no SQL is printed to be parsed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{FieldRef, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::sql::sqlparser::ast::{
    Array as SqlArray, Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, Ident as SqlIdent, ObjectName, Query, SetExpr,
    Statement as SqlStatement, TableFactor, TableFunctionArgs, Value as SqlValue,
};
use futures::StreamExt;
use serde_json::{Map, Value};

use super::backend::{Backend, Gateway, Startup};
use super::entity_rows;
use super::gateway::SharedGateway;
use super::known;
use super::session::Session;
use super::statement::Parsed;
use super::tables::table_query;
use super::temp_tables::OnCommit;
use crate::error::{Notice, Report, SqlState, perhaps_you_meant};
use crate::pg_type::{FEAST_TYPES, PgType, of_feast};
use crate::plan;
use crate::registry::{FeatureView, RegistryChange, ViewSource, feature_view_definition};
use crate::sql::{
    CreateFeatureView, Describe, EntityRef, FeatureDefinition, Ident, Interval, SourceClause, SourceName, Statement, StatementText,
};

/// The temporary table that holds a call's entity rows.
const ENTITY_ROWS: &str = "entity_rows";

/// A feature view to be created.
#[derive(Debug, Clone, Default)]
pub struct ViewDefinition {
    /// Its name.
    pub name: String,
    /// Entities, created from the columns of these names where they do not exist.
    pub entities: Vec<String>,
    /// Features: at least one.
    pub features: Vec<DefinedFeature>,
    /// Catalog, schema, table.
    pub source: [String; 3],
    /// The event timestamp.
    pub timestamp: String,
    /// The created timestamp.
    pub created: Option<String>,
    /// The TTL; none = no limit.
    pub ttl_seconds: Option<i64>,
    /// Its comment.
    pub comment: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// One of its features.
#[derive(Debug, Clone, Default)]
pub struct DefinedFeature {
    /// Its name, and the column's.
    pub name: String,
    /// Its type, by Feast's name for it or PostgreSQL's.
    pub dtype: String,
    /// Its comment.
    pub comment: Option<String>,
}

/// A feature view that was created.
#[derive(Debug, Clone)]
pub struct CreatedView {
    /// Its name.
    pub name: String,
    /// Its entities.
    pub entities: Vec<String>,
    /// Its features.
    pub features: Vec<String>,
    /// Its table.
    pub source: String,
    /// Where the table's files are, as a pattern.
    pub path: Option<String>,
    /// When, microseconds since 1970 UTC.
    pub created_at: i64,
    /// What there was to say besides.
    pub notices: Vec<Notice>,
}

/// A question for the latest features.
#[derive(Debug, Clone, Default)]
pub struct LatestFeatures {
    /// The views: all their features are asked for.
    pub feature_views: Vec<String>,
    /// `view__feature` for every feature, or for none; where nothing is said, for those whose names would stand twice.
    pub full_feature_names: Option<bool>,
    /// The entity rows.
    pub entities: Vec<Map<String, Value>>,
}

/// Rows of an answer, in the order of the entity rows.
#[derive(Debug)]
pub struct Answer {
    /// Names and types of the columns.
    pub columns: Vec<(String, FieldRef)>,
    /// The rows.
    pub rows: RecordBatch,
    /// What they take of the memory limit, for as long as they live.
    _memory: MemoryReservation,
}

/// `feature_store.status`, as far as the origin's callers know it.
#[derive(Debug, Clone, Default)]
pub struct StoreStatus {
    /// `file` or `s3`.
    pub registry_type: String,
    /// `disabled`: there is none.
    pub online_store_type: String,
    /// The catalogs' kinds.
    pub offline_store_type: String,
    /// The views' names.
    pub feature_views: Vec<String>,
    /// The entities' names.
    pub entities: Vec<String>,
    /// Feature services.
    pub num_feature_services: usize,
}

impl SharedGateway {
    /// `CREATE FEATURE VIEW` for this role.
    pub async fn create_feature_view(
        &self,
        role: &str,
        peer: Option<SocketAddr>,
        definition: ViewDefinition,
    ) -> Result<CreatedView, Report> {
        let text = format!("POST /feast/features {}", definition.name);
        let work = async move |session: &mut Session| {
            let (view, created_at) = session.create_view(&definition).await?;
            Ok((0, (view, created_at)))
        };
        let ((view, created_at), notices) = self.call(role, peer, text, work).await?;
        let source = match &view.source {
            ViewSource::Table { catalog, schema, table, .. } => format!("{catalog}.{schema}.{table}"),
            ViewSource::Query { sql } => sql.clone(),
        };
        let path = match &view.source {
            ViewSource::Table { path, .. } => path.clone(),
            ViewSource::Query { .. } => None,
        };
        Ok(CreatedView {
            entities: view.entities.iter().map(|entity| entity.entity.clone()).collect(),
            features: view.features.iter().map(|feature| feature.name.clone()).collect(),
            name: view.name,
            source,
            path,
            created_at,
            notices,
        })
    }

    /// `get_latest_features` for this role.
    pub async fn latest_features(&self, role: &str, peer: Option<SocketAddr>, question: LatestFeatures) -> Result<Answer, Report> {
        let text = format!("POST /feast/predictions/batch {}", question.feature_views.join(", "));
        let work = async move |session: &mut Session| {
            let answer = session.latest(&question).await?;
            Ok((answer.rows.num_rows() as u64, answer))
        };
        self.call(role, peer, text, work).await.map(|(answer, _)| answer)
    }

    /// The status row for this role.
    pub async fn store_status(&self, role: &str, peer: Option<SocketAddr>) -> Result<StoreStatus, Report> {
        let work = async move |session: &mut Session| Ok((1, session.store_status().await?));
        self.call(role, peer, "GET /feast/status".to_owned(), work).await.map(|(status, _)| status)
    }

    /// Runs one statement in a session of its own; `work` gives the rows that it sends, and its answer.
    async fn call<T>(
        &self,
        role: &str,
        peer: Option<SocketAddr>,
        text: String,
        work: impl AsyncFnOnce(&mut Session) -> Result<(u64, T), Report>,
    ) -> Result<(T, Vec<Notice>), Report> {
        if self.0.is_stopping() {
            return Err(Report::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down"));
        }
        let startup = Startup {
            user: role.to_owned(),
            database: self.0.config.project.clone(),
            parameters: vec![("application_name".to_owned(), "http".to_owned())],
            peer,
            process_id: self.0.next_call(),
            secret: uuid::Uuid::new_v4().as_bytes().to_vec(),
            encryption: None,
        };
        let mut session = self.open(startup).await?;
        let (interrupt, limit) = (session.interrupt(), session.statement_timeout());
        session.begin_text(Arc::from(text.as_str()), known::kind_of(&text));
        let deadline = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            biased;
            report = interrupt.raised() => Err(report),
            () = deadline => Err(Report::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")),
            outcome = work(&mut session) => outcome,
        };
        session.finished(outcome.as_ref().map(|(rows, _)| *rows)).await;
        let notices = session.take_notices();
        outcome.map(|(_, answer)| (answer, notices))
    }
}

impl Session {
    async fn create_view(&mut self, definition: &ViewDefinition) -> Result<(FeatureView, i64), Report> {
        let text: Arc<str> = Arc::from("");
        let change = {
            let view = self.view_of_registry(false).await?;
            let settings = view.settings(self, &text);
            let table = SourceName { parts: definition.source.iter().map(|part| ident(part)).collect() };
            let described = self.gateway.planner.describe(&Describe::Table(table.clone()), &settings).await?;
            let features = definition.features.iter().map(|feature| declared(feature, &described)).collect::<Result<_, _>>()?;
            let create = CreateFeatureView {
                or_replace: false,
                if_not_exists: false,
                name: ident(&definition.name),
                features: Some(features),
                entities: definition.entities.iter().map(|name| EntityRef { name: ident(name), columns: None }).collect(),
                source: SourceClause::Table { table, pin: None },
                timestamp: ident(&definition.timestamp),
                created: definition.created.as_deref().map(ident),
                valid_until: None,
                ttl: definition.ttl_seconds.map(ttl).transpose()?,
                comment: definition.comment.clone(),
                tags: definition.tags.iter().map(|(name, value)| (ident(name), value.clone())).collect(),
                options: Vec::new(),
            };
            self.gateway.planner.create_feature_view(&create, &settings).await?
        };
        let RegistryChange::CreateFeatureView { view, .. } = &change else {
            return Err(Report::new(SqlState::INTERNAL_ERROR, "the definition of a feature view became another change"));
        };
        let view = view.as_ref().clone();
        self.change(change, feature_view_definition(&view)).await?;
        Ok((view, self.gateway.planner.clock.now_micros()))
    }

    async fn latest(&mut self, question: &LatestFeatures) -> Result<Answer, Report> {
        if question.feature_views.is_empty() {
            return Err(
                Report::new(SqlState::INVALID_PARAMETER_VALUE, "\"feature_views\" is empty").hint("Name at least one feature view.")
            );
        }
        let keys = self.key_types(&question.feature_views).await?;
        let mut ordinal = "row_number".to_owned();
        while question.entities.iter().any(|row| row.contains_key(&ordinal)) {
            ordinal.push('_');
        }
        let batch = entity_rows::batch(&question.entities, &keys, &ordinal)?;
        let entity_columns = batch.num_columns() - 1;
        self.temp_tables.create(ENTITY_ROWS, batch.schema(), OnCommit::Drop)?;
        self.temp_tables.append(ENTITY_ROWS, vec![batch])?;
        let sql = retrieval(&question.feature_views)?;
        let statement = StatementText { statement: Statement::Sql(Box::new(sql.clone())), text: String::new(), position: 1 };
        let parsed = Parsed { statement: Arc::new(statement.into()), text: Arc::from(""), parameters: None };
        let mut rows = self.query(&sql, &parsed, "SELECT").await?;
        let memory = MemoryConsumer::new("answer of a call").register(&self.gateway.memory());
        let mut batches = Vec::new();
        let mut stream = futures::stream::iter(rows.pending.take().map(Ok)).chain(rows.stream);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            // Twice: the rows are put into order by copying.
            memory.try_grow(2 * batch.get_array_memory_size()).map_err(|failure| plan::without_position(&failure))?;
            batches.push(batch);
        }
        let columns: Vec<(String, FieldRef)> = rows.columns.iter().map(|column| (column.name.clone(), Arc::clone(&column.field))).collect();
        let schema = Arc::new(Schema::new(columns.iter().map(|(_, field)| Arc::clone(field)).collect::<Vec<_>>()));
        let found = batches.first().map_or(schema, RecordBatch::schema);
        let all = concat_batches(&found, &batches).map_err(|failure| plan::without_position(&failure.into()))?;
        drop(batches);
        let ordered = in_order(&all, entity_columns)?;
        let mut columns = columns;
        columns.remove(entity_columns);
        let features = columns.split_off(entity_columns);
        let named = short_names(&columns, &features, question)?;
        columns.extend(named.into_iter().zip(features).map(|(name, (_, field))| (name, field)));
        Ok(Answer { columns, rows: ordered, _memory: memory })
    }

    /// The types of the views' join keys, by their names.
    async fn key_types(&self, views: &[String]) -> Result<BTreeMap<String, PgType>, Report> {
        let registry = self.view_of_registry(false).await?.registry;
        let mut keys = BTreeMap::new();
        for (place, name) in views.iter().enumerate() {
            if views[..place].contains(name) {
                return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("feature view \"{name}\" is named twice")));
            }
            let view = registry.feature_view(name)?;
            for entity in &view.entities {
                for key in &registry.entity(&entity.entity)?.keys {
                    if let Some((pg_type, _)) = PgType::from_sql_name(&key.data_type) {
                        keys.entry(key.name.clone()).or_insert(pg_type);
                    }
                }
            }
        }
        Ok(keys)
    }

    async fn store_status(&self) -> Result<StoreStatus, Report> {
        let view = self.view_of_registry(false).await?;
        let settings = view.settings(self, &Arc::from(""));
        let row = self.gateway.planner.show(&crate::sql::Show::Status, &settings).await?;
        let text = |name: &str| {
            let column = row.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.filter(|column| !column.is_empty()).map(|column| column.value(0).to_owned()).unwrap_or_default()
        };
        Ok(StoreStatus {
            registry_type: text("registry_type"),
            online_store_type: text("online_store_type"),
            offline_store_type: text("offline_store_type"),
            feature_views: view.registry.feature_views.keys().cloned().collect(),
            entities: view.registry.entities.keys().cloned().collect(),
            num_feature_services: 0,
        })
    }
}

fn ident(name: &str) -> Ident {
    Ident { name: name.to_owned(), position: 1 }
}

/// A feature with the type that its column has, if Feast's type can be that; else with Feast's own, which the planner then refuses.
fn declared(feature: &DefinedFeature, described: &RecordBatch) -> Result<FeatureDefinition, Report> {
    let text = |name: &str| described.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let found = text("name").zip(text("type")).and_then(|(names, types)| {
        let row = names.iter().position(|name| name == Some(feature.name.as_str()))?;
        Some(types.value(row).to_owned())
    });
    let data_type = match of_feast(&feature.dtype) {
        Some(possible) => {
            let fits = |found: &String| PgType::from_sql_name(found).is_some_and(|(pg_type, _)| possible.contains(&pg_type));
            found.filter(fits).unwrap_or_else(|| possible.first().map_or_else(String::new, |pg_type| pg_type.format(-1)))
        }
        None => PgType::canonical_sql_name(&feature.dtype).ok_or_else(|| {
            let report = Report::new(
                SqlState::UNDEFINED_OBJECT,
                format!("type \"{}\" of feature \"{}\" does not exist", feature.dtype, feature.name),
            );
            match perhaps_you_meant(&feature.dtype, FEAST_TYPES.iter().copied()) {
                Some(hint) => report.hint(hint),
                None => report.hint(format!("Feast's types are {}.", FEAST_TYPES.join(", "))),
            }
        })?,
    };
    Ok(FeatureDefinition {
        name: ident(&feature.name),
        data_type: datafusion::sql::sqlparser::ast::DataType::Custom(ObjectName::from(vec![SqlIdent::new(data_type)]), Vec::new()),
        type_position: 1,
        column: None,
        comment: feature.comment.clone(),
    })
}

/// Whole days as days, as one would write it.
fn ttl(seconds: i64) -> Result<Interval, Report> {
    const DAY: i64 = 86_400;
    let (days, rest) = if seconds % DAY == 0 { (seconds / DAY, 0) } else { (0, seconds) };
    let (Ok(days), Some(micros)) = (i32::try_from(days), rest.checked_mul(1_000_000)) else {
        return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("a TTL of {seconds} seconds is out of range")));
    };
    Ok(Interval { months: 0, days, micros, position: 1 })
}

/// `SELECT * FROM get_latest_features(entities => (SELECT * FROM pg_temp.entity_rows), features => ARRAY['view:*', …], full_feature_names => true)`,
/// as a tree.
fn retrieval(views: &[String]) -> Result<SqlStatement, Report> {
    let name = |parts: &[&str]| ObjectName::from(parts.iter().map(|part| SqlIdent::with_quote('"', *part)).collect::<Vec<_>>());
    let entities: Query = table_query(name(&["pg_temp", ENTITY_ROWS]), Vec::new())?;
    let features = views.iter().map(|view| Expr::Value(SqlValue::SingleQuotedString(format!("{view}:*")).into())).collect();
    let argument = |name: &str, value: Expr| FunctionArg::Named {
        name: SqlIdent::new(name),
        arg: FunctionArgExpr::Expr(value),
        operator: FunctionArgOperator::RightArrow,
    };
    let arguments = vec![
        argument("entities", Expr::Subquery(Box::new(entities))),
        argument("features", Expr::Array(SqlArray { elem: features, named: true })),
        argument("full_feature_names", Expr::Value(SqlValue::Boolean(true).into())),
    ];
    let mut query = table_query(name(&["get_latest_features"]), Vec::new())?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let TableFactor::Table { args, .. } = &mut from.relation
    {
        *args = Some(TableFunctionArgs { args: arguments, settings: None });
    }
    Ok(SqlStatement::Query(Box::new(query)))
}

/// The rows in the order of their numbers, which stand in this column, and without it.
fn in_order(rows: &RecordBatch, ordinal: usize) -> Result<RecordBatch, Report> {
    let told = |failure: arrow::error::ArrowError| plan::without_position(&failure.into());
    let numbers = rows.column(ordinal).as_primitive::<Int64Type>();
    let mut order: Vec<i64> = (0..rows.num_rows() as i64).collect();
    order.sort_unstable_by_key(|row| numbers.value(usize::try_from(*row).unwrap_or_default()));
    let mut ordered = take_record_batch(rows, &Int64Array::from(order)).map_err(told)?;
    ordered.remove_column(ordinal);
    Ok(ordered)
}

/// What the features are called; they come as `view__feature`, view by view.
fn short_names(entity: &[(String, FieldRef)], features: &[(String, FieldRef)], question: &LatestFeatures) -> Result<Vec<String>, Report> {
    let full = || features.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if question.full_feature_names == Some(true) {
        return Ok(full());
    }
    let mut views = question.feature_views.iter();
    let mut prefix = views.next().map(|view| format!("{view}__"));
    let mut short = Vec::with_capacity(features.len());
    for (name, _) in features {
        while let Some(current) = &prefix
            && !name.starts_with(current.as_str())
        {
            prefix = views.next().map(|view| format!("{view}__"));
        }
        short.push(prefix.as_ref().map_or(name.as_str(), |prefix| &name[prefix.len()..]));
    }
    let twice = |name: &str| short.iter().filter(|other| **other == name).count() > 1 || entity.iter().any(|(other, _)| other == name);
    if question.full_feature_names == Some(false)
        && let Some(name) = short.iter().find(|name| twice(name))
    {
        return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" would stand twice in the result"))
            .hint("\"full_feature_names\": true names each feature view__feature; without it, only those that would stand twice."));
    }
    Ok(features.iter().zip(&short).map(|((full, _), short)| if twice(short) { full.clone() } else { (*short).to_owned() }).collect())
}
