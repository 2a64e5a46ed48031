//! Puts a call's `at` onto every table below it, on the statement's tree.
//!
//! The mark is a version that no client can write: a tuple that begins with a text that begins with NUL. Below a call with
//! `at` stand its entity query, what that query takes from common table expressions further out (copied into it, so
//! that other uses of them follow their tables), and calls inside it that have no `at` of their own. Names of common table expressions are
//! never marked; what turns out to be a temporary table or a system relation has no versions and is read as it is.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, Ident, ObjectName, Query, Statement, TableAlias, TableFactor,
    TableVersion, Value, Visit, VisitMut, Visitor, VisitorMut, With,
};

use super::at::At;
use crate::error::{Report, SqlState};
use crate::plan::functions::{PositionOf, at_argument, constant_text, entities_argument, has_at};
use crate::plan::parameters::Parameters;
use crate::sql::folded;

/// What a version on the tree means.
#[derive(Debug, Clone)]
pub struct Version {
    /// The pin of the call that it is read by.
    pub at: Option<At>,
    /// What the statement says of the table itself.
    pub own: Option<TableVersion>,
}

impl Version {
    /// Reads a version, marked or not.
    pub fn of(version: &TableVersion) -> Result<Self, Report> {
        let Some((text, own)) = marked(version) else { return Ok(Self { at: None, own: Some(version.clone()) }) };
        let own = own.map(|expression| match version {
            TableVersion::TimestampAsOf(_) => TableVersion::TimestampAsOf(expression.clone()),
            _ => TableVersion::VersionAsOf(expression.clone()),
        });
        Ok(Self { at: Some(At::parse(text)?), own })
    }
}

fn marked(version: &TableVersion) -> Option<(&str, Option<&Expr>)> {
    let (TableVersion::VersionAsOf(Expr::Tuple(parts)) | TableVersion::TimestampAsOf(Expr::Tuple(parts))) = version else { return None };
    let (Expr::Value(first), rest) = parts.split_first()? else { return None };
    let Value::SingleQuotedString(text) = &first.value else { return None };
    Some((text.strip_prefix('\u{0}')?, rest.first()))
}

fn mark(version: &mut Option<TableVersion>, at: &At) {
    let text = Expr::Value(Value::SingleQuotedString(format!("\u{0}{}", at.text())).with_empty_span());
    *version = Some(match version.take() {
        None => TableVersion::VersionAsOf(Expr::Tuple(vec![text])),
        Some(known) if marked(&known).is_some() => known,
        Some(TableVersion::VersionAsOf(own)) => TableVersion::VersionAsOf(Expr::Tuple(vec![text, own])),
        Some(TableVersion::TimestampAsOf(own) | TableVersion::ForSystemTimeAsOf(own)) => {
            TableVersion::TimestampAsOf(Expr::Tuple(vec![text, own]))
        }
        // Refused where it is resolved.
        Some(other) => other,
    });
}

/// Marks what every call of the statement reads whose `at` has a value now; one whose parameter has none is NULL afterwards.
pub fn pin_calls(statement: &mut Statement, parameters: &Parameters, text: &str) -> Result<(), Report> {
    let mut calls = Calls { parameters, text, scopes: Vec::new(), depth: 0, copies: 0 };
    match statement.visit(&mut calls) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(report) => Err(report),
    }
}

/// Marks all that the statement reads.
pub fn mark_statement(statement: &mut Statement, at: &At) {
    let _ = statement.visit(&mut Marker { at, names: Vec::new() });
}

struct Calls<'a> {
    parameters: &'a Parameters,
    text: &'a str,
    /// Common table expressions in sight, outermost first.
    scopes: Vec<Vec<Cte>>,
    /// How many calls with `at` surround this place.
    depth: usize,
    /// Copies made so far.
    copies: usize,
}

