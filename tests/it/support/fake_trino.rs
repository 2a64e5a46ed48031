//! A Trino for tests: HTTP over plain TCP, tables of an SQLite catalog, pages as a real one gives them, and faults on demand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// A proxy's answer for a coordinator that is not there.
    Unavailable,
    /// It takes the request and says nothing.
    Hanging,
    /// It takes the question, and its next page never comes.
    Working,
    /// The answer breaks off within its body.
    Cut,
    /// The answer is no JSON.
    Malformed,
    /// Each page names another one.
    Endless,
    /// The query fails: the coordinator is starting.
    StartingUp,
    /// Columns, and never a row.
    NoRows,
    /// One page of rows is of a shape that is not Trino's.
    Garbled,
}

/// A running fake.
#[derive(Debug)]
pub struct FakeTrino {
    port: u16,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    sqlite: Mutex<Option<PathBuf>>,
    fault: Mutex<Fault>,
    questions: Mutex<Vec<String>>,
    requests: AtomicUsize,
    answers: Mutex<HashMap<usize, Answer>>,
    /// How its pages name it.
    base: Mutex<String>,
    /// The pages that are not wanted any more.
    cancelled: tokio::sync::watch::Sender<Vec<String>>,
    /// Tables of a schema that nothing is behind.
    listed: Mutex<Vec<String>>,
}

#[derive(Debug, Clone)]
enum Answer {
    Rows(Vec<&'static str>, Vec<Vec<Value>>),
    Failure(&'static str, i32, String),
}

impl FakeTrino {
    /// On a free port, without tables yet.
    pub async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    /// On a port that was another one's before.
    pub async fn start_on(port: u16) -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", port)).await.expect("the port"))
    }

    fn on(listener: TcpListener) -> Self {
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            sqlite: Mutex::new(None),
            fault: Mutex::new(Fault::None),
            questions: Mutex::default(),
            requests: AtomicUsize::new(0),
            answers: Mutex::default(),
            base: Mutex::new(format!("http://127.0.0.1:{port}")),
            cancelled: tokio::sync::watch::Sender::default(),
            listed: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&shared)));
            }
        });
        Self { port, state, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Shows the tables of this SQLite catalog.
    pub fn show(&self, sqlite: &Path) {
        *self.state.sqlite.lock() = Some(sqlite.to_owned());
    }

    /// Breaks it, or repairs it.
    pub fn set(&self, fault: Fault) {
        *self.state.fault.lock() = fault;
    }

    /// Is reached by this URL: what its pages name.
    pub fn reached_as(&self, url: &str) {
        url.clone_into(&mut self.state.base.lock());
    }

    /// Lists these tables in the schema `many`.
    pub fn list(&self, tables: Vec<String>) {
        *self.state.listed.lock() = tables;
    }

    /// Waits until so many answers were cancelled.
    pub async fn cancelled(&self, many: usize) -> Vec<String> {
        let mut cancelled = self.state.cancelled.subscribe();
        let enough = cancelled.wait_for(|cancelled| cancelled.len() >= many);
        tokio::time::timeout(Duration::from_secs(60), enough).await.expect("queries are cancelled").expect("it runs").clone()
    }

    /// The questions since the last call.
    pub fn questions(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.questions.lock())
    }
}

