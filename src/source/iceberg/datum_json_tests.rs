//! Every type's JSON form, and what is none.

use serde_json::json;

use super::*;

fn parse(of: &str, json: Value) -> Option<Datum> {
    Datum::from_json(&PrimitiveType::parse(of).unwrap(), &json).ok()
}

#[test]
fn the_specifications_examples() {
    assert_eq!(parse("boolean", json!(true)), Some(Datum::Boolean(true)));
    assert_eq!(parse("int", json!(34)), Some(Datum::Int(34)));
    assert_eq!(parse("long", json!(i64::MAX)), Some(Datum::Long(i64::MAX)));
    assert_eq!(parse("float", json!(1.5)), Some(Datum::Float(1.5)));
    assert_eq!(parse("double", json!("-Infinity")), Some(Datum::Double(f64::NEG_INFINITY)));
    assert_eq!(parse("decimal(9,2)", json!("14.20")), Some(Datum::Decimal { unscaled: 1420, precision: 9, scale: 2 }));
    assert_eq!(parse("decimal(9,2)", json!("-0.05")), Some(Datum::Decimal { unscaled: -5, precision: 9, scale: 2 }));
    assert_eq!(parse("decimal(38,0)", json!("2E+20")), Some(Datum::Decimal { unscaled: 2 * 10i128.pow(20), precision: 38, scale: 0 }));
    assert_eq!(parse("date", json!("2017-11-16")), Some(Datum::Date(17_486)));
    assert_eq!(parse("time", json!("22:31:08.123456")), Some(Datum::Time(81_068_123_456)));
    assert_eq!(parse("timestamp", json!("2017-11-16T22:31:08.123456")), Some(Datum::Timestamp(1_510_871_468_123_456)));
    assert_eq!(parse("timestamptz", json!("2017-11-16T22:31:08.123456+00:00")), Some(Datum::Timestamptz(1_510_871_468_123_456)));
    assert_eq!(parse("timestamp_ns", json!("2017-11-16T22:31:08.123456789")), Some(Datum::TimestampNs(1_510_871_468_123_456_789)));
    assert_eq!(parse("string", json!("iceberg")), Some(Datum::String("iceberg".into())));
    assert_eq!(parse("fixed[3]", json!("00010f")), Some(Datum::Fixed(Bytes::from_static(&[0, 1, 15]))));
    assert_eq!(parse("binary", json!("")), Some(Datum::Binary(Bytes::new())));
}

#[test]
fn other_types_are_refused() {
    assert_eq!(parse("int", json!(3_000_000_000i64)), None);
    assert_eq!(parse("int", json!("34")), None);
    assert_eq!(parse("decimal(9,2)", json!("1.001")), None);
    assert_eq!(parse("fixed[2]", json!("00010f")), None);
    assert_eq!(parse("binary", json!("0")), None);
    assert_eq!(parse("date", json!("2017-13-01")), None);
    assert_eq!(parse("string", json!(null)), None);
}
