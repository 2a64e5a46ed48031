//! Columns and bounds of single files; whole scans are tested over a gateway.

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray, StringArray, StructArray};
use arrow::datatypes::{Field, Int32Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use parquet::arrow::ArrowWriter;

use super::*;
use crate::error::{ReportError, SqlState};
use crate::table::bounds::of_file;

fn write(folder: &std::path::Path, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(folder.join(name)).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn ident() -> TableIdent {
    TableIdent { catalog: "lake".into(), schema: "s".into(), table: "t".into() }
}

async fn open(folder: &std::path::Path) -> Result<Arc<TableSnapshot>, TableError> {
    glob_snapshot(&Storage::local(), &ident(), &format!("{}/*.parquet", folder.display())).await
}

#[tokio::test]
async fn columns_are_the_widest_of_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let list = |value| Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(value)])])) as ArrayRef;
    let pair = |name: &str, value: ArrayRef| {
        Arc::new(StructArray::from(vec![(Arc::new(Field::new(name, value.data_type().clone(), true)), value)])) as ArrayRef
    };
    let decimal =
        |precision| Arc::new(Decimal128Array::from(vec![Some(-1234)]).with_precision_and_scale(precision, 2).unwrap()) as ArrayRef;
    let narrow = Arc::new(Int32Array::from(vec![7])) as ArrayRef;
    write(
        folder.path(),
        "a.parquet",
        vec![("id", narrow), ("amount", decimal(6)), ("tags", list(1)), ("address", pair("city", numbers(vec![1])))],
    );
    let text = Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
    write(
        folder.path(),
        "b.parquet",
        vec![("name", text.clone()), ("id", numbers(vec![1 << 40])), ("amount", decimal(9)), ("address", pair("street", text))],
    );
    let snapshot = open(folder.path()).await.unwrap();
    let shown: Vec<String> = snapshot.schema.fields().iter().map(|field| format!("{} {}", field.name, field.field_type)).collect();
    assert_eq!(shown, ["id long", "amount decimal(9, 2)", "tags list<int>", "address struct<city: long, street: string>", "name string"]);
    assert_eq!((snapshot.exact_row_count(), snapshot.data_file_count(), snapshot.snapshot_id()), (Some(2), Some(2), None));
    // Bounds of the narrower file are read as the wider type.
    let files = snapshot.scan_files(&|_| true).await.unwrap().data_files;
    let id = snapshot.schema.fields()[0].id;
    let of = snapshot.schema.fields()[0].field_type.as_primitive().unwrap();
    let bounds: Vec<_> =
        files.iter().map(|file| of_file(file, None, id, of)).map(|bounds| (bounds.min, bounds.max, bounds.nulls)).collect();
    let long = |value| Some(ScalarValue::Int64(Some(value)));
    assert_eq!(bounds, [(long(7), long(7), Some(0)), (long(1 << 40), long(1 << 40), Some(0))]);
    let amount = &snapshot.schema.fields()[1];
    let bounds = of_file(&files[0], None, amount.id, amount.field_type.as_primitive().unwrap());
    assert_eq!(bounds.min, Some(ScalarValue::Decimal128(Some(-1234), 9, 2)));
}

#[tokio::test]
async fn files_of_two_tables_are_refused_with_both_names() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.parquet", vec![("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    write(folder.path(), "b.parquet", vec![("id", Arc::new(Float64Array::from(vec![1.0])) as ArrayRef)]);
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::DATATYPE_MISMATCH);
    let text = error.to_string();
    assert!(
        text.contains("\"id\": it is long in") && text.contains("a.parquet") && text.contains("double in") && text.contains("b.parquet"),
        "{text}"
    );
}

#[tokio::test]
async fn text_and_nulls_have_bounds_and_nan_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let columns = vec![
        ("text", Arc::new(StringArray::from(vec![Some("b"), None, Some("a")])) as ArrayRef),
        ("none", Arc::new(Int64Array::from(vec![None, None, None])) as ArrayRef),
        ("ratio", Arc::new(Float64Array::from(vec![1.0, f64::NAN, 3.0])) as ArrayRef),
    ];
    write(folder.path(), "a.parquet", columns);
    let snapshot = open(folder.path()).await.unwrap();
    let file = snapshot.scan_files(&|_| true).await.unwrap().data_files.remove(0);
    let of = |at: usize| {
        let field = &snapshot.schema.fields()[at];
        of_file(&file, None, field.id, field.field_type.as_primitive().unwrap())
    };
    let text = |value: &str| Some(ScalarValue::Utf8(Some(value.to_owned())));
    assert_eq!((of(0).min, of(0).max, of(0).nulls), (text("a"), text("b"), Some(1)));
    assert_eq!((of(1).min, of(1).nulls), (None, Some(3)));
    assert_eq!(of(2).max, None, "NaN is greater than any bound");
}

#[tokio::test]
async fn nothing_to_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!((error.sqlstate(), error.hint()), (SqlState::UNDEFINED_FILE, None));
}
