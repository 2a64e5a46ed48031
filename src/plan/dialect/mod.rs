//! PostgreSQL's dialect where the engine's differs, one peculiarity per file: on the statement's tree ([`field_access`], [`catalog_names`],
//! [`object_ids`]), while expressions are
//! planned ([`operators`], [`types`]), and on the plan before the engine coerces types ([`coercion`], with [`uuid`]'s function).

mod catalog_names;
mod coercion;
mod field_access;
mod object_ids;
mod operators;
mod types;
mod uuid;

pub use coercion::PostgresCoercion;
pub(super) use object_ids::show as show_object_ids;
pub(super) use operators::PostgresOperators;
pub(super) use types::PostgresTypes;

use datafusion::sql::sqlparser::ast::Statement;

/// Rewrites all that is rewritten on the tree.
pub(super) fn rewrite(statement: &mut Statement) {
    field_access::rewrite(statement);
    catalog_names::rewrite(statement);
    object_ids::rewrite(statement);
}
