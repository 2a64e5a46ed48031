//! The engine's sentences in PostgreSQL's words.
//!
//! The engine says most things in errors of one kind, so its sentences are all there is to tell conditions apart: what is recognised
//! here gets PostgreSQL's code and message, with the types under PostgreSQL's names. What is not keeps the engine's words. Integers
//! that are written as such are `bigint` to the engine, so that is what messages say where PostgreSQL would say `integer`.

use crate::error::{Report, SqlState};

/// PostgreSQL's hint where a function's or an operator's arguments are not right.
const CASTS: &str = "You might need to add explicit type casts.";

/// What the client is told of one of the engine's sentences, if it is known.
pub(super) fn translate(message: &str) -> Option<Report> {
    let message = stripped(message);
    numbers(message)
        .or_else(|| operators(message))
        .or_else(|| functions(message))
        .or_else(|| clauses(message))
        .or_else(|| subqueries(message))
        .or_else(|| texts(message))
}

/// Without the kinds that an error passed through on its way.
fn stripped(mut message: &str) -> &str {
    const KINDS: [&str; 5] =
        ["Error during planning: ", "Execution error: ", "Internal error: ", "Optimizer rule failed: ", "Arrow error: "];
    while let Some(rest) = KINDS.iter().find_map(|kind| message.strip_prefix(kind)) {
        message = rest;
    }
    message
}

fn numbers(message: &str) -> Option<Report> {
    let out_of_range = |data_type: &str| Some(Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{data_type} out of range")));
    if message.starts_with("Can't cast value ") {
        let data_type = message.rsplit_once("to type ")?.1.trim_end_matches('.');
        return out_of_range(type_name(data_type));
    }
    if let Some((_, rest)) = message.split_once(" is too large to store in a Decimal") {
        let report = Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
        let precision = between(rest, "of precision ", ".").unwrap_or("38");
        return Some(report.detail(format!("A field with precision {precision} cannot hold the value.")));
    }
    if message.starts_with("cannot take square root") {
        return Some(Report::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, "cannot take square root of a negative number"));
    }
    for (clause, code) in [("LIMIT", SqlState::INVALID_ROW_COUNT_IN_LIMIT), ("OFFSET", SqlState::INVALID_ROW_COUNT_IN_OFFSET)] {
        if message.starts_with(&format!("{clause} must be >=")) {
            return Some(Report::new(code, format!("{clause} must not be negative")));
        }
        if let Some(found) = message.strip_prefix(&format!("Expected {clause} to be an integer or null, but got ")) {
            if found.starts_with("Decimal") {
                return out_of_range("bigint");
            }
            let message = format!("argument of {clause} must be type bigint, not type {}", type_name(found));
            return Some(Report::new(SqlState::DATATYPE_MISMATCH, message));
        }
    }
    None
}

fn operators(message: &str) -> Option<Report> {
    let pair = message
        .strip_prefix("Cannot coerce arithmetic expression ")
        .map(|rest| rest.trim_end_matches(" to valid types"))
        .or_else(|| message.strip_prefix("Cannot infer common argument type for comparison operation "))
        .or_else(|| message.strip_prefix("Cannot infer common string type for string concat operation "))
        .or_else(|| message.strip_prefix("Cannot infer common array type for arrow operation "))
        .or_else(|| message.strip_prefix("Cannot infer common type for bitwise operation "))
        .or_else(|| message.strip_prefix("Cannot infer common argument type for regex operation "));
    if let Some((left, operator, right)) = pair.and_then(operands) {
        let text = format!("operator does not exist: {} {operator} {}", type_name(left), type_name(right));
        let hint = format!("No operator matches the given name and argument types. {CASTS}");
        return Some(Report::new(SqlState::UNDEFINED_FUNCTION, text).hint(hint));
    }
    let not_boolean = |place: &str, found: &str| {
        let text = format!("argument of {place} must be type boolean, not type {}", type_name(found));
        Some(Report::new(SqlState::DATATYPE_MISMATCH, text))
    };
    if let Some(rest) = message.strip_prefix("Cannot infer common argument type for logical boolean operation ") {
        let (left, operator, right) = operands(rest)?;
        return not_boolean(operator, if left == "Boolean" { right } else { left });
    }
    if let Some(found) = message.strip_prefix("Unary operator 'NOT' requires a boolean expression, got ") {
        return not_boolean("NOT", found);
    }
    if let Some(found) = message.strip_prefix("Join condition must be boolean type, but got ") {
        return not_boolean("JOIN/ON", found.trim_end_matches('.'));
    }
    for (kind, operator) in [("ILIKE", "~~*"), ("LIKE", "~~")] {
        if let Some(pair) = between(message, "There isn't a common type to coerce ", &format!(" in {kind} expression")) {
            let (left, right) = pair.split_once(" and ")?;
            let text = format!("operator does not exist: {} {operator} {}", type_name(left), type_name(right));
            let hint = format!("No operator matches the given name and argument types. {CASTS}");
            return Some(Report::new(SqlState::UNDEFINED_FUNCTION, text).hint(hint));
        }
    }
    if let Some((from, to)) = message.strip_prefix("Unsupported CAST from ").and_then(|rest| rest.split_once(" to ")) {
        let text = format!("cannot cast type {} to {}", type_name(from), type_name(to));
        return Some(Report::new(SqlState::CANNOT_COERCE, text));
    }
    if message.starts_with("Cannot create filter with non-boolean predicate ") {
        return not_boolean("WHERE", message.rsplit_once(" returning ")?.1);
    }
    None
}

