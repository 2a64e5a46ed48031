//! Every check of the fixtures, through a plain session over [`SnapshotTable`]: tables by foreign writers, with the rows that
//! they must give or the error that they must raise; with filter pushdown on and off, with one partition and four.
//!
//! Runs where the fixtures are: in `../shared/fixtures`, or below the folder that `FEATGRES_SHARED` names. The tables in
//! `tests/tables`, each of which caught a mistake, are always read.

mod feature_rows;
mod scans;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::Value;

use super::error::report_within;
use super::*;
use crate::error::{Report, SqlState};
use crate::source::{SnapshotRef, Sources, TableIdent, TableSnapshot};
use crate::storage::Storage;

/// Checks that a plain session cannot pass, with the reason.
const BEYOND_PLAIN_SQL: &[(&str, &str, &str)] = &[
    ("stats_nan", "finite_group", "a plain session's GROUP BY turns -0.0 into 0.0; ours has a rule against it"),
    ("v3_timestamptz_ns", "rows", "the expected file has z cut to microseconds; see scans::zoned_nanoseconds_are_those_of_the_file"),
];

/// PostgreSQL's spellings as plain DataFusion has them.
const SPELLINGS: &[(&str, &str)] = &[
    ("((s).t).x", "get_field(get_field(s, 't'), 'x')"),
    ("(s).text", "get_field(s, 'text')"),
    ("(s).a", "get_field(s, 'a')"),
    ("(s).extra", "get_field(s, 'extra')"),
    ("CAST('f79c3e09-677c-4bbd-a479-3f349cb785e7' AS UUID)", "arrow_cast(X'f79c3e09677c4bbda4793f349cb785e7', 'FixedSizeBinary(16)')"),
    ("TIME '12:00:00'", "arrow_cast('12:00:00', 'Time64(Microsecond)')"),
];

pub(super) fn fixtures() -> Option<PathBuf> {
    let shared = std::env::var_os("FEATGRES_SHARED").map(PathBuf::from).unwrap_or_else(|| {
        let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        path.pop();
        path.join("shared")
    });
    let fixtures = shared.join("fixtures");
    if fixtures.join("cases.json").exists() {
        return Some(fixtures);
    }
    println!("skipped: there are no fixtures in {}", fixtures.display());
    None
}

pub(super) struct Fixtures {
    pub folder: PathBuf,
    pub cases: Vec<Value>,
    pub sources: Sources,
}

impl Fixtures {
    pub fn open() -> Option<Self> {
        Some(Self::below(fixtures()?))
    }

    /// The tables of this repository.
    pub fn own() -> Self {
        Self::below(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tables"))
    }

    fn below(folder: PathBuf) -> Self {
        let all: Value = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
        let buckets = all["buckets"].as_object().unwrap().iter();
        let properties = buckets
            .map(|(bucket, below)| (format!("mount.{bucket}"), folder.join(below.as_str().unwrap()).display().to_string()))
            .collect();
        let storage = Storage::new(properties).unwrap();
        // A copy: SQLite writes beside what it reads.
        let copy = std::env::temp_dir().join(format!("featgres-fixtures-{}.sqlite", uuid::Uuid::new_v4()));
        std::fs::copy(folder.join("catalog.sqlite"), &copy).unwrap();
        let uri = format!("sqlite:///{}", copy.display());
        let catalog = crate::source::sql::open("fixtures", &uri, "fixtures", storage).unwrap();
        Self { cases: all["cases"].as_array().unwrap().clone(), folder, sources: Sources::new([catalog]) }
    }

    pub async fn pin(&self, case: &Value, check: &Value) -> Result<Arc<TableSnapshot>, Report> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ident = TableIdent { catalog: "fixtures".to_owned(), schema: text(&case["namespace"]), table: text(&case["table"]) };
        let at = match check.get("at") {
            None => SnapshotRef::Current,
            Some(at) => {
                if let Some(id) = at.get("snapshot") {
                    SnapshotRef::Snapshot(id.as_i64().unwrap())
                } else if let Some(name) = at.get("branch") {
                    SnapshotRef::Branch(text(name))
                } else if let Some(name) = at.get("tag") {
                    SnapshotRef::Tag(text(name))
                } else {
                    let at = text(&at["timestamp"]);
                    SnapshotRef::Timestamp(values::instant(&at) / 1000)
                }
            }
        };
        let snapshot = self.sources.snapshot(&ident, &at).await?;
        Ok(snapshot)
    }

