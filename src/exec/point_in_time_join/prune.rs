//! What the entity rows say about the feature rows that can matter: a predicate for the source to prune by.
//!
//! `ts <= max(t)`; with a TTL on every lookup of the pass, `ts >= min(t) - ttl`; with knowledge time, `created <= max(t)`; and per key column
//! the least and greatest key, or the keys themselves if there are few. It holds for every row that can win: rows for which it is false or
//! NULL cannot. Where a bound cannot be expressed in the column's type it is left out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array, make_array};
use arrow::compute::{CastOptions, cast_with_options, concat, take};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::{Accumulator, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal, in_list};
use datafusion::scalar::ScalarValue;

use super::instant::{self, Unit};
use super::keys::KeyKind;
use super::lookup::Lookup;
use super::pace::Pace;
use super::slots::SlotIndex;

type Predicate = Arc<dyn PhysicalExpr>;

/// The predicate of a pass of `lookups` over entity rows whose batches' key columns are `keys`.
pub async fn predicate(
    lookups: &[Lookup],
    kinds: &[KeyKind],
    index: &SlotIndex,
    unit: Unit,
    keys: &[Vec<ArrayRef>],
    pace: &mut Pace,
) -> Result<Option<Predicate>> {
    let Some(lookup) = lookups.first() else { return Ok(None) };
    let schema = lookup.rows.schema();
    let (Some(first), Some(last)) = (index.times().iter().min(), index.times().iter().max()) else { return Ok(None) };
    let (first, last) = (unit.nanos(*first), unit.nanos(*last));
    let mut parts: Vec<Predicate> = Vec::new();
    parts.extend(time_bound(&schema, lookup.timestamp, Operator::LtEq, last));
    if let (true, Some(created)) = (lookup.filter_by_created, lookup.created) {
        parts.extend(time_bound(&schema, created, Operator::LtEq, last));
    }
    let starts: Option<Vec<i128>> = lookups.iter().map(|lookup| lookup.ttl.map(|ttl| instant::window_start(first, ttl))).collect();
    if let Some(start) = starts.and_then(|starts| starts.into_iter().min()) {
        parts.extend(time_bound(&schema, lookup.timestamp, Operator::GtEq, start));
    }
    for (place, ((_, column), kind)) in lookup.on.iter().zip(kinds).enumerate() {
        let Some(field) = schema.fields().get(*column) else { continue };
        let arrays: Vec<&ArrayRef> = keys.iter().filter_map(|columns| columns.get(place)).collect();
        let few = index.samples().filter(|_| lookup.on.len() == 1);
        parts.extend(key_bound(&schema, *column, field, *kind, &arrays, few, pace).await?);
    }
    Ok(parts.into_iter().reduce(|left, right| Arc::new(BinaryExpr::new(left, Operator::And, right))))
}

fn compare(field: &Field, column: usize, operator: Operator, value: ScalarValue) -> Predicate {
    Arc::new(BinaryExpr::new(Arc::new(Column::new(field.name(), column)), operator, Arc::new(Literal::new(value))))
}

fn time_bound(schema: &Schema, column: usize, operator: Operator, nanos: i128) -> Option<Predicate> {
    let field = schema.fields().get(column)?;
    let value = Unit::of(field.data_type())?.floor(nanos);
    Some(compare(field, column, operator, instant::time_literal(field.data_type(), value)?))
}

async fn key_bound(
    schema: &Schema,
    column: usize,
    field: &Field,
    kind: KeyKind,
    keys: &[&ArrayRef],
    few: Option<&[u32]>,
    pace: &mut Pace,
) -> Result<Option<Predicate>> {
    // Where a cast could round a key onto another value, or the type has no useful order, nothing is said.
    let exact = match kind {
        KeyKind::Integer { .. } | KeyKind::Date | KeyKind::Instant(_) | KeyKind::Text => true,
        KeyKind::ShortDecimal(_) | KeyKind::Decimal => keys.iter().all(|array| array.data_type() == field.data_type()),
        KeyKind::Boolean | KeyKind::Binary | KeyKind::Never => false,
    };
    if !exact || matches!(field.data_type(), DataType::Dictionary(..)) {
        return Ok(None);
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let cast = |array: &ArrayRef| cast_with_options(&in_zone_of(field, array)?, field.data_type(), &options);
    if let Some(samples) = few {
        let arrays: Vec<&dyn Array> = keys.iter().map(|array| array.as_ref()).collect();
        if arrays.is_empty() {
            return Ok(None);
        }
        // Few groups do not mean few rows: only the sampled rows are copied.
        let sampled = samples_of(&arrays, samples)?;
        let values = cast(&sampled)?;
        let mut list: Vec<Predicate> = Vec::with_capacity(values.len());
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            list.push(Arc::new(Literal::new(ScalarValue::try_from_array(&values, row)?)));
        }
        return match list.is_empty() {
            true => Ok(None),
            false => Ok(Some(in_list(Arc::new(Column::new(field.name(), column)), list, &false, schema)?)),
        };
    }
    let mut least = MinAccumulator::try_new(field.data_type())?;
    let mut greatest = MaxAccumulator::try_new(field.data_type())?;
    for array in keys {
        pace.done(array.len()).await;
        let array = [cast(array)?];
        least.update_batch(&array)?;
        greatest.update_batch(&array)?;
    }
    let (least, greatest) = (least.evaluate()?, greatest.evaluate()?);
    if least.is_null() || greatest.is_null() {
        return Ok(None);
    }
    let low = compare(field, column, Operator::GtEq, least);
    let high = compare(field, column, Operator::LtEq, greatest);
    Ok(Some(Arc::new(BinaryExpr::new(low, Operator::And, high))))
}

/// The same instants under the zone of `field`: a cast between zones would move them.
fn in_zone_of(field: &Field, array: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    match (array.data_type(), field.data_type()) {
        (DataType::Timestamp(unit, own), DataType::Timestamp(_, zone)) if own != zone => {
            Ok(make_array(array.to_data().into_builder().data_type(DataType::Timestamp(*unit, zone.clone())).build()?))
        }
        _ => Ok(Arc::clone(array)),
    }
}

/// The rows with these numbers, counted over all arrays.
fn samples_of(arrays: &[&dyn Array], samples: &[u32]) -> Result<ArrayRef> {
    let mut taken: Vec<ArrayRef> = Vec::new();
    let mut start = 0_usize;
    for array in arrays {
        let end = start + array.len();
        let here: UInt32Array =
            samples.iter().map(|row| *row as usize).filter(|row| (start..end).contains(row)).map(|row| (row - start) as u32).collect();
        if !here.is_empty() {
            taken.push(take(*array, &here, None)?);
        }
        start = end;
    }
    if taken.is_empty() {
        return Ok(arrays.first().map_or_else(|| arrow::array::new_null_array(&DataType::Null, 0), |array| array.slice(0, 0)));
    }
    let taken: Vec<&dyn Array> = taken.iter().map(|array| array.as_ref()).collect();
    Ok(concat(&taken)?)
}
