//! A REST catalog's answers, by a server of the test's own: what the real ones do not do on demand.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::config::{CatalogKind, Secret};
use crate::error::ReportError;
use crate::source::http::fake::{Asked, FakeServer, Reply};
use crate::source::{SnapshotRef, Sources};
use crate::storage::VendedCredentials;

fn ident(schema: &str, table: &str) -> TableIdent {
    TableIdent { catalog: "lake".into(), schema: schema.into(), table: table.into() }
}

fn config(uri: &str) -> CatalogConfig {
    CatalogConfig::new("lake", CatalogKind::Rest, uri.to_owned())
}

fn metadata(uuid: &str) -> Value {
    json!({
        "format-version": 2, "table-uuid": uuid, "location": "s3://b/t", "current-schema-id": 0,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": false, "type": "long"}]}],
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "current-snapshot-id": 20, "snapshots": [{"snapshot-id": 20, "sequence-number": 2, "timestamp-ms": 2000, "manifests": [], "schema-id": 0}],
        "snapshot-log": [{"timestamp-ms": 2000, "snapshot-id": 20}]
    })
}

fn missing(kind: &str) -> Reply {
    Reply::Json(404, json!({"error": {"message": format!("{kind}: no"), "type": kind, "code": 404}}))
}

fn settings() -> Reply {
    Reply::Json(200, json!({"defaults": {"prefix": "p%7Cq"}, "overrides": {"s3.region": "eu-west-1"}}))
}

/// Tables `gold.t`, `a%1Fb.t` and one with everything in its name; views; namespaces of three levels, a page each.
fn answers(asked: &Asked) -> Reply {
    let table = |location: &str| json!({"metadata-location": location, "metadata": metadata("u"), "config": {}});
    match asked.line.as_str() {
        "GET /v1/config?warehouse=w+h%26x" | "GET /v1/config" => settings(),
        "GET /v1/p%7Cq/namespaces/gold/tables/t" if asked.header("if-none-match") == Some("\"1\"") => Reply::Json(304, Value::Null),
        "GET /v1/p%7Cq/namespaces/gold/tables/t" => Reply::With(200, vec![("etag", "\"1\"".to_owned())], table("s3://b/t/1.json")),
        "GET /v1/p%7Cq/namespaces/a%1Fb/tables/t" => Reply::Json(200, table("s3://b/ab/1.json")),
        "GET /v1/p%7Cq/namespaces/x.y/tables/t" => Reply::Json(200, table("s3://b/xy/1.json")),
        "GET /v1/p%7Cq/namespaces/gold/tables/t%23hash%2F..%3Fq%25" => Reply::Json(200, table("s3://b/odd/1.json")),
        "GET /v1/p%7Cq/namespaces/gold/views/v" => Reply::Json(200, json!({})),
        "GET /v1/p%7Cq/namespaces" => Reply::Json(200, json!({"namespaces": [["gold"]], "next-page-token": "2"})),
        "GET /v1/p%7Cq/namespaces?pageToken=2" => Reply::Json(200, json!({"namespaces": [["a"], ["x.y"]]})),
        "GET /v1/p%7Cq/namespaces?parent=a" => Reply::Json(200, json!({"namespaces": [["a", "b"]]})),
        "GET /v1/p%7Cq/namespaces?parent=a%1Fb" => Reply::Json(200, json!({"namespaces": [["c"]]})),
        line if line.contains("parent=") => {
            Reply::Json(406, json!({"error": {"message": "flat", "type": "UnsupportedOperationException", "code": 406}}))
        }
        "GET /v1/p%7Cq/namespaces/gold/tables" => {
            Reply::Json(200, json!({"identifiers": [{"namespace": ["gold"], "name": "t"}], "next-page-token": "n"}))
        }
        "GET /v1/p%7Cq/namespaces/gold/tables?pageToken=n" => {
            Reply::Json(200, json!({"identifiers": [{"namespace": ["gold"], "name": "customers"}]}))
        }
        "GET /v1/p%7Cq/namespaces/nowhere/tables" => missing("NoSuchNamespaceException"),
        line if line.contains("/tables/") || line.contains("/views/") => missing("NoSuchTableException"),
        line if line.ends_with("/tables") => Reply::Json(200, json!({"identifiers": []})),
        _ => Reply::Json(404, json!("no such path")),
    }
}

