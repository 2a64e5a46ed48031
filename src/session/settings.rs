//! `SET` and `SHOW` of settings, from the parser's many shapes of them.

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{
    ContextModifier, Expr, Ident, ObjectName, Set, TransactionAccessMode, TransactionMode, UnaryOperator, Value,
};
use parking_lot::Mutex;

use super::response::Notice;
use super::vars::SessionVars;
use crate::error::{Report, SqlState};
use crate::sql::folded;

/// A name of one or more identifiers, each folded.
pub(super) fn folded_name(name: &ObjectName) -> String {
    name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect::<Vec<_>>().join(".")
}

/// A setting's name, which has no case, with its prefix if it has one.
pub(super) fn name(name: &ObjectName) -> String {
    name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.clone()).collect::<Vec<_>>().join(".")
}

/// `SET …`.
pub(super) fn set(vars: &mut SessionVars, set: &Set, in_transaction: bool, notices: &Mutex<Vec<Notice>>) -> Result<(), Report> {
    let mut assign = |name: &str, value: Option<String>, local: bool| {
        if local && !in_transaction {
            // It lasts as long as a transaction without a block does: to the end of the statement, or of an extended batch.
            let warning = Notice::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, "SET LOCAL can only be used in transaction blocks");
            notices.lock().push(warning);
        }
        vars.set(name, value.as_deref(), local)
    };
    match set {
        Set::SingleAssignment { scope, variable, values, .. } => {
            let local = *scope == Some(ContextModifier::Local);
            assign(&name(variable), value(values)?, local)
        }
        Set::ParenthesizedAssignments { .. } | Set::MultipleAssignments { .. } => {
            Err(Report::new(SqlState::SYNTAX_ERROR, "SET takes one parameter"))
        }
        Set::SetTimeZone { local, value: zone } => assign("TimeZone", time_zone(zone)?, *local),
        Set::SetNames { charset_name, .. } => assign("client_encoding", Some(charset_name.value.clone()), false),
        Set::SetNamesDefault {} => assign("client_encoding", None, false),
        Set::SetTransaction { snapshot: Some(_), .. } => {
            Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "SET TRANSACTION SNAPSHOT is not supported"))
        }
        Set::SetTransaction { modes, session, .. } => {
            if !session && !in_transaction {
                let warning =
                    Notice::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, "SET TRANSACTION can only be used in transaction blocks");
                notices.lock().push(warning);
            }
            set_modes(vars, modes, *session)
        }
        Set::SetRole { role_name, .. } => assign("role", Some(role_name.as_ref().map_or_else(|| "none".to_owned(), folded)), false),
        other => Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{other} is not supported"))),
    }
}

/// Modes of the transaction, or of those to come in the session.
pub(super) fn set_modes(vars: &mut SessionVars, modes: &[TransactionMode], session: bool) -> Result<(), Report> {
    let prefix = if session { "default_" } else { "" };
    for mode in modes {
        let (name, value) = match mode {
            TransactionMode::AccessMode(TransactionAccessMode::ReadOnly) => ("transaction_read_only", "on".to_owned()),
            TransactionMode::AccessMode(TransactionAccessMode::ReadWrite) => ("transaction_read_only", "off".to_owned()),
            TransactionMode::IsolationLevel(level) => ("transaction_isolation", level.to_string().to_lowercase()),
        };
        vars.set(&format!("{prefix}{name}"), Some(&value), !session)?;
    }
    Ok(())
}

/// The value of a SET; `None` = DEFAULT.
fn value(values: &[Expr]) -> Result<Option<String>, Report> {
    let words = values.iter().map(word).collect::<Result<Vec<_>, _>>()?;
    match words.as_slice() {
        [one] if one.eq_ignore_ascii_case("default") && !matches!(values, [Expr::Value(_)]) => Ok(None),
        _ => Ok(Some(words.join(", "))),
    }
}

