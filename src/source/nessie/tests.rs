//! Nessie's answers, by a server that gives them as the real one does.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::config::{CatalogKind, Secret};
use crate::error::ReportError;
use crate::source::http::fake::{Asked, FakeServer, Reply};
use crate::source::{Commits, SnapshotRef, Sources};

const HASH: [&str; 3] = ["aaaa", "bbbb", "cccc"];

fn ident(schema: &str, table: &str) -> TableIdent {
    TableIdent { catalog: "lake".into(), schema: schema.into(), table: table.into() }
}

fn config(uri: &str) -> CatalogConfig {
    CatalogConfig::new("lake", CatalogKind::Nessie, format!("{uri}/api/v2"))
}

fn reference(kind: &str, name: &str, hash: &str) -> Value {
    json!({"type": kind, "name": name, "hash": hash})
}

fn not_found(code: &str) -> Reply {
    Reply::Json(404, json!({"status": 404, "message": format!("{code} here"), "errorCode": code}))
}

fn table(location: &str, snapshot: i64) -> Value {
    json!({"type": "ICEBERG_TABLE", "id": "1", "metadataLocation": location, "snapshotId": snapshot, "schemaId": 1, "specId": 0, "sortOrderId": 0})
}

/// `main` moves with every look at it, from commit a to c; tables are at `s3://b/{commit}-{key}`.
fn moving() -> impl Fn(&Asked) -> Reply + Send + Sync {
    let looks = AtomicUsize::new(0);
    move |asked: &Asked| {
        let path = asked.line.strip_prefix("GET /api/v2/").unwrap();
        if path == "trees/main" {
            let hash = HASH[looks.fetch_add(1, Ordering::Relaxed).min(2)];
            return Reply::Json(200, json!({"reference": reference("BRANCH", "main", hash)}));
        }
        if path == "trees/seed" {
            return Reply::Json(200, json!({"reference": reference("TAG", "seed", "aaaa")}));
        }
        if let Some(rest) = path.strip_prefix("trees/main%40").or_else(|| path.strip_prefix("trees/seed%40"))
            && let Some((hash, key)) = rest.split_once("/contents/")
        {
            return match key {
                "gold.v" => Reply::Json(200, json!({"content": {"type": "ICEBERG_VIEW"}})),
                "gold.deep" => Reply::Json(200, json!({"content": {"type": "NAMESPACE", "elements": ["gold", "deep"]}})),
                "gold.new" if hash == "aaaa" => not_found("CONTENT_NOT_FOUND"),
                "gold.t" | "gold.new" | ".gold._x..t" => Reply::Json(200, json!({"content": table(&format!("s3://b/{hash}-{key}"), 7)})),
                _ => not_found("CONTENT_NOT_FOUND"),
            };
        }
        if path.contains("/entries") {
            let entry = |kind: &str, elements: &[&str]| json!({"type": kind, "name": {"elements": elements}});
            let hash = path.split("%40").nth(1).map_or("aaaa", |rest| &rest[..4]);
            let second = path.contains("page-token=next");
            let entries = match second {
                false => {
                    json!([entry("NAMESPACE", &["gold"]), entry("ICEBERG_TABLE", &["gold", "t"]), entry("ICEBERG_VIEW", &["gold", "v"])])
                }
                true => json!([
                    entry("ICEBERG_TABLE", &["gold", "new"]),
                    entry("ICEBERG_TABLE", &["gold.x", "t"]),
                    entry("ICEBERG_TABLE", &["rootless"])
                ]),
            };
            return Reply::Json(
                200,
                json!({"entries": entries, "hasMore": !second, "token": if second { Value::Null } else { json!("next") },
                       "effectiveReference": reference("BRANCH", "main", hash)}),
            );
        }
        if path == "trees" {
            return Reply::Json(
                200,
                json!({"references": [reference("BRANCH", "main", "aaaa"), reference("TAG", "seed", "aaaa")], "hasMore": false}),
            );
        }
        not_found("REFERENCE_NOT_FOUND")
    }
}

async fn catalog(server: &FakeServer) -> Arc<dyn SourceCatalog> {
    let storage = Storage::with_store("s3://b", Arc::new(object_store::memory::InMemory::new()));
    open(&config(&server.url), storage).unwrap()
}

