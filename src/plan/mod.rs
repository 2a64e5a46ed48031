//! Statements to plans.
//!
//! Three steps, in this order: `mentions` finds on the tree what a statement names; `resolve` asks registry and
//! catalogs for all of it at once (the only step that waits); then the engine's SQL planner builds the plan from
//! answers that are all there (`context`). DDL becomes a registry change (`define`), SHOW and DESCRIBE become rows (`show`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::SqlParserOptions;
use datafusion::common::{Column, ParamValues};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{Statement as SqlStatement, TableWithJoins, With};
use parking_lot::Mutex;

mod column_names;
mod context;
mod correlated;
mod define;
mod dialect;
mod drop;
mod engine_words;
mod error;
mod feature_view;
mod fixed_query;
mod glob;
mod functions;
mod mentions;
mod optimizer;
mod origins;
mod parameters;
mod patience;
mod places;
mod refusals;
mod relation_columns;
mod resolve;
mod show;
mod time_travel;

pub use correlated::StopFlag;
pub use dialect::{DateSettings, KeepSignedZeros, OneZeroInOrder, PostgresCoercion};
pub use error::{at_literal, report, without_position};
pub use feature_view::ResolvedView;
pub use optimizer::optimizer_rules;
pub use parameters::Parameters;
pub use patience::Patience;
pub use places::find as located;
pub use refusals::no_calls;
pub use resolve::{NoTemporaryTables, PinnedSnapshots, TemporaryTables};
pub use show::{ShowResult, StoreFacts};
pub use time_travel::{Reads, Retrieved};

use crate::clock::Clock;
use crate::error::{Notice, Report, SqlState};
use crate::exec::point_in_time_join::TieCounter;
use crate::pg_type::{PG_TYPE_KEY, PG_TYPMOD_KEY, PgType};
use crate::registry::{HistoryEntry, RegistrySnapshot};
use crate::source::Sources;
use context::StatementContext;
use mentions::Mentions;
use time_travel::At;

/// How often a statement is planned anew because types of its parameters were found.
const ROUNDS_OF_INFERENCE: usize = 4;

/// Plans statements for all clients; holds what is the same for all of them.
#[derive(Debug)]
pub struct Planner {
    /// The database's name.
    pub project: String,
    /// The catalogs.
    pub sources: Arc<Sources>,
    /// The time, for `status`.
    pub clock: Arc<dyn Clock>,
    /// What `feature_store.status` says of this gateway.
    pub facts: StoreFacts,
}

/// What one client brings to the planning of one statement.
pub struct StatementSettings<'a> {
    /// The registry version that the statement sees.
    pub registry: Arc<RegistrySnapshot>,
    /// The client's own tables.
    pub temporary: &'a dyn TemporaryTables,
    /// Snapshots that its transaction has seen.
    pub pinned: &'a PinnedSnapshots,
    /// The engine with the client's settings.
    pub state: &'a SessionState,
    /// The engine with fixed settings (UTC), for `AS SELECT` views.
    pub view_state: &'a Arc<SessionState>,
    /// Where the join counts the entity rows that commit order or content decided.
    pub ties: Arc<TieCounter>,
    /// The registry's commits, where the statement asks for them.
    pub history: Vec<HistoryEntry>,
    /// The tables that the statement reads, noted as they are found.
    pub reads: Arc<Reads>,
    /// What this client's last retrieval read.
    pub last: Option<Arc<Retrieved>>,
    /// All that the client sent, for positions.
    pub text: Arc<str>,
    /// Where notices go.
    pub notices: &'a Mutex<Vec<Notice>>,
}

/// A query, planned.
#[derive(Debug, Clone)]
pub struct PlannedQuery {
    /// The plan, parameters still in it unless they were bound.
    pub plan: LogicalPlan,
    /// Names and types of its columns, as the client sees them.
    pub columns: Vec<(String, FieldRef)>,
    /// For each column that is a relation's own: the relation's oid and the column's number in it.
    pub origins: Vec<Option<(u32, i16)>>,
    /// Types of `$1`, `$2`, …
    pub parameter_types: Vec<FieldRef>,
    /// What it reads, if it is a retrieval.
    pub retrieved: Option<Arc<Retrieved>>,
    /// How long registry and catalogs took to tell what its names mean.
    pub discovery: Duration,
}

impl Planner {
    /// Plans a SELECT, VALUES or the like. Bound parameters are put in their places.
    pub async fn query(
        &self,
        statement: &SqlStatement,
        parameters: Parameters,
        settings: &StatementSettings<'_>,
    ) -> Result<PlannedQuery, Report> {
        self.query_at(statement, parameters, None, settings).await
    }

