//! [`ContentOrder`]: rows compared by what they hold, where timestamps and commits leave the winner open.
//!
//! Column by column in declared order: NULL lowest, NaN highest (of either sign: x86 makes negative ones), other floats in total
//! order, nested values element by element, maps as their entries; last valid-until, with NULL highest ("still valid" beats any end). Rows are encoded to bytes that
//! compare like that (Arrow's row format), so a candidate can be held without its batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::{DataFusionError, Result};

use super::lookup::Lookup;

/// See the module's documentation.
pub struct ContentOrder {
    converter: Option<RowConverter>,
    columns: Vec<usize>,
    types: Vec<DataType>,
}

impl ContentOrder {
    /// The order of a lookup's rows.
    pub fn try_new(lookup: &Lookup, schema: &Schema) -> Result<Self> {
        let ascending = |nulls_first| SortOptions { descending: false, nulls_first };
        let mut columns = lookup.tie_columns.clone();
        let mut options = vec![ascending(true); columns.len()];
        if let Some(column) = lookup.valid_until {
            columns.push(column);
            options.push(ascending(false));
        }
        let mut fields = Vec::with_capacity(columns.len());
        let mut types = Vec::with_capacity(columns.len());
        for (column, options) in columns.iter().zip(options) {
            let field = schema.fields().get(*column).ok_or_else(|| DataFusionError::Internal(format!("no column {column}")))?;
            types.push(field.data_type().clone());
            fields.push(SortField::new_with_options(field.data_type().clone(), options));
        }
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) };
        Ok(Self { converter, columns, types })
    }

    /// The columns looked at.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Rows of these columns as comparable bytes; `None` if there is nothing to compare: all rows are equal.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Option<Rows>> {
        let Some(converter) = &self.converter else { return Ok(None) };
        // The row format panics on other types than it was made for.
        if !columns.iter().map(|column| column.data_type()).eq(&self.types) {
            return Err(DataFusionError::Internal("feature rows came with other types than their schema's".into()));
        }
        let columns = columns.iter().map(one_nan).collect::<Result<Vec<_>>>()?;
        Ok(Some(converter.convert_columns(&columns)?))
    }
}

/// The array with every NaN, at any depth, the positive quiet one.
fn one_nan(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Float64 => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN.abs() } else { v }))
        }
        DataType::Float32 => {
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN.abs() } else { v }))
        }
        DataType::Float16 => Arc::new(
            array
                .as_primitive::<Float16Type>()
                .unary::<_, Float16Type>(|v| if v.is_nan() { arrow::datatypes::ArrowNativeTypeOp::MAX_TOTAL_ORDER } else { v }),
        ),
        other if holds_floats(other) => {
            let data = array.to_data();
            let children =
                data.child_data().iter().map(|child| Ok(one_nan(&make_array(child.clone()))?.to_data())).collect::<Result<Vec<_>>>()?;
            make_array(data.into_builder().child_data(children).build()?)
        }
        _ => Arc::clone(array),
    })
}

fn holds_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_floats(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_floats(field.data_type())),
        DataType::Dictionary(_, value) => holds_floats(value),
        DataType::RunEndEncoded(_, values) => holds_floats(values.data_type()),
        _ => false,
    }
}
