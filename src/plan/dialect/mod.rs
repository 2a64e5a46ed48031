//! PostgreSQL's dialect where the engine's differs, one peculiarity per file: on the statement's tree ([`field_access`]), while expressions are
//! planned ([`operators`], [`types`]), and on the plan before the engine coerces types ([`coercion`], with [`uuid`]'s function).

mod coercion;
mod field_access;
mod operators;
mod types;
mod uuid;

pub use coercion::PostgresCoercion;
pub(super) use field_access::rewrite as rewrite_field_access;
pub(super) use operators::PostgresOperators;
pub(super) use types::PostgresTypes;