impl Drop for FakeTrino {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Rows of a page.
const ROWS_A_PAGE: usize = 1000;

/// One connection, request after request.
async fn serve(mut socket: TcpStream, state: Arc<State>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut socket, &mut buffer).await {
        let fault = *state.fault.lock();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if head.starts_with("POST") {
            state.questions.lock().push(body.clone());
        }
        if head.starts_with("DELETE") {
            state.cancelled.send_modify(|cancelled| cancelled.push(path));
            respond(&mut socket, "204 No Content", "").await;
            continue;
        }
        let base = state.base.lock().clone();
        match fault {
            Fault::Working if head.starts_with("GET") => std::future::pending::<()>().await,
            Fault::Hanging => std::future::pending::<()>().await,
            Fault::Unavailable => {
                respond(&mut socket, "503 Service Unavailable", "<html>no healthy upstream</html>").await;
                continue;
            }
            Fault::Malformed => {
                respond(&mut socket, "200 OK", "{\"id\": 7, \"stats\"").await;
                continue;
            }
            Fault::Cut => {
                let _ = socket
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"id\":\"q\",")
                    .await;
                return;
            }
            _ => {}
        }
        let page = if head.starts_with("POST") {
            let number = state.requests.fetch_add(1, Ordering::Relaxed);
            let answer = match fault {
                Fault::StartingUp => Answer::Failure("SERVER_STARTING_UP", 65548, "Trino server is still initializing".to_owned()),
                Fault::NoRows => Answer::Rows(vec!["file"], vec![]),
                _ if body.contains("= 'many'") => listed(&state.listed.lock()),
                _ => state.sqlite.lock().as_deref().map_or_else(|| missing("there is no catalog"), |sqlite| answer(sqlite, &body)),
            };
            state.answers.lock().insert(number, answer);
            page(&base, number, Some(0), None, &[], fault)
        } else {
            let mut parts = path.rsplit('/').map(|part| part.parse::<usize>().unwrap_or_default());
            let (step, number) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let answer = state.answers.lock().get(&number).cloned();
            match (answer, step) {
                _ if fault == Fault::Endless => page(&base, number, Some(step + 1), None, &[], fault),
                (None, _) => json!({}),
                (Some(Answer::Failure(name, code, message)), _) => failure(&base, number, name, code, &message),
                (Some(Answer::Rows(..)), 0) => page(&base, number, Some(1), None, &[], fault),
                // Columns first, then the rows, then a page without either: as the real one does.
                (Some(Answer::Rows(columns, _)), 1) => page(&base, number, Some(2), Some(&columns), &[], fault),
                // As many rows a page as the real one gives of short texts, or some of those.
                (Some(Answer::Rows(columns, rows)), step) if (step - 2) * ROWS_A_PAGE < rows.len() => {
                    let from = (step - 2) * ROWS_A_PAGE;
                    let rows = &rows[from..rows.len().min(from + ROWS_A_PAGE)];
                    let mut page = page(&base, number, Some(step + 1), Some(&columns), rows, fault);
                    if fault == Fault::Garbled {
                        page["data"] = json!({"rows": 1});
                    }
                    page
                }
                (Some(Answer::Rows(columns, _)), _) => page(&base, number, None, Some(&columns), &[], fault),
            }
        };
        respond(&mut socket, "200 OK", &page.to_string()).await;
    }
}

async fn request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length =
                head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
            while buffer.len() < end + 4 + length {
                if socket.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            }
            let body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
            buffer.drain(..end + 4 + length);
            return Some((head, body));
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn respond(socket: &mut TcpStream, status: &str, body: &str) {
    let text = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = socket.write_all(text.as_bytes()).await;
}

