//! Partition fields: rows are split by the value of their transform, one data file for each.

use std::collections::BTreeMap;

use apache_avro::types::Value as Avro;
use arrow::array::{Array, AsArray, RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use chrono::Datelike;
use serde_json::{Value as Json, json};

use super::WarehouseError;

/// How a partition value comes from a column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// The value itself: int, long and string columns.
    Identity,
    /// Months since 1970-01: timestamp columns.
    Month,
}

/// One field of a partition spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionField {
    /// The source column.
    pub column: String,
    /// Its transform.
    pub transform: Transform,
}

impl PartitionField {
    /// Partition by the column's own value.
    pub fn identity(column: &str) -> Self {
        Self { column: column.to_owned(), transform: Transform::Identity }
    }

    /// Partition by the month of a timestamp column.
    pub fn month(column: &str) -> Self {
        Self { column: column.to_owned(), transform: Transform::Month }
    }
}

/// A partition value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PartitionValue {
    Null,
    Int(i32),
    Long(i64),
    Text(String),
}

/// The spec, bound to the table's columns.
#[derive(Debug, Clone)]
pub(super) struct PartitionSpec {
    fields: Vec<(PartitionField, usize, DataType)>,
}

impl PartitionSpec {
    pub(super) fn new(fields: &[PartitionField], schema: &Schema) -> Result<Self, WarehouseError> {
        let fields = fields
            .iter()
            .map(|field| {
                let unsupported = || WarehouseError::UnsupportedPartition { column: field.column.clone() };
                let (index, column) = schema.column_with_name(&field.column).ok_or_else(unsupported)?;
                let data_type = column.data_type().clone();
                match (field.transform, &data_type) {
                    (Transform::Identity, DataType::Int32 | DataType::Int64 | DataType::Utf8)
                    | (Transform::Month, DataType::Timestamp(TimeUnit::Microsecond, _)) => Ok((field.clone(), index, data_type)),
                    (Transform::Identity | Transform::Month, _) => Err(unsupported()),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { fields })
    }

    /// The `partition-specs` entry.
    pub(super) fn to_json(&self) -> Json {
        json!({"spec-id": 0, "fields": self.fields_json()})
    }

    /// Its fields, as metadata and manifests hold them.
    pub(super) fn fields_json(&self) -> Json {
        self.fields
            .iter()
            .enumerate()
            .map(|(at, (field, index, _))| {
                let transform = match field.transform {
                    Transform::Identity => "identity",
                    Transform::Month => "month",
                };
                json!({"name": name(field), "transform": transform, "source-id": index + 1, "field-id": 1000 + at})
            })
            .collect()
    }

    /// A spec that [`Self::to_json`] wrote.
    pub(super) fn from_json(spec: &Json, schema: &Schema) -> Option<Self> {
        let fields = spec["fields"]
            .as_array()?
            .iter()
            .map(|field| {
                let column = schema.fields().get(usize::try_from(field["source-id"].as_u64()?).ok()?.checked_sub(1)?)?;
                let transform = match field["transform"].as_str()? {
                    "identity" => Transform::Identity,
                    "month" => Transform::Month,
                    _ => return None,
                };
                Some(PartitionField { column: column.name().clone(), transform })
            })
            .collect::<Option<Vec<_>>>()?;
        Self::new(&fields, schema).ok()
    }

    /// How many fields there are.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The Avro fields of the manifest's `partition` record.
    pub(super) fn avro_fields(&self) -> Json {
        self.fields
            .iter()
            .enumerate()
            .map(|(at, (field, _, data_type))| {
                let kind = match (field.transform, data_type) {
                    (Transform::Identity, DataType::Int64) => "long",
                    (Transform::Identity, DataType::Utf8) => "string",
                    (Transform::Identity | Transform::Month, _) => "int",
                };
                json!({"name": name(field), "type": ["null", kind], "default": null, "field-id": 1000 + at})
            })
            .collect()
    }

    /// A tuple as the value of that record.
    pub(super) fn avro_value(&self, tuple: &[PartitionValue]) -> Avro {
        Avro::Record(self.fields.iter().zip(tuple).map(|((field, ..), value)| (name(field), value.to_avro())).collect())
    }

    /// The folder of a tuple, `updated_at_month=2026-01/`.
    pub(super) fn folder(&self, tuple: &[PartitionValue]) -> String {
        self.fields
            .iter()
            .zip(tuple)
            .map(|((field, ..), value)| {
                let shown = match (value, field.transform) {
                    (PartitionValue::Null, _) => "null".to_owned(),
                    (PartitionValue::Int(months), Transform::Month) => {
                        format!("{}-{:02}", 1970 + months.div_euclid(12), months.rem_euclid(12) + 1)
                    }
                    (PartitionValue::Int(value), Transform::Identity) => value.to_string(),
                    (PartitionValue::Long(value), _) => value.to_string(),
                    (PartitionValue::Text(value), _) => value.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect(),
                };
                format!("{}={shown}/", name(field))
            })
            .collect()
    }

    /// The rows of each tuple, in their order.
    pub(super) fn split(&self, rows: &RecordBatch) -> Result<Vec<(Vec<PartitionValue>, RecordBatch)>, WarehouseError> {
        if self.fields.is_empty() {
            return Ok(vec![(Vec::new(), rows.clone())]);
        }
        let mut groups: BTreeMap<Vec<PartitionValue>, Vec<u64>> = BTreeMap::new();
        for row in 0..rows.num_rows() {
            let tuple = self.fields.iter().map(|(field, index, _)| value(rows.column(*index), row, field.transform)).collect();
            groups.entry(tuple).or_default().push(row as u64);
        }
        groups.into_iter().map(|(tuple, rows_of)| Ok((tuple, take_record_batch(rows, &UInt64Array::from(rows_of))?))).collect()
    }
}

impl PartitionValue {
    fn to_avro(&self) -> Avro {
        match self {
            Self::Null => Avro::Union(0, Box::new(Avro::Null)),
            Self::Int(value) => Avro::Union(1, Box::new(Avro::Int(*value))),
            Self::Long(value) => Avro::Union(1, Box::new(Avro::Long(*value))),
            Self::Text(value) => Avro::Union(1, Box::new(Avro::String(value.clone()))),
        }
    }

    /// As a bound in a manifest list's summary; `None` for NULL.
    pub(super) fn to_bound(&self) -> Option<Vec<u8>> {
        match self {
            Self::Null => None,
            Self::Int(value) => Some(value.to_le_bytes().to_vec()),
            Self::Long(value) => Some(value.to_le_bytes().to_vec()),
            Self::Text(value) => Some(value.as_bytes().to_vec()),
        }
    }
}

/// A partition field's name, as other writers choose it.
fn name(field: &PartitionField) -> String {
    match field.transform {
        Transform::Identity => field.column.clone(),
        Transform::Month => format!("{}_month", field.column),
    }
}

fn value(column: &dyn Array, row: usize, transform: Transform) -> PartitionValue {
    if column.is_null(row) {
        return PartitionValue::Null;
    }
    match (column.data_type(), transform) {
        (DataType::Int32, _) => PartitionValue::Int(column.as_primitive::<Int32Type>().value(row)),
        (DataType::Int64, _) => PartitionValue::Long(column.as_primitive::<Int64Type>().value(row)),
        (DataType::Utf8, _) => PartitionValue::Text(column.as_string::<i32>().value(row).to_owned()),
        _ => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            chrono::DateTime::from_timestamp_micros(micros)
                .map_or(PartitionValue::Null, |time| PartitionValue::Int((time.year() - 1970) * 12 + time.month0() as i32))
        }
    }
}
