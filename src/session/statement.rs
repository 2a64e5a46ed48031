//! What each kind of statement does.
//!
//! A statement answers with rows that are still being computed, with a tag, or with a request for COPY's data. Effects on the
//! registry are durable before the tag is given, unless a transaction holds them until its COMMIT.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{DiscardObject, ObjectType, Reset, Statement as SqlStatement};

use super::backend::Backend;
use super::known::KnownStatement;
use super::portals::same_shape;
use super::prepared::{Definitions, Prepared};
use super::response::{Column, Response, Rows, TransactionStatus};
use super::session::{Running, Session};
use super::transaction::RegistryWork;
use super::transaction_timer::TransactionTimer;
use super::vars::TransactionModes;
use super::work::PlanWork;
use super::{engine, read_only, settings, tables};
use crate::error::{Notice, Report, SqlState};
use crate::exec::point_in_time_join::TieCounter;
use crate::pg_type::PgType;
use crate::plan::{Parameters, StatementSettings, StopFlag};
use crate::registry::{HistoryEntry, RegistryChange, RegistrySnapshot};
use crate::sql::{ObjectKind, Show, Statement, StatementText, folded};
use crate::telemetry::{Phase, StatementLine};

/// A statement about to run.
pub(super) struct Parsed {
    /// It.
    pub statement: Arc<KnownStatement>,
    /// All that the client sent.
    pub text: Arc<str>,
    /// Types and values of its parameters.
    pub parameters: Option<(Vec<PgType>, Vec<ScalarValue>)>,
}

impl Parsed {
    /// The parameters as the planner takes them.
    pub(super) fn parameters(&self) -> Parameters {
        match &self.parameters {
            Some((types, values)) => {
                // An array has as many dimensions as its value.
                let own = |(pg_type, value): (&PgType, &ScalarValue)| match value.data_type() {
                    list @ DataType::List(_) if pg_type.element().is_some() => list,
                    _ => pg_type.arrow(),
                };
                let known = types.iter().zip(values).map(|pair| Some(own(pair))).collect();
                Parameters::bound(known, values.clone()).named(types.iter().copied().map(Some))
            }
            None => Parameters::bound(Vec::new(), Vec::new()),
        }
    }
}

/// 25P02.
pub(super) fn failed_transaction() -> Report {
    Report::new(SqlState::IN_FAILED_SQL_TRANSACTION, "current transaction is aborted, commands ignored until end of transaction block")
}

/// Whether this is what a failed transaction accepts.
pub(super) fn ends_transaction(statement: &StatementText) -> bool {
    matches!(&statement.statement, Statement::Sql(sql) if matches!(sql.as_ref(), SqlStatement::Commit { .. } | SqlStatement::Rollback { .. }))
}

impl Session {
    /// Notes what runs, for the log.
    pub(super) fn begin_statement(&mut self, statement: &KnownStatement) {
        self.begin_text(statement.shown(), statement.kind());
    }

    /// The same for what has no statement to be known by.
    pub(super) fn begin_text(&mut self, text: Arc<str>, kind: Arc<str>) {
        let shown = text.chars().take(SHOWN_QUERY).collect();
        self.running = Some(Running { text, kind, began: Instant::now(), pool: None, plan: None, encoding: Duration::ZERO });
        self.time_transaction();
        let now = self.gateway.planner.clock.now_micros();
        let mut activity = self.registration.activity.lock();
        activity.state = "active";
        activity.query = Some(shown);
        (activity.query_start, activity.state_change) = (Some(now), now);
        activity.xact_start.get_or_insert(now);
    }

    /// Notes what the session does now that its statement is over.
    pub(super) fn rest(&self) {
        let now = self.gateway.planner.clock.now_micros();
        let application = self.vars.lock().get("application_name").unwrap_or_default().to_owned();
        let mut activity = self.registration.activity.lock();
        activity.state = match self.transaction.status() {
            TransactionStatus::Idle => "idle",
            TransactionStatus::InTransaction => "idle in transaction",
            TransactionStatus::Failed => "idle in transaction (aborted)",
        };
        if !self.transaction.is_block() {
            activity.xact_start = None;
        }
        activity.state_change = now;
        activity.application_name = application;
    }

