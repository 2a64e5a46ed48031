//! Retries, tokens and limits against a server of the test's own.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::fake::{Asked, FakeServer, Reply};
use super::*;
use crate::config::{CatalogKind, Secret};
use crate::error::ReportError;

fn config(uri: &str, login: &[(&str, &str)]) -> CatalogConfig {
    let mut config = CatalogConfig::new("lake", CatalogKind::Rest, uri.to_owned());
    config.login = login.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value))).collect();
    config
}

async fn ask(client: &CatalogClient, server: &FakeServer) -> Result<Answer, SourceError> {
    client.get(&Url::parse(&format!("{}/x", server.url)).unwrap(), &HeaderMap::new()).await
}

#[tokio::test]
async fn a_server_that_recovers_is_asked_again_and_one_that_does_not_is_named() {
    let count = AtomicUsize::new(0);
    let server = FakeServer::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::With(429, vec![("retry-after", "0".to_owned())], json!({})),
        1 => Reply::Cut,
        2 => Reply::Json(503, json!({})),
        3 => Reply::Json(200, json!({"ok": true})),
        _ => Reply::With(503, vec![("retry-after", "0".to_owned())], json!({"error": {"message": "down for\nrepairs", "code": 503}})),
    })
    .await;
    let client = CatalogClient::new(&config(&server.url, &[]), None).unwrap();
    assert_eq!(ask(&client, &server).await.unwrap().body, json!({"ok": true}).to_string());
    assert_eq!(server.lines().len(), 4);
    let error = ask(&client, &server).await.unwrap_err();
    assert_eq!(error.sqlstate().code(), "HV00N");
    assert!(error.to_string().contains("down for repairs (503)") && error.to_string().contains(&server.url), "{error}");
    assert_eq!(server.lines().len(), 4 + ATTEMPTS as usize);
}

#[tokio::test]
async fn nobody_listening_and_nobody_answering_are_errors_in_time() {
    let server = FakeServer::start(|_| Reply::Hang).await;
    let mut settings = config(&server.url, &[]);
    settings.timeout = Duration::from_millis(200);
    let client = CatalogClient::new(&settings, None).unwrap();
    let before = std::time::Instant::now();
    let error = ask(&client, &server).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.to_string().contains("no answer within 0.2 s")), ("HV00N", true), "{error}");
    assert!(before.elapsed() < Duration::from_secs(5));

    let gone = FakeServer::start(|_| Reply::Hang).await;
    let url = Url::parse(&gone.url).unwrap();
    drop(gone);
    let refused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", refused.local_addr().unwrap())).unwrap_or(url);
    drop(refused);
    let error = client.get(&url, &HeaderMap::new()).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    assert_eq!(error.sqlstate().code(), "HV00N");
}

