//! COPY: the table or query that it copies, and the rows that come in.
//!
//! Rows that come in are a batch at a time asked about COPY's WHERE, by the planner that answers queries, and become visible at once
//! at the end. As in PostgreSQL the table is looked at first, then its columns, the WHERE, and the options. Refused: files and programs
//! of the server.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::physical_plan::collect;
use datafusion::sql::sqlparser::ast::{self as sqlparser_ast, Expr, ObjectName, SetExpr, Spanned, Statement as SqlStatement};

use super::copy_options::{unsupported, wanted};
use super::engine;
use super::memory::StatementPool;
use super::response::{Column, Response};
use super::session::{CopyTarget, Session};
use super::statement::Parsed;
use super::tables::{fit, nullable, table_query, target_columns};
use crate::error::{Report, SqlState};
use crate::plan::{self, Parameters, StatementSettings, TemporaryTables};
use crate::sql::{CopySource, CopyStatement, Ident, position_of};

/// The identifier for a tree, without a place: PostgreSQL has none for the names of COPY.
fn unplaced(name: &Ident) -> sqlparser_ast::Ident {
    sqlparser_ast::Ident::with_quote('"', &name.name)
}

/// A condition on rows that come in sees a row and nothing else.
fn check_filter(filter: &Expr, text: &str) -> Result<(), Report> {
    let found = sqlparser_ast::visit_expressions(filter, |part| match part {
        Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => ControlFlow::Break(position_of(query.span().start)),
        // The place of IN, which is the first word behind its operand.
        Expr::InSubquery { expr, .. } => ControlFlow::Break(position_of(expr.span().end).map(|end| {
            let blanks = text.chars().skip(end - 1).take_while(|c| c.is_whitespace() || *c == ')').count();
            end + blanks
        })),
        _ => ControlFlow::Continue(()),
    });
    let report = unsupported("cannot use subquery in COPY FROM WHERE condition");
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(position) => Err(report.position(position)),
    }
}

/// A batch of the data as the table that it is for, which is all that a condition can name.
struct Alone {
    table: String,
    batch: RecordBatch,
}

impl TemporaryTables for Alone {
    fn schemas(&self) -> Vec<(String, SchemaRef)> {
        vec![(self.table.clone(), self.batch.schema())]
    }

    fn table(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        let provider = MemTable::try_new(self.batch.schema(), vec![vec![self.batch.clone()]]).ok()?;
        (name == self.table).then(|| Arc::new(provider) as Arc<dyn TableProvider>)
    }
}

impl Session {
    /// `COPY`, both ways.
    pub(super) async fn copy(&mut self, statement: &CopyStatement, parsed: &Parsed) -> Result<Response, Report> {
        if !statement.over_connection {
            return Err(unsupported("COPY to or from files and programs is not supported")
                .hint("COPY … TO STDOUT and FROM STDIN go over the connection; psql's \\copy reads and writes the client's files."));
        }
        let wanted = || wanted(&statement.options, statement.to);
        match &statement.source {
            CopySource::Query(query) => {
                let wanted = wanted()?;
                let rows = self.query(query, parsed, "COPY").await?;
                let options = wanted.of_columns(&rows.columns, None)?;
                Ok(Response::CopyOut(rows, options))
            }
            CopySource::Table { name, columns } if statement.to => {
                let table = ObjectName::from(name.iter().map(unplaced).collect::<Vec<_>>());
                let whole = SqlStatement::Query(Box::new(table_query(table.clone(), Vec::new())?));
                // Which columns there are is asked before the options are looked at, as the table is.
                let all = self.columns_of_query(&whole, &parsed.text).await?;
                let all: Vec<String> = all.iter().map(|column| column.name.clone()).collect();
                let shown = name.last().map_or("", |name| name.name.as_str());
                check_columns(columns, shown, &all)?;
                let wanted = wanted()?;
                let query = table_query(table, columns.iter().map(unplaced).collect())?;
                let rows = self.query(&SqlStatement::Query(Box::new(query)), parsed, "COPY").await?;
                let options = wanted.of_columns(&rows.columns, Some((shown, &all)))?;
                Ok(Response::CopyOut(rows, options))
            }
            CopySource::Table { name, columns } => {
                let table = ObjectName::from(name.iter().map(unplaced).collect::<Vec<_>>());
                let table = self.temp_table_name(&table, "COPY FROM")?;
                let schema = Arc::clone(&self.temp_tables.get(&table)?.schema);
                let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
                let targets = target_columns(&table, &schema, &names)?;
                let filter = match &statement.filter {
                    Some(filter) => Some(self.copy_filter(&table, filter, parsed).await?),
                    None => None,
                };
                let wanted = wanted()?;
                let mut fill = vec![None; schema.fields().len()];
                for (source, target) in targets.iter().enumerate() {
                    fill[*target] = Some(source);
                }
                let columns: Arc<[Column]> = targets
                    .iter()
                    .map(|target| {
                        let field = Arc::new(schema.field(*target).clone());
                        Column { name: field.name().clone(), field, table_oid: 0, attribute: 0 }
                    })
                    .collect();
                let all: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
                let mut options = wanted.of_columns(&columns, Some((&table, &all)))?;
                options.filtered = filter.is_some();
                let memory = self.temp_tables.reservation("COPY");
                self.copy_target =
                    Some(CopyTarget { table: table.clone(), fill, filter, text: Arc::clone(&parsed.text), batches: Vec::new(), memory });
                Ok(Response::CopyIn(table, columns, options))
            }
        }
    }

