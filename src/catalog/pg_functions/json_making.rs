//! Values as JSON: `to_json`, `row_to_json`, `array_to_json`, `json_build_array`, `json_build_object`, and what the aggregates `json_agg` and `json_object_agg` become: functions
//! of the arrays that `array_agg` makes of their arguments (`plan::dialect`), so that ORDER BY, FILTER, DISTINCT and OVER mean what they do
//! there. Each of them as json, with PostgreSQL's blanks, and as jsonb, of which the text is always the same.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;

use super::bounded::check;
use super::shown::{Arguments, Body, Shown};
use crate::error::{Report, SqlState};
use crate::pg_format::encode;
use crate::pg_format::jsonb::Json;
use crate::pg_type::PgType;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let both: [([&'static str; 2], _, Body); 5] = [
        (["to_json", "to_jsonb"], 1..=1, value),
        (["json_build_array", "jsonb_build_array"], 0..=100, array),
        (["json_build_object", "jsonb_build_object"], 0..=100, object),
        (["json_array_of", "jsonb_array_of"], 1..=1, array_of),
        (["json_object_of", "jsonb_object_of"], 2..=2, object_of),
    ];
    let both = both.into_iter().flat_map(|([json, jsonb], arguments, body)| {
        [Shown::function(json, arguments.clone(), PgType::JSON, body), Shown::function(jsonb, arguments, PgType::JSONB, body)]
    });
    both.chain(["row_to_json", "array_to_json"].map(|name| Shown::function(name, 1..=1, PgType::JSON, value))).collect()
}

/// The answers as they are, or as jsonb has them.
fn answers(documents: StringArray, call: &Arguments<'_>) -> Result<StringArray, Report> {
    check(call.name, documents.value_data().len() as f64)?;
    if call.answer == PgType::JSON {
        return Ok(documents);
    }
    let mut normal = StringBuilder::with_capacity(documents.len(), documents.value_data().len());
    for document in &documents {
        normal.append_option(document.map(|text| Json::parse(text).map(|json| json.to_string())).transpose()?);
    }
    Ok(normal.finish())
}

fn bytes(columns: &[StringArray]) -> f64 {
    columns.iter().map(|column| column.value_data().len()).sum::<usize>() as f64
}

fn value(call: &Arguments<'_>) -> Result<StringArray, Report> {
    let first = call.documents()?.into_iter().next();
    answers(first.unwrap_or_else(|| StringArray::new_null(call.rows)), call)
}

fn array(call: &Arguments<'_>) -> Result<StringArray, Report> {
    let columns = call.documents()?;
    check(call.name, bytes(&columns))?;
    let row = |row| columns.iter().map(|column| text(column, row).unwrap_or("null")).collect::<Vec<_>>().join(", ");
    answers((0..call.rows).map(|index| Some(format!("[{}]", row(index)))).collect(), call)
}

fn object(call: &Arguments<'_>) -> Result<StringArray, Report> {
    let invalid = |message: String| Report::new(SqlState::INVALID_PARAMETER_VALUE, message);
    if !call.arrays.len().is_multiple_of(2) {
        let hint = format!("The arguments of {}() must consist of alternating keys and values.", call.name);
        return Err(invalid("argument list must have even number of elements".to_owned()).hint(hint));
    }
    for key in call.fields.iter().step_by(2) {
        let pg_type = PgType::of(key);
        if pg_type.element().is_some() || matches!(pg_type, PgType::JSON | PgType::JSONB | PgType::RECORD) {
            return Err(invalid("key value must be scalar, not array, composite, or json".to_owned()));
        }
    }
    let (names, documents) = (call.texts()?, call.documents()?);
    check(call.name, bytes(&names) + bytes(&documents))?;
    let mut objects = StringBuilder::new();
    for row in 0..call.rows {
        let mut members = Vec::with_capacity(names.len() / 2);
        for place in (0..names.len()).step_by(2) {
            let Some(name) = text(&names[place], row) else {
                let number = place + 1;
                return Err(match call.answer {
                    PgType::JSON => invalid(format!("argument {number} cannot be null")).hint("Object keys should be text."),
                    _ => invalid(format!("argument {number}: key must not be null")),
                });
            };
            members.push(member(name, text(&documents[place + 1], row)));
        }
        objects.append_value(format!("{{{}}}", members.join(", ")));
    }
    answers(objects.finish(), call)
}

fn member(name: &str, value: Option<&str>) -> String {
    format!("{} : {}", Json::Text(name.to_owned()), value.unwrap_or("null"))
}

/// What `json_agg` makes of one array: arrays inside stand on lines of their own.
fn array_of(call: &Arguments<'_>) -> Result<StringArray, Report> {
    let ([array], [field]) = (call.arrays, call.fields) else { return Ok(StringArray::new_null(call.rows)) };
    let Some(lists) = array.as_list_opt::<i32>() else { return Ok(StringArray::new_null(call.rows)) };
    let item = element(field);
    let pg_type = PgType::of(&item);
    let separator = if pg_type.element().is_some() || pg_type == PgType::RECORD { ", \n " } else { ", " };
    let documents = encode::documents(lists.values().as_ref(), &item, &call.settings, call.answer == PgType::JSON)?;
    check(call.name, (documents.value_data().len() + documents.len() * separator.len()) as f64)?;
    let list = |row: usize| {
        let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
        let parts: Vec<&str> = range.map(|place| text(&documents, place).unwrap_or("null")).collect();
        lists.is_valid(row).then(|| format!("[{}]", parts.join(separator)))
    };
    answers((0..lists.len()).map(list).collect(), call)
}

/// What `json_object_agg` makes of an array of keys and one of values.
fn object_of(call: &Arguments<'_>) -> Result<StringArray, Report> {
    let ([keys, values], [key_field, value_field]) = (call.arrays, call.fields) else { return Ok(StringArray::new_null(call.rows)) };
    let (Some(keys), Some(values)) = (keys.as_list_opt::<i32>(), values.as_list_opt::<i32>()) else {
        return Ok(StringArray::new_null(call.rows));
    };
    let names = encode::texts(keys.values().as_ref(), &element(key_field), &call.settings)?;
    let documents = encode::documents(values.values().as_ref(), &element(value_field), &call.settings, call.answer == PgType::JSON)?;
    check(call.name, (names.value_data().len() + documents.value_data().len()) as f64)?;
    let mut objects = StringBuilder::new();
    for row in 0..keys.len() {
        if keys.is_null(row) || values.is_null(row) {
            objects.append_null();
            continue;
        }
        let (from, value_from) = (keys.value_offsets()[row] as usize, values.value_offsets()[row] as usize);
        if keys.value_length(row) != values.value_length(row) {
            return Err(Report::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "mismatched array dimensions"));
        }
        let mut members = Vec::with_capacity(keys.value_length(row) as usize);
        for place in 0..keys.value_length(row) as usize {
            let Some(name) = text(&names, from + place) else {
                return Err(Report::new(SqlState::NULL_VALUE_NOT_ALLOWED, "field name must not be null"));
            };
            members.push(member(name, text(&documents, value_from + place)));
        }
        objects.append_value(format!("{{ {} }}", members.join(", ")));
    }
    answers(objects.finish(), call)
}

fn text(array: &StringArray, row: usize) -> Option<&str> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

/// The field of a list's elements.
pub(super) fn element(list: &Field) -> Field {
    match list.data_type() {
        DataType::List(item) => encode::element_field(item, PgType::of(list)),
        _ => list.clone(),
    }
}
