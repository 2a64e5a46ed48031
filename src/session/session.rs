//! [`Session`]: one client's state, and the protocol's requests on it.
//!
//! What a statement does is in `statement`; here is what surrounds it: scripts, prepared statements, portals, and how a
//! statement's end, good or bad, ends or fails the transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use parking_lot::Mutex;

use super::backend::{Backend, Interrupt, Startup};
use super::cursor::Cursors;
use super::engine;
use super::gateway::{FeatureGateway, OtherBackends, Registration};
use super::known::{KnownStatement, Script};
use super::memory::StatementPool;
use super::response::{Column, Notice, Response, Rows, TransactionStatus};
use super::statement::Parsed;
use super::temp_tables::TempTables;
use super::transaction::{Saved, Transaction};
use super::vars::SessionVars;
use crate::catalog::{CursorFacts, SessionFacts, Settings, session_functions};
use crate::error::{Report, SqlState};
use crate::pg_format::{DateOrder, OutputSettings};
use crate::pg_type::PgType;
use crate::plan::Retrieved;
use crate::sql::{CursorStatement, Statement};

/// One client.
pub struct Session {
    pub(super) gateway: Arc<FeatureGateway>,
    pub(super) user: String,
    pub(super) process_id: i32,
    pub(super) vars: Arc<Mutex<SessionVars>>,
    pub(super) temp_tables: TempTables,
    pub(super) transaction: Transaction,
    pub(super) notices: Arc<Mutex<Vec<Notice>>>,
    pub(super) state: Mutex<Arc<SessionState>>,
    pub(super) prepared: HashMap<String, Prepared>,
    pub(super) copy_target: Option<CopyTarget>,
    pub(super) running: Option<Running>,
    pub(super) last_retrieval: Option<Arc<Retrieved>>,
    portals: HashMap<String, Portal>,
    pub(super) cursors: Cursors,
    /// Settings and temporary tables as they were before an extended batch outside a block: an error takes all of the batch back.
    pub(super) batch: Option<Saved>,
    script: Option<Arc<Script>>,
    interrupt: Arc<Interrupt>,
    pub(super) registration: Registration,
}

/// A prepared statement.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The statement; none for an empty one.
    pub statement: Option<Arc<KnownStatement>>,
    /// All that the client sent.
    pub text: Arc<str>,
    /// Types of its parameters.
    pub parameters: Vec<PgType>,
    /// Its result; none if it returns no rows.
    pub columns: Option<Arc<[Column]>>,
}

/// A bound statement.
struct Portal {
    prepared: Prepared,
    values: Vec<ScalarValue>,
    formats: Vec<i16>,
    /// Behind a lock because a stream is not `Sync`, which a session that waits must be.
    suspended: Mutex<Option<Rows>>,
    started: bool,
}

/// Where `COPY … FROM STDIN` puts rows.
pub(super) struct CopyTarget {
    /// The temporary table.
    pub table: String,
    /// For each column of the table, which column of the data fills it.
    pub fill: Vec<Option<usize>>,
    /// WHERE, as a query of the table.
    pub filter: Option<SqlStatement>,
    /// All that the client sent.
    pub text: Arc<str>,
    /// Rows so far.
    pub batches: Vec<RecordBatch>,
    /// Their share of the server's memory.
    pub memory: MemoryReservation,
}

/// The settings as functions reach them.
struct SharedVars(Arc<Mutex<SessionVars>>);

impl Settings for SharedVars {
    fn get(&self, name: &str) -> Result<String, Report> {
        self.0.lock().get(name).map(str::to_owned)
    }

    fn set(&self, name: &str, value: &str, local: bool) -> Result<String, Report> {
        let mut vars = self.0.lock();
        vars.set(name, Some(value), local)?;
        vars.get(name).map(str::to_owned)
    }

