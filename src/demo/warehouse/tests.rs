//! What is written can be read back by this module; that foreign readers agree is checked by `tests/it`.

use arrow::array::{Decimal128Array, Float64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::record_batch::RecordBatch;
use std::sync::Arc as StdArc;

use super::*;
use crate::clock::FixedClock;

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("x", DataType::Float64, true),
        Field::new("d", DataType::Decimal128(12, 2), true),
    ])
}

fn rows(days: &[i64]) -> RecordBatch {
    let at: TimestampMicrosecondArray = days.iter().map(|day| Some(day * 86_400_000_000)).collect();
    let x: Float64Array = days.iter().map(|day| (*day != 0).then_some(*day as f64)).collect();
    let d: Decimal128Array = days.iter().map(|day| Some(i128::from(*day) * 100)).collect();
    let d = d.with_precision_and_scale(12, 2).unwrap();
    RecordBatch::try_new(StdArc::new(schema()), vec![StdArc::new(at.with_timezone("UTC")), StdArc::new(x), StdArc::new(d)]).unwrap()
}

fn warehouse(folder: &Path) -> Warehouse {
    Warehouse::open("iceberg", &folder.join("catalog.sqlite"), &folder.join("warehouse"), Arc::new(FixedClock(1_000_000))).unwrap()
}

#[test]
fn commits_add_up_and_months_have_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(folder.path());
    let mut table = warehouse.create_table("gold", "t", &schema(), &[PartitionField::month("at")]).unwrap();
    assert_eq!(table.snapshot_id(), None);
    let first = warehouse.append(&mut table, &rows(&[0, 10, 40])).unwrap();
    let mut table = warehouse.load_table("gold", "t").unwrap();
    assert_eq!(table.snapshot_id(), Some(first));
    let second = warehouse.append(&mut table, &rows(&[70])).unwrap();
    let table = warehouse.load_table("gold", "t").unwrap();
    assert_eq!(table.snapshot_id(), Some(second));
    let files = table.data_files().unwrap();
    let months: Vec<(&str, i64)> = files.iter().map(|(path, rows)| (path.split('/').rev().nth(1).unwrap(), *rows)).collect();
    assert_eq!(months, [("at_month=1970-03", 1), ("at_month=1970-01", 2), ("at_month=1970-02", 1)]);
}

#[test]
fn a_commit_on_an_old_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(folder.path());
    let mut table = warehouse.create_table("gold", "t", &schema(), &[]).unwrap();
    let mut other = warehouse.load_table("gold", "t").unwrap();
    warehouse.append(&mut table, &rows(&[1])).unwrap();
    let error = warehouse.append(&mut other, &rows(&[2])).unwrap_err();
    assert_eq!(error.to_string(), "table \"gold.t\" was changed by another writer");
    warehouse.drop_table("gold", "t").unwrap();
    assert!(matches!(warehouse.load_table("gold", "t"), Err(WarehouseError::UnknownTable { .. })));
}

#[test]
fn bounds_are_as_the_specification_serializes_them() {
    let summary = bounds::summarize(&(StdArc::new(Float64Array::from(vec![f64::NAN, 2.0, -1.0])) as _));
    assert_eq!(
        (summary.nans, summary.lower, summary.upper),
        (Some(1), Some((-1.0f64).to_le_bytes().to_vec()), Some(2.0f64.to_le_bytes().to_vec()))
    );
    let decimals = Decimal128Array::from(vec![-129, 127, 128]).with_precision_and_scale(9, 2).unwrap();
    let summary = bounds::summarize(&(StdArc::new(decimals) as _));
    assert_eq!((summary.lower, summary.upper), (Some(vec![0xff, 0x7f]), Some(vec![0x00, 0x80])));
    let texts = arrow::array::StringArray::from(vec!["abcdefghijklmnopqrs"]);
    let summary = bounds::summarize(&(StdArc::new(texts) as _));
    assert_eq!((summary.lower, summary.upper), (Some(b"abcdefghijklmnop".to_vec()), Some(b"abcdefghijklmnoq".to_vec())));
}
