//! Reading a field of a struct without the struct: `(s).a.b` over a column `s` reads that leaf of each file, and no other.
//!
//! The engine puts such accesses right above a scan as a projection of `get_field` calls. [`StructLeaf::of`] recognises one; the
//! scan takes the projection in (`scan_exec`), and for each file the access becomes one over the file's own struct, by field ids
//! at every step ([`StructLeaf::in_file`]): the file's names may be others. Where a step is not in the file, or its name is not
//! unique there, the whole column is read as before.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::core::getfield::GetFieldFunc;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::field_ids::field_id;

/// An access to a field inside a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructLeaf {
    /// The column.
    pub column: Column,
    /// The names of the fields, outermost first.
    pub path: Vec<String>,
}

impl StructLeaf {
    /// The access that this expression is, if it is one.
    pub fn of(expr: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        let call = ScalarFunctionExpr::try_downcast_func::<GetFieldFunc>(expr.as_ref())?;
        let (base, names) = call.args().split_first()?;
        let names = names.iter().map(|name| {
            let name = name.downcast_ref::<Literal>()?.value().try_as_str()??;
            Some(name.to_owned())
        });
        let names = names.collect::<Option<Vec<_>>>()?;
        let mut leaf = match base.downcast_ref::<Column>() {
            Some(column) => Self { column: column.clone(), path: Vec::new() },
            None => Self::of(base)?,
        };
        leaf.path.extend(names);
        Some(leaf)
    }

    /// The field itself in the column's type: one that is not nested.
    pub fn field<'a>(&self, column: &'a Field) -> Option<&'a FieldRef> {
        let (last, structs) = self.path.split_last()?;
        let mut fields = fields_of(column)?;
        for name in structs {
            fields = fields_of(only(fields, name)?)?;
        }
        only(fields, last).filter(|leaf| !leaf.data_type().is_nested())
    }

    /// The same access over the file's column of this index, and the file's leaf; none where the file does not have it.
    pub fn in_file(&self, table: &Field, file: &Schema, index: usize) -> Option<(Vec<String>, FieldRef)> {
        let (mut of_table, mut of_file) = (fields_of(table)?, fields_of(file.field(index))?);
        let mut path = Vec::with_capacity(self.path.len());
        for (at, name) in self.path.iter().enumerate() {
            let wanted = only(of_table, name)?;
            let found = of_file.iter().find(|field| field_id(field).is_some() && field_id(field) == field_id(wanted))?;
            only(of_file, found.name())?;
            path.push(found.name().clone());
            if at + 1 == self.path.len() {
                return (!found.data_type().is_nested()).then(|| (path, Arc::clone(found)));
            }
            (of_table, of_file) = (fields_of(wanted)?, fields_of(found)?);
        }
        None
    }
}

/// `get_field` over a column of a file.
pub fn get_field(file: &Schema, index: usize, path: &[String]) -> Result<Arc<dyn PhysicalExpr>> {
    let mut arguments: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new(file.field(index).name(), index))];
    for name in path {
        arguments.push(Arc::new(Literal::new(ScalarValue::Utf8(Some(name.clone())))));
    }
    Ok(Arc::new(ScalarFunctionExpr::try_new(datafusion::functions::core::get_field(), arguments, file, Arc::default())?))
}

fn fields_of(field: &Field) -> Option<&Fields> {
    match field.data_type() {
        DataType::Struct(fields) => Some(fields),
        _ => None,
    }
}

/// The field of this name, if it is the only one.
fn only<'a>(fields: &'a Fields, name: &str) -> Option<&'a FieldRef> {
    let mut named = fields.iter().filter(|field| field.name() == name);
    named.next().filter(|_| named.next().is_none())
}
