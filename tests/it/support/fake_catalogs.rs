//! A Nessie and an Iceberg REST catalog for tests, over the tables of a SQLite catalog: `/api/v2` and `/rest` of one server, with faults on
//! demand. A commit is a state of the SQLite file: its hash is made of all metadata locations.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{Response, header};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::FaultyS3;

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogFault {
    /// Nothing.
    None,
    /// So many times this status, with Nessie's `errorCode`; then all is well.
    Refuse(usize, u16, &'static str),
    /// Half of the answer, and the connection breaks.
    Cut,
    /// No answer.
    Hang,
    /// Something else than JSON.
    Malformed,
}

/// The server; gone with its drop.
pub struct FakeCatalogs {
    /// `http://127.0.0.1:port`
    pub url: String,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    sqlite: PathBuf,
    fault: Mutex<CatalogFault>,
    refused: AtomicUsize,
    vended: Mutex<Option<Vended>>,
}

/// The keys that a REST catalog hands out, one an answer; the last one stays.
struct Vended {
    s3: Arc<FaultyS3>,
    keys: Vec<&'static str>,
}

impl FakeCatalogs {
    /// Over this SQLite catalog, on a free port.
    pub async fn start(sqlite: &Path) -> Self {
        Self::start_on(sqlite, 0).await
    }

    /// On this port.
    pub async fn start_on(sqlite: &Path, port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State {
            sqlite: sqlite.to_owned(),
            fault: Mutex::new(CatalogFault::None),
            refused: AtomicUsize::new(0),
            vended: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let state = Arc::clone(&shared);
            async move {
                let path = request.uri().path().to_owned();
                let fault = state.fault.lock().clone();
                match fault {
                    CatalogFault::Hang => std::future::pending().await,
                    CatalogFault::Refuse(times, status, code) if state.refused.fetch_add(1, Ordering::SeqCst) < times => {
                        let error = json!({"status": status, "message": format!("{code} it is"), "errorCode": code,
                            "error": {"message": format!("{code} it is"), "type": "SomeException", "code": status}});
                        answer(status, &error)
                    }
                    CatalogFault::Malformed => Response::builder().body(Body::from("<html>hello</html>")).expect("a response"),
                    fault => {
                        let (status, body) = state.answer(&path);
                        if fault == CatalogFault::Cut { cut(&body) } else { answer(status, &body) }
                    }
                }
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("a server") });
        Self { url, state, task }
    }

    /// The `uri` of a catalog of type `nessie` or `rest`.
    pub fn uri(&self, kind: &str) -> String {
        format!("{}/{}", self.url, if kind == "nessie" { "api/v2" } else { "rest" })
    }

    /// From now on.
    pub fn set(&self, fault: CatalogFault) {
        self.state.refused.store(0, Ordering::SeqCst);
        *self.state.fault.lock() = fault;
    }

    /// Hands out these keys for the tables of this S3, one an answer; the last one stays.
    pub fn vend(&self, s3: &Arc<FaultyS3>, keys: &[&'static str]) {
        *self.state.vended.lock() = Some(Vended { s3: Arc::clone(s3), keys: keys.to_vec() });
    }
}

impl Drop for FakeCatalogs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// `(schema, table, metadata location)` of every table.
    fn tables(&self) -> Vec<[String; 3]> {
        let database = rusqlite::Connection::open(&self.sqlite).expect("the catalog");
        let mut question = database
            .prepare("SELECT table_namespace, table_name, metadata_location FROM iceberg_tables ORDER BY 1, 2")
            .expect("a question");
        let rows = question.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    }

    fn hash(&self) -> String {
        let text = self.tables().concat().concat();
        let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        format!("{sum:016x}").repeat(4)
    }

    fn answer(&self, path: &str) -> (u16, Value) {
        let path = path.replace("%40", "@");
        if let Some(path) = path.strip_prefix("/api/v2/trees/") {
            return self.nessie(path);
        }
        let tables = self.tables();
        let missing = |kind: &str| (404, json!({"error": {"message": "no", "type": kind, "code": 404}}));
        let parts: Vec<&str> = path.trim_start_matches("/rest/v1/").split('/').collect();
        match parts.as_slice() {
            ["config"] => (200, json!({"defaults": {}, "overrides": {}})),
            ["namespaces"] => {
                let mut schemas: Vec<_> = tables.iter().map(|[schema, ..]| json!([schema])).collect();
                schemas.dedup();
                (200, json!({"namespaces": schemas}))
            }
            ["namespaces", schema, "tables"] => {
                let names: Vec<_> = tables
                    .iter()
                    .filter(|[found, ..]| found == schema)
                    .map(|[schema, table, _]| json!({"namespace": [schema], "name": table}))
                    .collect();
                if names.is_empty() { missing("NoSuchNamespaceException") } else { (200, json!({"identifiers": names})) }
            }
            ["namespaces", schema, "tables", table] => match tables.iter().find(|[s, t, _]| s == schema && t == table) {
                Some([_, _, location]) => {
                    let mut vended = self.vended.lock();
                    let (text, config) = match vended.as_mut() {
                        None => (std::fs::read_to_string(location.trim_start_matches("file://")).expect("metadata"), json!({})),
                        Some(Vended { s3, keys }) => {
                            let key = if keys.len() > 1 { keys.remove(0) } else { keys[0] };
                            let config = json!({"s3.endpoint": s3.url, "s3.region": "us-east-1", "s3.access-key-id": key,
                                "s3.secret-access-key": "s", "s3.session-token": "tok"});
                            (s3.text(location), config)
                        }
                    };
                    let metadata: Value = serde_json::from_str(&text).expect("JSON");
                    (200, json!({"metadata-location": location, "metadata": metadata, "config": config}))
                }
                None => missing("NoSuchTableException"),
            },
            _ => missing("NoSuchThingException"),
        }
    }

    fn nessie(&self, path: &str) -> (u16, Value) {
        let hash = self.hash();
        let reference = json!({"type": "BRANCH", "name": "main", "hash": hash});
        let missing = |code: &str| (404, json!({"status": 404, "message": "no", "errorCode": code}));
        let (commit, rest) = path.split_once('/').unwrap_or((path, ""));
        match (commit.split('@').next(), rest) {
            (Some("main"), "") => (200, json!({"reference": reference})),
            (Some("main"), "entries") => {
                let entries: Vec<_> = self
                    .tables()
                    .into_iter()
                    .map(|[schema, table, _]| json!({"type": "ICEBERG_TABLE", "name": {"elements": [schema, table]}}))
                    .collect();
                (200, json!({"entries": entries, "effectiveReference": reference, "hasMore": false}))
            }
            (Some("main"), contents) => {
                let key = contents.trim_start_matches("contents/");
                match self.tables().iter().find(|[schema, table, _]| format!("{schema}.{table}") == key) {
                    Some([_, _, location]) => (200, json!({"content": {"type": "ICEBERG_TABLE", "id": "1", "metadataLocation": location}})),
                    None => missing("CONTENT_NOT_FOUND"),
                }
            }
            _ => missing("REFERENCE_NOT_FOUND"),
        }
    }
}

fn answer(status: u16, body: &Value) -> Response<Body> {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").header(header::RETRY_AFTER, "0");
    response.body(Body::from(body.to_string())).expect("a response")
}

fn cut(body: &Value) -> Response<Body> {
    let text = body.to_string();
    let pieces = [Ok(bytes::Bytes::from(text[..text.len() / 2].to_owned())), Err(std::io::Error::other("cut"))];
    let response = Response::builder().header(header::CONTENT_LENGTH, text.len());
    response.body(Body::from_stream(futures::stream::iter(pieces))).expect("a response")
}