fn page(base: &str, number: usize, next: Option<usize>, columns: Option<&[&'static str]>, rows: &[Vec<Value>], fault: Fault) -> Value {
    let state = if next.is_some() { "RUNNING" } else { "FINISHED" };
    let mut page = json!({"id": format!("q{number}"), "infoUri": format!("{base}/ui/query.html?q{number}")});
    if let Some(columns) = columns {
        let columns: Vec<Value> = columns
            .iter()
            .map(|name| {
                json!({"name": name, "type": "varchar", "typeSignature":
            {"rawType": "varchar", "arguments": [{"kind": "LONG", "value": 2147483647}]}})
            })
            .collect();
        page["columns"] = columns.into();
        if !rows.is_empty() && fault != Fault::NoRows {
            page["data"] = rows.iter().cloned().map(Value::from).collect::<Vec<_>>().into();
        }
    }
    if let Some(step) = next {
        page["nextUri"] = format!("{base}/v1/statement/executing/{number}/{step}").into();
    }
    page["stats"] = json!({"state": state, "queued": false, "scheduled": true, "nodes": 1, "totalSplits": 1, "queuedSplits": 0,
        "runningSplits": 0, "completedSplits": 1, "cpuTimeMillis": 1, "wallTimeMillis": 1, "queuedTimeMillis": 1, "elapsedTimeMillis": 1,
        "processedRows": 0, "processedBytes": 0, "peakMemoryBytes": 0, "spilledBytes": 0});
    page["warnings"] = json!([]);
    page
}

fn failure(base: &str, number: usize, name: &str, code: i32, message: &str) -> Value {
    let mut page = page(base, number, None, None, &[], Fault::None);
    page["stats"]["state"] = "FAILED".into();
    page["error"] = json!({"message": message, "errorCode": code, "errorName": name, "errorType": "USER_ERROR",
        "failureInfo": {"type": "io.trino.spi.TrinoException", "message": message, "suppressed": [], "stack": ["at somewhere"]}});
    page
}

fn missing(message: &str) -> Answer {
    Answer::Failure("CATALOG_NOT_FOUND", 44, message.to_owned())
}

fn listed(tables: &[String]) -> Answer {
    let rows = tables.iter().map(|table| vec![Value::from(table.as_str()), Value::from("BASE TABLE")]).collect();
    Answer::Rows(vec!["table_name", "table_type"], rows)
}

/// What Trino would say of the tables in this SQLite catalog.
fn answer(sqlite: &Path, sql: &str) -> Answer {
    let database = rusqlite::Connection::open(sqlite).expect("the catalog");
    let texts = |question: &str, parameters: &[&str]| -> Vec<String> {
        let mut statement = database.prepare(question).expect("a question");
        let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    };
    let quoted: Vec<&str> = sql.split('"').skip(1).step_by(2).collect();
    let literal = sql.split('\'').nth(1).unwrap_or_default();
    let cells = |texts: Vec<String>| texts.into_iter().map(|text| vec![Value::from(text)]).collect::<Vec<_>>();
    if sql.starts_with("SELECT schema_name") {
        return Answer::Rows(vec!["schema_name"], cells(texts("SELECT DISTINCT table_namespace FROM iceberg_tables ORDER BY 1", &[])));
    }
    if sql.starts_with("SELECT table_name") {
        let names = texts("SELECT table_name FROM iceberg_tables WHERE table_namespace = ?1 ORDER BY 1", &[literal]);
        let rows = names.into_iter().map(|name| vec![Value::from(name), Value::from("BASE TABLE")]).collect();
        return Answer::Rows(vec!["table_name", "table_type"], rows);
    }
    let is_path = sql.starts_with("SELECT \"$path\"");
    let (schema, table) = if is_path { (quoted[2], quoted[3]) } else { (quoted[1], quoted[2]) };
    let table = table.trim_end_matches("$metadata_log_entries");
    if texts("SELECT table_namespace FROM iceberg_tables WHERE table_namespace = ?1", &[schema]).is_empty() {
        return Answer::Failure("SCHEMA_NOT_FOUND", 45, format!("line 1:18: Schema '{schema}' does not exist"));
    }
    let found = texts("SELECT metadata_location FROM iceberg_tables WHERE table_namespace = ?1 AND table_name = ?2", &[schema, table]);
    let Some(location) = found.first() else {
        return Answer::Failure("TABLE_NOT_FOUND", 46, format!("line 1:18: Table '{schema}.{table}' does not exist"));
    };
    if !is_path {
        return Answer::Rows(vec!["file"], cells(found));
    }
    let folder = location.trim_start_matches("file://").rsplit_once("/metadata/").expect("a metadata folder").0.to_owned() + "/data";
    let file = std::fs::read_dir(&folder).expect("data").flatten().map(|entry| entry.path().display().to_string()).next();
    Answer::Rows(vec!["$path"], file.into_iter().map(|file| vec![Value::from(file)]).collect())
}
