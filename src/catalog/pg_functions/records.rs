//! Rows as values: `ROW(1, 'a')`, whose fields are f1, f2, …, and a relation's whole row, whose fields are its columns.
//!
//! Both are structs that are called `record`; a struct that a table holds is jsonb. What each field is called (uuid, name, a document) stays.
//! A whole row's arguments are whether it may be absent, then names and values in turns. One from the side of an outer join that found no partner
//! is NULL; it is told by its values, which are then all NULL, so a row of nothing but NULLs that did find one is taken for absent too.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::pg_type::{PG_TYPE_KEY, PgType};

/// The name of the function of whole rows, which no statement can write.
pub const WHOLE_ROW: &str = "\u{0}row";

/// Both.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    [row(), Arc::new(ScalarUDF::new_from_impl(Record { whole: true, signature: signature() }))]
}

/// `ROW(…)`.
pub fn row() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Record { whole: false, signature: signature() }))
}

fn signature() -> Signature {
    Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Immutable)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Record {
    whole: bool,
    signature: Signature,
}

impl Record {
    /// The fields, each with the place of its value.
    fn fields(&self, call: &ReturnFieldArgs<'_>) -> Result<Fields> {
        let named = |name: String, value: &FieldRef| value.as_ref().clone().with_name(name).with_nullable(true);
        if !self.whole {
            return Ok(call.arg_fields.iter().enumerate().map(|(place, value)| named(format!("f{}", place + 1), value)).collect());
        }
        let pairs = call.scalar_arguments.iter().zip(call.arg_fields).skip(1);
        let (names, values): (Vec<_>, Vec<_>) = pairs.enumerate().partition(|(place, _)| place % 2 == 0);
        let fields = names.iter().zip(values).map(|((_, (name, _)), (_, (_, value)))| match name {
            Some(ScalarValue::Utf8(Some(name))) => Ok(named(name.clone(), value)),
            _ => internal_err!("a whole row has a column without a name"),
        });
        fields.collect()
    }
}

impl ScalarUDFImpl for Record {
    fn name(&self) -> &str {
        if self.whole { WHOLE_ROW } else { "row" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("a row's type is that of its arguments' fields")
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let metadata = [(PG_TYPE_KEY.to_owned(), PgType::RECORD.name().to_owned())];
        let field = Field::new("row", DataType::Struct(self.fields(&call)?), true);
        Ok(Arc::new(field.with_metadata(metadata.into())))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = call.return_field.data_type() else { return internal_err!("a row is no struct") };
        let is_scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { call.number_rows };
        let is_value = |place: usize| !self.whole || (place > 0 && place.is_multiple_of(2));
        let values = call.args.iter().enumerate().filter(|(place, _)| is_value(*place));
        let values = values.map(|(_, value)| value.to_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let may_be_absent = self.whole && matches!(call.args.first(), Some(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))));
        let there = may_be_absent.then(|| {
            let nulls: Vec<Option<NullBuffer>> = values.iter().map(|value| value.logical_nulls()).collect();
            NullBuffer::from_iter((0..rows).map(|row| nulls.iter().any(|nulls| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)))))
        });
        let array = StructArray::try_new_with_length(fields.clone(), values, there, rows)?;
        Ok(if is_scalar { ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?) } else { ColumnarValue::Array(Arc::new(array)) })
    }
}
