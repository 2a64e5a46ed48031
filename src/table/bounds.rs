//! What a data file's, or a manifest's, metadata says of a column's values: [`Bounds`].
//!
//! Two sources are joined: column bounds and counts (files only), and the partition under the file's own spec: an
//! identity field is exact, a date transform is a range of instants (before 1970 one unit longer: Iceberg 0.10 and older, and
//! writers that copied it, rounded towards 1970), truncation a range of numbers. A bound that cannot be
//! read, is NaN, or does not fit the column's present type is no bound; the file is then read.

use datafusion::common::ScalarValue;

use super::scalar::scalar;
use crate::civil;
use crate::source::iceberg::{ContentFile, Datum, PartitionSpec, PartitionValue, PrimitiveType, Transform};

/// What is known of one column's values in some rows; every `None` is "not known".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bounds {
    /// At most any value that is not NULL.
    pub min: Option<ScalarValue>,
    /// At least any value that is not NULL.
    pub max: Option<ScalarValue>,
    /// NULLs.
    pub nulls: Option<u64>,
}

impl Bounds {
    /// Both are true of the rows.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let tighter = |a: Option<ScalarValue>, b: Option<ScalarValue>, wanted: std::cmp::Ordering| match (a, b) {
            (Some(a), Some(b)) => Some(if a.partial_cmp(&b) == Some(wanted) { a } else { b }),
            (a, b) => a.or(b),
        };
        Self {
            min: tighter(self.min, other.min, std::cmp::Ordering::Greater),
            max: tighter(self.max, other.max, std::cmp::Ordering::Less),
            nulls: self.nulls.or(other.nulls),
        }
    }
}

/// Of one column in one data file.
pub fn of_file(file: &ContentFile, spec: Option<&PartitionSpec>, id: i32, of: &PrimitiveType) -> Bounds {
    let statistics = &file.statistics;
    let count = |counts: Option<&i64>| counts.and_then(|count| u64::try_from(*count).ok());
    let nulls = count(statistics.null_value_counts.get(id));
    // NaN is greater than every number and in no bound.
    let floating = matches!(of, PrimitiveType::Float | PrimitiveType::Double);
    let no_nan = !floating || statistics.nan_value_counts.get(id) == Some(&0);
    let from = statistics.lower_bounds.get(id).and_then(|bytes| Datum::lower_bound(of, bytes));
    let to = statistics.upper_bounds.get(id).and_then(|bytes| Datum::upper_bound(of, bytes));
    let (from, to) = in_byte_order(from, to);
    let (min, max) = (from.and_then(|datum| bound(&datum, of)), to.and_then(|datum| bound(&datum, of)));
    let written = Bounds { min, max: max.filter(|_| no_nan), nulls };
    let Some(spec) = spec else { return written };
    let mut known = written;
    for (field, value) in spec.fields.iter().zip(&file.partition.values) {
        if field.source_id() == Some(id) {
            known = known.and(of_partition(&field.transform, value, of, u64::try_from(file.record_count).ok()));
        }
    }
    known
}

/// Of the source column of rows in a partition whose field has this value.
fn of_partition(transform: &Transform, value: &PartitionValue, of: &PrimitiveType, rows: Option<u64>) -> Bounds {
    match (transform, value) {
        (Transform::Void | Transform::Unknown(_), _) | (_, PartitionValue::Absent) => Bounds::default(),
        // Every transform but void gives NULL for NULL only.
        (_, PartitionValue::Null) => Bounds { min: None, max: None, nulls: rows },
        (transform, PartitionValue::Value(value)) => Bounds { nulls: Some(0), ..of_range(transform, value, value, of) },
    }
}