impl VisitorMut for Calls<'_> {
    type Break = Report;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Report> {
        self.scopes.push(query.with.as_ref().map(|with| with.cte_tables.clone()).unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Report> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Report> {
        let Some((name, args)) = call(factor) else { return ControlFlow::Continue(()) };
        let at = match self.value(&name, args) {
            Ok(at) => at,
            Err(report) => return ControlFlow::Break(report),
        };
        self.depth += usize::from(at);
        if let Some(entities) = entities_argument(&name, args)
            && let Err(report) = self.entities(entities, at)
        {
            return ControlFlow::Break(report);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Report> {
        let Some((name, args)) = call(factor) else { return ControlFlow::Continue(()) };
        let Some(text) = at_argument(&name, args).and_then(|value| constant_text(value)) else { return ControlFlow::Continue(()) };
        self.depth = self.depth.saturating_sub(1);
        match At::parse(&text) {
            Ok(at) => {
                if let Some(entities) = entities_argument(&name, args) {
                    let _ = entities.visit(&mut Marker { at: &at, names: Vec::new() });
                }
                ControlFlow::Continue(())
            }
            Err(report) => ControlFlow::Break(report),
        }
    }
}

impl Calls<'_> {
    /// Settles the call's `at`: a text, or NULL. Gives whether it is a text.
    fn value(&self, name: &ObjectName, args: &mut [FunctionArg]) -> Result<bool, Report> {
        let Some(expression) = at_argument(name, args) else { return Ok(false) };
        if is_null(expression) {
            return Ok(false);
        }
        if let Some(text) = constant_text(expression) {
            At::parse(&text).map_err(|report| report.position_of(expression, self.text))?;
            return Ok(true);
        }
        let digits = match &*expression {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => Some(digits.clone()),
                _ => None,
            },
            _ => None,
        };
        let text = match (digits, placeholder(expression)) {
            (Some(digits), _) => Some(digits),
            (None, Some(placeholder)) => {
                self.parameters.hint(placeholder, arrow::datatypes::DataType::Utf8);
                match self.parameters.value(placeholder) {
                    Some(value) if !value.is_null() => {
                        let text =
                            value.cast_to(&arrow::datatypes::DataType::Utf8).map_err(|failure| crate::plan::without_position(&failure))?;
                        text.try_as_str().flatten().map(str::to_owned)
                    }
                    _ => None,
                }
            }
            (None, None) => {
                return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, "argument \"at\" must be a constant or a parameter")
                    .hint("Write a snapshot id, a tag or branch, a timestamp, or 'catalog.schema.table=snapshot_id, …'.")
                    .position_of(expression, self.text));
            }
        };
        let given = text.is_some();
        if let Some(text) = &text {
            At::parse(text).map_err(|report| report.position_of(expression, self.text))?;
        }
        *expression = Expr::Value(text.map_or(Value::Null, Value::SingleQuotedString).with_empty_span());
        Ok(given)
    }

    /// Quoted entity rows become part of the tree where a pin may have to reach into them; expressions from further out come along.
    fn entities(&mut self, entities: &mut Expr, at: bool) -> Result<(), Report> {
        if let Some(quoted) = constant_text(entities)
            && (self.depth > 0 || quoted.to_ascii_lowercase().contains("get_"))
        {
            *entities = Expr::Subquery(crate::sql::parse_entity_query(&quoted).map_err(Report::from)?);
        }
        let mut expression = entities;
        while let Expr::Nested(inner) = expression {
            expression = inner;
        }
        if let Expr::Subquery(query) = expression
            && at
        {
            self.bring_along(query);
        }
        Ok(())
    }

    /// Copies the common table expressions that the query takes from around it into it.
    fn bring_along(&mut self, query: &mut Query) {
        let mut taken: HashSet<String> =
            query.with.iter().flat_map(|with| &with.cte_tables).map(|table| folded(&table.alias.name)).collect();
        let mut wanted = Names::of(&*query);
        let mut brought: Vec<Cte> = Vec::new();
        while let Some(name) = wanted.pop() {
            let found = self.scopes.iter().rev().flatten().find(|table| folded(&table.alias.name) == name);
            if let Some(found) = found
                && taken.insert(name)
            {
                wanted.extend(Names::of(found.query.as_ref()));
                brought.push(found.clone());
            }
        }
        if brought.is_empty() {
            return;
        }
        // As they stood, so that one may use those before it.
        let position = |table: &Cte| {
            let all = self.scopes.iter().flatten();
            all.map(|known| &known.alias.name).position(|known| *known == table.alias.name)
        };
        brought.sort_by_key(position);
        // The engine refuses a name that is taken further out, so the copies have names of their own.
        let mut copies = Copies(HashMap::new());
        for table in &mut brought {
            self.copies += 1;
            let name = folded(&table.alias.name);
            table.alias.name = Ident::with_quote('"', format!("{name}\u{0}{}", self.copies));
            copies.0.insert(name, table.alias.name.clone());
        }
        let with = query.with.get_or_insert_with(|| With { with_token: AttachedToken::empty(), recursive: false, cte_tables: Vec::new() });
        brought.append(&mut with.cte_tables);
        with.cte_tables = brought;
        let _ = query.visit(&mut copies);
        if let Some(with) = &mut query.with {
            with.recursive |= with.cte_tables.iter().any(|table| Names::of(&table.query).contains(&folded(&table.alias.name)));
        }
    }
}

