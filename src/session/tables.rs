//! Statements on temporary tables, and PREPARE and EXECUTE as SQL spells them.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    ColumnOption, CreateTable, DataType as SqlDataType, Expr, Ident, Insert, ObjectName, OnCommit as SqlOnCommit, Query, SelectItem,
    SetExpr, Spanned, Statement as SqlStatement, TableObject, Value as SqlValue,
};

use super::assignment::{self, cast};
use super::response::Response;
use super::session::Session;
use super::settings::folded_name;
use super::statement::{Parsed, done};
use super::temp_tables::OnCommit;
use crate::error::{Notice, Report, SqlState, null_in_column};
use crate::pg_format::precision;
use crate::pg_format::zone::Zone;
use crate::pg_type::{PG_TYPMOD_KEY, PgType};
use crate::plan::{self, Parameters};
use crate::sql::{Statement, StatementText, folded, position_of};

/// Columns of one temporary table at the most, as in PostgreSQL.
const MAX_COLUMNS: usize = 1600;

/// Why nobody can listen.
const NO_NOTIFICATIONS: &str = "There are no notifications between sessions; read feature_store.registry_history for what changed.";

/// 0A000 for a statement of PostgreSQL's that featgres does not have.
pub(super) fn unsupported(statement: &SqlStatement) -> Report {
    let (what, hint) = match statement {
        SqlStatement::Update(_) => ("UPDATE", Some("Feature views and source tables are read only; the tables' writers change them.")),
        SqlStatement::Delete(_) => ("DELETE", Some("Feature views and source tables are read only; the tables' writers change them.")),
        SqlStatement::Merge(_) => ("MERGE", Some("Feature views and source tables are read only; the tables' writers change them.")),
        SqlStatement::CreateView(_) => ("CREATE VIEW", Some("CREATE FEATURE VIEW registers a view of features.")),
        SqlStatement::Drop { .. } => ("this DROP", Some("DROP FEATURE VIEW, DROP ENTITY and DROP TABLE of a temporary table exist.")),
        SqlStatement::LISTEN { .. } => ("LISTEN", Some(NO_NOTIFICATIONS)),
        SqlStatement::NOTIFY { .. } => ("NOTIFY", Some(NO_NOTIFICATIONS)),
        _ => ("this statement", None),
    };
    let report = Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"));
    match hint {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

impl Session {
    /// The temporary table that a statement writes to.
    pub(super) fn temp_table_name(&self, name: &ObjectName, statement: &str) -> Result<String, Report> {
        let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
        match parts.as_slice() {
            [schema, table] if schema == "pg_temp" => self.temp_tables.get(table).map(|_| table.clone()),
            [table] if self.temp_tables.contains(table) => Ok(table.clone()),
            _ => {
                let spelled = parts.join(".");
                if parts.len() > 1 || self.is_feature_view(&spelled) {
                    return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{statement} on \"{spelled}\" is not supported"))
                        .hint("Only temporary tables can be written; feature views show what their source tables hold."));
                }
                Err(Report::new(SqlState::UNDEFINED_TABLE, format!("relation \"{spelled}\" does not exist"))
                    .hint("CREATE TEMP TABLE makes a table that statements can write to."))
            }
        }
    }

    fn is_feature_view(&self, name: &str) -> bool {
        match &self.transaction.registry {
            Some(work) => work.working.feature_views.contains_key(name),
            None => self.gateway.registry.current().feature_views.contains_key(name),
        }
    }

    /// `CREATE TEMP TABLE … [AS …]`.
    pub(super) async fn create_temp_table(&mut self, create: CreateTable, parsed: &Parsed) -> Result<Response, Report> {
        let parts: Vec<String> = create.name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
        let in_temp = parts.len() == 2 && parts[0] == "pg_temp";
        let name = match parts.as_slice() {
            [name] => name.clone(),
            [_, name] if in_temp => name.clone(),
            _ => {
                return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "CREATE TABLE in a catalog is not supported yet")
                    .hint("CREATE TEMP TABLE makes a table of this session."));
            }
        };
        if !create.temporary && !in_temp {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "CREATE TABLE without TEMP is not supported")
                .hint("CREATE TEMP TABLE makes a table of this session; CREATE FEATURE VIEW registers a view over a source table."));
        }
        let tag = if create.query.is_some() { "CREATE TABLE AS" } else { "CREATE TABLE" };
        if self.temp_tables.contains(&name) && create.if_not_exists {
            self.notices.lock().push(Notice {
                sqlstate: SqlState::DUPLICATE_TABLE,
                ..Notice::plain(format!("relation \"{name}\" already exists, skipping"))
            });
            return Ok(done(tag));
        }
        let on_commit = match create.on_commit {
            None | Some(SqlOnCommit::PreserveRows) => OnCommit::PreserveRows,
            Some(SqlOnCommit::DeleteRows) => OnCommit::DeleteRows,
            Some(SqlOnCommit::Drop) => OnCommit::Drop,
        };
        let Some(query) = create.query else {
            if !create.constraints.is_empty() || create.like.is_some() {
                return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "constraints and LIKE are not supported on temporary tables"));
            }
            let fields = create
                .columns
                .iter()
                .map(|column| column_field(&column.name, &column.data_type, column.options.iter().map(|option| &option.option)))
                .collect::<Result<Vec<_>, _>>()?;
            self.temp_tables.create(&name, checked_schema(fields)?, on_commit)?;
            return Ok(done(tag));
        };
        let (schema, batches) = self.collect(&SqlStatement::Query(query), parsed.parameters(), &parsed.text).await?;
        let renamed: Vec<Field> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let field = field.as_ref().clone().with_nullable(true);
                check_stored(field.name(), PgType::of(&field))?;
                let field = if field.data_type() == &DataType::Null { field.with_data_type(DataType::Utf8) } else { field };
                Ok(match create.columns.get(index) {
                    Some(column) => field.with_name(folded(&column.name)),
                    None => field,
                })
            })
            .collect::<Result<_, Report>>()?;
        let schema = checked_schema(renamed)?;
        let zone = self.zone();
        let batches = batches.iter().map(|batch| fit(batch, &name, &schema, None, zone)).collect::<Result<Vec<_>, _>>()?;
        self.temp_tables.create(&name, schema, on_commit)?;
        let rows = match self.temp_tables.append(&name, batches) {
            Ok(rows) => rows,
            Err(report) => {
                self.temp_tables.drop_table(&name);
                return Err(report);
            }
        };
        Ok(Response::Done(format!("SELECT {rows}")))
    }

    /// A table of `DROP TABLE`; none where there is none and need not be one.
    pub(super) fn temp_table_to_drop(&self, name: &ObjectName, if_exists: bool) -> Result<Option<String>, Report> {
        match self.temp_table_name(name, "DROP TABLE") {
            Ok(table) => Ok(Some(table)),
            Err(report) if report.sqlstate == SqlState::UNDEFINED_TABLE && if_exists => {
                self.notices.lock().push(Notice::plain(format!("table \"{}\" does not exist, skipping", folded_name(name))));
                Ok(None)
            }
            Err(report) if report.sqlstate == SqlState::UNDEFINED_TABLE => {
                Err(Report::new(SqlState::UNDEFINED_TABLE, format!("table \"{}\" does not exist", folded_name(name))))
            }
            Err(report) => Err(report.hint("DROP FEATURE VIEW drops a feature view.")),
        }
    }

    /// Types of the columns that an INSERT fills, in the order of its source's columns.
    pub(super) fn insert_types(&self, insert: &Insert) -> Result<Vec<DataType>, Report> {
        let (table, columns) = self.insert_target(insert)?;
        let schema = &self.temp_tables.get(&table)?.schema;
        Ok(columns.iter().map(|column| schema.field(*column).data_type().clone()).collect())
    }

    /// The table, and the indices of the columns that are filled.
    fn insert_target(&self, insert: &Insert) -> Result<(String, Vec<usize>), Report> {
        let TableObject::TableName(name) = &insert.table else {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "INSERT into a function is not supported"));
        };
        if insert.returning.is_some() || insert.on.is_some() {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "INSERT … ON CONFLICT and RETURNING are not supported"));
        }
        let table = self.temp_table_name(name, "INSERT").map_err(|report| match report.sqlstate {
            SqlState::UNDEFINED_TABLE => report.position(position_of(name.span().start)),
            _ => report,
        })?;
        let schema = Arc::clone(&self.temp_tables.get(&table)?.schema);
        let names: Vec<String> = insert.columns.iter().map(folded_name).collect();
        let columns = target_columns(&table, &schema, &names).map_err(|report| {
            // Of a column that stands twice, the second is too many.
            let wrong = names.iter().rposition(|name| report.message.starts_with(&format!("column \"{name}\" ")));
            report.position(wrong.and_then(|index| position_of(insert.columns[index].span().start)))
        })?;
        Ok((table, columns))
    }

    /// `INSERT INTO temp_table …`.
    pub(super) async fn insert(&mut self, insert: Insert, parsed: &Parsed) -> Result<Response, Report> {
        let (table, columns) = self.insert_target(&insert)?;
        let Some(mut source) = insert.source else {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "INSERT … DEFAULT VALUES is not supported"));
        };
        let schema = Arc::clone(&self.temp_tables.get(&table)?.schema);
        self.check_depth_of_parameters(&source, parsed)?;
        assignment::source(&mut source, &columns.iter().map(|column| schema.field(*column)).collect::<Vec<_>>());
        let places: Vec<Option<usize>> = (0..=columns.len()).map(|index| column_position(&source.body, index)).collect();
        let (found, batches) = self.collect(&SqlStatement::Query(source), parsed.parameters(), &parsed.text).await?;
        let given = found.fields().len();
        if given > columns.len() {
            let report = Report::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns");
            return Err(report.position(places.last().copied().flatten()));
        }
        if given < columns.len() && !insert.columns.is_empty() {
            let report = Report::new(SqlState::SYNTAX_ERROR, "INSERT has more target columns than expressions");
            return Err(report.position(insert.columns.get(given).and_then(|column| position_of(column.span().start))));
        }
        for (index, (column, field)) in columns.iter().zip(found.fields()).enumerate() {
            let target = schema.field(*column);
            check_depth(field, target)?;
            if !assignment::is_possible(field.data_type(), target.data_type()) {
                let (wanted, given) = (PgType::sql_name(target), PgType::sql_name(field));
                let message = format!("column \"{}\" is of type {wanted} but expression is of type {given}", target.name());
                let report = Report::new(SqlState::DATATYPE_MISMATCH, message).hint("You will need to rewrite or cast the expression.");
                return Err(report.position(places.get(index).copied().flatten()));
            }
        }
        let mut fill = vec![None; schema.fields().len()];
        for (source, target) in columns.iter().take(given).enumerate() {
            fill[*target] = Some(source);
        }
        let zone = self.zone();
        let batches = batches.iter().map(|batch| fit(batch, &table, &schema, Some(&fill), zone)).collect::<Result<Vec<_>, _>>()?;
        let rows = self.temp_tables.append(&table, batches)?;
        Ok(Response::Done(format!("INSERT 0 {rows}")))
    }

    /// Whether what stands by itself in VALUES and is a parameter is no array of several dimensions, which no column holds.
    fn check_depth_of_parameters(&self, source: &Query, parsed: &Parsed) -> Result<(), Report> {
        let (SetExpr::Values(values), Some((_, bound))) = (source.body.as_ref(), &parsed.parameters) else { return Ok(()) };
        for expression in values.rows.iter().flat_map(|row| row.iter()) {
            let mut expression = expression;
            while let Expr::Nested(inner) | Expr::Cast { expr: inner, .. } = expression {
                expression = inner;
            }
            if let Expr::Value(value) = expression
                && let SqlValue::Placeholder(name) = &value.value
                && let Some(value) = name.trim_start_matches('$').parse().ok().and_then(|number: usize| bound.get(number.checked_sub(1)?))
                && depth(&value.data_type()) > 1
            {
                return Err(too_deep());
            }
        }
        Ok(())
    }

    /// `PREPARE name (types) AS …`.
    pub(super) async fn prepare_sql(
        &mut self,
        name: &str,
        types: &[SqlDataType],
        statement: SqlStatement,
        parsed: &Parsed,
    ) -> Result<Response, Report> {
        if self.prepared.get(name).is_some() {
            return Err(Report::new(SqlState::DUPLICATE_PREPARED_STATEMENT, format!("prepared statement \"{name}\" already exists")));
        }
        self.check_prepared(name)?;
        let declared = types
            .iter()
            .map(|data_type| {
                PgType::from_sql_name(&data_type.to_string()).map(|(pg_type, _)| Some(pg_type)).ok_or_else(|| unknown_type(data_type))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let inner = StatementText {
            statement: Statement::Sql(Box::new(statement)),
            text: parsed.statement.text.clone(),
            position: parsed.statement.position,
        };
        let prepared = self.prepare(Some(Arc::new(inner.into())), Arc::clone(&parsed.text), &declared).await?;
        self.prepared.insert(name, prepared, true, self.gateway.planner.clock.now_micros());
        Ok(done("PREPARE"))
    }

    /// `EXECUTE name (values)`.
    pub(super) async fn execute_sql(&mut self, name: Option<&ObjectName>, values: &[Expr], parsed: &Parsed) -> Result<Response, Report> {
        let name = name.map(folded_name).unwrap_or_default();
        let prepared =
            self.prepared.get(&name).cloned().ok_or_else(|| {
                Report::new(SqlState::INVALID_SQL_STATEMENT_NAME, format!("prepared statement \"{name}\" does not exist"))
            })?;
        if prepared.parameters.len() != values.len() {
            return Err(Report::new(SqlState::SYNTAX_ERROR, format!("wrong number of parameters for prepared statement \"{name}\""))
                .detail(format!("Expected {} parameters but got {}.", prepared.parameters.len(), values.len())));
        }
        let types: Vec<DataType> = prepared.parameters.iter().map(|pg_type| pg_type.arrow()).collect();
        let values = self.constants(values, &types, parsed).await?;
        prepared.runs();
        let Some(statement) = prepared.statement else { return Ok(Response::Empty) };
        if matches!(&statement.statement, Statement::Sql(sql) if matches!(sql.as_ref(), SqlStatement::Execute { .. })) {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "EXECUTE of an EXECUTE is not supported"));
        }
        let inner = Parsed { statement, text: prepared.text, parameters: Some((prepared.parameters, values)) };
        Box::pin(self.run(inner)).await
    }

    /// The values of constant expressions, cast to these types.
    async fn constants(&mut self, values: &[Expr], types: &[DataType], parsed: &Parsed) -> Result<Vec<ScalarValue>, Report> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = table_query(ObjectName::from(vec![Ident::new("values")]), vec![])?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.from.clear();
            select.projection = values
                .iter()
                .enumerate()
                .zip(types)
                .map(|((index, value), data_type)| {
                    let expr = assignment::assigned(value.clone(), &Field::new("value", data_type.clone(), true));
                    SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("v{index}")) }
                })
                .collect();
        }
        let (_, batches) = self.collect(&SqlStatement::Query(Box::new(query)), Parameters::bound(vec![], vec![]), &parsed.text).await?;
        let row = batches
            .first()
            .filter(|batch| batch.num_rows() == 1)
            .ok_or_else(|| Report::new(SqlState::SYNTAX_ERROR, "EXECUTE's values must be expressions"))?;
        let zone = self.zone();
        row.columns()
            .iter()
            .zip(types)
            .map(|(column, data_type)| {
                let column = cast(column, data_type, zone)?;
                ScalarValue::try_from_array(&column, 0).map_err(|failure| plan::without_position(&failure))
            })
            .collect()
    }
}

