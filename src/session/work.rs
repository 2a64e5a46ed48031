//! What a plan has read and how long it took, from the metrics that EXPLAIN ANALYZE shows, summed over its nodes.
//!
//! Read when the statement is over, however it ended: a plan that was stopped has counted what it did until then. Time of scans
//! is that of all partitions added up; a join's is wall clock. The files of a join's own scans count as read by the join.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;

use crate::exec::point_in_time_join::PointInTimeJoinExec;
use crate::table::SnapshotScanExec;
use crate::telemetry::Work;

/// A plan's sums.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PlanWork {
    /// What was read.
    pub work: Work,
    /// Time in scans, if there were any.
    pub scan: Option<Duration>,
    /// Time in joins, if there were any.
    pub join: Option<Duration>,
}

impl PlanWork {
    /// The sums of this plan and all below it.
    pub fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let mut sums = Self::default();
        sums.add(plan);
        sums
    }

    fn add(&mut self, plan: &Arc<dyn ExecutionPlan>) {
        let node = plan.as_ref() as &dyn Any;
        if let Some(join) = node.downcast_ref::<PointInTimeJoinExec>() {
            self.add_join(join);
        } else if let Some(scan) = node.downcast_ref::<SnapshotScanExec>() {
            let (kept, there) = scan.summary().files;
            self.work.files_read += kept as u64;
            self.work.files_pruned += there.saturating_sub(kept) as u64;
        } else if plan.children().is_empty()
            && let Some(metrics) = plan.metrics()
        {
            // The engine's own scan of Parquet files.
            self.work.bytes_read += sum(&metrics, "bytes_scanned");
            if metrics.sum_by_name("time_elapsed_scanning_total").is_some() {
                *self.scan.get_or_insert_default() += time(&metrics, "time_elapsed_scanning_total");
            }
        }
        for child in plan.children() {
            self.add(child);
        }
    }

    fn add_join(&mut self, join: &PointInTimeJoinExec) {
        if let Some(metrics) = join.metrics() {
            self.work.bytes_read += sum(&metrics, "bytes_scanned");
            self.work.files_read += sum(&metrics, "files_scanned");
            self.work.files_pruned += sum(&metrics, "files_pruned");
            let times = ["index_time", "stream_time", "fetch_time"];
            *self.join.get_or_insert_default() += times.iter().map(|name| time(&metrics, name)).sum::<Duration>();
        }
        for relation in join.relations() {
            self.add(relation);
        }
    }
}

fn sum(metrics: &MetricsSet, name: &str) -> u64 {
    metrics.sum_by_name(name).map_or(0, |value| value.as_usize() as u64)
}

fn time(metrics: &MetricsSet, name: &str) -> Duration {
    Duration::from_nanos(sum(metrics, name))
}
