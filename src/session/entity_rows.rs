//! Entity rows that come as JSON objects, as one Arrow batch.
//!
//! A join key takes the type that the registry gives it; another column takes the type of its values: integers, numbers, text or
//! booleans, not mixed. Nothing is converted that SQL would refuse: `"123"` is no bigint. The one exception is `123.0`, which is
//! what pandas makes of integers beside missing ones. What JSON has no type for (dates, uuids, bytes) comes as text.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// Columns that all rows together may have.
const MAX_COLUMNS: usize = 1600;

/// The rows as a batch: columns in order of first mention, what a row lacks is NULL, and last the row's own number.
pub fn batch(rows: &[Map<String, Value>], keys: &BTreeMap<String, PgType>, ordinal: &str) -> Result<RecordBatch, Report> {
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
        if names.len() > MAX_COLUMNS {
            return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("entity rows can have at most {MAX_COLUMNS} columns")));
        }
    }
    let mut fields = Vec::with_capacity(names.len() + 1);
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(names.len() + 1);
    for name in names {
        let column = Column { name, values: rows.iter().map(|row| row.get(name).filter(|value| !value.is_null())).collect() };
        let (field, array) = match keys.get(name) {
            Some(pg_type) => column.key(*pg_type)?,
            None => column.inferred()?,
        };
        fields.push(field);
        arrays.push(array);
    }
    fields.push(Field::new(ordinal, DataType::Int64, false));
    arrays.push(Arc::new((0..rows.len() as i64).collect::<Int64Array>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|failure| crate::plan::without_position(&failure.into()))
}

/// One column's values; `None` = NULL.
struct Column<'a> {
    name: &'a str,
    values: Vec<Option<&'a Value>>,
}