    /// The same with all tables at a pin.
    async fn query_at(
        &self,
        statement: &SqlStatement,
        parameters: Parameters,
        at: Option<&At>,
        settings: &StatementSettings<'_>,
    ) -> Result<PlannedQuery, Report> {
        refusals::check(statement, &|name| settings.state.aggregate_functions().contains_key(name))?;
        let written = statement;
        let mut statement = statement.clone();
        time_travel::pin_calls(&mut statement, &parameters, &settings.text)?;
        if let Some(at) = at {
            time_travel::mark_statement(&mut statement, at);
        }
        dialect::check_supported(&statement)?;
        column_names::count(&statement)?;
        column_names::give(&mut statement);
        dialect::rewrite(&mut statement);
        let mentions = Mentions::of(&statement, &settings.text)?;
        let asked = Instant::now();
        let resolved = Arc::new(self.resolve(&mentions, settings).await?);
        let discovery = asked.elapsed();
        let told = |failure: &datafusion::error::DataFusionError| located(error::report(failure, &settings.text), written, &settings.text);
        let mut parameters = Arc::new(parameters);
        let open = parameters.values.is_none();
        if open {
            parameters.hint_written(&statement);
            if let Some(refined) = parameters.refined() {
                parameters = Arc::new(refined);
            }
        }
        let columns = |from: &[TableWithJoins], ctes: &[With]| {
            relation_columns::of(from, ctes, &|statement| build(statement, settings, &resolved, &parameters))
        };
        dialect::use_columns_of_from(&mut statement, &columns).map_err(|failure| told(&failure))?;
        let mut plan = match dialect::with_names_apart(build(&statement, settings, &resolved, &parameters), &mut statement) {
            Ok(plan) => plan,
            Err(Some(failure)) => return Err(told(&failure)),
            Err(None) => build(&statement, settings, &resolved, &parameters).map_err(|failure| told(&failure))?,
        };
        // What was found out of one parameter may tell of another.
        for _ in 0..ROUNDS_OF_INFERENCE {
            for (column, data_type) in parameters.expected.iter().enumerate() {
                parameters.hint_column(&plan, column, data_type);
            }
            if open {
                parameters.hint_inferred(&plan).map_err(|failure| told(&failure))?;
            }
            let Some(refined) = parameters.refined().filter(|_| open) else { break };
            parameters = Arc::new(refined);
            plan = build(&statement, settings, &resolved, &parameters).map_err(|failure| told(&failure))?;
        }
        let parameter_types = parameters.complete(&plan).map_err(|failure| told(&failure))?;
        if let Some(values) = parameters.bound_values(resolved.catalog()).map_err(|failure| told(&failure))? {
            plan = plan.with_param_values(ParamValues::List(values)).map_err(|failure| told(&failure))?;
        }
        plan = correlated::convert(plan, settings.state).map_err(|failure| told(&failure))?;
        if let Some(catalog) = resolved.catalog() {
            plan = dialect::show_object_ids(plan, catalog).map_err(|failure| told(&failure))?;
        }
        let origins = match resolved.catalog() {
            Some(catalog) => origins::of(&plan, catalog),
            None => vec![None; plan.schema().fields().len()],
        };
        let analyzed = coerced(&plan, settings.state);
        // A field as it was planned says more than its type (uuid, name), which coercion does not keep.
        let changed = |index: usize, field: &FieldRef| {
            let found = analyzed.as_ref()?.schema().fields().get(index)?;
            // A row is one as soon as anybody says so.
            let is_row = PgType::of(found) == PgType::RECORD;
            (is_row || found.data_type() != field.data_type()).then(|| Arc::clone(found))
        };
        let fields: Vec<FieldRef> = plan.schema().fields().iter().cloned().collect();
        let fields = fields.iter().enumerate().map(|(index, field)| (index, changed(index, field).unwrap_or_else(|| Arc::clone(field))));
        let columns = fields.map(|(index, field)| (column_names::shown(field.name()).to_owned(), computed(&field, &plan, index))).collect();
        let retrieved = mentions.retrieval.then(|| Arc::new(settings.reads.retrieved(settings.registry.version)));
        Ok(PlannedQuery { plan, columns, origins, parameter_types, retrieved, discovery })
    }

