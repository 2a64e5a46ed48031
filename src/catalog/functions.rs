//! Functions that know the session: who asks, where, under which settings; and `pg_sleep`, for tests of cancel.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use async_trait::async_trait;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use parking_lot::Mutex;

use super::backends::{Lock, Signal, Terminate};
use crate::error::{Report, SqlState};
use crate::pg_type::PG_TYPE_KEY;

/// A session's settings, as functions reach them.
pub trait Settings: Send + Sync {
    /// The value of a setting, or 42704.
    fn get(&self, name: &str) -> std::result::Result<String, Report>;
    /// `set_config`: sets it and gives the new value.
    fn set(&self, name: &str, value: &str, local: bool) -> std::result::Result<String, Report>;
    /// All of them with their values, for `pg_settings`.
    fn all(&self) -> Vec<(&'static str, String)>;
}

/// What all sessions of a server did, as relations show it.
pub trait ServerStatistics: Send + Sync {
    /// The kinds of statements that ran, the most costly first.
    fn statements(&self) -> Vec<StatementUse>;
}

/// One row of `feature_store.statements`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatementUse {
    /// Who ran it.
    pub role: String,
    /// Its text without constants.
    pub query: String,
    /// How often.
    pub calls: u64,
    /// How often it failed.
    pub errors: u64,
    /// Rows sent.
    pub rows: u64,
    /// Milliseconds in sum.
    pub total_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Bytes of data files read.
    pub bytes_read: u64,
    /// Data files read.
    pub files_read: u64,
    /// Data files that pruning saved.
    pub files_pruned: u64,
}

/// What functions know of the session that calls them.
#[derive(Clone)]
pub struct SessionFacts {
    /// The database's name.
    pub database: String,
    /// The role.
    pub user: String,
    /// The connection's number.
    pub process_id: i32,
    /// What `version()` says.
    pub version: String,
    /// Its settings.
    pub settings: Arc<dyn Settings>,
    /// The server that it is a session of.
    pub server: Arc<dyn ServerStatistics>,
    /// Its open cursors.
    pub cursors: Arc<Mutex<Vec<CursorFacts>>>,
    /// All who are connected.
    pub backends: Arc<dyn Backends>,
}

/// A row of `pg_cursors`.
#[derive(Debug, Clone)]
pub struct CursorFacts {
    /// Its name.
    pub name: String,
    /// The statement that declared it.
    pub statement: String,
    /// WITH HOLD.
    pub is_holdable: bool,
    /// BINARY.
    pub is_binary: bool,
    /// SCROLL.
    pub is_scrollable: bool,
    /// When, in microseconds since 1970.
    pub declared_at: i64,
}

/// A row of `pg_stat_activity`. Times are microseconds since 1970.
#[derive(Debug, Clone, Default)]
pub struct BackendFacts {
    /// The connection's number.
    pub process_id: i32,
    /// The role.
    pub user: String,
    /// `application_name`.
    pub application_name: String,
    /// The client's address.
    pub client: Option<SocketAddr>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// `active`, `idle`, `idle in transaction`, …
    pub state: &'static str,
    /// The statement that runs, or ran last; none where the asking role may not see it.
    pub query: Option<String>,
    /// Since when it is connected.
    pub backend_start: i64,
    /// Since when its transaction goes on.
    pub xact_start: Option<i64>,
    /// When the statement began.
    pub query_start: Option<i64>,
    /// Since when it is in its state.
    pub state_change: i64,
}

/// All connections, as one of them may see and stop them.
pub trait Backends: Send + Sync {
    /// `pg_cancel_backend`: whether there is such a connection; 42501 for another role's.
    fn cancel(&self, process_id: i32) -> std::result::Result<bool, Report>;
    /// `pg_terminate_backend`: the same.
    fn terminate(&self, process_id: i32) -> std::result::Result<bool, Report>;
    /// Whether a connection of this number is there.
    fn is_connected(&self, process_id: i32) -> bool;
    /// Who is connected.
    fn all(&self) -> Vec<BackendFacts>;
}