/// `SELECT columns FROM table`.
pub(super) fn table_query(table: ObjectName, columns: Vec<Ident>) -> Result<Query, Report> {
    let items = if columns.is_empty() { "*" } else { "1" };
    let text = format!("SELECT {items} FROM t");
    // The shape comes from the parser, the names are put into the tree: none is printed to be parsed again.
    let mut query = *crate::sql::parse_entity_query(&text)?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        if let Some(from) = select.from.first_mut()
            && let datafusion::sql::sqlparser::ast::TableFactor::Table { name, .. } = &mut from.relation
        {
            *name = table;
        }
        if !columns.is_empty() {
            select.projection = columns.into_iter().map(|column| SelectItem::UnnamedExpr(Expr::Identifier(column))).collect();
        }
    }
    Ok(query)
}

/// Where a query's column of this number, from 0, stands.
fn column_position(body: &SetExpr, index: usize) -> Option<usize> {
    let span = match body {
        SetExpr::Values(values) => values.rows.first()?.get(index)?.span(),
        SetExpr::Select(select) => select.projection.get(index)?.span(),
        SetExpr::Query(query) => return column_position(&query.body, index),
        _ => return None,
    };
    position_of(span.start)
}

/// 42704, at the name of a type that is not there.
fn unknown_type(data_type: &SqlDataType) -> Report {
    let report = Report::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", data_type.to_string().to_lowercase()));
    match data_type {
        SqlDataType::Custom(name, _) => report.position(position_of(name.span().start)),
        _ => report,
    }
}