#[tokio::test]
async fn a_transaction_reads_one_commit_and_asks_for_it_once() {
    let server = FakeServer::start(moving()).await;
    let catalog = catalog(&server).await;
    let tables = catalog.commits().unwrap();
    let commits = Commits::default();
    let (one, other) = tokio::join!(commits.get("lake", tables, "main"), commits.get("lake", tables, "main"));
    let commit = one.unwrap().unwrap();
    assert_eq!((&commit, commit.hash.as_str(), commit.kind), (&other.unwrap().unwrap(), "aaaa", CommitKind::Branch));
    let pointer = tables.pointer_at(&ident("gold", "t"), &commit).await.unwrap();
    assert_eq!(pointer.metadata_location, "s3://b/aaaa-gold.t");
    assert_eq!((pointer.snapshot_id, pointer.schema_id, pointer.nessie_hash.as_deref()), (Some(7), Some(1), Some("aaaa")));
    // What a commit says is known for good.
    tables.pointer_at(&ident("gold", "t"), &commit).await.unwrap();
    assert_eq!(server.lines(), ["GET /api/v2/trees/main", "GET /api/v2/trees/main%40aaaa/contents/gold.t"]);
    // The next transaction sees the next commit.
    let commit = Commits::default().get("lake", tables, "main").await.unwrap().unwrap();
    assert_eq!(tables.pointer_at(&ident("gold", "t"), &commit).await.unwrap().metadata_location, "s3://b/bbbb-gold.t");
    commits.clear();
    assert_eq!(commits.get("lake", tables, "main").await.unwrap().unwrap().hash, "cccc");
}

