//! PostgreSQL's types for Feast's, by every name that Feast has given them.

use super::PgType;

/// Types that a column of this Feast type may have in a source, Feast's own first; none if Feast has no such type.
///
/// Feast has fewer types than PostgreSQL: its string is what a uuid becomes, its timestamp has no zone to tell.
/// Names are those of `feast.types` (`Int64`, `Array(Int64)`), of `ValueType` (`INT64`, `DOUBLE`, `INT64_LIST`), and `array_int64`.
pub fn of_feast(name: &str) -> Option<Vec<PgType>> {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | ' ')).collect::<String>().to_ascii_lowercase();
    let element = plain
        .strip_prefix("array")
        .map(|rest| rest.trim_start_matches(['(', '<', '[']).trim_end_matches([')', '>', ']']))
        .or_else(|| plain.strip_suffix("list"))
        .or_else(|| plain.strip_suffix("[]"));
    match element {
        Some(element) => Some(scalar(element)?.iter().map(|pg_type| pg_type.array_of()).collect()),
        None => scalar(&plain).map(<[PgType]>::to_vec),
    }
}

fn scalar(name: &str) -> Option<&'static [PgType]> {
    Some(match name {
        "int32" => &[PgType::INT4],
        "int64" => &[PgType::INT8],
        "float" | "float32" => &[PgType::FLOAT4],
        "double" | "float64" => &[PgType::FLOAT8],
        "string" => &[PgType::TEXT, PgType::VARCHAR, PgType::BPCHAR, PgType::UUID],
        "bool" => &[PgType::BOOL],
        "bytes" => &[PgType::BYTEA],
        "timestamp" | "unixtimestamp" => &[PgType::TIMESTAMPTZ, PgType::TIMESTAMP, PgType::DATE],
        "uuid" => &[PgType::UUID],
        "decimal" => &[PgType::NUMERIC],
        "map" | "struct" | "json" => &[PgType::JSONB],
        _ => return None,
    })
}

/// Feast's names, for hints.
pub const FEAST_TYPES: &[&str] = &[
    "int32",
    "int64",
    "float32",
    "float64",
    "double",
    "string",
    "bool",
    "bytes",
    "timestamp",
    "unix_timestamp",
    "array_int32",
    "array_int64",
    "array_float32",
    "array_float64",
    "array_string",
    "array_bool",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings() {
        for name in ["int64", "Int64", "INT64"] {
            assert_eq!(of_feast(name), Some(vec![PgType::INT8]), "{name}");
        }
        for name in ["array_float64", "Array(Float64)", "DOUBLE_LIST", "Array<double>", "float64[]"] {
            assert_eq!(of_feast(name), Some(vec![PgType::FLOAT8.array_of()]), "{name}");
        }
        assert_eq!(of_feast("UNIX_TIMESTAMP").unwrap()[0], PgType::TIMESTAMPTZ);
        for name in ["int65", "", "array", "array_array_int64", "list"] {
            assert_eq!(of_feast(name), None, "{name}");
        }
        for name in FEAST_TYPES {
            assert!(of_feast(name).is_some(), "{name}");
        }
    }
}