#[tokio::test]
async fn a_table_is_one_request_and_unchanged_is_a_small_one() {
    let server = FakeServer::start(answers).await;
    let mut settings = config(&server.url);
    settings.warehouse = Some("w h&x".into());
    let catalog = open(&settings, Storage::local()).unwrap();
    let first = catalog.pointer(&ident("gold", "t")).await.unwrap();
    assert_eq!(first.metadata_location, "s3://b/t/1.json");
    assert_eq!(first.metadata.as_ref().unwrap().current_snapshot_id, Some(20));
    let second = catalog.pointer(&ident("gold", "t")).await.unwrap();
    assert!(Arc::ptr_eq(first.metadata.as_ref().unwrap(), second.metadata.as_ref().unwrap()));
    assert!(Arc::ptr_eq(first.storage.as_ref().unwrap(), second.storage.as_ref().unwrap()));
    let table = "GET /v1/p%7Cq/namespaces/gold/tables/t";
    assert_eq!(server.lines(), ["GET /v1/config?warehouse=w+h%26x", table, table]);
    assert_eq!(server.asked()[2].header("if-none-match"), Some("\"1\""));
    assert_eq!(server.asked()[1].header("x-iceberg-access-delegation"), Some("vended-credentials"));
    // The metadata that came along is what is read: the file does not exist here.
    let sources = Sources::new([catalog]);
    let snapshot = sources.snapshot(&ident("gold", "t"), &SnapshotRef::Current).await.unwrap();
    assert_eq!((snapshot.snapshot_id(), snapshot.table_uuid()), (Some(20), Some("u")));
}

#[tokio::test]
async fn names_are_names_whatever_is_in_them() {
    let server = FakeServer::start(answers).await;
    let catalog = open(&config(&server.url), Storage::local()).unwrap();
    let location = |schema: &'static str, table: &'static str| {
        let catalog = Arc::clone(&catalog);
        async move {
            catalog.pointer(&ident(schema, table)).await.map(|pointer| pointer.metadata_location).map_err(|error| error.sqlstate().code())
        }
    };
    assert_eq!(location("gold", "t#hash/..?q%").await, Ok("s3://b/odd/1.json".into()));
    assert_eq!(location("a.b", "t").await, Ok("s3://b/ab/1.json".into()));
    // One level with a dot in it; the second time it is known.
    assert_eq!(location("x.y", "t").await, Ok("s3://b/xy/1.json".into()));
    server.forget();
    assert_eq!(location("x.y", "t").await, Ok("s3://b/xy/1.json".into()));
    assert_eq!(server.lines().len(), 1);
    for (schema, table) in [("gold", ".."), ("gold", "."), ("..", "t"), ("", "t"), ("gold", "")] {
        assert!(matches!(location(schema, table).await, Err("42P01" | "3F000")), "{schema:?}.{table:?}");
    }
    assert_eq!(catalog.schemas().await.unwrap(), ["a", "a.b", "a.b.c", "gold", "x.y"]);
    assert_eq!(catalog.tables("gold").await.unwrap(), ["customers", "t"]);
    assert_eq!(catalog.tables("a").await.unwrap(), Vec::<String>::new());
    assert_eq!(catalog.tables("nowhere").await.unwrap_err().sqlstate().code(), "3F000");
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_there_is() {
    let server = FakeServer::start(answers).await;
    let catalog = open(&config(&server.url), Storage::local()).unwrap();
    let error = catalog.pointer(&ident("gold", "custmers")).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.hint().unwrap().as_str()), ("42P01", "Perhaps you meant \"customers\"."));
    let error = catalog.pointer(&ident("gld", "t")).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.hint().unwrap().as_str()), ("3F000", "Perhaps you meant \"gold\"."));
    let error = catalog.pointer(&ident("gold", "v")).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.to_string().as_str()), ("42809", "\"lake.gold.v\" is a view, not a table"));
}