/// Points references at the copies; to the query around them they keep their names.
struct Copies(HashMap<String, Ident>);

impl VisitorMut for Copies {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, args: None, alias, .. } = factor else { return ControlFlow::Continue(()) };
        if let Some(copy) = single(name).and_then(|name| self.0.get(&name))
            && let Some(own) = name.0.first().and_then(|part| part.as_ident()).cloned()
        {
            alias.get_or_insert_with(|| TableAlias { explicit: true, name: own, columns: Vec::new(), at: None });
            *name = ObjectName::from(vec![copy.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// Marks tables, and gives calls inside the pin of the call around them.
struct Marker<'a> {
    at: &'a At,
    names: Vec<HashSet<String>>,
}

impl VisitorMut for Marker<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.names.push(query.with.iter().flat_map(|with| &with.cte_tables).map(|table| folded(&table.alias.name)).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.names.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let Some((name, args)) = call(factor) {
            let text = Expr::Value(Value::SingleQuotedString(self.at.text().to_owned()).with_empty_span());
            match at_argument(&name, args) {
                Some(own) if !is_null(own) => {}
                Some(own) => *own = text,
                None => args.push(FunctionArg::Named {
                    name: Ident::new("at"),
                    arg: FunctionArgExpr::Expr(text),
                    operator: FunctionArgOperator::RightArrow,
                }),
            }
            return ControlFlow::Continue(());
        }
        let TableFactor::Table { name, args: None, version, .. } = factor else { return ControlFlow::Continue(()) };
        let local = single(name).is_some_and(|name| self.names.iter().any(|names| names.contains(&name)));
        if !local {
            mark(version, self.at);
        }
        ControlFlow::Continue(())
    }
}

/// The one-part names of relations below a query.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn of(query: &Query) -> Vec<String> {
        let mut names = Self::default();
        let _ = query.visit(&mut names);
        names.0
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: None, .. } = factor
            && let Some(name) = single(name)
        {
            self.0.push(name);
        }
        ControlFlow::Continue(())
    }
}

/// A factor that calls one of the functions with `at`.
fn call(factor: &mut TableFactor) -> Option<(ObjectName, &mut Vec<FunctionArg>)> {
    match factor {
        TableFactor::Table { name, args: Some(args), .. } if has_at(name) => Some((name.clone(), &mut args.args)),
        _ => None,
    }
}

fn single(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(folded),
        _ => None,
    }
}

fn is_null(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if value.value == Value::Null)
}

/// `$1`, with or without a cast or parentheses.
fn placeholder(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(name),
            _ => None,
        },
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => placeholder(inner),
        _ => None,
    }
}
