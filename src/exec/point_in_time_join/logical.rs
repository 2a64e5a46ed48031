//! [`PointInTimeJoin`]: the join as a node of the logical plan.
//!
//! The entity rows are its only input. Their key and time columns are the node's expressions, so the optimizer sees what the
//! node uses of them, narrows them, and hands the columns back under their new numbers. Filters and limits on entity columns
//! pass below the node: rows out are rows in. What the optimizer cannot do for an extension, dropping features that nobody reads,
//! [`PruneFeatures`](super::PruneFeatures) does.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::{Column, DFSchema, DFSchemaRef, TableReference};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use super::error::JoinError;
use super::lookup::{EntityTime, Lookup, OutputColumn};
use super::metrics::TieCounter;

/// Entity rows, each with the features that were current at its time.
#[derive(Debug, Clone)]
pub struct PointInTimeJoin {
    entity_rows: LogicalPlan,
    entity_time: EntityTime,
    lookups: Vec<Lookup>,
    outputs: Vec<OutputColumn>,
    ties: Arc<TieCounter>,
    schema: DFSchemaRef,
}

impl PointInTimeJoin {
    /// Joins `outputs` of `lookups` to `entity_rows`. The schema is the entity rows' columns, as they are, then `outputs` in their
    /// order: unqualified, nullable, of their source's types and field metadata.
    pub fn try_new(entity_rows: LogicalPlan, entity_time: EntityTime, lookups: Vec<Lookup>, outputs: Vec<OutputColumn>) -> Result<Self> {
        let input = entity_rows.schema();
        entity_time.validate(input.as_arrow())?;
        for lookup in &lookups {
            lookup.validate(input.as_arrow())?;
        }
        let mut fields: Vec<(Option<TableReference>, Arc<Field>)> =
            input.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        for output in &outputs {
            fields.push((None, Arc::new(output_field(&lookups, output)?)));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, input.metadata().clone())?);
        Ok(Self { entity_rows, entity_time, lookups, outputs, ties: Arc::default(), schema })
    }

    /// The same, counting into `ties`: the session reads it after the statement for its NOTICE.
    #[must_use]
    pub fn with_tie_counter(mut self, ties: Arc<TieCounter>) -> Self {
        self.ties = ties;
        self
    }

    /// As a logical plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The entity rows.
    pub fn entity_rows(&self) -> &LogicalPlan {
        &self.entity_rows
    }

    /// As of when each entity row asks.
    pub fn entity_time(&self) -> &EntityTime {
        &self.entity_time
    }

    /// The sources of features.
    pub fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// What is wanted of them.
    pub fn outputs(&self) -> &[OutputColumn] {
        &self.outputs
    }

    pub(super) fn ties(&self) -> &Arc<TieCounter> {
        &self.ties
    }

    /// The same with the outputs that `keep` names (by position) only; lookups that nobody reads go with them.
    pub(super) fn narrowed(&self, keep: impl Fn(usize) -> bool) -> Result<Self> {
        let mut outputs: Vec<OutputColumn> =
            self.outputs.iter().enumerate().filter(|(place, _)| keep(*place)).map(|(_, output)| output.clone()).collect();
        let used: HashSet<usize> = outputs.iter().map(|output| output.lookup).collect();
        let mut lookups = Vec::with_capacity(used.len());
        let mut moved = vec![0; self.lookups.len()];
        for (place, lookup) in self.lookups.iter().enumerate() {
            if used.contains(&place) {
                moved[place] = lookups.len();
                lookups.push(lookup.clone());
            }
        }
        for output in &mut outputs {
            output.lookup = moved.get(output.lookup).copied().unwrap_or_default();
        }
        let narrowed = Self::try_new(self.entity_rows.clone(), self.entity_time.clone(), lookups, outputs)?;
        Ok(narrowed.with_tie_counter(Arc::clone(&self.ties)))
    }

    /// The entity columns that the join itself reads, each once: time first, then keys.
    fn entity_columns(&self) -> Vec<usize> {
        let time = match &self.entity_time {
            EntityTime::Column(column) => Some(*column),
            EntityTime::Constant(_) => None,
        };
        let mut columns = Vec::new();
        for column in time.into_iter().chain(self.lookups.iter().flat_map(|lookup| lookup.on.iter().map(|pair| pair.0))) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }
}

/// The field of an output column.
pub(super) fn output_field(lookups: &[Lookup], output: &OutputColumn) -> std::result::Result<Field, JoinError> {
    let missing = |column| JoinError::NoSuchColumn { lookup: output.name.clone(), side: "the feature rows", column };
    let lookup = lookups.get(output.lookup).ok_or_else(|| missing(output.lookup))?;
    let schema = lookup.rows.schema();
    let field = schema.fields().get(output.column).ok_or_else(|| missing(output.column))?;
    Ok(field.as_ref().clone().with_name(&output.name).with_nullable(true))
}

