//! The engine's errors, told in PostgreSQL's terms.
//!
//! Our own errors travel through the engine as external [`Report`]s and come back as they were. The engine's own are
//! given the code of the condition that they describe; what is left over is XX000, which is a bug by definition.

use arrow::error::ArrowError;
use datafusion::common::{Diagnostic, SchemaError};
use datafusion::error::DataFusionError;

use super::engine_words;
use crate::error::{Report, SqlState, perhaps_you_meant};

/// What the client is told of an engine error.
///
/// `text` is all that the client sent: it serves to turn the engine's line and column into PostgreSQL's position.
pub fn report(error: &DataFusionError, text: &str) -> Report {
    let mut report = without_position(error);
    if report.position.is_none()
        && let Some(span) = first_span(error)
    {
        report.position = character_of(text, span.0, span.1);
    }
    at_literal(report, text)
}

/// The report with the position of the literal that it complains of, if it has none and the literal stands in the text once.
pub fn at_literal(mut report: Report, text: &str) -> Report {
    if report.position.is_none() {
        report.position = engine_words::literal_position(&report, text);
    }
    report
}

/// The same where there is no text to point into (a row stream).
pub fn without_position(error: &DataFusionError) -> Report {
    match error {
        DataFusionError::External(source) => {
            if let Some(report) = find_report(source.as_ref()) {
                return report;
            }
            let message = source.to_string();
            engine_words::translate(&message).unwrap_or_else(|| Report::new(SqlState::INTERNAL_ERROR, message))
        }
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => without_position(inner),
        DataFusionError::Shared(inner) => without_position(inner),
        DataFusionError::Collection(errors) => errors
            .first()
            .map(without_position)
            .unwrap_or_else(|| Report::new(SqlState::INTERNAL_ERROR, "the engine failed without saying why")),
        DataFusionError::SchemaError(error, _) => schema_error(error),
        DataFusionError::ArrowError(error, _) => arrow_error(error),
        DataFusionError::SQL(error, _) => Report::new(SqlState::SYNTAX_ERROR, error.to_string()),
        DataFusionError::NotImplemented(message) => {
            engine_words::translate(message).unwrap_or_else(|| Report::new(SqlState::FEATURE_NOT_SUPPORTED, first_line(message)))
        }
        DataFusionError::ResourcesExhausted(message) => Report::new(SqlState::OUT_OF_MEMORY, "out of memory")
            .detail(first_line(message))
            .hint("Raise limits.memory_per_query, or ask for fewer rows at once."),
        DataFusionError::ParquetError(error) => Report::new(SqlState::DATA_CORRUPTED, format!("could not read Parquet data: {error}")),
        DataFusionError::ObjectStore(error) => Report::new(SqlState::IO_ERROR, error.to_string()),
        DataFusionError::IoError(error) => io_error(&error.to_string()),
        DataFusionError::Plan(message) => plan_error(message),
        DataFusionError::Configuration(message) => Report::new(SqlState::INVALID_PARAMETER_VALUE, first_line(message)),
        DataFusionError::Execution(message) => execution_error(message),
        DataFusionError::ExecutionJoin(error) if error.is_cancelled() => {
            Report::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
        }
        other => {
            let message = other.to_string();
            engine_words::translate(&message).unwrap_or_else(|| Report::new(SqlState::INTERNAL_ERROR, first_line(&message)))
        }
    }
}

