//! The arguments of `get_historical_features`, `get_latest_features` and `get_feature_ranges`, read from the statement's tree.
//!
//! A PostgreSQL client learns a statement's columns when it is parsed, so whatever decides them (features, names, flags)
//! must be a constant by then: anything else is 42P18. `max_age`, `as_of`, `from` and `to` decide rows only and may be
//! parameters; they stay expressions here. `at` may be one too; it is settled on the tree before (`time_travel`).

use datafusion::sql::sqlparser::ast::{
    Array, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, ObjectName, Query, Spanned, TableFactor, Value,
};

use crate::error::{Report, SqlState, perhaps_you_meant};
use crate::pg_format::decode;
use crate::plan::error::character_of;

/// Which of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retrieval {
    /// `get_historical_features`: each entity row has its own time.
    Historical,
    /// `get_latest_features`: one time for all rows.
    Latest,
    /// `get_feature_ranges`: no entity rows, every value.
    Ranges,
}

impl Retrieval {
    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Historical => "get_historical_features",
            Self::Latest => "get_latest_features",
            Self::Ranges => "get_feature_ranges",
        }
    }

    /// Its arguments, in positional order.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Historical => &[
                "entities",
                "features",
                "timestamp_column",
                "full_feature_names",
                "max_age",
                "filter_by_created_timestamp",
                "include_feature_timestamps",
                "at",
            ],
            Self::Latest => &[
                "entities",
                "features",
                "as_of",
                "full_feature_names",
                "max_age",
                "filter_by_created_timestamp",
                "include_feature_timestamps",
                "at",
            ],
            Self::Ranges => &["view", "from", "to", "at"],
        }
    }
}

/// Whether this names one of the two functions that take entity rows.
pub fn is_retrieval(name: &ObjectName) -> bool {
    matches!(function(name), Some(Retrieval::Historical | Retrieval::Latest))
}

/// Whether this names `get_feature_ranges`.
pub fn is_ranges(name: &ObjectName) -> bool {
    function(name) == Some(Retrieval::Ranges)
}

/// Whether this names a function that takes `at`.
pub fn has_at(name: &ObjectName) -> bool {
    function(name).is_some()
}

/// Whether this names `feature_store.last_query`.
pub fn is_last_query(name: &ObjectName) -> bool {
    let folded = |index: usize| name.0.get(index)?.as_ident().map(|ident| ident.value.to_ascii_lowercase());
    name.0.len() == 2 && folded(0).as_deref() == Some("feature_store") && folded(1).as_deref() == Some("last_query")
}

/// The argument `at` of a call of [`has_at`].
pub fn at_argument<'a>(name: &ObjectName, args: &'a mut [FunctionArg]) -> Option<&'a mut Expr> {
    argument("at", name, args)
}

/// The argument `entities` of a call.
pub fn entities_argument<'a>(name: &ObjectName, args: &'a mut [FunctionArg]) -> Option<&'a mut Expr> {
    argument("entities", name, args)
}

fn argument<'a>(wanted: &str, name: &ObjectName, args: &'a mut [FunctionArg]) -> Option<&'a mut Expr> {
    let index = function(name)?.arguments().iter().position(|known| *known == wanted)?;
    args.iter_mut().enumerate().find_map(|(position, arg)| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if position == index => Some(value),
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } if name.value.eq_ignore_ascii_case(wanted) => Some(value),
        _ => None,
    })
}

fn function(name: &ObjectName) -> Option<Retrieval> {
    let last = name.0.last()?.as_ident()?;
    let spelled = if last.quote_style.is_some() { last.value.clone() } else { last.value.to_ascii_lowercase() };
    [Retrieval::Historical, Retrieval::Latest, Retrieval::Ranges].into_iter().find(|function| function.name() == spelled)
}

/// Where the entity rows come from.
#[derive(Debug, Clone)]
pub enum EntityRows {
    /// A subquery, part of the statement's tree.
    Query(Box<Query>),
    /// Quoted SQL, parsed.
    Text(Box<Query>),
}

