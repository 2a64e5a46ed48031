//! Which manifests and data files a predicate can be true in.
//!
//! One [`Pruner`] per scan asks DataFusion's own `PruningPredicate` twice: over manifest summaries, then over data files. What
//! it knows of a column comes from [`super::bounds`]; bucket partitions are not a range, so they answer `contained` instead:
//! none of the wanted values hashes to the file's bucket. Pruning is never needed for right answers: whatever cannot be
//! judged is kept.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, conjunction};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use hashbrown::HashMap;

use super::bounds::{Bounds, in_byte_order, of_range};
use super::field_ids::field_id;
use super::scalar::datum;
use crate::source::TableSnapshot;
use crate::source::iceberg::{ContentFile, Datum, FieldSummary, ManifestFile, PartitionSpec, PrimitiveType, Schema, Transform};

/// Something with rows of which bounds are known.
pub trait Container {
    /// What is known of this column.
    fn bounds(&self, id: i32, of: &PrimitiveType) -> Bounds;
    /// How many rows it has, if that is known and what is said of these columns agrees: else none of them is taken to be all NULL.
    fn rows(&self, ids: &[i32]) -> Option<u64>;
    /// Whether it surely has none of these values in this column.
    fn lacks(&self, id: i32, values: &[Datum]) -> bool;
}

/// A data file under its spec.
#[derive(Debug, Clone, Copy)]
pub struct FileContainer<'a> {
    /// The file.
    pub file: &'a ContentFile,
    /// The spec that it was cut by, if the metadata has it.
    pub spec: Option<&'a PartitionSpec>,
}

impl Container for FileContainer<'_> {
    fn bounds(&self, id: i32, of: &PrimitiveType) -> Bounds {
        super::bounds::of_file(self.file, self.spec, id, of)
    }

    fn rows(&self, ids: &[i32]) -> Option<u64> {
        let counts = &self.file.statistics.value_counts;
        let agree = ids.iter().all(|id| counts.get(*id).is_none_or(|count| *count == self.file.record_count));
        u64::try_from(self.file.record_count).ok().filter(|_| agree)
    }

    fn lacks(&self, id: i32, values: &[Datum]) -> bool {
        let Some(spec) = self.spec else { return false };
        spec.fields.iter().zip(&self.file.partition.values).any(|(field, partition)| {
            let (Transform::Bucket(_), Some(id_), Some(partition)) = (&field.transform, field.source_id(), partition.datum()) else {
                return false;
            };
            id_ == id && values.iter().all(|value| field.transform.apply(value).is_some_and(|bucket| bucket != *partition))
        })
    }
}

/// A manifest under its spec.
#[derive(Debug, Clone, Copy)]
pub struct ManifestContainer<'a> {
    /// The manifest.
    pub manifest: &'a ManifestFile,
    /// Its spec.
    pub spec: Option<&'a PartitionSpec>,
}

impl<'a> ManifestContainer<'a> {
    /// The fields of this source column, with their summaries. Those are found by their position only, so a list of another length than the
    /// spec's is of no use.
    fn summaries(&self, id: i32) -> impl Iterator<Item = (&'a Transform, &'a FieldSummary)> + use<'a> {
        let fields = self.spec.map(|spec| spec.fields.as_slice()).unwrap_or_default();
        let summaries = self.manifest.partitions.as_deref().filter(|summaries| summaries.len() == fields.len()).unwrap_or_default();
        fields
            .iter()
            .zip(summaries)
            .filter(move |(field, _)| field.source_id() == Some(id))
            .map(|(field, summary)| (&field.transform, summary))
    }
}

/// The range of a partition field, where both ends are known.
fn range(transform: &Transform, summary: &FieldSummary, of: &PrimitiveType) -> Option<(Datum, Datum)> {
    let of = transform.result_type(of)?;
    let from = Datum::lower_bound(&of, summary.lower_bound.as_ref()?);
    let to = Datum::upper_bound(&of, summary.upper_bound.as_ref()?);
    let (from, to) = in_byte_order(from, to);
    from.zip(to)
}

impl Container for ManifestContainer<'_> {
    fn bounds(&self, id: i32, of: &PrimitiveType) -> Bounds {
        let mut known = Bounds::default();
        for (transform, summary) in self.summaries(id) {
            if matches!(transform, Transform::Void | Transform::Unknown(_)) {
                continue;
            }
            // Neither NULLs nor a value: it says nothing, since the files' partitions may lack the field.
            let says = summary.lower_bound.is_some() || summary.contains_nan == Some(true);
            let nulls = (!summary.contains_null && says).then_some(0);
            let mut bounds = range(transform, summary, of).map(|(from, to)| of_range(transform, &from, &to, of)).unwrap_or_default();
            // NaN is greater than every number and in no bound.
            if matches!(of, PrimitiveType::Float | PrimitiveType::Double) && summary.contains_nan != Some(false) {
                bounds.max = None;
            }
            known = known.and(Bounds { nulls, ..bounds });
        }
        known
    }

    fn rows(&self, _ids: &[i32]) -> Option<u64> {
        None
    }

    fn lacks(&self, id: i32, values: &[Datum]) -> bool {
        self.summaries(id).any(|(transform, summary)| {
            let Transform::Bucket(_) = transform else { return false };
            let Some((Datum::Int(from), Datum::Int(to))) = range(transform, summary, &PrimitiveType::Int) else { return false };
            values.iter().all(|value| match transform.apply(value) {
                Some(Datum::Int(bucket)) => bucket < from || bucket > to,
                _ => false,
            })
        })
    }
}

