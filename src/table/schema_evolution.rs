//! Columns by field id: expressions over the table's schema become expressions over one file's.
//!
//! The engine adapts schemas by name, which is wrong for a renamed, swapped or re-added column. Inside a scan every column is
//! therefore called by its id (`#7`), so that no name of a file can match by accident, and this adapter finds the
//! file's column of that id: as it is, promoted, reshaped (nested types), or, where the file has none, the field's
//! initial default or NULL.
//!
//! Two things are kept from the engine's statistics pruning, because it would prune rows that match: floats (Parquet's
//! bounds leave NaN out, but NaN is greater than everything), and reshaped columns (their bounds are of another type, or times in
//! another unit).
//! The price is that a filter on a float prunes by the manifest only, where NaN counts are known.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use hashbrown::HashMap;

use super::column_words::path;
use super::error::{TableError, external};
use super::field_ids::{FIELD_ID, any_field_id, bare_fields, field_id, map_names, shown};
use super::reshape::{Defaults, EXACT_CAST, Shape, shown_missing_value};
use super::schema::unsupported_type;
use super::struct_leaves::{StructLeaf, get_field};
use crate::source::iceberg::NameMapping;

/// Key of a file's schema metadata under which the reader factory puts the file's URL: for error messages, and to find its partition by.
pub const FILE_URL: &str = "featgres.file";

/// The name that the column of this id has inside a scan.
pub fn inner_name(id: i32) -> String {
    format!("#{id}")
}

/// For files by their URLs: values of fields by id, `None` for NULL.
pub type PartitionValues = HashMap<String, HashMap<i32, Option<ScalarValue>>>;

/// Makes an adapter for each file of a scan.
#[derive(Debug)]
pub struct FieldIdAdapterFactory {
    /// The scan's columns by their names inside it, with ids at every depth.
    pub columns: Arc<HashMap<String, FieldRef>>,
    /// What the table calls them, for error messages.
    pub names: Arc<HashMap<String, String>>,
    /// Initial defaults by field id.
    pub defaults: Arc<Defaults>,
    /// What fields inside structs have instead in files that lack them, because their partition says it.
    pub partition: Arc<PartitionValues>,
    /// For files without ids.
    pub name_mapping: Option<Arc<NameMapping>>,
    /// Whether it is for all files: their ids are of no one table.
    pub by_name: bool,
}

impl PhysicalExprAdapterFactory for FieldIdAdapterFactory {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let url = || physical.metadata().get(FILE_URL).cloned().unwrap_or_default();
        for (index, field) in physical.fields().iter().enumerate() {
            if physical.fields()[..index].iter().any(|other| other.name() == field.name()) {
                return Err(external(TableError::DuplicateFileColumn { url: url(), column: field.name().clone() }));
            }
        }
        // Virtual columns (the row number) stand in both schemas and have no id.
        let stored = physical.fields().iter().filter(|field| logical.field_with_name(field.name()).is_err()).cloned().collect();
        let own_ids = !self.by_name && any_field_id(&stored);
        let fields = if own_ids {
            physical.fields().clone()
        } else if let Some(mapping) = &self.name_mapping {
            map_names(&if self.by_name { bare_fields(physical.fields()) } else { physical.fields().clone() }, &mapping.fields)
        } else {
            physical.fields().clone()
        };
        let unknown = self.name_mapping.is_none() && !own_ids;
        let file = Arc::new(Schema::new_with_metadata(fields, physical.metadata().clone()));
        let (columns, names, mut defaults) = (Arc::clone(&self.columns), Arc::clone(&self.names), Arc::clone(&self.defaults));
        for (id, value) in physical.metadata().get(FILE_URL).and_then(|url| self.partition.get(url)).into_iter().flatten() {
            let defaults = Arc::make_mut(&mut defaults);
            match value {
                Some(value) => defaults.insert(*id, value.clone()),
                None => defaults.remove(id),
            };
        }
        Ok(Arc::new(FieldIdAdapter { columns, names, file, unknown, defaults }))
    }
}

/// The adapter for one file.
#[derive(Debug)]
struct FieldIdAdapter {
    columns: Arc<HashMap<String, FieldRef>>,
    names: Arc<HashMap<String, String>>,
    /// The file's schema, with ids.
    file: SchemaRef,
    /// Nothing says which column is which: an error only for a query that asks for one.
    unknown: bool,
    defaults: Arc<Defaults>,
}

impl PhysicalExprAdapter for FieldIdAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform_down(|node| {
            if let Some(leaf) = self.leaf(&node)? {
                return Ok(Transformed::new(leaf, true, TreeNodeRecursion::Jump));
            }
            match node.downcast_ref::<Column>() {
                Some(column) => Ok(Transformed::new(self.column(column)?, true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(node)),
            }
        })
        .data()
    }
}

