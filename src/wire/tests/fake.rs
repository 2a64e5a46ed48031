//! A session without SQL, whose statements are words: `rows 3`, `fail`, `hang`, `panic`, `copyout`, `copyin`, `set`,
//! `notice`, `wide 3`, `done`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;

use crate::error::{Report, SqlState};
use crate::pg_type::PgType;
use crate::session::{
    Authentication, Backend, Column, CopyFormat, CopyHeader, CopyOptions, DateOrder, Gateway, Interrupt, Limits, Notice, OutputSettings,
    Response, Rows, Startup, TransactionStatus,
};

/// What happened, for tests to look at.
pub(super) type Log = Arc<Mutex<Vec<String>>>;

pub(super) struct Fake {
    pub(super) log: Log,
    pub(super) authentication: Authentication,
    pub(super) statement_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) interrupt: Arc<Interrupt>,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self {
            log: Log::default(),
            authentication: Authentication::Trust,
            statement_timeout: None,
            idle_timeout: None,
            interrupt: Arc::new(Interrupt::new()),
        }
    }

    pub(super) fn interrupt(&self) -> Arc<Interrupt> {
        Arc::clone(&self.interrupt)
    }
}

pub(super) struct FakeSession {
    log: Log,
    interrupt: Arc<Interrupt>,
    statement_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    status: TransactionStatus,
    changes: Vec<(String, String)>,
    notices: Vec<Notice>,
    script: Vec<String>,
    statements: HashMap<String, (String, Vec<PgType>)>,
    portals: HashMap<String, (String, Vec<i16>, Option<Rows>, Vec<ArrayRef>)>,
}

#[async_trait]
impl Gateway for Fake {
    type Backend = FakeSession;
    async fn open(&self, startup: Startup) -> Result<FakeSession, Report> {
        if startup.database == "missing" {
            return Err(Report::new(SqlState::INVALID_CATALOG_NAME, "database \"missing\" does not exist"));
        }
        self.log.lock().push(format!("open {}@{} {:?}", startup.user, startup.database, startup.parameters));
        Ok(FakeSession {
            log: Arc::clone(&self.log),
            interrupt: Arc::clone(&self.interrupt),
            statement_timeout: self.statement_timeout,
            idle_timeout: self.idle_timeout,
            status: TransactionStatus::Idle,
            changes: vec![("server_version".into(), "16.4".into())],
            notices: Vec::new(),
            script: Vec::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
        })
    }
    fn cancel(&self, process_id: i32, secret: &[u8]) {
        self.log.lock().push(format!("cancel {process_id} {}", secret.len()));
        self.interrupt.cancel();
    }
    fn authentication(&self, _user: &str) -> Authentication {
        self.authentication.clone()
    }
    fn limits(&self) -> Limits {
        Limits { max_message_size: 100_000, max_statement_size: 50_000, ..Limits::default() }
    }
}

fn column(name: &str, data_type: DataType) -> Column {
    Column { name: name.into(), field: Arc::new(Field::new(name, data_type, true)), table_oid: 0, attribute: 0 }
}

fn batches(from: i32, to: i32, size: i32) -> Vec<Result<RecordBatch, Report>> {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true)]));
    let starts = (from..to).step_by(size as usize);
    starts
        .map(|start| {
            let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(start + 1..=(start + size).min(to)));
            Ok(RecordBatch::try_new(Arc::clone(&schema), vec![numbers]).unwrap())
        })
        .collect()
}

impl FakeSession {
    fn columns(sql: &str) -> Option<Arc<[Column]>> {
        match sql.split(' ').next() {
            Some("rows" | "stuck" | "broken") => Some([column("n", DataType::Int32)].into()),
            Some("echo") => Some([column("p", DataType::Utf8)].into()),
            Some("wide") => {
                let count = sql.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or(1);
                Some(vec![column("c", DataType::Int32); count].into())
            }
            _ => None,
        }
    }

    fn rows(sql: &str, stream: BoxStream<'static, Result<RecordBatch, Report>>) -> Rows {
        let columns = Self::columns(sql).unwrap_or_else(|| [column("n", DataType::Int32)].into());
        Rows { columns, pending: None, stream, verb: "SELECT", counted: true, binary: false }
    }