/// An own report below any number of wrappings.
fn find_report(source: &(dyn std::error::Error + 'static)) -> Option<Report> {
    let mut source = Some(source);
    while let Some(error) = source {
        if let Some(report) = error.downcast_ref::<Report>() {
            return Some(report.clone());
        }
        if let Some(inner) = error.downcast_ref::<DataFusionError>() {
            return Some(without_position(inner));
        }
        if let Some(ArrowError::ExternalError(inner)) = error.downcast_ref::<ArrowError>() {
            return find_report(inner.as_ref());
        }
        source = error.source();
    }
    None
}

fn schema_error(error: &SchemaError) -> Report {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let report = match &field.relation {
                Some(relation)
                    if !valid_fields.is_empty() && !valid_fields.iter().any(|valid| valid.relation.as_ref() == Some(relation)) =>
                {
                    let message = format!("missing FROM-clause entry for table \"{}\"", relation.table());
                    return Report::new(SqlState::UNDEFINED_TABLE, message);
                }
                // As PostgreSQL writes it: a qualified name without quotes.
                Some(relation) => {
                    Report::new(SqlState::UNDEFINED_COLUMN, format!("column {}.{} does not exist", relation.table(), field.name))
                }
                None => Report::new(SqlState::UNDEFINED_COLUMN, format!("column \"{}\" does not exist", field.name)),
            };
            match perhaps_you_meant(&field.name, valid_fields.iter().map(|valid| valid.name.as_str())) {
                Some(hint) => report.hint(hint),
                None => report,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Report::new(SqlState::AMBIGUOUS_COLUMN, format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))
        }
    }
}

fn arrow_error(error: &ArrowError) -> Report {
    if let ArrowError::CastError(message)
    | ArrowError::ParseError(message)
    | ArrowError::ComputeError(message)
    | ArrowError::InvalidArgumentError(message) = error
        && let Some(report) = engine_words::translate(message)
    {
        return report;
    }
    match error {
        ArrowError::DivideByZero => Report::new(SqlState::DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(message) => Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, first_line(message)),
        ArrowError::CastError(message) => cast_error(message),
        ArrowError::ParseError(message) => Report::new(SqlState::INVALID_TEXT_REPRESENTATION, first_line(message)),
        ArrowError::ComputeError(message) | ArrowError::InvalidArgumentError(message) => {
            Report::new(SqlState::INVALID_PARAMETER_VALUE, first_line(message))
        }
        ArrowError::ParquetError(message) => Report::new(SqlState::DATA_CORRUPTED, format!("could not read Parquet data: {message}")),
        ArrowError::ExternalError(source) => {
            find_report(source.as_ref()).unwrap_or_else(|| Report::new(SqlState::INTERNAL_ERROR, source.to_string()))
        }
        ArrowError::NotYetImplemented(message) => Report::new(SqlState::FEATURE_NOT_SUPPORTED, first_line(message)),
        ArrowError::MemoryError(message) => Report::new(SqlState::OUT_OF_MEMORY, "out of memory").detail(first_line(message)),
        ArrowError::IoError(message, _) => io_error(message),
        other => Report::new(SqlState::INTERNAL_ERROR, first_line(&other.to_string())),
    }
}

/// Of files that operators spill to, for the most part.
fn io_error(message: &str) -> Report {
    if message.contains("during the spilling process has exceeded the allowable limit") {
        return Report::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "temporary files exceed limits.temp_size")
            .hint("Raise limits.temp_size or limits.memory_per_query, or ask for fewer rows at once.");
    }
    Report::new(SqlState::IO_ERROR, first_line(message))
}

fn cast_error(message: &str) -> Report {
    if message.contains("out of range") || message.contains("overflow") || message.contains("Can't cast value") {
        return Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, first_line(message));
    }
    Report::new(SqlState::INVALID_TEXT_REPRESENTATION, first_line(message))
}

