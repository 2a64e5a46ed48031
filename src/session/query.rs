//! Queries: from a statement's tree to rows that stream, and to the shape that Describe gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::displayable;
use datafusion::sql::sqlparser::ast::{DescribeAlias, Statement as SqlStatement};
use futures::StreamExt;
use futures::stream::BoxStream;

use super::backend::Backend;
use super::engine;
use super::known::KnownStatement;
use super::memory::StatementPool;
use super::response::{Column, Rows};
use super::session::Session;
use super::settings;
use super::statement::{Parsed, RegistryView, columns_of};
use crate::error::{Notice, Report, SqlState};
use crate::pg_type::PgType;
use crate::plan::{self, Parameters, Patience, PlannedQuery, Retrieved};
use crate::sql::{CopySource, CursorStatement, Show, Statement};
use crate::telemetry::Phase;

/// A query's columns and its rows.
pub(super) type Started = (Arc<[Column]>, BoxStream<'static, Result<RecordBatch, Report>>);
/// The same, and the first rows, which are there already: a cancel that comes now comes after them.
type Begun = (Arc<[Column]>, Option<RecordBatch>, BoxStream<'static, Result<RecordBatch, Report>>);

/// A statement that is stopped is dropped within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// A query ready to run.
struct Ready {
    physical: Arc<dyn ExecutionPlan>,
    columns: Arc<[Column]>,
    view: RegistryView,
    retrieved: Option<Arc<Retrieved>>,
    /// All that the client sent.
    text: Arc<str>,
}

impl Session {
    /// Plans a query and starts it.
    pub(super) async fn query(&mut self, sql: &SqlStatement, parsed: &Parsed, verb: &'static str) -> Result<Rows, Report> {
        if let Some(known) = parsed.statement.answer() {
            let (columns, stream) = (Arc::clone(&known.columns), futures::stream::empty().boxed());
            return Ok(Rows { columns, pending: Some(known.row.clone()), stream, verb, counted: true, binary: false });
        }
        let (columns, pending, stream) = self.start(sql, parsed.parameters(), &parsed.text).await?;
        if let Some(row) = &pending {
            parsed.statement.keep(&columns, row);
        }
        Ok(Rows { columns, pending, stream, verb, counted: true, binary: false })
    }

    /// Plans a query of which nothing runs before its rows are asked for: a cursor's.
    pub(super) async fn lazily(&mut self, sql: &SqlStatement, parsed: &Parsed) -> Result<Started, Report> {
        let ready = self.ready(sql, parsed.parameters(), &parsed.text).await?;
        let columns = Arc::clone(&ready.columns);
        Ok((columns, self.stream(ready)?))
    }

    /// Plans a query and runs it to its first rows. If files of a table are gone by then, the table moved on since its catalog was
    /// asked; no row has been sent, so the query begins again with what the catalogs say now, once. A transaction goes on with what
    /// it has seen, and a version that was asked for by number is not there a second time either.
    async fn start(&mut self, sql: &SqlStatement, parameters: Parameters, text: &Arc<str>) -> Result<Begun, Report> {
        let again = parameters.again();
        match self.first_rows(sql, parameters, text).await {
            Err(report)
                if report.sqlstate == SqlState::SNAPSHOT_EXPIRED
                    && !self.transaction.holds()
                    && self.transaction.pinned.follow_their_tables() =>
            {
                self.transaction.pinned.clear();
                self.transaction.pinned.ask_catalogs(true);
                self.first_rows(sql, again, text).await
            }
            done => done,
        }
    }

    async fn first_rows(&mut self, sql: &SqlStatement, parameters: Parameters, text: &Arc<str>) -> Result<Begun, Report> {
        let ready = self.ready(sql, parameters, text).await?;
        let columns = Arc::clone(&ready.columns);
        let mut stream = self.stream(ready)?;
        let first = loop {
            match stream.next().await.transpose()? {
                Some(batch) if batch.num_rows() == 0 => {}
                first => break first,
            }
        };
        Ok((columns, first, stream))
    }

    async fn ready(&self, sql: &SqlStatement, parameters: Parameters, text: &Arc<str>) -> Result<Ready, Report> {
        let began = Instant::now();
        let view = self.view_of_registry(mentions_history(text)).await?;
        let planning = async {
            let settings = view.settings(self, text);
            let planned = self.gateway.planner.query(sql, parameters, &settings).await?;
            let physical = engine::physical_plan(&view.state, &planned.plan).await;
            let physical = physical.map_err(|failure| plan::located(plan::report(&failure, text), sql, text))?;
            Ok((planned, physical))
        };
        let (planned, physical) = self.patiently(planning).await?;
        let counters = &self.gateway.counters;
        counters.took(Phase::Discovery, planned.discovery);
        counters.took(Phase::Planning, began.elapsed().saturating_sub(planned.discovery));
        Ok(Ready { physical, columns: columns(&planned), view, retrieved: planned.retrieved, text: Arc::clone(text) })
    }

    /// Planning, which ends when the statement is cancelled or its time is up. Who waits for the statement knows best why it ends, and is
    /// given the time to say so.
    async fn patiently<T>(&self, planning: impl Future<Output = Result<T, Report>>) -> Result<T, Report> {
        let began = self.running.as_ref().map_or_else(Instant::now, |running| running.began);
        let interrupt = self.interrupt();
        let patience = Patience::new(self.statement_timeout().map(|time| began + time), move || interrupt.is_raised());
        let planned = patience.within(planning).await;
        if planned.as_ref().is_err_and(|report| report.sqlstate == SqlState::QUERY_CANCELED) {
            tokio::time::sleep(HEARD_WITHIN).await;
        }
        planned
    }

    fn stream(&mut self, ready: Ready) -> Result<BoxStream<'static, Result<RecordBatch, Report>>, Report> {
        let pool = Arc::new(StatementPool::new(self.gateway.memory(), self.gateway.memory_per_query()));
        if let Some(running) = &mut self.running {
            running.pool = Some(Arc::clone(&pool));
            running.plan = Some(Arc::clone(&ready.physical));
        }
        if let Some(retrieved) = ready.retrieved {
            self.last_retrieval = Some(retrieved);
        }
        let context = engine::task_context(&ready.view.state, pool);
        let stream =
            self.gateway.crews.run(ready.physical, context, ready.view.stop).map_err(|failure| plan::without_position(&failure))?;
        let ties = Arc::clone(&ready.view.ties);
        let notices = Arc::clone(&self.notices);
        // The end of the rows is where the number of ties is known: an empty last step that tells it.
        let told =
            futures::stream::once(async move {
                let rows = ties.take();
                if rows > 0 {
                    let notice = Notice::plain(format!(
                        "{rows} entity {} decided by commit order or content: several feature rows had the same key and time",
                        if rows == 1 { "row was" } else { "rows were" }
                    ));
                    notices.lock().push(notice.hint(
                        "A CREATED TIMESTAMP, or row lineage (Iceberg format 3), keeps such ties stable across rewrites of the table.",
                    ));
                }
                None
            });
        let text = ready.text;
        let (gateway, began) = (Arc::clone(&self.gateway), self.running.as_ref().map(|running| running.began));
        let mut waiting = began;
        let rows = stream.map(move |batch| {
            if let Some(began) = waiting.take() {
                gateway.counters.took(Phase::FirstRow, began.elapsed());
            }
            Some(batch.map_err(|failure| plan::at_literal(plan::without_position(&failure), &text)))
        });
        Ok(rows.chain(told).filter_map(std::future::ready).boxed())
    }

    /// Plans and runs a query to its end, for statements that need all its rows at once.
    pub(super) async fn collect(
        &mut self,
        sql: &SqlStatement,
        parameters: Parameters,
        text: &Arc<str>,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), Report> {
        let (columns, first, stream) = self.start(sql, parameters, text).await?;
        let mut stream = futures::stream::iter(first.map(Ok)).chain(stream);
        let field = |column: &Column| bare_oid(column.field.as_ref().clone().with_name(&column.name));
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let pool = self.gateway.memory();
        let reservation = datafusion::execution::memory_pool::MemoryConsumer::new("collected rows").register(&pool);
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            reservation.try_grow(batch.get_array_memory_size()).map_err(|failure| plan::without_position(&failure))?;
            let bare = |(array, column): (&ArrayRef, &Column)| match array.as_struct_opt() {
                Some(pair) if PgType::of(&column.field).is_named_oid() => Arc::clone(pair.column(0)),
                _ => Arc::clone(array),
            };
            let arrays = batch.columns().iter().zip(columns.iter()).map(bare).collect();
            let renamed = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|failure| plan::without_position(&failure.into()))?;
            batches.push(renamed);
        }
        Ok((schema, batches))
    }

    /// `EXPLAIN`: the physical plan as one column of text.
    pub(super) async fn explain(&mut self, explain: SqlStatement, parsed: &Parsed) -> Result<Rows, Report> {
        let SqlStatement::Explain { describe_alias, analyze, verbose, statement, options, format, .. } = explain else {
            return Err(Report::new(SqlState::SYNTAX_ERROR, "EXPLAIN needs a statement"));
        };
        if describe_alias != DescribeAlias::Explain {
            return Err(Report::new(SqlState::SYNTAX_ERROR, "DESCRIBE takes a table or a feature view"));
        }
        if format.is_some() {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "EXPLAIN FORMAT is not supported").hint("The plan is text."));
        }
        const KNOWN: [&str; 10] =
            ["analyze", "verbose", "costs", "settings", "generic_plan", "buffers", "wal", "timing", "summary", "format"];
        for option in options.iter().flatten() {
            let name = option.name.value.to_ascii_lowercase();
            if !KNOWN.contains(&name.as_str()) {
                let report = Report::new(SqlState::SYNTAX_ERROR, format!("unrecognized EXPLAIN option \"{name}\""));
                let at = usize::try_from(option.name.span.start.column).ok().filter(|at| *at > 0);
                return Err(report.position(at));
            }
            if name == "format" && option.arg.as_ref().is_some_and(|arg| !arg.to_string().trim_matches('\'').eq_ignore_ascii_case("text")) {
                return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "EXPLAIN FORMAT is not supported").hint("The plan is text."));
            }
        }
        let given = |name: &str| {
            options.iter().flatten().find(|option| option.name.value.eq_ignore_ascii_case(name)).is_some_and(|option| {
                option.arg.as_ref().is_none_or(|arg| !matches!(arg.to_string().to_ascii_lowercase().as_str(), "false" | "off" | "0"))
            })
        };
        let (analyze, verbose) = (analyze || given("analyze"), verbose || given("verbose"));
        if !matches!(*statement, SqlStatement::Query(_)) {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "EXPLAIN of anything but a query is not supported"));
        }
        let ready = self.ready(&statement, parsed.parameters(), &parsed.text).await?;
        let physical = Arc::clone(&ready.physical);
        if analyze {
            let mut stream = self.stream(ready)?;
            while let Some(batch) = stream.next().await {
                batch?;
            }
        }
        let shown = if analyze {
            datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(physical.as_ref()).indent(verbose).to_string()
        } else {
            displayable(physical.as_ref()).indent(verbose).to_string()
        };
        let lines: StringArray = shown.lines().map(Some).collect();
        let schema = Arc::new(explain_schema());
        let batch = RecordBatch::try_new(schema, vec![Arc::new(lines)]).map_err(|failure| plan::without_position(&failure.into()))?;
        Ok(Rows {
            columns: columns_of(&batch),
            pending: None,
            stream: Box::pin(futures::stream::once(async move { Ok(batch) })),
            verb: "EXPLAIN",
            counted: false,
            binary: false,
        })
    }

    /// What a statement takes and gives, without running it.
    pub(super) async fn shape(
        &mut self,
        statement: &KnownStatement,
        text: &Arc<str>,
        declared: &[Option<PgType>],
    ) -> Result<(Vec<PgType>, Option<Arc<[Column]>>), Report> {
        if let Some(known) = statement.answer().filter(|_| declared.is_empty()) {
            return Ok((Vec::new(), Some(Arc::clone(&known.columns))));
        }
        match &statement.statement {
            Statement::Show(
                Show::Objects(_) | Show::Status | Show::Create(..) | Show::Catalogs | Show::Schemas { .. } | Show::Tables { .. },
            )
            | Statement::Describe(_) => {
                let view = self.view_of_registry(false).await?;
                let settings = view.settings(self, text);
                let batch = match &statement.statement {
                    Statement::Show(show) => self.gateway.planner.show(show, &settings).await?,
                    Statement::Describe(describe) => self.gateway.planner.describe(describe, &settings).await?,
                    _ => return Ok((Vec::new(), None)),
                };
                Ok((Vec::new(), Some(columns_of(&batch))))
            }
            Statement::Cursor(CursorStatement::Declare(declare)) => {
                let (_, parameters) = self.describe_query(&declare.query, text, declared, &[]).await?;
                Ok((parameters, None))
            }
            Statement::Copy(copy) => match &copy.source {
                CopySource::Query(query) => {
                    let (_, parameters) = self.describe_query(query, text, declared, &[]).await?;
                    Ok((parameters, None))
                }
                CopySource::Table { .. } => Ok((Vec::new(), None)),
            },
            Statement::Sql(sql) => self.shape_sql(sql, text, declared).await,
            _ => Ok((Vec::new(), None)),
        }
    }

    async fn shape_sql(
        &mut self,
        sql: &SqlStatement,
        text: &Arc<str>,
        declared: &[Option<PgType>],
    ) -> Result<(Vec<PgType>, Option<Arc<[Column]>>), Report> {
        match sql {
            SqlStatement::Query(_) => {
                let (planned, parameters) = self.describe_query(sql, text, declared, &[]).await?;
                Ok((parameters, Some(columns(&planned))))
            }
            SqlStatement::Explain { statement, .. } => {
                let (_, parameters) = self.describe_query(statement, text, declared, &[]).await?;
                Ok((parameters, Some(columns_of(&RecordBatch::new_empty(Arc::new(explain_schema()))))))
            }
            SqlStatement::ShowVariable { variable } => {
                let schema = Arc::new(settings::show_columns(variable));
                Ok((Vec::new(), Some(columns_of(&RecordBatch::new_empty(schema)))))
            }
            SqlStatement::Insert(insert) => {
                let Some(source) = &insert.source else { return Ok((Vec::new(), None)) };
                let expected = self.insert_types(insert)?;
                let source = SqlStatement::Query(source.clone());
                let (_, parameters) = self.describe_query(&source, text, declared, &expected).await?;
                Ok((parameters, None))
            }
            SqlStatement::CreateTable(create) => {
                let Some(query) = &create.query else { return Ok((Vec::new(), None)) };
                let (_, parameters) = self.describe_query(&SqlStatement::Query(query.clone()), text, declared, &[]).await?;
                Ok((parameters, None))
            }
            SqlStatement::Execute { name: Some(name), .. } => {
                let name = settings::name(name).to_lowercase();
                Ok((Vec::new(), self.prepared.get(&name).and_then(|prepared| prepared.columns.clone())))
            }
            _ => Ok((Vec::new(), None)),
        }
    }

    /// The columns that a query without parameters has.
    pub(super) async fn columns_of_query(&self, sql: &SqlStatement, text: &Arc<str>) -> Result<Arc<[Column]>, Report> {
        let (planned, _) = self.describe_query(sql, text, &[], &[]).await?;
        Ok(columns(&planned))
    }

    async fn describe_query(
        &self,
        sql: &SqlStatement,
        text: &Arc<str>,
        declared: &[Option<PgType>],
        expected: &[DataType],
    ) -> Result<(PlannedQuery, Vec<PgType>), Report> {
        let view = self.view_of_registry(false).await?;
        let settings = view.settings(self, text);
        let types = declared.iter().map(|pg_type| pg_type.map(PgType::arrow)).collect();
        let parameters = Parameters::typed(types).named(declared.iter().copied()).expecting(expected);
        let planned = self.patiently(self.gateway.planner.query(sql, parameters, &settings)).await?;
        let parameters = planned
            .parameter_types
            .iter()
            .enumerate()
            .map(|(index, found)| declared.get(index).copied().flatten().unwrap_or_else(|| PgType::of(found)))
            .collect();
        Ok((planned, parameters))
    }
}

/// A planned query's columns.
fn columns(planned: &PlannedQuery) -> Arc<[Column]> {
    planned
        .columns
        .iter()
        .zip(&planned.origins)
        .map(|((name, field), origin)| {
            let (table_oid, attribute) = origin.unwrap_or_default();
            Column { name: name.clone(), field: Arc::clone(field), table_oid, attribute }
        })
        .collect()
}

fn explain_schema() -> Schema {
    Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, false)])
}

/// The registry's history costs reads, so it is asked for only where the text names it.
fn mentions_history(text: &str) -> bool {
    text.contains("registry_history")
}

/// The column of a result as one of a table: what is shown with its name is an oid.
fn bare_oid(field: Field) -> Field {
    let is_pair = PgType::of(&field).is_named_oid() && matches!(field.data_type(), DataType::Struct(_));
    if is_pair { field.with_data_type(DataType::UInt32) } else { field }
}
