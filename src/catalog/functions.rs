//! Functions that know the session: who asks, where, under which settings; and `pg_sleep`, for tests of cancel.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use futures::FutureExt;

use super::backends;
use super::session_facts::{SessionFacts, Settings};
use super::session_function::{Constant, SessionFunction, WaitingFunction};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

/// The functions of one session.
pub fn session_functions(facts: &SessionFacts) -> Vec<Arc<ScalarUDF>> {
    let text = |value: &str| ScalarValue::Utf8(Some(value.to_owned()));
    let mut schemas = ListBuilder::new(StringBuilder::new());
    for schema in ["pg_catalog", "public"] {
        schemas.values().append_value(schema);
    }
    schemas.append(true);
    let schemas = ScalarValue::List(Arc::new(schemas.finish()));
    let nullary = || Signature::nullary(Volatility::Stable);
    // What is text here is the name of something.
    let names = [
        ("current_database", &facts.database),
        ("current_catalog", &facts.database),
        ("current_schema", &"public".to_owned()),
        ("current_user", &facts.user),
        ("session_user", &facts.user),
        ("current_role", &facts.user),
        ("user", &facts.user),
    ];
    let names = names.map(|(name, value)| Constant::function_of(name, nullary(), text(value), PgType::NAME));
    let flag = Signature::exact(vec![DataType::Boolean], Volatility::Stable);
    [
        names.to_vec(),
        vec![
            Constant::function("version", nullary(), text(&facts.version)),
            Constant::function("pg_backend_pid", nullary(), ScalarValue::Int32(Some(facts.process_id))),
            Constant::function("current_schemas", flag, schemas),
        ],
        vec![current_setting(facts), set_config(facts), sleep()],
        backends::functions(facts),
    ]
    .concat()
}

/// `current_setting(name [, missing_ok])`.
fn current_setting(facts: &SessionFacts) -> Arc<ScalarUDF> {
    let forms = [vec![DataType::Utf8], vec![DataType::Utf8, DataType::Boolean]];
    let signature = Signature::one_of(forms.map(TypeSignature::Exact).to_vec(), Volatility::Stable);
    let get = |settings: &dyn Settings, texts: &[Option<String>], missing_ok: bool| {
        let Some(Some(name)) = texts.first() else { return Ok(None) };
        match settings.get(name) {
            Err(report) if missing_ok && report.sqlstate == SqlState::UNDEFINED_OBJECT => Ok(None),
            other => other.map(Some),
        }
    };
    of_settings("current_setting", signature, facts, get)
}

/// `set_config(name, value, is_local)`.
fn set_config(facts: &SessionFacts) -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Utf8, DataType::Utf8, DataType::Boolean], Volatility::Volatile);
    let set = |settings: &dyn Settings, texts: &[Option<String>], is_local: bool| {
        let Some(Some(name)) = texts.first() else { return Ok(None) };
        let value = texts.get(1).cloned().flatten().unwrap_or_default();
        settings.set(name, &value, is_local).map(Some)
    };
    of_settings("set_config", signature, facts, set)
}

/// A function of a row's texts and its flag, which is false where it is NULL.
fn of_settings(
    name: &'static str,
    signature: Signature,
    facts: &SessionFacts,
    answer: fn(&dyn Settings, &[Option<String>], bool) -> Result<Option<String>, Report>,
) -> Arc<ScalarUDF> {
    let settings = Arc::clone(&facts.settings);
    SessionFunction::function(name, facts.process_id, signature, DataType::Utf8, move |arrays| {
        let mut values = StringBuilder::new();
        for row in 0..arrays.first().map_or(0, |array| array.len()) {
            let mut texts = Vec::with_capacity(2);
            let mut flag = false;
            for array in arrays {
                match array.data_type() {
                    DataType::Utf8 => texts.push(array.is_valid(row).then(|| array.as_string::<i32>().value(row).to_owned())),
                    DataType::Boolean => flag = array.is_valid(row) && array.as_boolean().value(row),
                    _ => {}
                }
            }
            values.append_option(answer(settings.as_ref(), &texts, flag)?);
        }
        Ok(Arc::new(values.finish()))
    })
}

/// `pg_sleep(seconds)`: waits without holding a thread, and ends at once when its statement does. An empty text is how
/// PostgreSQL shows a void.
fn sleep() -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Volatile);
    let answer = PgType::VOID.arrow_field("pg_sleep").with_data_type(DataType::Utf8);
    WaitingFunction::function(answer, 0, signature, |arrays| {
        async move {
            let mut done = StringBuilder::new();
            for seconds in arrays.first().map(|array| array.as_primitive::<Float64Type>()).into_iter().flatten() {
                match seconds {
                    Some(seconds) => {
                        if let Ok(time) = Duration::try_from_secs_f64(seconds.max(0.0)) {
                            tokio::time::sleep(time).await;
                        }
                        done.append_value("");
                    }
                    None => done.append_null(),
                }
            }
            Ok(Arc::new(done.finish()) as ArrayRef)
        }
        .boxed()
    })
}
