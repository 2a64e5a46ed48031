//! [`Session`]: one client's state, and the protocol's requests on it.
//!
//! What a statement does is in `statement`; here is what surrounds it: scripts, and how a statement's end, good or bad, ends or
//! fails the transaction. Prepared statements are `prepared`, portals `portals`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use parking_lot::Mutex;

use super::backend::{Backend, Interrupt, Startup};
use super::cursor::{Cursors, ShownCursors};
use super::engine;
use super::gateway::{FeatureGateway, OtherBackends, Registration};
use super::known::Script;
use super::memory::StatementPool;
use super::prepared::{Prepared, PreparedStatements, ShownPrepared};
use super::response::{Column, Notice, Response, Rows, TransactionStatus};
use super::statement::{Parsed, failed_transaction};
use super::temp_tables::TempTables;
use super::transaction::{Saved, Transaction};
use super::transaction_timer::TransactionTimer;
use super::vars::SessionVars;
use crate::catalog::{SessionFacts, Settings, session_functions};
use crate::error::{Report, SqlState};
use crate::pg_format::zone::Zone;
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
    pub(super) prepared: PreparedStatements,
    pub(super) copy_target: Option<CopyTarget>,
    pub(super) running: Option<Running>,
    pub(super) last_retrieval: Option<Arc<Retrieved>>,
    pub(super) cursors: Cursors,
    /// Settings and temporary tables as they were before an extended batch outside a block: an error takes all of the batch back.
    pub(super) batch: Option<Saved>,
    /// The statement that runs is not the first of an extended batch.
    pub(super) pipelined: bool,
    /// What ends the session when its transaction takes too long.
    pub(super) transaction_timer: Option<TransactionTimer>,
    script: Option<Arc<Script>>,
    interrupt: Arc<Interrupt>,
    pub(super) registration: Registration,
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
        let (cursors, prepared, notices) = (ShownCursors::default(), ShownPrepared::default(), Arc::<Mutex<Vec<Notice>>>::default());
        let facts = Arc::new(SessionFacts {
            database: gateway.config.project.clone(),
            user: startup.user.clone(),
            process_id: startup.process_id,
            version: super::vars::version(),
            settings: Arc::new(SharedVars(Arc::clone(&vars))),
            server: Arc::clone(&gateway) as _,
            cursors: Arc::clone(&cursors),
            prepared: Arc::clone(&prepared),
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
            prepared: PreparedStatements::new(prepared),
            copy_target: None,
            running: None,
            last_retrieval: None,
            cursors: Cursors::new(cursors),
            batch: None,
            pipelined: false,
            transaction_timer: None,
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

    /// Where its clocks stand.
    pub(super) fn zone(&self) -> Zone {
        self.vars.lock().zone()
    }

    /// Whether one more prepared statement may be.
    pub(super) fn check_prepared(&self, name: &str) -> Result<(), Report> {
        let limit = self.gateway.config.limits.max_prepared_statements;
        if self.prepared.len() < limit || self.prepared.get(name).is_some() {
            return Ok(());
        }
        let message = format!("a session holds at most {limit} prepared statements");
        Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint("DEALLOCATE some, or raise limits.max_prepared_statements."))
    }

    /// Whether one more portal or cursor may be.
    pub(super) fn check_portals(&self) -> Result<(), Report> {
        let limit = self.gateway.config.limits.max_portals;
        if self.cursors.len() < limit {
            return Ok(());
        }
        let message = format!("a session holds at most {limit} portals and cursors");
        Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint("CLOSE some, or raise limits.max_portals."))
    }

    /// Ends the transaction that no BEGIN began.
    fn end_autocommit(&mut self) {
        if !self.transaction.holds() {
            self.transaction.end();
            self.transaction_timer = None;
            self.vars.lock().end_transaction();
            self.temp_tables.commit();
        }
    }

    /// What a prepared statement returns now: a FETCH what its cursor has.
    fn columns_of(&self, prepared: &Prepared) -> Option<Arc<[Column]>> {
        match prepared.statement.as_ref().map(|statement| &statement.statement) {
            Some(Statement::Cursor(CursorStatement::Fetch { name, moves: false, .. })) => {
                self.shape_of_portal(&name.name).ok().and_then(|(columns, _)| columns)
            }
            _ => prepared.columns.clone(),
        }
    }

    /// Forgets everything that the client made: DISCARD ALL.
    pub(super) fn discard_all(&mut self) {
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
            time_zone: vars.time_zone(),
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
        // Whatever the text is, they are gone.
        self.cursors.close("");
        self.prepared.remove("");
        let script = self.gateway.texts.parse(sql)?;
        let count = script.statements.len();
        self.script = Some(script);
        Ok(count)
    }

    async fn run_script_statement(&mut self, index: usize) -> Result<Response, Report> {
        let Some(script) = self.script.clone() else { return Ok(Response::Empty) };
        let Some(statement) = script.statements.get(index).cloned() else { return Ok(Response::Empty) };
        if script.statements.len() > 1 {
            let vars = self.vars.lock().saved();
            self.transaction.begin_implicit(vars, &self.temp_tables);
        }
        self.pipelined = false;
        self.begin_statement(&statement);
        self.run(Parsed { statement, text: Arc::clone(&script.text), parameters: None }).await
    }

    async fn end_script(&mut self) -> Result<(), Report> {
        if self.transaction.holds() && !self.transaction.is_block() {
            return self.commit().await;
        }
        if !self.transaction.holds() {
            // With a batch before it that no Sync ended, for this is the same transaction.
            self.cursors.drop_portals();
            self.batch = None;
        }
        Ok(())
    }

    async fn parse(&mut self, name: &str, sql: &str, parameter_oids: &[u32]) -> Result<(), Report> {
        if !name.is_empty() && self.prepared.get(name).is_some() {
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
        // What the client calls unknown is to be inferred, like what it does not name, and what has no values here: its text is taken.
        let declared: Vec<Option<PgType>> =
            parameter_oids.iter().map(|oid| PgType::from_oid(*oid).filter(|declared| declared.has_values())).collect();
        let prepared = self.prepare(script.statements.first().cloned(), Arc::clone(&script.text), &declared).await?;
        self.prepared.insert(name, prepared, false, self.gateway.planner.clock.now_micros());
        Ok(())
    }

    async fn revalidate(&mut self, statement: &str) -> Result<(), Report> {
        let prepared = self.statement_of(statement)?;
        if self.transaction.is_failed() {
            return if prepared.columns.is_some() { Err(failed_transaction()) } else { Ok(()) };
        }
        if prepared.definitions == self.definitions() {
            return Ok(());
        }
        let prepared = prepared.clone();
        self.plan_again(statement, &prepared).await
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
        self.bind_portal(portal, prepared, parameters, result_formats)
    }

    fn describe_portal(&mut self, portal: &str) -> Result<(Option<Arc<[Column]>>, Vec<i16>), Report> {
        self.shape_of_portal(portal)
    }

    async fn execute(&mut self, portal: &str, limit: Option<u64>) -> Result<Response, Report> {
        self.pipelined = self.batch.is_some();
        if !self.transaction.holds() && !self.pipelined {
            let vars = self.vars.lock().saved();
            self.batch = Some(self.transaction.save(vars, &self.temp_tables));
        }
        self.execute_portal(portal, limit).await
    }

    fn suspend(&mut self, portal: &str, rows: Rows, sent: u64) {
        self.suspend_portal(portal, rows, sent);
    }

    fn close_statement(&mut self, name: &str) {
        self.prepared.remove(name);
    }

    fn close_portal(&mut self, name: &str) {
        self.cursors.close(name);
    }

    async fn sync(&mut self) -> Result<(), Report> {
        self.batch = None;
        if !self.transaction.is_block() {
            self.cursors.drop_portals();
            self.end_autocommit();
        }
        Ok(())
    }

    async fn copy_in(&mut self, batch: RecordBatch) -> Result<(), (Option<usize>, Report)> {
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
            self.cursors.drop_portals();
        } else if self.script.as_ref().is_none_or(|script| script.statements.len() <= 1) {
            self.end_autocommit_of_query();
        }
        if !self.transaction.holds() {
            self.transaction_timer = None;
        }
        self.rest();
    }
}

impl Session {
    /// A statement that stands for itself is over; portals of an open extended batch stay until Sync.
    fn end_autocommit_of_query(&mut self) {
        if self.cursors.has_no_portals() {
            self.end_autocommit();
        }
    }
}
