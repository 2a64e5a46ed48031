//! The specification's own examples (appendix B), and values before 1970.

use bytes::Bytes;

use super::*;

#[test]
fn hashes_are_those_of_the_specification() {
    let hash = |datum: Datum| bucket_hash(&datum).unwrap() as i32;
    assert_eq!(hash(Datum::Int(34)), 2_017_239_379);
    assert_eq!(hash(Datum::Long(34)), 2_017_239_379);
    assert_eq!(hash(Datum::Decimal { unscaled: 1420, precision: 9, scale: 2 }), -500_754_589);
    assert_eq!(hash(Datum::Date(17_486)), -653_330_422);
    assert_eq!(hash(Datum::Time(81_068_000_000)), -662_762_989);
    assert_eq!(hash(Datum::Timestamp(1_510_871_468_000_000)), -2_047_944_441);
    assert_eq!(hash(Datum::Timestamp(1_510_871_468_000_001)), -1_207_196_810);
    assert_eq!(hash(Datum::TimestampNs(1_510_871_468_000_001_001)), -1_207_196_810);
    assert_eq!(hash(Datum::String("iceberg".into())), 1_210_000_089);
    let uuid = *uuid::Uuid::parse_str("f79c3e09-677c-4bbd-a479-3f349cb785e7").unwrap().as_bytes();
    assert_eq!(hash(Datum::Uuid(uuid)), 1_488_055_340);
    assert_eq!(hash(Datum::Binary(Bytes::from_static(&[0, 1, 2, 3]))), -188_683_207);
}

#[test]
fn buckets_are_never_negative() {
    assert_eq!(
        Transform::Bucket(16).apply(&Datum::Date(17_486)),
        Some(Datum::Int(((-653_330_422i32) as u32 as i64 & 0x7fff_ffff) as i32 % 16))
    );
    assert_eq!(Transform::Bucket(16).apply(&Datum::Double(1.0)), None);
}

#[test]
fn truncation_rounds_down() {
    let truncate = Transform::Truncate(10);
    assert_eq!(truncate.apply(&Datum::Int(1)), Some(Datum::Int(0)));
    assert_eq!(truncate.apply(&Datum::Int(-1)), Some(Datum::Int(-10)));
    assert_eq!(truncate.apply(&Datum::Long(-10)), Some(Datum::Long(-10)));
    assert_eq!(
        Transform::Truncate(50).apply(&Datum::Decimal { unscaled: 1065, precision: 9, scale: 2 }),
        Some(Datum::Decimal { unscaled: 1050, precision: 9, scale: 2 })
    );
    assert_eq!(Transform::Truncate(3).apply(&Datum::String("äöüß".into())), Some(Datum::String("äöü".into())));
}

#[test]
fn times_before_1970_round_down() {
    let last_of_1969 = Datum::Timestamp(-1);
    assert_eq!(Transform::Year.apply(&last_of_1969), Some(Datum::Int(-1)));
    assert_eq!(Transform::Month.apply(&last_of_1969), Some(Datum::Int(-1)));
    assert_eq!(Transform::Day.apply(&last_of_1969), Some(Datum::Date(-1)));
    assert_eq!(Transform::Hour.apply(&last_of_1969), Some(Datum::Int(-1)));
    let moon = Datum::Date(-165); // 1969-07-20
    assert_eq!(Transform::Month.apply(&moon), Some(Datum::Int(-6)));
    let leap = Datum::Date(19_782); // 2024-02-29
    assert_eq!(Transform::Month.apply(&leap), Some(Datum::Int(54 * 12 + 1)));
    assert_eq!(Transform::Year.apply(&leap), Some(Datum::Int(54)));
}

#[test]
fn names_survive() {
    for name in ["identity", "bucket[16]", "truncate[2]", "year", "month", "day", "hour", "void", "zorder[3]", "bucket[0]"] {
        assert_eq!(Transform::parse(name).to_string(), name);
    }
    assert_eq!(Transform::parse("bucket[0]"), Transform::Unknown("bucket[0]".into()));
}