/// `view:feature`, or `view:*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureReference {
    /// The view.
    pub view: String,
    /// The feature; `None` = all of them.
    pub feature: Option<String>,
}

impl std::fmt::Display for FeatureReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.view, self.feature.as_deref().unwrap_or("*"))
    }
}

/// One call, its constants read.
#[derive(Debug, Clone)]
pub struct RetrievalCall {
    /// Which function.
    pub function: Retrieval,
    /// `entities`.
    pub entities: EntityRows,
    /// `features`; never empty.
    pub features: Vec<FeatureReference>,
    /// `timestamp_column`.
    pub timestamp_column: Option<String>,
    /// `full_feature_names`.
    pub full_feature_names: bool,
    /// `filter_by_created_timestamp`.
    pub filter_by_created: bool,
    /// `include_feature_timestamps`.
    pub include_feature_timestamps: bool,
    /// `max_age`.
    pub max_age: Option<Expr>,
    /// `as_of`.
    pub as_of: Option<Expr>,
    /// `at`.
    pub at: Option<String>,
}

/// One call of `get_feature_ranges`.
#[derive(Debug, Clone)]
pub struct RangesCall {
    /// `view`.
    pub view: String,
    /// `from`.
    pub from: Option<Expr>,
    /// `to`.
    pub to: Option<Expr>,
    /// `at`.
    pub at: Option<String>,
}

impl RangesCall {
    /// Reads the call of a table factor for which [`is_ranges`] holds.
    pub fn parse(factor: &TableFactor, text: &str) -> Result<Self, Report> {
        let TableFactor::Table { args: Some(args), .. } = factor else {
            return Err(Report::new(SqlState::INTERNAL_ERROR, "not a function call"));
        };
        let mut given = Given::collect(Retrieval::Ranges, &args.args, text)?;
        let view = given.required("view")?;
        let view = constant_text(&view).ok_or_else(|| given.not_constant("view", &view))?;
        Ok(Self { view, from: given.expression("from"), to: given.expression("to"), at: given.text("at")? })
    }
}

impl RetrievalCall {
    /// Reads the call of a table factor for which [`is_retrieval`] holds; `text` is what it stands in, for positions.
    pub fn parse(factor: &TableFactor, text: &str) -> Result<Self, Report> {
        let TableFactor::Table { name, args: Some(args), .. } = factor else {
            return Err(Report::new(SqlState::INTERNAL_ERROR, "not a function call"));
        };
        let Some(function) = function(name) else {
            return Err(Report::new(SqlState::INTERNAL_ERROR, "not a retrieval"));
        };
        let mut given = Given::collect(function, &args.args, text)?;
        let entities = given.entities()?;
        let features = given.features()?;
        Ok(Self {
            function,
            entities,
            features,
            timestamp_column: given.text("timestamp_column")?,
            full_feature_names: given.flag("full_feature_names")?,
            filter_by_created: given.flag("filter_by_created_timestamp")?,
            include_feature_timestamps: given.flag("include_feature_timestamps")?,
            max_age: given.expression("max_age"),
            as_of: given.expression("as_of"),
            at: given.text("at")?,
        })
    }
}

/// The arguments by name, constants not yet read.
struct Given<'a> {
    function: Retrieval,
    text: &'a str,
    arguments: Vec<(&'static str, Expr)>,
}

