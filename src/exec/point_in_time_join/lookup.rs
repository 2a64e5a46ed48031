//! What one point-in-time join is asked: [`Lookup`]s, the [`OutputColumn`]s wanted of them, and the entity rows' time.
//!
//! Everything is by column number: names are for EXPLAIN and messages only. The plan layer turns every feature view of a call
//! into one lookup; this module knows nothing of views.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalMonthDayNano, Schema};
use datafusion::scalar::ScalarValue;

use super::error::JoinError;
use super::feature_rows::FeatureRows;
use super::instant::{self, Unit};
use super::keys::KeyKind;

/// One source of features and how its rows meet the entity rows.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// For EXPLAIN and messages: the view's name, or its alias.
    pub name: String,
    /// The feature rows. A relation (`AS SELECT`) is a [`RelationRows`](super::RelationRows).
    pub rows: Arc<dyn FeatureRows>,
    /// Key pairs: column of the entity rows, column of the feature rows. None at all: joined on time alone.
    pub on: Vec<(usize, usize)>,
    /// The event timestamp, a column of the feature rows like all below.
    pub timestamp: usize,
    /// The created timestamp: the later wins among equal event timestamps.
    pub created: Option<usize>,
    /// From when on the winner is not valid any more.
    pub valid_until: Option<usize>,
    /// A 64-bit integer that grows with every commit: decides what event and created timestamp leave open.
    pub commit_order: Option<usize>,
    /// Columns that decide what is still open, in this order: all features of the view, asked for or not.
    pub tie_columns: Vec<usize>,
    /// How old a winner may be.
    pub ttl: Option<IntervalMonthDayNano>,
    /// Knowledge time: only rows whose created timestamp is not after the entity row's time.
    pub filter_by_created: bool,
}

impl Lookup {
    /// Whether both meet the entity rows in the same way, so that one pass over the feature rows serves both. They may differ in
    /// the window, in what is looked at of the winner, and in the features. Rows that cannot be fetched later are settled as they come, so
    /// there the order of content has to be the same too.
    pub(super) fn shares_pass(&self, other: &Self) -> bool {
        self.same_rows(other)
            && self.on == other.on
            && self.timestamp == other.timestamp
            && self.created == other.created
            && self.commit_order == other.commit_order
            && self.filter_by_created == other.filter_by_created
            && (self.rows.can_fetch() || (self.tie_columns == other.tie_columns && self.valid_until == other.valid_until))
    }

    fn same_rows(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows) || self.rows.same_rows(other.rows.as_ref())
    }

    /// Checks column numbers and types, and gives the kinds of the key pairs.
    pub(super) fn validate(&self, entity: &Schema) -> Result<Vec<KeyKind>, JoinError> {
        let features = self.rows.schema();
        let missing = |side, column| JoinError::NoSuchColumn { lookup: self.name.clone(), side, column };
        let feature = |column: usize| features.fields().get(column).ok_or_else(|| missing("the feature rows", column));
        let mut kinds = Vec::with_capacity(self.on.len());
        for &(entity_column, feature_column) in &self.on {
            let left = entity.fields().get(entity_column).ok_or_else(|| missing("the entity rows", entity_column))?;
            let right = feature(feature_column)?;
            let kind = KeyKind::of(left.data_type(), right.data_type()).ok_or_else(|| JoinError::KeyTypesDiffer {
                lookup: self.name.clone(),
                entity_column: left.name().clone(),
                entity_type: left.data_type().clone(),
                feature_column: right.name().clone(),
                feature_type: right.data_type().clone(),
            })?;
            kinds.push(kind);
        }
        for column in [Some(self.timestamp), self.created, self.valid_until].into_iter().flatten() {
            let field = feature(column)?;
            Unit::of_column(field.data_type(), field.name())?;
        }
        for column in self.tie_columns.iter().chain(&self.commit_order) {
            feature(*column)?;
        }
        if let Some(column) = self.commit_order
            && !feature(column)?.data_type().is_integer()
        {
            let what = format!("column \"{}\" is no commit order: it is no integer", feature(column)?.name());
            return Err(JoinError::BrokenSource { lookup: self.name.clone(), what });
        }
        if self.ttl.is_some_and(|ttl| !instant::is_positive(ttl)) {
            return Err(JoinError::TtlNotPositive { lookup: self.name.clone() });
        }
        Ok(kinds)
    }
}

// Feature rows have no equality but identity: two lookups over different `Arc`s are different, even if they read the same rows.
impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && Arc::ptr_eq(&self.rows, &other.rows)
            && self.on == other.on
            && self.timestamp == other.timestamp
            && self.created == other.created
            && self.valid_until == other.valid_until
            && self.commit_order == other.commit_order
            && self.tie_columns == other.tie_columns
            && self.ttl == other.ttl
            && self.filter_by_created == other.filter_by_created
    }
}

impl Eq for Lookup {}

impl Hash for Lookup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        Arc::as_ptr(&self.rows).cast::<()>().hash(state);
        self.on.hash(state);
        self.ttl.hash(state);
    }
}

/// A column of the output behind the entity rows' own: one feature (or time) of one lookup's winner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OutputColumn {
    /// Which lookup.
    pub lookup: usize,
    /// Which column of its feature rows.
    pub column: usize,
    /// Its name in the output.
    pub name: String,
}

/// As of when each entity row asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EntityTime {
    /// A column of the entity rows: a timestamp or a date.
    Column(usize),
    /// The same instant for all rows.
    Constant(ScalarValue),
}

impl EntityTime {
    /// Checks column number and type, and gives the unit.
    pub(super) fn validate(&self, entity: &Schema) -> datafusion::error::Result<Unit> {
        match self {
            Self::Constant(value) => Ok(instant::constant_instant(value)?.0),
            Self::Column(column) => {
                let missing = || JoinError::NoSuchColumn { lookup: "time".into(), side: "the entity rows", column: *column };
                let field = entity.fields().get(*column).ok_or_else(missing)?;
                // An untyped NULL column is as good as a timestamp that is always NULL.
                if *field.data_type() == DataType::Null {
                    return Ok(instant::constant_instant(&ScalarValue::Null)?.0);
                }
                Ok(Unit::of_column(field.data_type(), field.name())?)
            }
        }
    }
}