    fn all(&self) -> Vec<(&'static str, String)> {
        self.0.lock().all().map(|(name, value)| (name, value.to_owned())).collect()
    }
}

/// The statement that runs now, for its log line.
pub(super) struct Running {
    /// Its text, as others may see it.
    pub text: Arc<str>,
    /// The text of all statements of its kind.
    pub kind: Arc<str>,
    /// When it began.
    pub began: Instant,
    /// The memory that it uses, once it runs operators.
    pub pool: Option<Arc<StatementPool>>,
    /// What it runs, for what it has read and how long it took.
    pub plan: Option<Arc<dyn ExecutionPlan>>,
    /// Time that went into encoding its rows.
    pub encoding: Duration,
}

impl Session {
    /// A session for an authenticated client.
    pub(super) fn open(
        gateway: Arc<FeatureGateway>,
        startup: Startup,
        interrupt: Arc<Interrupt>,
        registration: Registration,
    ) -> Result<Self, Report> {
        let limits = &gateway.config.limits;
        let milliseconds = |timeout: Option<Duration>| timeout.map_or_else(|| "0".to_owned(), |time| time.as_millis().to_string());
        let mut vars = SessionVars::new(
            &startup.user,
            [
                ("max_connections", limits.max_connections.to_string()),
                ("statement_timeout", milliseconds(limits.statement_timeout)),
                ("idle_session_timeout", milliseconds(limits.idle_session_timeout)),
                ("idle_in_transaction_session_timeout", milliseconds(limits.idle_in_transaction_session_timeout)),
            ],
        );
        for (name, value) in &startup.parameters {
            vars.set_at_startup(name, value)?;
        }
        let vars = Arc::new(Mutex::new(vars));
        let (cursors, notices) = (Arc::<Mutex<Vec<CursorFacts>>>::default(), Arc::<Mutex<Vec<Notice>>>::default());
        let facts = Arc::new(SessionFacts {
            database: gateway.config.project.clone(),
            user: startup.user.clone(),
            process_id: startup.process_id,
            version: super::vars::version(),
            settings: Arc::new(SharedVars(Arc::clone(&vars))),
            server: Arc::clone(&gateway) as _,
            cursors: Arc::clone(&cursors),
            backends: Arc::new(OtherBackends {
                gateway: Arc::downgrade(&gateway),
                user: startup.user.clone(),
                notices: Arc::clone(&notices),
            }),
        });
        let mut state = engine::state(&gateway.runtime, session_functions(&facts));
        // The system catalog shows who asks.
        state.config_mut().set_extension(facts);
        let session = Self {
            temp_tables: TempTables::new(gateway.memory()),
            user: startup.user,
            process_id: startup.process_id,
            vars,
            transaction: Transaction::default(),
            notices,
            state: Mutex::new(Arc::new(state)),
            prepared: HashMap::new(),
            copy_target: None,
            running: None,
            last_retrieval: None,
            portals: HashMap::new(),
            cursors: Cursors::new(cursors),
            batch: None,
            script: None,
            interrupt,
            registration,
            gateway,
        };
        session.rest();
        Ok(session)
    }

