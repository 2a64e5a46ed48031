//! Bounds, promotions, keys.

use std::collections::HashSet;

use super::*;
use crate::source::iceberg::PartitionTuple;

fn of(name: &str) -> PrimitiveType {
    PrimitiveType::parse(name).unwrap()
}

fn bytes(raw: &[u8]) -> Bytes {
    Bytes::copy_from_slice(raw)
}

#[test]
fn bounds_of_the_columns_own_type() {
    let read = |name: &str, raw: &[u8]| Datum::from_bytes(&of(name), &bytes(raw));
    assert_eq!(read("boolean", &[1]), Some(Datum::Boolean(true)));
    assert_eq!(read("int", &7i32.to_le_bytes()), Some(Datum::Int(7)));
    assert_eq!(read("long", &(-7i64).to_le_bytes()), Some(Datum::Long(-7)));
    assert_eq!(read("date", &(-1i32).to_le_bytes()), Some(Datum::Date(-1)));
    assert_eq!(read("timestamp_ns", &5i64.to_le_bytes()), Some(Datum::TimestampNs(5)));
    assert_eq!(read("string", "ä".as_bytes()), Some(Datum::String("ä".into())));
    assert_eq!(read("decimal(9,2)", &[0xff, 0x38]), Some(Datum::Decimal { unscaled: -200, precision: 9, scale: 2 }));
    assert_eq!(read("uuid", &[9; 16]), Some(Datum::Uuid([9; 16])));
    assert_eq!(read("fixed[4]", &[1, 2]), Some(Datum::Fixed(bytes(&[1, 2]))));
}

#[test]
fn bounds_of_the_type_before_a_promotion() {
    let read = |name: &str, raw: &[u8]| Datum::from_bytes(&of(name), &bytes(raw));
    assert_eq!(read("long", &(-3i32).to_le_bytes()), Some(Datum::Long(-3)));
    assert_eq!(read("double", &1.5f32.to_le_bytes()), Some(Datum::Double(1.5)));
    assert_eq!(read("timestamp", &1i32.to_le_bytes()), Some(Datum::Timestamp(86_400_000_000)));
    assert_eq!(read("timestamp_ns", &(-1i32).to_le_bytes()), Some(Datum::TimestampNs(-86_400_000_000_000)));
    assert_eq!(read("timestamp_ns", &i32::MAX.to_le_bytes()), None);
}

#[test]
fn what_is_no_bound_is_none() {
    for (name, raw) in
        [("int", &[1u8, 2, 3][..]), ("long", &[]), ("boolean", &[1, 1]), ("uuid", &[1; 15]), ("string", &[0xff]), ("decimal(9,2)", &[])]
    {
        assert_eq!(Datum::from_bytes(&of(name), &bytes(raw)), None, "{name}");
    }
    assert_eq!(Datum::from_bytes(&of("decimal(38,0)"), &bytes(&[1; 17])), None);
    assert_eq!(Datum::from_bytes(&of("geometry"), &bytes(&[1])), None);
    assert_eq!(Datum::lower_bound(&of("double"), &bytes(&f64::NAN.to_le_bytes())), None);
    assert_eq!(Datum::upper_bound(&of("float"), &bytes(&f32::NAN.to_le_bytes())), None);
}

#[test]
fn zero_as_a_bound_covers_both_zeros() {
    let negative = |datum: Option<Datum>| matches!(datum, Some(Datum::Double(value)) if value == 0.0 && value.is_sign_negative());
    for zero in [0.0f64, -0.0] {
        assert!(negative(Datum::lower_bound(&of("double"), &bytes(&zero.to_le_bytes()))));
        assert!(!negative(Datum::upper_bound(&of("double"), &bytes(&zero.to_le_bytes()))));
    }
}

