//! What the engine's SQL planner asks while it turns one statement into a plan: relations, functions, settings.
//!
//! Every answer was found by `resolve` before; nothing here waits. Relations come through a relation planner of our own, because the engine's drops a table's version, sample and hints without a word.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning, TypePlanner,
};
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF};
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{ObjectName, TableAlias, TableFactor, TableFunctionArgs};

use super::dialect::{PostgresOperators, PostgresTypes, row_of};
use super::functions::{Moment, RangesCall, RetrievalCall, is_last_query, is_ranges, is_retrieval, plan_ranges, plan_retrieval};
use super::parameters::Parameters;
use super::resolve::Resolved;
use crate::catalog::catalog_function;
use crate::error::{Report, SqlState};
use crate::exec::point_in_time_join::TieCounter;

/// One statement's answers.
pub struct StatementContext<'a> {
    state: &'a SessionState,
    resolved: Arc<Resolved>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    types: Arc<dyn TypePlanner>,
}

impl<'a> StatementContext<'a> {
    /// Answers from `resolved`, for a statement of this text and these parameters.
    pub fn new(
        state: &'a SessionState,
        resolved: Arc<Resolved>,
        parameters: Arc<Parameters>,
        text: Arc<str>,
        ties: Arc<TieCounter>,
    ) -> Self {
        let now = state.execution_props().query_execution_start_time;
        let now_micros = now.map(|instant| instant.timestamp_micros()).unwrap_or_default();
        let time_zone: Arc<str> = Arc::from(state.config_options().execution.time_zone.as_deref().unwrap_or("UTC"));
        let operators = PostgresOperators { parameters: Arc::clone(&parameters), time_zone: Arc::clone(&time_zone) };
        let relations = FeatureRelations { resolved: Arc::clone(&resolved), parameters, text, moment: Moment { now_micros, ties } };
        let mut expr_planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(operators)];
        expr_planners.extend(state.expr_planners().iter().cloned());
        let types = Arc::new(PostgresTypes { time_zone });
        Self { state, resolved, relation_planners: vec![Arc::new(relations)], expr_planners, types }
    }
}

impl ContextProvider for StatementContext<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        self.resolved.table(&name)
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        use datafusion::catalog::TableFunctionArgs;
        let Some(function) = self.state.table_functions().get(&name.to_ascii_lowercase()) else {
            return Err(external(
                Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist"))
                    .hint("No table function matches the given name."),
            ));
        };
        let provider = function.create_table_provider_with_args(TableFunctionArgs::new(&args, self.state))?;
        Ok(datafusion::datasource::provider_as_source(provider))
    }

    fn create_cte_work_table(&self, name: &str, schema: arrow::datatypes::SchemaRef) -> Result<Arc<dyn TableSource>> {
        let table = datafusion::datasource::cte_worktable::CteWorkTable::new(name, schema);
        Ok(datafusion::datasource::provider_as_source(Arc::new(table)))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::clone(&self.types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let of_engine = || self.state.scalar_functions().get(name).cloned();
        self.resolved.catalog().and_then(|catalog| catalog_function(name, catalog)).or_else(of_engine)
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// Plans table factors: retrievals, and tables with or without a version.
#[derive(Debug)]
struct FeatureRelations {
    resolved: Arc<Resolved>,
    parameters: Arc<Parameters>,
    text: Arc<str>,
    moment: Moment,
}

impl RelationPlanner for FeatureRelations {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        match &relation {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                return Err(external(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "TABLESAMPLE is not supported")));
            }
            TableFactor::Table { with_ordinality: true, .. } => {
                return Err(external(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "WITH ORDINALITY is not supported")));
            }
            TableFactor::Table { name, args: Some(_), alias, .. } if is_retrieval(name) => {
                let call = RetrievalCall::parse(&relation, &self.text).map_err(external)?;
                let plan = plan_retrieval(call, &self.resolved, &self.parameters, &self.moment, context)?;
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))));
            }
            TableFactor::Table { name, args: Some(_), alias, .. } if is_ranges(name) => {
                let call = RangesCall::parse(&relation, &self.text).map_err(external)?;
                let plan = plan_ranges(&call, &self.resolved, &self.parameters, context)?;
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))));
            }
            TableFactor::Table { name, args: Some(args), alias, .. } if is_last_query(name) => {
                if !args.args.is_empty() {
                    return Err(external(Report::new(
                        SqlState::UNDEFINED_FUNCTION,
                        "function feature_store.last_query takes no arguments",
                    )));
                }
                let source = self.resolved.table(&TableReference::partial("feature_store", "last_query"))?;
                let plan = LogicalPlanBuilder::scan("last_query", source, None)?.build()?;
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))));
            }
            TableFactor::Table { name, args: Some(args), alias, .. } if self.is_value(name, context) => {
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
                    one_row(name, args, alias.as_ref(), context)?,
                    alias.clone(),
                ))));
            }
            TableFactor::Table { name, args: None, version: Some(version), alias, .. } => {
                let reference = object_name_to_table_reference(name.clone(), true)?;
                let source = match self.resolved.versioned(&reference, version) {
                    Some(source) => source,
                    None => self.resolved.table(&reference)?,
                };
                let plan = LogicalPlanBuilder::scan(reference, source, None)?.build()?;
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))));
            }
            _ => {}
        }
        Ok(RelationPlanning::Original(Box::new(relation)))
    }
}

impl FeatureRelations {
    /// Whether it is a function of values, which stands in FROM as one row.
    fn is_value(&self, name: &ObjectName, context: &dyn RelationPlannerContext) -> bool {
        let [name] = name.0.as_slice() else { return false };
        let Some(name) = name.as_ident().map(|name| name.value.to_ascii_lowercase()) else { return false };
        let provider = context.context_provider();
        !ROW_SETS.contains(&name.as_str()) && provider.get_function_meta(&name).is_some()
    }
}

/// Functions that the engine has in FROM, besides those of values under the same names.
const ROW_SETS: [&str; 3] = ["generate_series", "range", "unnest"];

/// `SELECT f(…) AS f`, the column named as the alias if there is one.
fn one_row(
    name: &ObjectName,
    arguments: &TableFunctionArgs,
    alias: Option<&TableAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let column = alias.map(|alias| alias.name.clone()).or_else(|| name.0.last().and_then(|part| part.as_ident()).cloned());
    let subquery = row_of(name, arguments, column).ok_or_else(|| external(Report::new(SqlState::SYNTAX_ERROR, "a function in FROM")))?;
    context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })
}

/// A report on its way through the engine.
pub(crate) fn external(report: impl Into<Report>) -> DataFusionError {
    DataFusionError::External(Box::new(report.into()))
}
