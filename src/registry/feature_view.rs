//! [`FeatureView`]: named features of an entity over a source, with the columns that say when each row is true.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A feature view as it is registered. Types are PostgreSQL's canonical spellings (`double precision`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureView {
    /// Its name.
    pub name: String,
    /// Whose features these are; empty = joined on time alone.
    pub entities: Vec<EntityBinding>,
    /// Where the rows are.
    pub source: ViewSource,
    /// The event timestamp.
    pub timestamp: ColumnBinding,
    /// `CREATED TIMESTAMP`: settles ties of the event timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<ColumnBinding>,
    /// `VALID UNTIL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<ColumnBinding>,
    /// `TTL`; none = no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TimeToLive>,
    /// The features, in declared order.
    pub features: Vec<Feature>,
    /// `COMMENT '…'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// `TAGS (…)`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// `WITH (online = …)`.
    #[serde(default)]
    pub online: bool,
    /// `WITH (owner = '…')`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `WITH (scan = …)`.
    #[serde(default)]
    pub scan: Scan,
}

/// An entity of a view, and the source's columns for its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityBinding {
    /// The entity's name.
    pub entity: String,
    /// One column per key of the entity, in the keys' order.
    pub columns: Vec<ColumnBinding>,
}

/// A column of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnBinding {
    /// Its name when the view was created.
    pub name: String,
    /// Its Iceberg field id, which outlives renames; none for `AS SELECT`, which binds by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_id: Option<i32>,
    /// Its type when the view was created or last refreshed, where nothing else says it: of keys and times, for `pg_catalog`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name in the view.
    pub name: String,
    /// Its type.
    pub data_type: String,
    /// The source's column.
    pub column: ColumnBinding,
    /// `COMMENT '…'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Where a view's rows are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewSource {
    /// `FROM catalog.schema.table`, columns bound by field id.
    Table {
        /// `[catalogs.NAME]`.
        catalog: String,
        /// The namespace.
        schema: String,
        /// The table.
        table: String,
        /// The table's uuid when the view was created; another one under the name is 55000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table_uuid: Option<String>,
        /// `AT …`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<Pin>,
        /// The pattern `…/data/*.parquet` shown to users, found at CREATE.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
    /// `AS SELECT …`, kept as written, columns bound by name.
    Query {
        /// The SELECT's text.
        sql: String,
    },
}

/// `AT …` of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pin {
    /// `AT BRANCH 'b'`.
    Branch(String),
    /// `AT TAG 't'`.
    Tag(String),
    /// `AT SNAPSHOT n`.
    Snapshot(i64),
    /// `AT TIMESTAMP '…'`, as written.
    Timestamp(String),
}

/// `WITH (scan = …)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    /// Exactly the table's snapshot.
    #[default]
    Snapshot,
    /// Every Parquet file below the path: the origin's way.
    Glob,
}

/// A TTL as PostgreSQL keeps intervals: months and days are calendar units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeToLive {
    /// Months.
    #[serde(default)]
    pub months: i32,
    /// Days.
    #[serde(default)]
    pub days: i32,
    /// Microseconds.
    #[serde(default)]
    pub micros: i64,
}
