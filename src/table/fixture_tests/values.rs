//! Values of the expected files and of the engine in one text form, by Iceberg type.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, Int64Type, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use serde_json::Value;

/// Nanoseconds since 1970 of a timestamp's text.
pub fn instant(text: &str) -> i64 {
    let text = text.strip_suffix("+00:00").unwrap_or(text).trim_end_matches('Z').replace(' ', "T");
    let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").unwrap().and_utc();
    time.timestamp() * 1_000_000_000 + i64::from(time.timestamp_subsec_nanos())
}

fn wide_instant(text: &str) -> i128 {
    let text = text.strip_suffix("+00:00").unwrap_or(text).trim_end_matches('Z').replace(' ', "T");
    let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").unwrap().and_utc();
    i128::from(time.timestamp()) * 1_000_000_000 + i128::from(time.timestamp_subsec_nanos())
}

fn float(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{value:?}") }
}

fn decimal(text: &str) -> String {
    // Python writes small ones with an exponent.
    if let Some((digits, zeros)) = text.split_once("E-") {
        let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
        let digits = digits.replace('.', "");
        let zeros = zeros.parse::<usize>().unwrap() - 1;
        return decimal(&format!("{sign}0.{}{digits}", "0".repeat(zeros)));
    }
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text == "-0" || text.is_empty() { "0".to_owned() } else { text.to_owned() }
}

/// A value of an expected file.
pub fn expected(value: &Value, of: &Value) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    let Some(name) = of.as_str() else {
        return match of["type"].as_str().unwrap() {
            "struct" => {
                let fields = of["fields"].as_array().unwrap().iter();
                let parts: Vec<_> = fields.map(|field| expected(&value[field["name"].as_str().unwrap()], &field["type"])).collect();
                format!("({})", parts.join(", "))
            }
            "list" => {
                let parts: Vec<_> = value.as_array().unwrap().iter().map(|element| expected(element, &of["element"])).collect();
                format!("[{}]", parts.join(", "))
            }
            _ => {
                let pairs = value.as_array().unwrap().iter();
                let mut parts: Vec<_> =
                    pairs.map(|pair| format!("{}: {}", expected(&pair[0], &of["key"]), expected(&pair[1], &of["value"]))).collect();
                parts.sort();
                format!("{{{}}}", parts.join(", "))
            }
        };
    };
    let text = || value.as_str().unwrap();
    match name {
        "boolean" | "int" | "long" => value.to_string(),
        "float" | "double" => {
            let number = match value.as_str() {
                Some("NaN") => f64::NAN,
                Some("Infinity") => f64::INFINITY,
                Some("-Infinity") => f64::NEG_INFINITY,
                _ => value.as_f64().unwrap(),
            };
            float(if name == "float" { f64::from(number as f32) } else { number })
        }
        "string" | "date" | "uuid" => text().to_owned(),
        "time" => {
            let time = NaiveTime::parse_from_str(text(), "%H:%M:%S%.f").unwrap();
            (i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1000)).to_string()
        }
        _ if name.starts_with("timestamp") => wide_instant(text()).to_string(),
        _ if name.starts_with("decimal") => decimal(text()),
        _ => text().to_lowercase(),
    }
}

/// A value of the engine.
pub fn actual(column: &ArrayRef, row: usize, of: &Value) -> String {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return "NULL".to_owned();
    }
    let Some(name) = of.as_str() else {
        return match of["type"].as_str().unwrap() {
            "struct" => {
                let rows = column.as_struct();
                let fields = of["fields"].as_array().unwrap();
                assert_eq!(rows.num_columns(), fields.len(), "fields of a struct");
                let names: Vec<_> = rows.fields().iter().map(|field| field.name().as_str()).collect();
                let wanted: Vec<_> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
                assert_eq!(names, wanted, "names in a struct");
                let parts: Vec<_> = rows.columns().iter().zip(fields).map(|(child, field)| actual(child, row, &field["type"])).collect();
                format!("({})", parts.join(", "))
            }
            "list" => {
                let list = column.as_list::<i32>().value(row);
                let parts: Vec<_> = (0..list.len()).map(|at| actual(&list, at, &of["element"])).collect();
                format!("[{}]", parts.join(", "))
            }
            _ => {
                let entries = column.as_map().value(row);
                let (keys, values) = (entries.column(0), entries.column(1));
                let mut parts: Vec<_> = (0..entries.len())
                    .map(|at| format!("{}: {}", actual(keys, at, &of["key"]), actual(values, at, &of["value"])))
                    .collect();
                parts.sort();
                format!("{{{}}}", parts.join(", "))
            }
        };
    };
    let one = column.slice(row, 1);
    match (name, column.data_type()) {
        ("boolean", _) => one.as_boolean().value(0).to_string(),
        ("int" | "long", _) => cast(&one, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(0).to_string(),
        ("float", DataType::Float32) => float(f64::from(one.as_primitive::<Float32Type>().value(0))),
        ("float", _) => float(f64::from(one.as_primitive::<Float64Type>().value(0) as f32)),
        ("double", _) => float(cast(&one, &DataType::Float64).unwrap().as_primitive::<Float64Type>().value(0)),
        ("string", _) => cast(&one, &DataType::Utf8).unwrap().as_string::<i32>().value(0).to_owned(),
        ("date", DataType::Date32) => {
            let days = cast(&one, &DataType::Int32).unwrap();
            let days = days.as_primitive::<arrow::datatypes::Int32Type>().value(0);
            (NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::Days::new(0) + chrono::Duration::days(days.into())).to_string()
        }
        ("uuid", _) => uuid::Uuid::from_slice(one.as_fixed_size_binary().value(0)).unwrap().to_string(),
        ("time", _) => cast(&one, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(0).to_string(),
        (_, DataType::Timestamp(unit, zone)) => {
            assert_eq!(zone.is_some(), name.starts_with("timestamptz"), "zone");
            let value = i128::from(cast(&one, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(0));
            let nanos = match unit {
                TimeUnit::Microsecond => value * 1000,
                TimeUnit::Nanosecond => value,
                other => panic!("{other:?}"),
            };
            nanos.to_string()
        }
        (_, DataType::Decimal128(..)) => decimal(&one.as_primitive::<Decimal128Type>().value_as_string(0)),
        (_, DataType::Binary) => hex(one.as_binary::<i32>().value(0)),
        (_, DataType::FixedSizeBinary(_)) => hex(one.as_fixed_size_binary().value(0)),
        (name, other) => panic!("{name} from {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn instants() {
    assert_eq!(instant("1970-01-01T00:00:01.000001+00:00"), 1_000_001_000);
    assert_eq!(DateTime::UNIX_EPOCH.timestamp(), 0);
}
