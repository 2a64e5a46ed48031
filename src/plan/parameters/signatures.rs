//! Arguments of PostgreSQL's functions, where an untyped parameter gets one type whatever the other arguments are.
//!
//! Of functions with several signatures it is the one that PostgreSQL prefers for an argument of unknown type (`double precision`
//! among numbers, text among all). Functions that take a type from another argument are in [`super::inferred`].

use crate::pg_type::PgType;

/// Name, how many arguments at the least, the arguments' types.
const SIGNATURES: &[(&str, usize, &[PgType])] = &[
    ("abs", 1, &[PgType::FLOAT8]),
    ("acos", 1, &[PgType::FLOAT8]),
    ("age", 1, &[PgType::TIMESTAMPTZ, PgType::TIMESTAMPTZ]),
    ("array_length", 2, &[PgType::TEXT, PgType::INT4]),
    ("array_lower", 2, &[PgType::TEXT, PgType::INT4]),
    ("array_upper", 2, &[PgType::TEXT, PgType::INT4]),
    ("asin", 1, &[PgType::FLOAT8]),
    ("atan", 1, &[PgType::FLOAT8]),
    ("atan2", 2, &[PgType::FLOAT8, PgType::FLOAT8]),
    ("cbrt", 1, &[PgType::FLOAT8]),
    ("ceil", 1, &[PgType::FLOAT8]),
    ("ceiling", 1, &[PgType::FLOAT8]),
    ("chr", 1, &[PgType::INT4]),
    ("cos", 1, &[PgType::FLOAT8]),
    ("cot", 1, &[PgType::FLOAT8]),
    ("degrees", 1, &[PgType::FLOAT8]),
    ("encode", 2, &[PgType::BYTEA, PgType::TEXT]),
    ("exp", 1, &[PgType::FLOAT8]),
    ("factorial", 1, &[PgType::INT8]),
    ("floor", 1, &[PgType::FLOAT8]),
    ("isfinite", 1, &[PgType::TIMESTAMPTZ]),
    ("lag", 2, &[PgType::TEXT, PgType::INT4, PgType::TEXT]),
    ("lead", 2, &[PgType::TEXT, PgType::INT4, PgType::TEXT]),
    ("left", 2, &[PgType::TEXT, PgType::INT4]),
    ("ln", 1, &[PgType::FLOAT8]),
    ("log", 2, &[PgType::NUMERIC, PgType::NUMERIC]),
    ("log", 1, &[PgType::FLOAT8]),
    ("log10", 1, &[PgType::FLOAT8]),
    ("lpad", 2, &[PgType::TEXT, PgType::INT4, PgType::TEXT]),
    ("make_date", 3, &[PgType::INT4, PgType::INT4, PgType::INT4]),
    ("make_interval", 1, &[PgType::INT4, PgType::INT4, PgType::INT4, PgType::INT4, PgType::INT4, PgType::INT4, PgType::FLOAT8]),
    ("make_time", 3, &[PgType::INT4, PgType::INT4, PgType::FLOAT8]),
    ("make_timestamp", 6, &[PgType::INT4, PgType::INT4, PgType::INT4, PgType::INT4, PgType::INT4, PgType::FLOAT8]),
    ("make_timestamptz", 6, &[PgType::INT4, PgType::INT4, PgType::INT4, PgType::INT4, PgType::INT4, PgType::FLOAT8, PgType::TEXT]),
    ("nth_value", 2, &[PgType::TEXT, PgType::INT4]),
    ("ntile", 1, &[PgType::INT4]),
    ("obj_description", 2, &[PgType::OID, PgType::NAME]),
    ("obj_description", 1, &[PgType::OID]),
    ("col_description", 2, &[PgType::OID, PgType::INT4]),
    ("percentile_cont", 1, &[PgType::FLOAT8]),
    ("percentile_disc", 1, &[PgType::FLOAT8]),
    ("pg_advisory_lock", 1, &[PgType::INT8]),
    ("pg_advisory_unlock", 1, &[PgType::INT8]),
    ("pg_advisory_xact_lock", 1, &[PgType::INT8]),
    ("pg_try_advisory_lock", 1, &[PgType::INT8]),
    ("pg_try_advisory_xact_lock", 1, &[PgType::INT8]),
    ("pg_cancel_backend", 1, &[PgType::INT4]),
    ("pg_get_userbyid", 1, &[PgType::OID]),
    ("pg_sleep", 1, &[PgType::FLOAT8]),
    ("pg_sleep_for", 1, &[PgType::INTERVAL]),
    ("pg_terminate_backend", 1, &[PgType::INT4, PgType::INT8]),
    ("radians", 1, &[PgType::FLOAT8]),
    ("repeat", 2, &[PgType::TEXT, PgType::INT4]),
    ("right", 2, &[PgType::TEXT, PgType::INT4]),
    ("round", 2, &[PgType::NUMERIC, PgType::INT4]),
    ("round", 1, &[PgType::FLOAT8]),
    ("rpad", 2, &[PgType::TEXT, PgType::INT4, PgType::TEXT]),
    ("set_config", 3, &[PgType::TEXT, PgType::TEXT, PgType::BOOL]),
    ("setseed", 1, &[PgType::FLOAT8]),
    ("signum", 1, &[PgType::FLOAT8]),
    ("sin", 1, &[PgType::FLOAT8]),
    ("split_part", 3, &[PgType::TEXT, PgType::TEXT, PgType::INT4]),
    ("sqrt", 1, &[PgType::FLOAT8]),
    ("substr", 2, &[PgType::TEXT, PgType::INT4, PgType::INT4]),
    ("substring", 3, &[PgType::TEXT, PgType::INT4, PgType::INT4]),
    ("tan", 1, &[PgType::FLOAT8]),
    ("to_hex", 1, &[PgType::INT4]),
    ("to_timestamp", 1, &[PgType::FLOAT8]),
    ("trunc", 2, &[PgType::NUMERIC, PgType::INT4]),
    ("trunc", 1, &[PgType::FLOAT8]),
    ("width_bucket", 4, &[PgType::FLOAT8, PgType::FLOAT8, PgType::FLOAT8, PgType::INT4]),
];

/// The type of an argument, if the function gives it one.
pub(super) fn argument(name: &str, count: usize, place: usize) -> Option<PgType> {
    let one_too_many = |least: usize, most: usize| count < least || count > most.max(least);
    // `to_timestamp(text, text)` and the like are others than those of one argument.
    let (_, _, types) = SIGNATURES.iter().find(|(known, least, types)| *known == name && !one_too_many(*least, types.len()))?;
    // An array or a value that takes its type elsewhere is written as text.
    types.get(place).copied().filter(|pg_type| *pg_type != PgType::TEXT)
}