/// `Int64 + Utf8`, where types may have blanks of their own in brackets.
fn operands(text: &str) -> Option<(&str, &str, &str)> {
    let mut depth = 0_i32;
    let mut blanks = text.char_indices().filter_map(|(at, character)| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        (character == ' ' && depth == 0).then_some(at)
    });
    let first = blanks.next()?;
    let last = blanks.last()?;
    Some((&text[..first], text.get(first + 1..last)?, &text[last + 1..]))
}

fn functions(message: &str) -> Option<Report> {
    let unknown = |call: &str| {
        let hint = format!("No function matches the given name and argument types. {CASTS}");
        Some(Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {call} does not exist")).hint(hint))
    };
    if let Some(call) = between(message, "No function matches the given name and argument types '", "'.") {
        let (name, arguments) = call.split_once('(')?;
        if let ("array_element", Some(subscripted)) = (name, arguments.split(',').next().filter(|first| !first.contains("List"))) {
            let text = format!("cannot subscript type {} because it does not support subscripting", type_name(subscripted));
            return Some(Report::new(SqlState::DATATYPE_MISMATCH, text));
        }
        return unknown(&format!("{name}({})", type_names(arguments.strip_suffix(')').unwrap_or(arguments))));
    }
    if message.contains("failed to match any signature") {
        let name = between(message, "Function '", "'")?;
        let given = between(message, "(DataType: ", ")").map_or("unknown", type_name);
        return unknown(&format!("{name}({given})"));
    }
    if message.starts_with("Aggregate function calls cannot be nested") {
        return Some(Report::new(SqlState::GROUPING_ERROR, "aggregate function calls cannot be nested"));
    }
    if message.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        return Some(Report::new(SqlState::GROUPING_ERROR, "aggregate functions are not allowed in WHERE"));
    }
    if let Some(name) = message.strip_prefix("Invalid qualifier ") {
        return Some(Report::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{name}\"")));
    }
    if message.starts_with("SELECT DISTINCT ON expressions must match initial ORDER BY expressions") {
        let text = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
        return Some(Report::new(SqlState::INVALID_COLUMN_REFERENCE, text));
    }
    if let Some(name) = between(message, "The window ", " is not defined") {
        return Some(Report::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist")));
    }
    if message.starts_with("Invalid window frame: start bound") {
        let start = between(message, "start bound (", ")").unwrap_or_default();
        let text = if start.contains("FOLLOWING") {
            "frame starting from following row cannot have preceding rows"
        } else {
            "frame starting from current row cannot have preceding rows"
        };
        return Some(Report::new(SqlState::WINDOWING_ERROR, text));
    }
    None
}

