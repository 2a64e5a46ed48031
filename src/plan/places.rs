//! Where a mistake stands that the engine tells of without a place, or with the place of something larger.
//!
//! The engine knows a column's place and little else. PostgreSQL points at the operator, the call, the type's name; psql draws its arrow
//! there, and editors mark the word. So the tree is searched for what the message names. What it names more than once is left alone,
//! unless all of it is wrong wherever it stands.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned,
    Statement, TableFactor, Value, Visit, Visitor, WindowType,
};

use super::refusals::{condition, distinct_on, factors, name_of, start};
use crate::error::{Report, SqlState};
use crate::sql::{folded, position_of};

/// The report with its place, if the tree tells it.
pub fn find(report: Report, statement: &Statement, text: &str) -> Report {
    let report = with_alias(report, statement);
    match wanted(&report) {
        None => report,
        Some(wanted) => {
            let mut search = Search { wanted: &wanted, near: report.position, text, found: Vec::new(), literal: None };
            let _ = Visit::visit(statement, &mut search);
            let Search { found, literal, .. } = search;
            if let (Some((literal, position)), [_]) = (literal, found.as_slice())
                && let Some(data_type) = number_beside_text(&report.message)
            {
                // A text without a type is of its neighbour's, and cannot be read as that.
                let message = format!("invalid input syntax for type {data_type}: \"{literal}\"");
                return Report::new(SqlState::INVALID_TEXT_REPRESENTATION, message).position(position);
            }
            let first = found.first().copied();
            let place = if wanted.wherever() || found.iter().all(|place| Some(*place) == first) { first } else { None };
            match place {
                Some(place) => report.position(place),
                None => report,
            }
        }
    }
}

/// The relations that a statement names, with what it calls them.
#[derive(Default)]
struct Aliases {
    /// A table's own name, its alias and how many columns the alias names.
    given: Vec<(Option<String>, String, usize)>,
}

impl Visitor for Aliases {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (name, alias) = match factor {
            TableFactor::Table { name, alias: Some(alias), .. } => (name.0.last().and_then(|part| part.as_ident()), alias),
            TableFactor::Derived { alias: Some(alias), .. } | TableFactor::Function { alias: Some(alias), .. } => (None, alias),
            _ => return ControlFlow::Continue(()),
        };
        self.given.push((name.map(folded), folded(&alias.name), alias.columns.len()));
        ControlFlow::Continue(())
    }
}

/// Messages that PostgreSQL words by the alias of a relation, which the engine does not say.
fn with_alias(mut report: Report, statement: &Statement) -> Report {
    let too_many = report.message.strip_prefix("the table has ").map(str::to_owned);
    let missing = report.message.strip_prefix("missing FROM-clause entry for table").and_then(quoted).map(str::to_owned);
    if too_many.is_none() && missing.is_none() {
        return report;
    }
    let mut aliases = Aliases::default();
    let _ = Visit::visit(statement, &mut aliases);
    if let Some(rest) = too_many {
        let given = rest.split(' ').filter_map(|word| word.parse::<usize>().ok()).nth(1);
        let mut named = aliases.given.iter().filter(|(_, _, columns)| Some(*columns) == given);
        if let (Some((_, alias, _)), None) = (named.next(), named.next()) {
            report.message = format!("table \"{alias}\" has {rest}");
        }
    } else if let Some(table) = missing
        && let Some((_, alias, _)) = aliases.given.iter().find(|(name, alias, _)| name.as_ref() == Some(&table) && *alias != table)
    {
        report.message = format!("invalid reference to FROM-clause entry for table \"{table}\"");
        return report.hint(format!("Perhaps you meant to reference the table alias \"{alias}\"."));
    }
    report
}

/// What a message is about.
#[derive(Debug, PartialEq)]
enum Wanted {
    /// An operator between two operands.
    Operator(String),
    Call(String),
    Type(String),
    /// A column, with its relation if it was named.
    Column(Option<String>, String),
    /// A column among the results that is in no group.
    Ungrouped(Option<String>, String),
    Parameter(String),
    Window(String),
    /// `t.*`
    Star(String),
    Selection,
    JoinCondition,
    /// A subquery that is a value.
    ScalarSubquery,
    DistinctOn,
    /// Of a value to a type that it cannot be.
    Cast,
}

impl Wanted {
    /// Whether each place is as wrong as the first.
    fn wherever(&self) -> bool {
        !matches!(self, Self::Call(_) | Self::Operator(_) | Self::Selection | Self::JoinCondition | Self::ScalarSubquery | Self::Cast)
    }
}

fn quoted(message: &str) -> Option<&str> {
    let rest = message.split_once('"')?.1;
    Some(rest.rsplit_once('"')?.0)
}

