//! Correlated scalar subqueries over the system catalog: `(SELECT d.adbin FROM pg_attrdef d WHERE d.adrelid = a.attrelid …)`.
//!
//! The engine turns a correlated subquery into a join, and can do so only if it is an aggregate over equalities. What clients ask
//! of a catalog is anything else. System relations are small and in memory, so there a subquery is a function of the columns that
//! it takes from outside: for each distinct combination of their values, the values are put into its plan and the plan is run.
//! A subquery that reads any other relation is left to the engine.
//!
//! Costs one small planning per distinct combination. The rows are awaited on a thread of their own, which needs nothing from the
//! caller's: an operator cannot wait where it computes. Nothing that waits there hears of a cancel, so the statement's [`StopFlag`] is
//! looked at between the combinations and while one runs. More than one row is 21000, as in PostgreSQL.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, exec_err};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{Exists, InSubquery, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Subquery, Volatility,
};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::context::external;
use crate::catalog::SystemTable;
use crate::error::{Report, SqlState};

/// How often a running subquery looks at the flag.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Raised when a statement is to stop, for what does not end with its future: an extension of its state's configuration.
#[derive(Debug, Default)]
pub struct StopFlag {
    raised: AtomicBool,
    heeded: AtomicBool,
}

impl StopFlag {
    /// The statement is over.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    /// Whether the statement's plan has parts that stop by this flag alone.
    pub fn is_heeded(&self) -> bool {
        self.heeded.load(Ordering::Relaxed)
    }

    async fn wait(&self) {
        while !self.is_raised() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Turns correlated scalar subqueries over system relations into functions of what they take from outside.
pub fn convert(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let mut has_any = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                has_any |= matches!(part, Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty());
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if !has_any {
        return Ok(plan);
    }
    let mut state = state.clone();
    if let Some(flag) = state.config().get_extension::<StopFlag>() {
        flag.heeded.store(true, Ordering::Relaxed);
    }
    // One partition: nothing is spawned, all runs where it is awaited.
    state.config_mut().options_mut().execution.target_partitions = 1;
    convert_plan(plan, &Arc::new(state))
}

fn convert_plan(plan: LogicalPlan, state: &Arc<SessionState>) -> Result<LogicalPlan> {
    let converted = plan.transform_up(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let rewritten = expression.transform_up(|part| match part {
                Expr::ScalarSubquery(subquery) => convert_subquery(subquery, &schema, state),
                Expr::Exists(Exists { subquery, negated }) => {
                    Ok(Transformed::yes(Expr::Exists(Exists { subquery: inside(subquery, state)?, negated })))
                }
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery: inside(subquery, state)?, negated })))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(rewritten.update_data(|expression| name.restore(expression)))
        })
    })?;
    Ok(converted.data)
}

/// The same subquery with those inside it converted.
fn inside(subquery: Subquery, state: &Arc<SessionState>) -> Result<Subquery> {
    let plan = convert_plan(Arc::unwrap_or_clone(subquery.subquery), state)?;
    Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns: subquery.outer_ref_columns, spans: subquery.spans })
}

fn convert_subquery(subquery: Subquery, schema: &DFSchema, state: &Arc<SessionState>) -> Result<Transformed<Expr>> {
    let subquery = inside(subquery, state)?;
    if !reads_system_only(&subquery.subquery)? {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    let mut outer = Vec::new();
    collect(&subquery.subquery, &mut outer)?;
    // What is not the next query's is one's further out, and is put in when that one runs.
    outer.retain(|(column, _)| schema.has_column(column));
    let Some(returns) = subquery.subquery.schema().fields().first().cloned() else {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    };
    if outer.is_empty() {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    let types = outer.iter().map(|(_, field)| field.data_type().clone()).collect();
    let arguments = outer.iter().map(|(column, _)| Expr::Column(column.clone())).collect();
    let function = CorrelatedSubquery {
        plan: subquery.subquery,
        outer: outer.into_iter().map(|(column, _)| column).collect(),
        returns: Arc::new(returns.as_ref().clone().with_nullable(true)),
        state: Arc::clone(state),
        signature: Signature::exact(types, Volatility::Stable),
    };
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), arguments))))
}

