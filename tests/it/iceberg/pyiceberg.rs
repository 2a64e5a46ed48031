//! Random histories by pyiceberg, another writer than the test's own: after each step the rows are those that the script kept.
//!
//! Needs a Python with pyiceberg and pyarrow (`FEATGRES_PYTHON`, else `python3`); says so where one is missing.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use featgres::source::SnapshotRef;
use featgres::storage::Storage;
use featgres::table::{SnapshotTable, TableOptions};
use serde_json::Value;

use super::one_table::{OneTable, ident};
use super::values::shown;
use super::{Rows, assert_same, session, setting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_those_that_a_history_by_pyiceberg_leaves() {
    let python = std::env::var("FEATGRES_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let known = Command::new(&python).args(["-c", "import pyiceberg, pyarrow, sqlalchemy"]).stderr(Stdio::null()).status();
    if !known.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED rows_are_those_that_a_history_by_pyiceberg_leaves: {python} has no pyiceberg (FEATGRES_PYTHON)");
        return;
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/iceberg/pyiceberg_history.py");
    let sessions = [session(true, 1, 3), session(false, 3, 8192)];
    let first = setting("FEATGRES_HISTORY_SEED", 1);
    for seed in first..first + setting("FEATGRES_HISTORY_SEEDS", 2) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("warehouse")).unwrap();
        let steps = setting("FEATGRES_HISTORY_STEPS", 30).to_string();
        let mut history = Command::new(&python);
        history.arg(&script).arg(folder.path()).arg(seed.to_string()).arg(steps).env("PYTHONDONTWRITEBYTECODE", "1");
        let output = history.output().unwrap();
        assert!(output.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&output.stderr));
        let catalog = OneTable::at(&Storage::local(), "");
        let sources = catalog.sources();
        let mut done = Vec::new();
        for (line, text) in String::from_utf8(output.stdout).unwrap().lines().enumerate() {
            let said: Value = serde_json::from_str(text).unwrap();
            done.push(said["step"].as_str().unwrap().to_owned());
            catalog.answers([&said["metadata"].as_str().unwrap().to_owned()]);
            let at = said["ref"].as_str().map_or(SnapshotRef::Current, |branch| SnapshotRef::Branch(branch.to_owned()));
            let snapshot = sources.snapshot(&ident(), &at).await.unwrap();
            let table = SnapshotTable::new(snapshot, TableOptions::default()).unwrap();
            let read = sessions[line % 2].read_table(Arc::new(table)).unwrap();
            let names: Vec<String> = read.schema().fields().iter().map(|field| field.name().clone()).collect();
            let wanted: Vec<&str> = said["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            assert_eq!(names, wanted, "seed {seed}, line {line}");
            let mut rows = Rows::new();
            for batch in read.collect().await.unwrap() {
                for row in 0..batch.num_rows() {
                    *rows.entry(batch.columns().iter().map(|column| shown(column, row)).collect()).or_default() += 1;
                }
            }
            let mut kept = Rows::new();
            for row in said["rows"].as_array().unwrap() {
                let row = row.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect();
                *kept.entry(row).or_default() += 1;
            }
            let last = &done[done.len().saturating_sub(6)..];
            assert_same(rows, kept, &format!("seed {seed}, line {line} (… {last:?}), {at:?}"));
        }
    }
}