fn wanted(report: &Report) -> Option<Wanted> {
    let message = report.message.as_str();
    if let Some(operands) = message.strip_prefix("operator does not exist: ") {
        let words: Vec<&str> = operands.split(' ').collect();
        // Names of types are words, operators are not.
        let operator = words.iter().find(|word| !word.chars().any(|c| c.is_alphanumeric()))?;
        return Some(Wanted::Operator((*operator).to_owned()));
    }
    if report.position.is_some() {
        return None;
    }
    match report.sqlstate {
        SqlState::UNDEFINED_FUNCTION => {
            let call = message.strip_prefix("function ")?.strip_suffix(" does not exist")?;
            let name = call.split('(').next()?;
            Some(Wanted::Call(name.rsplit('.').next().unwrap_or(name).to_owned()))
        }
        SqlState::UNDEFINED_OBJECT if message.starts_with("type \"") => Some(Wanted::Type(quoted(message)?.to_owned())),
        SqlState::UNDEFINED_OBJECT if message.starts_with("window \"") => Some(Wanted::Window(quoted(message)?.to_owned())),
        SqlState::UNDEFINED_COLUMN if message.starts_with("column \"") && message.ends_with("\" does not exist") => {
            Some(Wanted::Column(None, quoted(message)?.to_owned()))
        }
        SqlState::UNDEFINED_COLUMN => {
            let (table, column) = message.strip_prefix("column ")?.strip_suffix(" does not exist")?.split_once('.')?;
            Some(Wanted::Column(Some(table.to_owned()), column.to_owned()))
        }
        SqlState::AMBIGUOUS_COLUMN => Some(Wanted::Column(None, quoted(message)?.to_owned())),
        SqlState::GROUPING_ERROR if message.contains("must appear in the GROUP BY clause") => {
            let name = quoted(message)?;
            Some(match name.rsplit_once('.') {
                Some((table, column)) => Wanted::Ungrouped(Some(table.to_owned()), column.to_owned()),
                None => Wanted::Ungrouped(None, name.to_owned()),
            })
        }
        SqlState::UNDEFINED_PARAMETER => Some(Wanted::Parameter(message.strip_prefix("there is no parameter ")?.to_owned())),
        SqlState::UNDEFINED_TABLE => Some(Wanted::Star(quoted(message.strip_prefix("missing FROM-clause entry for table")?)?.to_owned())),
        SqlState::DATATYPE_MISMATCH if message.starts_with("argument of WHERE ") => Some(Wanted::Selection),
        SqlState::DATATYPE_MISMATCH if message.starts_with("argument of JOIN/ON ") => Some(Wanted::JoinCondition),
        SqlState::SYNTAX_ERROR if message == "subquery must return only one column" => Some(Wanted::ScalarSubquery),
        SqlState::CANNOT_COERCE => Some(Wanted::Cast),
        SqlState::INVALID_COLUMN_REFERENCE if message.starts_with("SELECT DISTINCT ON expressions") => Some(Wanted::DistinctOn),
        _ => None,
    }
}

struct Search<'a> {
    wanted: &'a Wanted,
    /// Where the engine says it is, roughly.
    near: Option<usize>,
    text: &'a str,
    found: Vec<usize>,
    /// The text without a type that one of the operands is.
    literal: Option<(String, usize)>,
}

/// The number's type of an operator between a number and a text.
fn number_beside_text(message: &str) -> Option<&str> {
    let operands = message.strip_prefix("operator does not exist: ")?;
    let numbers = ["smallint", "integer", "bigint", "numeric", "real", "double precision"];
    numbers.into_iter().find(|number| {
        let before = operands.strip_prefix(number).is_some_and(|rest| rest.ends_with(" text"));
        before || operands.strip_suffix(number).is_some_and(|rest| rest.starts_with("text "))
    })
}

fn literal(operand: &Expr) -> Option<(String, usize)> {
    let Expr::Value(value) = operand else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    Some((text.clone(), position_of(value.span.start)?))
}

fn is(ident: &Ident, name: &str) -> bool {
    if ident.quote_style.is_some() { ident.value == name } else { ident.value.to_lowercase() == name }
}

fn at(ident: &Ident) -> Option<usize> {
    position_of(ident.span.start)
}