impl Column<'_> {
    /// As a join key of this type.
    fn key(&self, pg_type: PgType) -> Result<(Field, ArrayRef), Report> {
        let field = pg_type.arrow_field(self.name);
        let array: ArrayRef = match pg_type {
            PgType::INT2 | PgType::INT4 | PgType::INT8 => {
                let (from, to) = match pg_type {
                    PgType::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
                    PgType::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
                    _ => (i64::MIN, i64::MAX),
                };
                let numbers: Int64Array = self.each(pg_type, |value| {
                    let number = integer(value)?;
                    Some(number.filter(|number| (from..=to).contains(number)))
                })?;
                self.cast(Arc::new(numbers), field.data_type(), pg_type)?
            }
            PgType::BOOL => Arc::new(self.each::<_, BooleanArray>(pg_type, |value| Some(Some(value.as_bool()?)))?),
            PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR => {
                Arc::new(self.each::<_, StringArray>(pg_type, |value| Some(Some(value.as_str()?.to_owned())))?)
            }
            PgType::BYTEA => Arc::new(
                self.each::<_, Vec<Option<Vec<u8>>>>(pg_type, |value| Some(STANDARD.decode(value.as_str()?).ok()))
                    .map(|bytes| bytes.iter().map(Option::as_deref).collect::<BinaryArray>())?,
            ),
            PgType::UUID => {
                let uuids: Vec<Option<[u8; 16]>> =
                    self.each(pg_type, |value| Some(uuid::Uuid::try_parse(value.as_str()?).ok().map(uuid::Uuid::into_bytes)))?;
                let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.into_iter(), 16);
                Arc::new(array.map_err(|failure| crate::plan::without_position(&failure.into()))?)
            }
            PgType::NUMERIC => {
                let texts: StringArray = self.each(pg_type, |value| match value {
                    Value::Number(number) => Some(Some(number.to_string())),
                    Value::String(text) => Some(Some(text.clone())),
                    _ => None,
                })?;
                self.cast(Arc::new(texts), field.data_type(), pg_type)?
            }
            PgType::DATE | PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
                let texts: StringArray = self.each(pg_type, |value| Some(Some(value.as_str()?.to_owned())))?;
                self.cast(Arc::new(texts), field.data_type(), pg_type)?
            }
            other => {
                return Err(Report::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("join key \"{}\" of type {} cannot come as JSON", self.name, other.format(-1)),
                )
                .hint("get_latest_features in SQL takes entity rows of every type."));
            }
        };
        Ok((field, array))
    }

    /// As whatever its values are.
    fn inferred(&self) -> Result<(Field, ArrayRef), Report> {
        let kind = |value: &Value| match value {
            Value::Number(number) if number.is_f64() => PgType::FLOAT8,
            Value::Number(_) => PgType::INT8,
            Value::Bool(_) => PgType::BOOL,
            Value::Null | Value::String(_) => PgType::TEXT,
            Value::Array(_) | Value::Object(_) => PgType::JSONB,
        };
        let mut found: Option<PgType> = None;
        for (row, value) in self.values.iter().enumerate().filter_map(|(row, value)| Some((row, (*value)?))) {
            let kind = kind(value);
            found = match (found, kind) {
                (_, PgType::JSONB) => {
                    return Err(Report::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("column \"{}\" of entity row {} is {}", self.name, row + 1, word(value)),
                    )
                    .hint("Columns of entity rows are numbers, text, booleans or null."));
                }
                (None, kind) => Some(kind),
                (Some(PgType::INT8 | PgType::FLOAT8), PgType::FLOAT8) | (Some(PgType::FLOAT8), PgType::INT8) => Some(PgType::FLOAT8),
                (Some(known), kind) if known == kind => found,
                (Some(known), _) => return Err(self.mismatch(row, value, known)),
            };
        }
        let pg_type = found.unwrap_or(PgType::TEXT);
        if pg_type == PgType::FLOAT8 {
            let numbers: Float64Array = self.each(pg_type, |value| Some(Some(value.as_f64()?)))?;
            return Ok((Field::new(self.name, DataType::Float64, true), Arc::new(numbers)));
        }
        self.key(pg_type)
    }

    /// Each value by `read`: `None` is a value of another type, `Some(None)` one that this type does not hold.
    fn each<T, A: FromIterator<Option<T>>>(&self, pg_type: PgType, read: impl Fn(&Value) -> Option<Option<T>>) -> Result<A, Report> {
        self.values
            .iter()
            .enumerate()
            .map(|(row, value)| {
                let Some(value) = value else { return Ok(None) };
                match read(value) {
                    Some(Some(read)) => Ok(Some(read)),
                    Some(None) => Err(self.unreadable(row, value, pg_type)),
                    None => Err(self.mismatch(row, value, pg_type)),
                }
            })
            .collect()
    }

    fn cast(&self, array: ArrayRef, data_type: &DataType, pg_type: PgType) -> Result<ArrayRef, Report> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&array, data_type, &options).map_err(|_| {
            // Which of them it was, the cast does not say.
            let one_by_one = |row: &usize| cast_with_options(&array.slice(*row, 1), data_type, &options).is_err();
            let row = (0..array.len()).find(one_by_one).unwrap_or(0);
            self.unreadable(row, self.values.get(row).copied().flatten().unwrap_or(&Value::Null), pg_type)
        })
    }

    fn mismatch(&self, row: usize, value: &Value, pg_type: PgType) -> Report {
        Report::new(
            SqlState::DATATYPE_MISMATCH,
            format!("column \"{}\" of entity row {} is {}, not of type {}", self.name, row + 1, word(value), pg_type.format(-1)),
        )
    }

    fn unreadable(&self, row: usize, value: &Value, pg_type: PgType) -> Report {
        let sqlstate = match pg_type {
            PgType::INT2 | PgType::INT4 | PgType::INT8 | PgType::NUMERIC => SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            PgType::DATE | PgType::TIMESTAMP | PgType::TIMESTAMPTZ => SqlState::INVALID_DATETIME_FORMAT,
            _ => SqlState::INVALID_TEXT_REPRESENTATION,
        };
        let mut shown = value.to_string();
        if let Some((end, _)) = shown.char_indices().nth(40) {
            shown.truncate(end);
            shown.push('…');
        }
        Report::new(
            sqlstate,
            format!("column \"{}\" of entity row {}: {shown} is no value of type {}", self.name, row + 1, pg_type.format(-1)),
        )
    }
}

/// An integer, exactly: `None` is no integer, `Some(None)` one that no bigint holds.
fn integer(value: &Value) -> Option<Option<i64>> {
    let Value::Number(number) = value else { return None };
    if let Some(number) = number.as_i64() {
        return Some(Some(number));
    }
    let float = number.as_f64()?;
    // Every integer below is a double of its own; above, two integers can have become one.
    (float.fract() == 0.0).then(|| (float.abs() < 9_007_199_254_740_992.0).then_some(float as i64))
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