fn clauses(message: &str) -> Option<Report> {
    if let Some(rest) = message.strip_prefix("Field ")
        && let Some(name) = rest.strip_suffix(" not found in struct")
    {
        return Some(Report::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" not found in a value of structured type")));
    }
    let ungrouped = |column: &str| {
        let text = format!("column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function");
        Some(Report::new(SqlState::GROUPING_ERROR, text))
    };
    if message.contains("must appear in the GROUP BY clause") {
        if let Some(column) = between(message, "column \"", "\" must appear") {
            return ungrouped(column);
        }
        if let Some(rest) = message.strip_prefix("HAVING clause references: ") {
            return ungrouped(rest.split([' ', ',']).next()?);
        }
    }
    let position = |clause: &str, number: &str| {
        Some(Report::new(SqlState::INVALID_COLUMN_REFERENCE, format!("{clause} position {number} is not in select list")))
    };
    if let Some(number) = between(message, "Order by column out of bounds, specified: ", ",") {
        return position("ORDER BY", number);
    }
    if let Some(number) = between(message, "Cannot find column with position ", " in SELECT clause") {
        return position("GROUP BY", number);
    }
    if message.starts_with("For SELECT DISTINCT, ORDER BY expressions") {
        let text = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
        return Some(Report::new(SqlState::INVALID_COLUMN_REFERENCE, text));
    }
    if message.starts_with("UNION queries have different number of columns") {
        return Some(Report::new(SqlState::SYNTAX_ERROR, "each UNION query must have the same number of columns"));
    }
    if message.starts_with("Incompatible inputs for Union") {
        let before = between(message, "were of type ", ",").map_or("unknown", type_name);
        let found = between(message, "incompatible type ", " on column").map_or("unknown", type_name);
        return Some(Report::new(SqlState::DATATYPE_MISMATCH, format!("UNION types {before} and {found} cannot be matched")));
    }
    if message.starts_with("Inconsistent data length across values list") {
        return Some(Report::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length"));
    }
    if let Some(rest) = message.strip_prefix("Source table contains ") {
        let (available, rest) = rest.split_once(" columns but only ")?;
        let given = rest.split(' ').next()?;
        let text = format!("the table has {available} columns available but {given} columns specified");
        return Some(Report::new(SqlState::INVALID_COLUMN_REFERENCE, text));
    }
    if let Some(name) = between(message, "WITH query name \"", "\" specified more than once") {
        return Some(Report::new(SqlState::DUPLICATE_ALIAS, format!("WITH query name \"{name}\" specified more than once")));
    }
    if let Some(name) = message.strip_prefix("Unsupported SQL type ") {
        return Some(Report::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", name.to_lowercase())));
    }
    if let Some(name) = between(message, "Unsupported compound identifier '", "'") {
        return Some(Report::new(SqlState::SYNTAX_ERROR, format!("improper qualified name (too many dotted names): {name}")));
    }
    if message.starts_with("Invalid placeholder, zero") {
        return Some(Report::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $0"));
    }
    if let Some(number) = message.strip_prefix("No value found for placeholder with id ") {
        return Some(Report::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {number}")));
    }
    if message.starts_with("Step cannot be zero") {
        return Some(Report::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    if let Some(types) = between(message, "Failed to coerce types ", " in BETWEEN expression") {
        let names = types.split(" and ").map(type_name).collect::<Vec<_>>().join(" >= ");
        return Some(Report::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {names}")));
    }
    if let Some(types) = between(message, "Failed to unify argument types of make_array: [", "]") {
        let names = type_names(types).replace(", ", " and ");
        return Some(Report::new(SqlState::DATATYPE_MISMATCH, format!("ARRAY types {names} cannot be matched")));
    }
    None
}

fn subqueries(message: &str) -> Option<Report> {
    if message.starts_with("Too many columns! The subquery should only return one column") {
        return Some(Report::new(SqlState::SYNTAX_ERROR, "subquery must return only one column"));
    }
    if message.starts_with("Scalar subquery returned more than one row") {
        let text = "more than one row returned by a subquery used as an expression";
        return Some(Report::new(SqlState::CARDINALITY_VIOLATION, text));
    }
    let unsupported = |text: &str| Some(Report::new(SqlState::FEATURE_NOT_SUPPORTED, text.to_owned()));
    if message.starts_with("Correlated scalar subquery must be aggregated") {
        let report = unsupported("a subquery that names columns from outside is supported as a value only if it is an aggregate");
        return report.map(|report| report.hint("Take max(x) of its column, or join its rows in FROM."));
    }
    let in_a_place = message.starts_with("Physical plan does not support logical expression ");
    if in_a_place && ["ScalarSubquery", "InSubquery", "Exists"].iter().any(|kind| message.contains(kind)) {
        return unsupported("a subquery is not supported in this place").map(|report| report.hint("Join its rows in FROM."));
    }
    None
}

/// What was to be read from a text.
fn texts(message: &str) -> Option<Report> {
    if message.starts_with("negative count not allowed") || message.starts_with("negative substring length not allowed") {
        return Some(Report::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    if let Some(unit) = between(message, "Date part '", "' not supported").filter(|_| message.starts_with("Date part '")) {
        let text = format!("unit \"{unit}\" not recognized for type timestamp with time zone");
        return Some(Report::new(SqlState::INVALID_PARAMETER_VALUE, text));
    }
    if let Some(name) = between(message, "There is no built-in encoding named '", "'") {
        return Some(Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized encoding: \"{name}\"")));
    }
    if message.starts_with("Failed to decode value using hex") {
        let text = match between(message, "Invalid character '", "'") {
            Some(digit) => format!("invalid hexadecimal digit: \"{digit}\""),
            None => "invalid hexadecimal data: odd number of digits".to_owned(),
        };
        return Some(Report::new(SqlState::INVALID_PARAMETER_VALUE, text));
    }
    if message.contains("regex parse error") || message.contains("Regular expression did not compile") {
        let why = message.lines().rev().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or("it cannot be read");
        return Some(Report::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {why}")));
    }
    if let Some(text) =
        between(message, "Error parsing timestamp from '", "': ").or_else(|| between(message, "Error parsing timestamp from '", "' using"))
    {
        return Some(date_or_time("timestamp", text));
    }
    if message.to_ascii_lowercase().starts_with("invalid input syntax for type interval") {
        let text = message.split_once('"').map_or("", |(_, rest)| rest.trim_end_matches('.').trim_end_matches('"'));
        return Some(date_or_time("interval", text));
    }
    if let Some((text, rest)) = message.strip_prefix("Cannot cast string '").and_then(|rest| rest.rsplit_once("' to value of ")) {
        let data_type = type_name(rest.trim_end_matches('.').trim_end_matches(" type"));
        if matches!(data_type, "date" | "interval") || data_type.starts_with("time") {
            return Some(date_or_time(data_type, text));
        }
        return Some(unreadable(data_type, text));
    }
    if let Some((text, rest)) = message.strip_prefix("Cannot cast value '").and_then(|rest| rest.rsplit_once("' to value of ")) {
        return Some(unreadable(type_name(rest.trim_end_matches('.').trim_end_matches(" type")), text));
    }
    None
}

fn unreadable(data_type: &str, text: &str) -> Report {
    if data_type.ends_with("[]") || text.starts_with('{') && text.len() > 1 {
        return Report::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\""));
    }
    Report::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {data_type}: \"{text}\""))
}

/// Digits and their separators are a date or a time that there is not, anything else is none at all.
fn date_or_time(data_type: &str, text: &str) -> Report {
    let is_numeric = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| matches!(byte, b'-' | b':'))
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'+' | b' ' | b'T' | b'Z'));
    if is_numeric && data_type != "interval" {
        return Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\""));
    }
    Report::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type {data_type}: \"{text}\""))
}