impl Search<'_> {
    fn note(&mut self, place: Option<usize>) {
        self.found.extend(place);
    }

    /// Where a token stands behind a part of the tree.
    fn behind(&self, part: &impl Spanned, token: &str) -> Option<usize> {
        let end = position_of(part.span().end)?;
        let rest: String = self.text.chars().skip(end.saturating_sub(1)).collect();
        // ASCII letters alone, whose lengths stay.
        let at = rest.to_ascii_lowercase().find(&token.to_ascii_lowercase())?;
        Some(end + rest[..at].chars().count())
    }

    /// The opening bracket before a query.
    fn bracket_before(&self, query: &Query) -> Option<usize> {
        let begin = start(query)?;
        let before: Vec<char> = self.text.chars().take(begin - 1).collect();
        before.iter().rposition(|c| *c == '(').map(|at| at + 1)
    }

    fn operator(&mut self, left: &Expr, right: &Expr, operator: &str) {
        let Wanted::Operator(wanted) = self.wanted else { return };
        let (shown, token) = match operator {
            "~~" | "!~~" => (operator, "like"),
            "~~*" | "!~~*" => (operator, "ilike"),
            "<>" => ("<>", if self.text.contains("!=") { "!=" } else { "<>" }),
            other => (other, other),
        };
        if shown != wanted || self.near.is_some() && start(left) != self.near {
            return;
        }
        let place = self.behind(left, token);
        self.note(place);
        self.literal = literal(left).or_else(|| literal(right));
    }

    fn column(&mut self, names: &[Ident]) {
        let (Wanted::Column(table, column) | Wanted::Ungrouped(table, column)) = self.wanted else { return };
        let Some((last, before)) = names.split_last() else { return };
        let same_table = match (table, before.last()) {
            (Some(table), Some(given)) => is(given, table),
            // The message names the relation even where the statement does not.
            (Some(_), None) => matches!(self.wanted, Wanted::Ungrouped(..)),
            (None, None) => true,
            (None, Some(_)) => false,
        };
        if same_table && is(last, column) {
            self.note(names.first().and_then(at));
        }
    }

    fn data_type(&mut self, data_type: &DataType) {
        if let (Wanted::Type(name), DataType::Custom(found, _)) = (self.wanted, data_type)
            && let Some(place) = named(found, name)
        {
            self.note(Some(place));
        }
        if let DataType::Array(inner) = data_type {
            use datafusion::sql::sqlparser::ast::ArrayElemTypeDef::{AngleBracket, Parenthesis, SquareBracket};
            if let AngleBracket(inner) | SquareBracket(inner, _) | Parenthesis(inner) = inner {
                self.data_type(inner);
            }
        }
    }

    fn call(&mut self, function: &Function) {
        match self.wanted {
            Wanted::Call(name) if name_of(function).as_deref() == Some(name) => self.note(start(&function.name)),
            Wanted::Window(name) => {
                if let Some(WindowType::NamedWindow(window)) = &function.over
                    && is(window, name)
                {
                    self.note(at(window));
                }
            }
            _ => {}
        }
    }

    fn select(&mut self, select: &Select) {
        match self.wanted {
            Wanted::Selection => self.note(select.selection.as_ref().and_then(start)),
            Wanted::JoinCondition => {
                for join in select.from.iter().flat_map(|table| &table.joins) {
                    self.note(condition(&join.join_operator).and_then(start));
                }
            }
            Wanted::Call(name) => {
                for factor in factors(&select.from) {
                    if let TableFactor::Table { name: found, args: Some(_), .. } = factor
                        && let Some(place) = named(found, name)
                    {
                        self.note(Some(place));
                    }
                }
            }
            Wanted::DistinctOn => self.note(distinct_on(select).first().and_then(start)),
            Wanted::Star(name) => {
                for item in &select.projection {
                    if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(found), _) = item
                        && let Some(place) = named(found, name)
                    {
                        self.note(Some(place));
                    }
                }
            }
            _ => {}
        }
    }

    fn body(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left);
                self.body(right);
            }
            _ => {}
        }
    }
}

/// Where an object of this name is named.
fn named(found: &ObjectName, name: &str) -> Option<usize> {
    let parts: Vec<&Ident> = found.0.iter().filter_map(|part| part.as_ident()).collect();
    if is(parts.last()?, name) { at(parts.first()?) } else { None }
}

impl Visitor for Search<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.body(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Identifier(name) => self.column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.column(names),
            Expr::BinaryOp { left, op, right } => self.operator(left, right, &op.to_string()),
            Expr::Like { negated, expr, pattern, .. } => self.operator(expr, pattern, if *negated { "!~~" } else { "~~" }),
            Expr::ILike { negated, expr, pattern, .. } => self.operator(expr, pattern, if *negated { "!~~*" } else { "~~*" }),
            Expr::Function(function) => self.call(function),
            Expr::Cast { kind: CastKind::DoubleColon, expr, .. } if *self.wanted == Wanted::Cast => {
                let place = self.behind(expr.as_ref(), "::");
                self.note(place);
            }
            Expr::Cast { data_type, .. } => self.data_type(data_type),
            Expr::Value(value) => {
                if let (Wanted::Parameter(wanted), Value::Placeholder(name)) = (self.wanted, &value.value)
                    && wanted == name
                {
                    self.note(position_of(value.span.start));
                }
            }
            Expr::Subquery(query) if *self.wanted == Wanted::ScalarSubquery => {
                let place = self.bracket_before(query);
                self.note(place);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
