//! Each type's JSON.

use std::sync::Arc;

use arrow::array::{
    BinaryArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};

use super::*;

fn json(field: Field, array: ArrayRef) -> Vec<String> {
    (0..array.len())
        .map(|row| {
            let mut out = String::new();
            value(&field, &array, row, 0, &mut out).unwrap();
            out
        })
        .collect()
}

fn plain(array: ArrayRef) -> Vec<String> {
    json(Field::new("c", array.data_type().clone(), true), array)
}

#[test]
fn numbers_keep_their_digits() {
    assert_eq!(plain(Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))), ["9223372036854775807", "null"]);
    assert_eq!(
        plain(Arc::new(Float64Array::from(vec![0.1, 1e300, -0.0, f64::NAN, f64::NEG_INFINITY]))),
        ["0.1", "1e300", "-0.0", "\"NaN\"", "\"-Infinity\""]
    );
    assert_eq!(plain(Arc::new(Float32Array::from(vec![0.1_f32]))), ["0.1"]);
    let decimals = Decimal128Array::from(vec![12_345, -5]).with_precision_and_scale(38, 2).unwrap();
    assert_eq!(plain(Arc::new(decimals)), ["123.45", "-0.05"]);
}

#[test]
fn times_are_iso() {
    let micros = vec![1_767_225_600_000_000, 1_767_225_600_500_000, -1];
    assert_eq!(
        plain(Arc::new(TimestampMicrosecondArray::from(micros.clone()).with_timezone("UTC"))),
        ["\"2026-01-01T00:00:00Z\"", "\"2026-01-01T00:00:00.500Z\"", "\"1969-12-31T23:59:59.999999Z\""]
    );
    assert_eq!(plain(Arc::new(TimestampMicrosecondArray::from(micros)))[0], "\"2026-01-01T00:00:00\"");
    assert_eq!(plain(Arc::new(TimestampNanosecondArray::from(vec![1])))[0], "\"1970-01-01T00:00:00.000000001\"");
    assert_eq!(plain(Arc::new(Date32Array::from(vec![0]))), ["\"1970-01-01\""]);
    assert_eq!(instant(1_767_225_600_000_000), "2026-01-01T00:00:00Z");
}

#[test]
fn texts_bytes_lists_and_json() {
    assert_eq!(plain(Arc::new(StringArray::from(vec!["a\"\n", "ü"]))), ["\"a\\\"\\n\"", "\"ü\""]);
    assert_eq!(plain(Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice()]))), ["\"AP8=\""]);
    let mut list = ListBuilder::new(StringBuilder::new());
    list.values().append_value("a");
    list.values().append_null();
    list.append(true);
    assert_eq!(plain(Arc::new(list.finish())), ["[\"a\",null]"]);
    assert_eq!(json(PgType::JSONB.arrow_field("c"), Arc::new(StringArray::from(vec!["{\"a\": 1}"]))), ["{\"a\": 1}"]);
}
