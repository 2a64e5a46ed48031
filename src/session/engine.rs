//! The engine behind a session: DataFusion with our join, our functions and PostgreSQL's defaults.

use std::sync::Arc;

use datafusion::config::ConfigOptions;
use datafusion::execution::context::{QueryPlanner, SessionState};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionStateBuilder, TaskContext};
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;

use super::memory::StatementPool;
use super::yielding::YieldInJoins;
use crate::catalog::builtin_functions;
use crate::exec::point_in_time_join::{PointInTimeJoinPlanner, PruneFeatures};
use crate::plan::{KeepSignedZeros, PostgresCoercion};

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
        .with_query_planner(Arc::new(FeaturePlanner))
        .with_optimizer_rule(Arc::new(PruneFeatures))
        .with_physical_optimizer_rule(Arc::new(YieldInJoins))
        .build();
    for function in builtin_functions().into_iter().chain(functions) {
        // Replaces the engine's function of the same name, where it has one.
        let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, function);
    }
    state
}

/// Fixed settings for `AS SELECT` views: UTC, and no function that knows a session.
pub fn view_state(runtime: &Arc<RuntimeEnv>) -> SessionState {
    state(runtime, Vec::new())
}

/// The same state at this time zone, with the statement's time of day.
pub fn at_time_zone(state: &SessionState, zone: &str) -> SessionState {
    let mut state = state.clone();
    state.mark_start_execution();
    if state.config_options().execution.time_zone.as_deref() != Some(zone) {
        state.config_mut().options_mut().execution.time_zone = Some(zone.to_owned());
    }
    state
}

/// What operators run with: the state's settings, and the statement's own share of memory.
pub fn task_context(state: &SessionState, pool: Arc<StatementPool>) -> Arc<TaskContext> {
    let shared = state.runtime_env();
    let runtime = RuntimeEnv { memory_pool: pool, ..shared.as_ref().clone() };
    Arc::new(TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        state.scalar_functions().clone(),
        state.higher_order_functions().clone(),
        state.aggregate_functions().clone(),
        state.window_functions().clone(),
        Arc::new(runtime),
    ))
}

/// The engine's rules, between our own.
fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(PostgresCoercion)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(KeepSignedZeros));
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