/// The value of SET TIME ZONE: an interval counts east, LOCAL is the DEFAULT.
fn time_zone(zone: &Expr) -> Result<Option<String>, Report> {
    match zone {
        Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("local") => Ok(None),
        Expr::Interval(interval) => {
            let text = word(&interval.value)?;
            let invalid = |detail: &str| {
                let message = format!("invalid value for parameter \"TimeZone\": \"INTERVAL '{text}'\"");
                Report::new(SqlState::INVALID_PARAMETER_VALUE, message).detail(detail)
            };
            // A bare number is of the interval's last field.
            let unit = interval.last_field.as_ref().or(interval.leading_field.as_ref()).map(|field| field.to_string().to_lowercase());
            let spelled = match (text.parse::<f64>(), unit) {
                (Ok(_), Some(unit)) => format!("{text} {unit}"),
                _ => text.clone(),
            };
            match crate::spelling::interval::parse(&spelled) {
                Ok((0, 0, micros)) => Ok(Some((micros as f64 / 3_600e6).to_string())),
                Ok((0, _, _)) => Err(invalid("Cannot specify days in time zone interval.")),
                Ok(_) => Err(invalid("Cannot specify months in time zone interval.")),
                Err(_) => {
                    Err(Report::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type interval: \"{text}\"")))
                }
            }
        }
        other => value(std::slice::from_ref(other)),
    }
}

fn word(expression: &Expr) -> Result<String, Report> {
    match expression {
        Expr::Identifier(name) => Ok(folded(name)),
        Expr::CompoundIdentifier(parts) => Ok(parts.iter().map(folded).collect::<Vec<_>>().join(".")),
        Expr::Value(literal) => match &literal.value {
            Value::Number(digits, _) => Ok(digits.clone()),
            Value::Boolean(flag) => Ok(if *flag { "on" } else { "off" }.to_owned()),
            other => other.clone().into_string().ok_or_else(|| bad(expression)),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(format!("-{}", word(expr)?)),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } | Expr::Nested(expr) => word(expr),
        Expr::Interval(interval) => word(&interval.value),
        _ => Err(bad(expression)),
    }
}

fn bad(expression: &Expr) -> Report {
    Report::new(SqlState::SYNTAX_ERROR, format!("a setting's value must be a constant, not {expression}"))
}

/// `SHOW name`, `SHOW ALL`, and the spellings of more than one word.
pub(super) fn show(vars: &SessionVars, variable: &[Ident]) -> Result<RecordBatch, Report> {
    let words: Vec<String> = variable.iter().map(|word| word.value.to_ascii_lowercase()).collect();
    let asked = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["all"] => {
            let (names, values): (Vec<_>, Vec<_>) = vars.all().unzip();
            let descriptions: Vec<&str> = names.iter().map(|_| "").collect();
            return Ok(batch(&[("name", names), ("setting", values), ("description", descriptions)]));
        }
        ["time", "zone"] => "TimeZone".to_owned(),
        ["transaction", "isolation", "level"] => "transaction_isolation".to_owned(),
        ["session", "authorization"] => "session_authorization".to_owned(),
        words => words.join("."),
    };
    let found = vars.get(&asked)?;
    Ok(batch(&[(SessionVars::spelling(&asked), vec![found])]))
}

/// The column that `SHOW name` has.
pub(super) fn show_columns(variable: &[Ident]) -> Schema {
    let vars = SessionVars::new("", []);
    match show(&vars, variable) {
        Ok(batch) => batch.schema().as_ref().clone(),
        Err(_) => Schema::new(vec![Field::new(name_of(variable), DataType::Utf8, true)]),
    }
}

fn name_of(variable: &[Ident]) -> String {
    variable.iter().map(|word| word.value.clone()).collect::<Vec<_>>().join(".")
}

fn batch(columns: &[(&str, Vec<&str>)]) -> RecordBatch {
    let schema = Arc::new(Schema::new(columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()));
    let arrays = columns.iter().map(|(_, values)| Arc::new(StringArray::from(values.clone())) as _).collect();
    RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}
