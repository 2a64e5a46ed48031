//! `percentile_disc(…)` and `mode()` WITHIN GROUP: one of the values, as they are sorted.
//!
//! All values of a group are held until its end, as in PostgreSQL; what they take is counted against the statement's memory.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, make_array, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, cast, concat, filter, is_not_null, partition, sort};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::scalar::copy_array_data;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::named::with_name;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// Both.
pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    [Kind::Percentile, Kind::Mode]
        .map(|kind| Arc::new(AggregateUDF::new_from_impl(OrderedSet { kind, signature: Signature::user_defined(Volatility::Immutable) })))
        .to_vec()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Percentile,
    Mode,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderedSet {
    kind: Kind,
    signature: Signature,
}

fn external(report: Report) -> DataFusionError {
    DataFusionError::External(Box::new(report))
}

impl AggregateUDFImpl for OrderedSet {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Percentile => "percentile_disc",
            Kind::Mode => "mode",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match (self.kind, arguments) {
            (Kind::Percentile, [value, fraction]) if fraction.is_numeric() => Ok(vec![value.clone(), DataType::Float64]),
            (Kind::Mode, [value]) => Ok(vec![value.clone()]),
            _ => {
                let types: Vec<String> = arguments.iter().map(|argument| PgType::of_data_type(argument).to_string()).collect();
                let message = format!("function {}({}) does not exist", self.name(), types.join(", "));
                Err(external(Report::new(SqlState::UNDEFINED_FUNCTION, message)))
            }
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("an ordered set of nothing".into()))
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let types: Vec<DataType> = arguments.iter().map(|field| field.data_type().clone()).collect();
        let field = Arc::new(Field::new(self.name(), self.return_type(&types)?, true));
        Ok(with_name(&field, arguments.first().map(|value| PgType::of(value))))
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let item = Field::new("item", arguments.return_field.data_type().clone(), true);
        Ok(vec![
            Arc::new(Field::new("values", DataType::List(Arc::new(item)), true)),
            Arc::new(Field::new("fraction", DataType::Float64, true)),
        ])
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let descending = arguments.order_bys.first().is_some_and(|order| order.options.descending);
        Ok(Box::new(Values {
            kind: self.kind,
            data_type: arguments.return_field.data_type().clone(),
            descending,
            fraction: None,
            batches: Vec::new(),
        }))
    }
}

/// The values of one group.
#[derive(Debug)]
struct Values {
    kind: Kind,
    data_type: DataType,
    descending: bool,
    fraction: Option<f64>,
    batches: Vec<ArrayRef>,
}

impl Values {
    fn take(&mut self, values: &ArrayRef) -> Result<()> {
        let known = filter(values, &is_not_null(values)?)?;
        if !known.is_empty() {
            // Of its own: what is filtered may be a piece of a batch, which it would hold, and be counted for, as a whole.
            self.batches.push(make_array(copy_array_data(&known.to_data())));
        }
        Ok(())
    }

    fn all(&self) -> Result<ArrayRef> {
        if self.batches.is_empty() {
            return Ok(new_empty_array(&self.data_type));
        }
        Ok(concat(&self.batches.iter().map(|batch| batch.as_ref()).collect::<Vec<_>>())?)
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let Some(fractions) = values.get(1)
            && let Some(fraction) = cast(fractions, &DataType::Float64)?.as_primitive::<Float64Type>().iter().flatten().next()
        {
            if !(0.0..=1.0).contains(&fraction) {
                let message = format!("percentile value {fraction} is not between 0 and 1");
                return Err(external(Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)));
            }
            self.fraction = Some(fraction);
        }
        values.first().map_or(Ok(()), |values| self.take(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let options = SortOptions { descending: self.descending, nulls_first: false };
        let sorted = sort(&self.all()?, Some(options))?;
        let place = match (self.kind, self.fraction) {
            _ if sorted.is_empty() => None,
            (Kind::Percentile, fraction) => fraction.map(|fraction| ((fraction * sorted.len() as f64).ceil() as usize).max(1) - 1),
            (Kind::Mode, _) => {
                let runs = partition(&[Arc::clone(&sorted)])?.ranges();
                // Of several that are as frequent the first.
                runs.into_iter().rev().max_by_key(|run| run.len()).map(|run| run.start)
            }
        };
        match place {
            Some(place) => ScalarValue::try_from_array(&sorted, place.min(sorted.len() - 1)),
            None => ScalarValue::try_from(&self.data_type),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.batches.iter().map(|batch| batch.get_array_memory_size()).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.all()?;
        let item = Arc::new(Field::new("item", self.data_type.clone(), true));
        let list = ListArray::try_new(item, OffsetBuffer::from_lengths([values.len()]), values, None)?;
        Ok(vec![ScalarValue::List(Arc::new(list)), ScalarValue::Float64(self.fraction)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [lists, fractions] = states else { return Err(DataFusionError::Internal("the state of an ordered set".into())) };
        if let Some(fraction) = fractions.as_primitive::<Float64Type>().iter().flatten().next() {
            self.fraction = Some(fraction);
        }
        for values in lists.as_list::<i32>().iter().flatten() {
            self.take(&values)?;
        }
        Ok(())
    }
}
