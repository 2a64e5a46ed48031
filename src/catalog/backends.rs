//! Functions on other connections, `pg_cancel_backend` and `pg_terminate_backend`, and the advisory locks, which nobody can be kept
//! waiting for: clients take them around migrations and at a pool's reset, and a gateway has nothing that they would guard.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder};
use arrow::datatypes::{DataType, Int64Type};
use async_trait::async_trait;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::async_udf::AsyncScalarUDFImpl;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility};

use super::{Backends, SessionFacts};
use crate::error::Report;

/// How often a terminated connection is looked for while its end is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn external(report: Report) -> DataFusionError {
    DataFusionError::External(Box::new(report))
}

/// A connection's number: literals are `bigint` to the engine, and none that does not fit is anybody's.
fn number(process_id: i64) -> i32 {
    i32::try_from(process_id).unwrap_or(0)
}

/// `pg_cancel_backend(pid)`.
pub(super) struct Signal {
    process_id: i32,
    backends: Arc<dyn Backends>,
    signature: Signature,
}

impl Signal {
    pub(super) fn new(facts: &SessionFacts) -> Self {
        let signature = Signature::exact(vec![DataType::Int64], Volatility::Volatile);
        Self { process_id: facts.process_id, backends: Arc::clone(&facts.backends), signature }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pg_cancel_backend")
    }
}

impl PartialEq for Signal {
    fn eq(&self, other: &Self) -> bool {
        self.process_id == other.process_id
    }
}

impl Eq for Signal {}

impl Hash for Signal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.process_id.hash(state);
    }
}

impl ScalarUDFImpl for Signal {
    fn name(&self) -> &str {
        "pg_cancel_backend"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let mut answers = BooleanBuilder::new();
        for process_id in arrays.first().map(|array| array.as_primitive::<Int64Type>()).into_iter().flatten() {
            answers.append_option(process_id.map(|process_id| self.backends.cancel(number(process_id))).transpose().map_err(external)?);
        }
        Ok(ColumnarValue::Array(Arc::new(answers.finish())))
    }
}

/// `pg_terminate_backend(pid [, timeout])`: with a time-out, in milliseconds, it waits for the connection's end.
pub(super) struct Terminate {
    process_id: i32,
    backends: Arc<dyn Backends>,
    signature: Signature,
}

impl Terminate {
    pub(super) fn new(facts: &SessionFacts) -> Self {
        let signature = Signature::one_of(
            vec![TypeSignature::Exact(vec![DataType::Int64]), TypeSignature::Exact(vec![DataType::Int64, DataType::Int64])],
            Volatility::Volatile,
        );
        Self { process_id: facts.process_id, backends: Arc::clone(&facts.backends), signature }
    }

    async fn ended(&self, process_id: i32, timeout: Duration) -> bool {
        let gone = async {
            while self.backends.is_connected(process_id) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // Its own end it cannot wait for.
        process_id != self.process_id && tokio::time::timeout(timeout, gone).await.is_ok()
    }
}

impl fmt::Debug for Terminate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pg_terminate_backend")
    }
}

impl PartialEq for Terminate {
    fn eq(&self, other: &Self) -> bool {
        self.process_id == other.process_id
    }
}

impl Eq for Terminate {}

impl Hash for Terminate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.process_id.hash(state);
    }
}

impl ScalarUDFImpl for Terminate {
    fn name(&self) -> &str {
        "pg_terminate_backend"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("pg_terminate_backend may wait, it cannot be folded")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Terminate {
    async fn invoke_async_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(ids) = arrays.first().map(|array| array.as_primitive::<Int64Type>().clone()) else {
            return exec_err!("pg_terminate_backend needs a process id");
        };
        let timeouts = arrays.get(1).map(|array| array.as_primitive::<Int64Type>().clone());
        let mut answers = BooleanBuilder::new();
        for (row, process_id) in ids.iter().enumerate() {
            let Some(process_id) = process_id.map(number) else {
                answers.append_null();
                continue;
            };
            let mut answer = self.backends.terminate(process_id).map_err(external)?;
            let timeout = timeouts.as_ref().filter(|times| times.is_valid(row)).and_then(|times| u64::try_from(times.value(row)).ok());
            if let (true, Some(timeout @ 1..)) = (answer, timeout) {
                answer = self.ended(process_id, Duration::from_millis(timeout)).await;
            }
            answers.append_value(answer);
        }
        Ok(ColumnarValue::Array(Arc::new(answers.finish()) as ArrayRef))
    }
}

/// An advisory lock's function: always had, always given back.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Lock {
    name: &'static str,
    /// Whether it says that it got the lock; the others return nothing.
    answers: bool,
    signature: Signature,
}

impl Lock {
    /// All of them but `pg_advisory_unlock_all`, which takes nothing.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [
            ("pg_advisory_lock", false),
            ("pg_advisory_lock_shared", false),
            ("pg_advisory_xact_lock", false),
            ("pg_advisory_xact_lock_shared", false),
            ("pg_try_advisory_lock", true),
            ("pg_try_advisory_lock_shared", true),
            ("pg_try_advisory_xact_lock", true),
            ("pg_try_advisory_xact_lock_shared", true),
            ("pg_advisory_unlock", true),
            ("pg_advisory_unlock_shared", true),
        ]
        .into_iter()
        .map(|(name, answers)| Self {
            name,
            answers,
            signature: Signature::one_of(
                vec![TypeSignature::Exact(vec![DataType::Int64]), TypeSignature::Exact(vec![DataType::Int64, DataType::Int64])],
                Volatility::Volatile,
            ),
        })
    }
}

impl ScalarUDFImpl for Lock {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(if self.answers { DataType::Boolean } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let nothing = ScalarValue::Utf8(Some(String::new()));
        Ok(ColumnarValue::Scalar(if self.answers { ScalarValue::Boolean(Some(true)) } else { nothing }))
    }
}
