//! The engine behind a session: DataFusion with our join, our functions and PostgreSQL's defaults.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::common::tree_node::TreeNode;
use datafusion::config::ConfigOptions;
use datafusion::execution::context::{QueryPlanner, SessionState};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionStateBuilder, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;

use super::held_rows::CountHeldRows;
use super::memory::StatementPool;
use super::outer_joins::{ForgetConstants, WhereNamesAreUnique};
use super::row_order;
use super::series_order::KeepSeriesInOrder;
use super::wide_rows::CutWideRows;
use super::yielding::YieldInJoins;
use crate::catalog::{aggregate_functions, builtin_functions};
use crate::exec::point_in_time_join::{PointInTimeJoinPlanner, PruneFeatures};
use crate::plan::{DateSettings, KeepSignedZeros, OneZeroInOrder, PostgresCoercion, StopFlag, optimizer_rules};

/// Physical planning that knows our nodes.
#[derive(Debug)]
struct FeaturePlanner;

#[async_trait::async_trait]
impl QueryPlanner for FeaturePlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        state: &dyn datafusion::catalog::Session,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(PointInTimeJoinPlanner)]).create_physical_plan(plan, state).await
    }
}

/// A state with these functions beside the engine's own.
pub fn state(runtime: &Arc<RuntimeEnv>, functions: Vec<Arc<ScalarUDF>>) -> SessionState {
    let mut state = SessionStateBuilder::new()
        .with_config(config())
        .with_runtime_env(Arc::clone(runtime))
        .with_default_features()
        .with_analyzer_rules(analyzer_rules())
        .with_optimizer_rules(optimizer_rules())
        .with_query_planner(Arc::new(FeaturePlanner))
        .with_optimizer_rule(Arc::new(PruneFeatures))
        .with_physical_optimizer_rules(physical_rules())
        .with_physical_optimizer_rule(Arc::new(KeepSeriesInOrder))
        .with_physical_optimizer_rule(Arc::new(YieldInJoins))
        .with_physical_optimizer_rule(Arc::new(CountHeldRows))
        .with_physical_optimizer_rule(Arc::new(CutWideRows))
        .build();
    for function in builtin_functions().into_iter().chain(functions) {
        // Replaces the engine's function of the same name, where it has one.
        let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, function);
    }
    for function in aggregate_functions() {
        let _ = datafusion::execution::FunctionRegistry::register_udaf(&mut state, function);
    }
    state
}

/// Fixed settings for `AS SELECT` views: UTC, and no function that knows a session.
pub fn view_state(runtime: &Arc<RuntimeEnv>) -> SessionState {
    state(runtime, Vec::new())
}

/// A session's state for one statement: at this time zone and date style, with the statement's time of day and what stops its
/// parts. It is the session's own, and its hundreds of functions are copied only while another statement still holds it: a cursor's.
pub fn for_statement(own: &Mutex<Arc<SessionState>>, zone: &str, date_style: &str, stop: Arc<StopFlag>) -> Arc<SessionState> {
    let mut own = own.lock();
    let state = Arc::make_mut(&mut own);
    state.mark_start_execution();
    if state.config_options().execution.time_zone.as_deref() != Some(zone) {
        state.config_mut().options_mut().execution.time_zone = Some(zone.to_owned());
    }
    let known = state.config_options().extensions.get::<DateSettings>();
    if known.is_none_or(|settings| settings.date_style != date_style) {
        let settings = DateSettings { date_style: date_style.to_owned() };
        state.config_mut().options_mut().extensions.insert(settings);
    }
    state.config_mut().set_extension(stop);
    Arc::clone(&own)
}

/// The physical plan. A row of nothing but constants (`SELECT 1`, by which pools ask whether somebody is there) has nothing that an
/// optimizer could make better, and is not shown to one.
pub async fn physical_plan(state: &SessionState, plan: &LogicalPlan) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    if constant_row(plan)?.is_none() {
        return if row_order::is_in_memory(plan) {
            row_order::plan_in_order(state, plan).await
        } else {
            state.create_physical_plan(plan).await
        };
    }
    // A cast may turn out to be a call: 'now'::timestamp.
    let analyzed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let (LogicalPlan::Projection(row), Some(schema)) = (&analyzed, constant_row(&analyzed)?) else {
        return state.create_physical_plan(plan).await;
    };
    let columns = row.expr.iter().zip(row.schema.fields()).map(|(expression, field)| {
        let physical = create_physical_expr(expression, &schema, state.execution_props(), &PhysicalPlanningContext::default())?;
        Ok(ProjectionExpr::new(physical, field.name().clone()))
    });
    let columns = columns.collect::<datafusion::error::Result<Vec<_>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(columns, Arc::new(PlaceholderRowExec::new(Arc::clone(schema.inner()))))?))
}

/// The schema without columns below a plan that is one row of constants without functions (some exist only for the optimizer).
fn constant_row(plan: &LogicalPlan) -> datafusion::error::Result<Option<DFSchemaRef>> {
    let LogicalPlan::Projection(row) = plan else { return Ok(None) };
    let LogicalPlan::EmptyRelation(below) = row.input.as_ref() else { return Ok(None) };
    if !below.produce_one_row || !below.schema.fields().is_empty() {
        return Ok(None);
    }
    let computed = |expression: &Expr| {
        expression.exists(|part| {
            let constant = matches!(part, Expr::Literal(..) | Expr::Alias(_) | Expr::BinaryExpr(_) | Expr::Cast(_) | Expr::Negative(_));
            Ok(!constant)
        })
    };
    for expression in &row.expr {
        if computed(expression)? {
            return Ok(None);
        }
    }
    Ok(Some(Arc::clone(&below.schema)))
}

/// What operators run with: the state's settings, and the statement's own share of memory. A plan holds its functions, so none is
/// looked up any more.
pub fn task_context(state: &SessionState, pool: Arc<StatementPool>) -> Arc<TaskContext> {
    let shared = state.runtime_env();
    let runtime = RuntimeEnv { memory_pool: pool, ..shared.as_ref().clone() };
    Arc::new(TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        Arc::new(runtime),
    ))
}

/// The engine's rules, between our own.
fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(PostgresCoercion)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(OneZeroInOrder));
    rules.push(Arc::new(KeepSignedZeros));
    rules
}

/// The engine's physical rules, those that go by names where names tell.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(ForgetConstants)];
    for rule in PhysicalOptimizer::new().rules {
        let by_name = rule.name().starts_with("FilterPushdown");
        rules.push(if by_name { Arc::new(WhereNamesAreUnique(rule)) } else { rule });
    }
    rules
}

fn config() -> SessionConfig {
    let mut options = ConfigOptions::new();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.parquet.pushdown_filters = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.catalog.create_default_catalog_and_schema = false;
    options.catalog.information_schema = false;
    options.explain.physical_plan_only = true;
    SessionConfig::from(options)
}
