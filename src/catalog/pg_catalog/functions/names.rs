//! Names to oids and back: what casts to `regclass`, `regtype` and the like mean, and who can be seen without a schema.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Entry, lenient, oid, strict, text};
use crate::catalog::pg_catalog::objects::{schema_name, schema_oid};
use crate::catalog::pg_catalog::rows::Cell;
use crate::catalog::pg_catalog::{Catalog, OWNER_OID};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;
use crate::spelling::quote_ident;

type Answer = Result<Cell, Report>;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    strict("regclassin", (1, 1), PgType::REGCLASS, regclass_in),
    strict("regclassout", (1, 1), PgType::TEXT, |catalog, row| Ok(out(oid(row.first()), |oid| relation_name(catalog, oid)))),
    strict("to_regclass", (1, 1), PgType::REGCLASS, |catalog, row| Ok(find_relation(catalog, row).map_or(Cell::Null, Cell::oid))),
    strict("regtypein", (1, 1), PgType::REGTYPE, regtype_in),
    strict("regtypeout", (1, 1), PgType::TEXT, |_, row| Ok(out(oid(row.first()), |oid| Some(type_name(oid, None))))),
    // PostgreSQL shows an array by its elements' own output function, the engine needs one for the whole.
    strict("_regtypeout", (1, 1), PgType::TEXT_ARRAY, |_, row| {
        let Some(Cell::List(types)) = row.first() else { return Ok(Cell::Null) };
        Ok(Cell::List(types.iter().map(|cell| out(oid(Some(cell)), |oid| Some(type_name(oid, None)))).collect()))
    }),
    strict("to_regtype", (1, 1), PgType::REGTYPE, |_, row| Ok(find_type(row).map_or(Cell::Null, Cell::oid))),
    strict("regprocin", (1, 1), PgType::REGPROC, regproc_in),
    strict("regprocout", (1, 1), PgType::TEXT, |_, row| Ok(out(oid(row.first()), |oid| Some((*PROCEDURES.1.get(&oid)?).to_owned())))),
    strict("regprocedurein", (1, 1), PgType::REGPROCEDURE, regprocedure_in),
    strict("regprocedureout", (1, 1), PgType::TEXT, |_, row| Ok(out(oid(row.first()), signature))),
    strict("to_regprocedure", (1, 1), PgType::REGPROCEDURE, |_, row| Ok(find_signature(row).map_or(Cell::Null, Cell::oid))),
    strict("to_regproc", (1, 1), PgType::REGPROC, |_, row| Ok(find_procedure(row).map_or(Cell::Null, Cell::oid))),
    strict("regnamespacein", (1, 1), PgType::REGNAMESPACE, regnamespace_in),
    strict("regnamespaceout", (1, 1), PgType::TEXT, |_, row| Ok(out(oid(row.first()), |oid| schema_name(oid).map(quote_ident)))),
    strict("to_regnamespace", (1, 1), PgType::REGNAMESPACE, |_, row| Ok(find_schema(row).map_or(Cell::Null, Cell::oid))),
    strict("regrolein", (1, 1), PgType::REGROLE, regrole_in),
    strict("regroleout", (1, 1), PgType::TEXT, |catalog, row| Ok(out(oid(row.first()), |oid| role_name(catalog, oid)))),
    strict("to_regrole", (1, 1), PgType::REGROLE, |catalog, row| Ok(find_role(catalog, row).map_or(Cell::Null, Cell::oid))),
    lenient("format_type", (2, 2), PgType::TEXT, format_type),
    strict("pg_get_userbyid", (1, 1), PgType::NAME, |catalog, row| {
        let oid = oid(row.first()).unwrap_or_default();
        Ok(Cell::text(role_name(catalog, oid).unwrap_or_else(|| format!("unknown (OID={oid})"))))
    }),
    strict("pg_table_is_visible", (1, 1), PgType::BOOL, |catalog, row| {
        let relation = oid(row.first()).and_then(|oid| catalog.relation_of(oid));
        Ok(relation.map_or(Cell::Null, |relation| Cell::Bool(matches!(relation.schema, "public" | "pg_catalog" | "pg_temp_1"))))
    }),
    strict("pg_type_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_function_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_operator_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_opclass_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_opfamily_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_collation_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_conversion_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_statistics_obj_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_ts_config_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_ts_dict_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_ts_parser_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_ts_template_is_visible", (1, 1), PgType::BOOL, visible),
    strict("pg_get_function_result", (1, 1), PgType::TEXT, |_, row| {
        Ok(procedure(row).map_or(Cell::Null, |(_, returns, _)| Cell::text(type_name(returns, None))))
    }),
    strict("pg_get_function_arguments", (1, 1), PgType::TEXT, function_arguments),
    strict("pg_get_function_identity_arguments", (1, 1), PgType::TEXT, function_arguments),
    strict("oidvectortypes", (1, 1), PgType::TEXT, |_, row| {
        let Some(Cell::List(types)) = row.first() else { return Ok(Cell::Null) };
        let names: Vec<String> = types.iter().filter_map(|cell| oid(Some(cell))).map(|oid| type_name(oid, None)).collect();
        Ok(Cell::text(names.join(", ")))
    }),
];

