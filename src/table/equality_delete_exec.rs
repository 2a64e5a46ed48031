//! [`EqualityDeleteExec`]: takes out rows whose key an equality delete names.
//!
//! All equality delete files of a scan are one table in memory: key -> the largest sequence number that deletes it, per
//! set of key columns, globally or for one partition. A row goes when its file's data sequence number is smaller.
//! That makes it one hash lookup per row and key set, whatever the number of delete files, and NULL equals NULL
//! because keys are compared as encoded rows. The table is accounted to the memory pool for as long as the plan lives.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type, Int64Type, SchemaRef, UInt32Type};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, SortField};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::StreamExt;
use hashbrown::HashMap;

use super::scan_exec::flat_columns;
use crate::source::iceberg::NestedField;

/// Number of the scope of deletes that reach every partition.
pub const GLOBAL_SCOPE: u32 = 0;

/// What a key costs besides its own bytes: the box, the number, the table's slack.
const BYTES_PER_KEY: usize = 48;

/// One column of a key: the scan's column that holds it, and how deep it lies in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// The column to scan: its name inside the scan, its type, its field id as metadata.
    pub column: FieldRef,
    /// How many structs to open, always by their only child; 0 for a column that is itself the key.
    pub depth: usize,
    /// The key's own field id.
    pub id: i32,
    /// The table's column that it is, or lies in.
    pub root: Arc<NestedField>,
}

impl KeyColumn {
    /// The key's type.
    pub fn data_type(&self) -> DataType {
        let mut data_type = self.column.data_type();
        for _ in 0..self.depth {
            if let DataType::Struct(children) = data_type
                && let Some(child) = children.first()
            {
                data_type = child.data_type();
            }
        }
        data_type.clone()
    }

    /// The key's values: NULL where a struct around it is. Zeros of both signs are one key, as they are equal in SQL.
    pub fn values(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let mut values = Arc::clone(column);
        for _ in 0..self.depth {
            let Some(rows) = values.as_struct_opt() else { break };
            let Some(child) = rows.columns().first() else { break };
            let child = Arc::clone(child);
            values = match rows.nulls() {
                None => child,
                Some(nulls) => {
                    let hidden = BooleanArray::new(!nulls.inner(), None);
                    arrow::compute::nullif(&child, &hidden)?
                }
            };
        }
        if let Some(numbers) = values.as_primitive_opt::<Float64Type>() {
            values = Arc::new(numbers.unary::<_, Float64Type>(|number| number + 0.0));
        } else if let Some(numbers) = values.as_primitive_opt::<Float32Type>() {
            values = Arc::new(numbers.unary::<_, Float32Type>(|number| number + 0.0));
        }
        Ok(values)
    }
}

type Keys = HashMap<Box<[u8]>, i64, ahash::RandomState>;

/// All deletes by one set of key columns.
#[derive(Debug)]
pub struct KeySet {
    /// The columns, by ascending id.
    pub columns: Vec<KeyColumn>,
    converter: RowConverter,
    by_scope: HashMap<u32, Keys>,
}

impl KeySet {
    /// Deletes nothing yet.
    pub fn new(columns: Vec<KeyColumn>) -> Result<Self> {
        let fields = columns.iter().map(|column| SortField::new(column.data_type())).collect();
        Ok(Self { columns, converter: RowConverter::new(fields)?, by_scope: HashMap::new() })
    }

    /// Deletes these keys from rows older than `sequence_number`; gives the bytes that it now holds more, about.
    pub fn delete(&mut self, keys: &[ArrayRef], scope: u32, sequence_number: i64) -> Result<usize> {
        let rows = self.converter.convert_columns(keys)?;
        let known = self.by_scope.entry(scope).or_default();
        let mut added = 0;
        for row in &rows {
            match known.get_mut(row.data()) {
                Some(newest) => *newest = sequence_number.max(*newest),
                None => {
                    known.insert(row.data().into(), sequence_number);
                    added += row.data().len() + BYTES_PER_KEY;
                }
            }
        }
        Ok(added)
    }

    /// Marks the rows that are deleted.
    fn mark(&self, keys: &[ArrayRef], sequence_numbers: &[i64], scopes: &UInt32Array, deleted: &mut [bool]) -> Result<()> {
        let rows = self.converter.convert_columns(keys)?;
        let global = self.by_scope.get(&GLOBAL_SCOPE);
        for (index, row) in rows.iter().enumerate() {
            let newest = |keys: Option<&Keys>| keys.and_then(|keys| keys.get(row.data()).copied()).unwrap_or(i64::MIN);
            let scoped = self.by_scope.get(&scopes.value(index)).filter(|_| scopes.value(index) != GLOBAL_SCOPE);
            deleted[index] |= newest(global).max(newest(scoped)) > sequence_numbers[index];
        }
        Ok(())
    }
}