/// Of the source column where the partition field lies between these values.
pub fn of_range(transform: &Transform, from: &Datum, to: &Datum, of: &PrimitiveType) -> Bounds {
    if is_nan(from) || is_nan(to) {
        return Bounds::default();
    }
    let (min, max) = match transform {
        Transform::Identity => (Some(smallest_zero(from)), Some(largest_zero(to))),
        Transform::Truncate(width) => match (first_truncated(from), last_truncated(to, *width)) {
            // Where the end overflows, the start may be the wrapped value of the type's least number.
            (Some(from), Some(to)) => (Some(from), Some(to)),
            (from, None) if matches!(from, Some(Datum::String(_) | Datum::Binary(_))) => (from, None),
            _ => (None, None),
        },
        Transform::Year | Transform::Month | Transform::Day | Transform::Hour => {
            let start = |datum: &Datum, plus: i64| units(datum).and_then(|count| instant(transform, count.checked_add(plus)?, of));
            // Old writers rounded times before 1970 towards it: their unit may be one too late.
            let early = if units(from).is_some_and(|count| count <= 0) { -1 } else { 0 };
            (start(from, early).and_then(|units| time(units, of)), start(to, 1).and_then(|units| time(units.checked_sub(1)?, of)))
        }
        Transform::Bucket(_) | Transform::Void | Transform::Unknown(_) => (None, None),
    };
    Bounds { min: min.and_then(|datum| bound(&datum, of)), max: max.and_then(|datum| bound(&datum, of)), nulls: None }
}

/// A bound as the engine has the column: one of a `fixed` may be shorter than the type.
fn bound(datum: &Datum, of: &PrimitiveType) -> Option<ScalarValue> {
    match datum {
        Datum::Fixed(bytes) => scalar(&Datum::Binary(bytes.clone()), &PrimitiveType::Binary),
        _ => scalar(datum, of),
    }
}

/// Java compared uuids as two signed numbers. Where both bounds have the same first bit the larger half is in the same
/// order by bytes, so that much of them is kept; else nothing is known.
pub fn in_byte_order(from: Option<Datum>, to: Option<Datum>) -> (Option<Datum>, Option<Datum>) {
    match (from, to) {
        (Some(Datum::Uuid(from)), Some(Datum::Uuid(to))) if from == to => (Some(Datum::Uuid(from)), Some(Datum::Uuid(to))),
        (Some(Datum::Uuid(mut from)), Some(Datum::Uuid(mut to))) if from[0] & 0x80 == to[0] & 0x80 => {
            from[8..].fill(0);
            to[8..].fill(0xff);
            (Some(Datum::Uuid(from)), Some(Datum::Uuid(to)))
        }
        (Some(Datum::Uuid(_)), _) | (_, Some(Datum::Uuid(_))) => (None, None),
        other => other,
    }
}

fn is_nan(datum: &Datum) -> bool {
    match datum {
        Datum::Float(value) => value.is_nan(),
        Datum::Double(value) => value.is_nan(),
        _ => false,
    }
}

fn smallest_zero(datum: &Datum) -> Datum {
    match datum {
        Datum::Float(0.0) => Datum::Float(-0.0),
        Datum::Double(0.0) => Datum::Double(-0.0),
        other => other.clone(),
    }
}

fn largest_zero(datum: &Datum) -> Datum {
    match datum {
        Datum::Float(0.0) => Datum::Float(0.0),
        Datum::Double(0.0) => Datum::Double(0.0),
        other => other.clone(),
    }
}

fn first_truncated(datum: &Datum) -> Option<Datum> {
    match datum {
        Datum::Int(_) | Datum::Long(_) | Datum::Decimal { .. } | Datum::String(_) | Datum::Binary(_) => Some(datum.clone()),
        _ => None,
    }
}

fn last_truncated(datum: &Datum, width: u32) -> Option<Datum> {
    let more = i64::from(width) - 1;
    match datum {
        Datum::Int(value) => value.checked_add(i32::try_from(more).ok()?).map(Datum::Int),
        Datum::Long(value) => value.checked_add(more).map(Datum::Long),
        Datum::Decimal { unscaled, precision, scale } => {
            Some(Datum::Decimal { unscaled: unscaled.checked_add(i128::from(more))?, precision: *precision, scale: *scale })
        }
        // Shorter than the width: it is the value itself.
        Datum::String(text) if text.chars().count() < width as usize => Some(datum.clone()),
        Datum::Binary(bytes) if bytes.len() < width as usize => Some(datum.clone()),
        _ => None,
    }
}