    async fn respond(&mut self, sql: &str, parameters: &[ArrayRef]) -> Result<Response, Report> {
        self.log.lock().push(format!("run {sql}"));
        let number = sql.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(1);
        Ok(match sql.split(' ').next().unwrap_or_default() {
            "rows" => Response::Rows(Self::rows(sql, futures::stream::iter(batches(0, number, 2)).boxed())),
            "stuck" => Response::Rows(Self::rows(sql, futures::stream::iter(batches(0, 1, 1)).chain(futures::stream::pending()).boxed())),
            "broken" => {
                let error = Err(Report::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
                Response::Rows(Self::rows(sql, futures::stream::iter(batches(0, 1, 1)).chain(futures::stream::iter([error])).boxed()))
            }
            "echo" => {
                let schema = Arc::new(Schema::new(vec![Field::new("p", parameters[0].data_type().clone(), true)]));
                let batch = RecordBatch::try_new(schema, parameters.to_vec()).unwrap();
                Response::Rows(Self::rows(sql, futures::stream::iter([Ok(batch)]).boxed()))
            }
            "wide" => Response::Rows(Self::rows(sql, futures::stream::empty().boxed())),
            "hang" => std::future::pending().await,
            "panic" => panic!("byte array offset overflow"),
            "fail" => return Err(Report::new(SqlState::UNDEFINED_COLUMN, "column \"x\" does not exist").hint("Look.").position(8)),
            "begin" => {
                self.status = TransactionStatus::InTransaction;
                Response::Done("BEGIN".into())
            }
            "rollback" => {
                self.status = TransactionStatus::Idle;
                Response::Done("ROLLBACK".into())
            }
            "set" => {
                self.changes.push(("TimeZone".into(), "UTC".into()));
                Response::Done("SET".into())
            }
            "notice" => {
                let notice = Notice {
                    severity: "NOTICE",
                    sqlstate: SqlState::SUCCESSFUL_COMPLETION,
                    message: "hear".into(),
                    detail: None,
                    hint: None,
                };
                self.notices.push(notice);
                Response::Done("NOTICE".into())
            }
            "copyout" => {
                let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true), Field::new("t", DataType::Utf8, true)]));
                let columns: [Column; 2] = [column("n", DataType::Int32), column("t", DataType::Utf8)];
                let arrays: Vec<ArrayRef> =
                    vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(StringArray::from(vec![Some("a\tb"), None]))];
                let stream = futures::stream::iter([Ok(RecordBatch::try_new(schema, arrays).unwrap())]).boxed();
                Response::CopyOut(
                    Rows { columns: columns.into(), pending: None, stream, verb: "COPY", counted: true, binary: false },
                    copy_options(sql),
                )
            }
            "copyin" => {
                let columns = [column("n", DataType::Int32), column("t", DataType::Utf8)];
                Response::CopyIn("spine".to_owned(), columns.into(), copy_options(sql))
            }
            _ => Response::Done(sql.to_uppercase()),
        })
    }
}

/// `copyout csv` and its kin.
pub(super) fn copy_options(sql: &str) -> CopyOptions {
    let format = match () {
        () if sql.contains("csv") => CopyFormat::Csv,
        () if sql.contains("binary") => CopyFormat::Binary,
        () => CopyFormat::Text,
    };
    let header = if sql.contains("header") { CopyHeader::Line } else { CopyHeader::None };
    CopyOptions { header, ..CopyOptions::of(format) }
}

