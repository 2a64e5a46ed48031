//! The Iceberg specification's nouns.
