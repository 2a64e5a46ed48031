//! Text to statements. Our own keywords are parsed here; everything else is sqlparser's PostgreSQL dialect, with what it
//! cannot parse rewritten as tokens, so that positions survive. No SQL is printed from a tree to be parsed again.

mod ast;

pub use ast::{
    ColumnRename, CreateEntity, CreateFeatureView, Describe, Drop, EntityRef, FeatureDefinition, Ident, Interval, KeyDefinition,
    ObjectKind, PinClause, Show, SourceClause, SourceName, Statement, StatementText, WithOption,
};