/// Grants tokens 1, 2, 3 …, that live for `life` seconds, and takes only the last.
fn oauth(life: u64, accept_from: usize) -> impl Fn(&Asked) -> Reply + Send + Sync {
    let granted = AtomicUsize::new(0);
    move |asked: &Asked| {
        if asked.line == "POST /tokens" {
            let number = granted.fetch_add(1, Ordering::Relaxed) + 1;
            return Reply::Json(200, json!({"access_token": format!("t{number}"), "token_type": "bearer", "expires_in": life}));
        }
        let number = granted.load(Ordering::Relaxed);
        match asked.header("authorization") {
            Some(text) if number >= accept_from && text == format!("Bearer t{number}") => Reply::Json(200, json!({})),
            _ => Reply::Json(401, json!({"error": {"message": "no", "code": 401}})),
        }
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_renewed_before_its_end_and_once_after_a_refusal() {
    let server = FakeServer::start(oauth(3600, 1)).await;
    let endpoint = format!("{}/tokens", server.url);
    let keys = [("credential", "me:s3:cret"), ("audience", "a&b"), ("oauth2-server-uri", &*endpoint)];
    let client = CatalogClient::new(&config(&server.url, &keys), Some(("https://elsewhere", "catalog"))).unwrap();
    let (first, second) = tokio::join!(ask(&client, &server), ask(&client, &server));
    assert!(first.unwrap().status.is_success() && second.unwrap().status.is_success());
    let tokens: Vec<_> = server.asked().into_iter().filter(|asked| asked.line.starts_with("POST")).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].body, "grant_type=client_credentials&client_id=me&client_secret=s3%3Acret&scope=catalog&audience=a%26b");

    // One that has no life left is renewed for each question.
    let server = FakeServer::start(oauth(0, 1)).await;
    let client =
        CatalogClient::new(&config(&server.url, &[("credential", "x")]), Some((&format!("{}/tokens", server.url), "catalog"))).unwrap();
    for _ in 0..2 {
        assert!(ask(&client, &server).await.unwrap().status.is_success());
    }
    assert_eq!(server.lines(), ["POST /tokens", "GET /x", "POST /tokens", "GET /x"]);

    // One that the server forgot is replaced once; a second refusal is the answer.
    let server = FakeServer::start(oauth(3600, 2)).await;
    let client =
        CatalogClient::new(&config(&server.url, &[("credential", "x")]), Some((&format!("{}/tokens", server.url), "catalog"))).unwrap();
    assert!(ask(&client, &server).await.unwrap().status.is_success());
    assert_eq!(server.lines(), ["POST /tokens", "GET /x", "POST /tokens", "GET /x"]);
    let server = FakeServer::start(oauth(3600, 9)).await;
    let client =
        CatalogClient::new(&config(&server.url, &[("credential", "x")]), Some((&format!("{}/tokens", server.url), "catalog"))).unwrap();
    let error = ask(&client, &server).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.to_string().as_str()), ("HV00N", "catalog \"lake\" refuses the login: no (401)"));
    assert!(error.hint().unwrap().contains("[catalogs.lake]"));
    assert_eq!(server.lines(), ["POST /tokens", "GET /x", "POST /tokens", "GET /x"]);
}

#[tokio::test]
async fn refused_credentials_say_so_and_never_what_they_are() {
    let server = FakeServer::start(|_| Reply::Json(401, json!({"error": "invalid_client", "error_description": "unknown client"}))).await;
    let client =
        CatalogClient::new(&config(&server.url, &[("credential", "me:hush")]), Some((&format!("{}/tokens", server.url), "catalog")))
            .unwrap();
    let error = ask(&client, &server).await.unwrap_err();
    assert_eq!(error.to_string(), "catalog \"lake\" refuses the login: its token server refused the credential: unknown client");
    assert_eq!(error.sqlstate().code(), "HV00N");
    assert!(!format!("{error:?} {client:?}").contains("hush"));
    // A fixed token cannot be renewed.
    let server = FakeServer::start(|_| Reply::Json(401, json!({}))).await;
    let client = CatalogClient::new(&config(&server.url, &[("token", "hush")]), None).unwrap();
    let error = ask(&client, &server).await.unwrap_err();
    assert!(matches!(error, SourceError::CatalogLogin { .. }));
    assert!(!format!("{error:?} {client:?}").contains("hush"));
    assert_eq!(server.lines().len(), 1);
    assert_eq!(server.asked()[0].header("authorization"), Some("Bearer hush"));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |login: &[(&str, &str)]| CatalogClient::new(&config("http://h", login), None).unwrap_err().to_string();
    assert!(refused(&[("credential", "a:b")]).contains("oauth2-server-uri"));
    assert!(refused(&[("credential", "a:b"), ("token", "c")]).contains("leave one out"));
    assert!(refused(&[("scope", "x")]).contains("without credential"));
    assert!(refused(&[("credential", "a:b"), ("oauth2-server-uri", "tokens")]).contains("URL"));
    assert!(refused(&[("ssl.cabundle", "/does/not/exist.pem")]).contains("/does/not/exist.pem"));
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(refused(&[("ssl.cabundle", empty.path().to_str().unwrap())]).contains("no certificate"));
}

#[test]
fn names_stay_one_segment() {
    assert_eq!(segment("a b/c#d?e%f"), "a%20b%2Fc%23d%3Fe%25f");
    assert_eq!(segment("ü\u{1f}"), "%C3%BC%1F");
    let url = Url::parse(&format!("http://h/{}/t", segment("a/../b"))).unwrap();
    assert_eq!(url.path(), "/a%2F..%2Fb/t");
}