impl<'a> Given<'a> {
    fn collect(function: Retrieval, args: &[FunctionArg], text: &'a str) -> Result<Self, Report> {
        let names = function.arguments();
        let mut arguments: Vec<(&'static str, Expr)> = Vec::with_capacity(names.len());
        for (index, arg) in args.iter().enumerate() {
            let (name, value) = match arg {
                FunctionArg::Unnamed(value) => match names.get(index) {
                    Some(name) if arguments.len() == index => (*name, value),
                    Some(_) => {
                        return Err(Report::new(SqlState::SYNTAX_ERROR, "positional argument cannot follow named argument"));
                    }
                    None => {
                        return Err(Report::new(
                            SqlState::UNDEFINED_FUNCTION,
                            format!("function {} takes at most {} arguments", function.name(), names.len()),
                        ));
                    }
                },
                FunctionArg::Named { name, arg, operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment } => {
                    (Self::known(function, &name.value.to_ascii_lowercase())?, arg)
                }
                other => {
                    return Err(Report::new(
                        SqlState::SYNTAX_ERROR,
                        format!("argument {other} of {} is not of the form name => value", function.name()),
                    ));
                }
            };
            let FunctionArgExpr::Expr(expression) = value else {
                return Err(Report::new(
                    SqlState::SYNTAX_ERROR,
                    format!("argument \"{name}\" of {} must be an expression", function.name()),
                ));
            };
            if arguments.iter().any(|(seen, _)| *seen == name) {
                return Err(Report::new(SqlState::SYNTAX_ERROR, format!("argument name \"{name}\" used more than once")));
            }
            arguments.push((name, expression.clone()));
        }
        Ok(Self { function, text, arguments })
    }

    fn known(function: Retrieval, name: &str) -> Result<&'static str, Report> {
        let names = function.arguments();
        names.iter().copied().find(|known| *known == name).ok_or_else(|| {
            let report =
                Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {} has no argument named \"{name}\"", function.name()));
            match perhaps_you_meant(name, names.iter().copied()) {
                Some(hint) => report.hint(hint),
                None => report.hint(format!("Its arguments are {}.", names.join(", "))),
            }
        })
    }

    /// The argument, unless it is absent or NULL.
    fn expression(&mut self, name: &str) -> Option<Expr> {
        let index = self.arguments.iter().position(|(given, _)| *given == name)?;
        let (_, expression) = self.arguments.swap_remove(index);
        (!matches!(&expression, Expr::Value(value) if value.value == Value::Null)).then_some(expression)
    }

    fn required(&mut self, name: &str) -> Result<Expr, Report> {
        let function = self.function.name();
        self.expression(name)
            .ok_or_else(|| Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {function} needs the argument \"{name}\"")))
    }

    fn entities(&mut self) -> Result<EntityRows, Report> {
        let expression = self.required("entities")?;
        match strip_parentheses(&expression) {
            Expr::Subquery(query) => Ok(EntityRows::Query(query.clone())),
            other => match constant_text(other) {
                Some(text) => Ok(EntityRows::Text(crate::sql::parse_entity_query(&text).map_err(Report::from)?)),
                None => Err(Report::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("argument \"entities\" of {} must be a query", self.function.name()),
                )
                .hint("Write entities => (SELECT …), entities => (TABLE name), or quoted SQL.")
                .position_of(other, self.text)),
            },
        }
    }

    fn features(&mut self) -> Result<Vec<FeatureReference>, Report> {
        let expression = self.required("features")?;
        let texts = match strip_parentheses(&expression) {
            Expr::Array(Array { elem, .. }) => elem
                .iter()
                .map(|element| constant_text(strip_parentheses(element)).ok_or_else(|| self.not_constant("features", element)))
                .collect::<Result<Vec<_>, _>>()?,
            Expr::Cast { expr, data_type: DataType::Array(_), .. } => match strip_parentheses(expr) {
                Expr::Array(Array { elem, .. }) => elem
                    .iter()
                    .map(|element| constant_text(element).ok_or_else(|| self.not_constant("features", element)))
                    .collect::<Result<Vec<_>, _>>()?,
                other => array_literal(&constant_text(other).ok_or_else(|| self.not_constant("features", other))?)?,
            },
            other => {
                let text = constant_text(other).ok_or_else(|| self.not_constant("features", other))?;
                if text.starts_with('{') {
                    array_literal(&text)?
                } else if text.contains(':') {
                    vec![text]
                } else {
                    return Err(Report::new(SqlState::UNDEFINED_OBJECT, format!("feature service \"{text}\" does not exist"))
                        .hint("Name features as ARRAY['view:feature', …] or ARRAY['view:*'].")
                        .position_of(other, self.text));
                }
            }
        };
        if texts.is_empty() {
            return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, "argument \"features\" is empty")
                .hint("Name at least one feature, as ARRAY['view:feature'].")
                .position_of(&expression, self.text));
        }
        texts.iter().map(|text| feature_reference(text)).collect()
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Report> {
        let Some(expression) = self.expression(name) else { return Ok(None) };
        match constant_text(strip_parentheses(&expression)) {
            Some(text) => Ok(Some(text)),
            None => Err(self.not_constant(name, &expression)),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, Report> {
        let Some(expression) = self.expression(name) else { return Ok(false) };
        match strip_parentheses(&expression) {
            Expr::Value(value) => match &value.value {
                Value::Boolean(flag) => Ok(*flag),
                Value::SingleQuotedString(text) if matches!(text.as_str(), "t" | "true" | "on" | "1") => Ok(true),
                Value::SingleQuotedString(text) if matches!(text.as_str(), "f" | "false" | "off" | "0") => Ok(false),
                Value::Placeholder(_) => Err(self.not_constant(name, &expression)),
                other => {
                    Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("argument \"{name}\" must be true or false, not {other}"))
                        .position_of(&expression, self.text))
                }
            },
            _ => Err(self.not_constant(name, &expression)),
        }
    }

    fn not_constant(&self, name: &str, expression: &Expr) -> Report {
        Report::new(
            SqlState::INDETERMINATE_DATATYPE,
            format!("argument \"{name}\" of {} must be a constant: it decides the columns of the result", self.function.name()),
        )
        .hint("Write it into the statement's text; parameters can carry entity rows, max_age, as_of and at.")
        .position_of(expression, self.text)
    }
}