#[tokio::test]
async fn a_lifetime_saves_the_question() {
    let server = FakeServer::start(moving()).await;
    let mut settings = config(&server.url);
    settings.pointer_lifetime = Duration::from_secs(3600);
    let catalog = open(&settings, Storage::local()).unwrap();
    for _ in 0..3 {
        assert_eq!(catalog.pointer(&ident("gold", "t")).await.unwrap().nessie_hash.as_deref(), Some("aaaa"));
    }
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_there_is() {
    let server = FakeServer::start(moving()).await;
    let catalog = catalog(&server).await;
    let failed = |schema: &'static str, table: &'static str| {
        let catalog = Arc::clone(&catalog);
        async move {
            let error = catalog.pointer(&ident(schema, table)).await.unwrap_err();
            (error.sqlstate().code(), error.to_string(), error.hint().unwrap_or_default())
        }
    };
    assert_eq!(
        failed("gold", "nww").await,
        ("42P01", "table \"lake.gold.nww\" does not exist".into(), "Perhaps you meant \"new\".".into())
    );
    assert_eq!(failed("glod", "t").await.0, "3F000");
    assert_eq!(failed("glod", "t").await.2, "Perhaps you meant \"gold\".");
    assert_eq!(failed("gold", "v").await.1, "\"lake.gold.v\" is a view, not a table");
    assert_eq!(failed("gold", "deep").await, ("42809", "\"lake.gold.deep\" is a namespace, not a table".into(), String::new()));
    for (schema, table) in [("", "t"), ("a..b", "t"), ("gold", ""), ("gold", "a\nb")] {
        assert!(matches!(failed(schema, table).await.0, "3F000" | "42P01"), "{schema} {table}");
    }
    assert_eq!(catalog.schemas().await.unwrap(), ["gold", "gold.x"]);
    assert_eq!(catalog.tables("gold").await.unwrap(), ["new", "t"]);
    assert_eq!(catalog.tables("gold.x").await.unwrap(), ["t"]);
    assert_eq!(catalog.tables("x").await.unwrap_err().sqlstate().code(), "3F000");
}

#[tokio::test]
async fn a_level_with_a_dot_is_found_and_remembered() {
    let server = FakeServer::start(moving()).await;
    let catalog = catalog(&server).await;
    assert_eq!(catalog.pointer(&ident("gold.x", "t")).await.unwrap().metadata_location, "s3://b/aaaa-.gold._x..t");
    server.forget();
    catalog.pointer(&ident("gold.x", "t")).await.unwrap();
    assert_eq!(server.lines(), ["GET /api/v2/trees/main", "GET /api/v2/trees/main%40bbbb/contents/.gold._x..t"]);
}

#[tokio::test]
async fn tags_and_branches_are_the_catalogs() {
    let server = FakeServer::start(moving()).await;
    let sources = Sources::new([catalog(&server).await]);
    let failed = |at: SnapshotRef| {
        let sources = &sources;
        async move {
            let error = sources.snapshot(&ident("gold", "t"), &at).await.unwrap_err();
            (error.sqlstate().code(), error.to_string(), error.hint().unwrap_or_default())
        }
    };
    let (code, message, hint) = failed(SnapshotRef::Tag("sed".into())).await;
    assert_eq!(
        (code, message.as_str(), hint.as_str()),
        ("42704", "tag \"sed\" does not exist in catalog \"lake\"", "Perhaps you meant \"seed\".")
    );
    assert_eq!(failed(SnapshotRef::Branch("seed".into())).await.1, "branch \"seed\" does not exist in catalog \"lake\"");
    assert_eq!(failed(SnapshotRef::TagOrBranch("no such thing".into())).await.0, "42704");
    // The tag's commit is read: its metadata file is the one that cannot be had here.
    for at in [SnapshotRef::Tag("seed".into()), SnapshotRef::TagOrBranch("seed".into())] {
        server.forget();
        failed(at).await;
        assert_eq!(server.lines()[0], "GET /api/v2/trees/seed");
    }
}

#[tokio::test]
async fn faults_are_named() {
    let server = FakeServer::start(|asked| match asked.line.as_str() {
        "GET /api/v2/trees/main" => Reply::Json(200, json!({"reference": reference("BRANCH", "main", "aaaa")})),
        line if line.contains("contents/gold.gone") => not_found("REFERENCE_NOT_FOUND"),
        line if line.contains("contents/gold.denied") => Reply::Json(403, json!({"message": "not yours", "errorCode": "FORBIDDEN"})),
        line if line.contains("contents/gold.conflict") => {
            Reply::Json(409, json!({"message": "try later", "errorCode": "REFERENCE_CONFLICT"}))
        }
        line if line.contains("contents/gold.broken") => Reply::Json(200, json!({"content": 7})),
        line if line.contains("contents/gold.hollow") => Reply::Json(200, json!({"content": {"type": "ICEBERG_TABLE"}})),
        _ => Reply::Json(500, json!({"message": "boom"})),
    })
    .await;
    let catalog = catalog(&server).await;
    for (name, code, words) in [
        ("gone", "HV000", "commit aaaa is gone"),
        ("denied", "42501", "not yours (403)"),
        ("conflict", "HV000", "try later (409)"),
        ("broken", "HV000", "cannot be read"),
        ("hollow", "HV000", "no metadata location"),
        ("other", "HV000", "boom (500)"),
    ] {
        let error = catalog.pointer(&ident("gold", name)).await.unwrap_err();
        assert_eq!(error.sqlstate().code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn keys_and_references_are_spelt_as_nessie_reads_them() {
    let path = |elements: &[&str]| key::path(&elements.iter().map(|element| (*element).to_owned()).collect::<Vec<_>>());
    assert_eq!(path(&["foo", "bar", "baz"]), "foo.bar.baz");
    assert_eq!(path(&["foo", ".bar", "baz"]), "foo..._bar..baz");
    assert_eq!(path(&["foo.", ".bar", "a/\\%aa"]), ".foo._..._bar..a.{.}.[aa");
    assert_eq!(path(&["a", "b.c"]), "a..b._c");
    let reference = |text: &str| key::reference(text).unwrap_or_default();
    assert_eq!(reference("feature/x-1"), "feature/x-1");
    assert_eq!(reference("main@00ff"), "main@00ff");
    assert_eq!(reference("@00ff"), "@00ff");
    assert_eq!(reference("main*2026-11-24T08:59:10Z"), "main*2026-11-24T08:59:10.000000Z");
    assert_eq!(reference("main*2026-11-24T10:59:10.5+02:00"), "main*2026-11-24T08:59:10.500000Z");
    assert_eq!(reference("main*1795529570289"), "main*2026-11-24T14:12:50.289000Z");
    for bad in ["", "1a", "a b", "a..b", "a/", "main@", "main@xyz", "main*", "main*now", "*2026-11-24T08:59:10Z", "2026-11-24 00:00:00"] {
        assert_eq!(key::reference(bad), None, "{bad}");
    }
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |uri: &str, reference: &str| {
        let mut config = CatalogConfig::new("lake", CatalogKind::Nessie, uri.to_owned());
        config.login.insert("ref".into(), Secret::new(reference));
        open(&config, Storage::local()).unwrap_err().to_string()
    };
    assert!(refused("http://h/api/v1", "main").contains("version 2"));
    assert!(refused("http://h/api/v2", "main@nothex").contains("ref"));
}
