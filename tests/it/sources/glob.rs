//! `scan = 'glob'`: files by a pattern, for those who ask for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use tokio_postgres::Client;

use crate::support::{TestGateway, code, lines};

const VIEW: &str = "CREATE FEATURE VIEW files (total_orders BIGINT, favourite TEXT) ENTITIES (customer_id) \
    FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at WITH (scan = 'glob')";

/// The folder of the table's data files.
async fn folder(client: &Client) -> PathBuf {
    let pattern = lines(client, "SELECT path FROM feature_store.feature_views WHERE name = 'files'").await.remove(0);
    PathBuf::from(pattern.trim_start_matches("file://").strip_suffix("/*.parquet").expect("a pattern"))
}

fn write(file: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).expect("a batch");
    let mut writer = ArrowWriter::try_new(std::fs::File::create(file).expect("a file"), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
}

const DAY: i64 = 86_400_000_000;

fn day(days: i64) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(vec![days * DAY]).with_timezone("UTC"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_matching_file_is_read_by_name() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.expect("the view");
    let exact = VIEW.replace("VIEW files", "VIEW exact").replace(" WITH (scan = 'glob')", "");
    client.batch_execute(&exact).await.expect("the exact view");
    // Nothing was deleted so far, so both ways see the same.
    let all = "SELECT * FROM VIEW ORDER BY 1, 2, 3, 4, 5";
    assert_eq!(lines(&client, &all.replace("VIEW", "files")).await, lines(&client, &all.replace("VIEW", "exact")).await);
    let latest = "SELECT customer_id, total_orders, favourite FROM get_latest_features(\
        entities => (SELECT * FROM (VALUES (1::bigint), (3), (9)) AS t(customer_id)), \
        features => ARRAY['files:total_orders', 'files:favourite']) ORDER BY 1";
    assert_eq!(lines(&client, latest).await, ["1|15|coffee", "3|30|water", "9|NULL|NULL"]);

    // A file that no commit knows, with its columns in another order and of narrower types, and one of another writer.
    let data = folder(&client).await;
    write(
        &data.join("zz.parquet"),
        vec![
            ("total_orders", Arc::new(Int32Array::from(vec![900])) as ArrayRef),
            ("customer_id", Arc::new(Int32Array::from(vec![9]))),
            ("updated_at", Arc::new(TimestampMillisecondArray::from(vec![20_500 * 86_400_000]).with_timezone("UTC"))),
            ("stray", Arc::new(StringArray::from(vec!["nobody asked"]))),
        ],
    );
    std::fs::write(data.join("zz.parquet.crc"), "not Parquet").expect("a file");
    assert_eq!(lines(&client, latest).await, ["1|15|coffee", "3|30|water", "9|900|NULL"]);
    // Written again under its name: the footer that was kept is of another file.
    write(
        &data.join("zz.parquet"),
        vec![
            ("customer_id", Arc::new(Int64Array::from(vec![9])) as ArrayRef),
            ("updated_at", day(20_501)),
            ("total_orders", Arc::new(Int64Array::from(vec![901]))),
            ("favourite", Arc::new(StringArray::from(vec!["cocoa"]))),
        ],
    );
    assert_eq!(lines(&client, latest).await, ["1|15|coffee", "3|30|water", "9|901|cocoa"]);
    assert_eq!(
        lines(
            &client,
            "SELECT row_count, file_count, snapshot_id, metadata_location FROM feature_store.feature_views WHERE name = 'files'"
        )
        .await,
        ["9|4|NULL|NULL"]
    );
    let plan = lines(&client, "EXPLAIN SELECT total_orders FROM files WHERE updated_at > '2026-02-01'").await.join("\n");
    assert!(plan.contains("files=1/4"), "{plan}");
    assert_eq!(lines(&client, "SELECT total_orders FROM files WHERE updated_at > '2026-02-01'").await, ["901"]);
    let definition = lines(&client, "SHOW CREATE FEATURE VIEW files").await.remove(0);
    assert!(definition.contains("WITH (scan = 'glob')"), "{definition}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_see_is_said_and_what_it_cannot_do_is_refused() {
    let gateway = TestGateway::start().await;
    let (client, mut connection) = tokio_postgres::connect(&gateway.conninfo(), tokio_postgres::NoTls).await.expect("a connection");
    let (notices, mut noticed) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let tokio_postgres::AsyncMessage::Notice(notice) = message {
                let _ = notices.send(notice);
            }
        }
    });
    client.batch_execute(VIEW).await.expect("the view");
    let mut said = Vec::new();
    while let Ok(notice) = noticed.try_recv() {
        said.push(format!("{} {}", notice.severity(), notice.message()));
    }
    let warning = said.iter().find(|line| line.starts_with("WARNING")).expect("a warning");
    for word in ["deleted", "compacted", "rollbacks", "renamed"] {
        assert!(warning.contains(word), "{warning}");
    }
    let latest = "SELECT total_orders FROM get_latest_features(entities => (SELECT 1::bigint AS customer_id), features => ARRAY['files:total_orders'])";
    let travelled = latest.replace("])", "], at => '2026-01-01')");
    assert_eq!(code(client.simple_query(&travelled).await), "0A000");

    let data = folder(&client).await;
    let odd = data.join("odd.parquet");
    write(&odd, vec![("customer_id", Arc::new(StringArray::from(vec!["one"])) as ArrayRef), ("updated_at", day(1))]);
    let error = client.simple_query(latest).await.expect_err("two types");
    assert_eq!(error.code().map(|code| code.code()), Some("42804"));
    let message = error.as_db_error().expect("an error").message().to_owned();
    assert!(
        message.contains("customer_id") && message.contains("long in") && message.contains("string in") && message.contains("odd.parquet"),
        "{message}"
    );
    std::fs::write(&odd, "PAR1 but not really").expect("a file");
    assert_eq!(code(client.simple_query(latest).await), "XX001");
    write(&odd, vec![("customer_id", Arc::new(Float64Array::from(vec![1.0])) as ArrayRef), ("updated_at", day(1))]);
    assert_eq!(code(client.simple_query(latest).await), "42804");
    for file in std::fs::read_dir(&data).expect("data").flatten() {
        std::fs::remove_file(file.path()).expect("removed");
    }
    let error = client.simple_query(latest).await.expect_err("no files");
    assert_eq!(error.code().map(|code| code.code()), Some("58P01"), "{error:?}");
    std::fs::create_dir(data.join("day=1")).expect("a folder");
    write(&data.join("day=1/x.parquet"), vec![("customer_id", Arc::new(Int64Array::from(vec![1])) as ArrayRef), ("updated_at", day(1))]);
    let error = client.simple_query(latest).await.expect_err("files of partitions");
    let hint = error.as_db_error().and_then(|error| error.hint()).unwrap_or_default().to_owned();
    assert!(hint.contains("folders of partitions"), "{hint}");
}
