//! One retrieval against DuckDB's ASOF JOIN, over the same Parquet files, as a ratio.
//!
//! 1,000,000 feature rows of 10,000 keys in arrival order over a year, 14 features (10 double, 2 bigint, 2 text); 10,000 entity rows.
//! featgres answers over its socket, in binary COPY to a client that reads and counts; DuckDB fills an Arrow table in its own process. Both
//! are asked for the same checksums first. Run with `cargo bench --bench retrieval`; `FEATGRES_PYTHON` names a Python with duckdb and
//! pyarrow. Only the ratio means anything: the machine's speed is in both.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use featgres::clock::SystemClock;
use featgres::config::Config;
use featgres::demo::warehouse::Warehouse;
use featgres::server::Server;
use futures::StreamExt;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio_postgres::{Client, NoTls};

const FEATURE_ROWS: usize = 1_000_000;
const KEYS: i64 = 10_000;
const ENTITY_ROWS: usize = 10_000;
const RUNS: usize = 7;
const YEAR_MICROS: i64 = 365 * 86_400_000_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let config = Config::embedded("bench", folder.path(), "127.0.0.1:0".parse()?);
    write_tables(&config, folder.path())?;
    let server = Server::open(config).await?;
    let address = server.address()?;
    tokio::spawn(server.serve(std::future::pending()));
    let (client, connection) =
        tokio_postgres::connect(&format!("host=127.0.0.1 port={} user=bench dbname=bench", address.port()), NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("CREATE FEATURE VIEW v ENTITIES (entity_id) FROM iceberg.bench.features TIMESTAMP event_timestamp").await?;

    let retrieval = "get_historical_features((TABLE iceberg.bench.entities), ARRAY['v:*'])";
    let row = client.query_one(&format!("SELECT count(*), sum(f0), sum(f10)::bigint FROM {retrieval}"), &[]).await?;
    let ours = (row.get::<_, i64>(0), format!("{:.3}", row.get::<_, f64>(1)), row.get::<_, i64>(2));
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let bytes = copy(&client, &format!("SELECT * FROM {retrieval}")).await?;
        seconds.push(began.elapsed());
        assert!(bytes > 0, "the retrieval has rows");
    }
    let featgres = median(&mut seconds);
    println!("featgres: {} rows, median of {RUNS} runs {:.3} s, checksums {} {}", ours.0, featgres.as_secs_f64(), ours.1, ours.2);

    let python = std::env::var("FEATGRES_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let pattern = |table: &str| folder.path().join("warehouse/bench").join(table).join("data/*.parquet").display().to_string();
    let output = Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/duckdb_asof.py"))
        .args([RUNS.to_string(), pattern("entities"), pattern("features")])
        .output()?;
    if !output.status.success() {
        println!(
            "DuckDB: skipped, {python} cannot run it (FEATGRES_PYTHON): {}",
            String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default()
        );
        return Ok(());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut seconds = Vec::new();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("seconds", value)) => seconds.push(Duration::from_secs_f64(value.parse()?)),
            Some(("check", value)) => assert_eq!(value, format!("{} {}", ours.1, ours.2), "both engines give the same values"),
            Some(("rows", value)) => assert_eq!(value, ours.0.to_string(), "both engines give the same rows"),
            _ => {}
        }
    }
    let duckdb = median(&mut seconds);
    println!("DuckDB ASOF: median of {RUNS} runs {:.3} s", duckdb.as_secs_f64());
    println!("ratio featgres / DuckDB: {:.2}", featgres.as_secs_f64() / duckdb.as_secs_f64());
    std::io::stdout().flush()?;
    Ok(())
}

async fn copy(client: &Client, query: &str) -> Result<usize, Failure> {
    let stream = client.copy_out(&format!("COPY ({query}) TO STDOUT (FORMAT binary)")).await?;
    let mut stream = std::pin::pin!(stream);
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        bytes += chunk?.len();
    }
    Ok(bytes)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn write_tables(config: &Config, folder: &Path) -> Result<(), Failure> {
    let catalog = config.catalogs.get("iceberg").ok_or("the embedded catalog")?;
    let warehouse = Warehouse::open(&catalog.catalog, &folder.join("catalog.sqlite"), &folder.join("warehouse"), Arc::new(SystemClock))?;
    let mut random = SmallRng::seed_from_u64(7);
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![Field::new("entity_id", DataType::Int64, true), Field::new("event_timestamp", time(), true)];
    for index in 0..14 {
        let data_type = match index {
            0..10 => DataType::Float64,
            10..12 => DataType::Int64,
            _ => DataType::Utf8,
        };
        fields.push(Field::new(format!("f{index}"), data_type, true));
    }
    let schema = Schema::new(fields);
    let mut table = warehouse.create_table("bench", "features", &schema, &[])?;
    const COMMITS: usize = 4;
    let rows = FEATURE_ROWS / COMMITS;
    for commit in 0..COMMITS {
        let keys: Int64Array = (0..rows).map(|_| random.random_range(0..KEYS)).collect();
        // Strictly increasing times: a key never has two rows of one time, so both engines have one right answer.
        let step = YEAR_MICROS / FEATURE_ROWS as i64;
        let times: Vec<i64> = (0..rows).map(|row| (commit * rows + row) as i64 * step + random.random_range(0..step)).collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))];
        for index in 0..14 {
            columns.push(match index {
                0..10 => Arc::new((0..rows).map(|_| f64::from(random.random_range(0..1_000_000)) / 128.0).collect::<Float64Array>()),
                10..12 => Arc::new((0..rows).map(|_| random.random_range(0..1_000_000i64)).collect::<Int64Array>()),
                _ => Arc::new((0..rows).map(|_| Some(format!("value-{}", random.random_range(0..5000)))).collect::<StringArray>()),
            });
        }
        warehouse.append(&mut table, &RecordBatch::try_new(Arc::new(schema.clone()), columns)?)?;
    }
    let schema = Schema::new(vec![
        Field::new("entity_id", DataType::Int64, true),
        Field::new("event_timestamp", time(), true),
        Field::new("label", DataType::Int64, true),
    ]);
    let mut table = warehouse.create_table("bench", "entities", &schema, &[])?;
    let keys: Int64Array = (0..ENTITY_ROWS).map(|_| random.random_range(0..KEYS)).collect();
    let times: Vec<i64> = (0..ENTITY_ROWS).map(|_| random.random_range(0..YEAR_MICROS)).collect();
    let labels: Int64Array = (0..ENTITY_ROWS).map(|_| random.random_range(0..2i64)).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(keys), Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")), Arc::new(labels)];
    warehouse.append(&mut table, &RecordBatch::try_new(Arc::new(schema), columns)?)?;
    Ok(())
}
