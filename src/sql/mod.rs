//! Text to statements. Our own keywords are parsed here; everything else is sqlparser's PostgreSQL dialect, with what it
//! cannot parse rewritten as tokens, so that positions survive. No SQL is printed from a tree to be parsed again.
//!
//! Positions are characters of the whole text, counted from 1. In sqlparser's trees they are the *columns* of spans, on
//! line 1 always: [`position_of`] reads them.

mod ast;
mod constants;
mod copy;
mod cursors;
mod definitions;
mod dialect;
mod display;
mod error;
mod parser;
mod rewrite;
#[cfg(test)]
mod tests;
mod tokens;
mod trees;

pub use ast::{
    CreateEntity, CreateFeatureView, Describe, Drop, EntityRef, FeatureDefinition, Ident, Interval, KeyDefinition, ObjectKind, PinClause,
    Show, SourceClause, SourceName, Statement, StatementText, WithOption,
};
pub use constants::{without_constants, without_passwords};
pub use copy::{CopyOption, CopySource, CopyStatement, CopyValue};
pub use cursors::{ALL_ROWS, CursorStatement, DeclareCursor, Direction};
pub use error::SqlError;
pub use parser::{parse, parse_entity_query, parse_type};
pub use tokens::{STACK_SIZE, position_of};
pub use trees::{constraint, constraint_mut, folded};

pub use crate::spelling::{interval, quote_ident, quote_literal};
