//! What Arrow has and PostgreSQL lacks: unsigned integers, nanoseconds, views, dictionaries, nested types.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, DurationMillisecondArray, Float32Array,
    Float64Array, Int32Array, Int64Builder, IntervalDayTimeArray, IntervalYearMonthArray, ListArray, MapBuilder, RunArray, StringArray,
    StringBuilder, StringViewArray, StructArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type, IntervalDayTime, Schema, UInt8Type};

use super::*;

fn settings() -> OutputSettings {
    OutputSettings { time_zone: "UTC".into(), extra_float_digits: 1, bytea_escape: false }
}

/// All rows of one column.
fn sent_with(array: ArrayRef, format: i16, settings: &OutputSettings) -> Result<Vec<Option<Vec<u8>>>, Report> {
    let field = Arc::new(Field::new("v", array.data_type().clone(), true));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field.clone()])), vec![array]).unwrap();
    let shape = Shape::new([field.as_ref()], &[format], settings);
    let mut rows = Vec::new();
    for row in 0..batch.num_rows() {
        let mut out = Vec::new();
        shape.data_rows(&batch.slice(row, 1), 0, usize::MAX, &mut out)?;
        let length = i32::from_be_bytes(out[7..11].try_into().unwrap());
        assert_eq!(out.len() - 1, i32::from_be_bytes(out[1..5].try_into().unwrap()) as usize);
        rows.push((length >= 0).then(|| out[11..].to_vec()));
    }
    Ok(rows)
}

fn text(array: impl arrow::array::Array + 'static) -> Vec<Option<String>> {
    let rows = sent_with(Arc::new(array), 0, &settings()).unwrap();
    rows.into_iter().map(|row| row.map(|bytes| String::from_utf8(bytes).unwrap())).collect()
}

fn binary(array: impl arrow::array::Array + 'static) -> Vec<Option<Vec<u8>>> {
    sent_with(Arc::new(array), 1, &settings()).unwrap()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn unsigned_64_bits_are_numeric() {
    assert_eq!(text(UInt64Array::from(vec![u64::MAX, 0])), some(&["18446744073709551615", "0"]));
    // numeric_send(18446744073709551615): groups 1844 6744 0737 0955 1615.
    let bytes = [0, 5, 0, 4, 0, 0, 0, 0, 0x07, 0x34, 0x1a, 0x58, 0x02, 0xe1, 0x03, 0xbb, 0x06, 0x4f];
    assert_eq!(binary(UInt64Array::from(vec![u64::MAX])), vec![Some(bytes.to_vec())]);
}

#[test]
fn nanoseconds_are_floored() {
    let array = TimestampNanosecondArray::from(vec![Some(1_999), Some(-1), None]);
    assert_eq!(text(array.clone()), vec![Some("1970-01-01 00:00:00.000001".into()), Some("1969-12-31 23:59:59.999999".into()), None]);
    let shifted = (-946_684_800_000_000_i64 - 1).to_be_bytes().to_vec();
    assert_eq!(binary(array)[1], Some(shifted));
}

#[test]
fn intervals_of_every_unit_are_intervals() {
    assert_eq!(text(IntervalYearMonthArray::from(vec![14, -1])), some(&["1 year 2 mons", "-1 mons"]));
    let day_time = IntervalDayTime { days: -1, milliseconds: 1_500 };
    assert_eq!(text(IntervalDayTimeArray::from(vec![day_time])), some(&["-1 days +00:00:01.5"]));
    assert_eq!(text(DurationMillisecondArray::from(vec![360_000_001])), some(&["100:00:00.001"]));
}

#[test]
fn views_dictionaries_and_runs_are_their_values() {
    assert_eq!(text(StringViewArray::from(vec![Some("a"), None])), vec![Some("a".into()), None]);
    assert_eq!(text(BinaryViewArray::from(vec![b"\x01\xff".as_slice()])), some(&["\\x01ff"]));
    let dictionary: DictionaryArray<UInt8Type> = vec![Some("x"), None, Some("y"), Some("x")].into_iter().collect();
    assert_eq!(text(dictionary), vec![Some("x".into()), None, Some("y".into()), Some("x".into())]);
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![2, 3]), &StringArray::from(vec![Some("r"), None])).unwrap();
    assert_eq!(text(runs), vec![Some("r".into()), Some("r".into()), None]);
}

#[test]
fn lists_of_lists_are_jsonb_because_arrays_cannot_be_ragged() {
    let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), Some(2)]), Some(vec![Some(3)])]);
    let field = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let outer = ListArray::new(field, arrow::buffer::OffsetBuffer::from_lengths([2]), Arc::new(inner), None);
    assert_eq!(text(outer), some(&["[[1, 2], [3]]"]));
    let doubles = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![]), None, Some(vec![None])]);
    assert_eq!(text(doubles), vec![Some("{}".into()), None, Some("{NULL}".into())]);
}

