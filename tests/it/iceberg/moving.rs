//! Tables that move while they are read, and what reading costs in requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use featgres::clock::SystemClock;
use featgres::config::Config;
use featgres::plan::{Planner, StoreFacts};
use featgres::registry::RegistryStore;
use featgres::session::{FeatureGateway, SharedGateway};
use featgres::source::SnapshotRef;
use featgres::storage::Storage;
use featgres::table::{SnapshotTable, TableOptions, register_engine_store};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::net::TcpListener;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::history::Table;
use super::one_table::{OneTable, ident};
use super::session;
use super::values::{Field, Kind, Val};
use super::writer::{self, Entry, LOCATION, Manifest, PartitionField, Shape, Transform};
use crate::support::code;

/// Writes the table's metadata; gives its place.
async fn commit(table: &mut Table, rows: usize) -> String {
    table.append("main", rows).await;
    let url = table.folder.url("metadata", "v", ".metadata.json");
    table.folder.put(&url, table.metadata()).await;
    url
}

async fn remove_data(table: &Table) {
    for file in &table.snapshots[0].state.files {
        table.folder.store.delete(&Path::parse(file.path.strip_prefix("s3://b/").unwrap()).unwrap()).await.unwrap();
    }
}

/// A gateway over this catalog, and a client of it.
async fn gateway(catalog: &Arc<OneTable>) -> (tokio_postgres::Client, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::embedded("test", folder.path(), "127.0.0.1:0".parse().unwrap());
    let clock = Arc::new(SystemClock);
    let registry = RegistryStore::open_with(Storage::local(), &config.registry, clock.clone(), config.registry_refresh).await.unwrap();
    let facts = StoreFacts { registry_type: "file".to_owned(), version: "0".to_owned(), started_at: 0 };
    let planner = Planner { project: "test".into(), sources: Arc::new(catalog.sources()), facts, clock };
    let runtime = RuntimeEnvBuilder::new().build_arc().unwrap();
    register_engine_store(&runtime);
    let gateway = Arc::new(FeatureGateway::new(config, registry, planner, runtime));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(featgres::wire::serve(listener, Arc::new(SharedGateway(gateway)), None, std::future::pending(), Duration::from_secs(1)));
    let (client, connection) =
        tokio_postgres::connect(&format!("host=127.0.0.1 port={port} user=tester dbname=test"), NoTls).await.unwrap();
    tokio::spawn(connection);
    (client, folder)
}