/// All that is asked for is in `pg_catalog`.
fn visible(_catalog: &Catalog, _row: &[Cell]) -> Answer {
    Ok(Cell::Bool(true))
}

/// The name of an oid as casts to text show it: `-` for none, the number where there is no such object.
fn out(oid: Option<u32>, name: impl FnOnce(u32) -> Option<String>) -> Cell {
    match oid {
        None => Cell::Null,
        Some(0) => Cell::text("-"),
        Some(oid) => Cell::text(name(oid).unwrap_or_else(|| oid.to_string())),
    }
}

/// An identifier's parts, folded and unquoted.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut characters = name.trim().chars().peekable();
    while let Some(character) = characters.next() {
        let Some(part) = parts.last_mut() else { break };
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            other if quoted => part.push(other),
            other => part.extend(other.to_lowercase()),
        }
    }
    parts
}

fn undefined(state: SqlState, what: &str, row: &[Cell]) -> Report {
    Report::new(state, format!("{what} \"{}\" does not exist", text(row.first()).unwrap_or_default()))
}

fn find_relation(catalog: &Catalog, row: &[Cell]) -> Option<u32> {
    if let Some(oid) = oid(row.first()) {
        return Some(oid);
    }
    let parts = parts(text(row.first())?);
    let (name, schema) = parts.split_last()?;
    catalog.relation_named(schema.last().map(String::as_str), name).map(|relation| relation.oid)
}

fn regclass_in(catalog: &Catalog, row: &[Cell]) -> Answer {
    if text(row.first()) == Some("-") {
        return Ok(Cell::Int(0));
    }
    find_relation(catalog, row).map(Cell::oid).ok_or_else(|| undefined(SqlState::UNDEFINED_TABLE, "relation", row))
}

/// As `regclass` shows it: with its schema where the search path does not lead to it.
pub(super) fn relation_name(catalog: &Catalog, oid: u32) -> Option<String> {
    let relation = catalog.relation_of(oid)?;
    let name = quote_ident(&relation.name);
    Some(match relation.schema {
        "pg_catalog" | "public" => name,
        schema => format!("{}.{name}", quote_ident(schema)),
    })
}

fn find_type(row: &[Cell]) -> Option<u32> {
    if let Some(oid) = oid(row.first()) {
        return Some(oid);
    }
    let name = text(row.first())?;
    PgType::from_sql_name(name).map(|(pg_type, _)| pg_type.oid()).or_else(|| {
        let parts = parts(name);
        TYPES.iter().find(|(_, (known, _))| Some(*known) == parts.last().map(String::as_str)).map(|(oid, _)| *oid)
    })
}

