//! PostgreSQL's functions that the engine lacks or answers otherwise: templates (`to_char`, `to_date`), ages, parts of a second, types.
//!
//! Each is a plain function from arrays to an array behind one adapter, [`Builtin`]; arguments are brought to the types that it
//! names before it sees them.

mod dates;
mod number_template;
mod pg_typeof;
mod rounding;
mod templates;
mod time_template;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

pub use dates::{FIELDS_WITH_FRACTION, extract_fraction};

/// What a function does with arrays of one length, of the types that [`Builtin::types`] gave.
type Body = fn(&[ArrayRef]) -> std::result::Result<ArrayRef, Report>;
/// The types that arguments of these types are brought to and the type of the answer; `None` if there is no such function.
type Types = fn(&[DataType]) -> Option<(Vec<DataType>, DataType)>;

/// A function of values alone.
#[derive(Debug)]
struct Builtin {
    name: &'static str,
    types: Types,
    body: Body,
    signature: Signature,
}

impl Builtin {
    fn function(name: &'static str, types: Types, body: Body) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self { name, types, body, signature: Signature::user_defined(Volatility::Immutable) }))
    }

    fn unknown(&self, arguments: &[DataType]) -> DataFusionError {
        let types: Vec<String> = arguments.iter().map(|argument| PgType::of_data_type(argument).to_string()).collect();
        let report = Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {}({}) does not exist", self.name, types.join(", ")))
            .hint("No function matches the given name and argument types. You might need to add explicit type casts.");
        DataFusionError::External(Box::new(report))
    }
}

impl PartialEq for Builtin {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
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
        (self.types)(arguments).map(|(types, _)| types).ok_or_else(|| self.unknown(arguments))
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        (self.types)(arguments).map(|(_, answer)| answer).ok_or_else(|| self.unknown(arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let arrays = arguments.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let answer = (self.body)(&arrays).map_err(|report| DataFusionError::External(Box::new(report)))?;
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?) } else { ColumnarValue::Array(answer) })
    }
}

/// All of them.
pub fn builtin_functions() -> Vec<Arc<ScalarUDF>> {
    [dates::functions(), rounding::functions(), templates::functions(), vec![pg_typeof::function()]].concat()
}