/// The same columns, each of which may be NULL.
pub(super) fn nullable(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>()))
}

/// The columns of a table that a list names; all of them without a list.
pub(super) fn target_columns(table: &str, schema: &SchemaRef, names: &[String]) -> Result<Vec<usize>, Report> {
    if names.is_empty() {
        return Ok((0..schema.fields().len()).collect());
    }
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let column = schema
            .index_of(name)
            .map_err(|_| Report::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{table}\" does not exist")))?;
        if columns.contains(&column) {
            return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// 42P16 for a column of a type that is none to be stored.
fn check_stored(name: &str, pg_type: PgType) -> Result<(), Report> {
    if pg_type.is_pseudo() {
        return Err(Report::new(SqlState::INVALID_TABLE_DEFINITION, format!("column \"{name}\" has pseudo-type {pg_type}")));
    }
    Ok(())
}

/// A column of `CREATE TEMP TABLE`.
fn column_field<'a>(name: &Ident, data_type: &SqlDataType, options: impl Iterator<Item = &'a ColumnOption>) -> Result<Field, Report> {
    let name = folded(name);
    let (pg_type, typmod) = PgType::from_sql_name(&data_type.to_string()).ok_or_else(|| unknown_type(data_type))?;
    check_stored(&name, pg_type)?;
    if !pg_type.has_values() {
        return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("type {pg_type} is not supported"))
            .hint("A column of type text takes any value's text."));
    }
    let mut field = pg_type.arrow_field(&name);
    if pg_type == PgType::NUMERIC && typmod > 4 {
        let (precision, scale) = ((typmod - 4) >> 16, (typmod - 4) & 0xffff);
        let precision = u8::try_from(precision).ok().filter(|precision| (1..=38).contains(precision)).ok_or_else(|| {
            Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("NUMERIC precision {precision} must be between 1 and 38"))
        })?;
        field = field.with_data_type(DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0)));
    }
    if typmod > 0 && pg_type.element().unwrap_or(pg_type).category() == 'S' || typmod >= 0 && precision::is_moment(pg_type) {
        let mut metadata = field.metadata().clone();
        metadata.insert(PG_TYPMOD_KEY.to_owned(), typmod.to_string());
        field = field.with_metadata(metadata);
    }
    let mut nullable = true;
    for option in options {
        match option {
            ColumnOption::Null => {}
            ColumnOption::NotNull => nullable = false,
            other => {
                return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{other} is not supported on temporary tables")));
            }
        }
    }
    Ok(field.with_nullable(nullable))
}