    /// Runs a statement to its answer.
    pub(super) async fn run(&mut self, parsed: Parsed) -> Result<Response, Report> {
        if self.transaction.is_failed() && !ends_transaction(&parsed.statement) {
            return Err(failed_transaction());
        }
        self.check_modes(&parsed.statement.statement)?;
        match &parsed.statement.statement {
            Statement::CreateEntity(create) => {
                let change = self.gateway.planner.create_entity(create)?;
                self.change(change, parsed.statement.text.clone()).await?;
                Ok(done("CREATE ENTITY"))
            }
            Statement::CreateFeatureView(create) => {
                let change = {
                    let view = self.view_of_registry(false).await?;
                    let settings = view.settings(self, &parsed.text);
                    self.gateway.planner.create_feature_view(create, &settings).await?
                };
                self.change(change, parsed.statement.text.clone()).await?;
                Ok(done("CREATE FEATURE VIEW"))
            }
            Statement::Drop(drop) => {
                let change = {
                    let view = self.view_of_registry(false).await?;
                    self.gateway.planner.drop_objects(drop, &view.settings(self, &parsed.text))?
                };
                self.change(change, parsed.statement.text.clone()).await?;
                Ok(done(match drop.kind {
                    ObjectKind::Entity => "DROP ENTITY",
                    ObjectKind::FeatureView => "DROP FEATURE VIEW",
                    ObjectKind::FeatureService => "DROP FEATURE SERVICE",
                }))
            }
            Statement::Show(show) => {
                let batch = self.show(show, &parsed.text).await?;
                Ok(rows_of(batch, "SHOW"))
            }
            Statement::Describe(describe) => {
                let view = self.view_of_registry(false).await?;
                let settings = view.settings(self, &parsed.text);
                let batch = self.gateway.planner.describe(describe, &settings).await?;
                Ok(rows_of(batch, "DESCRIBE"))
            }
            Statement::Refresh { view } => {
                let change = {
                    let found = self.view_of_registry(false).await?;
                    let settings = found.settings(self, &parsed.text);
                    self.gateway.planner.refresh(view, &settings).await?
                };
                if let Some(change) = change {
                    self.change(change, parsed.statement.text.clone()).await?;
                }
                Ok(done("REFRESH FEATURE VIEW"))
            }
            Statement::NotSupported { name, position } => {
                Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{name} is not supported yet")).position(*position))
            }
            Statement::Cursor(cursor) => self.cursor_statement(cursor, &parsed).await,
            Statement::Copy(copy) => self.copy(copy, &parsed).await,
            Statement::Sql(sql) => {
                if matches!(sql.as_ref(), SqlStatement::Query(_)) {
                    return self.query(sql, &parsed, "SELECT").await.map(Response::Rows);
                }
                self.run_sql(sql.as_ref().clone(), &parsed).await
            }
        }
    }