#[async_trait]
impl Backend for FakeSession {
    fn interrupt(&self) -> Arc<Interrupt> {
        Arc::clone(&self.interrupt)
    }
    fn transaction_status(&self) -> TransactionStatus {
        self.status
    }
    fn output_settings(&self) -> OutputSettings {
        OutputSettings { time_zone: "UTC".into(), extra_float_digits: 1, bytea_escape: false }
    }
    fn date_order(&self) -> DateOrder {
        DateOrder::default()
    }
    fn take_parameter_changes(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.changes)
    }
    fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
    fn statement_timeout(&self) -> Option<Duration> {
        self.statement_timeout
    }
    fn idle_timeout(&self) -> Option<(Duration, Report)> {
        self.idle_timeout
            .map(|limit| (limit, Report::new(SqlState::IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout")))
    }
    fn parse_script(&mut self, sql: &str) -> Result<usize, Report> {
        if sql.contains("syntax") {
            return Err(Report::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"syntax\""));
        }
        self.script = sql.split(';').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
        Ok(self.script.len())
    }
    async fn run_script_statement(&mut self, index: usize) -> Result<Response, Report> {
        let sql = self.script[index].clone();
        self.respond(&sql, &[]).await
    }
    async fn end_script(&mut self) -> Result<(), Report> {
        if self.script.last().is_some_and(|sql| sql == "badcommit") {
            return Err(Report::new(SqlState::SERIALIZATION_FAILURE, "could not serialize"));
        }
        Ok(())
    }
    async fn parse(&mut self, name: &str, sql: &str, oids: &[u32]) -> Result<(), Report> {
        if sql.contains("syntax") {
            return Err(Report::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"syntax\""));
        }
        let count = sql.matches('$').count();
        let types = (0..count).map(|at| oids.get(at).and_then(|oid| PgType::from_oid(*oid)).unwrap_or(PgType::TEXT)).collect();
        self.statements.insert(name.into(), (sql.into(), types));
        Ok(())
    }
    fn parameter_types(&mut self, statement: &str) -> Result<Vec<PgType>, Report> {
        let unknown = || Report::new(SqlState::INVALID_SQL_STATEMENT_NAME, format!("prepared statement \"{statement}\" does not exist"));
        self.statements.get(statement).map(|(_, types)| types.clone()).ok_or_else(unknown)
    }
    fn describe_statement(&mut self, statement: &str) -> Result<Option<Arc<[Column]>>, Report> {
        self.parameter_types(statement)?;
        Ok(Self::columns(&self.statements[statement].0))
    }
    async fn bind(&mut self, portal: &str, statement: &str, parameters: Vec<ArrayRef>, formats: Vec<i16>) -> Result<(), Report> {
        let sql = self.statements[statement].0.clone();
        self.portals.insert(portal.into(), (sql, formats, None, parameters));
        Ok(())
    }
    fn describe_portal(&mut self, portal: &str) -> Result<(Option<Arc<[Column]>>, Vec<i16>), Report> {
        let unknown = || Report::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{portal}\" does not exist"));
        let (sql, formats, _, _) = self.portals.get(portal).ok_or_else(unknown)?;
        Ok((Self::columns(sql), formats.clone()))
    }
    async fn execute(&mut self, portal: &str, _limit: Option<u64>) -> Result<Response, Report> {
        let (sql, _, suspended, parameters) = self.portals.get_mut(portal).unwrap();
        if let Some(rows) = suspended.take() {
            return Ok(Response::Rows(rows));
        }
        let (sql, parameters) = (sql.clone(), parameters.clone());
        if sql.is_empty() {
            return Ok(Response::Empty);
        }
        self.respond(&sql, &parameters).await
    }
    fn suspend(&mut self, portal: &str, rows: Rows, _sent: u64) {
        if let Some(entry) = self.portals.get_mut(portal) {
            entry.2 = Some(rows);
        }
    }
    fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }
    fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }
    async fn sync(&mut self) -> Result<(), Report> {
        self.log.lock().push("sync".into());
        Ok(())
    }
    async fn copy_in(&mut self, batch: RecordBatch) -> Result<(), (Option<usize>, Report)> {
        self.log.lock().push(format!(
            "batch {:?}",
            batch.columns().iter().map(|c| format!("{c:?}").lines().skip(1).map(str::trim).collect::<String>()).collect::<Vec<_>>()
        ));
        Ok(())
    }
    async fn copy_in_done(&mut self) -> Result<String, Report> {
        Ok("COPY 2".into())
    }
    async fn finished(&mut self, outcome: Result<u64, &Report>) {
        match outcome {
            Ok(count) => self.log.lock().push(format!("finished {count}")),
            Err(report) => {
                if self.status == TransactionStatus::InTransaction {
                    self.status = TransactionStatus::Failed;
                }
                self.log.lock().push(format!("failed {}", report.sqlstate));
            }
        }
    }
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.log.lock().push("closed".into());
    }
}
