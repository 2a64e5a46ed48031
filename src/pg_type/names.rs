//! The spellings of types in SQL: PostgreSQL's `format_type`, and the aliases its parser accepts.
//!
//! A name is read as words, an optional list of numbers and optional brackets; what is not understood entirely is no type. Sizes
//! that PostgreSQL refuses (`numeric(0)`, `varchar(0)`) are no type either, so that the caller's error names the text.

use super::{PgType, numeric_typmod};

/// PostgreSQL's bounds for `numeric(p,s)` and `varchar(n)`.
const MAX_NUMERIC_PRECISION: i32 = 1000;
const MAX_CHARACTERS: i32 = 10_485_760;
/// What PostgreSQL adds to a length in a type modifier.
const VARHDRSZ: i32 = 4;

/// `format_type(oid, typmod)`.
pub(super) fn format(pg_type: PgType, typmod: i32) -> String {
    if let Some(element) = pg_type.element() {
        return format!("{}[]", format(element, typmod));
    }
    let name = pg_type.entry().sql_name;
    if typmod < 0 {
        return if pg_type == PgType::BPCHAR { "bpchar".to_owned() } else { name.to_owned() };
    }
    match pg_type {
        PgType::NUMERIC if typmod >= VARHDRSZ => {
            let packed = typmod - VARHDRSZ;
            format!("numeric({},{})", packed >> 16, packed & 0x7ff)
        }
        PgType::VARCHAR | PgType::BPCHAR if typmod > VARHDRSZ => format!("{name}({})", typmod - VARHDRSZ),
        PgType::BIT | PgType::VARBIT => format!("{name}({typmod})"),
        PgType::TIME => format!("time({typmod}) without time zone"),
        PgType::TIMETZ => format!("time({typmod}) with time zone"),
        PgType::TIMESTAMP => format!("timestamp({typmod}) without time zone"),
        PgType::TIMESTAMPTZ => format!("timestamp({typmod}) with time zone"),
        PgType::INTERVAL if typmod <= 6 => format!("interval({typmod})"),
        _ => name.to_owned(),
    }
}

/// The type with this SQL name, and its modifier or -1.
pub(super) fn parse(text: &str) -> Option<(PgType, i32)> {
    let mut rest = text.trim();
    let mut array = false;
    while let Some(before) = rest.strip_suffix(']') {
        rest = before.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace()).strip_suffix('[')?.trim_end();
        array = true;
    }
    let lower = rest.to_ascii_lowercase();
    let mut rest = lower.as_str();
    if !array && let Some(before) = rest.strip_suffix(" array") {
        rest = before.trim_end();
        array = true;
    }
    // A name may stand in quotes, where it keeps its case.
    let bare = rest.replace('"', "");
    if rest.contains('"') && rest != "\"char\"" {
        if text.split('"').skip(1).step_by(2).any(|quoted| quoted != quoted.to_ascii_lowercase()) {
            return None;
        }
        rest = &bare;
    }
    rest = rest.strip_prefix("pg_catalog.").unwrap_or(rest);
    let (words, sizes) = split_sizes(rest)?;
    let (pg_type, typmod) = base(&words, &sizes, text.contains("\"char\""))?;
    Some((if array { pg_type.array_of() } else { pg_type }, typmod))
}

/// The words, single spaces between them, and the numbers in parentheses, which may stand between words (`timestamp(3) with …`).
fn split_sizes(text: &str) -> Option<(String, Vec<i32>)> {
    let (before, sizes, after) = match text.split_once('(') {
        None => (text, Vec::new(), ""),
        Some((before, rest)) => {
            let (inside, after) = rest.split_once(')')?;
            let sizes = inside.split(',').map(|number| number.trim().parse().ok()).collect::<Option<Vec<i32>>>()?;
            (before, sizes, after)
        }
    };
    let words = before.split_whitespace().chain(after.split_whitespace()).collect::<Vec<_>>().join(" ");
    Some((words, sizes))
}

/// A scalar type by its words.
fn base(words: &str, sizes: &[i32], quoted_char: bool) -> Option<(PgType, i32)> {
    let plain = |pg_type: PgType| sizes.is_empty().then_some((pg_type, -1));
    let precision = |pg_type: PgType| match sizes {
        [] => Some((pg_type, -1)),
        [digits] if *digits >= 0 => Some((pg_type, (*digits).min(6))),
        _ => None,
    };
    let characters = |pg_type: PgType, default: i32| match sizes {
        [] => Some((pg_type, default)),
        [length @ 1..=MAX_CHARACTERS] => Some((pg_type, length + VARHDRSZ)),
        _ => None,
    };
    match words {
        "boolean" | "bool" => plain(PgType::BOOL),
        "smallint" | "int2" | "smallserial" => plain(PgType::INT2),
        "integer" | "int" | "int4" | "serial" => plain(PgType::INT4),
        "bigint" | "int8" | "bigserial" => plain(PgType::INT8),
        "real" | "float4" => plain(PgType::FLOAT4),
        "double precision" | "float8" | "double" => plain(PgType::FLOAT8),
        "float" => match sizes {
            [] | [25..=53] => Some((PgType::FLOAT8, -1)),
            [1..=24] => Some((PgType::FLOAT4, -1)),
            _ => None,
        },
        "numeric" | "decimal" | "dec" => match *sizes {
            [] => Some((PgType::NUMERIC, -1)),
            [digits @ 1..=MAX_NUMERIC_PRECISION] => Some((PgType::NUMERIC, numeric_typmod(digits as u16, 0))),
            [digits @ 1..=MAX_NUMERIC_PRECISION, scale @ 0..=127] if scale <= digits => {
                Some((PgType::NUMERIC, numeric_typmod(digits as u16, scale as i8)))
            }
            _ => None,
        },
        "text" | "string" => plain(PgType::TEXT),
        "character varying" | "varchar" | "char varying" => characters(PgType::VARCHAR, -1),
        "bpchar" => characters(PgType::BPCHAR, -1),
        "char" if quoted_char => plain(PgType::CHAR),
        "\"char\"" => plain(PgType::CHAR),
        "character" | "char" | "nchar" => characters(PgType::BPCHAR, 1 + VARHDRSZ),
        "timestamp" | "timestamp without time zone" => precision(PgType::TIMESTAMP),
        "timestamptz" | "timestamp with time zone" => precision(PgType::TIMESTAMPTZ),
        "time" | "time without time zone" => precision(PgType::TIME),
        "timetz" | "time with time zone" => precision(PgType::TIMETZ),
        "interval" => precision(PgType::INTERVAL),
        "bytea" | "blob" => plain(PgType::BYTEA),
        "bit" => Some((PgType::BIT, sizes.first().copied().unwrap_or(1))),
        "bit varying" | "varbit" => Some((PgType::VARBIT, sizes.first().copied().unwrap_or(-1))),
        other => {
            let pg_type = PgType::from_name(other)?;
            // Of the types listed, only those above take a size; "char" is only the quoted one.
            plain(pg_type)
        }
    }
}
