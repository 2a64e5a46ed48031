//! References, pointers that move, and the cache, over tables of our own making.

use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use serde_json::{Value, json};

use super::*;
use crate::error::ReportError;
use crate::source::one_table_tests::{self, OneTable};
use crate::storage::Storage;

fn metadata(current: Option<i64>) -> Value {
    let schema = |id: i32, name: &str| json!({"type": "struct", "schema-id": id, "fields": [{"id": 1, "name": name, "required": false, "type": "long"}]});
    json!({
        "format-version": 2, "table-uuid": "u", "location": "s3://b/t", "current-schema-id": 1,
        "schemas": [schema(0, "old"), schema(1, "new")],
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "current-snapshot-id": current,
        "refs": {"audit": {"snapshot-id": 10, "type": "branch"}, "v1": {"snapshot-id": 10, "type": "tag"}, "dangling": {"snapshot-id": 5, "type": "tag"}},
        "snapshots": [
            {"snapshot-id": 10, "sequence-number": 1, "timestamp-ms": 1000, "manifest-list": "s3://b/gone.avro", "schema-id": 0},
            {"snapshot-id": 20, "sequence-number": 2, "timestamp-ms": 2000, "schema-id": 1},
            {"snapshot-id": 30, "sequence-number": 3, "timestamp-ms": 3000, "manifests": [], "schema-id": 9}
        ],
        "snapshot-log": [{"timestamp-ms": 1000, "snapshot-id": 10}, {"timestamp-ms": 2000, "snapshot-id": 20}]
    })
}

async fn table(files: &[(&str, Value)]) -> (Arc<Sources>, Arc<OneTable>) {
    let storage = Storage::with_store("s3://b", Arc::new(InMemory::new()));
    for (url, json) in files {
        storage.put_if_absent(url, Bytes::from(json.to_string())).await.unwrap();
    }
    let catalog = Arc::new(OneTable::at(&storage, files[0].0));
    let as_catalog: Arc<dyn SourceCatalog> = catalog.clone();
    (Arc::new(Sources::new([as_catalog])), catalog)
}

fn ident() -> TableIdent {
    one_table_tests::ident("t")
}

#[tokio::test]
async fn references_mean_their_snapshot_and_schema() {
    let (sources, _) = table(&[("s3://b/1.json", metadata(Some(20)))]).await;
    let pinned = |at: SnapshotRef| {
        let sources = Arc::clone(&sources);
        async move {
            let table = sources.snapshot(&ident(), &at).await.unwrap();
            (table.snapshot_id(), table.schema.fields()[0].name.clone())
        }
    };
    assert_eq!(pinned(SnapshotRef::Current).await, (Some(20), "new".into()));
    assert_eq!(pinned(SnapshotRef::Branch("main".into())).await, (Some(20), "new".into()));
    assert_eq!(pinned(SnapshotRef::Branch("audit".into())).await, (Some(10), "new".into()));
    assert_eq!(pinned(SnapshotRef::TagOrBranch("audit".into())).await, (Some(10), "new".into()));
    assert_eq!(pinned(SnapshotRef::Tag("v1".into())).await, (Some(10), "old".into()));
    assert_eq!(pinned(SnapshotRef::TagOrBranch("v1".into())).await, (Some(10), "old".into()));
    assert_eq!(pinned(SnapshotRef::Snapshot(10)).await, (Some(10), "old".into()));
    assert_eq!(pinned(SnapshotRef::Timestamp(1_999_999)).await, (Some(10), "old".into()));
    assert_eq!(pinned(SnapshotRef::Timestamp(2_000_000)).await, (Some(20), "new".into()));
    let either = |name: &str| SnapshotRef::ReferenceOrTimestamp { name: name.into(), micros: 2_000_000 };
    assert_eq!(pinned(either("v1")).await, (Some(10), "old".into()));
    assert_eq!(pinned(either("1970-01-01 00:00:02")).await, (Some(20), "new".into()));
    assert_eq!(pinned(SnapshotRef::Recorded { snapshot_id: Some(10), schema_id: None, commit: None }).await, (Some(10), "old".into()));
}

#[tokio::test]
async fn what_is_not_there_is_never_the_current_snapshot() {
    let (sources, _) = table(&[("s3://b/1.json", metadata(Some(20)))]).await;
    for (at, code, words, hint) in [
        (SnapshotRef::Branch("audits".into()), "42704", "branch \"audits\" of table \"lake.s.t\"", Some("\"audit\"")),
        (SnapshotRef::Branch("v1".into()), "42704", "branch \"v1\"", Some("There is audit, main.")),
        (SnapshotRef::Tag("audit".into()), "42704", "tag \"audit\"", Some("There is ")),
        (SnapshotRef::TagOrBranch("v2".into()), "42704", "tag or branch \"v2\"", Some("\"v1\"")),
        (SnapshotRef::Tag("dangling".into()), "72000", "snapshot 5", None),
        (SnapshotRef::Snapshot(99), "72000", "snapshot 99", None),
        (SnapshotRef::Snapshot(30), "XX001", "names schema 9", None),
        (SnapshotRef::Timestamp(999_999), "72000", "1970-01-01 00:00:00.999999+00", None),
        (SnapshotRef::Timestamp(i64::MIN), "72000", "no snapshot", None),
    ] {
        let error = sources.snapshot(&ident(), &at).await.unwrap_err();
        assert_eq!(error.sqlstate().code(), code, "{at:?}: {error}");
        assert!(error.to_string().contains(words), "{at:?}: {error}");
        assert_eq!(error.hint().is_some(), hint.is_some(), "{at:?}: {:?}", error.hint());
        assert!(hint.is_none_or(|hint| error.hint().unwrap().contains(hint)), "{at:?}: {:?}", error.hint());
    }
}

