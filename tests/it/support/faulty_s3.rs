//! An S3 of the test's own over a folder, that fails where and how it is told to.
//!
//! The tables in the folder were written as local files. Their metadata names `file:///the/folder/…`; served from here, every such
//! name becomes `s3://…` with a bucket that makes it exactly as long, so that sizes, offsets and lengths inside files stay true.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{Method, Response, header};
use parking_lot::Mutex;

/// What goes wrong with reads of data files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// So many times this status and this code of S3's.
    Refuse(usize, u16, &'static str),
    /// Half of the body, and the connection breaks.
    Cut,
    /// No answer.
    Hang,
}

/// The server; gone with its drop.
pub struct FaultyS3 {
    /// Its address.
    pub url: String,
    /// Its only bucket.
    pub bucket: String,
    folder: PathBuf,
    fault: Arc<Mutex<Fault>>,
    refused: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl FaultyS3 {
    /// Over this folder.
    pub async fn start(folder: &Path) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let local = format!("file://{}", folder.display());
        let bucket = format!("{:x<1$}", "bucket", local.len() - "s3://".len());
        let there = format!("s3://{bucket}");
        let (fault, refused): (Arc<Mutex<Fault>>, Arc<AtomicUsize>) = (Arc::new(Mutex::new(Fault::None)), Arc::default());
        let state = (folder.to_owned(), local, there, Arc::clone(&fault), Arc::clone(&refused), format!("/{bucket}/"));
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (folder, local, there, fault, refused, prefix) = state.clone();
            async move {
                let key = request.uri().path().strip_prefix(&prefix).map(str::to_owned);
                let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok()).map(str::to_owned);
                if request.method() != Method::GET {
                    return refusal(405, "MethodNotAllowed");
                }
                let Some(bytes) = key.as_ref().and_then(|key| std::fs::read(folder.join(key)).ok()) else {
                    return refusal(404, if key.is_some() { "NoSuchKey" } else { "NoSuchBucket" });
                };
                let present = if key.is_some_and(|key| key.ends_with(".parquet")) { fault.lock().clone() } else { Fault::None };
                match present {
                    Fault::Refuse(times, status, code) if refused.fetch_add(1, Ordering::SeqCst) < times => refusal(status, code),
                    Fault::Hang => std::future::pending().await,
                    other => serve(&replace(bytes, local.as_bytes(), there.as_bytes()), range.as_deref(), other == Fault::Cut),
                }
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("a server") });
        Self { url, bucket, folder: folder.to_owned(), fault, refused, task }
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        self.refused.store(0, Ordering::SeqCst);
        *self.fault.lock() = fault;
    }

    /// A copy of a SQLite catalog of the folder's tables that names them by `s3://`.
    pub fn catalog(&self, sqlite: &Path, copy: &Path) {
        std::fs::copy(sqlite, copy).expect("a copy");
        let (local, there) = (format!("file://{}", self.folder.display()), format!("s3://{}", self.bucket));
        let database = rusqlite::Connection::open(copy).expect("a catalog");
        let changed = database.execute("UPDATE iceberg_tables SET metadata_location = replace(metadata_location, ?1, ?2)", [local, there]);
        assert!(changed.expect("an update") > 0);
    }
}

impl Drop for FaultyS3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>so it is</Message></Error>");
    Response::builder().status(status).body(Body::from(body)).expect("a response")
}

fn replace(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut at = 0;
    while at + from.len() <= bytes.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        at += 1;
    }
    bytes
}

fn serve(bytes: &[u8], range: Option<&str>, cut: bool) -> Response<Body> {
    let size = bytes.len();
    let (start, end) = match range.and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.split_once('-')) {
        Some(("", suffix)) => (size.saturating_sub(suffix.parse().expect("a number")), size),
        Some((start, "")) => (start.parse().expect("a number"), size),
        Some((start, last)) => (start.parse().expect("a number"), size.min(last.parse::<usize>().expect("a number") + 1)),
        None => (0, size),
    };
    let part = bytes[start.min(size)..end].to_vec();
    let length = part.len();
    let response = Response::builder()
        .status(if range.is_some() { 206 } else { 200 })
        .header(header::CONTENT_LENGTH, length)
        .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", end.max(1) - 1))
        .header(header::ETAG, "\"e\"")
        .header(header::LAST_MODIFIED, "Tue, 24 Nov 2026 08:00:00 GMT");
    let body = match cut {
        false => Body::from(part),
        true => {
            let pieces = [Ok(bytes::Bytes::from(part[..length / 2].to_vec())), Err(std::io::Error::other("cut"))];
            Body::from_stream(futures::stream::iter(pieces))
        }
    };
    response.body(body).expect("a response")
}