impl FieldIdAdapter {
    /// A field of a struct that the file has: read alone.
    fn leaf(&self, node: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(leaf) = StructLeaf::of(node) else { return Ok(None) };
        let Some(table) = self.columns.get(leaf.column.name()) else { return Ok(None) };
        let (Some(id), Some(wanted)) = (field_id(table), leaf.field(table)) else { return Ok(None) };
        let inside = leaf.path.join(".");
        if let Some((_, name)) = unsupported_type(wanted) {
            let column = self.name(leaf.column.name(), &inside);
            return Err(external(TableError::UnsupportedType { column, name: name.to_owned() }));
        }
        if self.unknown || *wanted.data_type() == DataType::Null {
            return Ok(None);
        }
        let found = self.file.fields().iter().position(|field| field_id(field) == Some(id));
        if found.is_none() && !self.defaults.contains_key(&id) {
            return Ok(Some(Arc::new(Literal::new(ScalarValue::try_new_null(wanted.data_type())?))));
        }
        let Some((index, (path, stored))) = found.and_then(|index| Some((index, leaf.in_file(table, &self.file, index)?))) else {
            return Ok(None);
        };
        let shape = self.shape(&stored, wanted, &self.name(leaf.column.name(), &inside))?;
        let source = get_field(&self.file, index, &path)?;
        Ok(Some(match shape {
            Shape::Same if !wanted.data_type().is_floating() => source,
            shape => Arc::new(ReshapedColumn { source, shape, field: Arc::new(wanted.as_ref().clone().with_nullable(true)) }),
        }))
    }

    /// What the table calls a scan's column, or the field of this path inside it.
    fn name(&self, column: &str, inside: &str) -> String {
        path(self.names.get(column).map_or(column, String::as_str), inside)
    }

    /// How to read the file's field as the table's, which users know by this name.
    fn shape(&self, file: &Field, table: &Field, name: &str) -> Result<Shape> {
        Shape::between(file, table, &self.defaults).map_err(|mismatch| {
            let url = self.file.metadata().get(FILE_URL).cloned().unwrap_or_default();
            external(TableError::FileType {
                url,
                column: path(name, &mismatch.inside),
                file_type: mismatch.file_type,
                table_type: mismatch.table_type,
            })
        })
    }

    fn column(&self, column: &Column) -> Result<Arc<dyn PhysicalExpr>> {
        // Virtual columns have no id.
        let Some((table, id)) = self.columns.get(column.name()).and_then(|table| Some((table, field_id(table)?))) else {
            return Ok(Arc::new(Column::new_with_schema(column.name(), &self.file)?));
        };
        if let Some((inside, name)) = unsupported_type(table) {
            let column = self.name(column.name(), &inside);
            return Err(external(TableError::UnsupportedType { column, name: name.to_owned() }));
        }
        if self.unknown {
            let url = self.file.metadata().get(FILE_URL).cloned().unwrap_or_default();
            return Err(external(TableError::NoFieldIds { url }));
        }
        let found = self.file.fields().iter().position(|field| field_id(field) == Some(id));
        let Some(index) = found.filter(|_| *table.data_type() != DataType::Null) else {
            return Ok(Arc::new(Literal::new(shown_missing_value(table, &self.defaults))));
        };
        let file = self.file.field(index);
        let shape = self.shape(file, table, &self.name(column.name(), ""))?;
        let source: Arc<dyn PhysicalExpr> = Arc::new(Column::new(file.name(), index));
        Ok(match shape {
            Shape::Same if !table.data_type().is_floating() => source,
            Shape::Promoted(to) if casts_back(file.data_type(), &to) => {
                let target = Arc::new(Field::new(table.name(), to, true));
                Arc::new(CastExpr::new_with_target_field(source, target, Some(EXACT_CAST)))
            }
            shape => Arc::new(ReshapedColumn { source, shape, field: shown(table) }),
        })
    }
}

/// Whether the engine may take a cast of a column apart, and compare the column itself with a constant that is cast back to the file's
/// type: it cuts a time to the file's unit, and then finds equal what is not.
fn casts_back(from: &DataType, to: &DataType) -> bool {
    let coarser = matches!(from, DataType::Timestamp(..) | DataType::Time32(_));
    !coarser && !to.is_floating() && !matches!(to, DataType::Utf8 | DataType::Binary)
}

/// A column that is more than a cast, or that statistics must not be applied to.
#[derive(Debug, Clone)]
struct ReshapedColumn {
    source: Arc<dyn PhysicalExpr>,
    shape: Shape,
    field: FieldRef,
}

impl PartialEq for ReshapedColumn {
    fn eq(&self, other: &Self) -> bool {
        self.source.eq(&other.source) && self.shape == other.shape && self.field == other.field
    }
}

impl Eq for ReshapedColumn {}

impl Hash for ReshapedColumn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.shape.hash(state);
    }
}

impl fmt::Display for ReshapedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.metadata().get(FIELD_ID) {
            Some(id) => write!(f, "field({}, {id})", self.source),
            None => write!(f, "field({})", self.source),
        }
    }
}

impl PhysicalExpr for ReshapedColumn {
    fn return_field(&self, _input_schema: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn data_type(&self, _input_schema: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn nullable(&self, _input_schema: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let source = self.source.evaluate(batch)?.into_array(batch.num_rows())?;
        self.shape.apply(&source).map(ColumnarValue::Array)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.source]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(source), true) => Ok(Arc::new(Self { source, ..self.as_ref().clone() })),
            _ => Err(DataFusionError::Internal("a reshaped column has one source".to_owned())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