#[test]
fn structs_and_maps_are_jsonb() {
    let fields: Vec<(Arc<Field>, ArrayRef)> = vec![
        (Arc::new(Field::new("name", DataType::Utf8, true)), Arc::new(StringArray::from(vec![Some("a\"b\n\u{1}"), None]))),
        (Arc::new(Field::new("f", DataType::Float64, true)), Arc::new(Float64Array::from(vec![f64::NAN, 1.0]))),
        (
            Arc::new(Field::new("n", DataType::Decimal128(5, 2), true)),
            Arc::new(Decimal128Array::from(vec![150, 0]).with_precision_and_scale(5, 2).unwrap()),
        ),
        (Arc::new(Field::new("ok", DataType::Boolean, true)), Arc::new(BooleanArray::from(vec![true, false]))),
        (Arc::new(Field::new("day", DataType::Date32, true)), Arc::new(Date32Array::from(vec![0, 1]))),
    ];
    let structs = StructArray::from(fields);
    let wanted = [
        r#"{"f": "NaN", "n": 1.50, "ok": true, "day": "1970-01-01", "name": "a\"b\n\u0001"}"#,
        r#"{"f": 1, "n": 0.00, "ok": false, "day": "1970-01-02", "name": null}"#,
    ];
    assert_eq!(text(structs.clone()), some(&wanted));
    let rows = binary(structs);
    assert_eq!(rows[0].as_deref().map(|bytes| (bytes[0], &bytes[1..])), Some((1, wanted[0].as_bytes())));

    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("long");
    map.values().append_value(1);
    map.keys().append_value("b");
    map.values().append_null();
    map.keys().append_value("b");
    map.values().append_value(3);
    map.append(true).unwrap();
    map.append(false).unwrap();
    assert_eq!(text(map.finish()), vec![Some(r#"{"b": 3, "long": 1}"#.into()), None]);
}

#[test]
fn settings_change_the_forms() {
    let escape = OutputSettings { bytea_escape: true, ..settings() };
    let bytes: ArrayRef = Arc::new(BinaryViewArray::from(vec![b"a\\\x00\xff".as_slice()]));
    assert_eq!(sent_with(bytes, 0, &escape), Ok(vec![Some(b"a\\\\\\000\\377".to_vec())]));
    let rounded = OutputSettings { extra_float_digits: 0, ..settings() };
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.1 + 0.2, 1e15, 123_456_789.125]));
    assert_eq!(sent_with(floats, 0, &rounded), Ok(vec![Some(b"0.3".to_vec()), Some(b"1e+15".to_vec()), Some(b"123456789.125".to_vec())]));
    let singles: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 1_234_567.0]));
    assert_eq!(sent_with(singles, 0, &rounded), Ok(vec![Some(b"0.1".to_vec()), Some(b"1.23457e+06".to_vec())]));
    let india = OutputSettings { time_zone: "asia/kolkata".into(), ..settings() };
    let instants: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![0]).with_timezone("UTC"));
    assert_eq!(sent_with(instants.clone(), 0, &india), Ok(vec![Some(b"1970-01-01 05:30:00+05:30".to_vec())]));
    let fixed = OutputSettings { time_zone: "-03:00".into(), ..settings() };
    assert_eq!(sent_with(instants, 0, &fixed), Ok(vec![Some(b"1969-12-31 21:00:00-03".to_vec())]));
}

#[test]
fn a_chunk_ends_when_the_buffer_is_full() {
    let batch = RecordBatch::try_from_iter(vec![("v", Arc::new(StringArray::from(vec!["x"; 100])) as ArrayRef)]).unwrap();
    let shape = Shape::new([batch.schema().field(0)], &[], &settings());
    let mut out = Vec::new();
    // A row is twelve bytes.
    assert_eq!(shape.data_rows(&batch, 0, 30, &mut out), Ok(3));
    assert_eq!(out.len(), 36);
    assert_eq!(shape.data_rows(&batch, 3, usize::MAX, &mut out), Ok(100));
    assert_eq!(out.len(), 1_200);
}

#[test]
fn a_row_that_no_message_can_announce_is_taken_back() {
    let mut out = b"before".to_vec();
    out.extend_from_slice(b"D\0\0\0\0abc");
    announce(&mut out, 6, 7).unwrap();
    assert_eq!(out, b"beforeD\0\0\0\x07abc");
    let error = announce(&mut out, 6, 6).unwrap_err();
    assert_eq!((error.sqlstate.code(), out.as_slice()), ("54000", b"before".as_slice()));
}