/// A date transform's value as a count of its units.
fn units(datum: &Datum) -> Option<i64> {
    match datum {
        Datum::Int(count) | Datum::Date(count) => Some(i64::from(*count)),
        Datum::Long(count) => Some(*count),
        _ => None,
    }
}

/// The instant at which this unit begins, in the units of the column's type.
fn instant(transform: &Transform, count: i64, of: &PrimitiveType) -> Option<i64> {
    let hours = match transform {
        Transform::Year => days_of_month(count.checked_mul(12)?)?.checked_mul(24)?,
        Transform::Month => days_of_month(count)?.checked_mul(24)?,
        Transform::Day => count.checked_mul(24)?,
        Transform::Hour => count,
        _ => return None,
    };
    match of {
        PrimitiveType::Date => Some(hours.div_euclid(24)),
        PrimitiveType::Timestamp | PrimitiveType::Timestamptz => hours.checked_mul(3_600_000_000),
        PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs => hours.checked_mul(3_600_000_000_000),
        _ => None,
    }
}

fn time(units: i64, of: &PrimitiveType) -> Option<Datum> {
    Some(match of {
        PrimitiveType::Date => Datum::Date(i32::try_from(units).ok()?),
        PrimitiveType::Timestamp => Datum::Timestamp(units),
        PrimitiveType::Timestamptz => Datum::Timestamptz(units),
        PrimitiveType::TimestampNs => Datum::TimestampNs(units),
        PrimitiveType::TimestamptzNs => Datum::TimestamptzNs(units),
        _ => return None,
    })
}

