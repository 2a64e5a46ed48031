//! Functions that write values of any type: as text ([`super::concatenation`], [`super::formatting`]) or as JSON ([`super::json_making`]).
//!
//! A value looks as a client would be sent it that has set nothing but a time zone, so the function is given each argument's field (a uuid or a jsonb is no more than
//! bytes or text without it) and the session's time zone, whatever zone the argument's own type names.

use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::error::Report;
use crate::pg_format::{OutputSettings, encode};
use crate::pg_type::PgType;

/// The arguments of a call.
pub(super) struct Arguments<'a> {
    /// The function's name.
    pub name: &'a str,
    /// What its answer is called.
    pub answer: PgType,
    /// Of one length.
    pub arrays: &'a [ArrayRef],
    /// What each is.
    pub fields: &'a [FieldRef],
    /// How long they are.
    pub rows: usize,
    /// How the session shows values.
    pub settings: OutputSettings,
}

impl Arguments<'_> {
    /// Each argument's values as text.
    pub(super) fn texts(&self) -> Result<Vec<StringArray>, Report> {
        self.each(|array, field| encode::texts(array.as_ref(), field, &self.settings))
    }

    /// Each argument's values as JSON.
    pub(super) fn documents(&self) -> Result<Vec<StringArray>, Report> {
        self.each(|array, field| encode::documents(array.as_ref(), field, &self.settings, self.answer == PgType::JSON))
    }

    fn each(&self, write: impl Fn(&ArrayRef, &Field) -> Result<StringArray, Report>) -> Result<Vec<StringArray>, Report> {
        self.arrays.iter().zip(self.fields).map(|(array, field)| write(array, field)).collect()
    }
}

/// What a function makes of its arguments.
pub(super) type Body = fn(&Arguments<'_>) -> Result<StringArray, Report>;

/// A function of values of any types. Two of one name are the same function.
#[derive(Debug)]
pub(super) struct Shown {
    name: &'static str,
    arguments: RangeInclusive<usize>,
    answer: PgType,
    body: Body,
    signature: Signature,
}

impl Shown {
    /// The function of so many arguments, whose answer is called this.
    pub(super) fn function(name: &'static str, arguments: RangeInclusive<usize>, answer: PgType, body: Body) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { name, arguments, answer, body, signature }))
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Shown {}

impl Hash for Shown {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Shown {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> EngineResult<Vec<DataType>> {
        if self.arguments.contains(&arguments.len()) {
            return Ok(arguments.to_vec());
        }
        Err(super::unknown(self.name, arguments))
    }

    fn return_type(&self, _arguments: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> EngineResult<FieldRef> {
        Ok(Arc::new(self.answer.arrow_field(self.name)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        super::answer(&call, |arrays, rows| {
            let time_zone = call.config_options.execution.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
            let settings = OutputSettings { time_zone, extra_float_digits: 1, bytea_escape: false };
            let arguments = Arguments { name: self.name, answer: self.answer, arrays, fields: &call.arg_fields, rows, settings };
            (self.body)(&arguments).map(|texts| Arc::new(texts) as ArrayRef)
        })
    }
}
