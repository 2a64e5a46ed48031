//! Columns of system relations, from iterators of plain values.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, IntervalMonthDayNanoArray, ListBuilder, MapBuilder, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, IntervalMonthDayNano, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

/// A relation under construction: named columns of one length.
#[derive(Debug, Default)]
pub struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn with(mut self, name: &str, array: ArrayRef) -> Self {
        self.fields.push(Field::new(name, array.data_type().clone(), true));
        self.arrays.push(array);
        self
    }

    /// `text`
    pub fn text<S: AsRef<str>>(self, name: &str, values: impl Iterator<Item = Option<S>>) -> Self {
        self.with(name, Arc::new(values.collect::<StringArray>()))
    }

    /// `bigint`
    pub fn bigint(self, name: &str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.with(name, Arc::new(values.collect::<Int64Array>()))
    }

    /// `double precision`
    pub fn double(self, name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        self.with(name, Arc::new(values.collect::<Float64Array>()))
    }

    /// `boolean`
    pub fn boolean(self, name: &str, values: impl Iterator<Item = Option<bool>>) -> Self {
        self.with(name, Arc::new(values.collect::<BooleanArray>()))
    }

    /// `timestamp with time zone`, from microseconds since 1970
    pub fn instant(self, name: &str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.with(name, Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC")))
    }

    /// `interval`
    pub fn interval(self, name: &str, values: impl Iterator<Item = Option<IntervalMonthDayNano>>) -> Self {
        self.with(name, Arc::new(values.collect::<IntervalMonthDayNanoArray>()))
    }

    /// `text[]`
    pub fn texts<S: AsRef<str>>(self, name: &str, values: impl Iterator<Item = Vec<S>>) -> Self {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for list in values {
            for value in list {
                builder.values().append_value(value);
            }
            builder.append(true);
        }
        self.with(name, Arc::new(builder.finish()))
    }

    /// `jsonb`: an object of texts
    pub fn object<'a>(self, name: &str, values: impl Iterator<Item = &'a BTreeMap<String, String>>) -> Self {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        let mut complete = true;
        for map in values {
            for (key, value) in map {
                builder.keys().append_value(key);
                builder.values().append_value(value);
            }
            complete &= builder.append(true).is_ok();
        }
        debug_assert!(complete, "keys and values are appended in pairs");
        self.with(name, Arc::new(builder.finish()))
    }

    /// The relation of `rows` rows.
    pub fn finish(self, rows: usize) -> RecordBatch {
        let schema = Arc::new(Schema::new(self.fields));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&schema), self.arrays, &options).unwrap_or_else(|_| RecordBatch::new_empty(schema))
    }
}