#[test]
fn promotions_of_the_specification_and_no_others() {
    assert_eq!(Datum::Int(5).promoted_to(&of("long")), Some(Datum::Long(5)));
    assert_eq!(Datum::Float(0.5).promoted_to(&of("double")), Some(Datum::Double(0.5)));
    let narrow = Datum::Decimal { unscaled: 5, precision: 4, scale: 2 };
    assert_eq!(narrow.promoted_to(&of("decimal(9,2)")), Some(Datum::Decimal { unscaled: 5, precision: 9, scale: 2 }));
    assert_eq!(narrow.promoted_to(&of("decimal(9,3)")), None);
    assert_eq!(Datum::Date(1).promoted_to(&of("timestamp")), Some(Datum::Timestamp(86_400_000_000)));
    assert_eq!(Datum::Long(5).promoted_to(&of("int")), None);
    assert_eq!(Datum::String("5".into()).promoted_to(&of("long")), None);
    assert_eq!(Datum::Binary(bytes(&[1])).promoted_to(&of("string")), None);
}

#[test]
fn partitions_are_equal_across_promotions_only() {
    let tuple = |value: Option<Datum>| PartitionTuple { values: vec![value.into()] };
    let all: HashSet<PartitionTuple> = [
        tuple(Some(Datum::Int(5))),
        tuple(Some(Datum::Long(5))),
        tuple(Some(Datum::Float(5.0))),
        tuple(Some(Datum::Double(5.0))),
        tuple(Some(Datum::String("5".into()))),
        tuple(None),
        PartitionTuple::default(),
    ]
    .into_iter()
    .collect();
    assert_eq!(all.len(), 5);
    assert_eq!(tuple(Some(Datum::Double(f64::NAN))), tuple(Some(Datum::Double(f64::NAN))));
    assert_ne!(tuple(Some(Datum::Double(0.0))), tuple(Some(Datum::Double(-0.0))));
    assert_ne!(tuple(Some(Datum::Binary(bytes(b"a")))), tuple(Some(Datum::String("a".into()))));
}

#[test]
fn big_endian_takes_padding_but_no_more_than_128_bits() {
    assert_eq!(big_endian(&[0]), Some(0));
    assert_eq!(big_endian(&[0x80]), Some(-128));
    assert_eq!(big_endian(&[0, 0x80]), Some(128));
    assert_eq!(big_endian(&[0xff; 20]), Some(-1));
    let mut padded = vec![0u8; 4];
    padded.extend_from_slice(&i128::MAX.to_be_bytes());
    assert_eq!(big_endian(&padded), Some(i128::MAX));
    let mut over = vec![0u8];
    over.extend_from_slice(&i128::MIN.to_be_bytes());
    assert_eq!(big_endian(&over), None);
}

#[test]
fn a_partition_is_the_same_one_before_and_after_its_column_was_promoted() {
    let tuple = |datum: Datum| PartitionTuple { values: vec![Some(datum).into()] };
    let same = |a: Datum, b: Datum| HashSet::from([tuple(a)]).contains(&tuple(b));
    let (day, micros) = (20_000i32, 20_000 * DAY);
    assert!(same(Datum::Date(day), Datum::Timestamp(micros)));
    assert!(same(Datum::TimestampNs(micros * 1000), Datum::Date(day)));
    assert!(same(Datum::Date(-1), Datum::Timestamp(-DAY)));
    assert!(!same(Datum::Date(day), Datum::Timestamp(micros + 1)));
    assert!(!same(Datum::Date(day), Datum::Int(day)), "a day of a date transform is always read as a date");
    assert!(same(Datum::Int(-7), Datum::Long(-7)));
    assert!(same(Datum::Float(1.5), Datum::Double(1.5)));
    let decimal = |precision| Datum::Decimal { unscaled: -150, precision, scale: 2 };
    assert!(same(decimal(5), decimal(9)));
}

#[test]
fn values_of_writers_that_leave_out_logical_types() {
    assert_eq!(Datum::Int(1).promoted_to(&of("timestamp")), Some(Datum::Timestamp(DAY)));
    assert_eq!(Datum::Int(-1).promoted_to(&of("timestamp_ns")), Some(Datum::TimestampNs(-DAY * 1000)));
    let decimal = Some(Datum::Decimal { unscaled: -200, precision: 9, scale: 2 });
    assert_eq!(Datum::Fixed(bytes(&[0xff, 0xff, 0x38])).promoted_to(&of("decimal(9,2)")), decimal);
    assert_eq!(
        Datum::Binary(bytes(&[0x38])).promoted_to(&of("decimal(9,2)")),
        Some(Datum::Decimal { unscaled: 56, precision: 9, scale: 2 })
    );
}
