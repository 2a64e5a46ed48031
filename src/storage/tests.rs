//! URLs, keys, ranges and durable puts.

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::error::{ReportError, SqlState};

fn properties(pairs: &[(&str, &str)]) -> StorageProperties {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A real S3, if `FEATGRES_TEST_S3` names its endpoint: keys `key` and `secret`, bucket `featgres-test`.
fn s3_for_tests() -> Option<Arc<Storage>> {
    let Ok(endpoint) = std::env::var("FEATGRES_TEST_S3") else {
        eprintln!("skipped: no S3 (FEATGRES_TEST_S3)");
        return None;
    };
    let pairs = [("s3.endpoint", endpoint.as_str()), ("s3.access-key-id", "key"), ("s3.secret-access-key", "secret")];
    Some(Storage::new(properties(&pairs)).unwrap())
}

#[tokio::test]
async fn a_real_s3_takes_odd_keys_ranges_and_lists() {
    let Some(storage) = s3_for_tests() else { return };
    let folder = format!("s3://featgres-test/{}", uuid::Uuid::new_v4());
    let names = ["a b", "100%", "%20", "a+b=c&d", "ü'\"", "a#b", "a?b"];
    for name in names {
        let url = format!("{folder}/{name}");
        storage.put_if_absent(&url, Bytes::from(name)).await.unwrap();
        assert_eq!(storage.read(&url).await.unwrap(), name.as_bytes(), "{url}");
        assert_eq!(storage.read_range(&url, 1..2).await.unwrap(), name.as_bytes()[1..2], "{url}");
        for range in [1..100, 100..101] {
            assert!(matches!(storage.read_range(&url, range).await, Err(StorageError::OutOfRange { .. })), "{url}");
        }
    }
    let listed: Vec<_> = storage.list(&folder).await.unwrap().into_iter().map(|object| object.url).collect();
    let mut expected: Vec<_> = names.iter().map(|name| format!("{folder}/{name}")).collect();
    expected.sort();
    assert_eq!(listed, expected);
    assert!(matches!(storage.read(&format!("{folder}/none")).await, Err(StorageError::NotFound { .. })));
    assert_eq!(storage.request_counts().heads, 0);
}

#[test]
fn urls_are_taken_apart_and_never_decoded() {
    let parts = |url: &str| split(url).map(|parts| (parts.bucket, parts.key.to_owned())).unwrap();
    assert_eq!(parts("s3://b/k%20 +=/ü"), ("s3://b".into(), "k%20 +=/ü".into()));
    assert_eq!(parts("s3a://b/k"), ("s3://b".into(), "k".into()));
    assert_eq!(parts("S3N://b/k#1?x"), ("s3://b".into(), "k#1?x".into()));
    assert_eq!(parts("file:///a/b%25"), ("file://".into(), "/a/b%25".into()));
    assert_eq!(parts("file:/a/b"), ("file://".into(), "/a/b".into()));
    assert_eq!(parts("file://localhost/a"), ("file://".into(), "/a".into()));
    assert_eq!(parts("/a/b c"), ("file://".into(), "/a/b c".into()));
}

#[test]
fn what_is_no_object_is_refused_by_name() {
    for (url, word) in [
        ("gs://b/k", "scheme \"gs\""),
        ("s3:b", "bucket"),
        ("s3:///k", "bucket is empty"),
        ("relative/path", "absolute"),
        ("file://host/a", "host"),
        ("file:a", "absolute"),
        ("s3://b/a//c", "//"),
        ("/a/../b", "illegal"),
    ] {
        let error = Storage::local().locate(url).unwrap_err();
        assert!(error.to_string().contains(word) && error.to_string().contains(url), "{url}: {error}");
        assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED, "{url}");
    }
}

#[test]
fn unread_properties_are_refused_and_secrets_are_not_shown() {
    let refused = |pairs: &[(&str, &str)]| Storage::new(properties(pairs)).unwrap_err().to_string();
    assert!(refused(&[("s3.acces-key-id", "x")]).contains("s3.acces-key-id"));
    assert!(refused(&[("s3.path-style-access", "yes")]).contains("true or false"));
    assert!(refused(&[("s3.access-key-id", "x")]).contains("s3.secret-access-key"));
    assert!(refused(&[("mount.b", "/does/not/exist")]).contains("mount.b"));
    let storage = Storage::new(properties(&[("s3.access-key-id", "AKIA123"), ("s3.secret-access-key", "hush")])).unwrap();
    let located = storage.locate("s3://b/k").unwrap();
    let shown = format!("{storage:?} {located:?}");
    assert!(shown.contains("s3.access-key-id") && !shown.contains("hush"), "{shown}");
}

#[tokio::test]
async fn small_objects_are_read_whole_and_larger_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::local();
    for (bytes, expected) in [(&b""[..], Some(&b""[..])), (b"1234", Some(b"1234")), (b"12345", None)] {
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(storage.read_small(path.to_str().unwrap(), 4).await.unwrap().as_deref(), expected);
    }
    let gone = storage.read_small(folder.path().join("gone").to_str().unwrap(), 4).await;
    assert!(matches!(gone, Err(StorageError::NotFound { .. })), "{gone:?}");
}