    /// Plans the SELECT of an `AS SELECT` view: fixed settings, no parameters, no volatile functions, no temporary tables.
    async fn view_query(&self, sql: &str, at: Option<&At>, settings: &StatementSettings<'_>) -> Result<LogicalPlan, Report> {
        let query = crate::sql::parse_entity_query(sql).map_err(Report::from)?;
        let fixed = StatementSettings {
            registry: Arc::clone(&settings.registry),
            temporary: &NoTemporaryTables,
            pinned: settings.pinned,
            state: settings.view_state,
            view_state: settings.view_state,
            ties: Arc::clone(&settings.ties),
            history: Vec::new(),
            reads: Arc::clone(&settings.reads),
            last: None,
            text: Arc::from(sql),
            notices: settings.notices,
        };
        let planned = self.query_at(&SqlStatement::Query(query), Parameters::default(), at, &fixed).await?;
        if let Some(index) = planned.parameter_types.iter().position(|_| true) {
            return Err(Report::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${}", index + 1)));
        }
        refuse_volatile(&planned.plan)?;
        settled(planned.plan, settings.view_state).map_err(|failure| error::report(&failure, sql))
    }
}

/// The plan with the types that its columns have when it runs: what is planned over a view is planned for its schema.
fn settled(plan: LogicalPlan, state: &SessionState) -> datafusion::error::Result<LogicalPlan> {
    let analyzed = coerced(&plan, state);
    let schema = analyzed.as_ref().unwrap_or(&plan).schema();
    let mut changed = false;
    let columns = plan.schema().iter().zip(schema.fields()).map(|((relation, planned), found)| {
        // A column of NULLs alone is text, as in PostgreSQL.
        let wanted = if found.data_type().is_null() { &DataType::Utf8 } else { found.data_type() };
        let column = Expr::Column(Column::new(relation.cloned(), planned.name()));
        if planned.data_type() == wanted {
            return column;
        }
        changed = true;
        datafusion::logical_expr::cast(column, wanted.clone()).alias_qualified(relation.cloned(), planned.name())
    });
    let columns: Vec<Expr> = columns.collect();
    if changed { LogicalPlanBuilder::from(plan).project(columns)?.build() } else { Ok(plan) }
}

/// The plan after coercion, where a column's type follows from several expressions and shows only then. A plan that cannot be coerced
/// (an untyped parameter in it, or an error that its execution will tell) shows the types that it has.
fn coerced(plan: &LogicalPlan, state: &SessionState) -> Option<LogicalPlan> {
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    let mut mixed = false;
    let _ = plan.apply_with_subqueries(|node| {
        mixed |= matches!(node, LogicalPlan::Union(_));
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                mixed |= match part {
                    Expr::Case(_) => true,
                    Expr::ScalarFunction(call) => dialect::takes_one_type(call.func.name()),
                    _ => false,
                };
                Ok(if mixed { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    mixed.then(|| state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {}).ok())?
}

/// The field as PostgreSQL has it, where the engine's type says more or less: what is counted in unsigned numbers (`row_number()`,
/// `rank()`) is a bigint, for no table has such a column; a numeric that is computed has no precision and scale.
fn computed(field: &FieldRef, plan: &LogicalPlan, index: usize) -> FieldRef {
    let (key, value) = match field.data_type() {
        DataType::UInt64 => (PG_TYPE_KEY, PgType::INT8.name()),
        _ if PgType::typmod(field) != -1 && PgType::of(field).has_scale() && !origins::keeps_modifier(plan, index) => (PG_TYPMOD_KEY, "-1"),
        _ => return Arc::clone(field),
    };
    let mut metadata = field.metadata().clone();
    metadata.insert(key.to_owned(), value.to_owned());
    Arc::new(field.as_ref().clone().with_metadata(metadata))
}

/// One pass of the engine's SQL planner.
fn build(
    statement: &SqlStatement,
    settings: &StatementSettings<'_>,
    resolved: &Arc<resolve::Resolved>,
    parameters: &Arc<Parameters>,
) -> datafusion::error::Result<LogicalPlan> {
    let context = StatementContext::new(
        settings.state,
        Arc::clone(resolved),
        Arc::clone(parameters),
        Arc::clone(&settings.text),
        Arc::clone(&settings.ties),
    );
    let mut planner_context = PlannerContext::new().with_prepare_param_data_types(parameters.fields());
    let planner = SqlToRel::new_with_options(&context, parser_options(&settings.state.config_options().sql_parser));
    let plan = planner.sql_statement_to_plan_with_context(statement.clone(), &mut planner_context)?;
    let plan = dialect::tell_subqueries(dialect::keep_unbounded_numerics(plan)?)?;
    dialect::may_be_null(plan)
}

/// PostgreSQL's reading of literals and names.
fn parser_options(_engine: &SqlParserOptions) -> ParserOptions {
    ParserOptions {
        parse_float_as_decimal: true,
        enable_ident_normalization: true,
        support_varchar_with_length: true,
        enable_options_value_normalization: false,
        collect_spans: true,
        map_string_types_to_utf8view: false,
        default_null_ordering: NullOrdering::NullsMax,
    }
}

/// A view's rows must not depend on when or how often they are read.
fn refuse_volatile(plan: &LogicalPlan) -> Result<(), Report> {
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    use datafusion::logical_expr::{Expr, Volatility};
    let mut volatile = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarFunction(call) = part
                    && !matches!(call.func.signature().volatility, Volatility::Immutable)
                    && volatile.is_none()
                    && !is_time_cast(call.func.name())
                {
                    volatile = Some(call.func.name().to_owned());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(|failure| error::without_position(&failure))?;
    match volatile {
        Some(name) => Err(Report::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("function {name} cannot be used in a feature view: its value changes between reads"),
        )),
        None => Ok(()),
    }
}

/// Functions that are stable only because they read the time zone, which is fixed for views.
fn is_time_cast(name: &str) -> bool {
    name.starts_with("to_timestamp") || matches!(name, "to_date" | "to_char" | "to_local_time" | "date_trunc" | "date_part")
}
