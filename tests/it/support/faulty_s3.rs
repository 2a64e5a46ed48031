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
    /// All of the body, some bytes at a time with a pause between.
    Slow(std::time::Duration),
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
    keys: Arc<Keys>,
    task: tokio::task::JoinHandle<()>,
}

/// Whose requests came, and whose are answered.
#[derive(Default)]
struct Keys {
    seen: Mutex<Vec<String>>,
    /// Only these, if there are any; others' are refused with this code.
    admitted: Mutex<Option<(Vec<String>, &'static str)>>,
    /// After so many requests, those.
    later: Mutex<Option<(usize, Vec<String>)>>,
}

impl Keys {
    /// Why a request by these headers is refused.
    fn refusal(&self, headers: &axum::http::HeaderMap) -> Option<&'static str> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = text("authorization").split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        // A temporary key is one with its token.
        let token = text("x-amz-security-token");
        let who = if token.is_empty() { key.to_owned() } else { format!("{key}+{token}") };
        self.seen.lock().push(who.clone());
        let mut admitted = self.admitted.lock();
        let mut later = self.later.lock();
        if let Some((left, keys)) = later.as_mut() {
            if *left == 0 {
                if let Some((admitted, _)) = admitted.as_mut() {
                    *admitted = std::mem::take(keys);
                }
                *later = None;
            } else {
                *left -= 1;
            }
        }
        admitted.as_ref().filter(|(admitted, _)| !admitted.contains(&who)).map(|(_, code)| *code)
    }
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
        let keys: Arc<Keys> = Arc::default();
        let state = (folder.to_owned(), local, there, Arc::clone(&fault), Arc::clone(&refused), format!("/{bucket}/"), Arc::clone(&keys));
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (folder, local, there, fault, refused, prefix, keys) = state.clone();
            async move {
                if let Some(code) = keys.refusal(request.headers()) {
                    return refusal(if code == "ExpiredToken" { 400 } else { 403 }, code);
                }
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
                    other => serve(&replace(bytes, local.as_bytes(), there.as_bytes()), range.as_deref(), &other),
                }
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("a server") });
        Self { url, bucket, folder: folder.to_owned(), fault, refused, keys, task }
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        self.refused.store(0, Ordering::SeqCst);
        *self.fault.lock() = fault;
    }

    /// Answers these keys only (`key`, or `key+token`); the others hear this code.
    pub fn admit(&self, keys: &[&str], code: &'static str) {
        *self.keys.admitted.lock() = Some((keys.iter().map(|key| (*key).to_owned()).collect(), code));
    }

    /// After so many more requests, these keys instead.
    pub fn admit_after(&self, requests: usize, keys: &[&str]) {
        *self.keys.later.lock() = Some((requests, keys.iter().map(|key| (*key).to_owned()).collect()));
    }

    /// What a file of the folder is here: with every name of a local file as that of an object.
    pub fn text(&self, url: &str) -> String {
        let (local, there) = (format!("file://{}", self.folder.display()), format!("s3://{}", self.bucket));
        let path = url.replace(&there, &local).trim_start_matches("file://").to_owned();
        std::fs::read_to_string(path).expect("a file").replace(&local, &there)
    }

    /// The keys of the requests since the last call, each once, in order.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = std::mem::take(&mut *self.keys.seen.lock());
        keys.dedup();
        keys
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

fn serve(bytes: &[u8], range: Option<&str>, fault: &Fault) -> Response<Body> {
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
    let body = match fault {
        Fault::Cut => {
            let pieces = [Ok(bytes::Bytes::from(part[..length / 2].to_vec())), Err(std::io::Error::other("cut"))];
            Body::from_stream(futures::stream::iter(pieces))
        }
        Fault::Slow(pause) => {
            let (pause, pieces) = (*pause, part.chunks(length.div_ceil(4).max(1)).map(bytes::Bytes::copy_from_slice).collect::<Vec<_>>());
            Body::from_stream(futures::StreamExt::then(futures::stream::iter(pieces), move |piece| async move {
                tokio::time::sleep(pause).await;
                Ok::<_, std::io::Error>(piece)
            }))
        }
        _ => Body::from(part),
    };
    response.body(body).expect("a response")
}
