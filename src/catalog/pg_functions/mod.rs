//! PostgreSQL's functions that the engine lacks or answers otherwise: templates (`to_char`, `to_date`), ages, parts of a second, types.
//!
//! Most are plain functions from arrays to an array behind one of two adapters: [`Builtin`], which brings arguments to the types that it
//! names, and `shown::Shown`, which takes any and writes them. Those that tell the optimizer more about themselves stand alone.

mod aggregates;
mod as_type;
mod bounded;
mod buckets;
mod bytes;
mod concatenation;
mod date_trunc;
mod dates;
mod dimensions;
mod encoding;
mod formatting;
mod json;
mod json_making;
mod logarithms;
mod moment_arithmetic;
mod named;
mod number_template;
mod one_type;
mod ordered_set;
mod parts;
mod pg_typeof;
mod position;
mod records;
mod rounding;
mod shown;
mod templates;
mod time_template;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

pub use aggregates::aggregate_functions;
pub use bounded::contains_all;
pub use bytes::byte_concatenation;
pub use concatenation::text_concatenation;
pub use dates::{FIELDS_WITH_FRACTION, extract_fraction};
pub use json::json_operator;
pub use moment_arithmetic::moment_and_interval;
pub use one_type::{SEARCHED_CASE, SIMPLE_CASE, common_name, common_type, make_array, unmatched};
pub use position::strpos;
pub use records::{WHOLE_ROW, row};

/// What a function does with arrays of one length, of the types that its [`Types`] gave.
pub type Body = fn(&[ArrayRef]) -> std::result::Result<ArrayRef, Report>;
/// The types that arguments of these types are brought to and the type of the answer; `None` if there is no such function.
pub type Types = fn(&[DataType]) -> Option<(Vec<DataType>, DataType)>;

/// A function of values alone. Two of one name are the same function.
#[derive(Debug)]
pub struct Builtin {
    name: &'static str,
    types: Types,
    body: Body,
    /// What the answer is called, where its representation is another type's too.
    answer: Option<PgType>,
    signature: Signature,
}

impl Builtin {
    /// The function; 42883 for arguments that `types` does not know.
    pub fn function(name: &'static str, types: Types, body: Body) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { name, types, body, answer: None, signature }))
    }

    /// The same of an answer that is called this.
    pub fn function_of(name: &'static str, types: Types, body: Body, answer: PgType) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { name, types, body, answer: Some(answer), signature }))
    }
}

/// 42883: no function of this name takes these.
fn unknown(name: &str, arguments: &[DataType]) -> DataFusionError {
    let types: Vec<String> = arguments.iter().map(|argument| PgType::of_data_type(argument).to_string()).collect();
    let report = Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}({}) does not exist", types.join(", ")))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.");
    DataFusionError::External(Box::new(report))
}

impl PartialEq for Builtin {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.answer == other.answer
    }
}

impl Eq for Builtin {}

impl Hash for Builtin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Builtin {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        (self.types)(arguments).map(|(types, _)| types).ok_or_else(|| unknown(self.name, arguments))
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        (self.types)(arguments).map(|(_, answer)| answer).ok_or_else(|| unknown(self.name, arguments))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        Ok(Arc::new(match self.answer {
            Some(pg_type) => pg_type.arrow_field(self.name),
            None => Field::new(self.name, data_type, true),
        }))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        answer(&arguments, |arrays, _| (self.body)(arrays))
    }
}

/// What a call makes of its arguments as arrays of so many rows; of constants alone it is one.
fn answer(
    call: &ScalarFunctionArgs,
    body: impl FnOnce(&[ArrayRef], usize) -> std::result::Result<ArrayRef, Report>,
) -> Result<ColumnarValue> {
    let constant = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { call.number_rows };
    let arrays = call.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let answer = body(&arrays, rows).map_err(|report| DataFusionError::External(Box::new(report)))?;
    Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?) } else { ColumnarValue::Array(answer) })
}

/// All of them.
pub fn builtin_functions() -> Vec<Arc<ScalarUDF>> {
    [
        bounded::functions(),
        buckets::functions(),
        bytes::functions(),
        concatenation::functions(),
        dates::functions(),
        dimensions::functions(),
        encoding::functions(),
        formatting::functions(),
        json::functions(),
        json_making::functions(),
        logarithms::functions(),
        one_type::functions(),
        parts::functions(),
        records::functions().to_vec(),
        rounding::functions(),
        templates::functions(),
        vec![as_type::function(), date_trunc::function(), pg_typeof::function(), strpos()],
    ]
    .concat()
}
