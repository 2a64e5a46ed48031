//! Functions on other connections, `pg_cancel_backend` and `pg_terminate_backend`, and the advisory locks, which nobody can be kept
//! waiting for: clients take them around migrations and at a pool's reset, and a gateway has nothing that they would guard.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use futures::FutureExt;

use super::session_facts::{Backends, SessionFacts};
use super::session_function::{Constant, SessionFunction, WaitingFunction};
use crate::error::Report;

/// How often a terminated connection is looked for while its end is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// All of them.
pub(super) fn functions(facts: &SessionFacts) -> Vec<Arc<ScalarUDF>> {
    [vec![cancel(facts), terminate(facts)], locks()].concat()
}

/// A connection's number: literals are `bigint` to the engine, and none that does not fit is anybody's.
fn number(process_id: i64) -> i32 {
    i32::try_from(process_id).unwrap_or(0)
}

fn one_or_two_numbers() -> Signature {
    let forms = [vec![DataType::Int64], vec![DataType::Int64, DataType::Int64]];
    Signature::one_of(forms.map(TypeSignature::Exact).to_vec(), Volatility::Volatile)
}

/// `pg_cancel_backend(pid)`.
fn cancel(facts: &SessionFacts) -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Int64], Volatility::Volatile);
    let backends = Arc::clone(&facts.backends);
    SessionFunction::function("pg_cancel_backend", facts.process_id, signature, DataType::Boolean, move |arrays| {
        let mut answers = BooleanBuilder::new();
        for process_id in arrays.first().map(|array| array.as_primitive::<Int64Type>()).into_iter().flatten() {
            answers.append_option(process_id.map(|process_id| backends.cancel(number(process_id))).transpose()?);
        }
        Ok(Arc::new(answers.finish()))
    })
}

/// `pg_terminate_backend(pid [, timeout])`: with a time-out, in milliseconds, it waits for the connection's end.
fn terminate(facts: &SessionFacts) -> Arc<ScalarUDF> {
    let answer = Field::new("pg_terminate_backend", DataType::Boolean, true);
    let (own, backends) = (facts.process_id, Arc::clone(&facts.backends));
    WaitingFunction::function(answer, own, one_or_two_numbers(), move |arrays| {
        let backends = Arc::clone(&backends);
        async move { terminated(own, backends.as_ref(), &arrays).await }.boxed()
    })
}

async fn terminated(own: i32, backends: &dyn Backends, arrays: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let timeouts = arrays.get(1).map(|array| array.as_primitive::<Int64Type>());
    let mut answers = BooleanBuilder::new();
    let ids = arrays.first().map(|array| array.as_primitive::<Int64Type>());
    for (row, process_id) in ids.into_iter().flatten().enumerate() {
        let Some(process_id) = process_id.map(number) else {
            answers.append_null();
            continue;
        };
        let mut answer = backends.terminate(process_id)?;
        let timeout = timeouts.filter(|times| times.is_valid(row)).and_then(|times| u64::try_from(times.value(row)).ok());
        if let (true, Some(timeout @ 1..)) = (answer, timeout) {
            // Its own end it cannot wait for.
            answer = process_id != own && ended(backends, process_id, Duration::from_millis(timeout)).await;
        }
        answers.append_value(answer);
    }
    Ok(Arc::new(answers.finish()))
}

/// Whether the connection is gone within this time.
async fn ended(backends: &dyn Backends, process_id: i32, timeout: Duration) -> bool {
    let gone = async {
        while backends.is_connected(process_id) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(timeout, gone).await.is_ok()
}

/// The advisory locks' functions but `pg_advisory_unlock_all`, which takes nothing: always had, always given back. Some say that
/// they got the lock; the others return nothing.
fn locks() -> Vec<Arc<ScalarUDF>> {
    let silent = ["pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared"];
    let answering = [
        "pg_try_advisory_lock",
        "pg_try_advisory_lock_shared",
        "pg_try_advisory_xact_lock",
        "pg_try_advisory_xact_lock_shared",
        "pg_advisory_unlock",
        "pg_advisory_unlock_shared",
    ];
    let silent = silent.map(|name| (name, ScalarValue::Utf8(Some(String::new()))));
    let answering = answering.map(|name| (name, ScalarValue::Boolean(Some(true))));
    silent.into_iter().chain(answering).map(|(name, value)| Constant::function(name, one_or_two_numbers(), value)).collect()
}
