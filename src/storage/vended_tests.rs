//! Credentials that are handed out, against an S3 that takes only some of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{Response, StatusCode, header};

use super::*;
use crate::config::Secret;
use crate::error::{Report, ReportError, SqlState};

/// Hands out `{prefix}-{number}`, the next number after each refusal; none when `empty`.
#[derive(Debug, Default)]
struct Numbered {
    number: AtomicUsize,
    empty: bool,
}

#[async_trait::async_trait]
impl VendedCredentials for Numbered {
    fn prefix(&self, url: &str) -> Option<String> {
        ["s3://b/inner", "s3://b"].into_iter().find(|prefix| url.starts_with(prefix)).map(str::to_owned)
    }

    fn properties(&self, _prefix: &str) -> StorageProperties {
        StorageProperties::new()
    }

    async fn credentials(&self, prefix: &str) -> Result<S3Credentials, Box<Report>> {
        if self.empty {
            let report = Report::new(SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION, "catalog \"lake\" cannot be reached: no");
            return Err(Box::new(report.hint("Try later.")));
        }
        let name = prefix.rsplit('/').next().unwrap_or_default();
        let key_id = format!("{name}-{}", self.number.load(Ordering::SeqCst));
        Ok(S3Credentials { key_id, secret: Secret::new("hush"), token: Some(Secret::new("token")) })
    }

    fn refused(&self) {
        self.number.fetch_add(1, Ordering::SeqCst);
    }
}

/// Answers with the key that signed the request; those that begin with `ended` have ended.
async fn s3(ended: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = axum::Router::new().fallback(move |headers: axum::http::HeaderMap| async move {
        count.fetch_add(1, Ordering::SeqCst);
        let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = signed.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
        if ended.contains(&key.as_str()) {
            let body = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
            return Response::builder().status(StatusCode::BAD_REQUEST).body(body.to_owned()).unwrap();
        }
        let modified = "Tue, 24 Nov 2026 08:00:00 GMT";
        Response::builder().header(header::LAST_MODIFIED, modified).header(header::ETAG, "\"e\"").body(key).unwrap()
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, asked)
}

fn storage(url: &str, vended: Arc<Numbered>) -> Arc<Storage> {
    let properties = [("s3.endpoint", url), ("s3.region", "r")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    Storage::with_vended(properties.into(), vended).unwrap()
}

#[tokio::test]
async fn each_prefix_has_its_own_and_ended_ones_are_replaced_once() {
    let (url, asked) = s3(&["b-0", "b-1", "b-2"]).await;
    let numbered = Arc::new(Numbered::default());
    let storage = storage(&url, Arc::clone(&numbered));
    assert_eq!(storage.read("s3://b/inner/x").await.unwrap(), "inner-0");
    // One more try, not two: that the second set has ended, too, is told.
    let error = storage.read("s3://b/outer").await.unwrap_err();
    assert_eq!((error.sqlstate(), asked.load(Ordering::SeqCst)), (SqlState::IO_ERROR, 3));
    assert!(error.to_string().contains("ExpiredToken: The provided token has expired."), "{error}");
    assert!(error.hint().unwrap().contains("renewed"));
    numbered.number.store(2, Ordering::SeqCst);
    assert_eq!(storage.read("s3://b/outer").await.unwrap(), "b-3");
    assert!(!format!("{storage:?}").contains("hush"));
}

#[tokio::test]
async fn a_catalog_that_has_none_to_give_says_why() {
    let (url, asked) = s3(&[]).await;
    let storage = storage(&url, Arc::new(Numbered { empty: true, ..Numbered::default() }));
    let error = storage.read("s3://b/x").await.unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION);
    assert_eq!(error.hint().as_deref(), Some("Try later."));
    assert_eq!(error.to_string(), "no credentials for \"s3://b/x\": catalog \"lake\" cannot be reached: no");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