/// PostgreSQL's names for a list of the engine's types.
fn type_names(list: &str) -> String {
    let mut depth = 0_i32;
    list.split(|character: char| {
        match character {
            '(' | '<' => depth += 1,
            ')' | '>' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    })
    .map(|each| type_name(each.trim()))
    .collect::<Vec<_>>()
    .join(", ")
}

/// PostgreSQL's name for a type of the engine's.
pub(super) fn type_name(engine: &str) -> &str {
    match engine {
        "Boolean" => "boolean",
        "Int8" | "Int16" | "UInt8" => "smallint",
        "Int32" | "UInt16" => "integer",
        "Int64" | "UInt32" => "bigint",
        "UInt64" => "numeric",
        "Float16" | "Float32" => "real",
        "Float64" => "double precision",
        "Utf8" | "LargeUtf8" | "Utf8View" => "text",
        "Binary" | "LargeBinary" | "BinaryView" => "bytea",
        "Date32" | "Date64" => "date",
        "Null" => "unknown",
        other if other.starts_with("Timestamp") && (other.contains("Some(") || other.contains(", \"")) => "timestamp with time zone",
        other if other.starts_with("Timestamp") => "timestamp without time zone",
        other if other.starts_with("Decimal") => "numeric",
        other if other.starts_with("Time") => "time without time zone",
        other if other.starts_with("Interval") || other.starts_with("Duration") => "interval",
        "FixedSizeBinary(16)" => "uuid",
        other if other.starts_with("FixedSizeBinary") => "bytea",
        other if other.contains("List") => "array",
        other if other.starts_with("Struct") || other.starts_with("Map") => "jsonb",
        other => other,
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

/// Where a text stands in a statement as a literal, if it does so once: a character, counted from 1.
pub(super) fn literal_position(report: &Report, statement: &str) -> Option<usize> {
    let about_a_literal = ["invalid input syntax", "malformed array literal", "date/time field value out of range"];
    let text = if about_a_literal.iter().any(|start| report.message.starts_with(start)) {
        report.message.split_once(": \"")?.1.strip_suffix('"')?
    } else {
        report.message.strip_prefix("value \"")?.split_once("\" is out of range for type ")?.0
    };
    let literal = format!("'{}'", text.replace('\'', "''"));
    let at = statement.find(&literal)?;
    (statement[at + literal.len()..].find(&literal).is_none()).then(|| statement[..at].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_become_postgres() {
        for (engine, code, message) in [
            ("Expected LIMIT to be an integer or null, but got Decimal128(20, 0)", "22003", "bigint out of range"),
            ("Expected OFFSET to be an integer or null, but got Utf8", "42804", "argument of OFFSET must be type bigint, not type text"),
            ("LIMIT must be >= 0, '-1' was provided", "2201W", "LIMIT must not be negative"),
            ("OFFSET must be >=0, '-1' was provided", "2201X", "OFFSET must not be negative"),
            ("Can't cast value 2147483648 to type Int32", "22003", "integer out of range"),
            ("100.0 is too large to store in a Decimal128 of precision 2. Max is 9.9", "22003", "numeric field overflow"),
            ("Cannot coerce arithmetic expression Int64 + Utf8 to valid types", "42883", "operator does not exist: bigint + text"),
            (
                "Cannot infer common argument type for comparison operation Decimal128(20, 0) IS DISTINCT FROM Boolean",
                "42883",
                "operator does not exist: numeric IS DISTINCT FROM boolean",
            ),
            (
                "Cannot infer common argument type for logical boolean operation Boolean AND Int64",
                "42804",
                "argument of AND must be type boolean, not type bigint",
            ),
            (
                "Error during planning: Function 'abs' expects 1 arguments but received 2. No function matches the given name and argument types 'abs(Int64, Decimal128(2, 1))'. You might",
                "42883",
                "function abs(bigint, numeric) does not exist",
            ),
            ("The window w is not defined!", "42704", "window \"w\" does not exist"),
            ("Order by column out of bounds, specified: 2, max: 1", "42P10", "ORDER BY position 2 is not in select list"),
            (
                "Execution error: Scalar subquery returned more than one row",
                "21000",
                "more than one row returned by a subquery used as an expression",
            ),
            ("Cannot cast string '2026-13-01' to value of Date32 type", "22008", "date/time field value out of range: \"2026-13-01\""),
            ("Cannot cast string 'abc' to value of Date32 type", "22007", "invalid input syntax for type date: \"abc\""),
            ("Cannot cast string '{1,2' to value of Int32 type", "22P02", "malformed array literal: \"{1,2\""),
            ("regex parse error:\n    (\n    ^\nerror: unclosed group", "2201B", "invalid regular expression: unclosed group"),
        ] {
            let report = translate(engine).unwrap_or_else(|| panic!("{engine} is known"));
            assert_eq!((report.sqlstate.code(), report.message.as_str()), (code, message), "{engine}");
        }
        assert_eq!(translate("something else"), None);
    }

    #[test]
    fn literals_are_found_where_they_stand_once() {
        let report = Report::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bigint: \"it's\"");
        assert_eq!(literal_position(&report, "SELECT é, 'it''s'::bigint"), Some(11));
        assert_eq!(literal_position(&report, "SELECT 'it''s', 'it''s'"), None);
        assert_eq!(literal_position(&report, "SELECT $1"), None);
    }
}