#[tokio::test]
async fn a_table_never_written_has_a_main_and_no_files() {
    let (sources, _) = table(&[("s3://b/1.json", metadata(None))]).await;
    for at in [SnapshotRef::Current, SnapshotRef::Branch("main".into()), SnapshotRef::TagOrBranch("main".into())] {
        let table = sources.snapshot(&ident(), &at).await.unwrap();
        assert_eq!((table.snapshot_id(), table.table_uuid()), (None, Some("u")));
        assert!(table.scan_files(&|_| true).await.unwrap().data_files.is_empty());
    }
}

#[tokio::test]
async fn files_that_are_gone_are_expired_and_missing_lists_are_damage() {
    let (sources, catalog) = table(&[("s3://b/1.json", metadata(Some(20)))]).await;
    let expired = sources.snapshot(&ident(), &SnapshotRef::Snapshot(10)).await.unwrap().scan_files(&|_| true).await.unwrap_err();
    assert_eq!(expired.sqlstate().code(), "72000");
    assert!(expired.to_string().contains("has expired") && expired.to_string().contains("s3://b/gone.avro"), "{expired}");
    let neither = sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap().scan_files(&|_| true).await.unwrap_err();
    assert_eq!(neither.sqlstate().code(), "XX001");
    catalog.moves_to(TablePointer::at("s3://b/none.json"));
    let missing = sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap_err();
    assert_eq!((missing.sqlstate().code(), missing.to_string().contains("s3://b/none.json")), ("72000", true));
}

#[tokio::test]
async fn what_a_kept_pointer_does_not_find_is_looked_for_through_a_fresh_one() {
    let mut moved = metadata(Some(20));
    moved["refs"]["later"] = json!({"snapshot-id": 20, "type": "tag"});
    let (sources, catalog) = table(&[("s3://b/1.json", metadata(Some(10))), ("s3://b/2.json", moved)]).await;
    *catalog.lifetime.lock() = std::time::Duration::from_secs(3600);
    let seen = |at: SnapshotRef| {
        let sources = Arc::clone(&sources);
        async move { sources.snapshot(&ident(), &at).await.unwrap().snapshot_id() }
    };
    assert_eq!(seen(SnapshotRef::Current).await, Some(10));
    catalog.moves_to(TablePointer::at("s3://b/2.json"));
    // The pointer lives on, but what it does not know may be newer than it.
    assert_eq!(seen(SnapshotRef::Current).await, Some(10));
    assert_eq!(catalog.asked(), 1);
    assert_eq!(seen(SnapshotRef::Tag("later".into())).await, Some(20));
    assert_eq!(seen(SnapshotRef::Current).await, Some(20));
    assert_eq!(catalog.asked(), 2);
    // What is not there now either is an error, after one more question.
    assert!(sources.snapshot(&ident(), &SnapshotRef::Tag("never".into())).await.is_err());
    assert_eq!(catalog.asked(), 3);
    // By force.
    catalog.moves_to(TablePointer::at("s3://b/1.json"));
    assert_eq!(sources.fresh_snapshot_in(&ident(), &SnapshotRef::Current, &Commits::default()).await.unwrap().snapshot_id(), Some(10));
    assert_eq!(seen(SnapshotRef::Current).await, Some(10));
}

#[tokio::test]
async fn the_pointer_is_asked_each_time_and_metadata_is_read_once() {
    let (sources, catalog) = table(&[("s3://b/1.json", metadata(Some(10))), ("s3://b/2.json", metadata(Some(20)))]).await;
    let many = (0..32).map(|_| {
        let sources = Arc::clone(&sources);
        tokio::spawn(async move { sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap().snapshot_id() })
    });
    for one in futures::future::join_all(many).await {
        assert_eq!(one.unwrap(), Some(10));
    }
    let counts = catalog.storage.request_counts();
    assert_eq!((catalog.asked(), counts.gets, counts.heads), (32, 1, 0));
    // A commit is seen by the next statement; one that was pinned before keeps what it has.
    let before = sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap();
    catalog.moves_to(TablePointer::at("s3://b/2.json"));
    assert_eq!(sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap().snapshot_id(), Some(20));
    assert_eq!((before.snapshot_id(), catalog.storage.request_counts().gets), (Some(10), 2));
    // Nessie names the snapshot itself.
    catalog.moves_to(TablePointer { snapshot_id: Some(10), ..TablePointer::at("s3://b/2.json") });
    assert_eq!(sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap().snapshot_id(), Some(10));
}

#[tokio::test]
async fn catalogs_that_do_not_exist_are_named() {
    let (sources, _) = table(&[("s3://b/1.json", metadata(Some(20)))]).await;
    let error = sources.snapshot(&TableIdent { catalog: "lak".into(), ..ident() }, &SnapshotRef::Current).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.hint().unwrap().as_str()), ("3F000", "Perhaps you meant \"lake\"."));
}
