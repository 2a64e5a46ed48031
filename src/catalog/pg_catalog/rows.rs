//! Rows of system relations: cells as PostgreSQL would print them, put into Arrow columns by the relation's definition.
//!
//! Whoever fills a relation names the columns that it knows; the others are NULL, or zero, false or empty where PostgreSQL
//! declares them NOT NULL. Relations are built when a statement names them and live as long as it does.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, IntervalMonthDayNanoArray, ListBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::datatypes::{DataType, IntervalMonthDayNano, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::definitions::{ColumnDefinition, Definition};
use crate::pg_type::PgType;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL
    Null,
    /// Any integer, and oids.
    Int(i64),
    /// Any float.
    Float(f64),
    /// `boolean`
    Bool(bool),
    /// `text`, `name`, `"char"` …
    Text(String),
    /// An array, elements as text.
    List(Vec<Cell>),
    /// Microseconds since 1970 UTC.
    Instant(i64),
    /// `interval`
    Seconds(i64),
}

impl Cell {
    /// An oid.
    pub fn oid(oid: u32) -> Self {
        Self::Int(i64::from(oid))
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A text, or NULL.
    pub fn optional(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }

    /// The value as one types it; none for NULL.
    pub fn shown(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Int(number) | Self::Instant(number) | Self::Seconds(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Bool(flag) => (if *flag { "t" } else { "f" }).to_owned(),
            Self::Text(text) => text.clone(),
            Self::List(cells) => cells.iter().map(|cell| cell.shown().unwrap_or_default()).collect::<Vec<_>>().join(" "),
        })
    }
}

/// A relation under construction.
#[derive(Debug)]
pub struct Rows {
    definition: &'static Definition,
    /// Where each given column stands in a row.
    positions: Vec<Option<usize>>,
    rows: Vec<Vec<Cell>>,
}

impl Rows {
    /// Rows of these columns, in this order.
    pub fn new(definition: &'static Definition, columns: &[&str]) -> Self {
        let positions = definition.columns.iter().map(|column| columns.iter().position(|name| *name == column.name)).collect();
        Self { definition, positions, rows: Vec::new() }
    }

    /// One more row.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The relation.
    pub fn finish(self) -> RecordBatch {
        let rows = self.rows.len();
        let arrays: Vec<ArrayRef> = self
            .definition
            .columns
            .iter()
            .zip(&self.positions)
            .map(|(column, position)| match position {
                Some(position) => array(column, self.rows.iter().map(|row| row.get(*position).unwrap_or(&Cell::Null)), rows),
                None => {
                    let missing = if column.not_null { zero(column.pg_type) } else { Cell::Null };
                    array(column, std::iter::repeat_n(&missing, rows), rows)
                }
            })
            .collect();
        let fields: Vec<_> = self.definition.columns.iter().map(|column| column.pg_type.arrow_field(column.name)).collect();
        let schema = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options).unwrap_or_else(|_| RecordBatch::new_empty(schema))
    }
}

/// What a NOT NULL column holds that nobody filled.
fn zero(pg_type: PgType) -> Cell {
    match pg_type.arrow() {
        DataType::Boolean => Cell::Bool(false),
        DataType::Utf8 => Cell::text(""),
        DataType::Float32 | DataType::Float64 => Cell::Float(0.0),
        DataType::List(_) => Cell::List(Vec::new()),
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::UInt32 => Cell::Int(0),
        _ => Cell::Null,
    }
}

fn array<'a>(column: &ColumnDefinition, cells: impl Iterator<Item = &'a Cell>, rows: usize) -> ArrayRef {
    let data_type = column.pg_type.arrow();
    arrow_array(&data_type, cells).unwrap_or_else(|| new_null_array(&data_type, rows))
}

/// Cells as an array of this type; none if the type has no cells.
pub fn arrow_array<'a>(data_type: &DataType, cells: impl Iterator<Item = &'a Cell>) -> Option<ArrayRef> {
    let plain: ArrayRef = match data_type {
        DataType::Boolean => {
            Arc::new(cells.map(|cell| if let Cell::Bool(flag) = cell { Some(*flag) } else { None }).collect::<BooleanArray>())
        }
        DataType::Utf8 => Arc::new(cells.map(Cell::shown).collect::<StringArray>()),
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::UInt32 => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Int(number) => Some(*number),
                    Cell::Text(text) => text.parse().ok(),
                    _ => None,
                })
                .collect::<Int64Array>(),
        ),
        DataType::Float32 | DataType::Float64 => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Float(number) => Some(*number),
                    Cell::Text(text) => text.parse().ok(),
                    _ => None,
                })
                .collect::<arrow::array::Float64Array>(),
        ),
        DataType::Timestamp(_, zone) => Arc::new(
            cells
                .map(|cell| if let Cell::Instant(micros) = cell { Some(*micros) } else { None })
                .collect::<TimestampMicrosecondArray>()
                .with_timezone_opt(zone.clone()),
        ),
        DataType::Interval(_) => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Seconds(seconds) => Some(IntervalMonthDayNano::new(0, 0, seconds * 1_000_000_000)),
                    _ => None,
                })
                .collect::<IntervalMonthDayNanoArray>(),
        ),
        DataType::List(_) => {
            let mut builder = ListBuilder::new(StringBuilder::new());
            for cell in cells {
                match cell {
                    Cell::List(elements) => {
                        for element in elements {
                            builder.values().append_option(element.shown());
                        }
                        builder.append(true);
                    }
                    _ => builder.append(false),
                }
            }
            Arc::new(builder.finish())
        }
        _ => return None,
    };
    arrow::compute::cast(&plain, data_type).ok()
}
