//! Versions under one URL: durable, raced for, found again, refused when they are not ours.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{FixedClock, SystemClock};
use crate::storage::{Storage, StorageError};

fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

async fn open(folder: &Path) -> Arc<RegistryStore> {
    try_open(folder).await.unwrap()
}

async fn try_open(folder: &Path) -> Result<Arc<RegistryStore>, RegistryError> {
    RegistryStore::open_with(Storage::local(), &url(folder), Arc::new(SystemClock), Duration::ZERO).await
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn what_is_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    assert_eq!(*store.current(), RegistrySnapshot::default());
    let changes = [create_entity("customer"), create_view(view("spend", &["customer"]))];
    let (made, notices) = store.commit(&store.current(), &changes, "ann", "CREATE …").await.unwrap();
    assert_eq!((made.version, notices.len(), made.entities.len(), made.feature_views.len()), (1, 0, 1, 1));
    store.commit_autocommit(&[drop_views(&["spend"], false)], "bob", "DROP …").await.unwrap();
    // Without effect: no version.
    let (same, notices) = store.commit_autocommit(&[drop_views(&["spend"], true)], "bob", "DROP …").await.unwrap();
    assert_eq!((same.version, notices.as_slice()), (2, &["feature view \"spend\" does not exist, skipping".to_owned()][..]));

    let again = open(folder.path()).await;
    assert_eq!(again.current(), store.current());
    let history = again.history(None, 10).await.unwrap();
    let rows: Vec<_> = history.iter().map(|entry| (entry.version, entry.role.as_str(), entry.statement.as_str())).collect();
    assert_eq!(rows, [(2, "bob", "DROP …"), (1, "ann", "CREATE …")]);
    assert!(history[0].committed_at >= history[1].committed_at);
    assert_eq!(again.history(Some(2), 1).await.unwrap().len(), 1);
    assert_eq!(again.history(Some(1), 5).await.unwrap(), []);
}

#[tokio::test]
async fn two_stores_on_one_folder_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()).await, open(folder.path()).await);
    let stale = two.current();
    one.commit_autocommit(&[create_entity("customer")], "a", "").await.unwrap();
    assert!(two.current().entities.is_empty());
    assert!(two.fresh().await.unwrap().entities.contains_key("customer"));
    // Inside BEGIN the loser is told; outside the statement is applied to what is there now.
    assert!(matches!(two.commit(&stale, &[create_entity("driver")], "b", "").await, Err(RegistryError::RaceLost)));
    assert!(matches!(two.commit_autocommit(&[create_entity("customer")], "b", "").await, Err(RegistryError::EntityExists { .. })));
    assert_eq!(two.commit_autocommit(&[create_entity("driver")], "b", "").await.unwrap().0.version, 2);
    // A loser that does not yet know of the winner learns it from the put.
    let behind = one.current();
    assert_eq!(behind.version, 1);
    assert!(matches!(one.commit(&behind, &[create_entity("shop")], "a", "").await, Err(RegistryError::RaceLost)));
    assert_eq!(one.commit_autocommit(&[create_entity("shop")], "a", "").await.unwrap().0.version, 3);
}

#[tokio::test]
async fn fresh_looks_no_more_often_than_asked() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::local();
    let clock = Arc::new(FixedClock(1_000_000));
    let store = RegistryStore::open(Arc::clone(&storage), &url(folder.path()), clock).await.unwrap();
    open(folder.path()).await.commit_autocommit(&[create_entity("customer")], "a", "").await.unwrap();
    assert_eq!(store.fresh().await.unwrap().version, 0);
    assert_eq!(store.refresh().await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let store = open(folder.path()).await;
        writers.spawn(async move {
            for index in 0..15 {
                let change = [create_entity(&format!("e{writer}_{index}"))];
                // Four gateways may lose a race more often than one has patience for: that is told, and nothing is lost by it.
                while let Err(failure) = store.commit_autocommit(&change, "w", "").await {
                    assert!(matches!(failure, RegistryError::RaceLost), "{failure}");
                }
            }
        });
    }
    writers.join_all().await;
    let all = open(folder.path()).await.current();
    assert_eq!((all.version, all.entities.len()), (60, 60));
}

#[tokio::test]
async fn opening_a_long_history_reads_little() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await;
    // 5,000 versions as other gateways would have left them, the snapshots as far as `full` says.
    let write = |name: String, text: String| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let (last, full) = (5_000_u64, 4_992_u64);
    for version in 1..=last {
        let commit = serde_json::json!({
            "format": "featgres registry", "format_version": 1, "version": version, "id": uuid::Uuid::new_v4(), "committed_at": version,
            "role": "r", "statement": "s", "put_entities": [entity(&format!("e{}", version % 10), &[("k", "bigint")])],
        });
        write(format!("versions/{version:020}.json"), commit.to_string());
    }
    let entities: Vec<_> = (0..10).map(|n| entity(&format!("e{n}"), &[("k", "bigint")])).collect();
    let snapshot = serde_json::json!({ "format": "featgres registry", "format_version": 1, "version": full, "entities": entities, "feature_views": [] });
    write(format!("snapshots/{full:020}.json"), snapshot.to_string());

    let storage = Storage::local();
    let store = RegistryStore::open(Arc::clone(&storage), &url(folder.path()), Arc::new(SystemClock)).await.unwrap();
    assert_eq!((store.current().version, store.current().entities.len()), (last, 10));
    let counts = storage.request_counts();
    assert!(counts.gets + counts.heads + counts.lists < 60, "{counts:?}");
    // And the next look costs one question.
    let before = storage.request_counts();
    store.refresh().await.unwrap();
    let after = storage.request_counts();
    assert!(after.gets + after.heads - before.gets - before.heads <= 1, "{after:?}");
}

