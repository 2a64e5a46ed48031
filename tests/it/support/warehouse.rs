//! Small tables with every situation of the semantics in them, written as several commits.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use featgres::demo::warehouse::Warehouse;

/// One row: text per column, `None` = NULL. Types are those of the schema.
pub type Cells<'a> = &'a [Option<&'a str>];

/// `gold.customer_aggregates`, `gold.labels`, `gold.tiers`.
pub fn write_sample(warehouse: &Warehouse) {
    let aggregates = schema(&[
        ("customer_id", "bigint"),
        ("updated_at", "timestamptz"),
        ("ingested_at", "timestamptz"),
        ("total_orders", "bigint"),
        ("avg_order_value", "double"),
        ("favourite", "text"),
    ]);
    let mut table = warehouse.create_table("gold", "customer_aggregates", &aggregates, &[]).expect("a table");
    let commits: [&[Cells]; 3] = [
        &[
            &[Some("1"), Some("2026-01-01"), Some("2026-01-01"), Some("10"), Some("12.5"), Some("tea")],
            &[Some("1"), Some("2026-01-10"), Some("2026-01-10"), Some("11"), Some("13"), Some("tea")],
            &[Some("2"), Some("2026-01-05"), Some("2026-01-05"), Some("20"), None, None],
            &[None, Some("2026-01-05"), Some("2026-01-05"), Some("99"), Some("99"), Some("nobody")],
        ],
        &[
            // A late correction: the same key and event time, a later created time.
            &[Some("1"), Some("2026-01-10"), Some("2026-01-12"), Some("15"), Some("13.5"), Some("coffee")],
            &[Some("3"), Some("2026-01-03"), None, Some("30"), Some("3"), Some("water")],
        ],
        &[
            // A tie that only the commit decides.
            &[Some("2"), Some("2026-01-05"), Some("2026-01-05"), Some("21"), Some("2.5"), Some("milk")],
            // A row without an event time never wins.
            &[Some("3"), None, Some("2026-02-01"), Some("31"), Some("3.1"), Some("juice")],
        ],
    ];
    for rows in commits {
        warehouse.append(&mut table, &batch(&aggregates, rows)).expect("a commit");
    }
    let labels = schema(&[("customer_id", "bigint"), ("event_timestamp", "timestamptz"), ("churned", "bigint")]);
    let mut table = warehouse.create_table("gold", "labels", &labels, &[]).expect("a table");
    let rows: &[Cells] = &[
        &[Some("1"), Some("2026-01-11"), Some("0")],
        &[Some("1"), Some("2026-01-05"), Some("0")],
        &[Some("1"), Some("2026-01-05"), Some("0")],
        &[Some("2"), Some("2026-01-05"), Some("1")],
        &[Some("2"), Some("2026-01-04"), Some("1")],
        &[Some("4"), Some("2026-01-11"), Some("0")],
        &[None, Some("2026-01-11"), Some("1")],
        &[Some("3"), None, Some("1")],
    ];
    warehouse.append(&mut table, &batch(&labels, rows)).expect("a commit");
    let tiers = schema(&[("customer_id", "bigint"), ("valid_from", "timestamptz"), ("valid_to", "timestamptz"), ("tier", "text")]);
    let mut table = warehouse.create_table("gold", "tiers", &tiers, &[]).expect("a table");
    let rows: &[Cells] = &[
        &[Some("1"), Some("2026-01-01"), Some("2026-01-08"), Some("bronze")],
        &[Some("1"), Some("2026-01-08"), None, Some("gold")],
        &[Some("2"), Some("2026-01-01"), Some("2026-01-03"), Some("silver")],
    ];
    warehouse.append(&mut table, &batch(&tiers, rows)).expect("a commit");
}

/// A schema by SQL's names for types.
pub fn schema(columns: &[(&str, &str)]) -> Schema {
    let field = |(name, data_type): &(&str, &str)| {
        let data_type = match *data_type {
            "bigint" => DataType::Int64,
            "double" => DataType::Float64,
            "text" => DataType::Utf8,
            "boolean" => DataType::Boolean,
            "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            other => panic!("no type {other} here"),
        };
        Field::new(*name, data_type, true)
    };
    Schema::new(columns.iter().map(field).collect::<Vec<_>>())
}

/// Rows of a schema.
pub fn batch(schema: &Schema, rows: &[Cells]) -> RecordBatch {
    let column = |index: usize, field: &Field| -> ArrayRef {
        let cells = rows.iter().map(|row| row[index]);
        match field.data_type() {
            DataType::Int64 => {
                Arc::new(cells.map(|cell| cell.map(|text| text.parse::<i64>().expect("an integer"))).collect::<Int64Array>())
            }
            DataType::Float64 => {
                Arc::new(cells.map(|cell| cell.map(|text| text.parse::<f64>().expect("a number"))).collect::<Float64Array>())
            }
            DataType::Boolean => Arc::new(cells.map(|cell| cell.map(|text| text == "true")).collect::<BooleanArray>()),
            DataType::Timestamp(..) => {
                let micros = |text: &str| {
                    arrow::compute::kernels::cast_utils::string_to_datetime(&chrono::Utc, text).expect("a timestamp").timestamp_micros()
                };
                Arc::new(cells.map(|cell| cell.map(micros)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            _ => Arc::new(cells.collect::<StringArray>()),
        }
    };
    let arrays = schema.fields().iter().enumerate().map(|(index, field)| column(index, field)).collect();
    RecordBatch::try_new(Arc::new(schema.clone()), arrays).expect("a batch")
}
