//! [`SnapshotFeatureRows`] against [`SnapshotTable`] on every readable table of the fixtures: a scan gives the same rows, and a
//! fetch of any of its locators gives the row that the scan gave there, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::DFSchema;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::prelude::{SessionContext, col, lit};
use futures::TryStreamExt;

use super::super::*;
use super::{Fixtures, session};
use crate::exec::point_in_time_join::{FeatureRows, FeatureScan, Locator};
use crate::source::TableSnapshot;

fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | ")).collect()
}

async fn scan(
    rows_of: &SnapshotFeatureRows,
    session: &SessionContext,
    request: FeatureScan,
) -> (Vec<(Locator, String)>, ExecutionPlanMetricsSet) {
    let metrics = ExecutionPlanMetricsSet::new();
    let streams = rows_of.scan(&request, &session.task_ctx(), &metrics).await.unwrap();
    assert!(streams.len() <= request.partitions);
    let mut found = Vec::new();
    for stream in streams {
        for batch in stream.try_collect::<Vec<_>>().await.unwrap() {
            assert!(batch.columns.num_rows() <= request.batch_size);
            let locators = batch.locators.unwrap();
            found.extend(locators.values().iter().map(|locator| Locator(*locator)).zip(rows(&batch.columns)));
        }
    }
    (found, metrics)
}

fn count<T: Ord>(of: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    of.into_iter().for_each(|one| *counts.entry(one).or_default() += 1);
    counts
}

async fn pinned(fixtures: &Fixtures, name: &str) -> Arc<TableSnapshot> {
    let case = fixtures.cases.iter().find(|case| case["name"] == name).unwrap();
    fixtures.pin(case, &serde_json::json!({})).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_and_fetches_give_the_rows_of_the_table() {
    let Some(fixtures) = Fixtures::open() else { return };
    let session = session(false, 4, 8192);
    let mut tables = 0;
    for case in &fixtures.cases {
        let name = case["name"].as_str().unwrap();
        if case["checks"].as_array().unwrap().iter().any(|check| check["name"] == "rows" && check.get("error").is_some()) {
            continue;
        }
        let snapshot = fixtures.pin(case, &serde_json::json!({})).await.unwrap();
        let of = SnapshotFeatureRows::new(Arc::clone(&snapshot)).unwrap();
        let width = of.schema().fields().len();
        // The last column is compared with the metadata column of the same name.
        let options = TableOptions { metadata_columns: true };
        let table = SnapshotTable::new(Arc::clone(&snapshot), options).unwrap();
        let shown = session.read_table(Arc::new(table)).unwrap();
        let names: Vec<_> = of.schema().fields().iter().map(|field| datafusion::common::Column::from_name(field.name())).collect();
        let shown = shown.select(names.into_iter().map(datafusion::prelude::Expr::Column)).unwrap().collect().await.unwrap();
        let wanted = count(shown.iter().flat_map(rows));
        for (partitions, batch_size) in [(1, 8192), (4, 5)] {
            let request = FeatureScan { columns: (0..width).collect(), prune: None, newest_first: None, partitions, batch_size };
            let (mut found, _) = scan(&of, &session, request).await;
            assert_eq!(count(found.iter().map(|(_, row)| row.clone())), wanted, "{name}");
            found.sort();
            let duplicates = found.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
            assert_eq!(duplicates, 0, "{name}: locators are unique");
            for step in [1, 3] {
                let some: Vec<_> = found.iter().step_by(step).collect();
                let locators: Vec<_> = some.iter().map(|(locator, _)| *locator).collect();
                let columns: Vec<_> = (0..width).collect();
                // Another instance of the same rows fetches by these locators.
                let other = SnapshotFeatureRows::new(Arc::clone(&snapshot)).unwrap();
                assert!(other.same_rows(&of));
                let fetched = other.fetch(&locators, &columns, &session.task_ctx(), &ExecutionPlanMetricsSet::new()).await.unwrap();
                let fetched: Vec<_> = fetched.try_collect::<Vec<_>>().await.unwrap().iter().flat_map(rows).collect();
                let expected: Vec<_> = some.iter().map(|(_, row)| row.clone()).collect();
                assert_eq!(fetched, expected, "{name}");
            }
        }
        tables += 1;
    }
    println!("{tables} tables");
    assert!(tables > 100);
}

#[tokio::test]
async fn a_time_window_prunes_files() {
    let Some(fixtures) = Fixtures::open() else { return };
    let session = session(false, 1, 8192);
    let of = SnapshotFeatureRows::new(pinned(&fixtures, "many_files").await).unwrap();
    let schema = of.schema();
    let time = schema.fields().iter().position(|field| matches!(field.data_type(), arrow::datatypes::DataType::Timestamp(..))).unwrap();
    let all = FeatureScan { columns: vec![time], prune: None, newest_first: None, partitions: 1, batch_size: 8192 };
    let (found, metrics) = scan(&of, &session, all.clone()).await;
    let total = metrics.clone_inner().sum_by_name("files_scanned").unwrap().as_usize();
    assert_eq!(total, 300);
    let times: Vec<String> = found.iter().map(|(_, time)| time.clone()).collect();
    let latest = times.iter().max().unwrap().clone();
    let name = schema.field(time).name().clone();
    let filter =
        col(datafusion::common::Column::from_name(name)).gt_eq(lit(latest.clone()).try_cast(&schema.field(time).data_type().clone()));
    let by_name = DFSchema::try_from(schema.as_ref().clone()).unwrap();
    let prune = session.create_physical_expr(filter, &by_name).unwrap();
    let (found, metrics) = scan(&of, &session, FeatureScan { prune: Some(prune), ..all }).await;
    assert!(found.iter().any(|(_, time)| *time == latest));
    assert_eq!(metrics.clone_inner().sum_by_name("files_scanned").unwrap().as_usize(), 1);
}

trait TryCast {
    fn try_cast(self, to: &arrow::datatypes::DataType) -> Self;
}

impl TryCast for datafusion::prelude::Expr {
    fn try_cast(self, to: &arrow::datatypes::DataType) -> Self {
        datafusion::prelude::cast(self, to.clone())
    }
}