/// Days from 1970-01-01 to the first of this month, counted from 1970-01; none for a month that no partition has.
fn days_of_month(months: i64) -> Option<i64> {
    let months = i64::from(i32::try_from(months).ok()?);
    Some(civil::to_days(months.div_euclid(12) + 1970, months.rem_euclid(12) as u32 + 1, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamps(transform: Transform, from: i32, to: i32) -> Option<(i64, i64)> {
        let bounds = of_range(&transform, &Datum::Int(from), &Datum::Int(to), &PrimitiveType::Timestamp);
        match (bounds.min, bounds.max) {
            (Some(ScalarValue::TimestampMicrosecond(Some(min), None)), Some(ScalarValue::TimestampMicrosecond(Some(max), None))) => {
                Some((min, max))
            }
            _ => None,
        }
    }

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn date_transforms_are_ranges_of_instants() {
        assert_eq!(timestamps(Transform::Day, 1, 1), Some((DAY, 2 * DAY - 1)));
        assert_eq!(timestamps(Transform::Hour, 1, 2), Some((3_600_000_000, 3 * 3_600_000_000 - 1)));
        // 1972 was a leap year; 1969 was not.
        assert_eq!(timestamps(Transform::Year, 2, 2), Some((730 * DAY, 1096 * DAY - 1)));
        assert_eq!(timestamps(Transform::Month, 1, 1), Some((31 * DAY, 59 * DAY - 1)));
        assert_eq!(timestamps(Transform::Year, i32::MIN, i32::MAX), None);
    }

    #[test]
    fn units_before_1970_may_be_one_too_late() {
        assert_eq!(timestamps(Transform::Day, 0, 0), Some((-DAY, DAY - 1)));
        assert_eq!(timestamps(Transform::Day, -1, 0), Some((-2 * DAY, DAY - 1)));
        assert_eq!(timestamps(Transform::Hour, -1, -1), Some((-2 * 3_600_000_000, -1)));
        assert_eq!(timestamps(Transform::Year, -1, -1), Some((-(365 + 366) * DAY, -1)));
        assert_eq!(timestamps(Transform::Month, -1, -1), Some((-61 * DAY, -1)));
    }

    #[test]
    fn truncated_numbers_are_ranges_unless_they_wrapped() {
        let of = |from: i32, to: i32| {
            let bounds = of_range(&Transform::Truncate(10), &Datum::Int(from), &Datum::Int(to), &PrimitiveType::Long);
            (bounds.min, bounds.max)
        };
        assert_eq!(of(-10, 20), (Some(ScalarValue::Int64(Some(-10))), Some(ScalarValue::Int64(Some(29)))));
        assert_eq!(of(0, i32::MAX - 5), (None, None));
    }

    #[test]
    fn truncated_text_is_a_lower_bound_and_short_text_is_itself() {
        let of = |text: &str| {
            let datum = Datum::String(text.to_owned());
            let bounds = of_range(&Transform::Truncate(3), &datum, &datum, &PrimitiveType::String);
            (bounds.min, bounds.max)
        };
        let text = |text: &str| Some(ScalarValue::Utf8(Some(text.to_owned())));
        assert_eq!(of("abc"), (text("abc"), None));
        assert_eq!(of("ab"), (text("ab"), text("ab")));
    }

    #[test]
    fn zeros_are_one_value_and_nan_is_no_bound() {
        let of = |value: f64| {
            let bounds = of_range(&Transform::Identity, &Datum::Double(value), &Datum::Double(value), &PrimitiveType::Double);
            (bounds.min, bounds.max)
        };
        assert_eq!(of(0.0), (Some(ScalarValue::Float64(Some(-0.0))), Some(ScalarValue::Float64(Some(0.0)))));
        assert_eq!(of(f64::NAN), (None, None));
    }

    #[test]
    fn uuids_that_java_compared_are_bounds_where_both_orders_agree() {
        let uuid = |high: u8, low: u8| {
            let mut bytes = [low; 16];
            bytes[0] = high;
            Some(Datum::Uuid(bytes))
        };
        let half = |high: u8, low: u8, rest: u8| {
            let mut bytes = [low; 16];
            bytes[0] = high;
            bytes[8..].fill(rest);
            Some(Datum::Uuid(bytes))
        };
        assert_eq!(in_byte_order(uuid(0x80, 1), uuid(0x7f, 1)), (None, None));
        assert_eq!(in_byte_order(uuid(0x10, 1), uuid(0x7f, 1)), (half(0x10, 1, 0), half(0x7f, 1, 0xff)));
        assert_eq!(in_byte_order(uuid(0x10, 1), uuid(0x10, 1)), (uuid(0x10, 1), uuid(0x10, 1)));
        assert_eq!(in_byte_order(uuid(0x10, 1), None), (None, None));
        assert_eq!(in_byte_order(Some(Datum::Int(2)), None), (Some(Datum::Int(2)), None));
    }

    #[test]
    fn buckets_are_no_range() {
        let bounds = of_range(&Transform::Bucket(4), &Datum::Int(1), &Datum::Int(2), &PrimitiveType::Long);
        assert_eq!(bounds, Bounds::default());
    }

    #[test]
    fn a_partition_that_lacks_the_field_says_nothing_and_null_is_all_null() {
        let of = |transform: &Transform, value: PartitionValue| of_partition(transform, &value, &PrimitiveType::Long, Some(5));
        for transform in [Transform::Identity, Transform::Bucket(4), Transform::Truncate(10)] {
            assert_eq!(of(&transform, PartitionValue::Absent), Bounds::default(), "{transform:?}");
            assert_eq!(of(&transform, PartitionValue::Null), Bounds { min: None, max: None, nulls: Some(5) }, "{transform:?}");
            assert_eq!(of(&transform, PartitionValue::Value(Datum::Int(1))).nulls, Some(0), "{transform:?}");
        }
    }
}