/// The functions of one session.
pub fn session_functions(facts: &SessionFacts) -> Vec<Arc<ScalarUDF>> {
    let text = |value: &str| ScalarValue::Utf8(Some(value.to_owned()));
    let mut schemas = ListBuilder::new(StringBuilder::new());
    for schema in ["pg_catalog", "public"] {
        schemas.values().append_value(schema);
    }
    schemas.append(true);
    let schemas = ScalarValue::List(Arc::new(schemas.finish()));
    let constants = [
        ("version", text(&facts.version)),
        ("current_database", text(&facts.database)),
        ("current_catalog", text(&facts.database)),
        ("current_schema", text("public")),
        ("current_user", text(&facts.user)),
        ("session_user", text(&facts.user)),
        ("current_role", text(&facts.user)),
        ("user", text(&facts.user)),
        ("pg_backend_pid", ScalarValue::Int32(Some(facts.process_id))),
    ];
    let mut functions: Vec<Arc<ScalarUDF>> = constants
        .into_iter()
        .map(|(name, value)| {
            Arc::new(ScalarUDF::new_from_impl(Constant { name, value, signature: Signature::nullary(Volatility::Stable) }))
        })
        .collect();
    functions.push(Arc::new(ScalarUDF::new_from_impl(Constant {
        name: "current_schemas",
        value: schemas,
        signature: Signature::exact(vec![DataType::Boolean], Volatility::Stable),
    })));
    functions.push(Arc::new(ScalarUDF::new_from_impl(Setting::new("current_setting", facts))));
    functions.push(Arc::new(ScalarUDF::new_from_impl(Setting::new("set_config", facts))));
    functions.push(Arc::new(AsyncScalarUDF::new(Arc::new(Sleep::default())).into_scalar_udf()));
    functions.push(Arc::new(ScalarUDF::new_from_impl(Signal::new(facts))));
    functions.push(Arc::new(AsyncScalarUDF::new(Arc::new(Terminate::new(facts))).into_scalar_udf()));
    functions.extend(Lock::all().map(|lock| Arc::new(ScalarUDF::new_from_impl(lock))));
    functions
}

/// A value that is the same for the whole session.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    // What is text here is the name of something.
    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let data_type = self.value.data_type();
        let pg_type = if data_type == DataType::Utf8 && self.name != "version" { "name" } else { "" };
        let metadata = (!pg_type.is_empty()).then(|| (PG_TYPE_KEY.to_owned(), pg_type.to_owned()));
        Ok(Arc::new(Field::new(self.name, data_type, true).with_metadata(metadata.into_iter().collect())))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// `current_setting(name [, missing_ok])` and `set_config(name, value, is_local)`.
struct Setting {
    name: &'static str,
    process_id: i32,
    settings: Arc<dyn Settings>,
    signature: Signature,
}

impl Setting {
    fn new(name: &'static str, facts: &SessionFacts) -> Self {
        let signature = if name == "set_config" {
            Signature::exact(vec![DataType::Utf8, DataType::Utf8, DataType::Boolean], Volatility::Volatile)
        } else {
            Signature::one_of(
                vec![
                    datafusion::logical_expr::TypeSignature::Exact(vec![DataType::Utf8]),
                    datafusion::logical_expr::TypeSignature::Exact(vec![DataType::Utf8, DataType::Boolean]),
                ],
                Volatility::Stable,
            )
        };
        Self { name, process_id: facts.process_id, settings: Arc::clone(&facts.settings), signature }
    }

    fn value(&self, arguments: &[Option<String>], flag: bool) -> Result<Option<String>> {
        let Some(Some(name)) = arguments.first() else { return Ok(None) };
        let answer = if self.name == "set_config" {
            let value = arguments.get(1).cloned().flatten().unwrap_or_default();
            self.settings.set(name, &value, flag)
        } else {
            match self.settings.get(name) {
                Err(report) if flag && report.sqlstate == SqlState::UNDEFINED_OBJECT => return Ok(None),
                other => other,
            }
        };
        answer.map(Some).map_err(|report| DataFusionError::External(Box::new(report)))
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.process_id == other.process_id
    }
}

impl Eq for Setting {}

impl Hash for Setting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.process_id.hash(state);
    }
}

impl ScalarUDFImpl for Setting {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let mut values = StringBuilder::new();
        for row in 0..arrays.first().map_or(rows, |array| array.len()) {
            let mut texts = Vec::with_capacity(2);
            let mut flag = false;
            for array in &arrays {
                match array.data_type() {
                    DataType::Utf8 => texts.push(array.is_valid(row).then(|| array.as_string::<i32>().value(row).to_owned())),
                    DataType::Boolean => flag = array.is_valid(row) && array.as_boolean().value(row),
                    _ => {}
                }
            }
            values.append_option(self.value(&texts, flag)?);
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish())))
    }
}

/// `pg_sleep(seconds)`: waits without holding a thread, and ends at once when its statement does.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sleep {
    signature: Signature,
}

impl Default for Sleep {
    fn default() -> Self {
        Self { signature: Signature::exact(vec![DataType::Float64], Volatility::Volatile) }
    }
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &str {
        "pg_sleep"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    // An empty text, which is how PostgreSQL shows a void.
    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let metadata = HashMap::from([(PG_TYPE_KEY.to_owned(), "void".to_owned())]);
        Ok(Arc::new(Field::new("pg_sleep", DataType::Utf8, true).with_metadata(metadata)))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("pg_sleep waits, it cannot be folded")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Sleep {
    async fn invoke_async_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(array) = arrays.first() else { return exec_err!("pg_sleep needs a number of seconds") };
        let mut done = StringBuilder::new();
        for seconds in array.as_primitive::<Float64Type>() {
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
        Ok(ColumnarValue::Array(Arc::new(done.finish()) as ArrayRef))
    }
}