/// A predicate, ready to prune.
#[derive(Debug)]
pub struct Pruner {
    predicate: PruningPredicate,
    columns: HashMap<String, (i32, PrimitiveType, DataType)>,
    /// Columns that were dates before they were timestamps: a bucket of theirs may be by the hash of either.
    once_dates: Vec<i32>,
}

impl Pruner {
    /// Of filters over the table's Arrow schema; none where nothing can be pruned by them.
    pub fn new(filters: &[Arc<dyn PhysicalExpr>], arrow: &SchemaRef, snapshot: &TableSnapshot) -> Option<Self> {
        if filters.is_empty() {
            return None;
        }
        let filter = conjunction(filters.iter().cloned());
        let columns: HashMap<_, _> = collect_columns(&filter)
            .into_iter()
            .filter_map(|column| {
                let field = arrow.field_with_name(column.name()).ok()?;
                let id = field_id(field)?;
                let of = snapshot.schema.field(id)?.field_type.as_primitive()?.clone();
                Some((column.name().to_owned(), (id, of, field.data_type().clone())))
            })
            .collect();
        let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(arrow)).try_build(filter).ok()?;
        let was_date = |id: &i32| {
            let of =
                |schema: &Arc<Schema>| schema.field(*id).and_then(|field| field.field_type.as_primitive()) == Some(&PrimitiveType::Date);
            snapshot.metadata.schemas().any(of)
        };
        let is_date = |of: &PrimitiveType| *of == PrimitiveType::Date;
        let once_dates = columns.values().filter(|(id, of, _)| !is_date(of) && was_date(id)).map(|(id, ..)| *id).collect();
        (!predicate.always_true()).then_some(Self { predicate, columns, once_dates })
    }

    /// Names of the columns that it asks for, sorted.
    pub fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.columns.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Which of these may have a row of use.
    pub fn keep<C: Container>(&self, containers: &[C]) -> Vec<bool> {
        if containers.is_empty() {
            return Vec::new();
        }
        let statistics = Statistics { containers, pruner: self };
        match self.predicate.prune(&statistics) {
            Ok(keep) if keep.len() == containers.len() => keep,
            Ok(_) | Err(_) => vec![true; containers.len()],
        }
    }
}

struct Statistics<'a, C> {
    containers: &'a [C],
    pruner: &'a Pruner,
}

impl<C: Container> Statistics<'_, C> {
    fn values(&self, column: &Column, pick: impl Fn(Bounds) -> Option<ScalarValue>) -> Option<ArrayRef> {
        let (id, of, data_type) = self.pruner.columns.get(column.name())?;
        let null = ScalarValue::try_new_null(data_type).ok()?;
        let values = self.containers.iter().map(|container| {
            pick(container.bounds(*id, of)).filter(|value| value.data_type() == *data_type).unwrap_or_else(|| null.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

impl<C: Container> PruningStatistics for Statistics<'_, C> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.max)
    }

    fn num_containers(&self) -> usize {
        self.containers.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let (id, of, _) = self.pruner.columns.get(column.name())?;
        let nulls: UInt64Array = self.containers.iter().map(|container| container.bounds(*id, of).nulls).collect();
        Some(Arc::new(nulls))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let ids: Vec<i32> = self.pruner.columns.values().map(|(id, ..)| *id).collect();
        let rows: UInt64Array = self.containers.iter().map(|container| container.rows(&ids)).collect();
        Some(Arc::new(rows))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let (id, of, _) = self.pruner.columns.get(column.name())?;
        if self.pruner.once_dates.contains(id) {
            return None;
        }
        let wanted = values.iter().map(|value| datum(value, of)).collect::<Option<Vec<_>>>()?;
        Some(self.containers.iter().map(|container| container.lacks(*id, &wanted).then_some(false)).collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::source::iceberg::PartitionField;

    #[test]
    fn a_list_of_summaries_that_is_not_the_specs_says_nothing() {
        let field =
            |id: i32| PartitionField { source_ids: vec![id], field_id: 999 + id, name: format!("f{id}"), transform: Transform::Identity };
        let spec = PartitionSpec { spec_id: 0, fields: vec![field(1), field(2)] };
        let summary = |value: i64| {
            let bound = Some(Bytes::copy_from_slice(&value.to_le_bytes()));
            FieldSummary { contains_null: false, contains_nan: None, lower_bound: bound.clone(), upper_bound: bound }
        };
        let smallest = |partitions: Vec<FieldSummary>, id: i32| {
            let manifest = ManifestFile { partitions: Some(partitions), ..ManifestFile::inline("s3://b/m.avro") };
            ManifestContainer { manifest: &manifest, spec: Some(&spec) }.bounds(id, &PrimitiveType::Long).min
        };
        assert_eq!(smallest(vec![summary(10), summary(20)], 1), Some(ScalarValue::Int64(Some(10))));
        assert_eq!(smallest(vec![summary(10), summary(20)], 2), Some(ScalarValue::Int64(Some(20))));
        // The one that is there may be of the second field.
        assert_eq!(smallest(vec![summary(20)], 1), None);
        assert_eq!(smallest(vec![summary(20)], 2), None);
    }
}
