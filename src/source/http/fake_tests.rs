//! A server of the test's own: it answers by a closure and keeps what it was asked.

use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /path?query`, still escaped.
    pub line: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Asked {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An answer.
pub enum Reply {
    /// A status and JSON.
    Json(u16, Value),
    /// The same with headers.
    With(u16, Vec<(&'static str, String)>, Value),
    /// A body that ends before it should.
    Cut,
    /// Never.
    Hang,
}

/// The server; gone with its drop.
pub struct FakeServer {
    /// `http://127.0.0.1:port`
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl FakeServer {
    /// Serves on a free port.
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
            async move {
                let (parts, body) = request.into_parts();
                let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
                let asked = Asked { line: format!("{} {}", parts.method, parts.uri), headers: parts.headers, body };
                log.lock().push(asked.clone());
                respond(answer(&asked)).await
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, asked, task }
    }

    /// What it was asked so far, first lines only.
    pub fn lines(&self) -> Vec<String> {
        self.asked.lock().iter().map(|asked| asked.line.clone()).collect()
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// Forgets what it was asked.
    pub fn forget(&self) {
        self.asked.lock().clear();
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn respond(reply: Reply) -> impl Future<Output = Response<Body>> {
    let (status, headers, body) = match reply {
        Reply::Json(status, json) => (status, Vec::new(), Some(Body::from(json.to_string()))),
        Reply::With(status, headers, json) => (status, headers, Some(Body::from(json.to_string()))),
        Reply::Cut => {
            let parts = [Ok(bytes::Bytes::from_static(b"{\"half\":")), Err(std::io::Error::other("cut"))];
            (200, vec![("content-length", "1000".to_owned())], Some(Body::from_stream(futures::stream::iter(parts))))
        }
        Reply::Hang => (200, Vec::new(), None),
    };
    async move {
        let Some(body) = body else { return std::future::pending().await };
        let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(body).unwrap()
    }
}