fn regtype_in(_catalog: &Catalog, row: &[Cell]) -> Answer {
    if text(row.first()) == Some("-") {
        return Ok(Cell::Int(0));
    }
    find_type(row).map(Cell::oid).ok_or_else(|| undefined(SqlState::UNDEFINED_OBJECT, "type", row))
}

/// `typname` and `typelem` of the types that are PostgreSQL's and not ours.
static TYPES: LazyLock<HashMap<u32, (&'static str, u32)>> = LazyLock::new(|| {
    let mut lines = include_str!("../rows/pg_type.tsv").lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let element = header.iter().position(|name| *name == "typelem").unwrap_or_default();
    lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            Some((cells.first()?.parse().ok()?, (*cells.get(1)?, cells.get(element)?.parse().ok()?)))
        })
        .collect()
});

/// `format_type`, of types that are not ours too.
fn type_name(oid: u32, typmod: Option<i32>) -> String {
    if oid == 0 {
        return "-".to_owned();
    }
    if let Some(pg_type) = PgType::from_oid(oid) {
        return match (pg_type, typmod) {
            // Without a modifier it is the standard's name, with none of its own it is not.
            (PgType::BPCHAR, None) => "character".to_owned(),
            (array, None) if array.element() == Some(PgType::BPCHAR) => "character[]".to_owned(),
            (_, typmod) => pg_type.format(typmod.unwrap_or(-1)),
        };
    }
    match TYPES.get(&oid) {
        Some((name, element)) if name.starts_with('_') => match TYPES.get(element) {
            Some((element, _)) => format!("{element}[]"),
            None => (*name).to_owned(),
        },
        Some((name, _)) => (*name).to_owned(),
        None => "???".to_owned(),
    }
}

fn format_type(_catalog: &Catalog, row: &[Cell]) -> Answer {
    let Some(oid) = oid(row.first()) else { return Ok(Cell::Null) };
    let typmod = match row.get(1) {
        Some(Cell::Int(typmod)) => i32::try_from(*typmod).ok(),
        _ => None,
    };
    Ok(Cell::text(type_name(oid, typmod)))
}

