//! `$n`: which types a statement's parameters have, and their values once they are bound.
//!
//! A statement is planned when it is parsed (a client wants its columns) and again each time it is executed (a commit
//! made in between must be seen), so values are there the second time only. Where a parameter's type follows from the
//! key, time or argument that it meets, planning notes it as a hint and the statement is planned once more.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::metadata::{FieldMetadata, ScalarAndMetadata};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, LimitClause, Query, Statement, Value, Visit, Visitor};
use parking_lot::Mutex;

use crate::pg_type::PgType;

/// Finds placeholders directly below casts, and those that count rows.
struct Casts<'a> {
    parameters: &'a Parameters,
}

impl Visitor for Casts<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &SqlExpr) -> ControlFlow<()> {
        if let SqlExpr::Cast { expr, data_type, .. } = expression
            && let SqlExpr::Value(value) = expr.as_ref()
            && let Value::Placeholder(placeholder) = &value.value
            && let Some((pg_type, _)) = PgType::from_sql_name(&data_type.to_string())
        {
            self.parameters.hint(placeholder, pg_type.arrow());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let (limit, offset) = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => (limit.as_ref(), offset.as_ref().map(|offset| &offset.value)),
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            None => (None, None),
        };
        let fetch = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref());
        for count in [limit, offset, fetch].into_iter().flatten() {
            if let SqlExpr::Value(value) = count
                && let Value::Placeholder(placeholder) = &value.value
            {
                self.parameters.hint(placeholder, DataType::Int64);
            }
        }
        ControlFlow::Continue(())
    }
}

/// A parameter's field: sixteen bytes are a uuid, since no other type has a width.
fn field(index: usize, data_type: &DataType) -> Field {
    let name = format!("${}", index + 1);
    match data_type {
        DataType::FixedSizeBinary(_) => PgType::UUID.arrow_field(&name),
        other => Field::new(name, other.clone(), true),
    }
}

/// The parameters of one statement.
#[derive(Debug, Default)]
pub struct Parameters {
    /// Declared or found types, by index from 0.
    pub types: Vec<Option<DataType>>,
    /// Their values, when bound.
    pub values: Option<Vec<ScalarValue>>,
    /// Types that the result's columns will be put into, where a statement says so (INSERT).
    pub expected: Vec<DataType>,
    hints: Mutex<BTreeMap<usize, DataType>>,
}

impl Parameters {
    /// Types only: the statement is being parsed.
    pub fn typed(types: Vec<Option<DataType>>) -> Self {
        Self { types, ..Self::default() }
    }

    /// Types and values: it is about to be executed.
    pub fn bound(types: Vec<Option<DataType>>, values: Vec<ScalarValue>) -> Self {
        Self { types, values: Some(values), ..Self::default() }
    }

    /// The same for planning the statement once more.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { types: self.types.clone(), values: self.values.clone(), expected: self.expected.clone(), ..Self::default() }
    }

    /// The same for a query whose columns go into columns of these types.
    #[must_use]
    pub fn expecting(mut self, types: &[DataType]) -> Self {
        self.expected = types.to_vec();
        self
    }

    /// The types as the engine's planner wants them.
    pub fn fields(&self) -> Vec<Option<FieldRef>> {
        self.types.iter().enumerate().map(|(index, data_type)| data_type.as_ref().map(|known| Arc::new(field(index, known)))).collect()
    }

    /// The bound values, each with what its field says besides the type.
    pub fn bound_values(&self) -> Option<Vec<ScalarAndMetadata>> {
        let values = self.values.as_ref()?.iter().enumerate();
        let with_metadata = |(index, value): (usize, &ScalarValue)| {
            let field = field(index, &value.data_type());
            let metadata = (!field.metadata().is_empty()).then(|| FieldMetadata::from(&field));
            ScalarAndMetadata::new(value.clone(), metadata)
        };
        Some(values.map(with_metadata).collect())
    }

    /// The index of `$n`.
    pub fn index(placeholder: &str) -> Option<usize> {
        placeholder.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
    }

    /// Notes that a parameter without a type meets one.
    pub fn hint(&self, placeholder: &str, data_type: DataType) {
        if let Some(index) = Self::index(placeholder)
            && self.types.get(index).is_none_or(Option::is_none)
        {
            self.hints.lock().entry(index).or_insert(data_type);
        }
    }

    /// Notes the types that the statement's own casts give: `$1::bigint[]` is a `bigint[]`.
    pub fn hint_casts(&self, statement: &Statement) {
        let _ = statement.visit(&mut Casts { parameters: self });
    }

    /// Notes that the parameters which make up column `column` of `plan` meet this type.
    pub fn hint_column(&self, plan: &LogicalPlan, column: usize, data_type: &DataType) {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.hint_column(&alias.input, column, data_type),
            LogicalPlan::Filter(filter) => self.hint_column(&filter.input, column, data_type),
            LogicalPlan::Sort(sort) => self.hint_column(&sort.input, column, data_type),
            LogicalPlan::Limit(limit) => self.hint_column(&limit.input, column, data_type),
            LogicalPlan::Projection(projection) => {
                if let Some(expression) = projection.expr.get(column) {
                    self.hint_expression(expression, Some(&projection.input), data_type);
                }
            }
            LogicalPlan::Values(values) => {
                for row in &values.values {
                    if let Some(expression) = row.get(column) {
                        self.hint_expression(expression, None, data_type);
                    }
                }
            }
            LogicalPlan::Union(union) => union.inputs.iter().for_each(|input| self.hint_column(input, column, data_type)),
            _ => {}
        }
    }

    fn hint_expression(&self, expression: &Expr, input: Option<&LogicalPlan>, data_type: &DataType) {
        match expression {
            Expr::Alias(alias) => self.hint_expression(&alias.expr, input, data_type),
            Expr::Placeholder(placeholder) if placeholder.field.is_none() => self.hint(&placeholder.id, data_type.clone()),
            Expr::Column(column) => {
                if let Some(input) = input
                    && let Ok(index) = input.schema().index_of_column(column)
                {
                    self.hint_column(input, index, data_type);
                }
            }
            _ => {}
        }
    }

    /// The value of `$n`, if bound.
    pub fn value(&self, placeholder: &str) -> Option<&ScalarValue> {
        self.values.as_ref()?.get(Self::index(placeholder)?)
    }

    /// The types with the hints filled in, if there were any new ones.
    pub fn hinted(&self) -> Option<Vec<Option<DataType>>> {
        let hints = self.hints.lock();
        if hints.is_empty() {
            return None;
        }
        let mut types = self.types.clone();
        for (index, data_type) in hints.iter() {
            if types.len() <= *index {
                types.resize(index + 1, None);
            }
            types[*index].get_or_insert_with(|| data_type.clone());
        }
        Some(types)
    }

    /// All parameters' types: declared, hinted, or inferred by the engine from the plan; text where nothing says.
    pub fn complete(&self, plan: &LogicalPlan) -> Result<Vec<DataType>> {
        let mut types = self.hinted().unwrap_or_else(|| self.types.clone());
        for (name, inferred) in plan.get_parameter_types()? {
            let Some(index) = Self::index(&name) else { continue };
            if types.len() <= index {
                types.resize(index + 1, None);
            }
            if types[index].is_none() {
                types[index] = inferred.filter(|found| *found != DataType::Null);
            }
        }
        Ok(types.into_iter().map(|known| known.unwrap_or(DataType::Utf8)).collect())
    }
}