#[tokio::test]
async fn odd_file_names_are_the_files_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::local();
    for name in ["a b", "100%", "%20", "a+b=c&d", "ü'\"", "a#b", "a?b", "~*`[x]{y}|^\\"] {
        let path = folder.path().join(name);
        std::fs::write(&path, name).unwrap();
        for url in [path.to_str().unwrap().to_owned(), format!("file://{}", path.display())] {
            assert_eq!(storage.read(&url).await.unwrap(), name.as_bytes(), "{url}");
        }
        let url = format!("file://{}", folder.path().join("new").join(name).display());
        storage.put_if_absent(&url, Bytes::from_static(b"new")).await.unwrap();
        assert_eq!(std::fs::read(folder.path().join("new").join(name)).unwrap(), b"new");
    }
    let listed = storage.list(&format!("file://{}/new", folder.path().display())).await.unwrap();
    assert_eq!(listed.len(), 8);
    for object in listed {
        assert_eq!(object.size, 3);
        assert_eq!(storage.read(&object.url).await.unwrap(), Bytes::from_static(b"new"), "{}", object.url);
    }
}

#[tokio::test]
async fn ranges_are_all_there_or_an_error() {
    let store = Arc::new(InMemory::new());
    store.put(&Path::from("k"), Bytes::from_static(b"0123456789").into()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("k"), "0123456789").unwrap();
    let memory = Storage::with_store("s3://b", store);
    let local = Storage::new(properties(&[("mount.b", folder.path().to_str().unwrap())])).unwrap();
    for storage in [memory, local] {
        assert_eq!(storage.read_range("s3a://b/k", 2..5).await.unwrap(), Bytes::from_static(b"234"));
        assert_eq!(storage.read_range("s3://b/k", 10..10).await.unwrap(), Bytes::new());
        for range in [5..11, 10..11, 100..200, 0..1 << 40] {
            let error = storage.read_range("s3://b/k", range.clone()).await.unwrap_err();
            assert!(matches!(error, StorageError::OutOfRange { .. }), "{range:?}: {error}");
            assert_eq!(error.sqlstate(), SqlState::DATA_CORRUPTED);
        }
        let missing = storage.read("s3://b/none").await.unwrap_err();
        assert!(matches!(&missing, StorageError::NotFound { url } if url == "s3://b/none"), "{missing}");
        let counts = storage.request_counts();
        assert_eq!((counts.heads, counts.lists), (0, 0));
        assert!(counts.gets >= 4 && counts.bytes >= 3);
    }
}

#[tokio::test]
async fn of_many_creators_one_wins_and_its_bytes_stay() {
    let folder = tempfile::tempdir().unwrap();
    let on_s3 = s3_for_tests().map(|storage| (storage, format!("s3://featgres-test/puts-{}", uuid::Uuid::new_v4())));
    let on_disk = (Storage::local(), format!("file://{}/deep/er/object", folder.path().display()));
    let in_memory = (Storage::with_store("s3://b", Arc::new(InMemory::new())), "s3://b/object".to_owned());
    for (storage, url) in [on_disk, in_memory].into_iter().chain(on_s3) {
        let attempts = (0..16u8).map(|writer| {
            let (storage, url) = (Arc::clone(&storage), url.clone());
            tokio::spawn(async move { (writer, storage.put_if_absent(&url, Bytes::from(vec![writer; 1000])).await) })
        });
        let mut winners = Vec::new();
        for attempt in futures::future::join_all(attempts).await {
            match attempt.unwrap() {
                (writer, Ok(())) => winners.push(writer),
                (_, Err(error)) => assert!(matches!(&error, StorageError::AlreadyExists { url: named } if *named == url), "{error}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(storage.read(&url).await.unwrap(), Bytes::from(vec![winners[0]; 1000]));
    }
    // No temporary file stays behind.
    let left: Vec<_> = std::fs::read_dir(folder.path().join("deep/er")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["object"]);
}

#[tokio::test]
async fn a_mounted_bucket_is_written_durably_too() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::new(properties(&[("mount.b", folder.path().to_str().unwrap())])).unwrap();
    storage.put_if_absent("s3://b/x/1", Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(std::fs::read(folder.path().join("x/1")).unwrap(), b"one");
    assert!(matches!(storage.put_if_absent("s3a://b/x/1", Bytes::new()).await, Err(StorageError::AlreadyExists { .. })));
    assert!(matches!(storage.put_if_absent("s3://b/../1", Bytes::new()).await, Err(StorageError::BadUrl { .. })));
    assert!(matches!(storage.put_if_absent("s3://b/", Bytes::new()).await, Err(StorageError::BadUrl { .. })));
}

#[test]
fn hostile_metadata_does_not_open_stores_without_end() {
    let storage = Storage::with_store("s3://mounted", Arc::new(InMemory::new()));
    for number in 1..MAX_BUCKETS {
        storage.mount(&format!("s3://b{number}"), Arc::new(InMemory::new()));
    }
    let error = storage.locate("s3://one-more/k").unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
    assert!(storage.locate("s3://mounted/k").is_ok());
}