/// Oids by name, and the other way round, of the functions in `pg_proc`; then result and arguments.
type Procedures = (HashMap<&'static str, u32>, HashMap<u32, &'static str>, HashMap<u32, (u32, &'static str)>);

static PROCEDURES: LazyLock<Procedures> = LazyLock::new(|| {
    let mut lines = include_str!("../rows/pg_proc.tsv").lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let place = |wanted: &str| header.iter().position(|name| *name == wanted).unwrap_or_default();
    let (returns, arguments) = (place("prorettype"), place("proargtypes"));
    let mut procedures = Procedures::default();
    for line in lines {
        let cells: Vec<&'static str> = line.split('\t').collect();
        let (Some(Ok(oid)), Some(name)) = (cells.first().map(|oid| oid.parse::<u32>()), cells.get(1)) else { continue };
        procedures.0.entry(name).or_insert(oid);
        procedures.1.insert(oid, name);
        let result = cells.get(returns).and_then(|oid| oid.parse().ok()).unwrap_or_default();
        procedures.2.insert(oid, (result, cells.get(arguments).copied().unwrap_or_default()));
    }
    procedures
});

fn procedure(row: &[Cell]) -> Option<(u32, u32, &'static str)> {
    let oid = oid(row.first())?;
    PROCEDURES.2.get(&oid).map(|(returns, arguments)| (oid, *returns, *arguments))
}

fn function_arguments(_catalog: &Catalog, row: &[Cell]) -> Answer {
    Ok(procedure(row).map_or(Cell::Null, |(_, _, arguments)| {
        let names: Vec<String> = arguments.split_whitespace().filter_map(|oid| oid.parse().ok()).map(|oid| type_name(oid, None)).collect();
        Cell::text(names.join(", "))
    }))
}

fn find_procedure(row: &[Cell]) -> Option<u32> {
    if let Some(oid) = oid(row.first()) {
        return Some(oid);
    }
    let name = text(row.first())?;
    let parts = parts(name);
    PROCEDURES.0.get(parts.last()?.as_str()).copied()
}

fn regproc_in(_catalog: &Catalog, row: &[Cell]) -> Answer {
    if text(row.first()) == Some("-") {
        return Ok(Cell::Int(0));
    }
    find_procedure(row).map(Cell::oid).ok_or_else(|| undefined(SqlState::UNDEFINED_FUNCTION, "function", row))
}

/// `lower(text)`.
fn signature(oid: u32) -> Option<String> {
    let (_, arguments) = PROCEDURES.2.get(&oid)?;
    let names: Vec<String> = arguments.split_whitespace().filter_map(|oid| oid.parse().ok()).map(|oid| type_name(oid, None)).collect();
    Some(format!("{}({})", quote_ident(PROCEDURES.1.get(&oid)?), names.join(",")))
}

/// The function of this name and these arguments.
fn find_signature(row: &[Cell]) -> Option<u32> {
    if let Some(oid) = oid(row.first()) {
        return Some(oid);
    }
    let (name, arguments) = text(row.first())?.trim().strip_suffix(')')?.split_once('(')?;
    let wanted: Vec<u32> = match arguments.trim() {
        "" => Vec::new(),
        arguments => arguments.split(',').map(|name| find_type(&[Cell::text(name.trim())])).collect::<Option<_>>()?,
    };
    let parts = parts(name);
    let name = parts.last()?.as_str();
    let has_them = |(_, arguments): &(u32, &str)| arguments.split_whitespace().map(str::parse).eq(wanted.iter().map(|oid| Ok(*oid)));
    PROCEDURES.1.iter().find(|(oid, known)| **known == name && PROCEDURES.2.get(oid).is_some_and(has_them)).map(|(oid, _)| *oid)
}

fn regprocedure_in(_catalog: &Catalog, row: &[Cell]) -> Answer {
    match text(row.first()) {
        Some("-") => Ok(Cell::Int(0)),
        Some(name) if !name.contains('(') && oid(row.first()).is_none() => {
            Err(Report::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a left parenthesis"))
        }
        _ => find_signature(row).map(Cell::oid).ok_or_else(|| undefined(SqlState::UNDEFINED_FUNCTION, "function", row)),
    }
}

fn find_schema(row: &[Cell]) -> Option<u32> {
    oid(row.first()).or_else(|| schema_oid(parts(text(row.first())?).last()?))
}

fn regnamespace_in(_catalog: &Catalog, row: &[Cell]) -> Answer {
    find_schema(row).map(Cell::oid).ok_or_else(|| undefined(SqlState::INVALID_SCHEMA_NAME, "schema", row))
}

/// PostgreSQL's predefined roles.
static ROLES: LazyLock<Vec<(&'static str, u32)>> = LazyLock::new(|| {
    let lines = include_str!("../rows/pg_roles.tsv").lines().skip(1);
    lines.filter_map(|line| Some((line.split('\t').next()?, line.split('\t').next_back()?.parse().ok()?))).collect()
});

fn role_name(catalog: &Catalog, oid: u32) -> Option<String> {
    if oid == OWNER_OID {
        return Some(catalog.user().to_owned());
    }
    ROLES.iter().find(|(_, known)| *known == oid).map(|(name, _)| (*name).to_owned())
}

fn find_role(catalog: &Catalog, row: &[Cell]) -> Option<u32> {
    if let Some(oid) = oid(row.first()) {
        return Some(oid);
    }
    let parts = parts(text(row.first())?);
    let name = parts.last()?;
    if name == catalog.user() {
        return Some(OWNER_OID);
    }
    ROLES.iter().find(|(known, _)| known == name).map(|(_, oid)| *oid)
}

fn regrole_in(catalog: &Catalog, row: &[Cell]) -> Answer {
    find_role(catalog, row).map(Cell::oid).ok_or_else(|| undefined(SqlState::UNDEFINED_OBJECT, "role", row))
}