/// How many lists stand in one another.
fn depth(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item) => 1 + depth(item.data_type()),
        _ => 0,
    }
}

/// A column of arrays has one dimension.
fn check_depth(source: &Field, target: &Field) -> Result<(), Report> {
    let (given, held) = (depth(source.data_type()), depth(target.data_type()));
    if held > 0 && given > held { Err(too_deep()) } else { Ok(()) }
}

fn too_deep() -> Report {
    Report::new(SqlState::FEATURE_NOT_SUPPORTED, "arrays of more than one dimension are not supported in temporary tables")
}

/// The schema, if no name stands twice and there are not too many.
fn checked_schema(fields: Vec<Field>) -> Result<SchemaRef, Report> {
    if fields.len() > MAX_COLUMNS {
        return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("tables can have at most {MAX_COLUMNS} columns")));
    }
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name() == field.name()) {
            return Err(Report::new(SqlState::DUPLICATE_COLUMN, format!("column \"{}\" specified more than once", field.name())));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// A batch as rows of a table: cast, NULL where nothing fills a column. `fill` gives for each column of the table the batch's.
pub(super) fn fit(
    batch: &RecordBatch,
    table: &str,
    schema: &SchemaRef,
    fill: Option<&[Option<usize>]>,
    zone: Zone,
) -> Result<RecordBatch, Report> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        let source = match fill {
            Some(fill) => fill.get(index).copied().flatten(),
            None => Some(index),
        };
        let array = match source {
            Some(source) => assignment::column(batch.column(source), batch.schema_ref().field(source), field, zone)?,
            None => new_null_array(field.data_type(), batch.num_rows()),
        };
        if !field.is_nullable() && array.null_count() > 0 {
            return Err(null_in_column(table, field.name()));
        }
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|failure| plan::without_position(&failure.into()))
}