/// The engine's planner says most things in one kind of error; its words are what there is to tell them apart.
fn plan_error(message: &str) -> Report {
    if let Some(report) = engine_words::translate(message) {
        return report;
    }
    let line = first_line(message);
    if let Some(name) = between(&line, "Invalid function '", "'") {
        return Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist"))
            .hint("No function matches the given name and argument types.");
    }
    if let Some(name) = line.strip_prefix("No value found for placeholder with id ") {
        return Report::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {name}"));
    }
    if let Some(name) = between(&line, "table '", "' not found") {
        return Report::new(SqlState::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", relation_name(name)));
    }
    let code = if line.contains("must appear in the GROUP BY") || line.contains("must be part of GROUP BY") || line.contains("in GROUP BY")
    {
        SqlState::GROUPING_ERROR
    } else if line.contains("Projections require unique expression names") || line.contains("duplicate") {
        SqlState::DUPLICATE_COLUMN
    } else if line.contains("No function matches") || line.contains("does not support") || line.contains("coercion") {
        SqlState::UNDEFINED_FUNCTION
    } else if line.contains("Placeholder type could not be resolved") || line.contains("placeholder") {
        SqlState::INDETERMINATE_DATATYPE
    } else if line.contains("Cannot infer common argument type")
        || line.contains("Cannot coerce")
        || line.contains("type_coercion")
        || line.contains("must be Boolean")
        || line.contains("boolean")
    {
        SqlState::DATATYPE_MISMATCH
    } else if line.contains("nsupported") || line.contains("not supported") || line.contains("not implemented") {
        SqlState::FEATURE_NOT_SUPPORTED
    } else {
        SqlState::SYNTAX_ERROR
    };
    Report::new(code, line)
}

fn execution_error(message: &str) -> Report {
    if let Some(report) = engine_words::translate(message) {
        return report;
    }
    let line = first_line(message);
    let code = if line.to_ascii_lowercase().contains("overflow") || line.contains("out of range") {
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE
    } else if line.contains("returned more than one row") {
        SqlState::INVALID_PARAMETER_VALUE
    } else if line.contains("parsing timestamp") || line.contains("parsing date") || line.contains("parse") {
        SqlState::INVALID_DATETIME_FORMAT
    } else {
        SqlState::INVALID_PARAMETER_VALUE
    };
    Report::new(code, line)
}

/// `featgres.public.x` → `x`: the engine resolves names against its defaults before it complains.
fn relation_name(name: &str) -> &str {
    name.strip_prefix("featgres.public.").unwrap_or(name)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

/// The engine appends backtraces, hints and lists of candidates on further lines.
fn first_line(message: &str) -> String {
    let message = message.strip_prefix("Error during planning: ").unwrap_or(message);
    message.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// Line and column (from 1) of the first diagnostic on the way to the cause.
fn first_span(error: &DataFusionError) -> Option<(u64, u64)> {
    let location = |diagnostic: &Diagnostic| diagnostic.span.map(|span| (span.start.line, span.start.column));
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => location(diagnostic).or_else(|| first_span(inner)),
        DataFusionError::Context(_, inner) => first_span(inner),
        DataFusionError::Shared(inner) => first_span(inner),
        DataFusionError::Collection(errors) => errors.iter().find_map(first_span),
        _ => None,
    }
}

/// The character (from 1) at a line and column (from 1) of a text; `None` for the line 0 of trees that were not parsed.
pub(super) fn character_of(text: &str, line: u64, column: u64) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let before: usize = text.split_inclusive('\n').take(line).map(|each| each.chars().count()).sum();
    Some(before + usize::try_from(column).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_the_engine() {
        let report = Report::new(SqlState::SNAPSHOT_EXPIRED, "snapshot 7 is gone").hint("Ask for another.");
        let inner = DataFusionError::External(Box::new(report.clone()));
        let wrapped = DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(inner))), None);
        assert_eq!(without_position(&wrapped.context("reading")), report);
    }

    #[test]
    fn casts_speak_postgres() {
        let error = ArrowError::CastError("Cannot cast string 'abc' to value of Int64 type".into());
        let report = without_position(&DataFusionError::ArrowError(Box::new(error), None));
        assert_eq!(report.sqlstate, SqlState::INVALID_TEXT_REPRESENTATION);
        assert_eq!(report.message, "invalid input syntax for type bigint: \"abc\"");
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(character_of("SELECT é,\n  x", 2, 3), Some(13));
    }
}
