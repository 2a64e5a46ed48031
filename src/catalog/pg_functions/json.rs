//! Operators and functions of `json` and `jsonb`. Both are texts to the engine; an answer of type `jsonb` is in its normal form
//! ([`crate::pg_format::jsonb`]), one of type `json` too, where PostgreSQL would keep the white space of the original.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, Int32Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use crate::error::{Report, SqlState};
use crate::pg_format::jsonb::Json;
use crate::pg_type::PgType;

type Types = Option<(Vec<DataType>, DataType)>;
/// An operator's spelling, its function's name, types and body.
type Operator = (&'static str, &'static str, super::Types, super::Body);

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let jsonb = |name, types, body| Builtin::function_of(name, types, body, PgType::JSONB);
    let mut functions = vec![
        jsonb("jsonb_strip_nulls", one, strip_nulls),
        jsonb("jsonb_extract_path", path_of_texts, extract),
        Builtin::function("jsonb_extract_path_text", path_of_texts, extract_text),
        Builtin::function("jsonb_typeof", one, kind),
        Builtin::function("jsonb_array_length", one_to_int, array_length),
        Builtin::function_of("json_extract_path", path_of_texts, extract, PgType::JSON),
        Builtin::function("json_extract_path_text", path_of_texts, extract_text),
        Builtin::function("json_typeof", one, kind),
        Builtin::function("json_array_length", one_to_int, array_length),
    ];
    functions.extend(OPERATORS.iter().filter_map(|(_, name, ..)| operator_named(name, PgType::JSONB)));
    functions
}

/// What stands between two values of JSON, and the function that it is.
const OPERATORS: &[Operator] = &[
    ("->", "jsonb_object_field", member, object_field),
    ("->>", "jsonb_object_field_text", member, object_field_text),
    ("#>", "jsonb_path", path, at_path),
    ("#>>", "jsonb_path_text", path, at_path_text),
    ("@>", "jsonb_contains", two_to_bool, contains),
    ("<@", "jsonb_contained", two_to_bool, contained),
    ("?", "jsonb_exists", two_to_bool, exists),
    ("?|", "jsonb_exists_any", texts_to_bool, exists_any),
    ("?&", "jsonb_exists_all", texts_to_bool, exists_all),
    ("||", "jsonb_concat", two, concat),
    ("-", "jsonb_delete", member, delete),
];

/// The function of an operator on values of this type.
pub fn json_operator(spelling: &str, pg_type: PgType) -> Option<Arc<ScalarUDF>> {
    let (_, name, ..) = OPERATORS.iter().find(|(known, ..)| *known == spelling)?;
    operator_named(name, pg_type)
}

