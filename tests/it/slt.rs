//! `tests/slt/**`: what users type and what they see, over the real socket.
//!
//! Every file gets a gateway of its own over the sample tables. Values are the wire's text, NULL is `NULL`, an empty text `(empty)`.
//! An error reads `CODE: message HINT: … AT: position`, so a pattern can pin any part of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::TestGateway;

struct Connection(Client);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failure(String, Option<String>);

#[async_trait]
impl AsyncDB for Connection {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let messages = self.0.simple_query(sql).await.map_err(|error| failure(&error))?;
        let mut rows = Vec::new();
        let mut width = None;
        let mut complete = 0;
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => width = Some(columns.len()),
                SimpleQueryMessage::Row(row) => rows.push((0..row.len()).map(|index| cell(row.get(index))).collect()),
                SimpleQueryMessage::CommandComplete(count) => complete = count,
                _ => {}
            }
        }
        match width {
            Some(width) => Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; width], rows }),
            None => Ok(DBOutput::StatementComplete(complete)),
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "featgres"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(failure: &Failure) -> Option<String> {
        failure.1.clone()
    }
}

fn cell(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
    }
}

fn failure(error: &tokio_postgres::Error) -> Failure {
    let Some(error) = error.as_db_error() else { return Failure(error.to_string(), None) };
    let mut text = format!("{}: {}", error.code().code(), error.message());
    if let Some(detail) = error.detail() {
        text.push_str(&format!(" DETAIL: {detail}"));
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!(" HINT: {hint}"));
    }
    if let Some(tokio_postgres::error::ErrorPosition::Original(position)) = error.position() {
        text.push_str(&format!(" AT: {position}"));
    }
    Failure(text, Some(error.code().code().to_owned()))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("tests/slt") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let mut found = Vec::new();
    files(&root, &mut found);
    found.sort();
    assert!(!found.is_empty(), "there are files in tests/slt");
    let only = std::env::var("SLT").unwrap_or_default();
    let mut failures = Vec::new();
    for file in found.iter().filter(|file| file.to_string_lossy().contains(&only)) {
        let gateway = TestGateway::start().await;
        let mut runner = Runner::new(|| async { Ok(Connection(gateway.connect().await)) });
        if let Err(failure) = runner.run_file_async(file).await {
            failures.push(failure.to_string());
        }
    }
    assert!(failures.is_empty(), "{} of {} files failed:\n{}", failures.len(), found.len(), failures.join("\n"));
}
