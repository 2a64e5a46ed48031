//! Oids, names and modifiers, as PostgreSQL 15 gives them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::*;

#[test]
fn names_are_those_of_format_type() {
    for (spelling, canonical) in [
        ("int8", "bigint"),
        ("INT", "integer"),
        ("float8", "double precision"),
        ("DOUBLE  PRECISION", "double precision"),
        ("float(24)", "real"),
        ("decimal(10, 2)", "numeric(10,2)"),
        ("numeric(5)", "numeric(5,0)"),
        ("numeric", "numeric"),
        ("varchar(10)", "character varying(10)"),
        ("varchar", "character varying"),
        ("char(3)", "character(3)"),
        ("char", "character(1)"),
        ("\"char\"", "\"char\""),
        ("timestamptz", "timestamp with time zone"),
        ("timestamp(3) with time zone", "timestamp(3) with time zone"),
        ("timestamp", "timestamp without time zone"),
        ("text[]", "text[]"),
        ("numeric(10,2)[]", "numeric(10,2)[]"),
        ("int4[][3]", "integer[]"),
        ("bigint ARRAY", "bigint[]"),
        ("pg_catalog.int4", "integer"),
        ("_text", "text[]"),
        ("uuid", "uuid"),
        ("jsonb", "jsonb"),
        ("interval", "interval"),
        ("bool", "boolean"),
    ] {
        assert_eq!(PgType::canonical_sql_name(spelling).as_deref(), Some(canonical), "{spelling}");
    }
    for wrong in ["", "blub", "numeric(0)", "numeric(2,3)", "varchar(0)", "int4(3)", "text[", "numeric(10", "numeric(a)", "]"] {
        assert_eq!(PgType::from_sql_name(wrong), None, "{wrong}");
    }
}

#[test]
fn fields_become_types() {
    let field = |data_type| Field::new("f", data_type, true);
    let list = |item: Field| field(DataType::List(Arc::new(item)));
    for (given, oid, name) in [
        (field(DataType::UInt64), 1700, "numeric"),
        (field(DataType::UInt32), 26, "oid"),
        (field(DataType::Int8), 21, "smallint"),
        (field(DataType::Decimal128(10, 2)), 1700, "numeric(10,2)"),
        (field(DataType::Null), 25, "text"),
        (field(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))), 1184, "timestamp with time zone"),
        (list(list(field(DataType::Int64))), 3802, "jsonb"),
        (list(field(DataType::Decimal128(5, 1))), 1231, "numeric(5,1)[]"),
        (field(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))), 25, "text"),
        (PgType::UUID.arrow_field("f"), 2950, "uuid"),
        (PgType::NAME.arrow_field("f"), 19, "name"),
        (PgType::OID.array_of().arrow_field("f"), 1028, "oid[]"),
        (field(DataType::FixedSizeBinary(16)), 2950, "uuid"),
        (field(DataType::FixedSizeBinary(4)), 17, "bytea"),
        (field(DataType::Struct(vec![field(DataType::Int64)].into())), 3802, "jsonb"),
    ] {
        assert_eq!((PgType::of(&given).oid(), PgType::sql_name(&given).as_str()), (oid, name), "{given:?}");
    }
}

#[test]
fn every_type_survives_its_own_names() {
    for pg_type in PgType::all().flat_map(|scalar| [scalar, scalar.array_of()]) {
        assert_eq!(PgType::from_name(pg_type.name()), Some(pg_type));
        assert_eq!(PgType::from_oid(pg_type.oid()), Some(pg_type));
        assert_eq!(PgType::of(&pg_type.arrow_field("f")), pg_type);
    }
    assert_eq!(PgType::from_oid(0), None);
    assert_eq!(PgType::from_oid(424_242), None);
    assert_eq!(PgType::typmod(&Field::new("f", DataType::Decimal128(10, 2), true)), 655_366);
}
