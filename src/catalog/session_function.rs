//! A session's functions as the engine wants them: a constant, a closure over what it knows of the session, or one that may wait.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use async_trait::async_trait;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use futures::future::BoxFuture;

use crate::error::Report;
use crate::pg_type::PgType;

type Answer = std::result::Result<ArrayRef, Report>;

fn external(report: Report) -> DataFusionError {
    DataFusionError::External(Box::new(report))
}

/// The same value whatever the arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Constant {
    value: ScalarValue,
    answer: FieldRef,
    signature: Signature,
}

impl Constant {
    pub(super) fn function(name: &str, signature: Signature, value: ScalarValue) -> Arc<ScalarUDF> {
        let answer = Arc::new(Field::new(name, value.data_type(), true));
        Arc::new(ScalarUDF::new_from_impl(Self { value, answer, signature }))
    }

    /// The same of a value that is called this.
    pub(super) fn function_of(name: &str, signature: Signature, value: ScalarValue, pg_type: PgType) -> Arc<ScalarUDF> {
        let answer = Arc::new(pg_type.arrow_field(name).with_data_type(value.data_type()));
        Arc::new(ScalarUDF::new_from_impl(Self { value, answer, signature }))
    }
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.answer.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.answer))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// A function of one session: one of the same name in another session is another function.
pub(super) struct SessionFunction {
    name: &'static str,
    process_id: i32,
    signature: Signature,
    answer: DataType,
    body: Box<dyn Fn(&[ArrayRef]) -> Answer + Send + Sync>,
}

impl SessionFunction {
    pub(super) fn function(
        name: &'static str,
        process_id: i32,
        signature: Signature,
        answer: DataType,
        body: impl Fn(&[ArrayRef]) -> Answer + Send + Sync + 'static,
    ) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self { name, process_id, signature, answer, body: Box::new(body) }))
    }
}

impl fmt::Debug for SessionFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for SessionFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.process_id == other.process_id
    }
}

impl Eq for SessionFunction {}

impl Hash for SessionFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.process_id.hash(state);
    }
}

impl ScalarUDFImpl for SessionFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.answer.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        (self.body)(&arrays).map(ColumnarValue::Array).map_err(external)
    }
}

/// A function that may wait, which the engine runs on its own.
pub(super) struct WaitingFunction {
    answer: FieldRef,
    process_id: i32,
    signature: Signature,
    body: Box<dyn Fn(Vec<ArrayRef>) -> BoxFuture<'static, Answer> + Send + Sync>,
}

impl WaitingFunction {
    /// Called as its answer is.
    pub(super) fn function(
        answer: Field,
        process_id: i32,
        signature: Signature,
        body: impl Fn(Vec<ArrayRef>) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Arc<ScalarUDF> {
        let function = Self { answer: Arc::new(answer), process_id, signature, body: Box::new(body) };
        Arc::new(AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf())
    }
}

impl fmt::Debug for WaitingFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.answer.name())
    }
}

impl PartialEq for WaitingFunction {
    fn eq(&self, other: &Self) -> bool {
        self.answer == other.answer && self.process_id == other.process_id
    }
}

impl Eq for WaitingFunction {}

impl Hash for WaitingFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.answer.name().hash(state);
        self.process_id.hash(state);
    }
}

impl ScalarUDFImpl for WaitingFunction {
    fn name(&self) -> &str {
        self.answer.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.answer.data_type().clone())
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.answer))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{} may wait, it cannot be folded", self.answer.name())
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for WaitingFunction {
    async fn invoke_async_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // A constant is as many as there are rows: each is called for.
        let rows = arguments.number_rows;
        let arrays = arguments.args.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<_>>>()?;
        (self.body)(arrays).await.map(ColumnarValue::Array).map_err(external)
    }
}