fn operator_named(name: &str, pg_type: PgType) -> Option<Arc<ScalarUDF>> {
    let (spelling, name, types, body) = OPERATORS.iter().find(|(_, known, ..)| *known == name)?;
    Some(match *spelling {
        "->" | "#>" | "||" | "-" => Builtin::function_of(name, *types, *body, pg_type),
        _ => Builtin::function(name, *types, *body),
    })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

fn texts() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

fn one(arguments: &[DataType]) -> Types {
    matches!(arguments, [json] if is_text(json)).then(|| (vec![DataType::Utf8], DataType::Utf8))
}

fn one_to_int(arguments: &[DataType]) -> Types {
    one(arguments).map(|(types, _)| (types, DataType::Int32))
}

fn two(arguments: &[DataType]) -> Types {
    matches!(arguments, [one, other] if is_text(one) && is_text(other)).then(|| (vec![DataType::Utf8, DataType::Utf8], DataType::Utf8))
}

fn two_to_bool(arguments: &[DataType]) -> Types {
    two(arguments).map(|(types, _)| (types, DataType::Boolean))
}

/// A key, or a subscript.
fn member(arguments: &[DataType]) -> Types {
    match arguments {
        [json, index] if is_text(json) && index.is_integer() => Some((vec![DataType::Utf8, DataType::Int64], DataType::Utf8)),
        other => two(other),
    }
}

fn path(arguments: &[DataType]) -> Types {
    matches!(arguments, [json, DataType::List(_) | DataType::Null] if is_text(json))
        .then(|| (vec![DataType::Utf8, texts()], DataType::Utf8))
}

fn texts_to_bool(arguments: &[DataType]) -> Types {
    path(arguments).map(|(types, _)| (types, DataType::Boolean))
}

fn path_of_texts(arguments: &[DataType]) -> Types {
    let enough = !arguments.is_empty() && arguments.iter().all(is_text);
    enough.then(|| (vec![DataType::Utf8; arguments.len()], DataType::Utf8))
}

fn rows(arguments: &[ArrayRef]) -> usize {
    arguments.first().map_or(0, |array| array.len())
}

fn text_at(arguments: &[ArrayRef], argument: usize, row: usize) -> Option<&str> {
    let array = arguments.get(argument)?.as_string::<i32>();
    array.is_valid(row).then(|| array.value(row))
}

fn json_at(arguments: &[ArrayRef], argument: usize, row: usize) -> Result<Option<Json>, Report> {
    text_at(arguments, argument, row).map(Json::parse).transpose()
}

/// The texts of a row's array; its NULLs are none.
fn list_at(arguments: &[ArrayRef], argument: usize, row: usize) -> Option<Vec<Option<String>>> {
    let lists = arguments.get(argument)?.as_list::<i32>();
    if lists.is_null(row) {
        return None;
    }
    Some(lists.value(row).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
}

/// A text for each row.
fn each_text(arguments: &[ArrayRef], row: impl Fn(usize) -> Result<Option<String>, Report>) -> Result<ArrayRef, Report> {
    let mut answers = StringBuilder::new();
    for index in 0..rows(arguments) {
        answers.append_option(row(index)?);
    }
    Ok(Arc::new(answers.finish()))
}

fn each_bool(arguments: &[ArrayRef], row: impl Fn(usize) -> Result<Option<bool>, Report>) -> Result<ArrayRef, Report> {
    let mut answers = BooleanBuilder::new();
    for index in 0..rows(arguments) {
        answers.append_option(row(index)?);
    }
    Ok(Arc::new(answers.finish()))
}

fn found(arguments: &[ArrayRef], row: usize) -> Result<Option<Json>, Report> {
    let Some(json) = json_at(arguments, 0, row)? else { return Ok(None) };
    let Some(step) = arguments.get(1) else { return Ok(None) };
    if *step.data_type() == DataType::Int64 {
        let steps = step.as_primitive::<Int64Type>();
        return Ok(if steps.is_valid(row) { json.element(steps.value(row)).cloned() } else { None });
    }
    Ok(text_at(arguments, 1, row).and_then(|key| json.field(key).cloned()))
}

fn object_field(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(found(arguments, row)?.map(|json| json.to_string())))
}

fn object_field_text(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(found(arguments, row)?.and_then(Json::into_text)))
}

fn followed(arguments: &[ArrayRef], row: usize) -> Result<Option<Json>, Report> {
    let (Some(json), Some(path)) = (json_at(arguments, 0, row)?, list_at(arguments, 1, row)) else { return Ok(None) };
    let Some(path) = path.into_iter().collect::<Option<Vec<String>>>() else { return Ok(None) };
    Ok(json.at(path.iter().map(String::as_str)).cloned())
}

fn at_path(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(followed(arguments, row)?.map(|json| json.to_string())))
}

fn at_path_text(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(followed(arguments, row)?.and_then(Json::into_text)))
}

fn extracted(arguments: &[ArrayRef], row: usize) -> Result<Option<Json>, Report> {
    let Some(json) = json_at(arguments, 0, row)? else { return Ok(None) };
    let steps: Option<Vec<&str>> = (1..arguments.len()).map(|argument| text_at(arguments, argument, row)).collect();
    Ok(steps.and_then(|steps| json.at(steps).cloned()))
}

fn extract(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(extracted(arguments, row)?.map(|json| json.to_string())))
}

fn extract_text(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(extracted(arguments, row)?.and_then(Json::into_text)))
}