/// By the simple protocol, which asks the catalog once.
async fn count(client: &tokio_postgres::Client) -> Result<i64, tokio_postgres::Error> {
    let answer = client.simple_query("SELECT count(id IS NULL) FROM lake.s.t").await?;
    let row = answer.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    Ok(row.unwrap().get(0).unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_whose_files_expired_begins_again_once() {
    let mut table = Table::new(3);
    let (old, new) = (commit(&mut table, 10).await, commit(&mut table, 7).await);
    let storage = Storage::with_store("s3://b", table.folder.store.clone());
    let catalog = OneTable::at(&storage, &old);
    catalog.answers([&old, &new]);
    let (client, _folder) = gateway(&catalog).await;
    assert_eq!(count(&client).await.unwrap(), 10);
    assert_eq!(count(&client).await.unwrap(), 17);

    // The catalog still says the old one once, whose files are gone; then one that has no file at all.
    let mut fresh = Table::new(4);
    fresh.folder = std::mem::replace(&mut table.folder, writer::Folder::new());
    let fresh_url = commit(&mut fresh, 5).await;
    table.folder = fresh.folder;
    remove_data(&table).await;
    catalog.answers([&old, &fresh_url]);
    assert_eq!(count(&client).await.unwrap(), 5);
    // Where the catalog has nothing newer, the error says so.
    catalog.answers([&old]);
    assert_eq!(code(count(&client).await), "72000");
    // A transaction goes on with what it has seen.
    catalog.answers([&old, &fresh_url]);
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(code(count(&client).await), "72000");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(count(&client).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_during_a_scan_is_not_seen_and_an_expiry_is_an_error() {
    let mut table = Table::new(5);
    for _ in 0..6 {
        commit(&mut table, 20).await;
    }
    let url = commit(&mut table, 20).await;
    let storage = Storage::with_store("s3://b", table.folder.store.clone());
    let catalog = OneTable::at(&storage, &url);
    let sources = catalog.sources();
    let session = session(false, 1, 5);
    let open = async || {
        let snapshot = sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap();
        session.read_table(Arc::new(SnapshotTable::new(snapshot, TableOptions::default()).unwrap())).unwrap()
    };
    let mut rows = open().await.execute_stream().await.unwrap();
    let mut seen = rows.next().await.unwrap().unwrap().num_rows();
    let later = commit(&mut table, 9).await;
    catalog.answers([&later]);
    while let Some(batch) = rows.next().await {
        seen += batch.unwrap().num_rows();
    }
    assert_eq!(seen, 140);
    assert_eq!(open().await.count().await.unwrap(), 149);

    let mut rows = open().await.execute_stream().await.unwrap();
    rows.next().await.unwrap().unwrap();
    for file in &table.snapshots.last().unwrap().state.files {
        table.folder.store.delete(&Path::parse(file.path.strip_prefix("s3://b/").unwrap()).unwrap()).await.unwrap();
    }
    let error = loop {
        match rows.next().await.expect("an error before the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_few_and_never_ask_for_sizes() {
    let mut table = Table::new(6);
    for _ in 0..3 {
        commit(&mut table, 4).await;
    }
    let url = commit(&mut table, 4).await;
    let storage = Storage::with_store("s3://b", table.folder.store.clone());
    let sources = OneTable::at(&storage, &url).sources();
    let session = session(true, 1, 8192);
    let files = table.snapshots.last().unwrap().state.files.len() as u64;
    let manifests = table.snapshots.last().unwrap().state.manifests.len() as u64;
    let read = async || {
        let before = storage.request_counts();
        let snapshot = sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap();
        let provider = SnapshotTable::new(snapshot, TableOptions::default()).unwrap();
        let rows = session.read_table(Arc::new(provider)).unwrap().collect().await.unwrap();
        assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 16);
        let after = storage.request_counts();
        assert_eq!((after.heads, after.lists, after.puts), (0, 0, 0));
        after.gets - before.gets
    };
    // Metadata, manifest list, manifests; each file is so small that it comes with its footer.
    assert_eq!(read().await, 2 + manifests + files);
    // Warm, the rows alone: all row groups of such a file by one request.
    assert_eq!(read().await, files);
    let counts = sources.cache_counts();
    assert_eq!((counts.misses, counts.hits), (2 + manifests, 2 + manifests));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_files_are_planned_without_opening_one() {
    let mut table = Table::new(7);
    let fields = vec![Field::new(1, "id", Kind::Long), Field::new(2, "at", Kind::Timestamp)];
    let spec = vec![PartitionField { source: 2, id: 1000, transform: Transform::Day }];
    table.schemas = vec![fields.clone()];
    table.specs = vec![spec.clone()];
    let mut manifests = Vec::new();
    for part in 0..100 {
        let entries: Vec<Entry> = (0..100)
            .map(|file| {
                let number = part * 100 + file;
                let rows = [vec![(1, Val::Int(number)), (2, Val::Time(number * 86_400_000_000))].into_iter().collect()];
                let known = writer::statistics(&fields, &rows, &mut table.random);
                let partition = vec![Val::Int(number)];
                Entry { statistics: known, ..super::history::entry(0, &format!("{LOCATION}/data/{number}.parquet"), 0, partition, 1, 1000) }
            })
            .collect();
        let shape = Shape { version: 2, spec: &spec, sources: &fields[1..] };
        let path = table.folder.url("metadata", "manifest", ".avro");
        let bytes = writer::manifest(&shape, 0, 0, &entries, &mut table.random);
        let length = table.folder.put(&path, bytes).await;
        let results = vec![Field::new(0, "", Kind::Int)];
        manifests.push(Manifest { path, length, content: 0, spec: 0, sequence: 1, snapshot: 1, first_row_id: None, entries, results });
    }
    let list = table.folder.url("metadata", "snap", ".avro");
    table.folder.put(&list, writer::manifest_list(2, &manifests)).await;
    let metadata = table.metadata_of(2, 1, &list);
    let url = table.folder.url("metadata", "v", ".metadata.json");
    table.folder.put(&url, metadata).await;
    let storage = Storage::with_store("s3://b", table.folder.store.clone());
    let sources = OneTable::at(&storage, &url).sources();
    let session = session(true, 2, 8192);
    let explain = async |condition: &str| {
        let began = Instant::now();
        let snapshot = sources.snapshot(&ident(), &SnapshotRef::Current).await.unwrap();
        let _ = session.deregister_table("t").unwrap();
        session.register_table("t", Arc::new(SnapshotTable::new(snapshot, TableOptions::default()).unwrap())).unwrap();
        let plan = session.sql(&format!("EXPLAIN SELECT id FROM t WHERE {condition}")).await.unwrap().collect().await.unwrap();
        let text = pretty_format_batches(&plan).unwrap().to_string();
        let from = text.find("manifests=").unwrap();
        let said = text[from..].lines().next().unwrap().trim_matches(['|', ' ']).to_owned();
        println!("{condition}: {said} in {:?}", began.elapsed());
        said
    };
    let day = |day: i64| format!("arrow_cast({}, 'Timestamp(Microsecond, None)')", day * 86_400_000_000);
    assert_eq!(explain(&format!("at = {}", day(1234))).await, "manifests=1/100, files=1/100, pruned_by=(at)");
    // Pruned manifests are not read.
    assert_eq!(storage.request_counts().gets, 3);
    assert_eq!(explain(&format!("at >= {} AND at < {}", day(95), day(205))).await, "manifests=3/100, files=110/300, pruned_by=(at)");
    assert_eq!(explain("id >= 0").await, "manifests=100/100, files=10000/10000");
    assert_eq!(explain("id >= 0").await, "manifests=100/100, files=10000/10000");
    assert_eq!(explain("id < 0").await.split(", ").next(), Some("manifests=100/100"));
    let counts = storage.request_counts();
    assert_eq!((counts.gets, counts.heads, counts.lists), (102, 0, 0));
    let objects = storage.locate("s3://b/x").unwrap().store.list(None).count().await;
    assert!(objects > 100);
}