    fn statement_of(&self, name: &str) -> Result<&Prepared, Report> {
        self.prepared.get(name).ok_or_else(|| {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            Report::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    fn unknown_portal(name: &str) -> Report {
        Report::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
    }

    /// Whether one more prepared statement may be.
    pub(super) fn check_prepared(&self, name: &str) -> Result<(), Report> {
        let limit = self.gateway.config.limits.max_prepared_statements;
        if self.prepared.len() < limit || self.prepared.contains_key(name) {
            return Ok(());
        }
        let message = format!("a session holds at most {limit} prepared statements");
        Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint("DEALLOCATE some, or raise limits.max_prepared_statements."))
    }

    /// Whether one more portal or cursor may be.
    pub(super) fn check_portals(&self) -> Result<(), Report> {
        let limit = self.gateway.config.limits.max_portals;
        if self.portals.len() + self.cursors.len() < limit {
            return Ok(());
        }
        let message = format!("a session holds at most {limit} portals and cursors");
        Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint("CLOSE some, or raise limits.max_portals."))
    }

    /// Ends the transaction that no BEGIN began.
    fn end_autocommit(&mut self) {
        if !self.transaction.holds() {
            self.transaction.end();
            self.vars.lock().end_transaction();
            self.temp_tables.commit();
        }
    }

    /// Forgets the portals, which end with their transaction.
    pub(super) fn drop_portals(&mut self) {
        self.portals.clear();
    }

    /// Whether there is a portal of this name.
    pub(super) fn has_portal(&self, name: &str) -> bool {
        self.portals.contains_key(name)
    }

    /// Forgets one portal; whether there was one.
    pub(super) fn drop_portal(&mut self, name: &str) -> bool {
        self.portals.remove(name).is_some()
    }

    /// What a prepared statement returns now: a FETCH what its cursor has.
    fn columns_of(&self, prepared: &Prepared) -> Option<Arc<[Column]>> {
        match prepared.statement.as_ref().map(|statement| &statement.statement) {
            Some(Statement::Cursor(CursorStatement::Fetch { name, moves: false, .. })) => {
                self.cursors.get(&name.name).map(|cursor| Arc::clone(&cursor.columns))
            }
            _ => prepared.columns.clone(),
        }
    }

    /// Forgets everything that the client made: DISCARD ALL.
    pub(super) fn discard_all(&mut self) {
        self.portals.clear();
        self.cursors.clear();
        self.prepared.clear();
        self.temp_tables.clear();
        self.last_retrieval = None;
        self.vars.lock().reset_all();
    }
}

#[async_trait]
impl Backend for Session {
    fn interrupt(&self) -> Arc<Interrupt> {
        Arc::clone(&self.interrupt)
    }

    fn transaction_status(&self) -> TransactionStatus {
        self.transaction.status()
    }

    fn output_settings(&self) -> OutputSettings {
        let vars = self.vars.lock();
        let text = |name: &str| vars.get(name).unwrap_or_default().to_owned();
        OutputSettings {
            time_zone: text("TimeZone"),
            extra_float_digits: text("extra_float_digits").parse().unwrap_or(1),
            bytea_escape: text("bytea_output") == "escape",
        }
    }

    fn date_order(&self) -> DateOrder {
        DateOrder::of_style(self.vars.lock().get("DateStyle").unwrap_or_default())
    }

    fn take_parameter_changes(&mut self) -> Vec<(String, String)> {
        self.vars.lock().take_changes()
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        let least = self.vars.lock().get("client_min_messages").unwrap_or("notice").to_owned();
        let all = std::mem::take(&mut *self.notices.lock());
        match least.as_str() {
            "error" => Vec::new(),
            "warning" => all.into_iter().filter(|notice| notice.severity == "WARNING").collect(),
            _ => all,
        }
    }

    fn statement_timeout(&self) -> Option<Duration> {
        self.vars.lock().time("statement_timeout")
    }

