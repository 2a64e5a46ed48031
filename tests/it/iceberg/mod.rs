//! Random histories: hundreds of steps of a writer that knows every corner of the specification (appends, deletes by position, by
//! vector and by key, upserts, compactions, schema and spec changes, rollbacks, branches, upgrades), and after each the rows,
//! now and at an older pin, filtered and not, must be those that the test itself kept.
//!
//! Seeded: a failure names its seed and step. `FEATGRES_HISTORY_SEEDS` and `FEATGRES_HISTORY_STEPS` make it longer.

mod avro;
mod corruption;
mod history;
mod moving;
mod one_table;
mod pyiceberg;
mod recent;
mod values;
mod views;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use featgres::plan::optimizer_rules;
use featgres::source::{SnapshotRef, Sources};
use featgres::storage::Storage;
use featgres::table::{SnapshotTable, TableOptions, register_engine_store};
use rand::RngExt;

use history::{Snapshot, Table};
use one_table::{OneTable, ident};
use values::{Field, Predicate, shown};

fn session(pushdown: bool, partitions: usize, batch: usize) -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(batch)
        .set_bool("datafusion.execution.parquet.pushdown_filters", pushdown)
        .set_usize("datafusion.optimizer.repartition_file_min_size", 1);
    let runtime = RuntimeEnvBuilder::new().build_arc().unwrap();
    register_engine_store(&runtime);
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    SessionContext::new_with_state(state.with_optimizer_rules(optimizer_rules()).build())
}

/// Rows by how often they occur.
type Rows = BTreeMap<Vec<String>, i64>;

/// What a snapshot must hold under a schema; with `lineage` each row ends with its commit and its number.
fn expected(table: &Table, snapshot: &Snapshot, schema: &[Field], predicate: Option<&Predicate>, lineage: bool) -> Rows {
    let mut rows = Rows::new();
    for file in &snapshot.state.files {
        for row in file.rows.iter().filter(|row| row.alive && predicate.is_none_or(|predicate| predicate.holds(&row.values))) {
            let mut shown: Vec<String> = schema.iter().map(|field| field.show(&field.read(row.values.get(&field.id)))).collect();
            if lineage {
                let commit = row.last_updated.filter(|_| table.version >= 3).unwrap_or(file.sequence);
                let id = row.row_id.filter(|_| table.version >= 3);
                shown.push(commit.to_string());
                shown.push(id.map_or("NULL".to_owned(), |id| id.to_string()));
            }
            *rows.entry(shown).or_default() += 1;
        }
    }
    rows
}

async fn actual(
    session: &SessionContext,
    sources: &Sources,
    at: &SnapshotRef,
    schema: &[Field],
    predicate: Option<&Predicate>,
    lineage: bool,
) -> Rows {
    let snapshot = sources.snapshot(&ident(), at).await.unwrap();
    let provider = SnapshotTable::new(snapshot, TableOptions { metadata_columns: lineage }).unwrap();
    let _ = session.deregister_table("t").unwrap();
    session.register_table("t", Arc::new(provider)).unwrap();
    let mut columns: Vec<String> = schema.iter().map(|field| format!("\"{}\"", field.name)).collect();
    if lineage {
        columns.extend(["_last_updated_sequence_number".to_owned(), "_row_id".to_owned()]);
    }
    let filter = predicate.map(|predicate| format!(" WHERE {}", predicate.sql())).unwrap_or_default();
    let batches = session.sql(&format!("SELECT {} FROM t{filter}", columns.join(", "))).await.unwrap().collect().await.unwrap();
    let mut rows = Rows::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            *rows.entry(batch.columns().iter().map(|column| shown(column, row)).collect()).or_default() += 1;
        }
    }
    rows
}

fn assert_same(got: Rows, wanted: Rows, what: &dyn std::fmt::Display) {
    if got == wanted {
        return;
    }
    let more: Vec<_> = got.iter().filter(|(row, count)| wanted.get(*row) != Some(count)).take(5).collect();
    let less: Vec<_> = wanted.iter().filter(|(row, count)| got.get(*row) != Some(count)).take(5).collect();
    panic!("{what}:\n  read {more:#?}\n  kept {less:#?}");
}

async fn history(seed: u64, steps: usize) {
    let mut table = Table::new(seed);
    let storage = Storage::with_store("s3://b", table.folder.store.clone());
    let catalog = OneTable::at(&storage, "");
    let sources = catalog.sources();
    let sessions = [session(false, 1, 8192), session(true, 1, 3), session(true, 3, 8192), session(false, 3, 2)];
    let mut done: Vec<&str> = Vec::new();
    for step in 0..steps {
        done.push(table.step().await);
        let url = table.folder.url("metadata", "v", ".metadata.json");
        table.folder.put(&url, table.metadata()).await;
        catalog.answers([&url]);

        // As it is now, as one of its references is, and as some commit was.
        let (name, (head, tag)) = {
            let all: Vec<_> = table.references.iter().map(|(name, to)| (name.clone(), *to)).collect();
            all[table.random.random_range(0..all.len())].clone()
        };
        let reference = if tag { SnapshotRef::Tag(name) } else { SnapshotRef::Branch(name) };
        let old = table.snapshots[table.random.random_range(0..table.snapshots.len())].clone();
        let current = table.references["main"].0;
        let now = table.schema().to_vec();
        let pinned = |snapshot: &Snapshot, own: bool| if own { table.schemas[snapshot.schema].clone() } else { now.clone() };
        let reads = [
            (SnapshotRef::Current, table.snapshot(current).clone(), false),
            (reference, table.snapshot(head).clone(), tag),
            (SnapshotRef::Snapshot(old.id), old, true),
        ];
        let reads = reads.map(|(at, snapshot, own)| {
            let schema = pinned(&snapshot, own);
            (at, snapshot, schema)
        });
        for (at, snapshot, schema) in reads {
            let session = &sessions[table.random.random_range(0..sessions.len())];
            let predicate = table.predicate(&schema);
            for predicate in [None, Some(&predicate)] {
                let lineage = predicate.is_none();
                let what = format!(
                    "seed {seed}, step {step} (… {:?}), version {}, {at:?}{}",
                    &done[done.len().saturating_sub(6)..],
                    table.version,
                    predicate.map(|predicate| format!(", {}", predicate.sql())).unwrap_or_default()
                );
                let got = actual(session, &sources, &at, &schema, predicate, lineage).await;
                assert_same(got, expected(&table, &snapshot, &schema, predicate, lineage), &what);
            }
        }
    }
}

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_those_that_a_random_history_leaves() {
    let first = setting("FEATGRES_HISTORY_SEED", 1) as u64;
    for seed in first..first + setting("FEATGRES_HISTORY_SEEDS", 6) as u64 {
        history(seed, setting("FEATGRES_HISTORY_STEPS", 40)).await;
    }
}
