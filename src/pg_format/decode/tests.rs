//! Every value of PostgreSQL's table, in by text and by binary, out by text and by binary; and every bad one with its code and words.

use arrow::datatypes::i256;

use super::*;
use crate::pg_format::OutputSettings;
use crate::pg_format::encode::Shape;
use crate::pg_format::postgres_values::{BAD_VALUES, VALUES};

fn berlin() -> Zone {
    Zone::parse("Europe/Berlin").unwrap()
}

fn type_of(name: &str) -> PgType {
    PgType::from_sql_name(name).unwrap_or_else(|| panic!("{name}")).0
}

/// A single value's field in a DataRow, or none for NULL.
fn sent(pg_type: PgType, array: &ArrayRef, format: i16) -> Option<Vec<u8>> {
    let field = std::sync::Arc::new(pg_type.arrow_field("v").with_data_type(array.data_type().clone()));
    let settings = OutputSettings { time_zone: "Europe/Berlin".into(), extra_float_digits: 1, bytea_escape: false };
    let shape = Shape::new([field.as_ref()], &[format], &settings);
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(vec![field]));
    let batch = arrow::array::RecordBatch::try_new(schema, vec![array.clone()]).unwrap();
    let mut out = Vec::new();
    assert_eq!(shape.data_rows(&batch, 0, usize::MAX, &mut out), Ok(1));
    assert_eq!((out[0], &out[5..7]), (b'D', [0, 1].as_slice()));
    let length = i32::from_be_bytes(out[7..11].try_into().unwrap());
    (length >= 0).then(|| out[11..].to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[test]
fn values_are_postgresqls_both_ways() {
    let mut wrong = Vec::new();
    for (name, input, text, binary) in VALUES {
        let pg_type = type_of(name);
        for (format, bytes) in [(Format::Text, input.as_bytes().to_vec()), (Format::Binary, unhex(binary))] {
            match parameter(pg_type, format, Some(&bytes), berlin().into()) {
                Err(report) => wrong.push(format!("{name} {input:?} {format:?}: {report}")),
                Ok(array) => {
                    let out = sent(pg_type, &array, 0).map(|bytes| String::from_utf8(bytes).unwrap());
                    // An array's bounds are not kept.
                    let bare = text.split_once("]={").map_or((*text).to_owned(), |(_, rest)| format!("{{{rest}"));
                    if out.as_deref() != Some(bare.as_str()) {
                        wrong.push(format!("{name} {input:?} {format:?}: text {out:?}, not {bare:?}"));
                    }
                    let out = sent(pg_type, &array, 1).map(|bytes| hex(&bytes));
                    if out.as_deref() != Some(*binary) && bare == *text {
                        wrong.push(format!("{name} {input:?} {format:?}: binary {out:?}, not {binary:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bad_values_have_postgresqls_codes_and_words() {
    let mut wrong = Vec::new();
    for (name, input, code, message) in BAD_VALUES {
        match parse(type_of(name), Format::Text, input.as_bytes(), Zone::UTC.into()) {
            Ok(value) => wrong.push(format!("{name} {input:?} was read as {value:?}")),
            Err(report) => {
                if report.sqlstate.code() != *code || report.message != *message {
                    wrong.push(format!("{name} {input:?}: {} {}, not {code} {message}", report.sqlstate, report.message));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn binary_that_contradicts_itself_is_refused() {
    for (name, bytes) in [
        ("int4", "00"),
        ("int4", "0000000000"),
        ("int8", ""),
        ("bool", "0101"),
        ("uuid", "00"),
        ("numeric", "0001"),
        ("numeric", "7fff0000000000000001"),
        ("numeric", "00010000000000002711"),
        ("numeric", "00010000123400000001"),
        ("interval", "00000000000000000000000000"),
        ("jsonb", "02"),
        ("jsonb", ""),
        ("int4[]", "00000001"),
        ("int4[]", "ffffffff0000000000000017"),
        ("int4[]", "0000000100000000000000177fffffff00000001"),
        (
            "int4[]",
            "000000060000000000000017000fffff00000001000fffff00000001000fffff00000001000fffff00000001000fffff000000010000000000000001",
        ),
        ("int4[]", "00000001000000000000001700000001000000017fffffff"),
    ] {
        let error = parse(type_of(name), Format::Binary, &unhex(bytes), Zone::UTC.into()).unwrap_err();
        assert!(matches!(error.sqlstate.code(), "08P01" | "22P03" | "22003" | "22P02"), "{name} {bytes}: {error:?}");
    }
    let mixed = parse(type_of("int4[]"), Format::Binary, &unhex("000000000000000000000019"), Zone::UTC.into()).unwrap_err();
    assert_eq!((mixed.sqlstate.code(), mixed.message.as_str()), ("42804", "binary data has array element type text instead of integer"));
}

#[test]
fn a_numeric_keeps_its_scale_and_its_38_digits() {
    let value = parse(PgType::NUMERIC, Format::Text, b"-12.50", Zone::UTC.into());
    assert_eq!(value, Ok(Value::Decimal(i256::from_i128(-1250), 2)));
    for text in ["99999999999999999999999999999999999999", "0.12345678901234567890123456789012345678", "-1.50", "0"] {
        let array = parameter(PgType::NUMERIC, Format::Text, Some(text.as_bytes()), Zone::UTC.into()).unwrap();
        assert!(matches!(array.data_type(), arrow::datatypes::DataType::Decimal128(38, _)), "{text}");
        assert_eq!(sent(PgType::NUMERIC, &array, 0).as_deref(), Some(text.as_bytes()));
    }
    let wide = "1".repeat(76);
    let array = parameter(PgType::NUMERIC, Format::Text, Some(wide.as_bytes()), Zone::UTC.into()).unwrap();
    assert_eq!(sent(PgType::NUMERIC, &array, 0).as_deref(), Some(wide.as_bytes()));
    let error = parameter(PgType::NUMERIC, Format::Text, Some("1".repeat(77).as_bytes()), Zone::UTC.into()).unwrap_err();
    assert_eq!(error.sqlstate.code(), "22003");
}

#[test]
fn null_is_null_of_every_type() {
    for pg_type in PgType::all().flat_map(|scalar| [scalar, scalar.array_of()]) {
        let array = parameter(pg_type, Format::Binary, None, Zone::UTC.into()).unwrap();
        assert_eq!((array.data_type(), array.len()), (&pg_type.arrow(), 1), "{pg_type:?}");
        assert_eq!(sent(pg_type, &array, 0), None, "{pg_type:?}");
        assert_eq!(sent(pg_type, &array, 1), None, "{pg_type:?}");
    }
}

#[test]
fn text_must_be_utf8_without_nul() {
    for (bytes, message) in [
        (b"a\xff".as_slice(), "invalid byte sequence for encoding \"UTF8\": 0xff"),
        (b"\xe2\x28", "invalid byte sequence for encoding \"UTF8\": 0xe2 0x28"),
        (b"a\0b", "invalid byte sequence for encoding \"UTF8\": 0x00"),
    ] {
        let error = parse(PgType::TEXT, Format::Text, bytes, Zone::UTC.into()).unwrap_err();
        assert_eq!((error.sqlstate.code(), error.message.as_str()), ("22021", message));
    }
}
