//! [`SortOrder`]: what a file may claim about the order of its rows.

use serde::Deserialize;

use super::transform::Transform;

/// An order; 0 is "unsorted".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SortOrder {
    /// Files name it by this.
    pub order_id: i32,
    /// Most significant first.
    pub fields: Vec<SortField>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RawSortField")]
pub struct SortField {
    /// Its columns: one, except for transforms of several.
    pub source_ids: Vec<i32>,
    /// What is sorted by.
    pub transform: Transform,
    /// Up or down.
    pub direction: SortDirection,
    /// Where NULLs are.
    pub null_order: NullOrder,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawSortField {
    source_id: Option<i32>,
    source_ids: Option<Vec<i32>>,
    transform: Transform,
    direction: SortDirection,
    null_order: NullOrder,
}

impl From<RawSortField> for SortField {
    fn from(raw: RawSortField) -> Self {
        let source_ids = raw.source_ids.or_else(|| raw.source_id.map(|id| vec![id])).unwrap_or_default();
        Self { source_ids, transform: raw.transform, direction: raw.direction, null_order: raw.null_order }
    }
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SortDirection {
    /// Smallest first.
    #[serde(rename = "asc")]
    Ascending,
    /// Largest first.
    #[serde(rename = "desc")]
    Descending,
}

/// Where NULLs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum NullOrder {
    /// Before all values.
    #[serde(rename = "nulls-first")]
    First,
    /// After all values.
    #[serde(rename = "nulls-last")]
    Last,
}
