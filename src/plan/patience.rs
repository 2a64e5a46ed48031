//! How long a statement may be planned.
//!
//! Planning computes without a wait in it, so nothing outside hears of a cancel or of time that is up before it ends, and some statements
//! take minutes to plan (subqueries that the engine's rules copy, conditions of thousands of terms). So the passes over trees and plans,
//! ours and the engine's rules, ask here at each node. A statement without [`Patience::within`] is planned to its end. Costs a clock
//! reading per node.

use std::sync::Arc;
use std::time::Instant;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::context::external;
use crate::error::{Report, SqlState};

tokio::task_local! {
    static PATIENCE: Patience;
}

/// When to stop planning.
pub struct Patience {
    deadline: Option<Instant>,
    interrupted: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Patience {
    /// Until `deadline`, or until `interrupted` says so.
    pub fn new(deadline: Option<Instant>, interrupted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { deadline, interrupted: Box::new(interrupted) }
    }

    /// The work, which fails with 57014 when patience ends.
    pub async fn within<T>(self, work: impl Future<Output = T>) -> T {
        PATIENCE.scope(self, work).await
    }

    fn ended(&self) -> Option<Report> {
        let canceled = |reason: &str| Report::new(SqlState::QUERY_CANCELED, format!("canceling statement due to {reason}"));
        if (self.interrupted)() {
            return Some(canceled("user request"));
        }
        self.deadline.filter(|deadline| *deadline <= Instant::now()).map(|_| canceled("statement timeout"))
    }
}

/// 57014 if the statement that is being planned should be planned no longer.
pub(super) fn check() -> Result<()> {
    match PATIENCE.try_with(Patience::ended) {
        Ok(Some(report)) => Err(external(report)),
        _ => Ok(()),
    }
}

/// A rule of the engine's that asks at each node.
#[derive(Debug)]
pub(super) struct Patient(pub Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for Patient {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        check()?;
        self.0.rewrite(plan, config)
    }
}
