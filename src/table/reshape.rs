//! From a column as a file has it to the column as the table has it now, by field id at any depth.
//!
//! A [`Shape`] is worked out once per file from the two Arrow fields; applying it to a batch copies no values except where a
//! type was promoted. Only promotions that the Iceberg specification allows, and Parquet's own spellings of one type
//! (milliseconds for a microsecond column, unannotated text), are taken; everything else is a damaged file, because a
//! cast that "works" gives rows that nobody wrote. NaNs of any bits become the one NaN that SQL knows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options, nullif};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float32Type, Float64Type, TimeUnit};
use arrow::util::display::FormatOptions;
use datafusion::common::{Result, ScalarValue};
use hashbrown::HashMap;

use super::column_words::{path, type_word};
use super::field_ids::{bare, bare_fields, field_id, shown};
use super::schema::FIXED_WIDTH;

/// Values that fields have in files older than the field, by id.
pub type Defaults = HashMap<i32, ScalarValue>;

/// Casts fail instead of giving NULL.
pub const EXACT_CAST: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// How to make the table's column of the file's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Shape {
    /// As it is.
    Same,
    /// Promoted to this type.
    Promoted(DataType),
    /// A struct of these children.
    Struct(Fields, Vec<Child>),
    /// A list whose element is this.
    List(FieldRef, Box<Shape>),
    /// A map: the entries' field, key and value.
    Map(FieldRef, Box<Shape>, Box<Shape>),
}

/// Where a struct's child comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Child {
    /// The file's child of this index.
    Field(usize, Shape),
    /// Not in the file: this value for every row.
    Missing(ScalarValue),
}

/// The file's type cannot be read as the table's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The path of the nested field below the column; empty for the column itself.
    pub inside: String,
    /// Its type in the file.
    pub file_type: String,
    /// Its type in the table.
    pub table_type: String,
}

impl Mismatch {
    fn of(file: &Field, table: &Field) -> Self {
        Self { inside: String::new(), file_type: type_word(file), table_type: type_word(table) }
    }

    /// The same, seen from around a field of this name.
    fn below(name: &str) -> impl FnOnce(Self) -> Self {
        move |mismatch| Self { inside: path(name, &mismatch.inside), ..mismatch }
    }
}

impl Shape {
    /// How to read `file` as `table`: both have ids at every depth, what is read has none.
    pub fn between(file: &Field, table: &Field, defaults: &Defaults) -> Result<Self, Mismatch> {
        let mismatch = || Mismatch::of(file, table);
        let inside = |file: &Field, table: &Field| Self::between(file, table, defaults).map_err(Mismatch::below(table.name()));
        match (file.data_type(), table.data_type()) {
            (DataType::Struct(from), DataType::Struct(to)) => {
                let children = to.iter().map(|child| Child::of(from, child, defaults)).collect::<Result<Vec<_>, _>>()?;
                Ok(Self::Struct(bare_fields(to), children))
            }
            (DataType::List(from), DataType::List(to)) => Ok(Self::List(bare(to), Box::new(inside(from, to)?))),
            (DataType::Map(from, _), DataType::Map(to, _)) => match (from.data_type(), to.data_type()) {
                (DataType::Struct(file), DataType::Struct(table)) if file.len() == 2 && table.len() == 2 => {
                    Ok(Self::Map(bare(to), Box::new(inside(&file[0], &table[0])?), Box::new(inside(&file[1], &table[1])?)))
                }
                _ => Err(mismatch()),
            },
            (DataType::FixedSizeBinary(from), DataType::Binary) if fixed_width(table).is_some_and(|to| to != *from) => Err(mismatch()),
            (from, to) if from == to => Ok(Self::Same),
            (from, to) if promotes(from, to) => Ok(Self::Promoted(to.clone())),
            _ => Err(mismatch()),
        }
    }