/// All equality deletes of a scan.
#[derive(Debug)]
pub struct EqualityDeletes {
    /// One for each set of key columns.
    pub key_sets: Vec<KeySet>,
    /// What they hold of the memory pool, for as long as they live.
    _reservation: MemoryReservation,
}

impl EqualityDeletes {
    /// Of these key sets, which are accounted by this reservation.
    pub fn new(key_sets: Vec<KeySet>, reservation: MemoryReservation) -> Self {
        Self { key_sets, _reservation: reservation }
    }

    /// Ids of keys that are columns.
    pub fn column_ids(&self) -> Vec<i32> {
        let columns = self.key_sets.iter().flat_map(|set| &set.columns).filter(|key| key.depth == 0);
        columns.map(|key| key.id).collect()
    }
}

/// The operator.
#[derive(Debug)]
pub struct EqualityDeleteExec {
    input: Arc<dyn ExecutionPlan>,
    deletes: Arc<EqualityDeletes>,
    outputs: usize,
    /// For each key set the indices of its columns in the input.
    keys: Vec<Vec<usize>>,
    sequence_number: usize,
    scope: usize,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl EqualityDeleteExec {
    /// Over `input`, whose first `outputs` columns are the result; after them come the columns of the keys by their names, the
    /// file's data sequence number and its scope by these names.
    pub fn try_new(
        input: Arc<dyn ExecutionPlan>,
        deletes: Arc<EqualityDeletes>,
        outputs: usize,
        sequence_number: &str,
        scope: &str,
    ) -> Result<Self> {
        let schema = input.schema();
        let hidden = |name: &str| {
            let found = schema.fields().iter().enumerate().skip(outputs).find(|(_, field)| field.name() == name);
            found.map(|(index, _)| index).ok_or_else(|| DataFusionError::Internal(format!("a scan lacks its column \"{name}\"")))
        };
        let keys =
            deletes.key_sets.iter().map(|set| set.columns.iter().map(|key| hidden(key.column.name())).collect()).collect::<Result<_>>()?;
        let (sequence_number, scope) = (hidden(sequence_number)?, hidden(scope)?);
        let visible: Vec<usize> = (0..outputs).collect();
        let output = Arc::new(schema.project(&visible)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&output)),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(Self { input, deletes, outputs, keys, sequence_number, scope, schema: output, properties: Arc::new(properties) })
    }
}

/// What the stream needs of the operator.
struct Matcher {
    deletes: Arc<EqualityDeletes>,
    outputs: usize,
    keys: Vec<Vec<usize>>,
    sequence_number: usize,
    scope: usize,
    schema: SchemaRef,
}

impl Matcher {
    fn live(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut deleted = vec![false; rows];
        let sequence_numbers = batch.column(self.sequence_number).as_primitive::<Int64Type>();
        let scopes = batch.column(self.scope).as_primitive::<UInt32Type>();
        for (set, columns) in self.deletes.key_sets.iter().zip(&self.keys) {
            let keys =
                set.columns.iter().zip(columns).map(|(key, column)| key.values(batch.column(*column))).collect::<Result<Vec<_>>>()?;
            set.mark(&keys, sequence_numbers.values(), scopes, &mut deleted)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = batch.columns()[..self.outputs].to_vec();
        let visible = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        if deleted.contains(&true) {
            let live: BooleanArray = deleted.into_iter().map(|deleted| Some(!deleted)).collect();
            Ok(filter_record_batch(&visible, &live)?)
        } else {
            Ok(visible)
        }
    }
}

impl DisplayAs for EqualityDeleteExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EqualityDeleteExec: keys=[")?;
        for (index, set) in self.deletes.key_sets.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let ids: Vec<String> = set.columns.iter().map(|key| format!("#{}", key.id)).collect();
            write!(f, "{comma}({})", ids.join(", "))?;
        }
        write!(f, "]")
    }
}

impl ExecutionPlan for EqualityDeleteExec {
    fn name(&self) -> &'static str {
        "EqualityDeleteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children).map_err(|_| DataFusionError::Internal("an equality delete has one input".to_owned()))?;
        let schema = input.schema();
        let (sequence_number, scope) = (schema.field(self.sequence_number).name(), schema.field(self.scope).name());
        let (sequence_number, scope) = (sequence_number.clone(), scope.clone());
        Ok(Arc::new(Self::try_new(input, Arc::clone(&self.deletes), self.outputs, &sequence_number, &scope)?))
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let matcher = Matcher {
            deletes: Arc::clone(&self.deletes),
            outputs: self.outputs,
            keys: self.keys.clone(),
            sequence_number: self.sequence_number,
            scope: self.scope,
            schema: Arc::clone(&self.schema),
        };
        let stream = input.map(move |batch| matcher.live(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        // Rows that fail a filter may go before or after their keys are looked up.
        let flat = flat_columns(&self.schema).collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&parent_filters, flat, &self.input)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(child_pushdown_result))
    }
}
