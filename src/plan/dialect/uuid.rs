//! Text to uuid: the engine knows sixteen bytes, not how people write them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, FixedSizeBinaryBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::pg_format::decode;
use crate::pg_type::PgType;
use crate::plan::context::external;

/// Bytes of a uuid.
pub(super) const WIDTH: i32 = 16;

/// The sixteen bytes of a text, or 22P02.
fn parse(text: &str) -> Result<Vec<u8>> {
    decode::uuid(text).map_err(external)
}

/// A literal text as a literal uuid; other expressions as a call.
pub(super) fn from_text(expression: Expr) -> Result<Expr> {
    if let Expr::Literal(ScalarValue::Utf8(text), metadata) = &expression {
        let bytes = text.as_deref().map(parse).transpose()?;
        return Ok(Expr::Literal(ScalarValue::FixedSizeBinary(WIDTH, bytes), metadata.clone()));
    }
    Ok(ScalarUDF::new_from_impl(UuidIn::default()).call(vec![expression]))
}

/// `uuid_in(text)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct UuidIn {
    signature: Signature,
}

impl Default for UuidIn {
    fn default() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for UuidIn {
    fn name(&self) -> &str {
        "uuid_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::FixedSizeBinary(WIDTH))
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let field = PgType::from_sql_name("uuid").map(|(uuid, _)| uuid.arrow_field("uuid"));
        Ok(Arc::new(field.unwrap_or_else(|| Field::new("uuid", DataType::FixedSizeBinary(WIDTH), true))))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let mut uuids = FixedSizeBinaryBuilder::new(WIDTH);
        for array in &arrays {
            let texts = array.as_string::<i32>();
            for row in 0..texts.len() {
                if texts.is_valid(row) {
                    uuids.append_value(parse(texts.value(row))?)?;
                } else {
                    uuids.append_null();
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(uuids.finish())))
    }
}
