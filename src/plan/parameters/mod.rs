//! `$n`: which types a statement's parameters have, and their values once they are bound.
//!
//! A statement is planned when it is parsed (a client wants its columns) and again each time it is executed (a commit
//! made in between must be seen), so values are there the second time only. Where a parameter's type follows from the
//! key, time or argument that it meets, planning notes it as a hint and the statement is planned once more.
//!
//! Three places give hints, as PostgreSQL's parser takes them: the statement's text ([`written`]: casts, row counts, arguments of
//! functions), operators while they are planned ([`operators`]), and the plan ([`inferred`]: what has to be of one type).

mod inferred;
mod operators;
mod signatures;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::metadata::{FieldMetadata, ScalarAndMetadata};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::Statement;
use parking_lot::Mutex;

use crate::catalog::{Catalog, object_id};
use crate::pg_type::{PG_TYPE_KEY, PgType};
use crate::plan::context::external;

/// A parameter's field under the name of a type that shares its representation with others.
fn named_field(index: usize, data_type: &DataType, name: Option<&PgType>) -> Field {
    match name {
        Some(pg_type) => {
            let field = pg_type.arrow_field(&format!("${}", index + 1)).with_data_type(data_type.clone());
            // Of several dimensions it would not be known for an array.
            let named = [(PG_TYPE_KEY.to_owned(), pg_type.name().to_owned())];
            if PgType::of(&field) == *pg_type { field } else { field.with_metadata(named.into()) }
        }
        None => field(index, data_type),
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

/// The oid of an object whose name a client has sent.
fn object(value: &ScalarValue, name: Option<&PgType>, catalog: Option<&Arc<Catalog>>) -> Result<ScalarValue> {
    let (ScalarValue::Utf8(Some(text)), Some(pg_type), Some(catalog)) = (value, name.filter(|name| name.is_named_oid()), catalog) else {
        return Ok(value.clone());
    };
    object_id(&format!("{}in", pg_type.name()), text, catalog).map(ScalarValue::UInt32).map_err(external)
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
    /// PostgreSQL's names of types that share their representation with another (`varchar`, `json`, `name`).
    names: Mutex<BTreeMap<usize, PgType>>,
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

    /// The same of parameters that are called this.
    #[must_use]
    pub fn named(self, names: impl IntoIterator<Item = Option<PgType>>) -> Self {
        let shares = |pg_type: &PgType| pg_type.element().is_some() || PgType::of_data_type(&pg_type.arrow()) != *pg_type;
        let names = names.into_iter().enumerate().filter_map(|(index, name)| Some((index, name.filter(shares)?)));
        self.names.lock().extend(names);
        self
    }

    /// The same for planning the statement once more.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            types: self.types.clone(),
            values: self.values.clone(),
            expected: self.expected.clone(),
            names: Mutex::new(self.names.lock().clone()),
            ..Self::default()
        }
    }

    /// The same for a query whose columns go into columns of these types.
    #[must_use]
    pub fn expecting(mut self, types: &[DataType]) -> Self {
        self.expected = types.to_vec();
        self
    }

    /// The same for planning the statement with the types that were found; none if nothing new was found.
    pub fn refined(&self) -> Option<Self> {
        let types = self.hinted()?;
        Some(Self { types, names: Mutex::new(self.names.lock().clone()), expected: self.expected.clone(), ..Self::default() })
    }

    /// The types as the engine's planner wants them. A bound numeric's is its own.
    pub fn fields(&self) -> Vec<Option<FieldRef>> {
        let names = self.names.lock();
        let own = |index: usize| self.values.as_ref()?.get(index).map(ScalarValue::data_type).filter(DataType::is_decimal);
        let known = |(index, declared): (usize, &Option<DataType>)| {
            let declared = declared.as_ref()?;
            let data_type = if declared.is_decimal() { own(index) } else { None };
            Some(Arc::new(named_field(index, data_type.as_ref().unwrap_or(declared), names.get(&index))))
        };
        self.types.iter().enumerate().map(known).collect()
    }

    /// The bound values, each with what its field says besides the type. The name of an object is its oid, if there is a catalog.
    pub fn bound_values(&self, catalog: Option<&Arc<Catalog>>) -> Result<Option<Vec<ScalarAndMetadata>>> {
        let Some(values) = self.values.as_ref() else { return Ok(None) };
        let names = self.names.lock();
        let with_metadata = |(index, value): (usize, &ScalarValue)| {
            let name = names.get(&index);
            let value = &object(value, name, catalog)?;
            let field = named_field(index, &value.data_type(), name);
            let metadata = (!field.metadata().is_empty()).then(|| FieldMetadata::from(&field));
            Ok(ScalarAndMetadata::new(value.clone(), metadata))
        };
        values.iter().enumerate().map(with_metadata).collect::<Result<_>>().map(Some)
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

    /// The same, under PostgreSQL's name.
    fn hint_named(&self, placeholder: &str, pg_type: PgType) {
        let Some(index) = Self::index(placeholder) else { return };
        if self.is_open(index) {
            self.hints.lock().insert(index, pg_type.arrow());
            self.names.lock().insert(index, pg_type);
        }
    }

    /// Whether nothing is known of a parameter yet.
    fn is_open(&self, index: usize) -> bool {
        self.types.get(index).is_none_or(Option::is_none) && !self.hints.lock().contains_key(&index)
    }

    /// Notes the types that follow from the statement's own words: `$1::bigint[]` is a `bigint[]`.
    pub fn hint_written(&self, statement: &Statement) {
        written::hint(self, statement);
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
            Expr::Placeholder(placeholder) => self.hint(&placeholder.id, data_type.clone()),
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
    pub fn complete(&self, plan: &LogicalPlan) -> Result<Vec<FieldRef>> {
        let mut types = self.hinted().unwrap_or_else(|| self.types.clone());
        let mut names = self.names.lock();
        for (name, inferred) in plan.get_parameter_fields()? {
            let Some(index) = Self::index(&name) else { continue };
            if types.len() <= index {
                types.resize(index + 1, None);
            }
            if types[index].is_none() {
                let inferred = inferred.filter(|found| *found.data_type() != DataType::Null);
                if let Some(field) = inferred.as_ref().filter(|field| field.metadata().contains_key(PG_TYPE_KEY)) {
                    names.insert(index, operators::same(PgType::of(field)));
                }
                types[index] = inferred.map(|field| field.data_type().clone());
            }
        }
        let named = |(index, known): (usize, Option<DataType>)| match names.get(&index) {
            Some(pg_type) => Arc::new(pg_type.arrow_field(&format!("${}", index + 1))),
            None => Arc::new(field(index, &known.unwrap_or(DataType::Utf8))),
        };
        Ok(types.into_iter().enumerate().map(named).collect())
    }
}
