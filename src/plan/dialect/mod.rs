//! PostgreSQL's dialect where the engine's differs, one peculiarity per file: on the statement's tree ([`unsupported`], [`literals`],
//! [`from_columns`] with [`merged_columns`] and [`whole_rows`], [`set_comparisons`], [`rows`], [`values_lists`], [`windows`], [`system_columns`], [`spellings`], [`field_access`], [`subquery_order`], [`catalog_names`], [`object_ids`], [`cases`], [`told_apart`]), while expressions are planned ([`operators`] with [`arithmetic`], [`quoted_operands`], [`numeric_arithmetic`] and [`extract`],
//! [`types`]), on the plan that they make ([`unbounded_numeric`] with [`numeric_rounding`], [`subquery_truth`], [`scalar_subqueries`]), before the engine coerces types ([`coercion`] with [`blanks`], [`casts`], [`common_types`], [`similar`] and [`uuid`]), and
//! after it ([`zeros`], [`float_order`]), and around the engine's optimizer ([`float_comparisons`], [`conclusions`] with [`hidden`]).

mod arithmetic;
mod blanks;
mod cases;
mod casts;
mod catalog_names;
mod coercion;
mod common_types;
mod conclusions;
mod extract;
mod field_access;
mod float_comparisons;
mod float_order;
mod from_columns;
mod hidden;
mod intervals;
mod literals;
mod merged_columns;
mod nested_order;
mod object_ids;
mod numeric_arithmetic;
mod numeric_rounding;
mod operators;
mod quoted_operands;
mod row_functions;
mod rows;
mod scalar_subqueries;
mod set_comparisons;
mod similar;
mod spellings;
mod style;
mod subquery_order;
mod subquery_truth;
mod system_columns;
mod system_sets;
mod told_apart;
mod types;
mod unbounded_numeric;
mod unsupported;
mod uuid;
mod values_lists;
mod whole_rows;
mod windows;
mod zeros;

pub use coercion::PostgresCoercion;
pub(super) use coercion::{coerce, takes_one_type};
pub(super) use conclusions::{FiltersSayNoMore, ListsKeepNulls};
pub(super) use float_comparisons::OneZeroInComparisons;
pub use float_order::OneZeroInOrder;
pub(super) use from_columns::rewrite as use_columns_of_from;
pub(super) use nested_order::content_key;
pub(super) use object_ids::show as show_object_ids;
pub(super) use operators::PostgresOperators;
pub(super) use row_functions::row_of;
pub(super) use scalar_subqueries::may_be_null;
pub use style::DateSettings;
pub(super) use style::Style;
pub(super) use subquery_truth::tell as tell_subqueries;
pub(super) use told_apart::with_names_apart;
pub(super) use types::PostgresTypes;
pub(super) use unbounded_numeric::keep as keep_unbounded_numerics;
pub(super) use unsupported::check as check_supported;
pub use zeros::KeepSignedZeros;

use datafusion::sql::sqlparser::ast::Statement;

/// Rewrites all that is rewritten on the tree.
pub(super) fn rewrite(statement: &mut Statement) {
    values_lists::rewrite(statement);
    literals::rewrite(statement);
    set_comparisons::rewrite(statement);
    rows::rewrite(statement);
    windows::rewrite(statement);
    system_columns::rewrite(statement);
    subquery_order::keep(statement);
    spellings::rewrite(statement);
    field_access::rewrite(statement);
    catalog_names::rewrite(statement);
    object_ids::rewrite(statement);
    cases::rewrite(statement);
}