    fn idle_timeout(&self) -> Option<(Duration, Report)> {
        let vars = self.vars.lock();
        if self.transaction.is_block() {
            let report = Report::new(SqlState::IDLE_IN_TRANSACTION_TIMEOUT, "terminating connection due to idle-in-transaction timeout");
            vars.time("idle_in_transaction_session_timeout").map(|time| (time, report))
        } else {
            let report = Report::new(SqlState::IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout");
            vars.time("idle_session_timeout").map(|time| (time, report))
        }
    }

    fn parse_script(&mut self, sql: &str) -> Result<usize, Report> {
        self.script = None;
        let script = self.gateway.texts.parse(sql)?;
        let count = script.statements.len();
        self.script = Some(script);
        self.portals.remove("");
        self.prepared.remove("");
        self.batch = None;
        Ok(count)
    }

    async fn run_script_statement(&mut self, index: usize) -> Result<Response, Report> {
        let Some(script) = self.script.clone() else { return Ok(Response::Empty) };
        let Some(statement) = script.statements.get(index).cloned() else { return Ok(Response::Empty) };
        if script.statements.len() > 1 {
            let vars = self.vars.lock().saved();
            self.transaction.begin_implicit(vars, &self.temp_tables);
        }
        self.begin_statement(&statement);
        self.run(Parsed { statement, text: Arc::clone(&script.text), parameters: None }).await
    }

    async fn end_script(&mut self) -> Result<(), Report> {
        if self.transaction.holds() && !self.transaction.is_block() {
            return self.commit().await;
        }
        Ok(())
    }

    async fn parse(&mut self, name: &str, sql: &str, parameter_oids: &[u32]) -> Result<(), Report> {
        if !name.is_empty() && self.prepared.contains_key(name) {
            return Err(Report::new(SqlState::DUPLICATE_PREPARED_STATEMENT, format!("prepared statement \"{name}\" already exists")));
        }
        self.check_prepared(name)?;
        if name.is_empty() {
            self.prepared.remove("");
        }
        let script = self.gateway.texts.parse(sql)?;
        if script.statements.len() > 1 {
            return Err(Report::new(SqlState::SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement"));
        }
        // What the client calls unknown is to be inferred, like what it does not name.
        let declared: Vec<Option<PgType>> =
            parameter_oids.iter().map(|oid| PgType::from_oid(*oid).filter(|declared| *declared != PgType::UNKNOWN)).collect();
        let prepared = self.prepare(script.statements.first().cloned(), Arc::clone(&script.text), &declared).await?;
        self.prepared.insert(name.to_owned(), prepared);
        Ok(())
    }

    fn parameter_types(&mut self, statement: &str) -> Result<Vec<PgType>, Report> {
        Ok(self.statement_of(statement)?.parameters.clone())
    }

    fn describe_statement(&mut self, statement: &str) -> Result<Option<Arc<[Column]>>, Report> {
        let prepared = self.statement_of(statement)?;
        Ok(self.columns_of(prepared))
    }

    async fn bind(&mut self, portal: &str, statement: &str, parameters: Vec<ArrayRef>, result_formats: Vec<i16>) -> Result<(), Report> {
        let mut prepared = self.statement_of(statement)?.clone();
        prepared.columns = self.columns_of(&prepared);
        if self.transaction.is_failed()
            && !prepared.statement.as_ref().is_some_and(|statement| super::statement::ends_transaction(statement))
        {
            return Err(super::statement::failed_transaction());
        }
        if !portal.is_empty() && (self.portals.contains_key(portal) || self.cursors.get(portal).is_some()) {
            return Err(Report::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{portal}\" already exists")));
        }
        self.check_portals()?;
        let values = parameters
            .iter()
            .map(|array| ScalarValue::try_from_array(array, 0).map_err(|failure| crate::plan::without_position(&failure)))
            .collect::<Result<Vec<_>, _>>()?;
        self.portals
            .insert(portal.to_owned(), Portal { prepared, values, formats: result_formats, suspended: Mutex::new(None), started: false });
        Ok(())
    }

    fn describe_portal(&mut self, portal: &str) -> Result<(Option<Arc<[Column]>>, Vec<i16>), Report> {
        if let Some(cursor) = self.cursors.get(portal) {
            return Ok((Some(Arc::clone(&cursor.columns)), vec![i16::from(cursor.binary)]));
        }
        let found = self.portals.get(portal).ok_or_else(|| Self::unknown_portal(portal))?;
        Ok((found.prepared.columns.clone(), found.formats.clone()))
    }

    async fn execute(&mut self, portal: &str) -> Result<Response, Report> {
        let found = self.portals.get_mut(portal).ok_or_else(|| Self::unknown_portal(portal))?;
        if let Some(rows) = found.suspended.get_mut().take() {
            return Ok(Response::Rows(rows));
        }
        let Some(statement) = found.prepared.statement.clone() else { return Ok(Response::Empty) };
        if found.started {
            // Executed to its end before: PostgreSQL gives no more rows, and refuses to repeat an effect.
            let Some(columns) = found.prepared.columns.clone() else {
                return Err(Report::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("portal \"{portal}\" cannot be run")));
            };
            return Ok(Response::Rows(Rows {
                columns,
                pending: None,
                stream: Box::pin(futures::stream::empty()),
                verb: "SELECT",
                counted: true,
                binary: false,
            }));
        }
        found.started = true;
        if !self.transaction.holds() && self.batch.is_none() {
            let vars = self.vars.lock().saved();
            self.batch = Some(self.transaction.save(vars, &self.temp_tables));
        }
        let text = Arc::clone(&found.prepared.text);
        let types: Vec<DataType> = found.prepared.parameters.iter().map(|pg_type| pg_type.arrow()).collect();
        let parameters = Some((types, found.values.clone()));
        let described = found.prepared.columns.clone();
        self.begin_statement(&statement);
        let response = self.run(Parsed { statement, text, parameters }).await?;
        if let (Response::Rows(rows), Some(described)) = (&response, described) {
            same_shape(&rows.columns, &described)?;
        }
        Ok(response)
    }