    pub fn expected(&self, check: &Value) -> Vec<Vec<Value>> {
        if let Some(rows) = check.get("expected_rows") {
            return rows.as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect();
        }
        let text = std::fs::read_to_string(self.folder.join(check["expected"].as_str().unwrap())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(super) fn session(pushdown: bool, partitions: usize, batch_size: usize) -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(batch_size)
        .set_bool("datafusion.execution.parquet.pushdown_filters", pushdown)
        .set_usize("datafusion.optimizer.repartition_file_min_size", 1)
        .set_str("datafusion.execution.time_zone", "UTC");
    let runtime = RuntimeEnvBuilder::new().build_arc().unwrap();
    register_engine_store(&runtime);
    SessionContext::new_with_config_rt(config, runtime)
}

enum Outcome {
    Rows,
    Refused,
    Wrong(String),
}

async fn run(fixtures: &Fixtures, case: &Value, check: &Value, session: &SessionContext) -> Outcome {
    let answer = async {
        let snapshot = fixtures.pin(case, check).await?;
        let table = SnapshotTable::new(snapshot, TableOptions::default()).map_err(Report::from)?;
        let _ = session.deregister_table("t");
        session.register_table("t", Arc::new(table)).unwrap();
        let sql = check["sql"].as_str().unwrap().replace("{table}", "t");
        let sql = SPELLINGS.iter().fold(sql, |sql, (from, to)| sql.replace(from, to));
        let batches = async { session.sql(&sql).await?.collect().await }.await;
        batches.map_err(|error| report_within(&error).cloned().unwrap_or_else(|| Report::new(SqlState::INTERNAL_ERROR, error.to_string())))
    };
    let answer: Result<Vec<arrow::record_batch::RecordBatch>, Report> = answer.await;
    match (answer, check.get("error")) {
        (Err(report), Some(error)) => {
            let allowed = error["sqlstate"].as_array().unwrap().iter().any(|code| code == report.sqlstate.code());
            let said = report.message.to_lowercase();
            let mut mentions = error.get("mentions").and_then(Value::as_array).into_iter().flatten();
            let names = mentions.all(|word| said.contains(&word.as_str().unwrap().to_lowercase()));
            if allowed && names { Outcome::Refused } else { Outcome::Wrong(format!("{} {report}", report.sqlstate)) }
        }
        (Err(report), None) => Outcome::Wrong(format!("{} {report}", report.sqlstate)),
        (Ok(_), Some(_)) => Outcome::Wrong("no error".to_owned()),
        (Ok(batches), None) => {
            let types: Vec<Value> = check["output"].as_array().unwrap().iter().map(|column| column[1].clone()).collect();
            let mut difference: BTreeMap<Vec<String>, i64> = BTreeMap::new();
            for row in fixtures.expected(check) {
                *difference.entry(row.iter().zip(&types).map(|(value, of)| values::expected(value, of)).collect()).or_default() -= 1;
            }
            for batch in &batches {
                for row in 0..batch.num_rows() {
                    let got = batch.columns().iter().zip(&types).map(|(column, of)| values::actual(column, row, of)).collect();
                    *difference.entry(got).or_default() += 1;
                }
            }
            difference.retain(|_, count| *count != 0);
            if difference.is_empty() {
                Outcome::Rows
            } else {
                let some: Vec<_> = difference.iter().take(4).collect();
                Outcome::Wrong(format!("{} rows differ: {some:?}", difference.len()))
            }
        }
    }
}

async fn all_checks(pushdown: bool, partitions: usize, batch_size: usize) {
    for fixtures in Fixtures::open().into_iter().chain([Fixtures::own()]) {
        checks_of(&fixtures, pushdown, partitions, batch_size).await;
    }
}

async fn checks_of(fixtures: &Fixtures, pushdown: bool, partitions: usize, batch_size: usize) {
    let only = std::env::var("FEATGRES_ONLY").unwrap_or_default();
    let (mut rows, mut refused, mut skipped) = (0, 0, 0);
    let mut wrong = Vec::new();
    let session = session(pushdown, partitions, batch_size);
    for case in &fixtures.cases {
        let name = case["name"].as_str().unwrap();
        for check in case["checks"].as_array().unwrap() {
            let check_name = check["name"].as_str().unwrap();
            if !format!("{name}/{check_name}").contains(&only) {
                continue;
            }
            if BEYOND_PLAIN_SQL.iter().any(|(case, check, _)| *case == name && *check == check_name) {
                skipped += 1;
                continue;
            }
            match run(fixtures, case, check, &session).await {
                Outcome::Rows => rows += 1,
                Outcome::Refused => refused += 1,
                Outcome::Wrong(why) => wrong.push(format!("{name}/{check_name}: {why}")),
            }
        }
    }
    println!("{rows} gave their rows, {refused} refused as they must, {skipped} skipped, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_above_the_scan_one_partition() {
    all_checks(false, 1, 8192).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_in_the_scan_one_partition_small_batches() {
    all_checks(true, 1, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_in_the_scan_four_partitions() {
    all_checks(true, 4, 8192).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_above_the_scan_four_partitions_small_batches() {
    all_checks(false, 4, 7).await;
}