    /// Refuses what a read-only transaction may not do; a query fixes the transaction's modes.
    fn check_modes(&self, statement: &Statement) -> Result<(), Report> {
        let mut vars = self.vars.lock();
        if let Some(command) = read_only::refused(statement)
            && vars.get("transaction_read_only").is_ok_and(|read_only| read_only == "on")
        {
            let message = format!("cannot execute {command} in a read-only transaction");
            return Err(Report::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        if self.transaction.holds() && read_only::is_query(statement) {
            vars.begin_query();
        }
        Ok(())
    }

    async fn show(&self, show: &Show, text: &Arc<str>) -> Result<RecordBatch, Report> {
        let view = self.view_of_registry(false).await?;
        let settings = view.settings(self, text);
        self.gateway.planner.show(show, &settings).await
    }

    async fn run_sql(&mut self, sql: SqlStatement, parsed: &Parsed) -> Result<Response, Report> {
        match sql {
            SqlStatement::Explain { .. } => self.explain(sql, parsed).await.map(Response::Rows),
            SqlStatement::Set(set) => {
                settings::set(&mut self.vars.lock(), &set, self.transaction.holds(), &self.notices)?;
                self.time_transaction();
                Ok(done("SET"))
            }
            SqlStatement::Reset(reset) => {
                match reset.reset {
                    Reset::ALL => self.vars.lock().reset_all(),
                    Reset::ConfigurationParameter(name) => self.vars.lock().set(&settings::name(&name), None, false)?,
                }
                self.time_transaction();
                Ok(done("RESET"))
            }
            SqlStatement::ShowVariable { variable } => {
                let batch = settings::show(&self.vars.lock(), &variable)?;
                Ok(rows_of(batch, "SHOW"))
            }
            SqlStatement::StartTransaction { begin, modes, .. } => {
                let before = self.vars.lock().saved();
                settings::set_modes(&mut self.vars.lock(), &modes, false)?;
                if self.transaction.is_block() {
                    self.warn(SqlState::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress");
                } else {
                    self.transaction.begin(before, &self.temp_tables);
                    self.vars.lock().begin_transaction();
                }
                Ok(done(if begin { "BEGIN" } else { "START TRANSACTION" }))
            }
            SqlStatement::Commit { chain, .. } => {
                let modes = self.chained(chain, "COMMIT AND CHAIN")?;
                self.cursors.drop_portals();
                let tag = if self.transaction.is_failed() {
                    self.roll_back();
                    "ROLLBACK"
                } else {
                    if !self.transaction.is_block() {
                        self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
                    }
                    self.commit().await?;
                    "COMMIT"
                };
                self.begin_chained(modes);
                Ok(done(tag))
            }
            SqlStatement::Rollback { chain, savepoint } => {
                let modes = self.chained(chain, "ROLLBACK AND CHAIN")?;
                match savepoint {
                    Some(name) => {
                        self.in_block("ROLLBACK TO SAVEPOINT")?;
                        let (savepoint, saved) = self.transaction.roll_back_to(&folded(&name))?;
                        self.cursors.roll_back_to(savepoint);
                        saved.restore(&mut self.vars.lock(), &mut self.temp_tables);
                    }
                    None => {
                        self.cursors.drop_portals();
                        if !self.transaction.is_block() {
                            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
                        }
                        self.roll_back();
                        self.begin_chained(modes);
                    }
                }
                Ok(done("ROLLBACK"))
            }
            SqlStatement::Savepoint { name } => {
                self.in_block("SAVEPOINT")?;
                let vars = self.vars.lock().saved();
                self.transaction.savepoint(folded(&name), vars, &self.temp_tables)?;
                Ok(done("SAVEPOINT"))
            }
            SqlStatement::ReleaseSavepoint { name } => {
                self.in_block("RELEASE SAVEPOINT")?;
                let savepoint = self.transaction.release(&folded(&name))?;
                self.cursors.release(savepoint);
                Ok(done("RELEASE"))
            }
            SqlStatement::Discard { object_type } => match object_type {
                DiscardObject::ALL => {
                    if self.transaction.holds() {
                        return Err(Report::new(SqlState::ACTIVE_SQL_TRANSACTION, "DISCARD ALL cannot run inside a transaction block"));
                    }
                    if self.pipelined {
                        return Err(Report::new(SqlState::ACTIVE_SQL_TRANSACTION, "DISCARD ALL cannot be executed within a pipeline"));
                    }
                    self.discard_all();
                    Ok(done("DISCARD ALL"))
                }
                DiscardObject::PLANS => Ok(done("DISCARD PLANS")),
                DiscardObject::SEQUENCES => Ok(done("DISCARD SEQUENCES")),
                DiscardObject::TEMP => {
                    self.temp_tables.clear();
                    Ok(done("DISCARD TEMP"))
                }
            },
            SqlStatement::CreateTable(create) => self.create_temp_table(create, parsed).await,
            SqlStatement::Insert(insert) => self.insert(insert, parsed).await,
            SqlStatement::Truncate(truncate) => {
                // All names first: the statement does all of it or nothing.
                let names = truncate.table_names.iter().map(|target| self.temp_table_name(&target.name, "TRUNCATE"));
                for name in names.collect::<Result<Vec<_>, _>>()? {
                    self.temp_tables.truncate(&name)?;
                }
                Ok(done("TRUNCATE TABLE"))
            }
            SqlStatement::Drop { object_type: ObjectType::Table, if_exists, names, .. } => {
                let found = names.iter().map(|name| self.temp_table_to_drop(name, if_exists)).collect::<Result<Vec<_>, _>>()?;
                for table in found.into_iter().flatten() {
                    self.temp_tables.drop_table(&table);
                }
                Ok(done("DROP TABLE"))
            }
            SqlStatement::Prepare { name, data_types, statement } => {
                self.prepare_sql(&folded(&name), &data_types, *statement, parsed).await
            }
            SqlStatement::Execute { name, parameters, .. } => self.execute_sql(name.as_ref(), &parameters, parsed).await,
            // Nobody listens, so everybody has stopped.
            SqlStatement::UNLISTEN { .. } => Ok(done("UNLISTEN")),
            SqlStatement::Deallocate { name, .. } => {
                // A statement may be called "all", with quotes.
                let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
                let name = folded(&name);
                if all {
                    self.prepared.clear();
                    return Ok(done("DEALLOCATE ALL"));
                }
                if !self.prepared.remove(&name) {
                    return Err(Report::new(SqlState::INVALID_SQL_STATEMENT_NAME, format!("prepared statement \"{name}\" does not exist")));
                }
                Ok(done("DEALLOCATE"))
            }
            other => Err(tables::unsupported(&other)),
        }
    }

    /// The modes that the transaction hands on to the next, if it is to be followed by one.
    fn chained(&self, chain: bool, statement: &str) -> Result<Option<TransactionModes>, Report> {
        if !chain {
            return Ok(None);
        }
        self.in_block(statement)?;
        Ok(Some(self.vars.lock().transaction_modes()))
    }

    /// Begins the transaction that follows one without a BEGIN.
    fn begin_chained(&mut self, modes: Option<TransactionModes>) {
        let Some(modes) = modes else { return };
        let before = self.vars.lock().saved();
        self.transaction.begin(before, &self.temp_tables);
        self.vars.lock().begin_transaction_with(modes);
        self.registration.activity.lock().xact_start = Some(self.gateway.planner.clock.now_micros());
        self.transaction_timer = None;
        self.time_transaction();
    }

    /// Sees to it that a transaction is timed if it is to be, from where it is said so.
    fn time_transaction(&mut self) {
        let limit = self.vars.lock().time("transaction_timeout");
        if limit.is_none() || self.transaction_timer.is_none() {
            self.transaction_timer = TransactionTimer::start(limit, self.interrupt());
        }
    }

    fn in_block(&self, statement: &str) -> Result<(), Report> {
        if self.transaction.is_block() {
            return Ok(());
        }
        Err(Report::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, format!("{statement} can only be used in transaction blocks")))
    }

    pub(super) fn warn(&self, sqlstate: SqlState, message: &str) {
        self.notices.lock().push(Notice::warning(sqlstate, message));
    }

    /// Makes a registry change, now or at the transaction's COMMIT.
    pub(super) async fn change(&mut self, change: RegistryChange, text: String) -> Result<(), Report> {
        if !self.transaction.holds() {
            let (_, notices) = self.gateway.registry.commit_autocommit(&[change], &self.user, &text).await?;
            self.notices.lock().extend(notices.into_iter().map(Notice::plain));
            return Ok(());
        }
        let mut work = match self.transaction.registry.take() {
            Some(work) => work,
            None => RegistryWork::new(self.gateway.registry.fresh().await?),
        };
        let applied = work.working.apply(&change);
        let outcome = match applied {
            Ok((next, notices)) => {
                work.working = Arc::new(next);
                work.changes.push(change);
                work.statements.push(text);
                self.notices.lock().extend(notices.into_iter().map(Notice::plain));
                Ok(())
            }
            Err(failure) => Err(Report::from(failure)),
        };
        self.transaction.registry = Some(work);
        outcome
    }

    /// COMMIT: first what can fail, the rest of held cursors and the registry's changes.
    pub(super) async fn commit(&mut self) -> Result<(), Report> {
        if let Err(failure) = self.hold_cursors().await {
            self.roll_back();
            return Err(failure);
        }
        let changes = self.transaction.registry.take().filter(|work| !work.changes.is_empty());
        if let Some(work) = changes {
            let outcome = self.gateway.registry.commit(&work.base, &work.changes, &self.user, &work.statements.join(";\n")).await;
            if let Err(failure) = outcome {
                self.roll_back();
                return Err(failure.into());
            }
        }
        self.transaction.end();
        self.vars.lock().end_transaction();
        self.temp_tables.commit();
        self.batch = None;
        Ok(())
    }

    /// ROLLBACK of whatever is open.
    pub(super) fn roll_back(&mut self) {
        self.cursors.roll_back();
        self.batch = None;
        if let Some(saved) = self.transaction.end() {
            saved.restore(&mut self.vars.lock(), &mut self.temp_tables);
        }
        self.vars.lock().end_transaction();
    }

    /// The registry and the engine as this statement sees them.
    pub(super) async fn view_of_registry(&self, with_history: bool) -> Result<RegistryView, Report> {
        let registry = match &self.transaction.registry {
            Some(work) => Arc::clone(&work.working),
            None => self.gateway.registry.fresh().await?,
        };
        let history = if with_history { self.gateway.registry.history(None, HISTORY_ROWS).await? } else { Vec::new() };
        let (zone, date_style) = {
            let vars = self.vars.lock();
            (vars.time_zone(), vars.get("DateStyle").unwrap_or_default().to_owned())
        };
        let stop = Arc::<StopFlag>::default();
        let state = engine::for_statement(&self.state, &zone, &date_style, Arc::clone(&stop));
        Ok(RegistryView { registry, history, state, stop, ties: Arc::default() })
    }

    /// Parses and plans a statement for the extended protocol and PREPARE.
    pub(super) async fn prepare(
        &mut self,
        statement: Option<Arc<KnownStatement>>,
        text: Arc<str>,
        declared: &[Option<PgType>],
    ) -> Result<Prepared, Report> {
        // Before anything is planned on them.
        let definitions = self.definitions();
        let Some(statement) = statement else {
            return Ok(Prepared::new(None, text, Vec::new(), None, definitions));
        };
        if self.transaction.is_failed() && !ends_transaction(&statement) {
            return Err(failed_transaction());
        }
        let (parameters, columns) = self.shape(&statement, &text, declared).await?;
        Ok(Prepared::new(Some(statement), text, parameters, columns, definitions))
    }

    /// What plans depend on now.
    pub(super) fn definitions(&self) -> Definitions {
        let registry = match &self.transaction.registry {
            Some(work) => work.working.version,
            None => self.gateway.registry.current().version,
        };
        (registry, self.temp_tables.shapes())
    }

    /// Plans a prepared statement again, for a table of the session or a definition has changed since: what it reads may not be there any
    /// more, or have other columns than the client was told.
    pub(super) async fn plan_again(&mut self, name: &str, prepared: &Prepared) -> Result<(), Report> {
        let Some(statement) = prepared.statement.as_ref() else { return Ok(()) };
        let definitions = self.definitions();
        let types: Vec<Option<PgType>> = prepared.parameters.iter().copied().map(Some).collect();
        let (_, columns) = self.shape(statement, &prepared.text, &types).await?;
        if let (Some(found), Some(described)) = (&columns, &prepared.columns) {
            same_shape(found, described)?;
        }
        self.prepared.confirm(name, definitions);
        Ok(())
    }

    pub(super) fn log_statement(&mut self, outcome: Result<u64, &Report>) {
        let Some(running) = self.running.take() else {
            // What is no SQL, or cannot be prepared or bound, fails before anything runs.
            if let Err(report) = outcome {
                self.gateway.counters.error(report.sqlstate);
            }
            return;
        };
        let rows = outcome.as_ref().ok().copied().unwrap_or(0);
        let error = outcome.err();
        let (time, sqlstate) = (running.began.elapsed(), error.map(|report| report.sqlstate));
        let done = running.plan.as_ref().map(PlanWork::of).unwrap_or_default();
        let counters = &self.gateway.counters;
        counters.statement(rows, done.work, sqlstate);
        counters.took(Phase::Statement, time);
        let encoding = Some(running.encoding).filter(|time| !time.is_zero());
        for (phase, time) in [(Phase::Scan, done.scan), (Phase::Join, done.join), (Phase::Encode, encoding)] {
            if let Some(time) = time {
                counters.took(phase, time);
            }
        }
        self.gateway.statistics.add(&self.user, &running.kind, time, rows, done.work, sqlstate);
        let snapshots = self.transaction.pinned.snapshot_ids();
        let line = StatementLine {
            session: self.process_id,
            user: &self.user,
            text: &running.text,
            duration: time,
            rows,
            work: done.work,
            peak_memory: running.pool.map_or(0, |pool| pool.peak() as u64),
            snapshots: &snapshots,
            error,
        };
        line.log();
    }
}

/// Characters of a statement that `pg_stat_activity` shows.
const SHOWN_QUERY: usize = 1024;
/// Commits that `feature_store.registry_history` shows at the most, newest first.
const HISTORY_ROWS: usize = 1000;

/// What a statement sees of registry and engine.
pub(super) struct RegistryView {
    /// The registry.
    pub registry: Arc<RegistrySnapshot>,
    /// Its commits, if asked for.
    pub history: Vec<HistoryEntry>,
    /// The engine with the session's settings.
    pub state: Arc<datafusion::execution::SessionState>,
    /// What stops parts of the statement that do not end with its rows.
    pub stop: Arc<StopFlag>,
    /// Ties that commit order or content decided.
    pub ties: Arc<TieCounter>,
}

impl RegistryView {
    /// As the planner takes it.
    pub(super) fn settings<'a>(&'a self, session: &'a Session, text: &Arc<str>) -> StatementSettings<'a> {
        StatementSettings {
            registry: Arc::clone(&self.registry),
            temporary: &session.temp_tables,
            pinned: &session.transaction.pinned,
            state: &self.state,
            view_state: &session.gateway.view_state,
            ties: Arc::clone(&self.ties),
            history: self.history.clone(),
            reads: Arc::default(),
            last: session.last_retrieval.clone(),
            text: Arc::clone(text),
            notices: &session.notices,
        }
    }
}

/// A tag.
pub(super) fn done(tag: &str) -> Response {
    Response::Done(tag.to_owned())
}

/// A batch that is there already, as an answer.
pub(super) fn rows_of(batch: RecordBatch, verb: &'static str) -> Response {
    Response::Rows(Rows {
        columns: columns_of(&batch),
        pending: None,
        stream: Box::pin(futures::stream::once(async move { Ok(batch) })),
        verb,
        counted: false,
        binary: false,
    })
}

/// A batch's columns.
pub(super) fn columns_of(batch: &RecordBatch) -> Arc<[Column]> {
    batch
        .schema()
        .fields()
        .iter()
        .map(|field| Column { name: field.name().clone(), field: Arc::clone(field), table_oid: 0, attribute: 0 })
        .collect()
}