#[tokio::test]
async fn a_missing_snapshot_costs_time_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for index in 0..100 {
        store.commit_autocommit(&[create_entity(&format!("e{index}"))], "w", "").await.unwrap();
    }
    let snapshots = folder.path().join("snapshots");
    assert_eq!(files(&snapshots).len(), 3);
    std::fs::remove_dir_all(&snapshots).unwrap();
    let again = open(folder.path()).await;
    assert_eq!(again.current(), store.current());
    // The reader that paid for it wrote the newest one again.
    assert_eq!(files(&snapshots), [snapshots.join("00000000000000000096.json")]);
    assert_eq!(open(folder.path()).await.current(), store.current());
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "precious").unwrap();
    let (code, message, ..) = seen(try_open(folder.path()).await.unwrap_err());
    assert_eq!(code, "F0000");
    assert!(message.contains("is not a featgres registry: it holds ") && message.contains("thesis.txt"), "{message}");
    assert_eq!(files(folder.path()), [folder.path().join("thesis.txt")]);

    for (marker, code, words) in [
        (r#"{"format":"featgres registry","format_version":2}"#, "0A000", "has registry format version 2; this featgres reads up to 1"),
        (r#"{"format":"other","format_version":1}"#, "XX001", "its format is \"other\""),
        ("not json", "XX001", "is damaged: expected ident"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("format.json"), marker).unwrap();
        let (found, message, ..) = seen(try_open(folder.path()).await.unwrap_err());
        assert_eq!(found, code);
        assert!(message.contains(words), "{message}");
        assert_eq!(std::fs::read_to_string(folder.path().join("format.json")).unwrap(), marker);
        assert_eq!(files(folder.path()).len(), 1);
    }
}

#[tokio::test]
async fn a_newer_or_damaged_version_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.commit_autocommit(&[create_entity("customer")], "a", "").await.unwrap();
    let version = folder.path().join("versions/00000000000000000001.json");
    let text = std::fs::read_to_string(&version).unwrap();
    std::fs::write(&version, text.replace("\"format_version\":1", "\"format_version\":9")).unwrap();
    let (code, message, ..) = seen(try_open(folder.path()).await.unwrap_err());
    assert_eq!(code, "0A000");
    assert!(message.contains("00000000000000000001.json\" has registry format version 9"), "{message}");
    std::fs::write(&version, &text[..text.len() / 2]).unwrap();
    assert_eq!(seen(try_open(folder.path()).await.unwrap_err()).0, "XX001");
}

#[tokio::test]
async fn a_snapshot_of_another_version_than_its_name_says_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for index in 0..33 {
        store.commit_autocommit(&[create_entity(&format!("e{index}"))], "w", "").await.unwrap();
    }
    let snapshot = folder.path().join("snapshots/00000000000000000032.json");
    let text = std::fs::read_to_string(&snapshot).unwrap();
    for version in ["0", "31", "33", "18446744073709551615"] {
        std::fs::write(&snapshot, text.replace("\"version\":32", &format!("\"version\":{version}"))).unwrap();
        let opened = tokio::time::timeout(Duration::from_secs(30), try_open(folder.path())).await.expect("an end");
        let (code, message, ..) = seen(opened.unwrap_err());
        assert_eq!(code, "XX001");
        assert!(message.ends_with(&format!("00000000000000000032.json\" is damaged: it says it is version {version}")), "{message}");
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_made_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let error = try_open(&folder.path().join("file/registry")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Storage(StorageError::Io { .. })), "{error:?}");
}

#[tokio::test]
async fn format_version_1_opens_for_ever() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/registry_v1");
    let folder = tempfile::tempdir().unwrap();
    for file in files(&fixture) {
        let copy = folder.path().join(file.strip_prefix(&fixture).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(&file, copy).unwrap();
    }
    let store = open(folder.path()).await;
    let current = store.current();
    assert_eq!(current.version, 34);
    assert_eq!(current.entities.keys().map(String::as_str).collect::<Vec<_>>(), ["customer", "driver"]);
    let spend = &current.feature_views["spend"];
    assert_eq!(spend.ttl, Some(TimeToLive { months: 1, days: 2, micros: 3_000_000 }));
    assert_eq!(spend.scan, Scan::Snapshot);
    assert_eq!(spend.features[0].column, ColumnBinding { name: "avg_order_value".into(), field_id: Some(7), data_type: None });
    assert_eq!(current.feature_views["daily"].source, ViewSource::Query { sql: "SELECT * FROM iceberg.gold.t".into() });
    let history = store.history(None, 100).await.unwrap();
    assert_eq!(history.len(), 34);
    assert_eq!((history[0].committed_at, history[0].role.as_str()), (1_700_000_000_000_034, "ann"));
    // And takes commits.
    assert_eq!(store.commit_autocommit(&[drop_views(&["daily"], false)], "a", "").await.unwrap().0.version, 35);
}