    /// The table's array of the file's.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Self::Same => one_nan(array),
            Self::Promoted(to) => one_nan(&cast_with_options(array, to, &EXACT_CAST)?),
            Self::Struct(fields, children) => {
                let rows = array.as_struct();
                let columns = children
                    .iter()
                    .map(|child| match child {
                        Child::Field(index, shape) => shape.apply(rows.column(*index)),
                        Child::Missing(value) if value.is_null() => Ok(new_null_array(&value.data_type(), rows.len())),
                        Child::Missing(value) => below(&value.to_array_of_size(rows.len())?, rows.nulls()),
                    })
                    .collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, rows.nulls().cloned(), rows.len())?)
            }
            Self::List(field, element) => {
                let lists = array.as_list::<i32>();
                let values = element.apply(lists.values())?;
                Arc::new(ListArray::try_new(Arc::clone(field), lists.offsets().clone(), values, lists.nulls().cloned())?)
            }
            Self::Map(field, key, value) => {
                let maps = array.as_map();
                let DataType::Struct(fields) = field.data_type() else { return Ok(Arc::clone(array)) };
                let columns = vec![key.apply(maps.keys())?, value.apply(maps.values())?];
                let entries = StructArray::try_new(fields.clone(), columns, None)?;
                Arc::new(MapArray::try_new(Arc::clone(field), maps.offsets().clone(), entries, maps.nulls().cloned(), false)?)
            }
        })
    }
}

impl Child {
    fn of(from: &Fields, to: &Field, defaults: &Defaults) -> Result<Self, Mismatch> {
        let id = field_id(to);
        let found = id.and_then(|id| from.iter().position(|field| field_id(field) == Some(id)));
        Ok(match found {
            // The `unknown` type is in no file; a column of that id would be of an older type.
            Some(index) if *to.data_type() != DataType::Null => {
                let shape = Shape::between(&from[index], to, defaults).map_err(Mismatch::below(to.name()))?;
                Self::Field(index, shape)
            }
            _ => Self::Missing(shown_missing_value(to, defaults)),
        })
    }
}

/// What a field that a file does not have reads as.
pub fn missing_value(field: &Field, defaults: &Defaults) -> ScalarValue {
    let null = || ScalarValue::try_new_null(field.data_type()).unwrap_or(ScalarValue::Null);
    let Some(default) = field_id(field).and_then(|id| defaults.get(&id)) else { return null() };
    match field.data_type() {
        // Some of a struct's fields are asked for: of those that have defaults it is made.
        DataType::Struct(fields) if default.data_type() != *field.data_type() => struct_of_defaults(fields, defaults).unwrap_or_else(null),
        _ => default.clone(),
    }
}

/// The same as rows have it: its type has no ids inside.
pub fn shown_missing_value(field: &Field, defaults: &Defaults) -> ScalarValue {
    let value = missing_value(field, defaults);
    if !field.data_type().is_nested() {
        return value;
    }
    let shown = shown(field);
    let null = || ScalarValue::try_new_null(shown.data_type()).unwrap_or(ScalarValue::Null);
    if value.is_null() {
        return null();
    }
    let retagged = value.to_array().and_then(|array| retagged(&array, shown.data_type()));
    retagged.and_then(|array| ScalarValue::try_from_array(&array, 0)).unwrap_or_else(|_| null())
}

