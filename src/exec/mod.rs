//! Physical operators of our own. They know Arrow, entity rows and feature rows; nothing of views, registry or Iceberg.

pub mod point_in_time_join;