fn both(arguments: &[ArrayRef], row: usize) -> Result<Option<(Json, Json)>, Report> {
    Ok(json_at(arguments, 0, row)?.zip(json_at(arguments, 1, row)?))
}

fn contains(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_bool(arguments, |row| Ok(both(arguments, row)?.map(|(one, other)| one.contains(&other))))
}

fn contained(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_bool(arguments, |row| Ok(both(arguments, row)?.map(|(one, other)| other.contains(&one))))
}

fn concat(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(both(arguments, row)?.map(|(one, other)| one.merged(other).to_string())))
}

/// Whether it is a key of the object, a string of the array, or the string itself.
fn has(json: &Json, key: &str) -> bool {
    match json {
        Json::Object(_) => json.field(key).is_some(),
        Json::Array(elements) => elements.iter().any(|element| matches!(element, Json::Text(text) if text == key)),
        Json::Text(text) => text == key,
        _ => false,
    }
}

fn exists(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_bool(arguments, |row| Ok(json_at(arguments, 0, row)?.zip(text_at(arguments, 1, row)).map(|(json, key)| has(&json, key))))
}

fn exists_any(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_bool(arguments, |row| {
        let keys = json_at(arguments, 0, row)?.zip(list_at(arguments, 1, row));
        Ok(keys.map(|(json, keys)| keys.iter().flatten().any(|key| has(&json, key))))
    })
}

fn exists_all(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_bool(arguments, |row| {
        let keys = json_at(arguments, 0, row)?.zip(list_at(arguments, 1, row));
        Ok(keys.map(|(json, keys)| keys.iter().flatten().all(|key| has(&json, key))))
    })
}

fn delete(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let refused = |what: &str| Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("cannot delete from {what}"));
    let subscripts = arguments.get(1).filter(|array| *array.data_type() == DataType::Int64).map(|array| array.as_primitive::<Int64Type>());
    each_text(arguments, |row| {
        let Some(json) = json_at(arguments, 0, row)? else { return Ok(None) };
        let subscript = subscripts.map(|subscripts| subscripts.is_valid(row).then(|| subscripts.value(row)));
        let kept = match (json, subscript, text_at_if(arguments, subscripts.is_none(), row)) {
            (_, Some(None), _) | (_, None, None) => return Ok(None),
            (Json::Array(mut elements), Some(Some(index)), _) => {
                let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
                let place = if index < 0 { index.saturating_add(length) } else { index };
                if let Some(place) = usize::try_from(place).ok().filter(|place| *place < elements.len()) {
                    elements.remove(place);
                }
                Json::Array(elements)
            }
            (Json::Object(_), Some(_), _) => return Err(refused("object using integer index")),
            (Json::Object(fields), None, Some(key)) => Json::Object(fields.into_iter().filter(|(name, _)| name != key).collect()),
            (Json::Array(elements), None, Some(key)) => {
                Json::Array(elements.into_iter().filter(|element| !matches!(element, Json::Text(text) if text == key)).collect())
            }
            _ => return Err(refused("scalar")),
        };
        Ok(Some(kept.to_string()))
    })
}

fn text_at_if(arguments: &[ArrayRef], textual: bool, row: usize) -> Option<&str> {
    if textual { text_at(arguments, 1, row) } else { None }
}

fn strip_nulls(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(json_at(arguments, 0, row)?.map(|json| json.without_nulls().to_string())))
}

fn kind(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    each_text(arguments, |row| Ok(json_at(arguments, 0, row)?.map(|json| json.kind().to_owned())))
}

fn array_length(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let mut lengths = Int32Builder::new();
    for row in 0..rows(arguments) {
        let length = match json_at(arguments, 0, row)? {
            None => None,
            Some(Json::Array(elements)) => i32::try_from(elements.len()).ok(),
            Some(Json::Object(_)) => {
                return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, "cannot get array length of a non-array"));
            }
            Some(_) => return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, "cannot get array length of a scalar")),
        };
        lengths.append_option(length);
    }
    Ok(Arc::new(lengths.finish()))
}
