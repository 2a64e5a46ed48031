//! Functions that look into the catalog (`format_type`, `obj_description`, `regclassin`), and PostgreSQL's functions about objects
//! that a gateway does not have.
//!
//! One implementation for all: arguments become [`Cell`]s, a plain function of the catalog gives the answer, row by row; they are
//! called for the rows of system relations, thousands at most. A strict function of a NULL is NULL, as in PostgreSQL.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::Catalog;
use super::rows::{Cell, arrow_array};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

mod arrays;
mod names;
mod objects;
mod texts;

/// What a function does with one row.
type Body = fn(&Catalog, &[Cell]) -> std::result::Result<Cell, Report>;

/// One function.
struct Entry {
    name: &'static str,
    /// Fewest and most arguments.
    arguments: (usize, usize),
    returns: PgType,
    /// NULL for a NULL argument.
    strict: bool,
    body: Body,
}

/// A strict function.
const fn strict(name: &'static str, arguments: (usize, usize), returns: PgType, body: Body) -> Entry {
    Entry { name, arguments, returns, strict: true, body }
}

/// A function that sees NULLs.
const fn lenient(name: &'static str, arguments: (usize, usize), returns: PgType, body: Body) -> Entry {
    Entry { name, arguments, returns, strict: false, body }
}

/// What an input function (`regclassin`) makes of a name.
pub fn object_id(function: &str, name: &str, catalog: &Catalog) -> std::result::Result<Option<u32>, Report> {
    let Some(entry) = names::ENTRIES.iter().find(|entry| entry.name == function) else { return Ok(None) };
    let found = (entry.body)(catalog, &[Cell::text(name)])?;
    Ok(oid(Some(&found)))
}

/// The function of this name over this catalog.
pub fn function(name: &str, catalog: &Arc<Catalog>) -> Option<Arc<ScalarUDF>> {
    if let Some(function) = arrays::function(name) {
        return Some(function);
    }
    let entry = [names::ENTRIES, objects::ENTRIES, texts::ENTRIES].into_iter().flatten().find(|entry| entry.name == name)?;
    Some(Arc::new(ScalarUDF::new_from_impl(CatalogFunction {
        entry,
        catalog: Arc::clone(catalog),
        signature: Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable),
    })))
}

/// A function over one statement's catalog.
struct CatalogFunction {
    entry: &'static Entry,
    catalog: Arc<Catalog>,
    signature: Signature,
}

impl std::fmt::Debug for CatalogFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CatalogFunction").field(&self.entry.name).finish()
    }
}

impl PartialEq for CatalogFunction {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name && Arc::ptr_eq(&self.catalog, &other.catalog)
    }
}

impl Eq for CatalogFunction {}

impl Hash for CatalogFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entry.name.hash(state);
    }
}

impl ScalarUDFImpl for CatalogFunction {
    fn name(&self) -> &str {
        self.entry.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let (least, most) = self.entry.arguments;
        if !(least..=most).contains(&arguments.len()) {
            let types: Vec<String> = arguments.iter().map(|argument| PgType::of_data_type(argument).to_string()).collect();
            let message = format!("function {}({}) does not exist", self.entry.name, types.join(", "));
            let report = Report::new(SqlState::UNDEFINED_FUNCTION, message)
                .hint("No function matches the given name and argument types. You might need to add explicit type casts.");
            return Err(DataFusionError::External(Box::new(report)));
        }
        Ok(self.entry.returns.arrow())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        self.return_type(&types)?;
        Ok(Arc::new(self.entry.returns.arrow_field(self.entry.name)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows =
            arguments.args.iter().find_map(|argument| if let ColumnarValue::Array(array) = argument { Some(array.len()) } else { None });
        let constant = rows.is_none();
        let rows = rows.unwrap_or(1);
        let columns = arguments.args.iter().map(|argument| cells(&argument.to_array(rows)?)).collect::<Result<Vec<Vec<Cell>>>>()?;
        let mut answers = Vec::with_capacity(rows);
        let mut row_cells = Vec::with_capacity(columns.len());
        for row in 0..rows {
            row_cells.clear();
            row_cells.extend(columns.iter().map(|column| column.get(row).cloned().unwrap_or(Cell::Null)));
            if self.entry.strict && row_cells.contains(&Cell::Null) {
                answers.push(Cell::Null);
            } else {
                answers.push((self.entry.body)(&self.catalog, &row_cells).map_err(|report| DataFusionError::External(Box::new(report)))?);
            }
        }
        let data_type = self.entry.returns.arrow();
        let array = arrow_array(&data_type, answers.iter()).unwrap_or_else(|| new_null_array(&data_type, rows));
        if constant {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// An array's values as cells; what is neither number, text, flag nor list as its text.
fn cells(array: &ArrayRef) -> Result<Vec<Cell>> {
    let by_row =
        |value: &dyn Fn(usize) -> Cell| (0..array.len()).map(|row| if array.is_null(row) { Cell::Null } else { value(row) }).collect();
    Ok(match array.data_type() {
        DataType::Null => vec![Cell::Null; array.len()],
        DataType::Boolean => {
            let flags = array.as_boolean();
            by_row(&|row| Cell::Bool(flags.value(row)))
        }
        integer if integer.is_integer() => {
            let numbers = arrow::compute::cast(array, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            by_row(&|row| Cell::Int(numbers.value(row)))
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let mut found = Vec::with_capacity(array.len());
            for row in 0..array.len() {
                found.push(if array.is_null(row) { Cell::Null } else { Cell::List(cells(&lists.value(row))?) });
            }
            found
        }
        DataType::Struct(_) | DataType::Map(..) => return exec_err!("the function does not take rows"),
        _ => {
            let texts = arrow::compute::cast(array, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            by_row(&|row| Cell::text(texts.value(row)))
        }
    })
}

/// An oid argument: a number, or its text.
fn oid(cell: Option<&Cell>) -> Option<u32> {
    match cell? {
        Cell::Int(number) => u32::try_from(*number).ok(),
        Cell::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A text argument.
fn text(cell: Option<&Cell>) -> Option<&str> {
    match cell? {
        Cell::Text(text) => Some(text),
        _ => None,
    }
}