/// The same values as of a type that differs in nested metadata only.
fn retagged(array: &ArrayRef, of: &DataType) -> Result<ArrayRef> {
    let children = |rows: &StructArray, fields: &Fields| -> Result<StructArray> {
        let columns = rows.columns().iter().zip(fields).map(|(column, field)| retagged(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(StructArray::try_new_with_length(fields.clone(), columns, rows.nulls().cloned(), rows.len())?)
    };
    Ok(match of {
        DataType::Struct(fields) => Arc::new(children(array.as_struct(), fields)?),
        DataType::List(element) => {
            let lists = array.as_list::<i32>();
            let values = retagged(lists.values(), element.data_type())?;
            Arc::new(ListArray::try_new(Arc::clone(element), lists.offsets().clone(), values, lists.nulls().cloned())?)
        }
        DataType::Map(entries, sorted) => {
            let maps = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else { return Ok(Arc::clone(array)) };
            let rows = children(maps.entries(), fields)?;
            Arc::new(MapArray::try_new(Arc::clone(entries), maps.offsets().clone(), rows, maps.nulls().cloned(), *sorted)?)
        }
        _ => Arc::clone(array),
    })
}

/// A struct whose fields are all missing, but which is not NULL itself.
pub fn struct_of_defaults(fields: &Fields, defaults: &Defaults) -> Option<ScalarValue> {
    let columns = fields.iter().map(|field| missing_value(field, defaults).to_array()).collect::<Result<Vec<_>>>().ok()?;
    let rows = StructArray::try_new_with_length(fields.clone(), columns, None, 1).ok()?;
    Some(ScalarValue::Struct(Arc::new(rows)))
}

/// A column of defaults below a struct: where that is NULL, so is everything in it, because whoever reads a field of a struct does not
/// look at the struct.
fn below(array: &ArrayRef, parent: Option<&NullBuffer>) -> Result<ArrayRef> {
    let Some(parent) = parent.filter(|parent| parent.null_count() > 0) else { return Ok(Arc::clone(array)) };
    let Some(rows) = array.as_struct_opt() else {
        return Ok(nullif(array, &BooleanArray::new(!parent.inner(), None))?);
    };
    let columns = rows.columns().iter().map(|column| below(column, Some(parent))).collect::<Result<Vec<_>>>()?;
    let nulls = NullBuffer::union(rows.nulls(), Some(parent));
    Ok(Arc::new(StructArray::try_new_with_length(rows.fields().clone(), columns, nulls, rows.len())?))
}

/// SQL has one NaN; processors and writers make several, of either sign, which the engine would sort and group apart.
fn one_nan(array: &ArrayRef) -> ArrayRef {
    if let Some(values) = array.as_primitive_opt::<Float64Type>()
        && values.values().iter().fold(false, |odd, value| odd | (value.is_nan() & (value.to_bits() != f64::NAN.to_bits())))
    {
        return Arc::new(values.unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value }));
    }
    if let Some(values) = array.as_primitive_opt::<Float32Type>()
        && values.values().iter().fold(false, |odd, value| odd | (value.is_nan() & (value.to_bits() != f32::NAN.to_bits())))
    {
        return Arc::new(values.unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value }));
    }
    Arc::clone(array)
}

/// The width of a table's `fixed` column.
fn fixed_width(table: &Field) -> Option<i32> {
    table.metadata().get(FIXED_WIDTH)?.parse().ok()
}

/// Whether a file's primitive type may be read as the table's.
fn promotes(file: &DataType, table: &DataType) -> bool {
    use DataType::{
        Binary, Date32, Decimal128, FixedSizeBinary, Float32, Float64, Int8, Int16, Int32, Int64, Time32, Time64, Timestamp, UInt8, UInt16,
        UInt32, Utf8,
    };
    match (file, table) {
        (Int8 | Int16 | UInt8 | UInt16, Int32 | Int64) | (Int32 | UInt32, Int64) | (Float32, Float64) => true,
        (Decimal128(from, from_scale), Decimal128(to, to_scale)) => from <= to && from_scale == to_scale,
        (Date32, Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, None)) => true,
        // Coarser units widen exactly; whether Parquet says "adjusted to UTC" was never reliable in writers.
        (Timestamp(from, _), Timestamp(to, _)) => from <= to,
        (Time32(TimeUnit::Millisecond), Time64(TimeUnit::Microsecond)) => true,
        // Bytes of one width are stored as such, and are bytes of any width to the engine: a `fixed` column's own was looked at.
        (Binary, Utf8) | (Utf8 | FixedSizeBinary(_), Binary) => true,
        _ => false,
    }
}

#[cfg(test)]
#[path = "reshape_tests.rs"]
mod tests;
