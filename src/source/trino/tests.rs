//! The catalog over a scripted client: what it asks, and what it makes of the answers.

use std::collections::VecDeque;

use futures::FutureExt;
use parking_lot::Mutex;
use serde_json::Value;

use super::statement::{ClientError, Page, QueryFailure, TrinoClient};
use super::*;
use crate::error::{ReportError, SqlState};

/// Answers by the beginning of the question, in order; the last one of a kind stays.
#[derive(Debug)]
struct Script {
    answers: Mutex<Vec<(&'static str, VecDeque<Answer>)>>,
    asked: Mutex<Vec<String>>,
    cancelled: tokio::sync::broadcast::Sender<String>,
}

#[derive(Debug, Clone)]
enum Answer {
    Rows(Vec<Vec<&'static str>>),
    Owned(Vec<String>),
    Failure(&'static str),
    Client(ClientError),
    GoesOnAt(&'static str),
    /// A row, and more at this address.
    Page(&'static str),
    Forever,
    Never,
}

/// Answers by the beginning of the question.
type Answers = Vec<(&'static str, Vec<Answer>)>;

#[derive(Debug, Clone)]
struct Scripted(Arc<Script>);

impl Scripted {
    fn new(answers: Answers) -> Self {
        let answers = answers.into_iter().map(|(question, answers)| (question, answers.into())).collect();
        Self(Arc::new(Script { answers: Mutex::new(answers), asked: Mutex::default(), cancelled: tokio::sync::broadcast::channel(8).0 }))
    }

    fn asked(&self) -> Vec<String> {
        self.0.asked.lock().clone()
    }
}

fn cells(rows: Vec<Vec<String>>) -> Vec<Vec<Value>> {
    rows.into_iter().map(|row| row.into_iter().map(Value::from).collect()).collect()
}

#[async_trait]
impl TrinoClient for Scripted {
    async fn submit(&self, sql: &str) -> Result<Page, ClientError> {
        self.0.asked.lock().push(sql.to_owned());
        let answer = {
            let mut answers = self.0.answers.lock();
            let (_, queue) = answers.iter_mut().find(|(question, _)| sql.starts_with(question)).expect("a scripted question");
            if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() }.expect("an answer")
        };
        match answer {
            Answer::Rows(rows) => {
                let rows = rows.into_iter().map(|row| row.into_iter().map(str::to_owned).collect()).collect();
                Ok(Page { rows: cells(rows), understood: true, ..Page::default() })
            }
            Answer::Owned(files) => {
                Ok(Page { rows: cells(files.into_iter().map(|file| vec![file]).collect()), understood: true, ..Page::default() })
            }
            Answer::Failure(name) => {
                Ok(Page { failure: Some(QueryFailure { name: name.into(), message: format!("{name} it is") }), ..Page::default() })
            }
            Answer::Client(error) => Err(error),
            Answer::GoesOnAt(url) => Ok(Page { next: Some(url.into()), ..Page::default() }),
            Answer::Page(url) => {
                Ok(Page { rows: cells(vec![vec!["a".into()]]), understood: true, next: Some(url.into()), ..Page::default() })
            }
            Answer::Forever => Ok(Page { understood: true, next: Some("http://trino:8080/again".into()), ..Page::default() }),
            Answer::Never => std::future::pending().await,
        }
    }

    async fn page(&self, url: &str) -> Result<Page, ClientError> {
        match url.rsplit('/').next() {
            Some("unread") => Ok(Page { next: Some("http://trino:8080/read".into()), ..Page::default() }),
            Some("read") => Ok(Page { rows: cells(vec![vec!["a".into()]]), understood: true, ..Page::default() }),
            Some("never") => std::future::pending().await,
            Some("lost") => Ok(Page::default()),
            _ => Ok(Page { understood: true, next: Some(url.into()), ..Page::default() }),
        }
    }

    async fn cancel(&self, url: &str) -> Result<(), ClientError> {
        let _ = self.0.cancelled.send(url.to_owned());
        Ok(())
    }
}

fn catalog(client: &Scripted) -> TrinoCatalog {
    TrinoCatalog {
        section: "lake".into(),
        names: Names { section: "lake".into(), catalog: "iceberg".into() },
        statements: Statements {
            section: "lake".into(),
            endpoint: url::Url::parse("http://trino:8080").unwrap(),
            timeout: Duration::from_secs(2),
            client: Arc::new(client.clone()),
        },
        listings: Listings::default(),
        pointer_lifetime: Duration::ZERO,
        storage: Storage::local(),
        cache: Arc::default(),
    }
}

fn ident(table: &str) -> TableIdent {
    TableIdent { catalog: "lake".into(), schema: "gold".into(), table: table.into() }
}

const LOG: &str = "SELECT file FROM";
const RELATIONS: &str = "SELECT table_name";
const SCHEMAS: &str = "SELECT schema_name";
const CONNECTOR: &str = "SELECT connector_name";

/// What the question for `t`'s pointer ends with.
async fn refused(answers: Answers) -> (SqlState, String, Option<String>) {
    let error = catalog(&Scripted::new(answers)).pointer(&ident("t")).await.unwrap_err();
    (error.sqlstate(), error.to_string(), error.hint())
}

/// Metadata files that name those before them.
fn metadata_files(folder: &std::path::Path, logs: &[(&str, &[&str])]) -> Vec<String> {
    let url = |name: &str| folder.join(name).display().to_string();
    for (name, log) in logs {
        let log: Vec<Value> = log.iter().map(|name| serde_json::json!({"timestamp-ms": 1, "metadata-file": url(name)})).collect();
        let json = serde_json::json!({"format-version": 2, "table-uuid": "u", "location": "/t", "last-sequence-number": 0,
            "last-updated-ms": 1, "last-column-id": 0, "current-schema-id": 0, "schemas": [{"type": "struct", "schema-id": 0, "fields": []}],
            "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "metadata-log": log});
        std::fs::write(folder.join(name), json.to_string()).unwrap();
    }
    logs.iter().map(|(name, _)| url(name)).collect()
}

#[tokio::test]
async fn the_last_file_of_the_log_is_current_and_proves_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = metadata_files(folder.path(), &[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]);
    let current = files[2].clone();
    let client = Scripted::new(vec![(LOG, vec![Answer::Owned(files)])]);
    assert_eq!(catalog(&client).pointer(&ident("t")).await.unwrap().metadata_location, current);
    assert_eq!(client.asked(), ["SELECT file FROM \"iceberg\".\"gold\".\"t$metadata_log_entries\""]);
}

#[tokio::test]
async fn a_file_that_the_last_one_does_not_know_is_newer() {
    let folder = tempfile::tempdir().unwrap();
    // As a list sorted by a clock that went back would give them.
    let files = metadata_files(folder.path(), &[("a", &[]), ("c", &["a", "b"]), ("b", &["a"])]);
    let current = files[1].clone();
    let client = Scripted::new(vec![(LOG, vec![Answer::Owned(files)])]);
    assert_eq!(catalog(&client).pointer(&ident("t")).await.unwrap().metadata_location, current);
}

#[tokio::test]
async fn a_log_that_contradicts_its_files_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let files = metadata_files(folder.path(), &[("a", &[]), ("b", &[])]);
    let client = Scripted::new(vec![(LOG, vec![Answer::Owned(files)])]);
    let error = catalog(&client).pointer(&ident("t")).await.unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::FDW_ERROR);
    assert!(error.to_string().contains("contradicts"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_said_with_what_is() {
    let tables = || Answer::Rows(vec![vec!["tt", "BASE TABLE"], vec!["v", "VIEW"]]);
    let missing = vec![(LOG, vec![Answer::Failure("TABLE_NOT_FOUND")]), (RELATIONS, vec![tables()])];
    let (code, text, hint) = refused(missing).await;
    assert_eq!((code, text.as_str()), (SqlState::UNDEFINED_TABLE, "table \"lake.gold.t\" does not exist"));
    assert_eq!(hint.unwrap(), "Perhaps you meant \"tt\".");

    let schema = vec![(LOG, vec![Answer::Failure("SCHEMA_NOT_FOUND")]), (SCHEMAS, vec![Answer::Rows(vec![vec!["golf"]])])];
    let (code, text, hint) = refused(schema).await;
    assert_eq!((code, text.as_str()), (SqlState::INVALID_SCHEMA_NAME, "schema \"gold\" does not exist in catalog \"lake\""));
    assert_eq!(hint.unwrap(), "Perhaps you meant \"golf\".");

    let (code, text, _) = refused(vec![(LOG, vec![Answer::Failure("CATALOG_NOT_FOUND")])]).await;
    assert_eq!(code, SqlState::CONFIG_FILE_ERROR);
    assert!(text.contains("Trino has no catalog \"iceberg\" (catalogs.lake.catalog names it)"), "{text}");
}

#[tokio::test]
async fn views_and_other_connectors_tables_are_told_apart() {
    let missing = || (LOG, vec![Answer::Failure("TABLE_NOT_FOUND")]);
    let (code, text, _) = refused(vec![missing(), (RELATIONS, vec![Answer::Rows(vec![vec!["t", "VIEW"]])])]).await;
    assert_eq!((code, text.as_str()), (SqlState::WRONG_OBJECT_TYPE, "\"lake.gold.t\" is a view, not a table"));
    let table = || (RELATIONS, vec![Answer::Rows(vec![vec!["t", "BASE TABLE"]])]);
    let (code, text, _) = refused(vec![missing(), table(), (CONNECTOR, vec![Answer::Rows(vec![vec!["tpch"]])])]).await;
    assert_eq!(code, SqlState::WRONG_OBJECT_TYPE);
    assert_eq!(text, "table \"lake.gold.t\" is not an Iceberg table: Trino reads it by its connector \"tpch\"");
}

#[tokio::test]
async fn a_trino_that_is_starting_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let files = metadata_files(folder.path(), &[("a", &[])]);
    let answers = vec![
        Answer::Failure("SERVER_STARTING_UP"),
        Answer::Client(ClientError::Status(503, "<html>".into())),
        Answer::Failure("NO_NODES_AVAILABLE"),
        Answer::Owned(files.clone()),
    ];
    let client = Scripted::new(vec![(LOG, answers)]);
    assert_eq!(catalog(&client).pointer(&ident("t")).await.unwrap().metadata_location, files[0]);
    assert_eq!(client.asked().len(), 4);
    let (code, text, _) = refused(vec![(LOG, vec![Answer::Failure("NO_NODES_AVAILABLE")])]).await;
    assert_eq!(code, SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION);
    assert_eq!(text, "catalog \"lake\" cannot be reached: Trino is not ready, after 2s (NO_NODES_AVAILABLE)");
}

#[tokio::test]
async fn every_other_failure_has_its_words() {
    let client = |error| vec![(LOG, vec![Answer::Client(error)])];
    let cases: Vec<(Answers, SqlState, &str)> = vec![
        (vec![(LOG, vec![Answer::Rows(vec![])])], SqlState::FDW_ERROR, "Trino names no metadata file of table \"lake.gold.t\""),
        (vec![(LOG, vec![Answer::Never])], SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION, "did not answer within 2s"),
        (vec![(LOG, vec![Answer::Forever])], SqlState::FDW_ERROR, "does not end after 2000 pages"),
        (
            vec![(LOG, vec![Answer::GoesOnAt("http://evil:8080/x")])],
            SqlState::FDW_ERROR,
            "goes on at host \"evil\", but uri names \"trino\"",
        ),
        (vec![(LOG, vec![Answer::GoesOnAt("https://trino/x")])], SqlState::FDW_ERROR, "http-server.process-forwarded"),
        (vec![(LOG, vec![Answer::Owned(vec!["x".into(); MOST_LOG_ENTRIES + 1])])], SqlState::FDW_ERROR, "more than 10000 rows"),
        (vec![(LOG, vec![Answer::Failure("PERMISSION_DENIED")])], SqlState::INSUFFICIENT_PRIVILEGE, "PERMISSION_DENIED it is"),
        (
            client(ClientError::Status(401, "Access Denied: Invalid credentials".into())),
            SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION,
            "refuses the login: Access Denied: Invalid credentials (HTTP status 401)",
        ),
        (client(ClientError::Status(503, String::new())), SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION, "HTTP status 503"),
        (client(ClientError::Status(500, "<html>".into())), SqlState::FDW_ERROR, "it answered with HTTP status 500"),
        (
            client(ClientError::Tls("UnknownIssuer".into())),
            SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION,
            "no secure connection to catalog \"lake\": UnknownIssuer",
        ),
        (client(ClientError::Unreachable("connection refused".into())), SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION, "connection refused"),
        (client(ClientError::Interrupted("reset".into())), SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION, "the connection broke (reset)"),
        (client(ClientError::Malformed("expected value".into())), SqlState::FDW_ERROR, "Trino's answer is not one (expected value)"),
    ];
    for (answers, code, words) in cases {
        let (found, text, _) = refused(answers).await;
        assert_eq!(found, code, "{text}");
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn lists_leave_views_out_and_are_asked_for_once() {
    let client = Scripted::new(vec![
        (RELATIONS, vec![Answer::Rows(vec![vec!["a", "BASE TABLE"], vec!["b", "VIEW"]])]),
        (SCHEMAS, vec![Answer::Rows(vec![vec!["gold"], vec!["silver"]])]),
    ]);
    let catalog = catalog(&client);
    for _ in 0..3 {
        assert_eq!(catalog.tables("gold").await.unwrap(), ["a"]);
        assert_eq!(catalog.schemas().await.unwrap(), ["gold", "silver"]);
    }
    assert_eq!(client.asked().len(), 2);
}

#[tokio::test]
async fn a_page_that_was_not_understood_shortens_no_answer() {
    let rows = |first: Answer| {
        let client = Scripted::new(vec![(LOG, vec![first])]);
        let catalog = catalog(&client);
        async move { catalog.statements.rows("SELECT file FROM x", 10).await }
    };
    assert_eq!(rows(Answer::GoesOnAt("http://trino:8080/unread")).await.unwrap(), [["a"]], "queued, then an answer");
    for (first, words) in [
        (Answer::GoesOnAt("http://trino:8080/lost"), "it has no columns"),
        (Answer::Page("http://trino:8080/lost"), "one of its pages cannot be read"),
    ] {
        match rows(first).await.unwrap_err() {
            StatementError::Source(error) => assert!(error.to_string().contains(words), "{error}"),
            StatementError::Query(failure) => panic!("{failure}"),
        }
    }
}

#[tokio::test]
async fn trino_hears_of_every_answer_that_is_not_waited_for() {
    let client = Scripted::new(vec![(LOG, vec![Answer::GoesOnAt("http://trino:8080/never")])]);
    let mut cancelled = client.0.cancelled.subscribe();
    let catalog = catalog(&client);
    // The catalog's own time, then somebody who leaves.
    assert!(catalog.statements.rows("SELECT file FROM x", 10).await.is_err());
    assert_eq!(cancelled.recv().await.unwrap(), "http://trino:8080/never");
    let left = tokio::time::timeout(Duration::from_millis(100), catalog.statements.rows("SELECT file FROM x", 10)).await;
    assert!(left.is_err());
    assert_eq!(cancelled.recv().await.unwrap(), "http://trino:8080/never");
    // Somebody who leaves when the first page is there, before looking at it; what it names elsewhere never sees a login.
    for (page, heard) in [("http://trino:8080/never", true), ("http://elsewhere:8080/never", false)] {
        let client = Scripted::new(vec![(LOG, vec![Answer::GoesOnAt(page)])]);
        let mut cancelled = client.0.cancelled.subscribe();
        let catalog = super::tests::catalog(&client);
        let mut question = Box::pin(catalog.statements.rows("SELECT file FROM x", 10));
        assert!(question.as_mut().now_or_never().is_none());
        while client.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(question);
        tokio::task::yield_now().await;
        assert_eq!(cancelled.try_recv().ok().as_deref(), heard.then_some(page));
    }
    // An answer that ended is nothing to cancel.
    let whole = Scripted::new(vec![(LOG, vec![Answer::GoesOnAt("http://trino:8080/read")])]);
    let mut cancelled = whole.0.cancelled.subscribe();
    super::tests::catalog(&whole).statements.rows("SELECT file FROM x", 10).await.unwrap();
    tokio::task::yield_now().await;
    assert!(cancelled.try_recv().is_err());
}

#[test]
fn secrets_need_tls_and_trino_has_no_path() {
    let open = |uri: &str, key: Option<&str>| {
        let mut config = CatalogConfig::new("lake", crate::config::CatalogKind::Trino, uri.to_owned());
        if let Some(key) = key {
            config.login.insert(key.to_owned(), crate::config::Secret::new("hush:hush"));
        }
        Statements::open(&config).map(|_| ()).map_err(|error| error.to_string())
    };
    for key in ["password", "jwt", "credential"] {
        let refused = open("http://trino:8080", Some(key)).unwrap_err();
        assert!(refused.contains(&format!("{key} is never sent without TLS")) && !refused.contains("hush"), "{refused}");
    }
    assert!(open("https://trino:8443", Some("password")).is_ok());
    assert!(open("https://trino:8443", Some("jwt")).is_ok());
    assert!(open("https://trino:8443", Some("credential")).unwrap_err().contains("oauth2-server-uri"));
    assert!(open("http://trino:8080", None).is_ok());
    assert!(open("http://trino:8080/path", None).unwrap_err().contains("leave the path out"));
}