impl PartialEq for PointInTimeJoin {
    fn eq(&self, other: &Self) -> bool {
        self.entity_rows == other.entity_rows
            && self.entity_time == other.entity_time
            && self.lookups == other.lookups
            && self.outputs == other.outputs
            && Arc::ptr_eq(&self.ties, &other.ties)
    }
}

impl Eq for PointInTimeJoin {}

impl PartialOrd for PointInTimeJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl Hash for PointInTimeJoin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entity_rows.hash(state);
        self.entity_time.hash(state);
        self.lookups.hash(state);
        self.outputs.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for PointInTimeJoin {
    fn name(&self) -> &str {
        "PointInTimeJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.entity_rows]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let schema = self.entity_rows.schema();
        self.entity_columns().into_iter().map(|column| Expr::Column(Column::from(schema.qualified_field(column)))).collect()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.outputs.iter().map(|output| output.name.clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("PointInTimeJoin: ")?;
        let entity = self.entity_rows.schema();
        describe(f, entity.as_arrow(), &self.entity_time, &self.lookups, &self.outputs)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(entity_rows), true) = (inputs.pop(), inputs.is_empty()) else {
            return Err(DataFusionError::Internal("PointInTimeJoin has exactly one input".into()));
        };
        let columns = self.entity_columns();
        if exprs.len() != columns.len() {
            return Err(DataFusionError::Internal("PointInTimeJoin was given other expressions than its own".into()));
        }
        // The input may have been narrowed or rearranged: each column is found again by the expression that stood for it.
        let mut moved = Vec::with_capacity(columns.len());
        for (column, expr) in columns.into_iter().zip(exprs) {
            let Expr::Column(name) = &expr else {
                return Err(DataFusionError::Internal(format!("PointInTimeJoin takes columns only, not {expr}")));
            };
            moved.push((column, entity_rows.schema().index_of_column(name)?));
        }
        let place = |column: usize| moved.iter().find(|pair| pair.0 == column).map_or(column, |pair| pair.1);
        let entity_time = match &self.entity_time {
            EntityTime::Column(column) => EntityTime::Column(place(*column)),
            constant => constant.clone(),
        };
        let mut lookups = self.lookups.clone();
        for lookup in &mut lookups {
            for pair in &mut lookup.on {
                pair.0 = place(pair.0);
            }
        }
        let join = Self::try_new(entity_rows, entity_time, lookups, self.outputs.clone())?;
        Ok(join.with_tie_counter(Arc::clone(&self.ties)))
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let entity_columns = self.entity_rows.schema().fields().len();
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|column| *column < entity_columns).collect();
        needed.extend(self.entity_columns());
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}

/// One line for EXPLAIN, of the logical and of the physical node.
pub(super) fn describe(
    f: &mut fmt::Formatter,
    entity: &arrow::datatypes::Schema,
    time: &EntityTime,
    lookups: &[Lookup],
    outputs: &[OutputColumn],
) -> fmt::Result {
    let name =
        |schema: &arrow::datatypes::Schema, column: usize| schema.fields().get(column).map_or("?".into(), |field| field.name().clone());
    let time = match time {
        EntityTime::Column(column) => name(entity, *column),
        EntityTime::Constant(value) => value.to_string(),
    };
    write!(f, "time={time}, lookups=[")?;
    for (place, lookup) in lookups.iter().enumerate() {
        let rows = lookup.rows.schema();
        if place > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{}: rows={}", lookup.name, lookup.rows.describe())?;
        let pairs: Vec<String> =
            lookup.on.iter().map(|(left, right)| format!("{} = {}", name(entity, *left), name(&rows, *right))).collect();
        write!(f, " on=[{}]", pairs.join(", "))?;
        let timestamp = name(&rows, lookup.timestamp);
        match lookup.ttl {
            Some(ttl) => write!(f, " window=[{time} - {} <= {timestamp} <= {time}]", super::instant::interval_words(ttl))?,
            None => write!(f, " window=[{timestamp} <= {time}]")?,
        }
        if let (true, Some(created)) = (lookup.filter_by_created, lookup.created) {
            write!(f, " known=[{} <= {time}]", name(&rows, created))?;
        }
        if let Some(column) = lookup.valid_until {
            write!(f, " valid_until={}", name(&rows, column))?;
        }
        let columns: Vec<String> =
            outputs.iter().filter(|output| output.lookup == place).map(|output| name(&rows, output.column)).collect();
        write!(f, " columns=[{}] operator={}", columns.join(", "), if lookup.rows.can_fetch() { "fetch winners" } else { "keep winners" })?;
        if let Some((_, first)) = lookups.iter().enumerate().take(place).find(|(_, earlier)| earlier.shares_pass(lookup)) {
            write!(f, " pass of {}", first.name)?;
        }
    }
    f.write_str("]")
}
