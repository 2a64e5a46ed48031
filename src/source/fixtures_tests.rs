//! Every fixture table (written by others) through the SQL catalog: metadata and manifests parse, or give exactly the
//! error that the case names. What lies inside data and delete files is the scan's to test.
//!
//! The fixtures are found by `FEATGRES_SHARED` or beside the crate; without them the test says so and passes.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::iceberg::DeleteKind;
use super::{SnapshotRef, SourceError, Sources, TableIdent, TableSnapshot, sql};
use crate::error::ReportError;
use crate::storage::{Storage, StorageProperties};

/// Wrong inside a data or delete file, where only the scan looks.
const LEFT_TO_THE_SCAN: &[&str] = &[
    "damaged_data_file",
    "damaged_data_file_empty",
    "damaged_data_pages",
    "damaged_file_type",
    "expired_data_file",
    "refuse_corrupt_delete_file",
    "refuse_delete_file_without_pos",
    "refuse_equality_file_without_key",
    "refuse_missing_delete_file",
    "refuse_missing_equality_file",
    "refuse_negative_position",
    "refuse_null_position",
    "refuse_truncated_delete_file",
];

fn fixtures() -> Option<PathBuf> {
    let shared = match std::env::var_os("FEATGRES_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    };
    let folder = shared.join("fixtures");
    folder.join("cases.json").is_file().then_some(folder)
}

fn open(folder: &std::path::Path) -> (Sources, Arc<Storage>) {
    let folder = std::fs::canonicalize(folder).unwrap();
    if let Ok(endpoint) = std::env::var("FEATGRES_FIXTURES_S3") {
        // The same objects over HTTP: `fixtures/generate/serve.py`.
        let properties =
            [("s3.endpoint", endpoint.as_str()), ("s3.region", "us-east-1"), ("s3.access-key-id", "any"), ("s3.secret-access-key", "any")];
        let storage = Storage::new(properties.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()).unwrap();
        let uri = format!("sqlite:///{}", folder.join("catalog.sqlite").display());
        return (Sources::new([sql::open("lake", &uri, "fixtures", Arc::clone(&storage)).unwrap()]), storage);
    }
    let mount = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let properties = [("mount.fixtures", mount("warehouse")), ("mount.fixtures2", mount("warehouse2"))];
    let properties: StorageProperties = properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let storage = Storage::new(properties).unwrap();
    let uri = format!("sqlite:///{}", folder.join("catalog.sqlite").display());
    let catalog = sql::open("lake", &uri, "fixtures", Arc::clone(&storage)).unwrap();
    (Sources::new([catalog]), storage)
}

fn reference(at: &Value) -> SnapshotRef {
    if let Some(name) = at.get("branch") {
        return SnapshotRef::Branch(name.as_str().unwrap().to_owned());
    }
    if let Some(name) = at.get("tag") {
        return SnapshotRef::Tag(name.as_str().unwrap().to_owned());
    }
    if let Some(text) = at.get("timestamp") {
        return SnapshotRef::Timestamp(chrono::DateTime::parse_from_rfc3339(text.as_str().unwrap()).unwrap().timestamp_micros());
    }
    match at.get("snapshot") {
        Some(id) => SnapshotRef::Snapshot(id.as_i64().unwrap()),
        None => SnapshotRef::Current,
    }
}

/// Live rows, as far as manifests and vectors can tell; none where delete files have to be read.
async fn live_rows(table: &TableSnapshot) -> Result<Option<i64>, SourceError> {
    let files = table.scan_files(&|_| true).await?;
    let index = table.delete_index(&files)?;
    let mut rows = Some(0);
    for file in &files.data_files {
        table.check_readable(file)?;
        let deletes = index.deletes_for(file);
        let mut gone = 0;
        if let Some(vector) = &deletes.vector {
            gone = table.deletion_vector(vector).await?.positions().len() as i64;
        }
        let known = deletes.position.is_empty() && deletes.equality.is_empty();
        rows = rows.filter(|_| known).map(|rows| rows + file.record_count - gone);
    }
    // Vectors of files that are gone must be as right as the others.
    for delete in files.delete_files.iter().filter(|delete| delete.kind == DeleteKind::Vector) {
        table.deletion_vector(delete).await?;
    }
    Ok(rows)
}

#[tokio::test]
async fn every_fixture_parses_or_fails_as_it_should() {
    let Some(folder) = fixtures() else {
        eprintln!("skipped: no fixtures (FEATGRES_SHARED or ../shared)");
        return;
    };
    let (sources, storage) = open(&folder);
    let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let (mut wrong, mut counted, mut refused) = (Vec::new(), 0, 0);
    for case in cases["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let ident = TableIdent { catalog: "lake".into(), schema: text("namespace").into(), table: text("table").into() };
        for check in case["checks"].as_array().unwrap() {
            let name = format!("{}.{}", text("name"), check["name"].as_str().unwrap());
            let at = reference(&check["at"]);
            let outcome = async {
                let table = sources.snapshot(&ident, &at).await?;
                Ok::<_, SourceError>((live_rows(&table).await?, table))
            }
            .await;
            match (outcome, check.get("error").filter(|error| !error.is_null())) {
                (Ok(_), Some(_)) if LEFT_TO_THE_SCAN.contains(&text("name")) => {}
                (Ok(_), Some(error)) => wrong.push(format!("{name}: read, but {error}")),
                (Err(error), Some(expected)) => {
                    refused += 1;
                    let list = |name: &str| -> Vec<String> {
                        expected[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_lowercase()).collect()
                    };
                    let (code, message) = (error.sqlstate().code().to_lowercase(), error.to_string().to_lowercase());
                    if !list("sqlstate").contains(&code) || !list("mentions").iter().all(|word| message.contains(word)) {
                        wrong.push(format!("{name}: {code} {message}, but {expected}"));
                    }
                }
                (Err(error), None) => wrong.push(format!("{name}: {} {error}", error.sqlstate())),
                (Ok((rows, table)), None) => {
                    let pinned = check["at"].get("snapshot_id").or_else(|| check["at"].get("snapshot")).and_then(Value::as_i64);
                    let expected = pinned.or_else(|| case["current_snapshot_id"].as_i64());
                    if table.snapshot_id() != expected {
                        wrong.push(format!("{name}: snapshot {:?}, not {expected:?}", table.snapshot_id()));
                    }
                    if table.table_uuid() != case["table_uuid"].as_str() {
                        wrong.push(format!("{name}: uuid {:?}", table.table_uuid()));
                    }
                    if check["sql"] == "SELECT count(*) AS n FROM {table}"
                        && let Some(rows) = rows
                    {
                        let file = std::fs::read_to_string(folder.join(check["expected"].as_str().unwrap())).unwrap();
                        let expected: Vec<i64> = serde_json::from_str(file.trim()).unwrap();
                        counted += 1;
                        if expected != [rows] {
                            wrong.push(format!("{name}: {rows} rows, not {expected:?}"));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counted > 50, "only {counted} tables were counted");
    assert!(refused > 20, "only {refused} refusals");
    let counts = storage.request_counts();
    assert_eq!((counts.heads, counts.lists, counts.puts), (0, 0, 0));
}

#[tokio::test]
async fn columns_are_those_of_the_case() {
    let Some(folder) = fixtures() else {
        eprintln!("skipped: no fixtures (FEATGRES_SHARED or ../shared)");
        return;
    };
    let (sources, _) = open(&folder);
    let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let mut compared = 0;
    for case in cases["cases"].as_array().unwrap() {
        let Some(columns) = case["columns"].as_array() else { continue };
        let ident = TableIdent {
            catalog: "lake".into(),
            schema: case["namespace"].as_str().unwrap().into(),
            table: case["table"].as_str().unwrap().into(),
        };
        let Ok(table) = sources.snapshot(&ident, &SnapshotRef::Current).await else { continue };
        let ours: Vec<(String, String)> =
            table.schema.fields().iter().map(|field| (field.name.clone(), field.field_type.to_string().replace(' ', ""))).collect();
        let text = |column: &Value, name: &str| column[name].as_str().unwrap_or_default().to_owned();
        let theirs: Vec<(String, String)> =
            columns.iter().map(|column| (text(column, "name"), text(column, "type").replace(' ', ""))).collect();
        let names = |columns: &[(String, String)]| columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{ident}");
        for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
            // The case spells nested types as objects.
            if !theirs.is_empty() {
                assert_eq!(ours, theirs, "{ident}.{name}");
            }
        }
        compared += 1;
    }
    assert!(compared > 100, "only {compared} tables were compared");
}
