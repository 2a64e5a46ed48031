//! Which relations and feature views a statement mentions, found on its tree before anything is resolved.
//!
//! Resolving is the only step that waits for others (catalogs, object stores), so everything that it needs is collected
//! here first and asked for at once. Names of common table expressions are collected too: a name that resolves to
//! nothing is no error here, the planner knows better.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Expr, TableFactor, TableVersion, Visit, Visitor};

use super::functions::{EntityRows, RangesCall, RetrievalCall, is_last_query, is_ranges, is_retrieval};
use crate::error::{Report, SqlState};
use crate::table::METADATA_COLUMNS;

/// What a statement mentions.
#[derive(Debug, Default)]
pub struct Mentions {
    /// Relations, as written, with the version asked for.
    pub relations: Vec<(TableReference, Option<TableVersion>)>,
    /// Views named by calls, each with the call's `at`.
    pub views: BTreeSet<(String, Option<String>)>,
    /// Whether anything is retrieved: `last_query()` is about such statements.
    pub retrieval: bool,
    /// Whether a metadata column of a source table is named (`_file`, `_pos`, …): only then do tables show them.
    pub metadata_columns: bool,
}

impl Mentions {
    /// Everything below `node`, which was parsed from `text`.
    pub fn of(node: &impl Visit, text: &str) -> Result<Self, Report> {
        let mut collector = Collector { mentions: Mentions::default(), text };
        match node.visit(&mut collector) {
            ControlFlow::Continue(()) => Ok(collector.mentions),
            ControlFlow::Break(report) => Err(report),
        }
    }
}

struct Collector<'a> {
    mentions: Mentions,
    text: &'a str,
}

impl Visitor for Collector<'_> {
    type Break = Report;

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Report> {
        let last = match expression {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        if last.is_some_and(|ident| METADATA_COLUMNS.contains(&ident.value.as_str())) {
            self.mentions.metadata_columns = true;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Report> {
        let TableFactor::Table { name, args, version, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if args.is_none() {
            match object_name_to_table_reference(name.clone(), true) {
                Ok(reference) => {
                    let mention = (reference, version.clone());
                    if !self.mentions.relations.contains(&mention) {
                        self.mentions.relations.push(mention);
                    }
                }
                Err(error) => {
                    return ControlFlow::Break(Report::new(SqlState::SYNTAX_ERROR, format!("improper relation name: {error}")));
                }
            }
            return ControlFlow::Continue(());
        }
        let outcome = if is_retrieval(name) {
            self.retrieval(factor)
        } else if is_ranges(name) {
            self.ranges(factor)
        } else {
            if is_last_query(name) {
                self.mentions.relations.push((TableReference::partial("feature_store", "last_query"), None));
            }
            Ok(())
        };
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(report) => ControlFlow::Break(report),
        }
    }
}

impl Collector<'_> {
    /// A retrieval's views, and what its entity query mentions where that is quoted text (a subquery is visited anyway).
    fn retrieval(&mut self, factor: &TableFactor) -> Result<(), Report> {
        let call = RetrievalCall::parse(factor, self.text)?;
        self.mentions.retrieval = true;
        self.mentions.views.extend(call.features.iter().map(|reference| (reference.view.clone(), call.at.clone())));
        if let EntityRows::Text(query) = &call.entities {
            let inner = Mentions::of(query.as_ref(), "")?;
            for mention in inner.relations {
                if !self.mentions.relations.contains(&mention) {
                    self.mentions.relations.push(mention);
                }
            }
            self.mentions.views.extend(inner.views);
            self.mentions.metadata_columns |= inner.metadata_columns;
        }
        Ok(())
    }

    fn ranges(&mut self, factor: &TableFactor) -> Result<(), Report> {
        let call = RangesCall::parse(factor, self.text)?;
        self.mentions.retrieval = true;
        self.mentions.views.insert((call.view, call.at));
        Ok(())
    }
}
