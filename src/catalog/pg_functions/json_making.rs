//! Values as JSON: `to_json`, `to_jsonb`, `jsonb_build_array`, and what the aggregates `json_agg` and `json_object_agg` become: functions of
//! the arrays that `array_agg` makes of their arguments (`plan::dialect`), so that ORDER BY, FILTER, DISTINCT and OVER mean what they do there.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::bounded::check;
use crate::error::{Report, SqlState};
use crate::pg_format::OutputSettings;
use crate::pg_format::encode;
use crate::pg_format::jsonb::Json;
use crate::pg_type::PgType;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    use Kind::{Array, Object, Value};
    [
        ("to_json", Value, PgType::JSON),
        ("to_jsonb", Value, PgType::JSONB),
        ("json_build_array", Array, PgType::JSON),
        ("jsonb_build_array", Array, PgType::JSONB),
        ("json_object_of", Object, PgType::JSON),
        ("jsonb_object_of", Object, PgType::JSONB),
    ]
    .map(|(name, kind, answer)| {
        let signature = match kind {
            Value => Signature::any(1, Volatility::Immutable),
            Array => Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Immutable),
            Object => Signature::any(2, Volatility::Immutable),
        };
        Arc::new(ScalarUDF::new_from_impl(Making { name, kind, answer, signature }))
    })
    .to_vec()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// The value.
    Value,
    /// All arguments as an array.
    Array,
    /// Of an array of keys and one of values.
    Object,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Making {
    name: &'static str,
    kind: Kind,
    answer: PgType,
    signature: Signature,
}

impl ScalarUDFImpl for Making {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(self.answer.arrow_field(self.name)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let arrays = arguments.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let answer = self.make(&arrays, &arguments.arg_fields, rows).map_err(|report| DataFusionError::External(Box::new(report)))?;
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?) } else { ColumnarValue::Array(Arc::new(answer)) })
    }
}

impl Making {
    fn make(&self, arrays: &[ArrayRef], fields: &[FieldRef], rows: usize) -> Result<StringArray, Report> {
        let made = match self.kind {
            Kind::Value => match (arrays, fields) {
                ([array], [field]) => documents(array, field)?,
                _ => StringArray::new_null(rows),
            },
            Kind::Array => {
                let columns = arrays.iter().zip(fields).map(|(array, field)| documents(array, field)).collect::<Result<Vec<_>, _>>()?;
                check(self.name, columns.iter().map(|column| column.value_data().len() as f64).sum())?;
                let row = |row| columns.iter().map(|column| text(column, row).unwrap_or("null")).collect::<Vec<_>>().join(", ");
                (0..rows).map(|index| Some(format!("[{}]", row(index)))).collect()
            }
            Kind::Object => self.objects(arrays, fields)?,
        };
        check(self.name, made.value_data().len() as f64)?;
        if self.answer == PgType::JSON {
            return Ok(made);
        }
        let mut normal = StringBuilder::with_capacity(made.len(), made.value_data().len());
        for document in &made {
            normal.append_option(document.map(|text| Json::parse(text).map(|json| json.to_string())).transpose()?);
        }
        Ok(normal.finish())
    }

    fn objects(&self, arrays: &[ArrayRef], fields: &[FieldRef]) -> Result<StringArray, Report> {
        let ([keys, values], [key_field, value_field]) = (arrays, fields) else { return Ok(StringArray::new_null(0)) };
        let (Some(keys), Some(values)) = (keys.as_list_opt::<i32>(), values.as_list_opt::<i32>()) else {
            return Ok(StringArray::new_null(keys.len()));
        };
        let names = encode::texts(keys.values().as_ref(), &element(key_field), &settings(keys.values()))?;
        let documents = documents(values.values(), &element(value_field))?;
        check(self.name, (names.value_data().len() + documents.value_data().len()) as f64)?;
        let mut answers = StringBuilder::new();
        for row in 0..keys.len() {
            if keys.is_null(row) || values.is_null(row) {
                answers.append_null();
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
                let value = text(&documents, value_from + place).unwrap_or("null");
                members.push(format!("{} : {value}", Json::Text(name.to_owned())));
            }
            answers.append_value(format!("{{ {} }}", members.join(", ")));
        }
        Ok(answers.finish())
    }
}

fn text(array: &StringArray, row: usize) -> Option<&str> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

/// The field of a list's elements.
fn element(list: &Field) -> Field {
    match list.data_type() {
        DataType::List(item) => encode::element_field(item, PgType::of(list)),
        _ => list.clone(),
    }
}

fn settings(array: &ArrayRef) -> OutputSettings {
    let time_zone = match array.data_type() {
        DataType::Timestamp(_, Some(zone)) => zone.to_string(),
        _ => "UTC".to_owned(),
    };
    OutputSettings { time_zone, extra_float_digits: 1, bytea_escape: false }
}

/// Each value as JSON; NULL stays NULL.
fn documents(array: &ArrayRef, field: &Field) -> Result<StringArray, Report> {
    encode::documents(array.as_ref(), field, &settings(array))
}