    fn suspend(&mut self, portal: &str, rows: Rows) {
        if let Some(found) = self.portals.get_mut(portal) {
            *found.suspended.get_mut() = Some(rows);
        }
    }

    fn close_statement(&mut self, name: &str) {
        self.prepared.remove(name);
    }

    fn close_portal(&mut self, name: &str) {
        self.cursors.close(name);
        self.portals.remove(name);
    }

    async fn sync(&mut self) -> Result<(), Report> {
        self.batch = None;
        if !self.transaction.is_block() {
            self.drop_portals();
            self.end_autocommit();
        }
        Ok(())
    }

    async fn copy_in(&mut self, batch: RecordBatch) -> Result<(), Report> {
        self.take_copied(batch).await
    }

    async fn copy_in_done(&mut self) -> Result<String, Report> {
        let rows = self.finish_copy()?;
        Ok(format!("COPY {rows}"))
    }

    fn encoded(&mut self, time: Duration) {
        if let Some(running) = &mut self.running {
            running.encoding += time;
        }
    }

    async fn finished(&mut self, outcome: Result<u64, &Report>) {
        self.copy_target = None;
        self.log_statement(outcome);
        if outcome.is_err() {
            if self.transaction.is_block() {
                self.transaction.fail();
            } else {
                let batch = self.batch.take();
                self.roll_back();
                if let Some(saved) = batch {
                    saved.restore(&mut self.vars.lock(), &mut self.temp_tables);
                }
            }
            self.drop_portals();
        } else if self.script.as_ref().is_none_or(|script| script.statements.len() <= 1) {
            self.end_autocommit_of_query();
        }
        self.rest();
    }
}

/// The client decodes rows by what it was told when the statement was parsed; a schema change or a pin may have given other columns since.
fn same_shape(found: &[Column], described: &[Column]) -> Result<(), Report> {
    let shape = |column: &Column| (column.name.clone(), PgType::of_data_type(column.field.data_type()));
    if found.len() == described.len() && found.iter().zip(described).all(|(found, described)| shape(found) == shape(described)) {
        return Ok(());
    }
    Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")
        .hint("Prepare the statement again: a table has, or had at the pinned snapshot, other columns."))
}

impl Session {
    /// A statement that stands for itself is over; portals of an open extended batch stay until Sync.
    fn end_autocommit_of_query(&mut self) {
        if self.portals.is_empty() {
            self.end_autocommit();
        }
    }
}