/// `view:feature`, `view:*`: 22023 for anything else.
fn feature_reference(text: &str) -> Result<FeatureReference, Report> {
    match text.split_once(':') {
        Some((view, feature)) if !view.is_empty() && !feature.is_empty() => {
            Ok(FeatureReference { view: view.to_owned(), feature: (feature != "*").then(|| feature.to_owned()) })
        }
        _ => Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("malformed feature reference \"{text}\""))
            .hint("A feature reference is 'view:feature', or 'view:*' for all features of a view.")),
    }
}

/// `{a,"b c"}` as drivers write text arrays.
fn array_literal(text: &str) -> Result<Vec<String>, Report> {
    let null = || Report::new(SqlState::NULL_VALUE_NOT_ALLOWED, "argument \"features\" must not hold NULLs");
    decode::texts(text)?.into_iter().map(|element| element.ok_or_else(null)).collect()
}

fn strip_parentheses(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => strip_parentheses(inner),
        other => other,
    }
}

/// A string literal, with or without a cast to text.
pub fn constant_text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Value(value) => value.value.clone().into_string(),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type: DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_),
            ..
        } => constant_text(expr),
        Expr::Nested(inner) => constant_text(inner),
        _ => None,
    }
}

/// Points a report at an expression of `text`.
pub trait PositionOf {
    /// The same report with the expression's place, if it has one.
    fn position_of(self, expression: &Expr, text: &str) -> Self;
}

impl PositionOf for Report {
    fn position_of(self, expression: &Expr, text: &str) -> Self {
        let start = expression.span().start;
        match character_of(text, start.line, start.column) {
            Some(position) => self.position(position),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        assert_eq!(feature_reference("v:f").unwrap(), FeatureReference { view: "v".into(), feature: Some("f".into()) });
        assert_eq!(feature_reference("v:*").unwrap(), FeatureReference { view: "v".into(), feature: None });
        for bad in ["v", "v:", ":f", ""] {
            assert_eq!(feature_reference(bad).unwrap_err().sqlstate, SqlState::INVALID_PARAMETER_VALUE, "{bad}");
        }
    }

    #[test]
    fn array_literals() {
        assert_eq!(array_literal("{a:b,\"c:d e\"}").unwrap(), ["a:b", "c:d e"]);
        assert_eq!(array_literal("{}").unwrap(), Vec::<String>::new());
        assert!(array_literal("{\"a").is_err());
    }
}