/// Whether all that the plan reads is in the system catalog, or comes from outside.
fn reads_system_only(plan: &LogicalPlan) -> Result<bool> {
    let mut only = true;
    plan.apply_with_subqueries(|node| {
        only &= match node {
            LogicalPlan::TableScan(scan) => match source_as_provider(&scan.source) {
                Ok(provider) => provider.downcast_ref::<SystemTable>().is_some() || provider.downcast_ref::<CteWorkTable>().is_some(),
                Err(_) => false,
            },
            LogicalPlan::Extension(_) => false,
            _ => true,
        };
        Ok(if only { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(only)
}

/// The columns that the plan takes from outside, those of converted subqueries in it too.
fn collect(plan: &LogicalPlan, found: &mut Vec<(Column, FieldRef)>) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                match part {
                    Expr::OuterReferenceColumn(field, column) if !found.iter().any(|(known, _)| known == column) => {
                        found.push((column.clone(), Arc::clone(field)));
                    }
                    Expr::ScalarFunction(call) => {
                        if let Some(function) = correlated(call) {
                            collect(&function.plan, found)?;
                        }
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

fn correlated(call: &ScalarFunction) -> Option<&CorrelatedSubquery> {
    call.func.inner().downcast_ref::<CorrelatedSubquery>()
}

/// The plan with values in the place of outer columns.
fn substitute(plan: &LogicalPlan, values: &HashMap<Column, ScalarValue>) -> Result<LogicalPlan> {
    let within = |subquery: Subquery| -> Result<Subquery> {
        let plan = substitute(&subquery.subquery, values)?;
        let outer_ref_columns = plan.all_out_ref_exprs();
        Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans })
    };
    let substituted = plan.clone().transform_up(|node| {
        if let LogicalPlan::Subquery(subquery) = node {
            // What was inside it is done; without columns from outside it is a plain relation.
            let outer_ref_columns = subquery.subquery.all_out_ref_exprs();
            return Ok(Transformed::yes(if outer_ref_columns.is_empty() {
                Arc::unwrap_or_clone(subquery.subquery)
            } else {
                LogicalPlan::Subquery(Subquery { outer_ref_columns, ..subquery })
            }));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let rewritten = expression.transform_up(|part| {
                Ok(match part {
                    Expr::OuterReferenceColumn(field, column) => match values.get(&column) {
                        Some(value) => Transformed::yes(Expr::Literal(value.clone(), None)),
                        None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
                    },
                    Expr::ScalarSubquery(subquery) => Transformed::yes(Expr::ScalarSubquery(within(subquery)?)),
                    Expr::Exists(Exists { subquery, negated }) => {
                        Transformed::yes(Expr::Exists(Exists { subquery: within(subquery)?, negated }))
                    }
                    Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                        Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery: within(subquery)?, negated }))
                    }
                    Expr::ScalarFunction(call) => match correlated(&call) {
                        Some(function) => {
                            let function = CorrelatedSubquery { plan: Arc::new(substitute(&function.plan, values)?), ..function.clone() };
                            Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
                                Arc::new(ScalarUDF::new_from_impl(function)),
                                call.args,
                            )))
                        }
                        None => Transformed::no(Expr::ScalarFunction(call)),
                    },
                    other => Transformed::no(other),
                })
            })?;
            Ok(rewritten.update_data(|expression| name.restore(expression)))
        })
    })?;
    Ok(substituted.data)
}

/// A subquery as a function of the columns that it takes from outside.
#[derive(Clone)]
struct CorrelatedSubquery {
    plan: Arc<LogicalPlan>,
    outer: Vec<Column>,
    returns: FieldRef,
    state: Arc<SessionState>,
    signature: Signature,
}

impl std::fmt::Debug for CorrelatedSubquery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CorrelatedSubquery").field("outer", &self.outer).finish_non_exhaustive()
    }
}

impl PartialEq for CorrelatedSubquery {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for CorrelatedSubquery {}

impl Hash for CorrelatedSubquery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.outer.hash(state);
    }
}

impl CorrelatedSubquery {
    /// The one value for these of the outer columns.
    async fn value(&self, outer: &[ScalarValue]) -> Result<ScalarValue> {
        let values = self.outer.iter().cloned().zip(outer.iter().cloned()).collect();
        let plan = substitute(&self.plan, &values)?;
        let physical = self.state.create_physical_plan(&plan).await?;
        let batches = datafusion::physical_plan::collect(physical, self.state.task_ctx()).await?;
        let mut rows = batches.iter().filter(|batch| batch.num_rows() > 0);
        match (rows.next(), rows.next()) {
            (None, _) => ScalarValue::try_from(self.returns.data_type()),
            (Some(batch), None) if batch.num_rows() == 1 => {
                let Some(column) = batch.columns().first() else { return exec_err!("a subquery without columns") };
                ScalarValue::try_from_array(&arrow::compute::cast(column, self.returns.data_type())?, 0)
            }
            _ => Err(external(Report::new(
                SqlState::CARDINALITY_VIOLATION,
                "more than one row returned by a subquery used as an expression",
            ))),
        }
    }

    async fn values(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let flag = self.state.config().get_extension::<StopFlag>().unwrap_or_default();
        let mut known: HashMap<Vec<ScalarValue>, ScalarValue> = HashMap::new();
        let mut values = Vec::with_capacity(rows);
        for row in 0..rows {
            let outer = arguments.iter().map(|array| ScalarValue::try_from_array(array, row)).collect::<Result<Vec<_>>>()?;
            let value = match known.get(&outer) {
                Some(value) => value.clone(),
                None => {
                    let value = tokio::select! {
                        biased;
                        () = flag.wait() => {
                            return Err(external(Report::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")));
                        }
                        value = self.value(&outer) => value?,
                    };
                    known.insert(outer, value.clone());
                    value
                }
            };
            values.push(value);
        }
        ScalarValue::iter_to_array(values)
    }
}

impl ScalarUDFImpl for CorrelatedSubquery {
    fn name(&self) -> &str {
        "subquery"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.data_type().clone())
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.returns))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let rows = arrays.first().map_or(0, |array| array.len());
        if rows == 0 {
            return Ok(ColumnarValue::Array(arrow::array::new_empty_array(self.returns.data_type())));
        }
        let evaluate = || {
            std::thread::scope(|scope| {
                let worker = std::thread::Builder::new().stack_size(crate::sql::STACK_SIZE).spawn_scoped(scope, || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(DataFusionError::IoError)?;
                    runtime.block_on(self.values(&arrays, rows))
                });
                worker.map_err(DataFusionError::IoError).map(|worker| worker.join())
            })
        };
        // Others' connections are not to wait for this one's thread.
        let is_shared = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
        match if is_shared { tokio::task::block_in_place(evaluate) } else { evaluate() }? {
            Ok(values) => Ok(ColumnarValue::Array(values?)),
            Err(_) => exec_err!("the thread of a subquery ended without a value"),
        }
    }
}
