//! Which key types meet, and that equal values of different types become equal keys.

use std::sync::Arc;

use arrow::array::{
    BooleanArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array, DictionaryArray, FixedSizeBinaryArray, Int16Array,
    Int32Array, Int64Array, LargeStringArray, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{Int8Type, TimeUnit};

use super::*;

/// Each row's key, NULL as none, in a form that can be compared between the two sides.
fn keys(kinds: &[KeyKind], columns: &[ArrayRef]) -> Vec<Option<Vec<u8>>> {
    let keys = Keys::encode(kinds, columns).unwrap();
    (0..columns[0].len())
        .map(|row| {
            (!keys.is_null(row)).then(|| match &keys {
                Keys::Numbers { values, .. } => values[row].to_le_bytes().to_vec(),
                Keys::Bytes { data, offsets, .. } => data[offsets[row]..offsets[row + 1]].to_vec(),
                Keys::Absent => Vec::new(),
            })
        })
        .collect()
}

/// Asserts that the rows of both columns are equal pairwise, exactly as `equal` says.
fn pairwise(left: ArrayRef, right: ArrayRef, equal: &[bool]) {
    let kind = KeyKind::of(left.data_type(), right.data_type()).unwrap();
    for extra in [false, true] {
        // Alone, and as the second column of a longer key.
        let other: ArrayRef = Arc::new(StringArray::from(vec!["k"; left.len()]));
        let side = |column: &ArrayRef| if extra { vec![other.clone(), column.clone()] } else { vec![column.clone()] };
        let kinds = if extra { vec![KeyKind::Text, kind] } else { vec![kind] };
        let (a, b) = (keys(&kinds, &side(&left)), keys(&kinds, &side(&right)));
        let found: Vec<bool> = a.iter().zip(&b).map(|(a, b)| a.is_some() && a == b).collect();
        assert_eq!(found, equal, "{} and {}, extra {extra}", left.data_type(), right.data_type());
    }
}

#[test]
fn integers_of_any_width() {
    pairwise(
        Arc::new(Int16Array::from(vec![Some(-1), Some(7), None])),
        Arc::new(Int64Array::from(vec![Some(-1), Some(8), None])),
        &[true, false, false],
    );
    pairwise(
        Arc::new(UInt64Array::from(vec![5, u64::MAX, 1 << 63])),
        Arc::new(Int64Array::from(vec![5, -1, i64::MIN])),
        &[true, false, false],
    );
    pairwise(Arc::new(UInt64Array::from(vec![u64::MAX])), Arc::new(UInt64Array::from(vec![u64::MAX])), &[true]);
}

#[test]
fn decimals_of_different_scale() {
    let short = |values: Vec<i128>, p, s| Arc::new(Decimal128Array::from(values).with_precision_and_scale(p, s).unwrap()) as ArrayRef;
    pairwise(short(vec![150, 0, 7], 10, 2), short(vec![15, 0, 70], 12, 1), &[true, true, false]);
    pairwise(short(vec![150, 0, 7], 38, 2), short(vec![15, 0, 70], 12, 1), &[true, true, false]);
    pairwise(short(vec![3, 999_999_999_999_999_999], 18, -2), short(vec![30_000, 1], 18, 2), &[true, false]);
    let long = Decimal256Array::from(vec![i256::from_i128(15_000), i256::MAX]).with_precision_and_scale(76, 4).unwrap();
    pairwise(Arc::new(long), short(vec![15, 1], 38, 1), &[true, false]);
}

#[test]
fn times_as_instants() {
    pairwise(
        Arc::new(TimestampSecondArray::from(vec![Some(3), Some(3), Some(i64::MAX)]).with_timezone("UTC")),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(3_000_000), Some(3_000_001), Some(i64::MAX)])),
        &[true, false, false],
    );
    pairwise(Arc::new(Date32Array::from(vec![-1, 2])), Arc::new(Date64Array::from(vec![-86_400_000, 0])), &[true, false]);
}

#[test]
fn text_and_binary_in_any_layout() {
    let text = ["", "a", "a string that is longer than a view's twelve bytes"];
    pairwise(Arc::new(StringArray::from(text.to_vec())), Arc::new(StringViewArray::from(text.to_vec())), &[true; 3]);
    let dictionary: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("b")].into_iter().collect();
    pairwise(Arc::new(dictionary), Arc::new(LargeStringArray::from(vec!["a", "a", "c"])), &[true, false, false]);
    let uuid = FixedSizeBinaryArray::try_from_iter([[7_u8; 16]].into_iter()).unwrap();
    pairwise(Arc::new(uuid.clone()), arrow::compute::cast(&uuid, &DataType::BinaryView).unwrap(), &[true]);
    pairwise(Arc::new(BooleanArray::from(vec![true, false])), Arc::new(BooleanArray::from(vec![true, true])), &[true, false]);
}

#[test]
fn parts_of_a_key_do_not_run_together() {
    let kinds = [KeyKind::Text, KeyKind::Text];
    let column = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    assert_ne!(keys(&kinds, &[column("a"), column("bc")]), keys(&kinds, &[column("ab"), column("c")]));
}

#[test]
fn a_null_part_is_no_key() {
    let kinds = [KeyKind::Integer { unsigned: false }, KeyKind::Text];
    let columns: [ArrayRef; 2] =
        [Arc::new(Int32Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec![None::<&str>, Some("x")]))];
    assert_eq!(keys(&kinds, &columns), vec![None, None]);
}

#[test]
fn mixtures_are_refused() {
    use DataType::*;
    let instant = Timestamp(TimeUnit::Microsecond, None);
    for (a, b) in [
        (&Utf8, &Int64),
        (&Int64, &Decimal128(10, 0)),
        (&Float64, &Float64),
        (&Float64, &Int64),
        (&Date32, &instant),
        (&Utf8, &Binary),
        (&Boolean, &Int8),
        (&Time64(TimeUnit::Microsecond), &Time64(TimeUnit::Microsecond)),
        (&Null, &Float32),
    ] {
        assert_eq!(KeyKind::of(a, b), None, "{a} and {b}");
    }
    assert_eq!(KeyKind::of(&Null, &Utf8), Some(KeyKind::Never));
    assert_eq!(KeyKind::of(&Null, &Null), Some(KeyKind::Never));
}