#[tokio::test]
async fn faults_are_named_and_pass() {
    let down = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&down);
    let server = FakeServer::start(move |asked| {
        if switch.load(Ordering::Relaxed) {
            return Reply::With(503, vec![("retry-after", "0".to_owned())], json!({"error": {"message": "down", "code": 503}}));
        }
        match asked.line.rsplit('/').next().unwrap() {
            "config" => Reply::Json(200, json!({"defaults": {}, "overrides": {}})),
            "forbidden" => Reply::Json(403, json!({"error": {"message": "not yours", "type": "ForbiddenException", "code": 403}})),
            "busy" => Reply::With(429, vec![("retry-after", "0".to_owned())], json!({"error": {"message": "slow down", "code": 429}})),
            "login" => Reply::Json(419, json!({"error": {"message": "token ended", "code": 419}})),
            "nowhere" => Reply::Json(404, json!("nobody serves this")),
            "half" => Reply::Json(200, json!({"metadata-location": "s3://b/1.json"})),
            "none" => Reply::Json(200, json!({"metadata": metadata("u")})),
            "future" => {
                let mut metadata = metadata("u");
                metadata["format-version"] = json!(9);
                Reply::Json(200, json!({"metadata-location": "s3://b/1.json", "metadata": metadata}))
            }
            _ => Reply::Json(200, json!({"metadata-location": "s3://b/1.json", "metadata": metadata("u")})),
        }
    })
    .await;
    let catalog = open(&config(&server.url), Storage::local()).unwrap();
    let error = catalog.pointer(&ident("gold", "t")).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.to_string().contains("down (503)")), ("HV00N", true), "{error}");
    down.store(false, Ordering::Relaxed);
    assert_eq!(catalog.pointer(&ident("gold", "t")).await.unwrap().metadata_location, "s3://b/1.json");
    for (name, code, words) in [
        ("forbidden", "42501", "not yours (403)"),
        ("busy", "HV00N", "slow down (429)"),
        ("login", "HV00N", "token ended (419)"),
        ("nowhere", "HV000", "404"),
        ("half", "HV000", "metadata"),
        ("none", "HV000", "no metadata location"),
        ("future", "HV000", "version 9"),
    ] {
        let error = catalog.pointer(&ident("gold", name)).await.unwrap_err();
        assert_eq!((error.sqlstate().code(), error.to_string().contains(words)), (code, true), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_moves_is_followed_but_not_into_the_open() {
    let target = FakeServer::start(|asked| match asked.line.as_str() {
        "GET /moved/v1/namespaces/gold/tables/t" => {
            Reply::Json(200, json!({"metadata-location": "s3://b/moved.json", "metadata": metadata("u")}))
        }
        other => panic!("{other}"),
    })
    .await;
    let moved = format!("{}/moved/", target.url);
    let server = FakeServer::start(move |_| Reply::Json(200, json!({"overrides": {"uri": moved}}))).await;
    let catalog = open(&config(&format!("{}/v1/", server.url)), Storage::local()).unwrap();
    assert_eq!(catalog.pointer(&ident("gold", "t")).await.unwrap().metadata_location, "s3://b/moved.json");
}

/// Hands out key `k1`, `k2`, … that end at `end`.
fn vending(end: Arc<AtomicI64>, uuid: Arc<AtomicUsize>) -> impl Fn(&Asked) -> Reply + Send + Sync {
    let given = AtomicUsize::new(0);
    move |asked| {
        if asked.line.ends_with("config") {
            return settings();
        }
        let number = given.fetch_add(1, Ordering::Relaxed) + 1;
        let set = |name: &str| {
            json!({"s3.access-key-id": format!("{name}{number}"), "s3.secret-access-key": "s", "s3.session-token": "t",
                   "s3.session-token-expires-at-ms": end.load(Ordering::Relaxed).to_string(), "s3.endpoint": "http://127.0.0.1:9", "s3.unknown": "x"})
        };
        Reply::With(
            200,
            vec![("etag", format!("\"{number}\""))],
            json!({"metadata-location": "s3://b/1.json", "metadata": metadata(&uuid.load(Ordering::Relaxed).to_string()), "config": set("table"),
                   "storage-credentials": [{"prefix": "s3://b/t", "config": set("t")}, {"prefix": "s3://b/t/data", "config": set("data")}]}),
        )
    }
}

#[tokio::test]
async fn handed_out_credentials_go_by_the_longest_prefix_and_are_renewed_before_they_end() {
    let (end, uuid) = (Arc::new(AtomicI64::new(i64::MAX / 2)), Arc::new(AtomicUsize::new(1)));
    let server = FakeServer::start(vending(Arc::clone(&end), Arc::clone(&uuid))).await;
    let mut settings = config(&server.url);
    settings.properties.insert("s3.access-key-id".into(), Secret::new("ours"));
    settings.properties.insert("s3.secret-access-key".into(), Secret::new("hush"));
    let rest = Arc::new(RestCatalog {
        name: "lake".into(),
        lifetime: Duration::ZERO,
        server: Arc::new(Server::new(&settings).unwrap()),
        storage: Storage::local(),
        tables: Cache::new(10),
        storages: Mutex::default(),
        spellings: Mutex::default(),
    });
    let pointer = rest.pointer(&ident("gold", "t")).await.unwrap();
    let known = rest.tables.get(&("gold".into(), "t".into())).unwrap();
    let (places, vended) = known.vended.clone().unwrap();
    assert_eq!(
        places,
        [("s3.endpoint".to_owned(), "http://127.0.0.1:9".to_owned()), ("s3.region".to_owned(), "eu-west-1".to_owned())].into()
    );
    for (url, prefix) in [
        ("s3://b/t/data/1.parquet", "s3://b/t/data"),
        ("s3a://b/t/data/1.parquet", "s3://b/t/data"),
        ("s3://b/t/metadata/1.avro", "s3://b/t"),
        ("s3://elsewhere/x", ""),
    ] {
        assert_eq!(vended.prefix(url).unwrap(), prefix, "{url}");
        pointer.storage.as_ref().unwrap().locate(url).unwrap();
    }
    let key = |prefix: &'static str| {
        let vended = Arc::clone(&vended);
        async move { vended.credentials(prefix).await.map(|set| set.key_id) }
    };
    assert_eq!(key("s3://b/t/data").await.unwrap(), "data1");
    assert_eq!(server.lines().len(), 2);

    // About to end: the next request of a scan loads the table again, once for all who ask.
    end.store(0, Ordering::Relaxed);
    rest.pointer(&ident("gold", "t")).await.unwrap();
    end.store(i64::MAX / 2, Ordering::Relaxed);
    let (one, other) = tokio::join!(key("s3://b/t"), key(""));
    assert_eq!((one.unwrap(), other.unwrap()), ("t3".into(), "table3".into()));
    assert_eq!(server.lines().len(), 4);
    // The stores are the same, with what is cached of their files.
    let again = rest.pointer(&ident("gold", "t")).await.unwrap();
    assert!(Arc::ptr_eq(pointer.storage.as_ref().unwrap(), again.storage.as_ref().unwrap()));

    // S3 says that they have ended, whatever the server thought.
    vended.refused();
    assert_eq!(key("s3://b/t").await.unwrap(), "t5");
    // Another table under the name gets no access by the old one's stores.
    uuid.store(2, Ordering::Relaxed);
    vended.refused();
    let report = key("s3://b/t").await.unwrap_err();
    assert!(report.message.contains("replaced"), "{report}");
    assert!(!format!("{rest:?}").contains("hush"));
}