    /// The query that COPY's WHERE is, checked.
    async fn copy_filter(&mut self, table: &str, filter: &Expr, parsed: &Parsed) -> Result<SqlStatement, Report> {
        let state = Arc::clone(&self.state.lock());
        check_filter(filter, &parsed.text)?;
        plan::no_calls(filter, "COPY FROM WHERE conditions", &|name| state.aggregate_functions().contains_key(name))?;
        let name = ObjectName::from(vec![sqlparser_ast::Ident::with_quote('"', table)]);
        let mut query = table_query(name, Vec::new())?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.selection = Some(filter.clone());
        }
        let query = SqlStatement::Query(Box::new(query));
        self.columns_of_query(&query, &parsed.text).await?;
        Ok(query)
    }

    /// A batch of COPY's data. An error that is about one of its rows says which.
    pub(super) async fn take_copied(&mut self, batch: RecordBatch) -> Result<(), (Option<usize>, Report)> {
        let Some(mut target) = self.copy_target.take() else {
            return Err((None, Report::new(SqlState::PROTOCOL_VIOLATION, "there is no COPY in progress")));
        };
        let schema = Arc::clone(&self.temp_tables.get(&target.table).map_err(|report| (None, report))?.schema);
        let new = match &target.filter {
            None => vec![fit(&batch, &target.table, &schema, Some(&target.fill), self.zone()).map_err(|report| (None, report))?],
            Some(filter) => match self.kept(&target, filter, &schema, &batch).await {
                Ok(kept) => kept,
                Err(report) => return Err(self.first_bad_row(&target, filter, &schema, &batch, report).await),
            },
        };
        let bytes: usize = new.iter().map(RecordBatch::get_array_memory_size).sum();
        target.batches.extend(new);
        if target.memory.try_grow(bytes).is_err() || target.memory.size() > self.gateway.memory_per_query() {
            let report = Report::new(SqlState::OUT_OF_MEMORY, "out of memory").detail("COPY's data does not fit the memory limit.");
            return Err((None, report));
        }
        self.copy_target = Some(target);
        Ok(())
    }

    /// The rows that WHERE keeps, as the table stores them.
    async fn kept(
        &self,
        target: &CopyTarget,
        filter: &SqlStatement,
        schema: &SchemaRef,
        batch: &RecordBatch,
    ) -> Result<Vec<RecordBatch>, Report> {
        let all = fit(batch, &target.table, &nullable(schema), Some(&target.fill), self.zone())?;
        let kept = self.kept_by(filter, &target.table, all, &target.text).await?;
        kept.iter().map(|kept| fit(kept, &target.table, schema, None, self.zone())).collect()
    }

    /// Which row it was, by halves: the engine knows batches, and PostgreSQL names the line.
    async fn first_bad_row(
        &self,
        target: &CopyTarget,
        filter: &SqlStatement,
        schema: &SchemaRef,
        batch: &RecordBatch,
        report: Report,
    ) -> (Option<usize>, Report) {
        let (mut good, mut bad, mut found) = (0, batch.num_rows(), report);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            match self.kept(target, filter, schema, &batch.slice(0, middle)).await {
                Ok(_) => good = middle,
                Err(report) => (bad, found) = (middle, report),
            }
        }
        (bad.checked_sub(1), found)
    }

    /// The rows of a batch for which the condition is true.
    async fn kept_by(&self, filter: &SqlStatement, table: &str, batch: RecordBatch, text: &Arc<str>) -> Result<Vec<RecordBatch>, Report> {
        let view = self.view_of_registry(false).await?;
        let alone = Alone { table: table.to_owned(), batch };
        let planned = {
            let settings = StatementSettings { temporary: &alone, ..view.settings(self, text) };
            self.gateway.planner.query(filter, Parameters::bound(Vec::new(), Vec::new()), &settings).await?
        };
        let physical = engine::physical_plan(&view.state, &planned.plan).await.map_err(|failure| plan::report(&failure, text))?;
        let pool = Arc::new(StatementPool::new(self.gateway.memory(), self.gateway.memory_per_query()));
        let context = engine::task_context(&view.state, pool);
        let kept = collect(physical, context).await;
        kept.map_err(|failure| plan::at_literal(plan::without_position(&failure), text))
    }

    /// The end of COPY's data: rows become visible at once.
    pub(super) fn finish_copy(&mut self) -> Result<u64, Report> {
        let Some(target) = self.copy_target.take() else {
            return Err(Report::new(SqlState::PROTOCOL_VIOLATION, "there is no COPY in progress"));
        };
        // The table takes its own share of what is given back here.
        drop(target.memory);
        self.temp_tables.append(&target.table, target.batches)
    }
}

/// Whether the table has the columns of a list, each named once.
fn check_columns(columns: &[Ident], table: &str, all: &[String]) -> Result<(), Report> {
    for (index, column) in columns.iter().enumerate() {
        let name = &column.name;
        if !all.contains(name) {
            let message = format!("column \"{name}\" of relation \"{table}\" does not exist");
            return Err(Report::new(SqlState::UNDEFINED_COLUMN, message));
        }
        if columns[..index].iter().any(|other| other.name == *name) {
            return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
        }
    }
    Ok(())
}
