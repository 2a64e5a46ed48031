//! The point-in-time join: entity rows, each with the features that were current at its time.
//!
//! # What it answers
//!
//! For an entity row with keys *k* and time *t*, and each [`Lookup`]: of the feature rows with keys *k* and event timestamp in `[t - ttl, t]`, the
//! one with the greatest (event timestamp, created timestamp, commit order, content), and its features; NULL if there is none, or if the row is not
//! valid any more at *t*. Rows out are rows in: never more, never fewer. The answer depends on what the rows hold and on nothing else:
//! not on files, positions, batches, threads. `created` NULL loses its tie; content is compared column by column (NULL lowest, NaN highest, nested
//! values element by element), valid-until last (NULL highest). All instants are compared exactly, whatever their units.
//!
//! # How
//!
//! The feature side is big, the answer has one row per entity row: so the join is turned around, and no more is held than the entity rows ask for.
//!
//! 1. **Collect and index** (`slots`): entity rows by key, their distinct times sorted: one *slot* each. One index for all
//!    lookups with the same keys (`keys` makes keys of different types comparable).
//! 2. **Stream** (`pass`, `matcher`): of the feature rows only keys, event timestamp, created timestamp and commit order are read, pruned by
//!    what the entity rows can need (`prune`). Each row goes to the first slot that sees it, and stays if it is the best there. Lookups over
//!    the same rows share the pass. No order is needed, nothing is buffered, late data costs nothing.
//! 3. **Settle ties** (`settle`, `content`): rows equal in all of that are fetched and compared, only they, only the columns that decide.
//! 4. **Inherit** (`matcher`): a running maximum within each group gives every slot its winner. The TTL is a check on the winner
//!    (`instant`): the newest row not after *t* is the only candidate.
//! 5. **Fetch and gather** (`features`, `gather`): the wanted columns of the distinct winners, then output batch by batch.
//!
//! Feature rows come through one trait, [`FeatureRows`]. A source that cannot go back to a row (any relation: [`RelationRows`]) streams all columns that
//! may be needed, and the join keeps the rows that are winners so far (`keeper`).
//!
//! # How to use it
//!
//! ```ignore
//! let join = PointInTimeJoin::try_new(
//!     entity_rows,                       // any LogicalPlan
//!     EntityTime::Column(1),             // or EntityTime::Constant(as_of)
//!     vec![Lookup { name: "customer_features".into(), rows, on: vec![(0, 0)], timestamp: 1, .. }],
//!     vec![OutputColumn { lookup: 0, column: 4, name: "total_orders".into() }],
//! )?.with_tie_counter(Arc::clone(&ties)).into_plan();
//! ```
//!
//! `rows` is a table snapshot (`table` implements [`FeatureRows`]) or `Arc::new(RelationRows::new(plan, "AS SELECT"))`, with
//! `.planned_by(state)` where fixed settings shall plan it. Views that are mentioned twice should share one `Arc`. All numbers are column
//! positions: of the entity rows on the left of `on` and in [`EntityTime`], of `rows.schema()` elsewhere. The session needs [`PointInTimeJoinPlanner`] among its
//! extension planners and [`PruneFeatures`] behind DataFusion's optimizer rules. After the statement, [`TieCounter::rows`] is the number for the NOTICE.
//!
//! # What it costs
//!
//! Memory: the entity rows; per distinct (key, time) 12 bytes of index and, per stream, 32 for the best row so far; the winners' features; 8 bytes per
//! slot and lookup. All of it is reserved with the memory pool before or as it is taken, and a refusal is the pool's `ResourcesExhausted`; nothing
//! spills. Time: one pass over three or four columns of the feature rows that pruning leaves, and a fetch of winners.
//! No step works for more than some milliseconds without yielding (`pace`), and all tasks end with the output stream: cancel works anywhere.
//!
//! # What it refuses
//!
//! Key types that have no common equality (42804, floats among them), times that are no times (42804), a TTL that is not positive (22023), infinite entity times
//! (22008; in feature rows they are simply the earliest and latest instants), more than 2^32 - 2 entity rows (54000).

mod content;
mod error;
mod feature_rows;
mod features;
mod gather;
mod instant;
mod keeper;
mod keys;
mod logical;
mod lookup;
mod matcher;
mod metrics;
mod pace;
mod pass;
mod physical;
mod prune;
mod prune_features;
mod relation;
mod run;
mod settle;
mod slots;

pub use error::JoinError;
pub use feature_rows::{FeatureBatch, FeatureRows, FeatureScan, FeatureStream, Locator};
pub use keys::comparable_keys;
pub use logical::PointInTimeJoin;
pub use lookup::{EntityTime, Lookup, OutputColumn};
pub use metrics::TieCounter;
pub use physical::{PointInTimeJoinExec, PointInTimeJoinPlanner};
pub use prune_features::PruneFeatures;
pub use relation::RelationRows;

#[cfg(test)]
mod tests;
